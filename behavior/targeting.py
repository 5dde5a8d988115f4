# SPDX-License-Identifier: Apache-2.0
"""The targeting probe: does the shift of a slice differ between groups of users?

A lift that is the same for all shows in every cohort; this probe looks at what one group got beyond what all got. Two
null hypotheses must both be rejected. Items: what a group got beyond its part of each item's own shift has nothing to
do with labels, so labels are permuted among comparable items. Users: what a user got beyond the part that the slice's
shift for everyone gives has nothing to do with the group, so users change groups. A retrain moves items that one group
likes, which the first covers; a few users may move much by chance, which the second covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._attributes import each_value
from behavior._dealt import TOGETHER, Dealt
from behavior._exploratory import Found, exploratory_cells
from behavior._probed import Probed
from behavior._random import keyed
from behavior._traces import Traces, permuted_rows, stratify, traces
from behavior.audits import ProbeResult
from behavior.churn import null_moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior._exploratory import Key
    from behavior.cells import Cell
    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

PROBE = "targeting"
FEWEST_USERS = 30  # of a group, and outside it
PERMUTATIONS = 1000
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class _Group:
    """Users who share a value, declared as a cohort or found in the users' columns: row numbers of the panel."""

    key: Key
    users: Integers


@dataclass(frozen=True, slots=True)
class _Tested:
    """Studentised interaction and its max-T p over all cells: (slices x groups) x statistics."""

    z: Floats
    adjusted_p: Floats


def targeting(panel: Panel, base: Slates, head: Slates, primary: Sequence[Cell]) -> Probed:
    """Test every primary slice in every declared cohort and every value of the users' columns.

    Base and head answer the same requests. A cell is there for each slice and group whose interaction both nulls
    reject at alpha, over all slices, groups and statistics; its p is the larger of the two.
    """
    chosen = [number for number, declared in enumerate(panel.slices) if declared.family == "primary"]
    if not chosen:
        return Probed(ProbeResult(PROBE, run=False, reason="the panel declares no slices"))
    found = traces(panel, base, head)
    groups = _groups(panel, found)
    if not groups:
        return Probed(
            ProbeResult(PROBE, run=False, reason=f"no column of the users tells groups of {FEWEST_USERS} or more apart")
        )
    labels = sparse.csr_array(panel.membership[:, chosen][found.items])
    members = _members(panel, found, groups)
    by_items = _by_items(panel, found, labels, members)
    by_users = _by_users(panel, found, labels, members)
    both = np.maximum(by_items.adjusted_p, by_users.adjusted_p)
    both[np.sign(by_items.z) != np.sign(by_users.z)] = 1.0
    best = both.argmin(axis=2)
    chances = np.take_along_axis(both, best[:, :, None], axis=2)[:, :, 0]
    signs = np.sign(np.take_along_axis(by_users.z, best[:, :, None], axis=2)[:, :, 0]).astype(int)
    statistics = list(found.sides)
    confirmed = [
        _found(
            panel,
            chosen[row],
            groups[column],
            float(chances[row, column]),
            statistics[best[row, column]],
            signs[row, column],
        )
        for row, column in np.argwhere(chances <= panel.toml.alpha)
    ]
    cells = _leading(exploratory_cells(panel, base, head, PROBE, confirmed), primary)
    summary = (
        f"{len(chosen) * len(groups):,} pairs of a slice and a group of users; {PERMUTATIONS:,} permutations of users'"
        f" groups and of items' labels; the shift differs in {len(confirmed)}"
    )
    if len(cells) < len(confirmed):
        summary += f", {len(cells)} shown: those that moved most and more than everyone"
    searched = {"pairs": len(chosen) * len(groups), "groups": len(groups), "permutations": PERMUTATIONS}
    return Probed(ProbeResult(PROBE, run=True, summary=f"{summary}.", searched=searched), cells)


def _leading(cells: Sequence[Cell], primary: Sequence[Cell]) -> tuple[Cell, ...]:
    """Of each slice the group that got most beyond everyone's shift, and the one that got least, if it moved itself.

    Where one group is lifted, all others got less than everyone on average: that is the same finding again.
    """
    whole = {cell.slice: cell.difference for cell in primary if not cell.cohort}
    best: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        average = whole.get(cell.slice, 0.0)
        if np.sign(cell.difference) != cell.direction or abs(cell.difference) <= abs(average):
            continue
        known = best.get((cell.slice, cell.direction))
        if known is None or abs(cell.difference - average) > abs(known.difference - average):
            best[cell.slice, cell.direction] = cell
    return tuple(cell for cell in cells if any(cell is each for each in best.values()))


def _groups(panel: Panel, found: Traces) -> list[_Group]:
    """Declared cohorts, then values of columns that no cohort has alone; large enough, and not nearly everyone."""
    everyone = len(found.users)
    groups = [_Group(cohort.key, cohort.members) for cohort in panel.cohorts if cohort.key]
    declared = {group.key for group in groups}
    for column, value, rows in each_value(panel.user_attributes.found):
        if ((column, value),) not in declared:
            groups.append(_Group(((column, value),), rows))
    sizes = [int(np.isin(group.users, found.users).sum()) for group in groups]
    return [group for group, size in zip(groups, sizes, strict=True) if FEWEST_USERS <= size <= everyone - FEWEST_USERS]


def _members(panel: Panel, found: Traces, groups: Sequence[_Group]) -> sparse.csr_array:
    position = np.full(panel.users.height, -1, dtype=np.int64)
    position[found.users] = np.arange(len(found.users))
    columns = [np.sort(position[group.users][position[group.users] >= 0]) for group in groups]
    indptr = np.concatenate([[0], np.cumsum([len(column) for column in columns])]).astype(np.int64)
    indices = np.concatenate(columns)
    return sparse.csr_array(
        (np.ones(len(indices), dtype=np.int64), indices, indptr), shape=(len(groups), len(found.users))
    )


def _by_items(panel: Panel, found: Traces, labels: sparse.csr_array, members: sparse.csr_array) -> _Tested:
    """What a group got of an item beyond its part of the item's shift for everyone, summed over a slice's items."""
    blocks = []
    for base, head in found.sides.values():
        before, after = (np.asarray((members @ side).todense(), dtype=np.float64).T for side in (base, head))
        whole = [np.asarray(side.sum(axis=0), dtype=np.float64).ravel() for side in (base, head)]
        got = whole[0] + whole[1]
        part = (before + after) / np.maximum(got, 1.0)[:, None]
        beyond = (after - before) - part * (whole[1] - whole[0])[:, None]
        blocks.append(beyond / np.sqrt(np.maximum(got, 1.0))[:, None])
    shifts = np.concatenate(blocks, axis=1)
    everyone = np.ones(len(found.users), dtype=np.bool_)
    none = np.zeros(len(found.items), dtype=np.int64)
    codes = stratify(panel, found, np.arange(len(found.items)), everyone, none)
    order = np.lexsort((found.item_keys, found.rank, codes))
    labels, shifts, codes = labels[order], shifts[order], codes[order]
    expected, spread = null_moments(labels, shifts, codes)
    inverse = _inverse(spread, abs(labels).T @ np.abs(shifts))
    z = (labels.T @ shifts - expected) * inverse
    moved = np.flatnonzero((shifts != 0).any(axis=1))
    dealt, shifts = Dealt(labels), shifts[moved]
    maxima: list[Floats] = []
    for rows in permuted_rows(codes, PERMUTATIONS, panel.toml.seed, PROBE, "items"):
        maxima += [
            np.abs((drawn - expected[:, None]) * inverse[:, None]).max(axis=(0, 2), initial=0.0)
            for drawn in dealt.each(rows[:, moved], shifts)
        ]
    return _tested(z, np.concatenate(maxima), len(blocks))


def _by_users(panel: Panel, found: Traces, labels: sparse.csr_array, members: sparse.csr_array) -> _Tested:
    """What a user got of a slice beyond the part that the slice's shift for everyone gives, summed over a group."""
    blocks = []
    for base, head in found.sides.values():
        before, after = (np.asarray((side @ labels).todense(), dtype=np.float64) for side in (base, head))
        whole = (before + after).sum(axis=0)
        rate = np.divide((after - before).sum(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
        blocks.append((after - before) - rate * (before + after))
    beyond = np.concatenate(blocks, axis=1)
    size = np.asarray(members.sum(axis=1)).ravel().astype(np.float64)
    count = float(beyond.shape[0])
    centred = beyond - beyond.mean(axis=0)
    variance = (centred**2).sum(axis=0) / (count - 1.0)
    spread = np.sqrt((size * (count - size) / count)[:, None] * variance)
    inverse = _inverse(spread, members @ np.abs(centred))
    z = (members @ centred) * inverse
    order = _user_order(beyond, members)
    centred, inside = centred[order], Dealt(members.T.tocsr()[order])
    generator = keyed(panel.toml.seed, PROBE, "users")
    maxima = np.zeros(PERMUTATIONS)
    for start in range(0, PERMUTATIONS, TOGETHER):
        number = min(TOGETHER, PERMUTATIONS - start)
        drawn = inside.sums(np.stack([generator.permutation(len(centred)) for _ in range(number)]), centred)
        maxima[start : start + number] = np.abs(drawn * inverse[:, None]).max(axis=(0, 2), initial=0.0)
    shape = (len(found.sides), labels.shape[1], len(size))
    return _tested(z.T.reshape(shape).transpose(1, 0, 2).reshape(labels.shape[1], -1), maxima, len(blocks))


def _user_order(beyond: Floats, members: sparse.csr_array) -> Integers:
    """An order of users by size of what they got beyond, then by groups: the same whichever side is base."""
    group = members.T @ keyed(0, "group order").random(members.shape[0])
    return np.lexsort((group, *np.abs(beyond).T))


def _tested(z: Floats, maxima: Floats, statistics: int) -> _Tested:
    """From slices x (statistics x groups) to slices x groups x statistics."""
    ordered = np.sort(maxima)
    below = np.searchsorted(ordered, np.abs(z) * (1.0 - _NEGLIGIBLE), side="left")
    p = (1.0 + len(ordered) - below) / (len(ordered) + 1.0)
    size, chance = (values.reshape(len(z), statistics, -1).transpose(0, 2, 1) for values in (z, np.asarray(p)))
    return _Tested(np.asarray(size, dtype=np.float64), np.asarray(chance, dtype=np.float64))


def _inverse(spread: Floats, scale: Floats) -> Floats:
    """One over the spread; 0 where it is rounding, so that such a cell says nothing."""
    real = spread > _NEGLIGIBLE * scale
    return np.asarray(np.where(real, 1.0 / np.where(real, spread, 1.0), 0.0))


def _found(panel: Panel, column: int, group: _Group, chance: float, statistic: str, sign: int) -> Found:
    members = panel.membership[:, [column]].tocoo()
    direction = "more" if sign > 0 else "less"
    return Found(
        slice_=panel.slices[column].name,
        items=members.coords[0].astype(np.int64),
        degrees=members.data.astype(np.float64),
        cohort=group.key,
        users=group.users,
        p=chance,
        adjusted_p=chance,
        statistic=statistic,
        direction=int(sign),
        unseen_ratio=None,
        unseen_gain=0.0,
        words=f"the shift differs between users: these got {direction} of it than the shift for everyone gives",
    )
