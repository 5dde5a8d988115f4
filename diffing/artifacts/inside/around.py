# SPDX-License-Identifier: Apache-2.0
"""The nearest rows, by cosine, of a few rows of a table on both sides; read block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.neighbours import normalised
from diffing.artifacts.inside.tensors import values
from diffing.artifacts.inside.words import RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array, Tensor

COUNT = 10
_READ = 1 << 22  # elements of a block
_MOST = 80 << 20  # elements of one side that are read; of more, evenly spaced blocks stand for the others
_DIGITS = 6  # of a cosine: those beyond depend on the order in which a library adds


def around(old: Tensor, new: Tensor, rows: list[int]) -> list[dict[str, Any]]:
    """For each row its nearest other rows in both tables, nearest first, and how far the two sets overlap.

    Raises:
        RefusedError: a row that there is not.
    """
    if any(not 0 <= row < min(old.rows, new.rows) for row in rows):
        raise RefusedError("no such row to tell the neighbours of")
    before, after = (_nearest(table, rows) for table in (old, new))
    found = []
    for row, left, right in zip(rows, before, after, strict=True):
        old_rows, new_rows = {one["row"] for one in left}, {one["row"] for one in right}
        shared = len(old_rows & new_rows)
        jaccard = shared / max(len(old_rows | new_rows), 1)
        found.append({"row": row, "jaccard": jaccard, "before": left, "after": right})
    return found


def _nearest(table: Tensor, rows: list[int]) -> list[list[dict[str, Any]]]:
    queries = normalised(np.concatenate([_read(table, row, 1) for row in rows]))
    numbers: Array = np.empty((len(rows), 0), dtype="<i8")
    cosines: Array = np.empty((len(rows), 0))
    height = max(1, _READ // max(table.columns, 1))
    step = height * max(1, -(-table.rows * table.columns // _MOST))
    for first in range(0, table.rows, step):
        part = normalised(_read(table, first, min(height, table.rows - first)))
        similar = np.round(np.clip(queries @ part.T, -1, 1).astype("<f8"), _DIGITS)
        here = np.arange(first, first + len(part))
        similar[np.equal.outer(rows, here)] = -np.inf  # no row is its own neighbour
        numbers, cosines = _kept(numbers, cosines, here, similar)
    return [
        [{"row": int(row), "cosine": float(cosine)} for row, cosine in zip(*pair, strict=True) if np.isfinite(cosine)]
        for pair in zip(numbers, cosines, strict=True)
    ]


def _kept(numbers: Array, cosines: Array, here: Array, similar: Array) -> tuple[Array, Array]:
    """The nearest of those held and those of a block; of equally near ones the first."""
    rows = np.concatenate([numbers, np.broadcast_to(here, similar.shape)], axis=1)
    all_ = np.concatenate([cosines, similar], axis=1)
    order = np.argsort(-all_, axis=1, kind="stable")[:, :COUNT]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(all_, order, axis=1)


def _read(table: Tensor, first: int, count: int) -> Array:
    width = table.nbytes // max(table.rows, 1)
    raw = table.file.read(table.offset + first * width, count * width)
    with np.errstate(over="ignore"):
        found: Array = values(raw, table.dtype).reshape(count, -1).astype("<f4")
    return found
