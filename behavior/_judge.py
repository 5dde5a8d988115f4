# SPDX-License-Identifier: Apache-2.0
"""The six verdicts of a cell, by the table in ``statistics.md``; nothing else decides them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import CellVerdict, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST_USERS = 30  # below this an interval says nothing: "no change among 30" still allows 1 user in 10


@dataclass(frozen=True, slots=True)
class Range:
    """An interval; ``low`` and ``high`` may be infinite."""

    low: float
    high: float

    def within(self, limit: float) -> bool:
        """Whether all of it lies in ``[-limit, limit]``."""
        return -limit <= self.low and self.high <= limit

    def mirrored(self) -> Range:
        """The interval of the negated quantity."""
        return Range(-self.high, -self.low)


@dataclass(frozen=True, slots=True)
class Figures:
    """One quantity of a cell, exposure or reach: means, and intervals of ``ln ratio`` and of the difference.

    ``outer`` is user sampling at 1 - alpha; ``churned`` is at 1 - 2 alpha with churn included, ``inner`` the same
    without.
    """

    base: float
    head: float
    difference: float
    log_ratio: float
    outer_log: Range
    outer: Range
    inner_log: Range
    churned_log: Range
    churned: Range

    @property
    def nothing(self) -> bool:
        """Whether there is none of the slice in either."""
        return self.base <= 0 and self.head <= 0

    def mirrored(self) -> Figures:
        """The same with base and head exchanged."""
        return Figures(
            self.head,
            self.base,
            -self.difference,
            -self.log_ratio,
            self.outer_log.mirrored(),
            self.outer.mirrored(),
            self.inner_log.mirrored(),
            self.churned_log.mirrored(),
            self.churned.mirrored(),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verdict depends on. ``tests`` are (z, adjusted p, p to fail by) of each statistic.

    ``adjusted_log`` is the logarithm of the adjusted ratio, NaN where undefined. ``changed`` counts the cohort's users
    whose slates differ at all. ``rebuild_help`` says what rebuilds would settle where churn is what keeps a cell open.
    """

    users: int
    changed: int
    exposure: Figures
    reach: Figures
    adjusted_log: float
    tests: tuple[tuple[float, float, float], ...]
    rebuild_help: Callable[[], str] = lambda: "ask for rebuilds of base and head"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is held against a cell."""

    margin: float
    severity: Severity
    materiality: float
    alpha: float
    alpha_fail: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, whether the intervals lie inside the margins, and why it is not more than inconclusive."""

    verdict: CellVerdict
    inside: bool
    reason: str | None = None


def judge(evidence: Evidence, rules: Rules) -> Judgement:
    """The verdict of one cell.

    1. ``not-run``: no user of the cohort has slates.
    2. ``amplified``, or its mirror image ``suppressed``: see ``_amplified``.
    3. ``shifted``: any other case with an adjusted p of at most alpha.
    4. ``equivalent``: nothing in either, or the intervals with churn inside the margins.
    5. ``inconclusive``, with the reason.
    """
    if evidence.users == 0:
        return Judgement(CellVerdict.NOT_RUN, inside=False, reason="no user of this cohort has slates")
    inside = _inside(evidence, rules)
    if _amplified(evidence.exposure, evidence.reach, evidence.adjusted_log, evidence.tests, rules):
        return Judgement(CellVerdict.AMPLIFIED, inside)
    mirrored = tuple((-z, p, fail_p) for z, p, fail_p in evidence.tests)
    if _amplified(evidence.exposure.mirrored(), evidence.reach.mirrored(), -evidence.adjusted_log, mirrored, rules):
        return Judgement(CellVerdict.SUPPRESSED, inside)
    if any(p <= rules.alpha for _, p, _ in evidence.tests):
        return Judgement(CellVerdict.SHIFTED, inside)
    if inside:
        return Judgement(CellVerdict.EQUIVALENT, inside)
    return Judgement(CellVerdict.INCONCLUSIVE, inside, _reason(evidence, rules))


def _amplified(
    exposure: Figures,
    reach: Figures,
    adjusted_log: float,
    tests: tuple[tuple[float, float, float], ...],
    rules: Rules,
) -> bool:
    """Certain by the churn null, and by user sampling beyond the margin, raw and adjusted, and material."""
    if not any(z > 0 and fail_p <= rules.alpha_fail for z, _, fail_p in tests):
        return False
    if exposure.difference <= rules.materiality:
        return False
    if exposure.base <= 0:
        return exposure.outer.low > rules.materiality
    margin = math.log(rules.margin)
    beyond = exposure.outer_log.low > margin or (reach.base > 0 and reach.outer_log.low > margin)
    return beyond and adjusted_log > margin


def _inside(evidence: Evidence, rules: Rules) -> bool:
    if evidence.exposure.nothing:
        return True
    if evidence.users < FEWEST_USERS and evidence.changed:
        return False
    return all(_figures_inside(figures, rules) for figures in (evidence.exposure, evidence.reach))


def _figures_inside(figures: Figures, rules: Rules) -> bool:
    """Whether the interval with churn lies inside, and what is shipped does: with rebuilds they need not agree."""
    if figures.nothing:
        return True
    margin = math.log(rules.margin)
    by_ratio = figures.base > 0 and figures.head > 0 and figures.churned_log.within(margin)
    by_ratio = by_ratio and abs(figures.log_ratio) <= margin
    immaterial = rules.severity is not Severity.CRITICAL and figures.churned.within(rules.materiality)
    return by_ratio or (immaterial and abs(figures.difference) <= rules.materiality)


def _reason(evidence: Evidence, rules: Rules) -> str:
    """Why nothing could be concluded, and what would settle it."""
    if evidence.users < FEWEST_USERS:
        return f"too few users: {evidence.users}; a cohort needs at least {FEWEST_USERS}"
    open_ = next(
        (
            (name, figures)
            for name, figures in (("exposure", evidence.exposure), ("reach", evidence.reach))
            if not _figures_inside(figures, rules)
        )
    )
    name, figures = open_
    if figures.base <= 0:
        return f"{name} from nothing in base to {figures.head:.3g} in head: no ratio, and too few users to bound it"
    if figures.head <= 0:
        return f"{name} from {figures.base:.3g} in base to nothing in head: no ratio, and too few users to bound it"
    margin = math.log(rules.margin)
    if abs(figures.log_ratio) >= margin:
        return f"{name} ratio {math.exp(figures.log_ratio):.3g} is beyond the margin, but chance could explain it"
    if not figures.inner_log.within(margin):
        return f"too few users: {_users_needed(evidence.users, figures, margin)} for {name}"
    return f"churn of items too large for {name}: {evidence.rebuild_help()}"


def _users_needed(users: int, figures: Figures, margin: float) -> str:
    half = max(figures.inner_log.high - figures.log_ratio, figures.log_ratio - figures.inner_log.low)
    room = margin - abs(figures.log_ratio)
    if not math.isfinite(half) or room <= 0:
        return "more would be needed"
    needed = users * (half / room) ** 2
    return f"about {float(f'{needed:.2g}'):,.0f} would settle it"
