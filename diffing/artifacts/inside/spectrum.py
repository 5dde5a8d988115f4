# SPDX-License-Identifier: Apache-2.0
"""In how few directions, and how few columns, a difference lies (randomised SVD: Halko, Martinsson, Tropp 2011)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array

ELEMENTS = 2 << 20  # of the rows that stand for all
ROWS = 16_384
_RANK = 24
_OVERSAMPLED = 8
_POWERS = 2
_SEED = 20_240_501
_MOST_COLUMNS = 5


class Sample:
    """Evenly spaced rows of both sides, as many as ELEMENTS allows."""

    def __init__(self, rows: int, columns: int) -> None:
        self.columns = columns
        most = min(ROWS, ELEMENTS // max(columns, 1))
        self._stride = -(-rows // most) if most and rows else 1
        count = -(-rows // self._stride) if most and rows else 0
        self.old: Array = np.zeros((count, columns), dtype="<f4")
        self.shift: Array = np.zeros((count, columns), dtype="<f4")

    def take(self, first: int, old: Array, new: Array) -> None:
        """Whole rows from ``first`` on."""
        picked = -first % self._stride
        at = (first + picked) // self._stride
        part = old[picked :: self._stride]
        end = min(at + len(part), len(self.old))
        with np.errstate(over="ignore", invalid="ignore"):
            self.old[at:end] = part[: end - at]
            self.shift[at:end] = (new[picked :: self._stride] - part)[: end - at]

    def typical_norm(self) -> float:
        """The median norm of a row on the old side."""
        if not len(self.old):
            return 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", self.old, self.old))
        norms = norms[np.isfinite(norms)]
        return float(np.median(norms)) if len(norms) else 0.0


def concentration(sample: Sample) -> dict[str, Any] | None:
    """Shares of the difference's energy by singular value and by column; None where the sampled rows did not move.

    ``values`` are the largest singular values over the root of the energy, ``rank_99`` and ``rank_999`` how many of
    them hold 99 and 99.9 % of it (null if more than were looked at), ``columns`` those with most of it.
    """
    shift = sample.shift[np.isfinite(sample.shift).all(axis=1)].astype("<f8")
    energy = float(np.einsum("ij,ij->", shift, shift))
    if energy <= 0.0 or not np.isfinite(energy):
        return None
    largest = float(np.abs(shift).max())
    shift = shift / largest
    energy = float(np.einsum("ij,ij->", shift, shift))
    values = _singular_values(shift)
    shares = np.cumsum(values**2) / energy
    by_column = np.einsum("ij,ij->j", shift, shift) / energy
    top = np.argsort(-by_column, kind="stable")[:_MOST_COLUMNS]
    return {
        "rows": len(shift),
        "values": [round(float(value), 6) for value in values[:16] / np.sqrt(energy)],
        "top_share": float(min(shares[0], 1.0)),
        "rank_99": _rank(shares, 0.99),
        "rank_999": _rank(shares, 0.999),
        "full_rank": int(min(shift.shape)),
        "columns": [{"column": int(column), "share": float(by_column[column])} for column in top],
    }


def _rank(shares: Array, share: float) -> int | None:
    enough = np.flatnonzero(shares >= share - 1e-9)
    return int(enough[0]) + 1 if len(enough) else None


def _singular_values(matrix: Array) -> Array:
    wanted = min(_RANK + _OVERSAMPLED, *matrix.shape)
    if min(matrix.shape) <= 2 * wanted:
        small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
        found: Array = np.sqrt(np.maximum(np.linalg.eigvalsh(small)[::-1], 0.0))
        return found
    random = np.random.default_rng(_SEED)
    base, _ = np.linalg.qr(matrix @ random.standard_normal((matrix.shape[1], wanted)))
    for _ in range(_POWERS):
        across, _ = np.linalg.qr(matrix.T @ base)
        base, _ = np.linalg.qr(matrix @ across)
    values: Array = np.linalg.svd(base.T @ matrix, compute_uv=False)
    return values[:_RANK]
