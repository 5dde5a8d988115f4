# SPDX-License-Identifier: Apache-2.0
"""Permuted sums of large slices without permuting every item: heavy items exactly, the others by a matching normal.

The sum of a slice over a permutation is the sum over the items that moved far (*heavy*: a single one could be more
than a four hundredth of some cell's variance), whose labels are drawn without replacement one permutation at a time,
and over all the others, of which no single one matters. Given the labels that the heavy items took, the others' sums
have a known mean, and a covariance over all cells with a closed form: per stratum, the labels' covariance times the
shifts'. They are drawn from the normal with these moments, jointly for all slices and cohorts.

A sum of independent parts, none of which has more than a share ``r²`` of the variance, has a skewness of at most ``r``
and an excess kurtosis of at most ``r²``; with ``r = 1/20`` a two-sided tail of one in ten thousand is off by a few per
cent of itself. Tests hold it against the exact kernel. All factors are rounded to whole numbers small enough for exact
products, so that threads change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._dealt import Dealt
from behavior._random import keyed

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy import sparse

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Places = np.ndarray[Any, np.dtype[np.int16 | np.int32]]

HEAVY = 0.05  # of a cell's standard deviation: a single shift beyond it is never left to the normal
_FEWEST_LIGHT = 200  # a stratum with fewer light items is drawn exactly
_BITS_NORMAL = float(1 << 12)
_BITS_FACTOR = float(1 << 16)
_BITS_MIDDLE = float(1 << 10)


@dataclass(frozen=True, slots=True)
class _Stratum:
    """One stratum of ``items``: their labels, the heavy ones' shifts, and what the light ones add.

    ``total`` is the labels' sum and ``mean`` the light items' mean shift; ``roots`` are whole-numbered square roots of
    the correlations of labels and of light shifts, None where every item is heavy, and ``scale`` the unit of their
    products.
    """

    items: int
    labels: Dealt
    total: Floats
    heavy: Floats
    mean: Floats
    roots: tuple[Floats, Floats] | None
    scale: Floats


class Matching:
    """Draws sums over the labels of slices, jointly for all slices and columns."""

    def __init__(self, labels: sparse.csr_array, shifts: Floats, codes: Integers, spread: Floats) -> None:
        """Take labels (items x slices), shifts (items x columns), strata, and cells' deviations (slices x columns)."""
        least = np.where(spread > 0, spread, np.inf).min(axis=0)
        # Labels stand in an order of their own, so that the order of items changes nothing.
        order = np.lexsort((labels @ keyed(0, "label order").random(labels.shape[1]), codes))
        cuts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        self._strata = [_stratum(labels[rows], shifts[rows], HEAVY * least) for rows in np.split(order, cuts[1:])]
        self.heavy = sum(len(stratum.heavy) for stratum in self._strata)
        self._shape = (labels.shape[1], shifts.shape[1])

    def drawn(
        self, generator: np.random.Generator, rows: int, landing: Callable[[np.random.Generator, int, int, int], Places]
    ) -> Floats:
        """Slices x permutations x columns."""
        slices, columns = self._shape
        sums = np.zeros((slices, rows, columns))
        for stratum in self._strata:
            taken = np.zeros((slices, rows))
            if len(stratum.heavy):
                places = landing(generator, stratum.items, len(stratum.heavy), rows)
                # One more column of ones: how many labels the heavy items took.
                heavy = np.column_stack([stratum.heavy, np.ones(len(stratum.heavy))])
                drawn = np.concatenate(list(stratum.labels.each(places.T, heavy)), axis=1)
                sums += drawn[:, :, :-1]
                taken = drawn[:, :, -1]
            if stratum.roots is not None:
                sums += (stratum.total[:, None] - taken)[:, :, None] * stratum.mean
                sums += _light(generator, stratum.roots, sums.shape) * stratum.scale
        return sums


def _light(generator: np.random.Generator, roots: tuple[Floats, Floats], shape: tuple[int, ...]) -> Floats:
    """Normal sums about zero, slices x permutations x columns; every product is of whole numbers and exact."""
    slices, rows, columns = shape
    normal = np.rint(generator.standard_normal((slices, rows * columns)) * _BITS_NORMAL)
    middle = roots[0] @ normal
    middle /= _BITS_NORMAL * _BITS_FACTOR / _BITS_MIDDLE
    middle = np.rint(middle, out=middle).reshape(slices * rows, columns)
    return np.asarray(middle @ roots[1]).reshape(shape)


def _stratum(labels: sparse.csr_array, shifts: Floats, limit: Floats) -> _Stratum:
    centre = shifts.mean(axis=0)
    heavy = (np.abs(shifts - centre) > limit).any(axis=1)
    light = len(shifts) - int(heavy.sum())
    total = np.asarray(labels.sum(axis=0), dtype=np.float64).ravel()
    if light < _FEWEST_LIGHT:
        nothing = np.zeros(shifts.shape[1])
        return _Stratum(len(shifts), Dealt(labels), total, shifts[np.lexsort(shifts.T)], nothing, None, nothing)
    others = shifts[~heavy]
    mean = others.mean(axis=0)
    others = others - mean
    count = len(shifts)
    squares = np.asarray((labels.T @ labels).todense()) - np.outer(total, total) / count
    labels_root, labels_unit = _root(squares / (count - 1))
    shifts_root, shifts_unit = _root(others.T @ others)
    scale = np.outer(labels_unit, shifts_unit)[:, None] / (_BITS_MIDDLE * _BITS_FACTOR)
    moved = shifts[heavy]
    moved = moved[np.lexsort(moved.T)]
    return _Stratum(count, Dealt(labels), total, moved, mean, (labels_root, shifts_root), scale)


def _root(covariance: Floats) -> tuple[Floats, Floats]:
    """The symmetric square root of the correlations, in units of 2**-16, and the standard deviations.

    The symmetric root is unique, so it does not depend on which eigenvectors a library returns.
    """
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    unit = np.where(deviation > 0, deviation, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return np.asarray(np.rint(root * _BITS_FACTOR)), deviation
