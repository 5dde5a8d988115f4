# SPDX-License-Identifier: Apache-2.0
"""The cells of an audit document as rows to read: worst first, numbers in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evidence import CellVerdict
from reports import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FAMILIES = ("primary", "secondary", "exploratory")


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell as it is shown. Texts are ready to print; the numbers beside them are what the chart draws.

    ``briefly`` is cohort and context where there is little room: by their values alone where there are several.
    """

    verdict: str
    sign: str
    meaning: str
    family: str
    probe: str
    slice: str
    cohort: str
    briefly: str
    context: str
    share: str
    difference: str
    ratio: str
    interval: str
    churn: str
    adjusted: str
    reach: str
    adjusted_p: str
    statistic: str
    margin: str
    detectable: str
    users: str
    reason: str
    drawn: Drawn

    @property
    def who(self) -> str:
        """Cohort and context together."""
        return f"{self.cohort}, {self.context}" if self.context else self.cohort


@dataclass(frozen=True, slots=True)
class Drawn:
    """The numbers of a cell that a chart places: ratios, or None where the cell has none."""

    ratio: float | None
    low: float | None
    high: float | None
    churn_low: float | None
    churn_high: float | None
    margin: float | None
    detectable: float | None


def cell_rows(audit: Mapping[str, Any], family: str | None = None) -> tuple[CellRow, ...]:
    """The cells of an audit document (``formats.md``), worst first; of one family where one is named."""
    cells = [cell for cell in audit.get("cells", ()) if family is None or cell.get("family") == family]
    return tuple(_row(cell) for cell in sorted(cells, key=_badness))


def verdict_counts(rows: Iterable[CellRow]) -> tuple[tuple[str, int], ...]:
    """How many rows have each verdict, worst first, without the verdicts that none has."""
    found = [row.verdict for row in rows]
    return tuple((verdict.value, found.count(verdict)) for verdict in words.CELL_ORDER if verdict in found)


def _badness(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    verdict = CellVerdict(cell["verdict"])
    return (
        words.CELL_ORDER.index(verdict),
        -_distance(cell.get("ratio")),
        cell["slice"],
        sorted((key, str(value)) for key, value in (cell.get("cohort") or {}).items()),
        sorted((key, str(value)) for key, value in (cell.get("context") or {}).items()),
        cell.get("statistic") or "",
    )


def _distance(ratio: float | None) -> float:
    if ratio is None:
        return 0.0
    return math.inf if ratio <= 0 else abs(math.log(ratio))


def _row(cell: Mapping[str, Any]) -> CellRow:
    verdict = CellVerdict(cell["verdict"])
    get = cell.get
    return CellRow(
        verdict=verdict.value,
        sign=words.CELL_SIGNS[verdict],
        meaning=words.CELL_MEANINGS[verdict],
        family=get("family") or "primary",
        probe=get("probe") or "exposure",
        slice=cell["slice"],
        cohort=words.cohort(get("cohort") or {}),
        briefly=words.briefly({**(get("cohort") or {}), **(get("context") or {})}),
        context=words.context(get("context") or {}),
        share=f"{words.percent(get('base_share'))} → {words.percent(get('head_share'))}",
        difference=words.points(get("difference")),
        ratio=words.ratio(get("ratio")),
        interval=words.interval(get("ratio_low"), get("ratio_high")),
        churn=words.interval(get("churn_low"), get("churn_high")),
        adjusted=words.ratio(get("adjusted_ratio")),
        reach=f"{words.percent(get('base_reach'))} → {words.percent(get('head_reach'))}",
        adjusted_p=words.p_value(get("adjusted_p")),
        statistic=get("statistic") or "",
        margin=words.ratio(get("margin")),
        detectable=words.ratio(get("minimum_detectable_ratio")),
        users=f"{get('users') or 0:,}",
        reason=get("reason") or "",
        drawn=Drawn(
            ratio=get("ratio"),
            low=get("ratio_low"),
            high=get("ratio_high"),
            churn_low=get("churn_low"),
            churn_high=get("churn_high"),
            margin=get("margin"),
            detectable=get("minimum_detectable_ratio"),
        ),
    )
