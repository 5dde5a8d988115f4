# SPDX-License-Identifier: Apache-2.0
"""How much further than permuted labels say a group of items moves by chance: unequal items, and items in common.

Permuted labels say how far items move that are alike within strata and have nothing in common. Two things widen that.

Items of a slice may vary more than the others of their strata. The variance of a sum over the slice is then estimated
from its own residuals, weighted as they count (heteroscedasticity-consistent: White 1980), and the larger of the two
variances counts.

A retrained model moves items that have something in common together: a topic, a language, an age. How much so differs
between models, and one pair of builds tells it: groups of items that the panel's attributes make, and that are no
part of the slice in question, go through the same test, and what chance is held to is as wide as what comes of them
(empirical calibration by negative controls: Schuemie, Ryan, DuMouchel, Suchard and Madigan 2014). Items of the slice
itself are left out of its controls, so that what was done to it, or to part of it, does not excuse it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from behavior.panels import Panel

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

FEWEST = 20  # items in a control group and beside it, outside the slice
MOST_ATTRIBUTES = 16  # that make control groups: those that part the items into the most
_NEGLIGIBLE = 1e-9  # of a group's movement: below it, a spread is rounding
_COLUMNS = 32  # taken at once


class Controls(NamedTuple):
    """Groups of shown items: items x groups, 0 or 1, and each group's attribute by number."""

    groups: sparse.csr_array
    attribute: Integers


def control_groups(panel: Panel, items: Integers) -> Controls:
    """The groups that the panel's item columns make (see ``attributes``), and bands of popularity.

    Columns that part the shown items in the same way count once.
    """
    found: list[Integers] = []
    for attribute in (*panel.item_attributes.found, *panel.popularity.found):
        _, first, codes = np.unique(attribute.codes[items], return_index=True, return_inverse=True)
        codes = np.argsort(np.argsort(first))[codes]  # numbered as they come: equal partitions look the same
        if len(first) > 1 and not any(np.array_equal(codes, other) for other in found):
            found.append(codes)
    found = sorted(found, key=lambda codes: (-int(codes.max()), tuple(np.sort(np.bincount(codes)))))[:MOST_ATTRIBUTES]
    if not found:
        return Controls(sparse.csr_array((len(items), 0)), np.zeros(0, dtype=np.int64))
    blocks = [_indicator(codes, int(codes.max()) + 1) for codes in found]
    number = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    return Controls(sparse.csr_array(sparse.hstack(blocks, format="csr")), number)


def controlled(controls: Controls, labels: sparse.csr_array, shifts: Floats, codes: Integers) -> tuple[Floats, Floats]:
    """Sums over attributes of the mean square of their groups' ``z``, and how many attributes: slices x columns.

    Args:
        controls: from ``control_groups``.
        labels: items x slices; an item of any degree above 0 is left out of a slice's controls.
        shifts: items x columns.
        codes: each item's stratum.
    """
    count, groups = labels.shape[1], controls.groups.shape[1]
    squares, counted = np.zeros((count, shifts.shape[1])), np.zeros((count, shifts.shape[1]))
    if not groups:
        return squares, counted
    strata = int(codes.max(initial=-1)) + 1
    inside = _indicator(codes, strata)
    places = _crossed(inside, controls.groups)
    member = labels.tocsc()
    among = _indicator(controls.attribute, int(controls.attribute.max()) + 1).T
    for low in range(0, shifts.shape[1], _COLUMNS):
        some = np.ascontiguousarray(shifts[:, low : low + _COLUMNS])
        whole = _Sums.of(inside, places, some)
        for number in range(count):
            rows = member.indices[member.indptr[number] : member.indptr[number + 1]]
            outside = whole.less(_Sums.of(inside[rows], places[rows], some[rows]))
            squared, known = outside.squares()
            of_attribute = among @ known.astype(np.float64)
            total = among @ np.where(known, squared, 0.0)
            squares[number, low : low + _COLUMNS] = (total / np.maximum(of_attribute, 1.0)).sum(axis=0)
            counted[number, low : low + _COLUMNS] = (of_attribute > 0).sum(axis=0)
    return squares, counted


def robust_variance(labels: sparse.csr_array, shifts: Floats, codes: Integers) -> Floats:
    """The variance of each slice's sum from its own residuals: slices x columns.

    With ``x`` a slice's degrees and ``y`` the shifts, both less their strata's means, and ``e`` what is left of ``y``
    after its regression on ``x``: ``sum(x² e²) / (1 - sum(x⁴) / sum(x²)²)``, since few items fit themselves.
    """
    strata = int(codes.max(initial=-1)) + 1
    inside = _indicator(codes, strata)
    powers = [_crossed(inside, sparse.csr_array(labels.power(power))).T for power in (1, 2, 3, 4)]
    shape = (strata, labels.shape[1])
    size = np.asarray(inside.sum(axis=0)).reshape(-1, 1)
    moments = [np.asarray(power.sum(axis=1)).reshape(shape) for power in powers]
    mean = moments[0] / np.maximum(size, 1.0)
    second = moments[1] - size * mean**2
    fourth = moments[3] - 4 * mean * moments[2] + 6 * mean**2 * moments[1] - 3 * size * mean**4
    total, leverage = second.sum(axis=0), np.maximum(fourth, 0.0).sum(axis=0)
    found = np.zeros((labels.shape[1], shifts.shape[1]))
    at = mean[:, :, None]
    for low in range(0, shifts.shape[1], _COLUMNS):
        some = np.array(shifts[:, low : low + _COLUMNS], order="C")
        some -= ((inside.T @ some) / np.maximum(size, 1.0))[codes]
        once = [np.asarray(power @ some).reshape(*shape, -1) for power in powers[:3]]
        some *= some
        twice = [np.asarray(power @ some).reshape(*shape, -1) for power in powers[:2]]
        whole = (inside.T @ some)[:, None, :]
        squared = (twice[1] - 2 * at * twice[0] + at**2 * whole).sum(axis=0)
        third = (once[2] - 3 * at * once[1] + 3 * at**2 * once[0]).sum(axis=0)
        slope = np.divide(once[0].sum(axis=0), total[:, None], out=np.zeros_like(squared), where=total[:, None] > 0)
        found[:, low : low + _COLUMNS] = squared - 2 * slope * third + slope**2 * leverage[:, None]
    few = np.divide(leverage, total**2, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.maximum(found, 0.0) / np.maximum(1.0 - few, 0.5)[:, None])


class _Sums(NamedTuple):
    """Of some items, by stratum (and group): how many, and sums of shifts and of their squares."""

    items: Floats
    members: Floats
    shifts: Floats
    squared: Floats
    group_shifts: Floats
    group_squared: Floats

    @classmethod
    def of(cls, inside: sparse.csr_array, places: sparse.csr_array, shifts: Floats) -> _Sums:
        strata = inside.shape[1]
        square = shifts * shifts
        return cls(
            np.asarray(inside.sum(axis=0), dtype=np.float64).reshape(strata, 1),
            np.asarray(places.sum(axis=0), dtype=np.float64).reshape(strata, -1, 1),
            inside.T @ shifts,
            inside.T @ square,
            np.asarray(places.T @ shifts).reshape(strata, -1, shifts.shape[1]),
            np.asarray(places.T @ square).reshape(strata, -1, shifts.shape[1]),
        )

    def less(self, other: _Sums) -> _Sums:
        return _Sums(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def squares(self) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Each group's squared ``z`` in each column, and where there is one: groups x columns."""
        size = np.maximum(self.items, 1.0)
        mean = (self.shifts / size)[:, None, :]
        spread = np.maximum(self.squared - self.shifts**2 / size, 0.0)[:, None, :]
        share = self.members / size[:, :, None]
        moved = self.group_shifts - self.members * mean
        square = np.maximum(self.group_squared - 2 * mean * self.group_shifts + self.members * mean**2, 0.0)
        weight = (self.members * (1 - share)).sum(axis=0)
        leverage = (self.members * (1 - share) ** 4 + (size[:, :, None] - self.members) * share**4).sum(axis=0)
        slope = moved.sum(axis=0) / np.maximum(weight, 1e-9)
        own = ((1 - share) ** 2 * square + share**2 * (spread - square)).sum(axis=0)
        own -= 2 * slope * (((1 - share) ** 3 + share**3) * moved).sum(axis=0) - slope**2 * leverage
        own /= np.maximum(1 - leverage / np.maximum(weight, 1e-9) ** 2, 0.5)
        permuted = (self.members * (1 - share) / np.maximum(size - 1, 1)[:, :, None] * spread).sum(axis=0)
        members, everyone = self.members.sum(axis=0), self.items.sum()
        scale = (share * self.squared[:, None, :]).sum(axis=0)
        known = (members >= FEWEST) & (everyone - members >= FEWEST) & (permuted > _NEGLIGIBLE * scale)
        return moved.sum(axis=0) ** 2 / np.where(known, np.maximum(permuted, own), 1.0), known


def _indicator(codes: Integers, count: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), count))


def _crossed(inside: sparse.csr_array, values: sparse.csr_array) -> sparse.csr_array:
    """Items x (strata x columns): each item's values at its own stratum."""
    entries = values.tocoo()
    stratum = inside.indices[entries.row].astype(np.int64)
    place = stratum * values.shape[1] + entries.col
    shape = (values.shape[0], inside.shape[1] * values.shape[1])
    return sparse.csr_array((entries.data, (entries.row, place)), shape=shape)
