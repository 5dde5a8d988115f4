# SPDX-License-Identifier: Apache-2.0
"""Cells: one slice in one cohort, measured and judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from behavior._labels import Family
    from evidence import CellVerdict, Severity

DIGITS = 8  # significant digits of every figure in a document: fewer than floating-point noise can reach


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of an audit. Shares, reach and limits are fractions; ``None`` where a figure is undefined.

    ``ratio_low`` and ``ratio_high`` are the user-sampling interval at 1 - alpha, ``churn_low`` and ``churn_high``
    the one at 1 - 2 alpha with churn added, by which equivalence is judged. ``sources`` is how many sources the
    slice effectively has, ``source_p`` the p-value when sources and not items trade labels (None without a column
    that names sources); neither decides anything. ``inside`` says whether that interval, and reach's, lie within
    the margin (or, where allowed, within materiality). ``reason`` explains ``inconclusive`` and ``not-run``.
    """

    probe: str
    family: Family
    slice: str
    cohort: dict[str, str | int | bool]
    users: int
    base_share: float
    head_share: float
    difference: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    churn_low: float | None
    churn_high: float | None
    adjusted_ratio: float | None
    base_reach: float
    head_reach: float
    reach_ratio: float | None
    reach_low: float | None
    reach_high: float | None
    p: float
    adjusted_p: float
    statistic: str | None
    direction: int
    margin: float
    severity: Severity
    public: bool
    minimum_detectable_ratio: float | None
    sources: float | None
    source_p: float | None
    inside: bool
    verdict: CellVerdict
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """The cell as it stands in ``formats.md``, with reach's interval, direction and reason added."""
        return {
            "probe": self.probe,
            "family": self.family,
            "slice": self.slice,
            "cohort": self.cohort,
            "context": {},
            "users": self.users,
            "base_share": rounded(self.base_share),
            "head_share": rounded(self.head_share),
            "difference": rounded(self.difference),
            "ratio": rounded(self.ratio),
            "ratio_low": rounded(self.ratio_low),
            "ratio_high": rounded(self.ratio_high),
            "churn_low": rounded(self.churn_low),
            "churn_high": rounded(self.churn_high),
            "adjusted_ratio": rounded(self.adjusted_ratio),
            "base_reach": rounded(self.base_reach),
            "head_reach": rounded(self.head_reach),
            "reach_ratio": rounded(self.reach_ratio),
            "reach_low": rounded(self.reach_low),
            "reach_high": rounded(self.reach_high),
            "p": rounded(self.p),
            "adjusted_p": rounded(self.adjusted_p),
            "statistic": self.statistic,
            "direction": {1: "up", -1: "down", 0: "none"}[self.direction],
            "margin": rounded(self.margin),
            "severity": self.severity.value,
            "minimum_detectable_ratio": rounded(self.minimum_detectable_ratio),
            "sources": rounded(self.sources),
            "source_p": rounded(self.source_p),
            "inside": self.inside,
            "verdict": self.verdict.value,
            "reason": self.reason,
        }


def rounded(value: float | None) -> float | None:
    """``value`` to 8 significant digits; None for None, infinities and NaN."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}") + 0.0  # -0.0 becomes 0.0
