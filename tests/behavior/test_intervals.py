# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from behavior import _intervals as intervals
from behavior.exposure import Moments

if TYPE_CHECKING:
    Floats = np.ndarray[Any, np.dtype[np.float64]]


def _moments(base: Floats, head: Floats) -> Moments:
    gain = head - base
    sums = [base, gain, base * base, base * gain, gain * gain]
    return Moments(*(np.array([each.sum()]) for each in sums), exposed=np.array([int(((base > 0) | (head > 0)).sum())]))


def _exposures(seed: int, users: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    base = generator.beta(1, 5, size=users)
    return base, np.clip(base * generator.normal(1.2, 0.3, size=users), 0, 1)


def test_the_standard_error_of_the_ratio_is_the_clustered_delta_method() -> None:
    base, head = _exposures(1, 500)
    spread = intervals.paired_spread(_moments(base, head), np.array([500.0]))
    expected = np.sqrt(((head / head.mean() - base / base.mean()) ** 2).sum()) / 500
    assert spread.log_ratio_se[0] == pytest.approx(expected, rel=1e-9)
    assert spread.log_ratio[0] == pytest.approx(np.log(head.mean() / base.mean()), rel=1e-12)
    assert spread.difference_se[0] == pytest.approx((head - base).std(ddof=1) / np.sqrt(500), rel=1e-9)


def test_equal_exposures_have_exactly_no_spread() -> None:
    base, _ = _exposures(2, 100)
    spread = intervals.paired_spread(_moments(base, base), np.array([100.0]))
    assert spread.log_ratio[0] == spread.log_ratio_se[0] == spread.difference_se[0] == 0.0


def test_a_zero_mean_has_no_finite_interval_of_the_ratio() -> None:
    base, _ = _exposures(3, 50)
    assert intervals.paired_spread(_moments(np.zeros(50), base), np.array([50.0])).log_ratio_se[0] == np.inf


def test_student_and_normal_quantiles_agree_with_scipy() -> None:
    freedom = np.array([1.0, 9.0, 99.0, 0.0])
    found = intervals.student(0.95, freedom)
    assert found[:3] == pytest.approx(stats.t.ppf(0.975, freedom[:3]))
    assert found[3] == np.inf
    assert intervals.normal(0.9) == pytest.approx(stats.norm.ppf(0.95))


def test_wilson_agrees_with_scipy() -> None:
    for count, users in ((0, 10), (3, 40), (40, 40), (120, 500)):
        expected = stats.binomtest(count, users).proportion_ci(0.95, method="wilson")
        low, high = intervals.wilson(np.array([float(count)]), np.array([float(users)]), 0.95)
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_bounded_mean_of_nothing_is_the_rule_of_three() -> None:
    low, high = intervals.bounded_mean(np.zeros(1), np.array([1000.0]), np.ones(1), 0.95)
    assert low[0] == 0.0
    assert high[0] == pytest.approx(1 - np.exp(-np.log(2 / 0.05) / 1000))
    _, scaled = intervals.bounded_mean(np.zeros(1), np.array([1000.0]), np.full(1, 0.1), 0.95)
    assert scaled[0] == pytest.approx(high[0] / 10)


def test_the_bounded_mean_covers_at_any_size() -> None:
    generator = np.random.default_rng(4)
    for users, chance in ((20, 0.05), (100, 0.01), (400, 0.3)):
        means = generator.binomial(users, chance, size=2000) / users
        low, high = intervals.bounded_mean(means, np.full(2000, float(users)), np.ones(2000), 0.95)
        assert ((low <= chance) & (chance <= high)).mean() >= 0.95


def test_newcombe_covers_paired_differences() -> None:
    generator = np.random.default_rng(5)
    users, covered = 80, 0
    for _ in range(500):
        base = (generator.random(users) < 0.2).astype(float)
        head = np.where(generator.random(users) < 0.7, base, (generator.random(users) < 0.3).astype(float))
        low, high = intervals.newcombe(_moments(base, head), np.array([float(users)]), 0.95)
        truth = 0.3 * (0.3 - 0.2)
        covered += bool(low[0] <= truth <= high[0])
    assert covered / 500 >= 0.93


def test_newcombe_is_zero_centred_and_wide_where_nobody_is_reached() -> None:
    low, high = intervals.newcombe(_moments(np.zeros(50), np.zeros(50)), np.array([50.0]), 0.95)
    assert low[0] == pytest.approx(-high[0])
    assert high[0] > 0.05


def test_the_bootstrap_agrees_with_scipy() -> None:
    base, head = _exposures(6, 60)
    counts = np.random.default_rng(0).multinomial(60, [1 / 60] * 60, size=4000)
    low, high, gain_low, gain_high = intervals.paired_bootstrap(np.column_stack([base, head]), 60, counts, 0.95)

    def log_ratio(first: Floats, second: Floats, axis: int = -1) -> Any:
        return np.log(second.mean(axis=axis) / first.mean(axis=axis))

    theirs = stats.bootstrap((base, head), log_ratio, paired=True, method="percentile", n_resamples=4000, rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    half = 1.96 * (head - base).std(ddof=1) / np.sqrt(60)
    assert (gain_low, gain_high) == pytest.approx(((head - base).mean() - half, (head - base).mean() + half), abs=0.005)


def test_the_bootstrap_mirrors_when_base_and_head_change_places() -> None:
    base, head = _exposures(7, 40)
    counts = np.random.default_rng(0).multinomial(90, [1 / 90] * 40 + [50 / 90], size=500)
    forth = intervals.paired_bootstrap(np.column_stack([base, head]), 90, counts, 0.95)
    back = intervals.paired_bootstrap(np.column_stack([head, base])[::-1], 90, counts, 0.95)
    assert forth == (-back[1], -back[0], -back[3], -back[2])
