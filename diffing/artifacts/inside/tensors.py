# SPDX-License-Identifier: Apache-2.0
"""A tensor as a range of a file, and its values as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.words import RefusedError, elements

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing.artifacts.inside.words import File

Array = np.ndarray[Any, np.dtype[Any]]

# Plain numbers, little-endian, named as safetensors names them.
NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|u1",
    "C64": "<f4",
    "C128": "<f8",
}
# Bytes of one element (of one block of 32 for the quantised).
WIDTH = {name: np.dtype(kind).itemsize for name, kind in NUMPY.items()}
WIDTH |= {"C64": 8, "C128": 16, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
BLOCKS = {"Q8_0": (32, 34), "Q4_0": (32, 18)}
# Bits of the significand: what a value loses when it is stored so.
SIGNIFICAND = {"F64": 53, "F32": 24, "F16": 11, "BF16": 8, "F8_E4M3": 4, "F8_E5M2": 3, "Q8_0": 7, "Q4_0": 3}


@dataclass(frozen=True)
class Tensor:
    """``shape`` elements of ``dtype``, row-major, at ``offset`` of a file, ``nbytes`` long."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: File = field(repr=False)
    offset: int
    nbytes: int

    @property
    def rows(self) -> int:
        """The length of the first axis; 1 for a single number."""
        return self.shape[0] if self.shape else 1

    @property
    def columns(self) -> int:
        """Elements of a row."""
        return elements(self.shape[1:])

    @property
    def numeric(self) -> bool:
        """Whether its values can be told as numbers; complex ones are compared by their bytes."""
        return (self.dtype in WIDTH and self.dtype[0] != "C") or self.dtype in BLOCKS


def tensor(name: str, dtype: str, shape: tuple[int, ...], file: File, offset: int, nbytes: int) -> Tensor:
    """A tensor whose length is what its shape says and whose range lies in the file.

    Raises:
        RefusedError: it is not so.
    """
    if dtype in BLOCKS:
        block, width = BLOCKS[dtype]
        last = shape[-1] if shape else 1
        if last % block:
            raise RefusedError(f"tensor {name!r}: rows of {last} elements are no whole blocks of {dtype}")
        wanted = elements(shape) // block * width
    else:
        wanted = elements(shape) * WIDTH.get(dtype, 1)
    if dtype in {*WIDTH, *BLOCKS} and wanted != nbytes:
        raise RefusedError(f"tensor {name!r}: {nbytes:,} bytes for {wanted:,} bytes of {dtype} {list(shape)}")
    if offset < 0 or nbytes < 0 or offset + nbytes > file.size:
        raise RefusedError(f"tensor {name!r} reaches beyond the end of the file: cut off, or a wrong length")
    return Tensor(name, dtype, shape, file, offset, nbytes)


def values(raw: bytes | bytearray | memoryview, dtype: str) -> Array:
    """The numbers in raw bytes: as float32, or as float64 where float32 would lose some."""
    return _DECODE[dtype](np.frombuffer(raw, dtype=np.uint8))


def _plain(kind: str, wider: str) -> Callable[[Array], Array]:
    return lambda raw: raw.view(kind).astype(wider, copy=False)


def _bfloat16(raw: Array) -> Array:
    return (raw.view("<u2").astype("<u4") << 16).view("<f4")


def _table(exponent_bits: int, mantissa_bits: int, *, infinities: bool) -> Array:
    """All 256 values of an 8-bit float (arXiv:2209.05433)."""
    bias = (1 << (exponent_bits - 1)) - 1
    codes = np.arange(256)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (codes & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    sign = np.where(codes >> 7, -1.0, 1.0)
    number = np.where(
        exponent == 0, mantissa * 2.0 ** (1 - bias), (1 + mantissa) * 2.0 ** (exponent.astype(float) - bias)
    )
    top = exponent == (1 << exponent_bits) - 1
    if infinities:
        number = np.where(top, np.where(mantissa == 0, np.inf, np.nan), number)
    else:
        number = np.where(top & ((codes & ((1 << mantissa_bits) - 1)) == (1 << mantissa_bits) - 1), np.nan, number)
    return (sign * number).astype("<f4")


def _looked_up(table: Array) -> Callable[[Array], Array]:
    return lambda raw: table[raw]


def _q8_0(raw: Array) -> Array:
    blocks = raw.reshape(-1, 34)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype("<f4")
    numbers: Array = np.ascontiguousarray(blocks[:, 2:]).view("|i1").astype("<f4") * scale
    return numbers.reshape(-1)


def _q4_0(raw: Array) -> Array:
    blocks = raw.reshape(-1, 18)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype("<f4")
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    numbers: Array = (np.concatenate([low, high], axis=1).astype("<f4") - 8) * scale
    return numbers.reshape(-1)


_DECODE: dict[str, Callable[[Array], Array]] = {
    name: _plain(kind, "<f8" if name in {"F64", "I64", "I32", "U64", "U32", "C128"} else "<f4")
    for name, kind in NUMPY.items()
} | {
    "BF16": _bfloat16,
    "F8_E4M3": _looked_up(_table(4, 3, infinities=False)),
    "F8_E5M2": _looked_up(_table(5, 2, infinities=True)),
    "Q8_0": _q8_0,
    "Q4_0": _q4_0,
}
