# SPDX-License-Identifier: Apache-2.0
"""Conjunctions of conditions on items or on users: which there are, and who meets them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from behavior._attributes import each_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from behavior._attributes import Attributes, Value

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

MOST_CONDITIONS = 300
_LARGEST = 0.6  # of the rows: what nearly all meet moves as the rest moves the other way


class Condition(NamedTuple):
    """One column has one value."""

    column: str
    value: Value

    @property
    def words(self) -> str:
        """As the panel's slices by ``each`` are named: ``outlet=rt``."""
        return f"{self.column}={str(self.value).lower() if isinstance(self.value, bool) else self.value}"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Single conditions and who meets each: rows x conditions, zeros and ones. ``everywhere`` are rows of the table.

    ``left`` names what is not searched: columns that are no categories, and conditions beyond the limit.
    """

    names: tuple[Condition, ...]
    meets: sparse.csc_array
    everywhere: tuple[Integers, ...]
    left: tuple[str, ...]

    def all_rows(self, parts: Sequence[int], height: int) -> Integers:
        """Rows of the whole table that meet a conjunction, ascending; all ``height`` of them for the empty one."""
        rows = np.arange(height, dtype=np.int64)
        for part in parts:
            rows = rows[np.isin(rows, self.everywhere[part])]
        return np.asarray(rows)


@dataclass(frozen=True, slots=True)
class Conjunctions:
    """Conjunctions as tuples of condition numbers, ascending, and who meets each: rows x conjunctions."""

    parts: tuple[tuple[int, ...], ...]
    meets: sparse.csc_array

    @property
    def sizes(self) -> Integers:
        """How many rows meet each."""
        return np.asarray(np.diff(self.meets.indptr), dtype=np.int64)

    def kept(self, which: Flags) -> Conjunctions:
        """Some of them."""
        numbers = np.flatnonzero(which)
        return Conjunctions(tuple(self.parts[number] for number in numbers), self.meets[:, numbers])


def conditions(columns: Attributes, height: int, rows: Integers, *, least: int) -> Conditions:
    """The conditions that at least ``least`` of ``rows`` meet and at most 60 % of them, without those met by the same.

    The 300 met by most are kept, in order of column and value.
    """
    position = np.full(height, -1, dtype=np.int64)
    position[rows] = np.arange(len(rows))
    names: list[Condition] = []
    members: list[Integers] = []
    everywhere: list[Integers] = []
    known: set[bytes] = set()
    for name, value, of_value in each_value(columns.found):
        inside = np.sort(position[of_value][position[of_value] >= 0])
        if not least <= len(inside) <= _LARGEST * len(rows) or inside.tobytes() in known:
            continue
        known.add(inside.tobytes())
        names.append(Condition(name, value))
        members.append(inside)
        everywhere.append(of_value)
    kept = np.sort(np.argsort([-len(inside) for inside in members], kind="stable")[:MOST_CONDITIONS])
    more = len(members) - len(kept)
    return Conditions(
        tuple(names[number] for number in kept),
        _columns([members[number] for number in kept], len(rows)),
        tuple(everywhere[number] for number in kept),
        (*columns.left, *([f"{more} conditions that the fewest meet"] if more else [])),
    )


def singles(found: Conditions) -> Conjunctions:
    """Every condition by itself."""
    return Conjunctions(tuple((number,) for number in range(len(found.names))), found.meets)


def extended(found: Conditions, shorter: Conjunctions, *, least: int) -> Conjunctions:
    """Each conjunction with one more condition, of another column, that at least ``least`` rows meet and some fail.

    What every row of the shorter one meets adds nothing and is left out, as is what is there already.
    """
    common = (shorter.meets.T @ found.meets).tocoo()
    sizes = shorter.sizes
    parts: list[tuple[int, ...]] = []
    pairs: list[tuple[int, int]] = []
    known: set[tuple[int, ...]] = set()
    for first, second, number in zip(common.row, common.col, common.data, strict=True):
        there = shorter.parts[first]
        if number < least or number == sizes[first] or second in there:
            continue
        if found.names[second].column in {found.names[part].column for part in there}:
            continue
        joined = tuple(sorted((*there, int(second))))
        if joined not in known:
            known.add(joined)
            parts.append(joined)
            pairs.append((int(first), int(second)))
    order = sorted(range(len(parts)), key=parts.__getitem__)
    if not order:
        return Conjunctions((), sparse.csc_array((found.meets.shape[0], 0)))
    left, right = np.array([pairs[number] for number in order]).T
    meets = sparse.csc_array(shorter.meets[:, left].multiply(found.meets[:, right]))
    meets.eliminate_zeros()
    return Conjunctions(tuple(parts[number] for number in order), meets)


def stacked(parts: Iterable[Conjunctions], rows: int) -> Conjunctions:
    """Several sets of conjunctions as one."""
    there = list(parts)
    names = tuple(itertools.chain.from_iterable(each.parts for each in there))
    matrices = [each.meets for each in there if each.meets.shape[1]]
    if not matrices:
        return Conjunctions((), sparse.csc_array((rows, 0)))
    return Conjunctions(names, sparse.csc_array(sparse.hstack(matrices, format="csc")))


def _columns(members: Sequence[Integers], rows: int) -> sparse.csc_array:
    indptr = np.concatenate([[0], np.cumsum([len(inside) for inside in members])]).astype(np.int64)
    indices = np.concatenate([*members, np.zeros(0, dtype=np.int64)])
    return sparse.csc_array((np.ones(len(indices)), indices, indptr), shape=(rows, len(members)))
