# SPDX-License-Identifier: Apache-2.0
"""The noise of sampling users: which interval serves which cell.

| cell | ratio | difference |
|---|---|---|
| nobody's value differs | exactly 1 | exactly 0 |
| 100 users exposed or more | delta method, Student | Student |
| 10 to 99 | the wider of that and a paired bootstrap | the same |
| fewer, or a zero mean | from bounded means | from bounded means |

Reach uses Wilson's and Newcombe's intervals where exposure uses bounded means, and no bootstrap.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from behavior import _intervals as intervals
from behavior._random import keyed
from behavior._weights import position_weights
from behavior.exposure import MANY_EXPOSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior.exposure import Measured, Moments
    from behavior.panels import Panel

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

SOME_EXPOSED = 10
BOOTSTRAP_DRAWS = 2000


class Limits(NamedTuple):
    """Lower and upper limits of ``ln rho`` and of the difference, slices x cohorts."""

    log_low: Floats
    log_high: Floats
    low: Floats
    high: Floats

    def widened(self, spread: intervals.Spread, difference: Floats, log_extra: Floats, extra: Floats) -> Limits:
        """These limits with independent noise of these half-widths added, each side in quadrature."""
        log = spread.log_ratio
        return Limits(
            log - np.hypot(log - self.log_low, log_extra),
            log + np.hypot(self.log_high - log, log_extra),
            difference - np.hypot(difference - self.low, extra),
            difference + np.hypot(self.high - difference, extra),
        )


@dataclass(frozen=True, slots=True)
class Sampled:
    """Estimates and limits of one quantity (exposure or reach): ``outer`` at 1 - alpha, ``inner`` at 1 - 2 alpha."""

    base: Floats
    difference: Floats
    spread: intervals.Spread
    outer: Limits
    inner: Limits
    unmoved: np.ndarray[Any, np.dtype[np.bool_]]


def sample_exposure(panel: Panel, measured: Measured, probe: str) -> Sampled:
    """Estimates and intervals of exposure for every cell, slices x cohorts."""
    moments, users = _as_cells(measured.exposure, measured.unit), measured.users.astype(np.float64)
    bound = _bounds(panel)[:, None]
    spread = intervals.paired_spread(moments, users)
    n = np.maximum(users, 1.0)
    base, head = moments.base / n, (moments.base + moments.gain) / n

    @functools.cache
    def counts(cohort: int) -> Integers:
        return _draws(panel, int(measured.users[cohort]), probe, cohort)

    def limits(level: float) -> Limits:
        finite = _student_limits(spread, head - base, moments, level)
        finite = _bootstrapped(measured, counts, finite, level)
        if not _scarce(moments, base, head).any():
            return _choose(moments, base, head, finite, finite)
        # Two means, each with half of what may be missed.
        apart = 1.0 - (1.0 - level) / 2.0
        limit = np.broadcast_to(bound, base.shape)
        base_low, base_high = intervals.bounded_mean(base, n, limit, apart)
        head_low, head_high = intervals.bounded_mean(head, n, limit, apart)
        few = Limits(*_log_limits(base_low, base_high, head_low, head_high), head_low - base_high, head_high - base_low)
        return _choose(moments, base, head, finite, few)

    alpha = panel.toml.alpha
    return Sampled(base, head - base, spread, limits(1 - alpha), limits(1 - 2 * alpha), moments.gain_gain == 0)


def sample_reach(panel: Panel, measured: Measured) -> Sampled:
    """Estimates and intervals of reach for every cell, slices x cohorts."""
    moments, users = _as_cells(measured.reach, 1.0), measured.users.astype(np.float64)
    spread = intervals.paired_spread(moments, users)
    n = np.maximum(users, 1.0)
    base, head = moments.base / n, (moments.base + moments.gain) / n

    def limits(level: float) -> Limits:
        finite = _student_limits(spread, head - base, moments, level)
        low, high = intervals.newcombe(moments, n, level)
        finite = finite._replace(low=np.minimum(finite.low, low), high=np.maximum(finite.high, high))
        apart = 1.0 - (1.0 - level) / 2.0
        base_limits = intervals.wilson(moments.base, n, apart)
        head_limits = intervals.wilson(moments.base + moments.gain, n, apart)
        few = Limits(*_log_limits(*base_limits, *head_limits), low, high)
        return _choose(moments, base, head, finite, few)

    alpha = panel.toml.alpha
    return Sampled(base, head - base, spread, limits(1 - alpha), limits(1 - 2 * alpha), moments.gain_gain == 0)


def _as_cells(moments: Moments, unit: float) -> Moments:
    """Moments as slices x cohorts, the order of cells, in shares of ``unit``."""
    return type(moments)(
        base=moments.base.T / unit,
        gain=moments.gain.T / unit,
        base_base=moments.base_base.T / unit**2,
        base_gain=moments.base_gain.T / unit**2,
        gain_gain=moments.gain_gain.T / unit**2,
        exposed=moments.exposed.T,
    )


def _bounds(panel: Panel) -> Floats:
    """The largest exposure a slate can give each slice: its strongest members in the first places."""
    k = panel.k
    whole = position_weights(panel.toml.exposure.weights, k)
    weights = np.sort(whole / whole.sum())[::-1]
    columns = panel.membership.tocsc()
    bounds = np.zeros(len(panel.slices))
    for index in range(len(bounds)):
        strongest = np.sort(columns.data[columns.indptr[index] : columns.indptr[index + 1]])[::-1][:k]
        bounds[index] = float((weights[: len(strongest)] * strongest).sum())
    return bounds


def _student_limits(spread: intervals.Spread, difference: Floats, moments: Moments, level: float) -> Limits:
    quantile = intervals.student(level, moments.exposed.astype(np.float64) - 1.0)
    with np.errstate(invalid="ignore"):  # infinite quantile of nothing: replaced by _choose
        half, log_half = quantile * spread.difference_se, quantile * spread.log_ratio_se
    return Limits(spread.log_ratio - log_half, spread.log_ratio + log_half, difference - half, difference + half)


def _draws(panel: Panel, users: int, probe: str, cohort: int) -> Integers:
    """How often each of at most 99 of a cohort's users is drawn: draws x (them, all others)."""
    slots = min(MANY_EXPOSED - 1, users)
    chances = [1.0 / users] * slots + [max(0.0, 1.0 - slots / users)]
    generator = keyed(panel.toml.seed, probe, "bootstrap", cohort)
    return generator.multinomial(users, chances, size=BOOTSTRAP_DRAWS)


def _bootstrapped(measured: Measured, counts: Callable[[int], Integers], limits: Limits, level: float) -> Limits:
    """``limits``, widened to the paired bootstrap's where 10 to 99 users are exposed."""
    exposed = measured.exposure.exposed
    wanted = (exposed >= SOME_EXPOSED) & (exposed < MANY_EXPOSED) & (measured.exposure.gain_gain > 0)
    result = Limits(*(limit.copy() for limit in limits))
    for cohort in np.flatnonzero(wanted.any(axis=1)):
        for slice_ in np.flatnonzero(wanted[cohort]):
            values = measured.few[int(cohort), int(slice_)] / measured.unit
            drawn = intervals.paired_bootstrap(values, int(measured.users[cohort]), counts(int(cohort)), level)
            for index, (limit, value) in enumerate(zip(result, drawn, strict=True)):
                outward = min if index % 2 == 0 else max
                limit[slice_, cohort] = outward(limit[slice_, cohort], value)
    return result


def _log_limits(base_low: Floats, base_high: Floats, head_low: Floats, head_high: Floats) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore"):
        return np.log(head_low) - np.log(base_high), np.log(head_high) - np.log(base_low)


def _scarce(moments: Moments, base: Floats, head: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where too few users are exposed for a spread to be trusted."""
    return np.asarray((moments.exposed < SOME_EXPOSED) | (base <= 0) | (head <= 0))


def _choose(moments: Moments, base: Floats, head: Floats, finite: Limits, few: Limits) -> Limits:
    scarce = _scarce(moments, base, head)
    unmoved = moments.gain_gain == 0
    return Limits(
        *(np.where(unmoved, 0.0, np.where(scarce, rough, fine)) for fine, rough in zip(finite, few, strict=True))
    )
