# SPDX-License-Identifier: Apache-2.0
"""The churn null: are the items of a slice moved together, or do they only trade places like all others?

Retrain a model with another seed and items trade places, for all users at once. Under the null hypothesis the labels
of comparable items are exchangeable, so labels are permuted within strata, jointly for all slices and cohorts, and
each cell's statistics are compared with what permuted labels give. Within a family the largest studentised statistic
of each permutation is what every cell has to beat (max-T: Westfall and Young 1993, section 2.5), which respects the
dependence between cells.

Item shifts are whole numbers, so that sums over items are exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, special

from behavior._controls import control_groups, controlled, robust_variance
from behavior._permutation import Draws, Studentised, coarse, permute
from behavior._strata import by_stratum, strata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior._by_user import UserShifts
    from behavior.exposure import ItemSums, Measured
    from behavior.panels import Panel

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

_SCALE = 1024.0  # fractions kept when shifts over their stratum's root mean square become whole numbers
_UNEVEN = 1.4  # a lift of scores is no equal lift of every item: on made panels it is seen so much less well
_FAR = 3.0  # root mean squares of its stratum: what one item's shift counts for at most
_NEGLIGIBLE = 1e-12  # of a cell's total movement: below it, a spread is rounding
DESIGN = 1.15  # by how much items that move together widen benign z where no control tells (decision 20)
FAIL_DESIGN = 1.25  # the least of the same where a change is failed, not only flagged
_PRIOR_ATTRIBUTES = 2.0  # attributes of items that weigh as much as what is known without any
_ONE_WAY = 0.1  # of all that moves outside a slice, at most, against the rest: no churn is so one-sided
_PRIOR_PAIRS = 4.0  # pairs of rebuilds that weigh as much as what is known without any


@dataclass(frozen=True, slots=True)
class Churn:
    """What the churn null says of every cell. Arrays are slices x cohorts x statistics unless said otherwise.

    ``statistics`` names the last axis. ``z`` is the studentised shift; 0 where permuted labels cannot differ
    (nothing moved, or a slice that fills its strata). ``adjusted_p`` is max-T over the slice's family, with an
    allowance for items that move together (``design``); ``fail_p`` is the same with a wider one, by which a change
    may be failed, and by items alone, since a change is failed only where users alone are certain as well; ``p``
    (slices x cohorts) is over the cell's own statistics, by permuted labels alone.
    ``expected`` and ``spread`` are the mean and standard deviation of the shift of exposure at ``k`` under
    permutation, as shares, slices x cohorts; ``seen_spread`` is that of how many of the slice's items a user sees,
    and ``seen_relative`` is it over their number. No spread is less than what the slice's own items would give if
    each moved by itself, which covers slices whose strata hold nothing to compare them with. ``critical`` is each
    slice's family threshold for ``z`` at alpha. ``power_unit`` is the relative lift of all of a slice's items that
    moves ``z`` by one, the smallest over all but ``reach``, slices x cohorts; infinite where the slice is not
    shown.
    """

    statistics: tuple[str, ...]
    z: Floats
    adjusted_p: Floats
    fail_p: Floats
    p: Floats
    expected: Floats
    spread: Floats
    seen_spread: Floats
    seen_relative: Floats
    critical: Floats
    power_unit: Floats
    design: tuple[float, ...]
    strata: int
    moved: int


def churn(
    panel: Panel,
    measured: Measured,
    probe: str,
    *,
    multiple: int = 1,
    within: Sequence[ItemSums] = (),
    by_user: UserShifts | None = None,
) -> Churn:
    """Permute labels within strata and judge every cell.

    Args:
        panel: gives labels, families, number of permutations and seed.
        measured: item sums of base and head.
        probe: part of the key of the randomness.
        multiple: how many times a single pair's whole numbers the sums are (sums over several builds).
        within: item sums of pairs of builds of one side, which differ by churn alone: the null is checked against
            them. ``design`` is what each statistic's ``z`` was divided by since items move together, the root mean
            square over the primary cells.
        by_user: the shifts user by user of the same pair, where few enough users changed: they widen the null by what
            a user's slates bring together.
    """
    sums, users = measured.sums, measured.users
    codes = strata(sums, panel.match)
    statistics, shifts = item_shifts(sums, codes)
    labels = sparse.csr_array(panel.membership[sums.items])
    cohorts = len(users)
    observed = _cells(labels.T @ shifts, cohorts)
    expected, spread = (_cells(values, cohorts) for values in null_moments(labels, shifts, codes))
    scale = _cells(abs(labels).T @ np.abs(shifts), cohorts)
    real = spread > _NEGLIGIBLE * scale
    inverse = np.where(real, 1.0 / np.where(real, spread, 1.0), 0.0)
    unequal = np.sqrt(np.maximum(_cells(robust_variance(labels, shifts, codes), cohorts) * inverse**2, 1.0))
    together = _design(panel, within, _controlled(panel, sums, labels, shifts, codes))
    of_items = unequal * together
    design = np.sqrt(of_items**2 + _by_user(by_user, labels, sums, codes, statistics) * inverse**2)
    plain = (observed - expected) * inverse
    z, by_items = plain / design, plain / of_items
    if within:
        z, by_items = (_as_normal(each, _PRIOR_PAIRS + len(within)) for each in (z, by_items))
    families = [slice_.family for slice_ in panel.slices]
    draws = Draws(panel.toml.permutations, panel.toml.seed, probe)
    maxima, count = permute(labels, shifts, codes, Studentised(plain, expected, inverse), families, draws)
    adjusted, failing = np.ones_like(z), np.ones_like(z)
    critical = np.zeros(len(families))
    for family, maximum in maxima.items():
        of_family = np.array([name == family for name in families])
        adjusted[of_family] = _exceedance(maximum, np.abs(z[of_family]))
        stricter = together[of_family] / np.maximum(FAIL_DESIGN, together[of_family] * FAIL_DESIGN / DESIGN)
        failing[of_family] = _exceedance(maximum, np.abs(by_items[of_family]) * stricter)
        critical[of_family] = np.quantile(maximum, 1.0 - panel.toml.alpha, method="higher")
    unit = np.maximum(users, 1) * measured.unit
    alone = _cells(np.sqrt(labels.multiply(labels).T @ (shifts**2)), cohorts)
    spread = spread * design
    seen_spread = np.maximum(spread, alone)[:, :, -1]
    seen = [labels.T @ side.T.astype(np.float64) for side in sums.seen]
    middle = np.sqrt(seen[0] * seen[1])
    return Churn(
        statistics=statistics,
        z=z,
        adjusted_p=adjusted,
        fail_p=failing,
        p=(1.0 + count) / (panel.toml.permutations + 1.0),
        expected=expected[:, :, 0] / unit,
        spread=np.maximum(spread, alone)[:, :, 0] / unit,
        seen_spread=seen_spread / np.maximum(users, 1) / multiple,
        seen_relative=np.divide(seen_spread, middle, out=np.zeros_like(middle), where=middle > 0),
        critical=critical,
        power_unit=_power_unit(labels, sums, codes, spread, statistics),
        design=tuple(map(float, np.sqrt((together**2).mean(axis=(0, 1), where=_primary(panel)[:, None, None])))),
        strata=int(codes.max(initial=-1)) + 1,
        moved=int((shifts != 0).any(axis=1).sum()),
    )


def _primary(panel: Panel) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which slices are primary; all where none is."""
    chosen = np.array([slice_.family == "primary" for slice_ in panel.slices])
    return chosen if chosen.any() else ~chosen


def _controlled(panel: Panel, sums: ItemSums, labels: sparse.csr_array, shifts: Floats, codes: Integers) -> Floats:
    """By how much ``z`` is wider than permuted labels say, since related items move together: by negative controls.

    ``DESIGN`` is what is known without any control, and counts as much as two attributes.
    """
    squares, counted = controlled(control_groups(panel, sums.items), labels, shifts, codes)
    known = (_PRIOR_ATTRIBUTES * DESIGN**2 + squares) / (_PRIOR_ATTRIBUTES + counted)
    known = np.where(_pushed_aside(labels, shifts), DESIGN**2, np.maximum(known, 1.0))
    return _cells(np.sqrt(known), sums.top[0].shape[0])


def _pushed_aside(labels: sparse.csr_array, shifts: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where everything outside a slice moved one way, which no churn does: it made room. Slices x columns.

    What is pushed aside is of the topics and languages of what pushes, and would pass for items that move together.
    """
    inside = sparse.csr_array((np.ones_like(labels.data), labels.indices, labels.indptr), shape=labels.shape).T
    up, down = np.maximum(shifts, 0.0), np.maximum(-shifts, 0.0)
    gained, lost = (each.sum(axis=0) - inside @ each for each in (up, down))
    return np.asarray(np.minimum(gained, lost) < _ONE_WAY * np.maximum(gained, lost))


def _by_user(
    by_user: UserShifts | None, labels: sparse.csr_array, sums: ItemSums, codes: Integers, statistics: Sequence[str]
) -> Floats:
    """What is to be added to the variance of every cell: slices x cohorts x statistics."""
    found = np.zeros((labels.shape[1], sums.top[0].shape[0], len(statistics)))
    if by_user is None:
        return found
    for index, statistic in enumerate(statistics):
        name = {"near": "top", "reach": "seen"}.get(statistic, statistic)
        sides = getattr(sums, name)
        standards = np.ones(sides[0].shape) if statistic in {"top", "reach"} else _standards(sides, codes)
        found[:, :, index] = by_user.excess(name, labels, standards, codes)
    return found


def _design(panel: Panel, within: Sequence[ItemSums], known: Floats) -> Floats:
    """The allowance for items that move together, slices x cohorts x statistics: by controls, and by rebuilds.

    Where builds that differ in seed only are at hand, the mean square of each cell's own ``z`` between builds of one
    side tells; what is ``known`` by the controls counts as much as four pairs of builds. So few are no certain spread:
    ``z`` is a Student's with as many degrees of freedom as there are pairs, those four included.
    """
    squares = np.zeros_like(known)
    for sums in within:
        codes = strata(sums, panel.match)
        _, shifts = item_shifts(sums, codes)
        labels = sparse.csr_array(panel.membership[sums.items])
        mean, spread = null_moments(labels, shifts, codes)
        real = spread > _NEGLIGIBLE * (abs(labels).T @ np.abs(shifts))
        variance = np.maximum(spread**2, robust_variance(labels, shifts, codes))
        squared = np.where(real, (labels.T @ shifts - mean) ** 2 / np.where(real, variance, 1.0), 0.0)
        squares += _cells(squared, known.shape[1])
    return np.asarray(np.sqrt(np.maximum((_PRIOR_PAIRS * known**2 + squares) / (_PRIOR_PAIRS + len(within)), 1.0)))


def _as_normal(z: Floats, freedom: float) -> Floats:
    """The normal ``z`` that is as rare as a Student one: a spread that few pairs of builds tell may be too small."""
    size = np.abs(z)
    return np.asarray(np.sign(z) * np.minimum(size, -special.ndtri(special.stdtr(freedom, -size))))


def item_shifts(sums: ItemSums, codes: Integers) -> tuple[tuple[str, ...], Floats]:
    """The statistics' names and every item's shift for each: shown items x (statistics x cohorts), whole numbers.

    ``top`` is head's less base's weight at ``k``; ``near`` is ``(h - b) / sqrt(h + b)`` of the same weights, since the
    churn of an item grows with its exposure, in root mean squares of the item's stratum (``codes``) and no more than
    three of them: then neither a few items nor the strata that move most drown the others. ``deep`` is that at depth,
    ``middle`` at ``5 k`` where depth goes far beyond; ``reach`` is the change in how many users see the item at all.
    """
    blocks = {"top": sums.top[1] - sums.top[0], "near": _standardised(sums.top, codes)}
    if sums.middle is not None:
        blocks["middle"] = _standardised(sums.middle, codes)
    if sums.deep is not None:
        blocks["deep"] = _standardised(sums.deep, codes)
    blocks["reach"] = sums.seen[1] - sums.seen[0]
    return tuple(blocks), coarse(np.ascontiguousarray(np.concatenate(list(blocks.values()), axis=0).T, dtype=float))


def _standardised(sides: tuple[Integers, Integers], codes: Integers) -> Floats:
    shown = (sides[1] - sides[0]) * _standards(sides, codes)
    return np.asarray(np.rint(np.clip(shown, -_FAR * _SCALE, _FAR * _SCALE)))


def _standards(sides: tuple[Integers, Integers], codes: Integers) -> Floats:
    """What makes ``h - b`` of an item a standardised shift, cohorts x items; 0 where nothing of the stratum moved.

    One over ``sqrt(h + b)`` and over the stratum's root mean square of ``(h - b) / sqrt(h + b)``, times ``_SCALE``.
    """
    base, head = sides
    root = np.sqrt(np.maximum(base + head, 1))
    mean = (by_stratum(codes) @ (((head - base) / root) ** 2).T) / np.maximum(np.bincount(codes), 1)[:, None]
    size = root * np.sqrt(mean)[codes].T
    return np.asarray(np.divide(_SCALE, size, out=np.zeros_like(size), where=size > 0))


def null_moments(labels: sparse.csr_array, shifts: Floats, codes: Integers) -> tuple[Floats, Floats]:
    """Exact mean and standard deviation, under permutation within strata, of ``labels.T @ shifts``.

    Per stratum of ``n`` items: mean ``n x̄ ā``, variance ``Σ(x - x̄)² Σ(a - ā)² / (n - 1)``.
    """
    count = np.bincount(codes).astype(np.float64)
    inside = by_stratum(codes)
    label_sum = np.asarray((inside @ labels).todense())
    label_square = np.asarray((inside @ labels.multiply(labels)).todense())
    shift_sum = inside @ shifts
    mean = (label_sum / count[:, None]).T @ shift_sum
    centred = shifts - (shift_sum / count[:, None])[codes]
    shift_ss = inside @ (centred * centred)
    label_ss = np.maximum(label_square - label_sum**2 / count[:, None], 0.0)
    label_ss[label_ss < _NEGLIGIBLE * label_square] = 0.0
    variance = (label_ss / np.maximum(count - 1.0, 1.0)[:, None]).T @ shift_ss
    return mean, np.sqrt(variance)


def _exceedance(maxima: Floats, sizes: Floats) -> Floats:
    """``(1 + #{max >= size}) / (R + 1)`` for each size."""
    ordered = np.sort(maxima)
    below = np.searchsorted(ordered, sizes * (1.0 - _NEGLIGIBLE), side="left")
    return np.asarray((1.0 + len(ordered) - below) / (len(ordered) + 1.0), dtype=np.float64)


def _cells(values: Floats, cohorts: int) -> Floats:
    """Slices x (statistics x cohorts) as slices x cohorts x statistics."""
    return np.asarray(values).reshape(values.shape[0], -1, cohorts).transpose(0, 2, 1)


def _power_unit(
    labels: sparse.csr_array, sums: ItemSums, codes: Integers, spread: Floats, statistics: Sequence[str]
) -> Floats:
    """The relative lift of a slice's items that moves ``z`` by one standard deviation, per slice and cohort.

    A statistic under which nothing moved says nothing of how small a lift it would see; it is left out.
    """
    middle = labels.T @ ((sums.top[0] + sums.top[1]).T / 2.0)
    units = [_unit(spread[:, :, 0], middle)]
    for name, sides in (("near", sums.top), ("middle", sums.middle), ("deep", sums.deep)):
        if sides is not None:
            # A lift λ of everything gives h - b ≈ λ (b + h) / 2 an item.
            lift = (sides[0] + sides[1]) / 2.0 * _standards(sides, codes)
            units.append(_unit(spread[:, :, statistics.index(name)], labels.T @ lift.T / _UNEVEN))
    smallest = np.minimum.reduce(units)
    nothing_moved = (spread == 0).all(axis=2) & (middle > 0)
    return np.asarray(np.where(nothing_moved, 0.0, smallest))


def _unit(spread: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(spread, whole, out=np.full(whole.shape, np.inf), where=(whole > 0) & (spread > 0)))
