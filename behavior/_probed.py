# SPDX-License-Identifier: Apache-2.0
"""What a probe on slates gives back, and how many users it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from behavior.audits import ProbeResult
    from behavior.cells import Cell
    from behavior.slates import Slates

MOST_REQUESTS = 50_000  # what the searching probes look at: more would cost time and change nothing

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's result and the cells it adds to the audit, of family ``exploratory``."""

    result: ProbeResult
    cells: tuple[Cell, ...] = ()


def thinned(slates: Slates) -> Integers:
    """Rows of requests that are looked at: all, or those of users evenly spaced, at most about ``MOST_REQUESTS``."""
    rows = np.arange(len(slates.user), dtype=np.int64)
    if len(rows) <= MOST_REQUESTS:
        return rows
    step = -(-len(rows) // MOST_REQUESTS)
    _, number = np.unique(slates.user, return_inverse=True)
    return np.asarray(rows[number % step == 0])
