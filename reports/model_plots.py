# SPDX-License-Identifier: Apache-2.0
"""The plots of a table that changed: how far its rows moved, in how few directions, and who is near whom now.

Drawn as `reports.plot` draws: by Altair through vl-convert, every position fixed by the data. Each has its words and
its numbers beside it, for who cannot see it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports import words
from reports._svg import clean
from reports.visible import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

_NAME: Final = 20  # letters of a neighbour's name that fit beside the plot
_MOST_MARKS: Final = 12
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with its words, and its numbers as a table of texts."""

    svg: Markup
    title: str
    description: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Near:
    """A neighbour: its name, how near it is, and whether it is one on the other side too."""

    name: str
    cosine: str
    stayed: bool


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest rows of one row before and after, with the plot of both lists. ``pairs`` go side by side."""

    name: str
    sentence: str
    svg: Markup
    pairs: tuple[tuple[Near | None, Near | None], ...]


def row_name(row: Mapping[str, Any]) -> str:
    """The id of a row, or its number."""
    return row.get("id") or f"row {row['row']:,}"


def shifts_plot(tensor: Mapping[str, Any]) -> Plot | None:
    """The histogram of how far rows moved; None where there are no classes."""
    shifts = tensor.get("row_shifts") or {}
    histogram = shifts.get("histogram")
    if not histogram or not any(histogram["counts"]):
        return None
    marked = [row["shift"] for row in tensor["outlier_rows"] if row.get("shift")][:_MOST_MARKS]
    title = f"How far the rows of {tensor['name']} moved"
    still = shifts["rows"] - shifts["rows_changed"]
    description = (
        f"{shifts['rows_changed']:,} of {words.count(shifts['rows'], 'row')} moved, {still:,} did not. "
        f"The furthest by {number(histogram['edges'][-1])}, the median by {number(shifts['median_shift'])}."
    )
    if marked:
        description += f" {words.count(len(marked), 'row')} out of line {'is' if len(marked) == 1 else 'are'} marked."
    edges, counts = tuple(histogram["edges"]), tuple(histogram["counts"])
    rows = tuple(
        (f"{number(low)}{words.DASH}{number(high)}", f"{count:,}")
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    )
    return Plot(
        _draw("shifts", (edges, counts, tuple(marked)), title, description),
        title,
        description,
        ("Moved by", "Rows"),
        rows,
    )


def spectrum_plot(tensor: Mapping[str, Any]) -> Plot | None:
    """In how few directions the difference lies; None where that was not measured."""
    found = tensor.get("spectrum")
    if not found or not found["values"]:
        return None
    shares = tuple(round(min(value**2, 1.0), 6) for value in found["values"])
    title = f"In how few directions the change of {tensor['name']} lies"
    first = found["columns"][0] if found["columns"] else None
    rank, full = found["rank_99"], found["full_rank"]
    enough = f"{rank} of {words.count(full, 'direction')}" if rank is not None else f"No few of {full:,} directions"
    description = (
        f"{enough} hold{'s' if rank == 1 else ''} 99 % of the difference; the first {words.percent(shares[0])}."
    )
    if first is not None:
        description += f" Column {first['column']} holds {words.percent(min(first['share'], 1.0))} of it."
    total, rows = 0.0, []
    for at, share in enumerate(shares):
        total += share
        rows.append((str(at + 1), words.percent(share), words.percent(min(total, 1.0))))
    return Plot(
        _draw("spectrum", (shares,), title, description), title, description, ("Direction", "Share", "Sum"), tuple(rows)
    )


def neighbours_plot(around: Mapping[str, Any]) -> Neighbours:
    """The nearest rows of one row, before and after."""
    lists = [list(around[side]) for side in ("before", "after")]
    places = [{near["row"]: at for at, near in enumerate(side)} for side in lists]
    shared = [row for row in places[0] if row in places[1]]
    stayed = tuple(sorted((places[0][row], places[1][row]) for row in shared))
    name = row_name(around)
    new = len(lists[1]) - len(shared)
    sentence = f"Of the {len(lists[0])} nearest before, {_are(len(shared))} among the nearest now; {_are(new)} new."
    names = tuple(tuple(shortened(row_name(near), _NAME) for near in side) for side in lists)
    near = [tuple(Near(row_name(one), f"{one['cosine']:.3f}", one["row"] in shared) for one in side) for side in lists]
    longest = max(len(side) for side in near)
    padded = [(*side, *([None] * (longest - len(side)))) for side in near]
    title = f"Nearest to {name} before and after"
    return Neighbours(
        name, sentence, _draw("neighbours", (*names, stayed), title, sentence), tuple(zip(*padded, strict=True))
    )


def _are(number: int) -> str:
    return f"{number or 'none'} {'is' if number == 1 else 'are'}"


def number(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"


@functools.lru_cache(maxsize=128)
def _draw(kind: str, data: Sequence[Any], title: str, description: str) -> Markup:
    # Loaded by the first plot: a command that draws none starts half a second sooner.
    import vl_convert  # noqa: PLC0415 - as above

    from reports import _model_marks  # noqa: PLC0415 - as above

    chart = getattr(_model_marks, kind)(*data)
    return clean(
        vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[]), title=title, description=description
    )
