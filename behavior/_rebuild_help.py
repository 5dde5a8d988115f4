# SPDX-License-Identifier: Apache-2.0
"""How many more rebuilds would close the cells that churn keeps open."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from behavior._intervals import student

MOST_BUILDS = 100  # of each side: beyond it the answer is "not by rebuilds"


@dataclass(frozen=True, slots=True)
class Quantity:
    """An open quantity: ``ln ratio`` over builds, half-width of user sampling, and the churn of a single build.

    ``room`` is ``ln margin``; ``counts`` are the builds there are of base and of head; ``freedom`` is what ``churn``
    was estimated with, None where it comes from permuted labels and not from builds.
    """

    log_ratio: float
    users_half: float
    churn: float
    room: float
    counts: tuple[int, int]
    freedom: int | None


def more_builds(quantity: Quantity, level: float) -> int | None:
    """The smallest ``n`` such that ``n`` more builds of each side would bring the interval inside the margin.

    None where no number up to 100 would: the ratio itself is beyond, or users alone leave too wide an interval. The
    estimate of churn is taken as it stands; with more builds its Student quantile falls and it becomes surer.
    """
    spare = quantity.room - abs(quantity.log_ratio)
    left = spare**2 - quantity.users_half**2
    if not (math.isfinite(quantity.churn) and spare > 0 and left > 0):
        return None
    base, head = quantity.counts
    for more in range(1, MOST_BUILDS + 1):
        n_base, n_head = base + more, head + more
        quantile = float(student(level, np.array(n_base + n_head - 2.0)))
        if (quantile * quantity.churn) ** 2 * (1.0 / n_base + 1.0 / n_head) <= left:
            return more
    return None


def help_words(more: int | None) -> str:
    """What to ask the platform for."""
    if more is None:
        return f"no number of rebuilds up to {MOST_BUILDS} a side would settle it; fixed seeds or more users might"
    builds = "1 more rebuild" if more == 1 else f"{more} more rebuilds"
    return f"about {builds} each of base and head would settle it"
