# SPDX-License-Identifier: Apache-2.0
"""How alike builds are: the share of a user's first ``k`` items that two builds show both."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Mean share of the first ``k`` items that two builds show to the same user: requests of each side, and across.

    ``base`` and ``head`` are one value a request, over pairs of builds of that side (None with a single build);
    ``across`` is over pairs of a build of base and one of head.
    """

    base: Floats | None
    head: Floats | None
    across: Floats


def overlaps(base: tuple[Slates, ...], head: tuple[Slates, ...]) -> Overlaps:
    """Compare neighbouring builds of each side, and builds of base with builds of head, in the order given."""

    def alike(pairs: list[tuple[Slates, Slates]]) -> Floats | None:
        if not pairs:
            return None
        return np.asarray(np.mean([_alike(left, right) for left, right in pairs], axis=0))

    def neighbours(side: tuple[Slates, ...]) -> list[tuple[Slates, Slates]]:
        return list(pairwise(side))

    longest = max(len(base), len(head))
    across = alike([(base[index % len(base)], head[index % len(head)]) for index in range(longest)])
    return Overlaps(alike(neighbours(base)), alike(neighbours(head)), np.zeros(0) if across is None else across)


def _alike(left: Slates, right: Slates) -> Floats:
    """The share of each request's first ``k`` items that both show: a slate holds no item twice."""
    both = np.sort(np.concatenate([left.top, right.top], axis=1), axis=1)
    return np.asarray((both[:, 1:] == both[:, :-1]).sum(axis=1) / left.top.shape[1], dtype=np.float64)
