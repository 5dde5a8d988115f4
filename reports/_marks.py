# SPDX-License-Identifier: Apache-2.0
"""The marks of the forest plot, layer by layer, in Altair's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt

from evidence import CellVerdict
from reports import words
from reports._svg import INKS

ROW: Final = 27  # height of a row
PLOT: Final = 330  # width of the axis
LEFT: Final = 392  # room for slice and cohort
_COHORT_AT: Final = -200
_VERDICT_AT: Final = PLOT + 150
_TEXT: Final = 12.5
_TITLE: Final = "← less · exposure, head ÷ base · more →"
_SHAPES: Final[Mapping[str, str]] = {
    CellVerdict.AMPLIFIED: "triangle-up",
    CellVerdict.SUPPRESSED: "triangle-down",
    CellVerdict.SHIFTED: "diamond",
    CellVerdict.EQUIVALENT: "circle",
    CellVerdict.INCONCLUSIVE: "circle",
    CellVerdict.NOT_RUN: "square",
}
_HOLLOW: Final = frozenset({CellVerdict.INCONCLUSIVE, CellVerdict.NOT_RUN})

Data = Sequence[Mapping[str, Any]]


def layers(data: Data, domain: tuple[float, float], ticks: Sequence[float]) -> list[alt.Chart]:
    """The layers of the plot from back to front.

    Args:
        data: one mapping a row, as `reports.plot` makes them; None where a row has no such mark.
        domain: the ends of the logarithmic axis, as ratios.
        ticks: the ratios that the axis names.
    """
    return _Marks(data, domain, ticks).layers()


class _Marks:
    """What the layers share: the scales, and the rows that have a mark at all."""

    def __init__(self, data: Data, domain: tuple[float, float], ticks: Sequence[float]) -> None:
        self._data = data
        self._scale = alt.Scale(type="log", domain=list(domain), nice=False, zero=False)
        self._axis = alt.Axis(
            values=list(ticks), orient="top", format=".2~f", labelOverlap=False, labelFlush=False, title=_TITLE,
            labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelColor=INKS["soft"],
            titleColor=INKS["soft"], gridColor=INKS["rule"], domain=False, ticks=False, labelPadding=5, titlePadding=8,
        )  # fmt: skip
        places = alt.Scale(domain=list(range(len(data))), paddingInner=0, paddingOuter=0)
        self._y = alt.Y("row:O", axis=None, scale=places)
        verdicts = list(words.CELL_SIGNS)
        inks = alt.Scale(domain=verdicts, range=[INKS[verdict] for verdict in verdicts])
        self._colour = alt.Color("verdict:N", legend=None, scale=inks)
        self._stroke = alt.Stroke("verdict:N", legend=None, scale=inks)
        shapes = alt.Scale(domain=list(_SHAPES), range=list(_SHAPES.values()))
        self._shape = alt.Shape("verdict:N", legend=None, scale=shapes)

    def layers(self) -> list[alt.Chart]:
        return [
            self._bands(),
            self._one(),
            self._seen("seen_low"),
            self._seen("seen_high"),
            self._interval("churn_low", "churn_high", 1.2),
            self._interval("low", "high", 3.2),
            self._full_points(),
            self._hollow_points(),
            self._arrows(),
            self._text("slice", 2 - LEFT, "ink", weight="bold"),
            self._text("cohort", _COHORT_AT, "soft"),
            self._text("numbers", PLOT + 14, "ink"),
            self._verdicts(),
        ]

    def _x(self, field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=self._scale, axis=self._axis)

    def _rows(self, field: str) -> alt.Chart:
        return _chart([row for row in self._data if row[field] is not None])

    def _bands(self) -> alt.Chart:
        mark = self._rows("band_low").mark_bar(color=INKS["band"], height=ROW - 5)
        return _encoded(mark, x=self._x("band_low"), x2="band_high:Q", y=self._y)

    def _one(self) -> alt.Chart:
        mark = _chart([{"one": 1}]).mark_rule(strokeWidth=1, color=INKS["one"])
        return _encoded(mark, x=self._x("one"))

    def _seen(self, field: str) -> alt.Chart:
        mark = self._rows(field).mark_tick(size=11, thickness=1.2, color=INKS["soft"])
        return _encoded(mark, x=self._x(field), y=self._y)

    def _interval(self, low: str, high: str, width: float) -> alt.Chart:
        mark = self._rows(low).mark_rule(strokeWidth=width)
        return _encoded(mark, x=self._x(low), x2=f"{high}:Q", y=self._y, color=self._colour)

    def _full_points(self) -> alt.Chart:
        rows = [row for row in self._data if _inside(row) and row["verdict"] not in _HOLLOW]
        mark = _chart(rows).mark_point(filled=True, size=95, opacity=1)
        return _encoded(mark, x=self._x("ratio"), y=self._y, shape=self._shape, color=self._colour)

    def _hollow_points(self) -> alt.Chart:
        rows = [row for row in self._data if _inside(row) and row["verdict"] in _HOLLOW]
        mark = _chart(rows).mark_point(filled=False, fill=INKS["paper"], size=80, strokeWidth=1.8, opacity=1)
        return _encoded(mark, x=self._x("ratio"), y=self._y, shape=self._shape, stroke=self._stroke)

    def _arrows(self) -> alt.Chart:
        mark = _chart([row for row in self._data if row["beyond"]]).mark_text(baseline="middle", fontSize=17)
        return _encoded(mark, x=self._x("end"), y=self._y, text="beyond:N", color=self._colour)

    def _text(self, field: str, at: float, ink: str, *, weight: str = "normal") -> alt.Chart:
        mark = _chart(self._data).mark_text(align="left", baseline="middle", fontSize=_TEXT, color=INKS[ink])
        mark.mark.fontWeight = weight
        return _encoded(mark, x=alt.value(at), y=self._y, text=f"{field}:N")

    def _verdicts(self) -> alt.Chart:
        mark = _chart(self._data).mark_text(align="left", baseline="middle", fontSize=_TEXT, fontWeight="bold")
        return _encoded(mark, x=alt.value(_VERDICT_AT), y=self._y, text="verdict:N", color=self._colour)


def _inside(row: Mapping[str, Any]) -> bool:
    return row["ratio"] is not None and not row["beyond"]


def _chart(rows: Data) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def _encoded(chart: alt.Chart, **channels: Any) -> alt.Chart:  # noqa: ANN401 - Altair's channels
    result: alt.Chart = chart.encode(**channels)
    return result
