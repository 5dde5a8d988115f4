# SPDX-License-Identifier: Apache-2.0
"""Labels permuted within strata, many permutations at once, and every cell's sum under each.

What is drawn is where the labelled items land; items without a label need no place. Permutations are drawn side by
side by Fisher and Yates's shuffle, ended once the labelled items have their places. Shifts are whole numbers, coarse
enough that sums of them are exact in float32 in any order; sums over degrees between 0 and 1 are added up in one
fixed order, whatever threads there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from behavior._dealt import TOGETHER, Dealt
from behavior._matching import Matching
from behavior._random import keyed
from behavior._shuffling import shuffled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Places = np.ndarray[Any, np.dtype[np.int16 | np.int32]]
Narrow = np.ndarray[Any, np.dtype[np.float32]]

SHARD = 1000  # permutations drawn from one key
_SIDE_BY_SIDE = 1 << 19  # places shuffled side by side: they stay in the processor's cache
_FEWEST_SIDE_BY_SIDE = 64  # below it, one at a time is faster
_DRAWN = 1 << 25  # places drawn at once, at most
_HELD = 1 << 19  # shifts held at once, at most: memory of this size is used again, more is given back and asked for
_MATCHED = 1 << 22  # sums drawn at once from the matching normal: it decides what is drawn
_SPARSE = 6  # times as many labels as an item has, from which on a product with a sparse matrix is faster
_FEW_COLUMNS = 4
_WORK = 1e12  # products of one label and one shift: about half a minute
_FEW_ITEMS = 2000  # a slice of fewer is always permuted item by item
_EXACT = float(1 << 24)  # whole numbers up to here are exact in float32
_TIE = 1e-12  # relative: sums that differ by rounding alone are equal


class Draws(NamedTuple):
    """How many permutations, and the key of their randomness."""

    permutations: int
    seed: int
    probe: str


@dataclass(frozen=True, slots=True)
class Studentised:
    """The observed cells and what studentises a drawn one, slices x cohorts x statistics.

    ``inverse`` is one over the null's standard deviation, 0 where there is none.
    """

    z: Floats
    expected: Floats
    inverse: Floats


def permute(
    labels: sparse.csr_array, shifts: Floats, codes: Integers, null: Studentised, families: Sequence[str], draws: Draws
) -> tuple[dict[str, Floats], Floats]:
    """The largest |z| of each permutation by family, and how often each cell's own largest |z| was reached.

    Args:
        labels: items x slices, degrees in [0, 1].
        shifts: items x (statistics x cohorts), whole numbers.
        codes: each item's stratum.
        null: the observed cells.
        families: each slice's.
        draws: how many permutations, and their key.

    Labels and shifts are put in an order of their own within strata first: which item had which label is what is
    being permuted anyway, and so the order and names of items change nothing, to the byte. Shifts are turned to point
    the same way whichever side is base, so that base and head can change places.
    """
    _, cohorts, statistics = null.z.shape
    names = np.array(families)
    maxima = {name: np.zeros(draws.permutations) for name in sorted(set(families))}
    largest = np.abs(null.z).max(axis=2, initial=0.0) * (1.0 - _TIE)
    count = np.zeros(largest.shape)
    if not shifts.any() or not families:
        return maxima, count + draws.permutations
    sign = _orientation(shifts, codes)
    expected = (null.expected * sign).transpose(0, 2, 1)[:, None]
    inverse = null.inverse.transpose(0, 2, 1)[:, None]
    for which, blocks in _drawn(labels, shifts * sign, codes, inverse, draws):
        done = 0
        for drawn in blocks:
            cells = drawn.reshape(len(which), -1, statistics, cohorts)
            cells -= expected[which]
            cells *= inverse[which]
            size = np.abs(cells, out=cells).max(axis=2)
            count[which] += (size >= largest[which][:, None]).sum(axis=1)
            for name, maximum in maxima.items():
                among = maximum[done : done + size.shape[1]]
                np.maximum(among, size[names[which] == name].max(axis=(0, 2), initial=0.0), out=among)
            done += size.shape[1]
    return maxima, count


def _drawn(
    labels: sparse.csr_array, shifts: Floats, codes: Integers, inverse: Floats, draws: Draws
) -> Iterator[tuple[Integers, Iterator[Floats]]]:
    """Groups of slices, each with blocks of sums: slices x permutations x columns.

    All slices are permuted item by item where that is less than ``_WORK``. Beyond it only those of few items are; the
    others' light items are drawn from the normal that matches (``Matching``). The two groups are independent then,
    where jointly permuted labels would be a little dependent: the largest of both is no smaller for it.
    """
    members = np.diff(labels.tocsc().indptr)
    work = float(draws.permutations) * np.count_nonzero(np.diff(labels.indptr)) * shifts.shape[1] * len(members)
    large = np.flatnonzero(members >= _FEW_ITEMS) if work > _WORK else members[:0]
    small = np.setdiff1d(np.arange(len(members)), large)
    if len(small):
        sums = _Sums(labels[:, small], shifts, codes)
        yield small, (sums.under(places) for places in landings(sums.codes, sums.wanted, draws, sums.width))
    if len(large):
        yield large, _matched(labels[:, large], shifts, codes, inverse[large], draws)


def _matched(
    labels: sparse.csr_array, shifts: Floats, codes: Integers, inverse: Floats, draws: Draws
) -> Iterator[Floats]:
    deviation = 1.0 / np.where(inverse > 0, inverse, np.inf).reshape(len(inverse), -1)
    matching = Matching(labels, shifts, codes, deviation)
    rows = max(1, min(SHARD, _MATCHED // (labels.shape[1] * shifts.shape[1])))
    for shard, start in enumerate(range(0, draws.permutations, SHARD)):
        generator = keyed(draws.seed, draws.probe, "matching", shard)
        size = min(SHARD, draws.permutations - start)
        for first in range(0, size, rows):
            yield matching.drawn(generator, min(rows, size - first), _landing)


def coarse(shifts: Floats) -> Floats:
    """Whole numbers, items x columns, rounded so that any sum of a column's is exact in float32.

    Each column is rounded to the power of two that leaves its absolute sum below 2**24: nothing changes where the sum
    is that small already, and else about 24 bits are left of what moved in all.
    """
    rows = max(1, _HELD // max(1, shifts.shape[1]))
    parts = [slice(low, low + rows) for low in range(0, len(shifts), rows)]
    total = np.sum([np.abs(shifts[part]).sum(axis=0) for part in parts], axis=0)
    step = np.exp2(np.ceil(np.log2(np.maximum(total / max(_EXACT - len(shifts), 1.0), 1.0))))
    whole = np.empty_like(shifts, dtype=np.float64)
    for part in parts:
        few = whole[part]
        np.divide(shifts[part], step, out=few)
        np.rint(few, out=few)
        few *= step
    return whole


def landings(codes: Integers, labelled: Integers, draws: Draws, width: int) -> Iterator[Places]:
    """Blocks of labelled items x permutations: the place each item lands on, within its stratum.

    ``codes`` are the strata of all places, in order; ``labelled`` says how many of each stratum's items to draw for;
    ``width`` how many numbers the caller holds for one permutation: it bounds the block and not what is drawn.
    """
    bounds = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    together = max(1, min(SHARD, _DRAWN // max(1, int(labelled.sum()))))
    rows = max(1, min(together, _HELD // max(1, width)))
    for shard, start in enumerate(range(0, draws.permutations, SHARD)):
        generator = keyed(draws.seed, draws.probe, "permutation", shard)
        size = min(SHARD, draws.permutations - start)
        for first in range(0, size, together):
            count = min(together, size - first)
            places = np.empty((int(labelled.sum()), count), dtype=np.int32)
            done = 0
            for (low, high), wanted in zip(pairwise(bounds.tolist()), labelled.tolist(), strict=True):
                drawn = _landing(generator, high - low, wanted, count)
                np.add(drawn, low, out=places[done : done + wanted], dtype=np.int32)
                done += wanted
            for low in range(0, count, rows):
                yield places[:, low : low + rows]


def _landing(generator: np.random.Generator, size: int, wanted: int, rows: int) -> Places:
    """Where the first ``wanted`` of ``size`` items land in each of ``rows`` permutations: wanted x rows, from 0."""
    together = min(rows, _SIDE_BY_SIDE // size)
    if together < _FEWEST_SIDE_BY_SIDE:
        drawn = [generator.choice(size, wanted, replace=False) for _ in range(rows)]
        return np.array(drawn, dtype=np.int32).reshape(rows, wanted).T
    parts = [shuffled(generator, size, wanted, min(together, rows - low)) for low in range(0, rows, together)]
    return np.concatenate(parts, axis=1)


class _Sums:
    """Sums of shifts over the labels of every slice, for any permutation.

    Either the items that have a label are given places, or the places that moved are given items: whichever are fewer.
    One permutation's inverse is as likely as itself. Slices whose degrees are all 1 are summed in float32, where
    ``coarse`` shifts add up exactly: by a sparse product where items have few labels, else by a dense one. Fractions
    are summed in float64, one after the other.

    ``wanted`` says for how many of each stratum's places to draw, ``codes`` are the strata of all; ``width`` is how
    many numbers one permutation takes.
    """

    def __init__(self, labels: sparse.csr_array, shifts: Floats, codes: Integers) -> None:
        signature = labels @ keyed(0, "label order").random(labels.shape[1])
        has = signature > 0
        moved = np.count_nonzero(shifts, axis=1) > 0
        self.codes = np.sort(codes)
        self._by_place = int(moved.sum()) < int(has.sum())
        # Those that places are drawn for stand first within their stratum.
        order = np.lexsort((signature, codes) if self._by_place else (signature, ~has, codes))
        places = np.lexsort((_row_hash(shifts), ~moved, codes) if self._by_place else (_row_hash(shifts), codes))
        self.wanted = np.bincount(codes, weights=moved if self._by_place else has).astype(np.int64)
        if self._by_place:
            places = places[moved[places]]
        else:
            order = order[has[order]]
        self._shifts = np.ascontiguousarray(shifts[places])
        self._narrow = self._shifts.astype(np.float32)
        by_slice = labels[order].tocsc()
        self._slices = by_slice.shape[1]
        fractions = by_slice.copy()
        fractions.data = np.where(fractions.data == 1.0, 0.0, fractions.data)
        self._soft = np.flatnonzero(fractions.sum(axis=0))
        self._hard = np.setdiff1d(np.arange(self._slices), self._soft)
        self._degrees = by_slice[:, self._soft].T.tocsr()
        hard = by_slice[:, self._hard]
        self._few_labels = hard.nnz * _SPARSE <= hard.shape[0] * hard.shape[1]
        self._dealt = Dealt(hard.tocsr()) if self._by_place and self._few_labels else None
        # Items x slices to take rows from where places are given items, else slices x items to multiply.
        self._member = np.zeros((0, 0), dtype=np.float32)
        if not self._few_labels:
            self._member = np.ascontiguousarray((hard if self._by_place else hard.T).toarray(), dtype=np.float32)
        self._of_slices = hard
        drawn = int(self.wanted.sum())
        if self._few_labels:
            self.width = max(drawn, 2 * self._slices * shifts.shape[1])
        else:
            self.width = drawn * (len(self._hard) + 1 if self._by_place else shifts.shape[1])

    def under(self, places: Places) -> Floats:
        """Slices x permutations x (statistics x cohorts), for what was drawn: wanted x permutations."""
        rows, columns = places.shape[1], self._shifts.shape[1]
        sums = np.empty((self._slices, rows, columns))
        if len(self._hard):
            sums[self._hard] = self._hard_sums(places)
        if len(self._soft):
            for row in range(rows):
                drawn = places[:, row]
                if self._by_place:
                    sums[self._soft, row] = self._degrees[:, drawn] @ self._shifts
                else:
                    sums[self._soft, row] = self._degrees @ self._shifts[drawn]
        return sums

    def _hard_sums(self, places: Places) -> Narrow:
        if self._dealt is not None:
            return np.concatenate(list(self._dealt.each(places.T, self._narrow)), axis=1)
        if self._by_place:
            rows, slices = places.shape[1], self._member.shape[1]
            given = self._member.take(places, axis=0).reshape(len(places), rows * slices)
            return (given.T @ self._narrow).reshape(rows, slices, -1).transpose(1, 0, 2)
        return self._sparse(places) if self._few_labels else self._dense(places)

    def _sparse(self, places: Places) -> Narrow:
        """The product of slices x items and what items get, a few permutations at a time, as sparse rows."""
        member, slices = self._of_slices, len(self._hard)
        parts = []
        for first in range(0, places.shape[1], TOGETHER):
            few = places[:, first : first + TOGETHER]
            count = few.shape[1]
            starts = (np.arange(count) * member.nnz)[:, None] + member.indptr[:-1]
            ends = np.append(starts.ravel(), count * member.nnz)
            ones = np.ones(count * member.nnz, dtype=np.float32)
            rows = sparse.csr_array(
                (ones, few.T[:, member.indices].ravel(), ends), shape=(count * slices, len(self._narrow))
            )
            parts.append(np.asarray(rows @ self._narrow).reshape(count, slices, -1).transpose(1, 0, 2))
        return np.concatenate(parts, axis=1)

    def _dense(self, places: Places) -> Narrow:
        rows, columns = places.shape[1], self._narrow.shape[1]
        if columns <= _FEW_COLUMNS:  # taking single numbers is faster than taking short rows
            taken = [np.ascontiguousarray(column).take(places) for column in self._narrow.T]
            if self._member.all():  # as where there is one slice: nothing to multiply, and no threads to wait for
                return np.stack([each.sum(axis=0, keepdims=True) for each in taken], axis=2)
            return np.stack([self._member @ each for each in taken], axis=2)
        moved = self._narrow.take(places, axis=0).reshape(-1, rows * columns)
        return (self._member @ moved).reshape(-1, rows, columns)


def _row_hash(shifts: Floats) -> Integers:
    """A number for each row of whole numbers, exact, so that rows can be ordered whatever their order is."""
    factors = keyed(0, "shift order").integers(1 << 62, size=shifts.shape[1]) | 1
    total = np.zeros(len(shifts), dtype=np.int64)
    for column, factor in zip(shifts.T, factors, strict=True):
        total += column.astype(np.int64) * factor  # wraps around, which is as good an order
    return total


def _orientation(shifts: Floats, codes: Integers) -> float:
    """1 or -1, the other way round for ``-shifts``, whatever the order of items; 1 where strata hold the same of both.

    Whole rows are compared, since columns may each be the same both ways and the items that make them up not.
    """
    rows = _row_hash(shifts)
    forth, back = (each[np.lexsort((each, codes))] for each in (rows, -rows))
    unequal = np.flatnonzero(forth != back)
    return -1.0 if len(unequal) and forth[unequal[0]] < back[unequal[0]] else 1.0
