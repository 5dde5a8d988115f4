# SPDX-License-Identifier: Apache-2.0
"""Cells of the exploratory family: what a search confirmed, measured over everyone and judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._analysis import analyse
from behavior._labels import Cohort, Slice
from evidence import CellVerdict, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior.cells import Cell
    from behavior.panels import Panel
    from behavior.slates import Slates

Integers = np.ndarray[Any, np.dtype[np.int64]]
Key = tuple[tuple[str, str | int | bool], ...]

_NESTED = 0.5
_MOST_OF_GAIN = 0.7
_STRICTER = 5.0  # than alpha_fail: the searches together must hardly add to the benign changes that fail
_PERMUTATIONS = 100  # of the cells' own null, whose p is not used: the search's test is


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A confirmed slice and group of users, as row numbers of the panel, with the p of its own test.

    ``degrees`` are those of ``items``. ``unseen_ratio`` is the ratio on data the search did not see, None where
    nothing was searched: what stood out is larger in the data that it stood out in. ``unseen_gain`` is head's
    exposure less base's there. ``words`` say how it was found.
    """

    slice_: str
    items: Integers
    degrees: np.ndarray[Any, np.dtype[np.float64]]
    cohort: Key
    users: Integers
    p: float
    adjusted_p: float
    statistic: str
    direction: int
    unseen_ratio: float | None
    unseen_gain: float
    words: str


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = sorted(range(len(chances)), key=lambda number: chances[number])
    adjusted, largest = [1.0] * len(chances), 0.0
    for place, number in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - place) * chances[number]))
        adjusted[number] = largest
    return adjusted


def apart(confirmed: Sequence[Found]) -> list[Found]:
    """One of each set of hypotheses that lie within or around each other and point the same way, strongest set first.

    Of a set, the one with the largest ratio among those that hold most of the gain: the narrowest description of what
    moved. ``confirmed`` is in order of strength.
    """
    left, told = list(confirmed), []
    while left:
        nearby = [each for each in left if each.direction == left[0].direction and _nested(left[0], each)]
        most = max(abs(each.unseen_gain) for each in nearby)
        enough = [each for each in nearby if abs(each.unseen_gain) >= _MOST_OF_GAIN * most]
        told.append(max(enough, key=_size))
        left = [each for each in left if each not in nearby]
    return told


def _nested(one: Found, other: Found) -> bool:
    """Whether most of the smaller lies in the larger, of items and of users."""
    return all(
        len(np.intersect1d(mine, theirs)) >= _NESTED * min(len(mine), len(theirs))
        for mine, theirs in ((one.items, other.items), (one.users, other.users))
    )


def _size(found: Found) -> float:
    if found.unseen_ratio is None or found.unseen_ratio <= 0:
        return math.inf
    return abs(math.log(found.unseen_ratio))


def exploratory_cells(
    panel: Panel, base: Slates, head: Slates, probe: str, confirmed: Sequence[Found]
) -> tuple[Cell, ...]:
    """One cell for each confirmed hypothesis, over all users of its group and all items of its slice.

    A cell is ``amplified`` (or ``suppressed``) where the adjusted p is at most a fifth of ``alpha_fail``, and the
    interval over users, the adjusted ratio and the ratio on unseen data lie beyond the margin of ``[secondary]``; else
    ``shifted``. More is asked than of a declared slice, since a search gives chance more to choose from.
    """
    if not confirmed:
        return ()
    margin = panel.toml.secondary.margin
    columns = [
        sparse.coo_array((each.degrees, (each.items, np.zeros_like(each.items))), shape=(panel.items.height, 1))
        for each in confirmed
    ]
    narrowed = replace(
        panel,
        toml=panel.toml.model_copy(update={"permutations": _PERMUTATIONS}),
        slices=tuple(Slice(each.slice_, "exploratory", margin, Severity.HIGH, public=False) for each in confirmed),
        membership=sparse.csr_array(sparse.hstack(columns, format="csr")),
        cohorts=(panel.cohorts[0], *(Cohort(each.cohort, each.users) for each in confirmed)),
    )
    cells = analyse(narrowed, base, head, probe).cells
    own = [cells[number * (len(confirmed) + 1) + number + 1] for number in range(len(confirmed))]
    return tuple(_judged(cell, each, panel) for cell, each in zip(own, confirmed, strict=True))


def _judged(cell: Cell, found: Found, panel: Panel) -> Cell:
    verdict = CellVerdict.SHIFTED
    if found.adjusted_p <= panel.toml.alpha_fail / _STRICTER:
        if found.direction > 0 and _beyond(cell, found, panel):
            verdict = CellVerdict.AMPLIFIED
        elif found.direction < 0 and _below(cell, found, panel):
            verdict = CellVerdict.SUPPRESSED
    return replace(
        cell,
        p=found.p,
        adjusted_p=found.adjusted_p,
        statistic=found.statistic,
        direction=found.direction,
        minimum_detectable_ratio=None,
        verdict=verdict,
        reason=found.words,
    )


def _beyond(cell: Cell, found: Found, panel: Panel) -> bool:
    if cell.difference <= panel.toml.materiality:
        return False
    if cell.ratio is None:
        return True
    unseen = cell.ratio if found.unseen_ratio is None else found.unseen_ratio
    ratios = (cell.ratio_low, cell.adjusted_ratio, unseen)
    return all(ratio is not None and ratio > cell.margin for ratio in ratios)


def _below(cell: Cell, found: Found, panel: Panel) -> bool:
    if cell.difference >= -panel.toml.materiality:
        return False
    if not cell.head_share:
        return True
    unseen = cell.ratio if found.unseen_ratio is None else found.unseen_ratio
    ratios = (cell.ratio_high, cell.adjusted_ratio, unseen)
    return all(ratio is not None and ratio < 1.0 / cell.margin for ratio in ratios)
