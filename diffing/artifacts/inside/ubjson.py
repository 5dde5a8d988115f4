# SPDX-License-Identifier: Apache-2.0
"""UBJSON as XGBoost writes it (specification draft 12), with every length held against what is left."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from diffing.artifacts.inside.words import RefusedError

_NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_MAX_DEPTH = 64
_MAX_VALUES = 4_000_000  # that are no packed array
_CONSTANTS = {"Z": None, "T": True, "F": False}


def parse(data: bytes) -> Any:  # noqa: ANN401 - whatever the document holds
    """The one document in ``data``; typed arrays come as lists.

    Raises:
        RefusedError: it is none.
    """
    reader = _Reader(data)
    document = reader.value(reader.marker(), 0)
    if reader.at != len(data):
        raise RefusedError(f"{len(data) - reader.at:,} bytes behind the document")
    return document


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._values = 0

    def take(self, count: int) -> bytes:
        if count < 0 or count > len(self._data) - self.at:
            raise RefusedError("cut off, or a length beyond the end")
        self.at += count
        return self._data[self.at - count : self.at]

    def marker(self) -> str:
        while True:
            mark = self.take(1).decode("latin-1")
            if mark != "N":
                return mark

    def value(self, mark: str, depth: int) -> Any:  # noqa: ANN401 - whatever the document holds
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise RefusedError("nested too deeply, or more values than are read")
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark in _NUMBERS:
            kind = _NUMBERS[mark]
            return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]
        if mark == "S":
            return self._text()
        if mark == "C":
            return self.take(1).decode("latin-1")
        if mark == "[":
            return self._list(depth)
        if mark == "{":
            return self._object(depth)
        raise RefusedError(f"the unknown marker {mark!a}")

    def _length(self) -> int:
        mark = self.marker()
        if mark not in "iUIlL":
            raise RefusedError("a length that is no whole number")
        kind = _NUMBERS[mark]
        length = int(struct.unpack(kind, self.take(struct.calcsize(kind)))[0])
        if length < 0:
            raise RefusedError("a negative length")
        return length

    def _text(self) -> str:
        try:
            return self.take(self._length()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RefusedError("a text that is not UTF-8") from error

    def _header(self) -> tuple[str, int | None]:
        """The type and count that a container may announce."""
        kind, count = "", None
        if self._peek() == "$":
            self.take(1)
            kind = self.take(1).decode("latin-1")
            if self._peek() != "#":
                raise RefusedError("a typed container without a count")
        if self._peek() == "#":
            self.take(1)
            count = self._length()
        return kind, count

    def _peek(self) -> str:
        return self._data[self.at : self.at + 1].decode("latin-1")

    def _list(self, depth: int) -> list[Any]:
        kind, count = self._header()
        if kind in _NUMBERS and count is not None:
            width = struct.calcsize(_NUMBERS[kind])
            return np.frombuffer(self.take(count * width), dtype=_NUMBERS[kind]).tolist()  # type: ignore[no-any-return]
        found: list[Any] = []
        while (count is None and self._peek() != "]") or (count is not None and len(found) < count):
            found.append(self.value(kind or self.marker(), depth + 1))
        if count is None:
            self.take(1)
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        found: dict[str, Any] = {}
        while (count is None and self._peek() != "}") or (count is not None and len(found) < count):
            key = self._text()
            if key in found:
                raise RefusedError(f"duplicate key {ascii(key)[:80]}")
            found[key] = self.value(kind or self.marker(), depth + 1)
        if count is None:
            self.take(1)
        return found
