# SPDX-License-Identifier: Apache-2.0
"""Exposure of slices and of items, for every cohort, under base and head, over the same users.

Everything here is a sum over users of whole numbers, so that shards of users can be added up in any order to the
same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._tally import MANY_EXPOSED, REACH_DEGREE, Tally, cohorts_of_users, user_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scipy import sparse

    from behavior._tally import Pair, Sums
    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

__all__ = ["MANY_EXPOSED", "REACH_DEGREE", "ItemSums", "Measured", "Moments", "measure", "measured", "tally"]


@dataclass(frozen=True, slots=True)
class ItemSums:
    """What each shown item got from the users of each cohort: cohorts x shown items, whole numbers.

    ``items`` are the row numbers of items shown to anyone by either side; ``top`` weighs positions at ``k``;
    ``deep`` weighs all positions at depth alike (None without deep slates); ``middle`` is the same at ``5 k`` (at least
    100) where slates go at least twice as deep, so that depth never drowns what happens nearer the top; ``seen`` counts
    users who see the item among the first ``k``.
    """

    items: Integers
    top: tuple[Integers, Integers]
    deep: tuple[Integers, Integers] | None
    seen: tuple[Integers, Integers]
    middle: tuple[Integers, Integers] | None = None


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

    ``few`` holds the exposures, users x (base, head), of the exposed users of each cell (cohort, slice) that has fewer
    than ``MANY_EXPOSED`` of them, in no particular order. Exposures, their moments and the item sums at ``k`` are in
    whole numbers: a share is one of them over ``unit``, which is a user's whole slate. ``values`` are all users'
    exposures, covered users x slices, base and head, and ``members`` the cohorts as a 0/1 matrix, cohorts x covered
    users, where they were asked for.
    """

    unit: float

    users: Integers
    changed: Integers
    sums: ItemSums
    exposure: Moments
    reach: Moments
    few: Mapping[tuple[int, int], Floats]
    values: tuple[Floats, Floats] | None = None
    members: sparse.csr_array | None = None


def measure(panel: Panel, base: Slates, head: Slates, *, by_user: bool = False) -> Measured:
    """Measure all slices in all cohorts. Base and head answer the same requests (``require_same_requests``).

    A user with several requests counts once: the requests share the user's weight equally. With ``by_user``, ``values``
    and ``members`` are there too, which takes memory for every user.
    """
    sums = tally(panel, base, head, by_user=by_user)
    if sums.by_user is None:
        return measured(sums)
    values = [np.concatenate(side).astype(np.float64) for side in zip(*sums.by_user, strict=True)]
    members = cohorts_of_users(panel)[np.unique(base.user.astype(np.int64))].T.tocsr()
    return replace(measured(sums), values=(values[0], values[1]), members=members)


def tally(panel: Panel, base: Slates, head: Slates, *, by_user: bool = False) -> Tally:
    """The sums over the users of a shard: ``Tally.merge`` adds shards up, in any order to the same bytes.

    Users are taken a block at a time, so memory does not grow with them.
    """
    depth = None if base.deep is None or head.deep is None else min(base.deep.shape[1], head.deep.shape[1])
    sums = Tally(panel, base.top.shape[1], depth, by_user=by_user)
    for rows in user_blocks(base, len(panel.slices)):
        sums.add(base, head, rows)
    return sums


def measured(sums: Tally) -> Measured:
    """What the sums over all users say. The tally is not to be added to any more."""
    sides = [side for pair in (sums.top, *sums.below.values()) for side in pair]
    items = np.flatnonzero(np.logical_or.reduce([side.any(axis=0) for side in sides]))

    def shown(pair: Pair) -> tuple[Integers, Integers]:
        if len(items) == pair.base.shape[1]:
            return pair.base, pair.head
        return pair.base.take(items, axis=1), pair.head.take(items, axis=1)

    return Measured(
        unit=float(sums.weights.sum()),
        users=sums.users,
        changed=sums.changed,
        sums=ItemSums(
            items=items,
            top=shown(sums.top),
            seen=shown(sums.seen),
            deep=shown(sums.below["deep"]) if "deep" in sums.below else None,
            middle=shown(sums.below["middle"]) if "middle" in sums.below else None,
        ),
        exposure=_moments(sums.exposure),
        reach=_moments(sums.reach),
        few=sums.few,
    )


def _moments(sums: Sums) -> Moments:
    return Moments(
        base=sums.base.astype(np.float64),
        gain=sums.gain.astype(np.float64),
        base_base=sums.rounded(0),
        base_gain=sums.rounded(1),
        gain_gain=sums.rounded(2),
        exposed=sums.exposed,
    )
