# SPDX-License-Identifier: Apache-2.0
"""Single values on both sides: what is not finite, what is denormal, and how their distribution moved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array

_SAMPLE = 65_536
_QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0)
_SMALLEST = {
    "F64": 2.0**-1022, "F32": 2.0**-126, "BF16": 2.0**-126, "F16": 2.0**-14, "C64": 2.0**-126, "C128": 2.0**-1022,
}  # fmt: skip


class Values:
    """Takes blocks of both sides; keeps counts, and evenly spaced values that stand for all."""

    def __init__(self, count: int, old_dtype: str, new_dtype: str) -> None:
        self._stride = max(1, -(-count // _SAMPLE))
        if self._stride > 1:
            self._stride |= 1  # odd, so that it does not keep to one column of a table
        self._parts: list[tuple[Array, Array]] = []
        self._dtypes = (old_dtype, new_dtype)
        self._bad = [0, 0]
        self._small = [0, 0]

    def equal(self, start: int, part: Array, square: float) -> None:
        """A stretch that is the same on both sides."""
        picked = part[-start % self._stride :: self._stride]
        self._parts.append((picked.copy(), picked.copy()) if self._stride > 1 else (part.copy(), part.copy()))
        if not math.isfinite(square):
            bad = int(np.count_nonzero(~np.isfinite(part)))
            self._bad[0] += bad
            self._bad[1] += bad

    def differing(self, start: int, old: Array, new: Array, squares: tuple[float, float]) -> None:
        """A block that is not."""
        at = -start % self._stride
        self._parts.append((old[at :: self._stride].copy(), new[at :: self._stride].copy()))
        for side, (part, square) in enumerate(zip((old, new), squares, strict=True)):
            if not math.isfinite(square):
                self._bad[side] += int(np.count_nonzero(~np.isfinite(part)))
            least = _SMALLEST.get(self._dtypes[side])
            if least is not None:
                size = np.abs(part)
                if size.size and not float(size.min()) >= least:
                    self._small[side] += int(np.count_nonzero((size < least) & (size > 0)))

    def non_finite(self) -> dict[str, int]:
        """How many values are NaN or infinite."""
        return {"old": self._bad[0], "new": self._bad[1]}

    def denormals(self) -> dict[str, int]:
        """How many values of what changed are smaller than their type holds exactly."""
        return {"old": self._small[0], "new": self._small[1]}

    def sides(self) -> tuple[Array, Array]:
        """The sampled values that are finite on both sides."""
        if not self._parts:
            return np.zeros(0), np.zeros(0)
        old, new = (np.concatenate([part[side] for part in self._parts]).astype("<f8") for side in (0, 1))
        kept = np.isfinite(old) & np.isfinite(new)
        return old[kept], new[kept]


def distribution(values: Values) -> dict[str, Any] | None:
    """Mean, deviation and quantiles of both sides, and how far the one distribution is from the other.

    ``distance`` is the Wasserstein distance of order 1 in standard deviations of the old side (null where that is 0);
    ``kolmogorov`` the largest difference of the cumulative shares.
    """
    old, new = values.sides()
    if not len(old):
        return None
    old, new = np.sort(old), np.sort(new)
    spread = float(old.std())
    grid = np.concatenate([old, new])
    shares = [np.searchsorted(side, grid, side="right") / len(side) for side in (old, new)]
    return {
        "old": _of(old),
        "new": _of(new),
        "distance": float(np.abs(new - old).mean() / spread) if spread > 0 else None,
        "kolmogorov": float(np.abs(shares[0] - shares[1]).max()),
        "sampled": len(old),
    }


def _of(side: Array) -> dict[str, Any]:
    return {
        "mean": float(side.mean()),
        "deviation": float(side.std()),
        "quantiles": [float(number) for number in np.quantile(side, _QUANTILES)],
    }
