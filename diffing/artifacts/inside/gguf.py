# SPDX-License-Identifier: Apache-2.0
"""GGUF versions 2 and 3, with every length held against the file before it is believed."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from diffing.artifacts.inside.polyglots import refuse_polyglot
from diffing.artifacts.inside.tensors import BLOCKS, WIDTH, Tensor, tensor
from diffing.artifacts.inside.words import MAX_HEADER, MAX_TENSORS, RefusedError, checked_name, checked_shape, elements

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_VERSIONS = (2, 3)
_MAX_ENTRIES = 100_000
_MAX_DEPTH = 4
_MAX_RANK = 8
_STEP, _MOST_STEP = 8, 1 << 16  # what an alignment is a multiple of, and at most
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST, _UINT32 = 8, 9, 4
_PLAIN = {
    0: "F32", 1: "F16", 2: "Q4_0", 8: "Q8_0", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16",
}  # fmt: skip
# Block formats whose values are not read: name, elements and bytes of a block (ggml's own table).
_OPAQUE = {
    3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
}  # fmt: skip


class _Cursor:
    """Reads forward through the first bytes of a file."""

    def __init__(self, file: File) -> None:
        self._data = file.read(0, min(file.size, MAX_HEADER))
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise RefusedError(f"cut off, or a header of more than {MAX_HEADER:,} bytes")
        self.at += count
        return self._data[self.at - count : self.at]

    def since(self, start: int) -> bytes:
        return self._data[start : self.at]

    def number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(code)))[0])

    def text(self) -> str:
        try:
            return self.take(self.number("Q")).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RefusedError("a text in the header is not UTF-8") from error

    def skip_value(self, kind: int, depth: int = 0) -> None:
        if kind in _SCALARS:
            self.take(_SCALARS[kind])
        elif kind == _STRING:
            self.take(self.number("Q"))
        elif kind == _LIST and depth < _MAX_DEPTH:
            inner, count = self.number("I"), self.number("Q")
            if inner in _SCALARS:
                self.take(_SCALARS[inner] * count)
                return
            for _ in range(count):
                self.skip_value(inner, depth + 1)
        else:
            raise RefusedError(f"metadata of the unknown kind {kind}")


def read(file: File) -> tuple[list[Tensor], dict[str, object]]:
    """The tensors of a file, by name, and its metadata; a quantised one of no known blocks is compared by its bytes.

    Raises:
        RefusedError: anything that does not fit together.
    """
    cursor = _Cursor(file)
    if cursor.take(4) != b"GGUF" or cursor.number("I") not in _VERSIONS:
        raise RefusedError("no GGUF file of version 2 or 3, little-endian")
    refuse_polyglot(file)
    count, entries = cursor.number("Q"), cursor.number("Q")
    if count > MAX_TENSORS or entries > _MAX_ENTRIES:
        raise RefusedError(f"{count:,} tensors and {entries:,} metadata entries are announced: more than is read")
    alignment, metadata = _metadata(cursor, entries)
    infos = [_info(cursor) for _ in range(count)]
    if len({name for name, *_ in infos}) != len(infos):
        raise RefusedError("two tensors have the same name")
    start = -(-cursor.at // alignment) * alignment
    found = [_tensor(file, start, alignment, info) for info in infos]
    _apart(found, start)
    return sorted(found, key=lambda one: one.name), metadata


def _metadata(cursor: _Cursor, entries: int) -> tuple[int, dict[str, object]]:
    """The alignment of tensors, and every value: a short one as it is, else its digest."""
    alignment: int = 32
    seen: dict[str, object] = {}
    for _ in range(entries):
        key = checked_name(cursor.text())
        if key in seen:
            raise RefusedError(f"duplicate key {key!r}")
        kind = cursor.number("I")
        start = cursor.at
        seen[key] = None
        if key == "general.alignment" and kind == _UINT32:
            alignment = cursor.number("I")
            if not _STEP <= alignment <= _MOST_STEP or alignment % _STEP:
                raise RefusedError(f"an alignment of {alignment}")
        else:
            cursor.skip_value(kind)
        seen[key] = _told(kind, cursor.since(start))
    return alignment, seen


def _told(kind: int, raw: bytes) -> object:
    if kind in _CODES:
        return struct.unpack(f"<{_CODES[kind]}", raw)[0]
    if kind == _STRING:
        return raw[8:].decode("utf-8", "replace")
    return f"sha256 {hashlib.sha256(raw).hexdigest()[:16]}"


def _info(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = checked_name(cursor.text())
    rank = cursor.number("I")
    if rank > _MAX_RANK:
        raise RefusedError(f"tensor {name!r} has {rank:,} axes")
    shape = checked_shape([cursor.number("Q") for _ in range(rank)][::-1])  # ggml counts the fastest axis first
    return name, shape, cursor.number("I"), cursor.number("Q")


def _tensor(file: File, start: int, alignment: int, info: tuple[str, tuple[int, ...], int, int]) -> Tensor:
    name, shape, kind, offset = info
    if offset % alignment:
        raise RefusedError(f"tensor {name!r} lies at {offset}, no multiple of {alignment}")
    count = elements(shape)
    if kind in _PLAIN:
        dtype = _PLAIN[kind]
        block, width = BLOCKS.get(dtype, (1, WIDTH.get(dtype, 0)))
    elif kind in _OPAQUE:
        dtype, block, width = _OPAQUE[kind]
    else:
        raise RefusedError(f"tensor {name!r} has the unknown type {kind}")
    if count % block:
        raise RefusedError(f"tensor {name!r}: {count:,} elements are no whole blocks of {dtype}")
    return tensor(name, dtype, shape, file, start + offset, count // block * width)


def _apart(tensors: list[Tensor], start: int) -> None:
    at, last = start, ""
    for one in sorted(tensors, key=lambda one: (one.offset, one.nbytes)):
        if one.offset < at:
            raise RefusedError(f"tensors {last!r} and {one.name!r} overlap")
        at, last = one.offset + one.nbytes, one.name
