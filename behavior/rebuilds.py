# SPDX-License-Identifier: Apache-2.0
"""Rebuilds: builds of base and of head that differ from the shipped ones in seed only, and what they settle.

One build of each side cannot tell a small lift from the luck of a seed. With ``n_B`` builds of base and ``n_H`` of head
(the shipped ones count) exposures become means over builds, item shifts average out before labels are permuted, and
the variance of ``ln rho`` from churn is ``s² (1/n_B + 1/n_H)``, where ``s²`` is what builds of one side differ by,
pooled over both sides, with Student quantiles at ``n_B + n_H - 2`` degrees of freedom.

Sums of builds are multiplied by the other side's number of builds, so that they stay whole numbers and comparable.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._overlaps import Overlaps, overlaps
from behavior._tally import MANY_EXPOSED, REACH_DEGREE, cohorts_of_users
from behavior.exposure import ItemSums, Measured, Moments, measure
from behavior.slates import require_same_requests

if TYPE_CHECKING:
    from scipy import sparse

    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Rebuilds:
    """Slates of other builds of base and of head, in any order; the shipped builds are not among them."""

    base: tuple[Slates, ...] = ()
    head: tuple[Slates, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.base or self.head)


@dataclass(frozen=True, slots=True)
class Builds:
    """All builds measured. The first of each side is the shipped one.

    ``pooled`` is the comparison of means over builds; its whole numbers are ``multiple`` times those of a single pair.
    ``shares`` and ``reaches`` are each build's means, builds x slices x cohorts, base's and head's.
    ``sums`` are the item sums of single builds, on the items of ``pooled``; ``overlaps`` are described in
    ``Overlaps``.
    """

    pooled: Measured
    multiple: int
    shares: tuple[Floats, Floats]
    reaches: tuple[Floats, Floats]
    sums: tuple[tuple[ItemSums, ...], tuple[ItemSums, ...]]
    overlaps: Overlaps

    @property
    def counts(self) -> tuple[int, int]:
        """How many builds there are of base and of head."""
        return len(self.shares[0]), len(self.shares[1])

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the churn variance; zero where no side has two builds."""
        return sum(self.counts) - 2


@dataclass(frozen=True, slots=True)
class Variation:
    """How builds of one side differ: standard deviations of ``ln mean`` and of the mean, slices x cohorts.

    ``relative`` is infinite where a build shows none of the slice.
    """

    relative: Floats
    absolute: Floats


def measure_builds(panel: Panel, base: Slates, head: Slates, rebuilds: Rebuilds) -> Builds:
    """Measure every build against the same users.

    Raises:
        SlatesError: a rebuild does not answer the requests that the shipped builds answer.
    """
    sides = ((base, *rebuilds.base), (head, *rebuilds.head))
    for name, builds in zip(("base", "head"), sides, strict=True):
        for number, build in enumerate(builds[1:], 1):
            require_same_requests(base, build, panel, ("base", f"{name} rebuild {number}"))
    longest = max(map(len, sides))
    pairs = [
        measure(panel, *(side[min(index, len(side) - 1)] for side in sides), by_user=True) for index in range(longest)
    ]
    items = np.unique(np.concatenate([pair.sums.items for pair in pairs]))
    sums = tuple(
        tuple(_on(items, pairs[index].sums, which) for index in range(len(side))) for which, side in enumerate(sides)
    )
    counts = [len(side) for side in sides]
    values = [
        np.sum([_values(pairs[index], which) for index in range(len(side))], 0) for which, side in enumerate(sides)
    ]
    seen = [_seen(panel, side) for side in sides]
    weighted = [total * counts[1 - which] for which, total in enumerate(values)]
    reached = [total * float(counts[1 - which]) for which, total in enumerate(seen)]
    multiple = counts[0] * counts[1]
    first = pairs[0]
    users = np.maximum(first.users, 1)[:, None]
    shares, reaches = [], []
    for which, side in enumerate(sides):
        measured = [pairs[index] for index in range(len(side))]
        shares.append(np.array([_mean(pair.exposure, which) / users / pair.unit for pair in measured]).swapaxes(1, 2))
        reaches.append(np.array([_mean(pair.reach, which) / users for pair in measured]).swapaxes(1, 2))
    members = cohorts_of_users(panel)[np.unique(base.user.astype(np.int64))].T.tocsr()
    exposure = _moments(members, weighted[0], weighted[1])
    pooled = Measured(
        unit=first.unit * multiple,
        users=first.users,
        changed=first.changed,
        sums=_added(items, sums, (counts[0], counts[1])),
        exposure=exposure,
        reach=_moments(members, reached[0] / multiple, reached[1] / multiple),
        few=_few(members, exposure.exposed, weighted[0], weighted[1]),
    )
    return Builds(
        pooled=pooled,
        multiple=multiple,
        shares=(shares[0], shares[1]),
        reaches=(reaches[0], reaches[1]),
        sums=(sums[0], sums[1]),
        overlaps=overlaps(*sides),
    )


def variation(sides: tuple[Floats, Floats]) -> Variation:
    """The pooled standard deviation of builds within their side; zeros without a second build of either.

    Args:
        sides: base's and head's means of each build, builds x slices x cohorts.
    """
    freedom = max(sum(len(side) for side in sides) - 2, 1)
    nothing = np.any([(side <= 0).any(axis=0) for side in sides], axis=0)
    squares, log_squares = np.zeros(sides[0].shape[1:]), np.zeros(sides[0].shape[1:])
    for side in sides:
        logs = np.log(np.where(side > 0, side, 1.0))
        squares += ((side - side.mean(axis=0)) ** 2).sum(axis=0)
        log_squares += ((logs - logs.mean(axis=0)) ** 2).sum(axis=0)
    absolute = np.sqrt(squares / freedom)
    return Variation(np.where(nothing & (absolute > 0), np.inf, np.sqrt(log_squares / freedom)), absolute)


def within_pairs(builds: Builds) -> list[ItemSums]:
    """Item sums of neighbouring builds of one side, as if one were base and the other head: what churn alone does."""
    pairs = []
    for side in builds.sums:
        for earlier, later in pairwise(side):
            pairs.append(
                ItemSums(
                    items=builds.pooled.sums.items,
                    top=(earlier.top[0], later.top[0]),
                    deep=_second(earlier.deep, later.deep),
                    seen=(earlier.seen[0], later.seen[0]),
                    middle=_second(earlier.middle, later.middle),
                )
            )
    return pairs


def _second(
    earlier: tuple[Integers, Integers] | None, later: tuple[Integers, Integers] | None
) -> tuple[Integers, Integers] | None:
    return None if earlier is None or later is None else (earlier[0], later[0])


def _on(items: Integers, sums: ItemSums, which: int) -> ItemSums:
    """One side's sums as both sides of item sums, on a longer list of items."""
    place = np.searchsorted(items, sums.items)

    def spread(sides: tuple[Integers, Integers]) -> tuple[Integers, Integers]:
        whole = np.zeros((sides[which].shape[0], len(items)), dtype=np.int64)
        whole[:, place] = sides[which]
        return whole, whole

    return ItemSums(
        items=items,
        top=spread(sums.top),
        deep=None if sums.deep is None else spread(sums.deep),
        seen=spread(sums.seen),
        middle=None if sums.middle is None else spread(sums.middle),
    )


def _added(items: Integers, sums: tuple[tuple[ItemSums, ...], ...], counts: tuple[int, int]) -> ItemSums:
    """Both sides' sums over builds, each times the other side's number of builds."""
    everything = [build for side in sums for build in side]

    def total(name: str) -> tuple[Integers, Integers]:
        base, head = (
            np.sum([getattr(build, name)[0] for build in side], axis=0) * counts[1 - which]
            for which, side in enumerate(sums)
        )
        return base, head

    def there(name: str) -> tuple[Integers, Integers] | None:
        return None if any(getattr(build, name) is None for build in everything) else total(name)

    return ItemSums(items=items, top=total("top"), deep=there("deep"), seen=total("seen"), middle=there("middle"))


def _mean(moments: Moments, which: int) -> Floats:
    return moments.base if which == 0 else moments.base + moments.gain


def _values(pair: Measured, which: int) -> Floats:
    return np.zeros((0, 0)) if pair.values is None else pair.values[which]


def _few(members: sparse.csr_array, exposed: Integers, base: Floats, head: Floats) -> dict[tuple[int, int], Floats]:
    """The exposed users' exposures of each cell (cohort, slice) that has few of them."""
    found = {}
    for cohort, slice_ in np.argwhere((exposed > 0) & (exposed < MANY_EXPOSED)).tolist():
        users = members.indices[members.indptr[cohort] : members.indptr[cohort + 1]]
        values = np.column_stack([base[users, slice_], head[users, slice_]])
        found[cohort, slice_] = values[(values > 0).any(axis=1)]
    return found


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


def _seen(panel: Panel, side: tuple[Slates, ...]) -> Floats:
    """Covered users x slices: in how many builds the user sees at least one item of the slice among the first k."""
    _, row = np.unique(side[0].user, return_inverse=True)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    belongs = panel.membership.tocsc()
    total = np.zeros((len(starts), len(panel.slices)))
    for slice_ in range(len(panel.slices)):
        of_slice = np.zeros(panel.items.height, dtype=bool)
        inside = slice(belongs.indptr[slice_], belongs.indptr[slice_ + 1])
        of_slice[belongs.indices[inside]] = belongs.data[inside] >= REACH_DEGREE
        for build in side:
            total[:, slice_] += np.maximum.reduceat(of_slice[build.top].any(axis=1), starts)
    return total
