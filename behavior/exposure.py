# SPDX-License-Identifier: Apache-2.0
"""Exposure of slices and of items, for every cohort, under base and head, over the same users.

Everything here is a sum over users, so that shards of users can be added up in any order: item sums are whole
numbers (exact), the moments of users' exposures are floating-point sums in order of user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._weights import position_weights

if TYPE_CHECKING:
    from behavior.panels import Panel
    from behavior.slates import Rows, Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

REACH_DEGREE = 0.5  # an item counts as seen of a slice from this degree of membership on


@dataclass(frozen=True, slots=True)
class ItemSums:
    """What each shown item got from the users of each cohort: cohorts x shown items, whole numbers.

    ``items`` are the row numbers of items shown to anyone by either side; ``top`` weighs positions at ``k``;
    ``deep`` weighs all positions at depth alike (None without deep slates); ``seen`` counts users who see the item
    among the first ``k``.
    """

    items: Integers
    top: tuple[Integers, Integers]
    deep: tuple[Integers, Integers] | None
    seen: tuple[Integers, Integers]


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the users of each cohort, cohorts x slices, of one paired quantity (exposure, or seen at all).

    ``base`` and ``gain`` are the sums of a user's value under base and of head's less base's; the others are sums of
    squares and products. Differences are kept, not head's own squares: for equal slates they are exactly zero.
    """

    base: Floats
    gain: Floats
    base_base: Floats
    base_gain: Floats
    gain_gain: Floats
    exposed: Integers


@dataclass(frozen=True, slots=True)
class Measured:
    """Exposure under both sides. ``users`` counts each cohort's users that have slates, ``changed`` those whose differ.

    ``values`` are the users' exposures, covered users x slices, base and head; ``members`` the cohorts as a 0/1
    matrix, cohorts x covered users. Exposures, their moments and the item sums at ``k`` are in whole numbers: a share
    is one of them over ``unit``, which is a user's whole slate.
    """

    unit: float

    users: Integers
    changed: Integers
    sums: ItemSums
    exposure: Moments
    reach: Moments
    values: tuple[Floats, Floats]
    members: sparse.csr_array


def measure(panel: Panel, base: Slates, head: Slates) -> Measured:
    """Measure all slices in all cohorts. Base and head answer the same requests (``require_same_requests``).

    A user with several requests counts once: the requests share the user's weight equally.
    """
    covered, row = np.unique(base.user.astype(np.int64), return_inverse=True)
    weights = position_weights(panel.toml.exposure.weights, base.top.shape[1])
    top = tuple(_user_items(side.top, row, weights, panel) for side in (base, head))
    deep = None
    if base.deep is not None and head.deep is not None:
        depth = min(base.deep.shape[1], head.deep.shape[1])
        even = position_weights("uniform", depth)
        deep = tuple(
            _user_items(side.deep[:, :depth], row, even, panel) for side in (base, head) if side.deep is not None
        )
    members = _members(panel, covered)
    changed_rows = (base.top != head.top).any(axis=1)
    changed = np.bincount(row, weights=changed_rows, minlength=len(covered)) > 0
    values = tuple(np.asarray((side @ panel.membership).todense()) for side in top)
    seen = tuple(_seen(side, panel) for side in top)
    return Measured(
        unit=float(weights.sum()),
        users=np.asarray(members.sum(axis=1)).ravel().astype(np.int64),
        changed=np.asarray(members @ changed.astype(np.int64)),
        sums=_item_sums(members, (top[0], top[1]), None if deep is None else (deep[0], deep[1])),
        exposure=_moments(members, values[0], values[1]),
        reach=_moments(members, seen[0], seen[1]),
        values=(values[0], values[1]),
        members=members,
    )


def _user_items(block: Rows, row: Integers, weights: Integers, panel: Panel) -> sparse.csr_array:
    """Covered users x items: the weight each item gets from each user, as whole numbers."""
    requests = np.bincount(row)
    shared = weights[None, :] // requests[row][:, None]
    shape = (len(requests), panel.items.height)
    place = (np.repeat(row, block.shape[1]), block.ravel())
    return sparse.coo_array((shared.ravel(), place), shape=shape).tocsr()


def _members(panel: Panel, covered: Integers) -> sparse.csr_array:
    position = np.full(panel.users.height, -1, dtype=np.int64)
    position[covered] = np.arange(len(covered))
    columns = [position[cohort.members] for cohort in panel.cohorts]
    columns = [column[column >= 0] for column in columns]
    indptr = np.concatenate([[0], np.cumsum([len(column) for column in columns])])
    indices = np.concatenate(columns)
    shape = (len(columns), len(covered))
    return sparse.csr_array((np.ones(len(indices), dtype=np.int64), indices, indptr), shape=shape)


def _seen(side: sparse.csr_array, panel: Panel) -> Floats:
    """Covered users x slices: 1 where the user sees at least one item of the slice among the first ``k``."""
    belongs = panel.membership.copy()
    belongs.data = (belongs.data >= REACH_DEGREE).astype(np.float64)
    return np.asarray(((side @ belongs).todense() > 0).astype(np.float64))


def _item_sums(
    members: sparse.csr_array,
    top: tuple[sparse.csr_array, sparse.csr_array],
    deep: tuple[sparse.csr_array, sparse.csr_array] | None,
) -> ItemSums:
    sides = (*top, *(deep or ()))
    items = np.unique(np.concatenate([side.indices for side in sides])).astype(np.int64)

    def total(side: sparse.csr_array) -> Integers:
        return np.asarray((members @ side[:, items]).todense())

    def count(side: sparse.csr_array) -> Integers:
        ones = side.copy()
        ones.data = np.ones_like(ones.data)
        return total(ones)

    return ItemSums(
        items=items,
        top=(total(top[0]), total(top[1])),
        deep=None if deep is None else (total(deep[0]), total(deep[1])),
        seen=(count(top[0]), count(top[1])),
    )


def _moments(members: sparse.csr_array, base: Floats, head: Floats) -> Moments:
    gain = head - base
    return Moments(
        base=members @ base,
        gain=members @ gain,
        base_base=members @ (base * base),
        base_gain=members @ (base * gain),
        gain_gain=members @ (gain * gain),
        exposed=members @ ((base > 0) | (head > 0)).astype(np.int64),
    )
