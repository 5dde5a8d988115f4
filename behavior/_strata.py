# SPDX-License-Identifier: Apache-2.0
"""Strata: which items are comparable, so that under the null hypothesis their labels could be exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from behavior.exposure import ItemSums

Integers = np.ndarray[Any, np.dtype[np.int64]]

MOST_QUANTILES = 20
ITEMS_A_STRATUM = 50


def strata(sums: ItemSums, match: Integers) -> Integers:
    """A stratum number for each shown item: quantiles of ``b + h`` over everyone, crossed with ``match``.

    ``b`` and ``h`` are exposures at depth (at ``k`` without deep slates). The sum is the same when base and head
    change places. Items of equal exposure share a quantile, so the order of items never matters. There are at most 20
    quantiles, fewer where strata would hold less than 50 items on average.
    """
    sides = sums.top if sums.deep is None else sums.deep
    total = sides[0][0] + sides[1][0]  # cohort 0 is everyone
    return exposure_strata(total, match[sums.items])


def exposure_strata(total: Integers, match: Integers) -> Integers:
    """Strata of items that got ``total`` and have the codes ``match``, one of each an item."""
    _, matched = np.unique(match, return_inverse=True)
    groups = int(matched.max(initial=0)) + 1
    quantiles = max(1, min(MOST_QUANTILES, len(total) // (ITEMS_A_STRATUM * groups)))
    ordered = np.sort(total)
    level = np.searchsorted(ordered, total, side="left") * quantiles // max(1, len(total))
    _, codes = np.unique(matched * quantiles + level, return_inverse=True)
    return np.asarray(codes, dtype=np.int64)


def by_stratum(codes: Integers) -> sparse.csr_array:
    """Strata x items, 1 where the item is in the stratum: times values of items, their sums by stratum."""
    return sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))))
