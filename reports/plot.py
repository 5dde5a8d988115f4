# SPDX-License-Identifier: Apache-2.0
"""The forest plot: every cell's ratio with its intervals against its margin band, worst first.

Drawn by Altair through vl-convert (in this process, no browser, nothing fetched). Every position is fixed by the data
and by constants here, none by the width of a text, so that the same cells give the same bytes on every machine.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from evidence import CellVerdict
from reports import words
from reports._svg import clean
from reports.cells import CellRow, cell_rows, verdict_counts
from reports.visible import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAWN_CELLS: Final = 40  # more rows are not read; the table holds all

_RIGHT: Final = 250
_TOP: Final = 46
_NAME_LENGTH: Final = 23
_COHORT_LENGTH: Final = 29
_WIDEST: Final = math.log(4)
_NARROWEST: Final = math.log(1.25)
_TICKS: Final = (0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
_TICK_ORDER: Final = (1.0, 1.25, 0.8, 1.5, 0.67, 2.0, 0.5, 1.1, 0.9, 3.0, 0.33, 4.0, 0.25)
_TICK_ROOM: Final = 34


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its words and its table.

    ``svg`` is inline SVG, empty where no cell is. ``rows`` are all cells, of which the first ``shown`` are drawn.
    """

    svg: Markup
    title: str
    description: str
    rows: tuple[CellRow, ...]
    shown: int

    @property
    def total(self) -> int:
        """How many cells there are, drawn or not."""
        return len(self.rows)


def forest_plot(audit: Mapping[str, Any], *, family: str = "primary", limit: int = DRAWN_CELLS) -> Chart:
    """The forest plot of one family of an audit document's cells (``formats.md``), worst first.

    Args:
        audit: the audit document; its cells may be none, and their ratios null.
        family: ``primary``, ``secondary`` or ``exploratory``.
        limit: how many cells are drawn at most; `Chart.rows` holds all of them.
    """
    rows = cell_rows(audit, family)
    drawn = rows[:limit]
    title = f"Exposure under head over exposure under base, {family} cells"
    if not rows:
        return Chart(Markup(), title, "There are no cells to draw.", (), 0)
    found = words.joined([f"{number} {verdict}" for verdict, number in verdict_counts(rows)])
    description = f"{words.count(len(rows), 'cell')}, worst first: {found}."
    if len(drawn) < len(rows):
        description += f" The worst {len(drawn)} of {len(rows)} are drawn; the table has all."
    return Chart(_draw(drawn, title, description), title, description, rows, len(drawn))


@functools.lru_cache(maxsize=128)
def _draw(rows: tuple[CellRow, ...], title: str, description: str) -> Markup:
    # Loaded by the first chart: a command that draws none starts half a second sooner.
    import altair as alt  # noqa: PLC0415 - as above
    import vl_convert  # noqa: PLC0415 - as above

    from reports._marks import LEFT, PLOT, ROW, layers  # noqa: PLC0415 - as above

    reach = _reach(rows)
    low, high = math.exp(-reach), math.exp(reach)
    data = [_datum(number, row, low, high) for number, row in enumerate(rows)]
    chart = (
        alt.layer(*layers(data, (low, high), _ticks(reach, PLOT)))
        .properties(
            width=PLOT,
            height=ROW * len(rows),
            padding={"left": LEFT, "top": _TOP, "right": _RIGHT, "bottom": 6},
            autosize=alt.AutoSizeParams(type="none"),
        )
        .configure_view(stroke=None)
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[])
    return clean(svg, title=title, description=description)


def _reach(rows: tuple[CellRow, ...]) -> float:
    """Half the width of the axis in ln ratio: what there is to see, within sensible bounds."""
    numbers = itertools.chain.from_iterable(
        (row.drawn.ratio, row.drawn.low, row.drawn.high, row.drawn.churn_low, row.drawn.churn_high, row.drawn.margin)
        for row in rows
    )
    furthest = max((abs(math.log(number)) for number in numbers if number is not None and number > 0), default=0.0)
    return min(max(1.08 * furthest, _NARROWEST), _WIDEST)


def _ticks(reach: float, width: float) -> list[float]:
    """Round ratios that fit an axis of this width side by side, the middle first."""
    unit = width / (2 * reach)
    chosen: list[float] = []
    for tick in _TICK_ORDER:
        place = math.log(tick)
        if abs(place) <= reach and all(abs(place - math.log(other)) * unit >= _TICK_ROOM for other in chosen):
            chosen.append(tick)
    return sorted(chosen)


def _datum(number: int, row: CellRow, low: float, high: float) -> dict[str, Any]:
    """One row for the chart. What lies beyond the axis is drawn at its end, with an arrow for the ratio."""
    drawn = row.drawn

    def held(value: float | None) -> float | None:
        return None if value is None else min(max(value, low), high)

    beyond = "" if drawn.ratio is None else "◂" if drawn.ratio < low else "▸" if drawn.ratio > high else ""
    bounded = drawn.margin is not None and drawn.margin > 1
    seen = drawn.detectable if drawn.detectable is not None and low <= 1 / drawn.detectable else None
    return {
        "row": number,
        "slice": shortened(row.slice, _NAME_LENGTH),
        "cohort": shortened(row.briefly, _COHORT_LENGTH),
        "verdict": row.verdict,
        "ratio": held(drawn.ratio),
        "low": held(drawn.low if drawn.high is not None else None),
        "high": held(drawn.high if drawn.low is not None else None),
        "churn_low": held(drawn.churn_low if drawn.churn_high is not None else None),
        "churn_high": held(drawn.churn_high if drawn.churn_low is not None else None),
        "band_low": held(1 / drawn.margin) if bounded and drawn.margin else None,
        "band_high": held(drawn.margin) if bounded else None,
        "seen_low": None if seen is None else 1 / seen,
        "seen_high": seen,
        "beyond": beyond,
        "end": low if beyond == "◂" else high,
        "numbers": _numbers(row),
    }


def _numbers(row: CellRow) -> str:
    if row.drawn.ratio is None:
        return "no ratio: none in base" if row.verdict != CellVerdict.NOT_RUN else words.MISSING
    return row.ratio if row.drawn.low is None else f"{row.ratio} ({row.interval})"
