# SPDX-License-Identifier: Apache-2.0
"""One tensor on both sides: what of it changed, in numbers."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.blocks import BLOCK, Block, Digests, blocks, digest
from diffing.artifacts.inside.rows import RowShifts
from diffing.artifacts.inside.spectrum import Sample, concentration
from diffing.artifacts.inside.tensors import BLOCKS, SIGNIFICAND, WIDTH, values
from diffing.artifacts.inside.values import Values, distribution

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array, Tensor

_LARGEST_ROW = 4 << 20
_DIGITS = 7


class Totals:
    """Sums over all elements, and what rows and single values came to."""

    def __init__(self, old: Tensor, new: Tensor, rows: int) -> None:
        self.columns = old.columns
        self.norms = [0.0, 0.0]
        self.product = self.square = self.largest = 0.0
        self.changed = 0
        self.shifts = RowShifts(rows)
        self.sample = Sample(rows, self.columns)
        self.values = Values(rows * self.columns, old.dtype, new.dtype)
        self._scratch: Array = np.zeros(BLOCK, dtype="<f8")

    def equal(self, block: Block, old: Array) -> None:
        """Take a stretch that is the same on both sides."""
        for at in range(0, len(old), BLOCK):
            part = old[at : at + BLOCK]
            square = _dot(part, part)
            self.norms[0] += square
            self.norms[1] += square
            self.product += square
            self.values.equal(block.start + at, part, square)
        if self.columns <= BLOCK:
            rows = old.reshape(-1, self.columns)
            self.sample.take(block.start // self.columns, rows, rows)
            self.shifts.take(block.start // self.columns, np.zeros(len(rows)))
        else:
            self.shifts.take_part(block.start // self.columns, 0.0)

    def differing(self, block: Block, old: Array, new: Array) -> None:
        """Take a block that is not."""
        if old.dtype != new.dtype:
            old, new = old.astype("<f8", copy=False), new.astype("<f8", copy=False)
        with np.errstate(all="ignore"):
            shift = self._scratch.view(old.dtype)[: len(old)]
            np.subtract(new, old, out=shift)
            squares = (_dot(old, old), _dot(new, new))
            self.norms[0] += squares[0]
            self.norms[1] += squares[1]
            self.product += _dot(old, new)
            self.changed += int(np.count_nonzero(shift))
            if self.columns <= BLOCK:
                table = shift.reshape(-1, self.columns)
                by_row = np.square(shift) if self.columns == 1 else np.einsum("ij,ij->i", table, table)
                self.square += float(by_row.sum(dtype="<f8"))
                first = block.start // self.columns
                self.shifts.take(first, by_row)
                self.sample.take(first, old.reshape(-1, self.columns), new.reshape(-1, self.columns))
            else:
                square = _dot(shift, shift)
                self.square += square
                self.shifts.take_part(block.start // self.columns, square)
            self.values.differing(block.start, old, new, squares)
            np.abs(shift, out=shift)
            self.largest = max(self.largest, float(shift.max(initial=0.0)))


def compare(old: Tensor, new: Tensor) -> dict[str, Any]:
    """All that is told of a tensor that both sides have; numbers to seven digits, null where there is none."""
    result = _shell(old, new)
    if not (old.numeric and new.numeric):
        return _as_bytes(result, old, new)
    alike = old.shape == new.shape
    rows = min(old.rows, new.rows)
    grown = old.shape[1:] == new.shape[1:] and len(old.shape) == len(new.shape) > 0
    if not alike and not grown:
        result["digest"] = {"old": digest(old), "new": digest(new)}
        return result
    totals, digests = Totals(old, new, rows), Digests()
    for block in blocks(old, new, rows, digests):
        before = values(block.old, old.dtype)
        if block.equal:
            totals.equal(block, before)
        else:
            totals.differing(block, before, values(block.new, new.dtype))
    result["digest"] = {"old": digests.old, "new": digests.new}
    if digests.old == digests.new and old.dtype == new.dtype and alike:
        return result | {
            "status": "same", "relative_l2": 0.0, "cosine": 1.0, "max_abs": 0.0, "changed_share": 0.0,
            "non_finite": totals.values.non_finite(), "denormals": totals.values.denormals(),
        }  # fmt: skip
    return rounded(result | _numbers(totals, old, new, rows))


def _numbers(totals: Totals, old: Tensor, new: Tensor, rows: int) -> dict[str, Any]:
    count = rows * totals.columns
    norms = [math.sqrt(norm) if norm >= 0 else math.nan for norm in totals.norms]
    shift = math.sqrt(totals.square) if totals.square >= 0 else math.nan
    moved = totals.shifts.summary(totals.sample.typical_norm())
    outliers = moved.pop("outlier_rows")
    _with_norms(outliers, old, new)
    return {
        "relative_l2": _finite(shift / norms[0]) if norms[0] else (0.0 if shift == 0 else None),
        "cosine": _finite(totals.product / (norms[0] * norms[1])) if norms[0] and norms[1] else None,
        "max_abs": _finite(totals.largest),
        "changed_share": totals.changed / count if count else 0.0,
        "outlier_rows": outliers,
        "compared_rows": rows,
        "old_norm": _finite(norms[0]),
        "new_norm": _finite(norms[1]),
        "row_shifts": moved,
        "spectrum": concentration(totals.sample) if totals.columns > 1 else None,
        "distribution": distribution(totals.values),
        "non_finite": totals.values.non_finite(),
        "denormals": totals.values.denormals(),
        "rounding": _rounding(old, new),
    }


def _rounding(old: Tensor, new: Tensor) -> float | None:
    """The relative error that storing a value in the narrower of two types makes; None where the type is the same."""
    if old.dtype == new.dtype or not {old.dtype, new.dtype} <= set(SIGNIFICAND):
        return None
    return 2.0 ** -min(SIGNIFICAND[old.dtype], SIGNIFICAND[new.dtype])


def _with_norms(outliers: list[dict[str, Any]], old: Tensor, new: Tensor) -> None:
    """Add what the norm of each row was and is."""
    if old.columns > _LARGEST_ROW:
        return
    for outlier in outliers:
        for side, one in (("old_norm", old), ("new_norm", new)):
            numbers = row(one, outlier["row"]).astype("<f8")
            with np.errstate(all="ignore"):
                outlier[side] = _finite(float(np.sqrt(numbers @ numbers)))


def row(tensor: Tensor, number: int) -> Array:
    """One row's numbers."""
    block, width = BLOCKS.get(tensor.dtype) or (1, WIDTH[tensor.dtype])
    size = tensor.columns // block * width
    descriptor = os.open(tensor.file.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return values(os.pread(descriptor, size, tensor.offset + number * size), tensor.dtype)
    finally:
        os.close(descriptor)


def _as_bytes(result: dict[str, Any], old: Tensor, new: Tensor) -> dict[str, Any]:
    """What is told where values are no numbers: whether the bytes are the same, and which rows differ."""
    result["digest"] = {"old": digest(old), "new": digest(new)}
    if result["digest"]["old"] == result["digest"]["new"] and old.dtype == new.dtype and old.shape == new.shape:
        return result | {"status": "same", "changed_share": 0.0}
    rows = min(old.rows, new.rows)
    sizes = [one.nbytes // one.rows if one.rows else 0 for one in (old, new)]
    if old.dtype != new.dtype or sizes[0] != sizes[1] or not sizes[0] or old.shape[1:] != new.shape[1:]:
        return result
    shifts, step = RowShifts(rows), max(1, (4 << 20) // sizes[0])
    for first in range(0, rows, step):
        count = min(step, rows - first) * sizes[0]
        before, after = (
            np.frombuffer(one.file.read(one.offset + first * sizes[0], count), dtype="|u1").reshape(-1, sizes[0])
            for one in (old, new)
        )
        shifts.take(first, (before != after).any(axis=1).astype("<f8"))
    moved = shifts.summary(1.0)
    return rounded(result | {
        "changed_share": shifts.changed / rows if rows else 0.0,
        "compared_rows": rows,
        "outlier_rows": moved.pop("outlier_rows"),
        "row_shifts": moved,
    })  # fmt: skip


def _shell(old: Tensor, new: Tensor) -> dict[str, Any]:
    return {
        "name": new.name, "status": "changed", "old_shape": list(old.shape), "new_shape": list(new.shape),
        "old_dtype": old.dtype, "new_dtype": new.dtype, "relative_l2": None, "cosine": None, "max_abs": None,
        "changed_share": None, "outlier_rows": [],
    }  # fmt: skip


def _dot(one: Array, other: Array) -> float:
    return float(np.dot(one, other))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def rounded(result: dict[str, Any]) -> dict[str, Any]:
    """Numbers to seven significant digits, so that they do not depend on the order a library adds in."""
    return {key: _rounded(value) for key, value in result.items()}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - what JSON carries
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value
