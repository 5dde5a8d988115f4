# SPDX-License-Identifier: Apache-2.0
"""Sums of values over labels that are dealt anew, for several permutations at once.

Most things have one label or a few, so a product with a dense matrix of labels would multiply by zeros nearly always.
The labels of every thing are kept side by side, and those that a permutation deals are taken from there as the columns
of a sparse matrix. Sums are added up in the order of the places, whatever threads there are.
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


class Dealt:
    """The labels of things (items or users), to be dealt to places."""

    def __init__(self, labels: sparse.csr_array) -> None:
        """Take things x labels, degrees of any size; zeros that are stored count as absent."""
        labels = sparse.csr_array(labels, copy=True)
        labels.eliminate_zeros()
        self.labels = labels.shape[1]
        counts = np.diff(labels.indptr)
        self.width = int(counts.max(initial=0))
        # Where a thing has fewer labels than another, the places left point to a label that does not exist.
        self._table = np.full((len(counts), self.width), self.labels, dtype=np.int32)
        column = np.arange(labels.nnz) - np.repeat(labels.indptr[:-1], counts)
        row = np.repeat(np.arange(len(counts)), counts)
        self._table[row, column] = labels.indices
        self._degrees: Numbers | None = None
        if not (labels.data == 1).all():
            self._degrees = np.zeros(self._table.shape)
            self._degrees[row, column] = labels.data

    def sums(self, rows: Rows, values: Numbers) -> Numbers:
        """Labels x permutations x columns.

        Args:
            rows: permutations x places: the thing whose labels each place gets.
            values: places x columns.
        """
        permutations, places = rows.shape
        dealt = rows.T
        block = self.labels + 1
        indices = self._table[dealt] + (np.arange(permutations, dtype=np.int32) * block)[:, None]
        data = np.ones(indices.size, dtype=values.dtype) if self._degrees is None else self._degrees[dealt].ravel()
        ends = np.arange(places + 1, dtype=np.int32) * (permutations * self.width)
        shape = (permutations * block, places)
        sums = sparse.csc_array((data, indices.ravel(), ends), shape=shape) @ values
        return np.asarray(sums).reshape(permutations, block, -1)[:, : self.labels].transpose(1, 0, 2)

    def each(self, rows: Rows, values: Numbers) -> Iterator[Numbers]:
        """``sums`` of a few permutations after another."""
        for first in range(0, len(rows), TOGETHER):
            yield self.sums(rows[first : first + TOGETHER], values)
