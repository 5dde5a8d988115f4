# SPDX-License-Identifier: Apache-2.0
"""The marks of the plots of a model, in Altair's terms: shifts of rows, a spectrum, neighbours before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt

from reports._svg import INKS

WIDTH: Final = 300
HEIGHT: Final = 150
LINE: Final = 19  # height of a row of names
_TEXT: Final = 12
_PADDING: Final = {"left": 46, "top": 14, "right": 16, "bottom": 44}
_BETWEEN: Final = 110  # from the names before to those after
_NAMES: Final = 150
_TICKS: Final = 5

Row = Mapping[str, Any]


def shifts(edges: Sequence[float], counts: Sequence[int], marked: Sequence[float]) -> Any:  # noqa: ANN401 - as below
    """Rows by the size of their shift; a triangle for each shift in ``marked``, the rows out of line."""
    x = alt.Scale(type="log", domain=[edges[0], edges[-1]], nice=False)
    y = alt.Scale(type="sqrt", domain=[0, max(counts)], nice=False)
    bars = [
        {"from": low, "to": high, "rows": rows, "none": 0}
        for low, high, rows in zip(edges, edges[1:], counts, strict=False)
    ]
    drawn = _chart([bar for bar in bars if bar["rows"]]).mark_bar(color=INKS["soft"], stroke=INKS["paper"])
    layers = [
        drawn.encode(
            x=alt.X("from:Q", scale=x, axis=_axis("distance that a row moved", _decades(edges[0], edges[-1]))),
            x2="to:Q",
            y=alt.Y("rows:Q", scale=y, axis=_axis(None, _counts(max(counts)), ",d")),
            y2="none:Q",
        )
    ]
    if marked:
        points = [{"at": min(max(shift, edges[0]), edges[-1]), "zero": 0} for shift in marked]
        layers.append(
            _chart(points)
            .mark_point(shape="triangle-up", filled=True, size=70, opacity=1, color=INKS["amplified"], yOffset=7)
            .encode(x=alt.X("at:Q", scale=x), y=alt.Y("zero:Q", scale=y))
        )
    return _framed(alt.layer(*layers), WIDTH, HEIGHT, _PADDING)


def spectrum(shares: Sequence[float]) -> Any:  # noqa: ANN401 - as below
    """The shares of the difference's energy by direction as bars, and what they add up to as a line."""
    rows, total = [], 0.0
    for at, share in enumerate(shares):
        total += share
        rows.append(
            {"at": at + 1, "low": at + 0.6, "high": at + 1.4, "share": share, "sum": min(total, 1.0), "none": 0}
        )
    x = alt.Scale(domain=[0.4, max(len(shares), 8) + 0.6], nice=False)
    y = alt.Scale(domain=[0, 1], nice=False)
    place = alt.X("low:Q", scale=x, axis=_axis("direction, largest first", [1, 4, 8, 12, 16], "d"))
    height = alt.Y("share:Q", scale=y, axis=_axis(None, [0, 0.25, 0.5, 0.75, 1], "%"))
    bars = _chart(rows).mark_bar(color=INKS["soft"]).encode(x=place, x2="high:Q", y=height, y2="none:Q")
    line = (
        _chart(rows)
        .mark_line(color=INKS["suppressed"], strokeWidth=1.6)
        .encode(x=alt.X("at:Q", scale=x), y=alt.Y("sum:Q", scale=y))
    )
    return _framed(alt.layer(bars, line), WIDTH, HEIGHT, _PADDING)


def neighbours(before: Sequence[str], after: Sequence[str], stayed: Sequence[tuple[int, int]]) -> Any:  # noqa: ANN401 - as below
    """Two lists of names, nearest first; a line for each that is in both, by its places in them."""
    height = max(len(before), len(after), 1)
    x = alt.Scale(domain=[0, 1], nice=False)
    y = alt.Scale(domain=[height - 0.5, -0.5], nice=False)
    kept = {0: {left for left, _ in stayed}, 1: {right for _, right in stayed}}
    rows = [
        {"side": side, "place": at, "name": name, "stayed": at in kept[side]}
        for side, names in enumerate((before, after))
        for at, name in enumerate(names)
    ]
    lines = [{"from": 0, "to": 1, "left": left, "right": right} for left, right in stayed]
    at = {"x": alt.X("side:Q", scale=x, axis=None), "y": alt.Y("place:Q", scale=y, axis=None)}
    layers = [
        _chart(lines)
        .mark_rule(color=INKS["rule"], strokeWidth=1.4)
        .encode(x=alt.X("from:Q", scale=x, axis=None), x2="to:Q", y=alt.Y("left:Q", scale=y, axis=None), y2="right:Q"),
        _points(rows, 0, stayed=True, shape="circle", ink="soft").encode(**at),
        _points(rows, 1, stayed=True, shape="circle", ink="soft").encode(**at),
        _points(rows, 0, stayed=False, shape="triangle-left", ink="suppressed").encode(**at),
        _points(rows, 1, stayed=False, shape="triangle-right", ink="amplified").encode(**at),
    ]
    for side, align, offset in ((0, "right", -10), (1, "left", 10)):
        names = [row for row in rows if row["side"] == side]
        mark = _chart(names).mark_text(align=align, baseline="middle", dx=offset, fontSize=_TEXT, color=INKS["ink"])
        layers.append(mark.encode(**at, text="name:N"))
    padding = {"left": _NAMES, "top": 6, "right": _NAMES, "bottom": 6}
    return _framed(alt.layer(*layers), _BETWEEN, LINE * height, padding)


def _points(rows: Sequence[Row], side: int, *, stayed: bool, shape: str, ink: str) -> Any:  # noqa: ANN401 - as above
    these = [row for row in rows if row["side"] == side and row["stayed"] is stayed]
    return _chart(these).mark_point(shape=shape, filled=True, size=48, opacity=1, color=INKS[ink])


def _decades(low: float, high: float) -> list[float]:
    """Round distances that fit the axis: powers of ten, of many every so many, and where there are few the ends."""
    powers = [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    if len(powers) > 1:
        return powers[:: -(-len(powers) // _TICKS)]
    return [float(f"{low:.2g}"), float(f"{math.sqrt(low * high):.2g}"), float(f"{high:.2g}")]


def _counts(most: int) -> list[float]:
    """A few round numbers of rows, which a square root scale keeps apart."""
    top = 10 ** math.floor(math.log10(max(most, 1)))
    return [0.0, *sorted({float(max(1, top // 10)), float(top), float(top * (most // top))})]


def _axis(title: str | None, values: Sequence[float], form: str = "~g") -> alt.Axis:
    return alt.Axis(
        values=list(values), title=title, format=form, labelFontSize=_TEXT, titleFontSize=_TEXT,
        titleFontWeight="normal", labelColor=INKS["soft"], titleColor=INKS["soft"], gridColor=INKS["rule"],
        domainColor=INKS["rule"], tickColor=INKS["rule"], labelOverlap=False, labelFlush=False, labelBound=False,
        labelPadding=4, titlePadding=6,
    )  # fmt: skip


def _framed(chart: Any, width: int, height: int, padding: Mapping[str, int]) -> Any:  # noqa: ANN401 - as below
    autosize = alt.AutoSizeParams(type="none")
    framed = chart.properties(width=width, height=height, padding=dict(padding), autosize=autosize)
    return framed.configure_view(stroke=None)


def _chart(rows: Sequence[Row]) -> Any:  # noqa: ANN401 - Altair's marks and channels are of too many types
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
