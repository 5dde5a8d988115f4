# SPDX-License-Identifier: Apache-2.0
"""What every item got from groups of users, for searching probes; and halves of items and users that no name decides.

Halves and orders depend on what was shown and on labels, never on names or rows of a table, so that renaming or
reordering a panel changes nothing. They are the same when base and head change places.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._probed import thinned
from behavior._random import keyed
from behavior._strata import by_stratum, exposure_strata
from behavior._weights import position_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from behavior.panels import Panel
    from behavior.slates import Rows, Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Keys = np.ndarray[Any, np.dtype[np.uint64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MOST_ITEMS = 50_000  # shown items that are searched: those that got the most
MOST_TASTES = 64  # directions of common taste that are taken out of shifts
_ROUNDS = 2
_SHARD = 100  # permutations drawn from one key
_MORE = 8  # directions beyond the wanted, for accuracy
_ITEMS_A_TASTE = 20  # shown items for each, at least
_CLIP = 3.0  # root mean squares of its stratum: what one item's shift counts for at most


@dataclass(frozen=True, slots=True)
class Traces:
    """Users x items under base and head: weights at ``k`` (``top``), and counts at depth (``deep``, where there is).

    ``users`` and ``items`` are row numbers of the panel: those that have slates, and those shown to them. ``rank``
    orders items by what they got and how far they moved, equal items alike. ``user_keys`` and ``item_keys`` tell users
    and items apart by attributes and by who was shown what, whatever their names.
    """

    users: Integers
    items: Integers
    sides: dict[str, tuple[sparse.csr_array, sparse.csr_array]]
    rank: Integers
    user_keys: Keys
    item_keys: Keys

    def total(self, users: Flags, statistic: str) -> Integers:
        """What each item got in base and head together from some of the users."""
        base, head = self.sides[statistic]
        return np.asarray(users.astype(np.int64) @ (base + head))

    def shifts(self, members: sparse.csr_array, statistic: str) -> Floats:
        """Each item's shift among the users of each group: items x groups. ``members`` is groups x users.

        ``top`` is head's less base's weight; ``deep`` is ``(h - b) / sqrt(h + b)``.
        """
        base, head = (np.asarray((members @ side).todense(), dtype=np.float64).T for side in self.sides[statistic])
        moved = head - base
        return moved if statistic == "top" else moved / np.sqrt(np.maximum(base + head, 1.0))

    def tastes(self) -> Floats:
        """Directions in which items are liked by the same users: items x directions, at most 64.

        The leading right singular vectors of what everyone got in base and head together, by a randomised range
        finder with two power iterations (Halko, Martinsson and Tropp 2011, algorithm 4.4).
        """
        base, head = self.sides[next(reversed(self.sides))]
        both = (base + head).astype(np.float64)
        both.data /= both.data.max(initial=1.0)
        wanted = min(MOST_TASTES, both.shape[1] // _ITEMS_A_TASTE, both.shape[0] // 2)
        if wanted < 1:
            return np.zeros((both.shape[1], 0))
        scatter = keyed(0, "tastes").normal(size=(int(self.rank.max(initial=0)) + 1, wanted + _MORE))
        basis = both @ scatter[self.rank]
        for _ in range(2):
            basis = both @ np.linalg.qr(both.T @ np.linalg.qr(basis)[0])[0]
        vectors, _, _ = np.linalg.svd(both.T @ np.linalg.qr(basis)[0], full_matrices=False)
        size = np.sqrt(np.asarray(both.sum(axis=0)).ravel())
        return np.asarray(vectors[:, :wanted] / size[:, None])


# What was read last of a base, and for which panel and head: more than one probe asks for it. It goes with the base.
_KNOWN: weakref.WeakKeyDictionary[Slates, tuple[weakref.ref[Panel], weakref.ref[Slates], Traces]]
_KNOWN = weakref.WeakKeyDictionary()


def traces(panel: Panel, base: Slates, head: Slates) -> Traces:
    """Read both sides' slates, once for all who ask. A user's requests share the user's weight."""
    known = _KNOWN.get(base)
    if known is None or known[0]() is not panel or known[1]() is not head:
        known = (weakref.ref(panel), weakref.ref(head), _read(panel, base, head))
        _KNOWN[base] = known
    return known[2]


def _read(panel: Panel, base: Slates, head: Slates) -> Traces:
    rows = thinned(base)
    users, row = np.unique(base.user[rows].astype(np.int64), return_inverse=True)
    blocks = {"top": (base.top[rows], head.top[rows])}
    weights = {"top": position_weights(panel.toml.exposure.weights, base.top.shape[1])}
    if base.deep is not None and head.deep is not None:
        depth = min(base.deep.shape[1], head.deep.shape[1])
        blocks["deep"] = (base.deep[rows, :depth], head.deep[rows, :depth])
        weights["deep"] = position_weights("uniform", depth)
    shape = (len(users), panel.items.height)
    sides = {
        name: tuple(_user_items(block, row, weights[name], shape) for block in pair) for name, pair in blocks.items()
    }
    everything = sum(before + after for before, after in sides.values())
    items = np.flatnonzero(np.asarray(everything.sum(axis=0)).ravel()).astype(np.int64)
    keys = []
    for before, after in sides.values():
        got, moved = (np.asarray(values)[items] for values in _total_and_size(before, after))
        keys += [got, moved]
    order = np.column_stack(keys)
    _, rank = np.unique(order, axis=0, return_inverse=True)
    if len(items) > MOST_ITEMS:
        kept = np.sort(np.argsort(-rank, kind="stable")[:MOST_ITEMS])
        items, rank = items[kept], rank[kept]
    narrow = {name: (before[:, items], after[:, items]) for name, (before, after) in sides.items()}
    rank = rank.ravel().astype(np.int64)
    return Traces(users, items, narrow, rank, *_keys(panel, users, items, rank, narrow))


def item_halves(panel: Panel, found: Traces, probe: str) -> tuple[Integers, Integers]:
    """Two halves of the shown items, alike in exposure: positions in ``found.items``, each in an order of its own."""
    order = np.lexsort((found.item_keys, found.rank, panel.match[found.items]))
    return _halves(order, panel.toml.seed, probe, "items")


def user_halves(panel: Panel, found: Traces, codes: Integers, probe: str) -> tuple[Integers, Integers]:
    """Two halves of the users, alike in attributes (``codes``, one a user of ``found``) and in what they got."""
    order = np.lexsort((found.user_keys, codes))
    return _halves(order, panel.toml.seed, probe, "users")


def stratify(panel: Panel, found: Traces, items: Integers, users: Flags, known: Integers) -> Integers:
    """A stratum for each of some items: how much they got from the users, ``match_on``, and ``known``."""
    total = found.total(users, next(reversed(found.sides)))[items]
    _, match = np.unique(panel.match[found.items[items]] * (known.max(initial=0) + 1) + known, return_inverse=True)
    return exposure_strata(total, match)


def tamed(shifts: Floats, codes: Integers) -> Floats:
    """Shifts less their stratum's mean, none larger than three root mean squares of its stratum.

    A few popular items move most; a lift moves many. Any function of the shifts alone leaves the churn null valid.
    """
    moved = centred(shifts, codes)
    inside = by_stratum(codes)
    limit = _CLIP * np.sqrt((inside @ (moved * moved)) / np.bincount(codes)[:, None])[codes]
    return np.asarray(np.clip(moved, -limit, limit))


def permuted_rows(codes: Integers, permutations: int, seed: int, *purpose: str) -> Iterator[Integers]:
    """Shards of permutations within strata: each row says which item's labels every item gets. ``codes`` ascend."""
    bounds = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    for shard, start in enumerate(range(0, permutations, _SHARD)):
        generator = keyed(seed, *purpose, "permutation", shard)
        rows = np.tile(np.arange(len(codes)), (min(_SHARD, permutations - start), 1))
        for low, high in pairwise(bounds):
            if high - low > 1:
                rows[:, low:high] = generator.permuted(rows[:, low:high], axis=1)
        yield rows


def centred(values: Floats, codes: Integers) -> Floats:
    """Each row less the mean of its stratum."""
    inside = by_stratum(codes)
    return np.asarray(values - ((inside @ values) / np.bincount(codes)[:, None])[codes])


def _keys(
    panel: Panel,
    users: Integers,
    items: Integers,
    rank: Integers,
    sides: dict[str, tuple[sparse.csr_array, sparse.csr_array]],
) -> tuple[Keys, Keys]:
    """Keys by colour refinement: what one is, then who saw it or what one saw, and so on. Sums are modulo 2**64."""
    seen = sum(before + after for before, after in sides.values()).astype(np.uint64)
    of_items = _mixed(rank.astype(np.uint64))
    for attribute in panel.item_attributes.found:
        of_items = _mixed(of_items + attribute.codes[items].astype(np.uint64))
    of_users = np.zeros(len(users), dtype=np.uint64)
    for attribute in panel.user_attributes.found:
        of_users = _mixed(of_users + attribute.codes[users].astype(np.uint64))
    for _ in range(_ROUNDS):
        of_users = _mixed(of_users + seen @ of_items)
        of_items = _mixed(of_items + seen.T @ of_users)
    return of_users, of_items


def _mixed(keys: Keys) -> Keys:
    """Keys scattered over all 64 bits, by the finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(keys ^ (keys >> np.uint64(31)))


def _user_items(block: Rows, row: Integers, weights: Integers, shape: tuple[int, int]) -> sparse.csr_array:
    shared = weights[None, :] // np.bincount(row)[row][:, None]
    place = (np.repeat(row, block.shape[1]), block.ravel())
    return sparse.coo_array((shared.ravel(), place), shape=shape).tocsr()


def _total_and_size(base: sparse.csr_array, head: sparse.csr_array) -> tuple[Integers, Integers]:
    before, after = (np.asarray(side.sum(axis=0)).ravel() for side in (base, head))
    return before + after, np.abs(after - before)


def _halves(order: Integers, seed: int, probe: str, what: str) -> tuple[Integers, Integers]:
    """Neighbours in the order go to different halves, which of them where by a keyed coin."""
    coins = keyed(seed, probe, "halves", what).integers(0, 2, size=-(-len(order) // 2))
    side = (np.arange(len(order)) + np.repeat(coins, 2)[: len(order)]) % 2
    return order[side == 0], order[side == 1]
