# SPDX-License-Identifier: Apache-2.0
"""What platforms use instead, on the same pairs: three rules, each as it is usually set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from behavior import Panel, Slates

Array = np.ndarray[Any, np.dtype[Any]]

SHARE = 0.10  # relative change of a share before it is reported
DRIFT = 0.1  # Jensen-Shannon distance: the default threshold of drift reports for categories
ALPHA = 0.05


def share_threshold(base: Array, head: Array, members: list[Array]) -> bool:
    """Any cell whose share moved by more than 10 %."""
    for who in members:
        before, after = base[who].mean(axis=0), head[who].mean(axis=0)
        moved = np.abs(after - before) > SHARE * np.maximum(before, 1e-12)
        if (moved & (np.maximum(before, after) > 0)).any():
            return True
    return False


def user_t_test(base: Array, head: Array, members: list[Array]) -> bool:
    """Any cell that a paired t-test over users rejects, by Benjamini and Hochberg over all cells."""
    chances = []
    for who in members:
        gain = head[who] - base[who]
        error = gain.std(axis=0, ddof=1) / np.sqrt(len(gain))
        t = np.divide(gain.mean(axis=0), error, out=np.zeros(gain.shape[1]), where=error > 0)
        chances.append(2.0 * stats.t.sf(np.abs(t), len(gain) - 1))
    ordered = np.sort(np.concatenate(chances))
    return bool((ordered <= ALPHA * np.arange(1, len(ordered) + 1) / len(ordered)).any())


def drift(base: Slates, head: Slates, groups: Array) -> bool:
    """Whether the distribution of shown items over sources drifted: Jensen-Shannon distance over 0.1."""
    counts = [np.bincount(groups[side.top].ravel(), minlength=int(groups.max()) + 1) for side in (base, head)]
    p, q = (count / count.sum() for count in counts)
    middle = (p + q) / 2.0
    divergence = (stats.entropy(p, middle, base=2) + stats.entropy(q, middle, base=2)) / 2.0
    return bool(np.sqrt(max(divergence, 0.0)) > DRIFT)


def exposures(panel: Panel, slates: Slates) -> Array:
    """Users x slices: each reader's exposure at k."""
    weights = 1.0 / np.log2(np.arange(slates.top.shape[1]) + 2)
    dense = panel.membership.toarray().astype(np.float32)
    return np.asarray(np.einsum("ukp,k->up", dense[slates.top], weights / weights.sum()))


def sources(panel: Panel) -> Array:
    """One number an item: its outlet, creator's kind or subreddit."""
    column = next(name for name in ("outlet", "kind", "subreddit") if name in panel.items.columns)
    return panel.items[column].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
