# SPDX-License-Identifier: Apache-2.0
"""The discovery probe: which slices that nobody named moved, and for whom?

Conjunctions of at most three conditions on items and users are searched on one half of the items and users: all
single conditions and pairs of item attributes, triples by beam, each for everyone and for groups of users. What stands
out most is carried over and tested on the other half of both, with labels permuted among comparable items as in
``churn``. A half of the users alone would confirm nothing, since all users share the items' churn.

Items that the same users like move together in a retrain, in both halves alike, and labels such as topics follow
tastes. The directions of common taste are therefore taken out of shifts and labels before labels are permuted (Freedman
and Lane 1983): what is confirmed is beyond what tastes explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._conjunctions import Conditions, Conjunctions, conditions, extended, singles, stacked
from behavior._exploratory import Found, apart, exploratory_cells, holm
from behavior._probed import Probed
from behavior._random import keyed
from behavior._traces import Traces, centred, item_halves, permuted_rows, stratify, tamed, traces, user_halves
from behavior.audits import ProbeResult
from behavior.churn import null_moments
from behavior.exposure import REACH_DEGREE
from evidence import CellVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior.cells import Cell
    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

PROBE = "discovery"
DEEPEST = 3  # conditions in one hypothesis
CARRIED = 10  # hypotheses that are carried over
PERMUTATIONS = 9999  # at most, for what seems certain
_ENOUGH = 50  # permutations that reach what was observed: the answer is no, and more would only say it again
FEWEST_ITEMS = 8  # of a slice, shown, in each half
FEWEST_USERS = 30  # of a group, in each half
_BEAM = 200  # pairs of item conditions that are tried with a third
_MOST_GROUPS = 250
_NOTABLE = 2.5  # |z| in the search below which nothing is carried over
_SAME = 0.4  # of items, or of users, in common: two slices, or groups, that count as one
_GROUPS_A_SLICE = 2
_MOVED = (CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED, CellVerdict.SHIFTED)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A hypothesis carried over: which slice and group, by which statistic, and its ``z`` in the search."""

    slice_: int
    group: int
    statistic: str
    z: float


@dataclass(frozen=True)
class _Space:
    """What is searched: conditions and conjunctions on shown items, and groups of users."""

    items: Conditions
    users: Conditions
    groups: Conjunctions
    halves: tuple[Integers, Integers]  # positions of items
    user_halves: tuple[Integers, Integers]
    known: Integers
    tastes: Floats


def discovery(panel: Panel, base: Slates, head: Slates, primary: Sequence[Cell]) -> Probed:
    """Search, carry over, confirm. Base and head answer the same requests.

    Items of declared slices that moved (``primary``) are compared among themselves and the others among themselves, so
    that what is found is beyond what the panel's own cells show already.
    """
    found = traces(panel, base, head)
    if not _any_moved(found):
        nothing = "No slate differs: nothing to search."
        return Probed(ProbeResult(PROBE, run=True, summary=nothing, searched=_searched(0)))
    space = _space(panel, found, primary)
    if not space.items.names:
        return Probed(ProbeResult(PROBE, run=False, reason=f"no item attribute tells {FEWEST_ITEMS} shown items apart"))
    slices, candidates, looked = _search(panel, found, space)
    chances = _confirm(panel, found, space, slices, candidates)
    adjusted = holm(chances)
    confirmed = [
        _found(panel, found, space, slices, candidate, (chance, adjusted_p))
        for candidate, chance, adjusted_p in zip(candidates, chances, adjusted, strict=True)
        if adjusted_p <= panel.toml.alpha
    ]
    told = apart(confirmed)
    cells = exploratory_cells(panel, base, head, PROBE, told)
    summary = (
        f"{looked:,} hypotheses searched on half of {len(found.items):,} shown items and {len(found.users):,} users;"
        f" {len(candidates)} carried over to the other half of both; {len(confirmed)} confirmed"
    )
    if len(told) < len(confirmed):
        summary += f", {len(told)} shown: the others lie within them or around them"
    words = [
        {
            "slice": _slice_name(space, slices, candidate),
            "cohort": _cohort(space, candidate),
            "search_z": round(candidate.z, 3),
            "statistic": candidate.statistic,
            "p": chance,
            "adjusted_p": adjusted_p,
        }
        for candidate, chance, adjusted_p in zip(candidates, chances, adjusted, strict=True)
    ]
    searched = _searched(looked, words, (*space.items.left, *space.users.left))
    return Probed(ProbeResult(PROBE, run=True, summary=f"{summary}.", searched=searched), cells)


def _searched(looked: int, carried: Sequence[Any] = (), left: Sequence[str] = ()) -> dict[str, Any]:
    return {"hypotheses": looked, "carried": list(carried), "left_out": list(left)}


def _any_moved(found: Traces) -> bool:
    return any((before != after).nnz for before, after in found.sides.values())


def _space(panel: Panel, found: Traces, primary: Sequence[Cell]) -> _Space:
    items = conditions(panel.item_attributes, panel.items.height, found.items, least=2 * FEWEST_ITEMS)
    users = conditions(panel.user_attributes, panel.users.height, found.users, least=2 * FEWEST_USERS)
    alone = singles(users)
    groups = stacked([alone, extended(users, alone, least=2 * FEWEST_USERS)], len(found.users))
    largest = np.argsort(-groups.sizes, kind="stable")[:_MOST_GROUPS]
    groups = groups.kept(np.isin(np.arange(len(groups.parts)), largest))
    everyone = Conjunctions(((),), sparse.csc_array(np.ones((len(found.users), 1))))
    signature = np.asarray(users.meets @ keyed(0, "user order").random(len(users.names)))
    _, codes = np.unique(signature, return_inverse=True)
    return _Space(
        items=items,
        users=users,
        groups=stacked([everyone, groups], len(found.users)),
        halves=item_halves(panel, found, PROBE),
        user_halves=user_halves(panel, found, codes.astype(np.int64), PROBE),
        known=_known(panel, found, primary),
        tastes=found.tastes(),
    )


def _known(panel: Panel, found: Traces, primary: Sequence[Cell]) -> Integers:
    """One code an item: which of the declared slices that moved it belongs to."""
    moved = {cell.slice for cell in primary if cell.family == "primary" and cell.verdict in _MOVED}
    codes = np.zeros(len(found.items), dtype=np.int64)
    for column, declared in enumerate(panel.slices):
        if declared.name in moved:
            inside = panel.membership[:, [column]].toarray().ravel()[found.items] >= REACH_DEGREE
            _, codes = np.unique(codes * 2 + inside, return_inverse=True)
    return codes.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Half:
    """One half: shifts of its items among its users by statistic, items x groups, tamed; and strata.

    ``tastes`` is an orthonormal basis, within strata, of what is taken out.
    """

    items: Integers
    codes: Integers
    tastes: Floats
    shifts: dict[str, Floats]

    def beyond_tastes(self, values: Floats) -> Floats:
        """Values, one row an item, less their strata's means and what tastes explain."""
        rest = centred(values, self.codes)
        return np.asarray(rest - self.tastes @ (self.tastes.T @ rest))


def _half(panel: Panel, found: Traces, space: _Space, which: int, groups: Integers) -> _Half:
    items = space.halves[which]
    inside = np.zeros(len(found.users), dtype=np.bool_)
    inside[space.user_halves[which]] = True
    codes = stratify(panel, found, items, inside, space.known[items])
    members = sparse.csr_array(space.groups.meets[:, groups].T.multiply(inside[None, :]).astype(np.int64))
    basis, _ = np.linalg.qr(centred(space.tastes[items], codes))
    half = _Half(items, codes, basis, {})
    for name in found.sides:
        half.shifts[name] = half.beyond_tastes(tamed(found.shifts(members, name)[items], codes))
    return half


def _search(panel: Panel, found: Traces, space: _Space) -> tuple[Conjunctions, list[_Candidate], int]:
    """The slices looked at, the hypotheses to carry over, strongest first, and how many were looked at."""
    depth = np.array([len(parts) for parts in space.groups.parts])
    half = _half(panel, found, space, 0, np.arange(len(depth)))
    one = _supported(singles(space.items), space)
    two = _supported(extended(space.items, one, least=2 * FEWEST_ITEMS), space)
    everyone = np.flatnonzero(depth == 0)
    pairs = _scores(two, half, everyone)
    beam = two.kept(np.isin(np.arange(len(two.parts)), np.argsort(-_strongest(pairs), kind="stable")[:_BEAM]))
    three = _supported(extended(space.items, beam, least=2 * FEWEST_ITEMS), space)
    looked: list[tuple[float, int, int, str, float]] = []
    hypotheses, offset = 0, 0
    for slices, size in ((one, 1), (two, 2), (three, 3)):
        groups = np.flatnonzero(depth <= DEEPEST - size)
        hypotheses += len(slices.parts) * len(groups)
        for statistic, z in _scores(slices, half, groups).items():
            for row, column in np.argwhere(np.abs(z) >= _NOTABLE):
                value = float(f"{z[row, column]:.9g}")
                looked.append((-abs(value), offset + int(row), int(groups[column]), statistic, value))
        offset += len(slices.parts)
    slices = stacked([one, two, three], len(found.items))
    return slices, _distinct(sorted(looked), slices, space), hypotheses


def _supported(slices: Conjunctions, space: _Space) -> Conjunctions:
    """Slices with enough items in each half."""
    sizes = [np.asarray(sparse.csr_array(slices.meets)[half].sum(axis=0)).ravel() for half in space.halves]
    return slices.kept((sizes[0] >= FEWEST_ITEMS) & (sizes[1] >= FEWEST_ITEMS))


def _scores(slices: Conjunctions, half: _Half, groups: Integers) -> dict[str, Floats]:
    """The studentised shift of each slice in each group, by statistic: slices x groups."""
    labels = sparse.csr_array(sparse.csr_array(slices.meets)[half.items])
    scores = {}
    for statistic, shifts in half.shifts.items():
        of_groups = shifts[:, groups]
        expected, spread = null_moments(labels, of_groups, half.codes)
        size = np.abs(labels).T @ np.abs(of_groups)
        real = spread > 1e-9 * size
        scores[statistic] = np.where(real, (labels.T @ of_groups - expected) / np.where(real, spread, 1.0), 0.0)
    return scores


def _strongest(scores: dict[str, Floats]) -> Floats:
    return np.asarray(np.round(np.max([np.abs(z).max(axis=1, initial=0.0) for z in scores.values()], axis=0), 9))


def _distinct(
    looked: Sequence[tuple[float, int, int, str, float]], slices: Conjunctions, space: _Space
) -> list[_Candidate]:
    """The strongest that differ from each other in items or in users; one slice for at most two groups."""
    kept: list[_Candidate] = []
    for _, slice_, group, statistic, z in looked:
        alike = [each for each in kept if _jaccard(slices.meets, slice_, each.slice_) >= _SAME]
        nearby = any(_jaccard(space.groups.meets, group, each.group) >= _SAME for each in alike)
        if len(alike) < _GROUPS_A_SLICE and not nearby:
            kept.append(_Candidate(slice_, group, statistic, z))
        if len(kept) == CARRIED:
            break
    return kept


def _jaccard(meets: sparse.csc_array, first: int, second: int) -> float:
    left, right = (meets.indices[meets.indptr[column] : meets.indptr[column + 1]] for column in (first, second))
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / max(1, len(left) + len(right) - common)


def _confirm(
    panel: Panel, found: Traces, space: _Space, slices: Conjunctions, candidates: Sequence[_Candidate]
) -> list[float]:
    """One-sided p of each candidate in the direction found, on the other half: labels permuted within strata."""
    if not candidates:
        return []
    half = _half(panel, found, space, 1, np.array([candidate.group for candidate in candidates]))
    labels = half.beyond_tastes(
        np.asarray(sparse.csr_array(slices.meets[:, [each.slice_ for each in candidates]])[half.items].todense())
    )
    shifts = np.column_stack(
        [np.sign(each.z) * half.shifts[each.statistic][:, column] for column, each in enumerate(candidates)]
    )
    observed = (labels * shifts).sum(axis=0)
    slack = 1e-9 * np.abs(shifts).sum(axis=0)
    free = max(1, len(half.items) - half.tastes.shape[1])
    order = np.argsort(half.codes, kind="stable")
    labels, shifts = labels[order], shifts[order] * np.sqrt(len(half.items) / free)  # residuals are too small by this
    reached, drawn = np.zeros(len(candidates)), np.zeros(len(candidates))
    for rows in permuted_rows(half.codes[order], PERMUTATIONS, panel.toml.seed, PROBE):
        for column in np.flatnonzero(reached < _ENOUGH):
            sums = labels[:, column][rows] @ shifts[:, column]
            reached[column] += (sums >= observed[column] - slack[column]).sum()
            drawn[column] += len(rows)
        if (reached >= _ENOUGH).all():
            break
    return [float(value) for value in (1.0 + reached) / (drawn + 1.0)]


def _found(
    panel: Panel,
    found: Traces,
    space: _Space,
    slices: Conjunctions,
    candidate: _Candidate,
    chances: tuple[float, float],
) -> Found:
    """A confirmed hypothesis over all items and users of the panel."""
    items = space.items.all_rows(slices.parts[candidate.slice_], panel.items.height)
    unseen = _unseen(found, space, slices, candidate)
    ratio = unseen[1] / unseen[0] if unseen[0] > 0 else None
    shown = "none in base" if ratio is None else f"ratio {ratio:.3f}"
    return Found(
        slice_=_slice_name(space, slices, candidate),
        items=items,
        degrees=np.ones(len(items)),
        cohort=tuple(_cohort(space, candidate).items()),
        users=space.users.all_rows(space.groups.parts[candidate.group], panel.users.height),
        p=chances[0],
        adjusted_p=chances[1],
        statistic=candidate.statistic,
        direction=int(np.sign(candidate.z)),
        unseen_ratio=ratio,
        unseen_gain=unseen[1] - unseen[0],
        words=f"found by searching; on the half of items and users that the search did not see: {shown}",
    )


def _unseen(found: Traces, space: _Space, slices: Conjunctions, candidate: _Candidate) -> tuple[float, float]:
    """What base and head gave on the other half of items and users."""
    items, users = (
        np.isin(np.arange(matrix.shape[0]), half[1]) * np.asarray(matrix[:, [column]].todense()).ravel()
        for matrix, half, column in (
            (slices.meets, space.halves, candidate.slice_),
            (space.groups.meets, space.user_halves, candidate.group),
        )
    )
    before, after = (float(users @ (side @ items)) for side in found.sides["top"])
    return before, after


def _slice_name(space: _Space, slices: Conjunctions, candidate: _Candidate) -> str:
    return " & ".join(space.items.names[part].words for part in slices.parts[candidate.slice_])


def _cohort(space: _Space, candidate: _Candidate) -> dict[str, Any]:
    return {
        space.users.names[part].column: space.users.names[part].value for part in space.groups.parts[candidate.group]
    }
