# SPDX-License-Identifier: Apache-2.0
"""Sums over users, block by block: whole numbers, so that blocks in any order and shards merged in any order are equal.

A user's exposure to a slice is rounded to whole units (a slate has 2**30), so sums are exact; products of two are
kept in two halves, which stay whole numbers up to four thousand million users.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from behavior._dealt import Labelled
from behavior._slate_blocks import let_go
from behavior._weights import position_weights

if TYPE_CHECKING:
    from behavior._ids import Rows
    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Cell = tuple[int, int]  # cohort, slice

REACH_DEGREE = 0.5  # an item counts as seen of a slice from this degree of membership on
MANY_EXPOSED = 100  # from here on, a cell's exposed users are summed up and not kept

_PLACES_AT_ONCE = 1 << 21
_CELLS_AT_ONCE = 1 << 22
_USERS_AT_ONCE = 1 << 15
_DEGREE_STEPS = float(1 << 20)  # degrees are rounded to a millionth, so that sums of weights times degrees are exact
_HALF = 31  # bits


class Sums:
    """The sums behind ``Moments``: cohorts x slices, exact. Squares and products are in two halves."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.base, self.gain, self.exposed = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        self.products = np.zeros((3, 2, *shape), dtype=np.int64)  # base², base·gain, gain²; high and low

    def add(self, members: sparse.csr_array, base: Integers, gain: Integers) -> Integers:
        """Add a block of users, users x slices; returns how many of them are exposed, cohorts x slices."""
        self.base += members @ base
        self.gain += members @ gain
        for index, (one, other) in enumerate(((base, base), (base, gain), (gain, gain))):
            product = one * other
            if max(product.max(initial=0), -product.min(initial=0)) >> _HALF == 0:  # as of zeros and ones
                self.products[index, 1] += members @ product
                continue
            self.products[index, 0] += members @ (product >> _HALF)
            self.products[index, 1] += members @ (product & ((1 << _HALF) - 1))
        exposed = np.asarray(members @ ((base != 0) | (gain != 0)).astype(np.int64))
        self.exposed += exposed
        return exposed

    def merge(self, other: Sums) -> None:
        """Add another's sums to these."""
        self.base += other.base
        self.gain += other.gain
        self.exposed += other.exposed
        self.products += other.products

    def rounded(self, index: int) -> Floats:
        """The sum of products ``index`` as the nearest float."""
        high, low = self.products[index].astype(object)
        return np.asarray((high << _HALF) + low, dtype=np.float64)


class Pair(NamedTuple):
    """Base's and head's item sums, cohorts x items."""

    base: Integers
    head: Integers

    def merge(self, other: Pair) -> None:
        """Add another's sums to these."""
        for mine, theirs in zip(self, other, strict=True):
            mine[...] += theirs


class Tally:
    """What base and head give to the users seen so far. ``add`` more of them, or ``merge`` another shard's."""

    def __init__(self, panel: Panel, k: int, depth: int | None, *, by_user: bool = False) -> None:
        """Begin with nobody; ``depth`` is None where there are no deep slates.

        ``below`` holds item sums of equal weights at ``depths``.
        """
        cohorts, items = len(panel.cohorts), panel.items.height
        self.weights = position_weights(panel.toml.exposure.weights, k)
        below = depths(k, depth or 0)
        self._even = {name: position_weights("uniform", places) for name, places in below.items()}
        self.users, self.changed = np.zeros(cohorts, dtype=np.int64), np.zeros(cohorts, dtype=np.int64)
        self.top, self.seen = _nothing(cohorts, items), _nothing(cohorts, items)
        self.below = {name: _nothing(cohorts, items) for name in below}
        shape = (cohorts, len(panel.slices))
        self.exposure, self.reach = Sums(shape), Sums(shape)
        self.few: dict[Cell, Floats] = {}
        self.by_user: list[tuple[Integers, Integers]] | None = [] if by_user else None
        self._cohorts = cohorts_of_users(panel)
        self._items = items
        degrees = panel.membership.copy()
        degrees.data = np.rint(degrees.data * _DEGREE_STEPS) / _DEGREE_STEPS
        belongs = panel.membership.copy()
        belongs.data = (belongs.data >= REACH_DEGREE).astype(np.float64)
        self._degrees = Labelled(degrees)
        self._belongs = None if (panel.membership.data == 1.0).all() else Labelled(belongs)

    def add(self, base: Slates, head: Slates, rows: slice) -> None:
        """Add the users of these rows of both sides, which answer the same requests; all rows of each user."""
        covered, request = np.unique(base.user[rows].astype(np.int64), return_inverse=True)
        members = self._cohorts[covered].T.tocsr()
        self.users += np.asarray(members.sum(axis=1)).ravel()
        differs = (base.top[rows] != head.top[rows]).any(axis=1)
        changed = np.bincount(request, weights=differs, minlength=len(covered)) > 0
        self.changed += members @ changed.astype(np.int64)
        values: list[Integers] = []
        reached: list[Integers] = []
        measured = self._of_slates if len(covered) == len(request) else self._of_requests
        for index, side in enumerate((base, head)):
            shares, seen = measured(side, rows, request, members, index)
            values.append(np.rint(shares).astype(np.int64))
            reached.append(seen.astype(np.int64))
        exposed = self.exposure.add(members, values[0], values[1] - values[0])
        self._keep_few(members, exposed, values[0], values[1])
        if self.by_user is not None:
            self.by_user.append((values[0], values[1]))
        self.reach.add(members, reached[0], reached[1] - reached[0])
        for side in (base, head):
            let_go(side.top)
            let_go(side.deep)

    def _of_slates(
        self, side: Slates, rows: slice, _request: Integers, members: sparse.csr_array, index: int
    ) -> tuple[Floats, Flags]:
        """Add users of one slate each to the item sums; their exposures and what they see, users x slices."""
        top = side.top[rows]
        _count(members, top, self.weights, self.top[index])
        _count(members, top, None, self.seen[index])
        for name, even in self._even.items():
            if side.deep is not None:
                _count(members, side.deep[rows, : len(even)], even, self.below[name][index])
        exposed = self._degrees.weighed(top, self.weights)
        return exposed, (exposed if self._belongs is None else self._belongs.weighed(top, self.weights)) > 0

    def _of_requests(
        self, side: Slates, rows: slice, request: Integers, members: sparse.csr_array, index: int
    ) -> tuple[Floats, Flags]:
        """The same of users some of whom have several slates: an item counts once for a user who sees it in two."""
        top = user_items(side.top[rows], request, self.weights, self._items)
        self._pour_both(members, top, index)
        for name, even in self._even.items():
            if side.deep is not None:
                deep = user_items(side.deep[rows, : len(even)], request, even, self._items)
                _pour(members @ deep, self.below[name][index])
        exposed = np.asarray((top @ self._degrees.labels).todense())
        belongs = None if self._belongs is None else np.asarray((top @ self._belongs.labels).todense())
        return exposed, (exposed if belongs is None else belongs) > 0

    def _pour_both(self, members: sparse.csr_array, top: sparse.csr_array, index: int) -> None:
        """Add a block's item sums at ``k``, and how many users see each item, by one product.

        A block has at most 2**15 users (a user's last rows may be a few more) with at most 2**30 each, so their sum
        leaves room for the count above it.
        """
        bits = (top.shape[0] * int(self.weights.max())).bit_length()
        both = sparse.csr_array((top.data + (1 << bits), top.indices, top.indptr), shape=top.shape)
        both = members @ both
        counts = both.data >> bits
        both.data &= (1 << bits) - 1
        _pour(both, self.top[index])
        both.data = counts
        _pour(both, self.seen[index])

    def merge(self, other: Tally) -> None:
        """Add another shard's users, none of whom is among these."""
        self.users += other.users
        self.changed += other.changed
        self.top.merge(other.top)
        self.seen.merge(other.seen)
        for name, sums in self.below.items():
            sums.merge(other.below[name])
        self.exposure.merge(other.exposure)
        self.reach.merge(other.reach)
        for cell, values in other.few.items():
            self._append(cell, values)
        self._drop_many()

    def _keep_few(self, members: sparse.csr_array, exposed: Integers, base: Integers, head: Integers) -> None:
        self._drop_many()
        for cohort, slice_ in np.argwhere((exposed > 0) & (self.exposure.exposed < MANY_EXPOSED)).tolist():
            users = members.indices[members.indptr[cohort] : members.indptr[cohort + 1]]
            values = np.column_stack([base[users, slice_], head[users, slice_]]).astype(np.float64)
            self._append((cohort, slice_), values[(values > 0).any(axis=1)])

    def _append(self, cell: Cell, values: Floats) -> None:
        before = self.few.get(cell)
        self.few[cell] = values if before is None else np.concatenate([before, values])

    def _drop_many(self) -> None:
        for cell in [cell for cell in self.few if self.exposure.exposed[cell] >= MANY_EXPOSED]:
            del self.few[cell]


def user_blocks(slates: Slates, slices: int) -> list[slice]:
    """The rows of some ten thousand users after another, all rows of each."""
    starts = np.append(np.flatnonzero(np.diff(slates.user, prepend=-1)), len(slates.user))
    rows = max(1, min(_USERS_AT_ONCE, _PLACES_AT_ONCE // slates.depth, _CELLS_AT_ONCE // max(1, slices)))
    wanted = np.arange(0, len(slates.user) + rows, rows)
    cuts = np.unique(starts[np.searchsorted(starts, wanted).clip(max=len(starts) - 1)])
    return [slice(int(low), int(high)) for low, high in pairwise(cuts)]


def depths(k: int, depth: int) -> dict[str, int]:
    """Places that items are summed up to beside ``k``; none where ``depth`` is 0.

    All (``deep``), and ``5 k``, at least 100, where there are twice as many (``middle``).
    """
    nearer = max(5 * k, 100)
    found = {"deep": depth} if depth else {}
    return {**found, "middle": nearer} if depth >= 2 * nearer else found


def _nothing(cohorts: int, items: int) -> Pair:
    return Pair(np.zeros((cohorts, items), dtype=np.int64), np.zeros((cohorts, items), dtype=np.int64))


def cohorts_of_users(panel: Panel) -> sparse.csr_array:
    """The panel's users x cohorts, 0/1."""
    users = np.concatenate([cohort.members for cohort in panel.cohorts])
    cohorts = np.repeat(np.arange(len(panel.cohorts)), [len(cohort.members) for cohort in panel.cohorts])
    shape = (panel.users.height, len(panel.cohorts))
    return sparse.coo_array((np.ones(len(users), dtype=np.int64), (users, cohorts)), shape=shape).tocsr()


def _count(members: sparse.csr_array, slates: Rows, weights: Integers | None, into: Integers) -> None:
    """Add what each item gets from the slates of each cohort's users, one slate a user; one a place without weights."""
    for cohort, (low, high) in enumerate(pairwise(members.indptr)):
        users = members.indices[low:high]
        # All users, in their order, as of everyone's cohort, need no copy.
        of_cohort = slates if len(users) == len(slates) else slates[users]
        given = np.int64(1) if weights is None else np.tile(weights, len(users))
        np.add.at(into[cohort], of_cohort.ravel(), given)


def user_items(block: Rows, request: Integers, weights: Integers, items: int) -> sparse.csr_array:
    """Users x items: the weight each item gets from each user, as whole numbers."""
    requests = np.bincount(request)
    places = block.shape[1]
    shared = weights[None, :] // requests[request][:, None]
    place = (np.repeat(request, places), block.ravel())
    return sparse.coo_array((shared.ravel(), place), shape=(len(requests), items)).tocsr()


def _pour(sums: sparse.csr_array, into: Integers) -> None:
    """Add a sparse matrix to a dense one."""
    for row, (low, high) in enumerate(pairwise(sums.indptr)):
        into[row, sums.indices[low:high]] += sums.data[low:high]
