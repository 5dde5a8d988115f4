# SPDX-License-Identifier: Apache-2.0
"""The verdicts of a cell, case by case of the table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from behavior._judge import Evidence, Figures, Range, Rules, judge
from evidence import CellVerdict, Severity

RULES = Rules(margin=1.10, severity=Severity.HIGH, materiality=0.001, alpha=0.05, alpha_fail=0.01)
CERTAIN, LIKELY, NONE = 0.001, 0.03, 0.6


def _figures(base: float, head: float, half: float, churn: float) -> Figures:
    """A quantity with these half-widths of ``ln ratio``, of users alone and with churn."""
    log = math.log(head / base) if base > 0 and head > 0 else 0.0
    gain = head - base
    size = max(base, head)
    infinite = Range(-math.inf, math.inf)
    both = base > 0 and head > 0
    return Figures(
        base=base,
        head=head,
        difference=gain,
        log_ratio=log,
        outer_log=Range(log - half, log + half) if both else infinite,
        outer=Range(gain - half * size, gain + half * size),
        inner_log=Range(log - half * 0.85, log + half * 0.85) if both else infinite,
        churned_log=Range(log - churn, log + churn) if both else infinite,
        churned=Range(gain - churn * size, gain + churn * size),
    )


def _case(
    ratio: float, p: float, *, base: float = 0.1, half: float = 0.02, churn: float = 0.04, **more: Any
) -> Evidence:
    exposure = _figures(base, base * ratio, half, churn)
    case = Evidence(
        users=1000,
        changed=500,
        exposure=exposure,
        reach=_figures(0.5, 0.5, 0.01, 0.02),
        adjusted_log=math.log(ratio),
        tests=((math.copysign(5.0, ratio - 1), p, p), (0.1, 1.0, 1.0)),
    )
    return replace(case, **more)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (_case(1.25, CERTAIN), "amplified"),
        (_case(1.25, LIKELY), "shifted"),
        (_case(1.25, NONE), "inconclusive"),
        (_case(1.05, CERTAIN), "shifted"),
        (_case(1.02, NONE), "equivalent"),
        (_case(1.02, NONE, churn=0.2), "inconclusive"),
        # Beyond the margin, but a user sample this small could be inside it.
        (_case(1.25, CERTAIN, half=0.2, churn=0.3), "shifted"),
        # Beyond the margin, but strata explain it.
        (_case(1.25, CERTAIN, adjusted_log=math.log(1.05)), "shifted"),
        # Significant only by a statistic of the other sign.
        (_case(1.25, CERTAIN, tests=((-5.0, CERTAIN, CERTAIN),)), "shifted"),
        # By a second statistic of the same sign.
        (_case(1.25, CERTAIN, tests=((1.0, NONE, NONE), (5.0, CERTAIN, CERTAIN))), "amplified"),
        # Relatively much, absolutely nothing.
        (_case(1.5, CERTAIN, base=0.0001), "shifted"),
        # Reach certainly beyond the margin where share only probably is.
        (_case(1.15, CERTAIN, half=0.06, reach=_figures(0.3, 0.4, 0.02, 0.05)), "amplified"),
        # Equal share, spread over far more people.
        (_case(1.0, NONE, reach=_figures(0.3, 0.4, 0.02, 0.05)), "inconclusive"),
        (_case(1.0, NONE, users=0), "not-run"),
        (_case(1.0, NONE, users=12), "inconclusive"),
        (_case(1.0, NONE, users=12, changed=0), "equivalent"),
    ],
)
def test_the_table_of_verdicts(case: Evidence, expected: str) -> None:
    assert judge(case, RULES).verdict.value == expected


@pytest.mark.parametrize(("ratio", "p"), [(1.25, CERTAIN), (1.25, LIKELY), (1.05, CERTAIN), (1.02, NONE), (1.3, NONE)])
def test_the_mirror_image_has_the_mirrored_verdict(ratio: float, p: float) -> None:
    case = _case(ratio, p)
    turned = replace(
        case,
        exposure=case.exposure.mirrored(),
        reach=case.reach.mirrored(),
        adjusted_log=-case.adjusted_log,
        tests=tuple((-z, *chances) for z, *chances in case.tests),
    )
    mirror = {CellVerdict.AMPLIFIED: CellVerdict.SUPPRESSED}
    verdict = judge(case, RULES).verdict
    assert judge(turned, RULES).verdict is mirror.get(verdict, verdict)
    assert judge(turned, RULES).inside == judge(case, RULES).inside


def _from_zero(head: float, half: float, p: float) -> Evidence:
    return _case(1.0, p, exposure=_figures(0.0, head, half, half), adjusted_log=math.nan, tests=((5.0, p, p),))


@pytest.mark.parametrize(
    ("case", "severity", "expected"),
    [
        (_from_zero(0.01, 0.2, CERTAIN), Severity.HIGH, "amplified"),
        (_from_zero(0.01, 0.95, CERTAIN), Severity.HIGH, "shifted"),
        (_from_zero(0.01, 0.2, NONE), Severity.HIGH, "inconclusive"),
        (_from_zero(0.0004, 0.2, NONE), Severity.HIGH, "equivalent"),
        (_from_zero(0.0004, 0.2, NONE), Severity.CRITICAL, "inconclusive"),
        (_from_zero(0.0, 0.0, NONE), Severity.CRITICAL, "equivalent"),
    ],
)
def test_from_nothing_in_base_the_difference_decides(case: Evidence, severity: Severity, expected: str) -> None:
    assert judge(case, replace(RULES, severity=severity)).verdict.value == expected


def test_materiality_excuses_a_wide_interval_but_not_of_a_critical_slice() -> None:
    case = _case(1.0, NONE, base=0.001, churn=0.5)
    assert judge(case, RULES).verdict is CellVerdict.EQUIVALENT
    assert judge(case, replace(RULES, severity=Severity.CRITICAL)).verdict is CellVerdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (_case(1.0, NONE, users=12), "too few users: 12"),
        (_case(1.02, NONE, half=0.2, churn=0.25), "about"),
        (_case(1.02, NONE, churn=0.2), "churn of items too large for exposure: ask for rebuilds"),
        (_case(1.3, NONE), "exposure ratio 1.3 is beyond the margin"),
        (_case(1.0, NONE, reach=_figures(0.3, 0.4, 0.02, 0.05)), "reach ratio 1.33 is beyond the margin"),
        (_from_zero(0.01, 0.2, NONE), "from nothing in base"),
    ],
)
def test_inconclusive_says_why(case: Evidence, words: str) -> None:
    judged = judge(case, RULES)
    assert judged.verdict is CellVerdict.INCONCLUSIVE
    assert judged.reason is not None
    assert words in judged.reason


def test_the_number_of_users_that_would_settle_it_grows_with_the_square() -> None:
    case = _case(1.0, NONE, half=0.2, churn=0.25)
    reason = judge(case, RULES).reason or ""
    needed = 1000 * (0.2 * 0.85 / math.log(1.1)) ** 2
    assert f"about {float(f'{needed:.2g}'):,.0f} would settle it" in reason
