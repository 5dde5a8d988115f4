# SPDX-License-Identifier: Apache-2.0
"""Sums over the labels of things (items or users), most of which have one label or a few.

A product with a dense matrix of labels would multiply by zeros nearly always. The labels of every thing are kept side
by side instead: for slates, what each label gets is counted from there; for permutations, the labels that are dealt to
places become the columns of a sparse matrix, for several permutations at once. Sums are added up in the order of the
places, whatever threads there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

Numbers = np.ndarray[Any, np.dtype[Any]]
Rows = np.ndarray[Any, np.dtype[np.integer[Any]]]

TOGETHER = 8  # permutations summed together: a place's values are read once for all, and all sums stay in the cache


class Labelled:
    """The labels of things, side by side."""

    def __init__(self, labels: sparse.csr_array) -> None:
        """Take things x labels, degrees of any size; zeros that are stored count as absent."""
        labels = sparse.csr_array(labels, copy=True)
        labels.eliminate_zeros()
        self.labels = labels
        self.count = labels.shape[1]
        counts = np.diff(labels.indptr)
        self.width = int(counts.max(initial=0))
        # Where a thing has fewer labels than another, the places left point to a label that does not exist.
        self._table = np.full((len(counts), self.width), self.count, dtype=np.int32)
        column = np.arange(labels.nnz) - np.repeat(labels.indptr[:-1], counts)
        row = np.repeat(np.arange(len(counts)), counts)
        self._table[row, column] = labels.indices
        self._degrees: Numbers | None = None
        if not (labels.data == 1).all():
            self._degrees = np.zeros(self._table.shape)
            self._degrees[row, column] = labels.data

    def weighed(self, slates: Rows, weights: Numbers) -> Numbers:
        """What each slate (slates x places of things) gives each label: slates x labels, float64."""
        count = len(slates)
        if self.count == 1:
            degrees = self._degrees if self._degrees is not None else (self._table == 0).astype(np.float64)
            return np.asarray(degrees[:, 0].take(slates) @ weights)[:, None] if self.width else np.zeros((count, 1))
        block = self.count + 1
        start = (np.arange(count, dtype=np.int64) * block)[:, None]
        sums = np.zeros(count * block)
        spread = np.tile(weights.astype(np.float64), count)
        for column in range(self.width):
            cell = (self._table[:, column].take(slates) + start).ravel()
            given = spread if self._degrees is None else spread * self._degrees[:, column].take(slates).ravel()
            sums += np.bincount(cell, weights=given, minlength=len(sums))
        return sums.reshape(count, block)[:, : self.count]


class Dealt(Labelled):
    """The labels of things, to be dealt to places."""

    def sums(self, rows: Rows, values: Numbers) -> Numbers:
        """Labels x permutations x columns.

        Args:
            rows: permutations x places: the thing whose labels each place gets.
            values: places x columns.
        """
        permutations, places = rows.shape
        dealt = rows.T
        block = self.count + 1
        indices = self._table[dealt] + (np.arange(permutations, dtype=np.int32) * block)[:, None]
        data = np.ones(indices.size, dtype=values.dtype) if self._degrees is None else self._degrees[dealt].ravel()
        ends = np.arange(places + 1, dtype=np.int32) * (permutations * self.width)
        shape = (permutations * block, places)
        sums = sparse.csc_array((data, indices.ravel(), ends), shape=shape) @ values
        return np.asarray(sums).reshape(permutations, block, -1)[:, : self.count].transpose(1, 0, 2)

    def each(self, rows: Rows, values: Numbers) -> Iterator[Numbers]:
        """``sums`` of a few permutations after another."""
        for first in range(0, len(rows), TOGETHER):
            yield self.sums(rows[first : first + TOGETHER], values)
