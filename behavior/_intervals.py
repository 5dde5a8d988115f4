# SPDX-License-Identifier: Apache-2.0
"""Intervals for paired quantities of users: ratios, differences, bounded means, proportions.

Plain functions on arrays of cells; no cell, panel or verdict is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from behavior.exposure import Moments

Floats = np.ndarray[Any, np.dtype[np.float64]]

_BISECTIONS = 60
_TINY = 1e-300


class Spread(NamedTuple):
    """Standard errors of ``ln rho`` (infinite where a mean is zero) and of the difference, and ``ln rho`` itself."""

    log_ratio: Floats
    log_ratio_se: Floats
    difference_se: Floats


def paired_spread(moments: Moments, users: Floats) -> Spread:
    """The delta method, clustered by user: ``se² = Σ_u (e_H(u)/m_H - e_B(u)/m_B)² / N²``.

    Written with differences ``d = e_H - e_B`` so that equal slates give exactly zero:
    ``e_H/m_H - e_B/m_B = (d - (rho - 1) e_B) / m_H``. The difference's variance has ``N - 1`` below.
    """
    n = np.maximum(users, 1.0)
    base, head = moments.base / n, (moments.base + moments.gain) / n
    both = (base > 0) & (head > 0)
    safe_base, safe_head = np.where(both, base, 1.0), np.where(both, head, 1.0)
    excess = np.where(both, moments.gain / n / safe_base, 0.0)
    squares = moments.gain_gain - 2.0 * excess * moments.base_gain + excess**2 * moments.base_base
    log_se = np.sqrt(np.maximum(squares, 0.0)) / (n * safe_head)
    centred = np.maximum(moments.gain_gain - moments.gain**2 / n, 0.0)
    return Spread(
        log_ratio=np.where(both, np.log1p(excess), 0.0),
        log_ratio_se=np.where(both, log_se, np.inf),
        difference_se=np.sqrt(centred / np.maximum(n - 1.0, 1.0) / n),
    )


def student(level: float, freedom: Floats) -> Floats:
    """The two-sided Student quantile: ``|t|`` stays below it with probability ``level``; infinite below one degree."""
    quantile = special.stdtrit(np.maximum(freedom, 1.0), 0.5 + level / 2.0)
    return np.where(freedom < 1.0, np.inf, quantile)


def normal(level: float) -> float:
    """The two-sided normal quantile."""
    return float(special.ndtri(0.5 + level / 2.0))


def bounded_mean(mean: Floats, users: Floats, bound: Floats, level: float) -> tuple[Floats, Floats]:
    """An interval for the mean of independent values in ``[0, bound]``, valid at any size (Hoeffding 1963, theorem 1).

    The limits solve ``N · kl(mean/bound, limit/bound) = ln(2 / (1 - level))`` with ``kl`` the Bernoulli relative
    entropy. Near zero it is about as wide as the rule of three, far tighter than Hoeffding's simple inequality.
    """
    share = np.clip(np.divide(mean, bound, out=np.zeros_like(mean), where=bound > 0), 0.0, 1.0)
    target = np.log(2.0 / (1.0 - level)) / np.maximum(users, 1.0)
    low = _entropy_limit(share, target, upper=False)
    high = _entropy_limit(share, target, upper=True)
    return low * bound, high * bound


def wilson(count: Floats, users: Floats, level: float) -> tuple[Floats, Floats]:
    """Wilson's score interval for a proportion."""
    z = normal(level)
    n = np.maximum(users, 1.0)
    share = count / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def newcombe(moments: Moments, users: Floats, level: float) -> tuple[Floats, Floats]:
    """An interval for the difference of two paired proportions (Newcombe 1998, method 10).

    ``moments`` are of 0/1 values: counts under base, gained less lost, and so on.
    """
    n = np.maximum(users, 1.0)
    base, head = moments.base, moments.base + moments.gain
    both = moments.base_base + moments.base_gain  # Σ b·h for 0/1 values
    (base_low, base_high), (head_low, head_high) = wilson(base, users, level), wilson(head, users, level)
    p_base, p_head = base / n, head / n
    product = base * (n - base) * head * (n - head)
    centre = both * (n - base - head + both) - (base - both) * (head - both)
    corrected = np.where(centre > 0, np.maximum(centre - n / 2.0, 0.0), centre)
    phi = np.where(product > 0, corrected / np.sqrt(np.where(product > 0, product, 1.0)), 0.0)
    down, up = p_head - head_low, base_high - p_base
    rise, fall = head_high - p_head, p_base - base_low
    low = np.sqrt(np.maximum(down**2 - 2 * phi * down * up + up**2, 0.0))
    high = np.sqrt(np.maximum(rise**2 - 2 * phi * rise * fall + fall**2, 0.0))
    return p_head - p_base - low, p_head - p_base + high


def paired_bootstrap(
    values: Floats, users: int, counts: np.ndarray[Any, np.dtype[np.int64]], level: float
) -> tuple[float, float, float, float]:
    """Percentile limits of ``ln rho`` and of the difference when users are drawn again.

    Args:
        values: exposed users x (base, head); everyone else has zero under both.
        users: how many users there are, exposed or not.
        counts: draws x at least as many columns as exposed users: how often each was drawn.
        level: of the interval.

    Returns:
        Low and high of ``ln rho`` (infinite where draws without exposure reach the limit), low and high of the
        difference. Values are put in order first, so that the order of users changes nothing, and the smaller total
        counts as base, so that base and head can change places.
    """
    if values[:, 0].sum() > values[:, 1].sum():
        log_low, log_high, low, high = paired_bootstrap(values[:, ::-1], users, counts, level)
        return -log_high, -log_low, -high, -low
    ordered = values[np.lexsort((values[:, 1], values[:, 0]))]
    drawn = counts[:, : len(ordered)] @ ordered / users
    base, head = drawn[:, 0], drawn[:, 1]
    with np.errstate(divide="ignore"):
        log = np.log(head) - np.log(np.maximum(base, _TINY))
    log = np.where(base > 0, log, np.inf)
    nothing = (base <= 0) & (head <= 0)
    tail = (1.0 - level) / 2.0
    low = np.quantile(np.where(nothing, -np.inf, log), tail, method="lower")
    high = np.quantile(np.where(nothing, np.inf, log), 1.0 - tail, method="higher")
    gain = head - base
    return (
        float(low),
        float(high),
        float(np.quantile(gain, tail, method="lower")),
        float(np.quantile(gain, 1.0 - tail, method="higher")),
    )


def _entropy_limit(share: Floats, target: Floats, *, upper: bool) -> Floats:
    """Bisection for the limit above (or below) ``share`` at which the relative entropy reaches ``target``."""
    inner, outer = share.copy(), np.full_like(share, 1.0 if upper else 0.0)
    for _ in range(_BISECTIONS):
        middle = (inner + outer) / 2.0
        entropy = special.rel_entr(share, middle) + special.rel_entr(1.0 - share, 1.0 - middle)
        inside = entropy <= target
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return outer
