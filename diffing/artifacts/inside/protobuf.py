# SPDX-License-Identifier: Apache-2.0
"""Protocol Buffers' wire format, as far as is needed to walk a message: fields as numbers or ranges, nothing copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from diffing.artifacts.inside.words import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.artifacts.inside.words import File

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_STRETCH = 1 << 14


class Field(NamedTuple):
    """One field: its number, its value where it is one (varint or fixed), else the range of its bytes."""

    number: int
    value: int
    start: int
    end: int


class Window:
    """The bytes of a file by position, read a stretch at a time and never mapped."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._size = file.size
        self._at = 0
        self._held = b""

    def byte(self, at: int) -> int:
        """One byte."""
        if not self._at <= at < self._at + len(self._held):
            self._at = at
            self._held = self._file.read(at, min(_STRETCH, self._size - at))
        return self._held[at - self._at]

    def range(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` to before ``end``."""
        if self._at <= start and end <= self._at + len(self._held):
            return self._held[start - self._at : end - self._at]
        return self._file.read(start, end - start)


class Message:
    """A range of a file's bytes read as a message."""

    def __init__(self, data: Window, start: int, end: int) -> None:
        self.data = data
        self.start = start
        self.end = end

    def fields(self) -> Iterator[Field]:
        """The fields in their order.

        Raises:
            RefusedError: a field that reaches beyond the message, or a wire type that there is not.
        """
        at = self.start
        while at < self.end:
            key, at = self._varint(at)
            number, wire = key >> 3, key & 7
            if number == 0:
                raise RefusedError("a field with the number 0: no such message")
            if wire == _VARINT:
                value, at = self._varint(at)
                yield Field(number, value, at, at)
            elif wire in (_FIXED64, _FIXED32):
                width = 8 if wire == _FIXED64 else 4
                self._within(at + width)
                yield Field(number, int.from_bytes(self.data.range(at, at + width), "little"), at, at + width)
                at += width
            elif wire == _BYTES:
                length, at = self._varint(at)
                self._within(at + length)
                yield Field(number, 0, at, at + length)
                at += length
            else:
                raise RefusedError(f"a field of wire type {wire}: no such message")

    def message(self, field: Field) -> Message:
        """A field's bytes as a message."""
        return Message(self.data, field.start, field.end)

    def text(self, field: Field) -> str:
        """A field's bytes as text."""
        try:
            return self.data.range(field.start, field.end).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RefusedError("a text that is not UTF-8") from error

    def numbers(self, field: Field) -> list[int]:
        """A packed list of varints, or the one number of a field that is not packed."""
        if field.start == field.end:
            return [field.value]
        found, at = [], field.start
        while at < field.end:
            number, at = self._varint(at)
            found.append(number)
        return found

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for step in range(_LONGEST_VARINT):
            self._within(at + 1)
            byte = self.data.byte(at)
            at += 1
            value |= (byte & 0x7F) << (7 * step)
            if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
                return value & 0xFFFFFFFFFFFFFFFF, at
        raise RefusedError("a number of more than ten bytes")

    def _within(self, end: int) -> None:
        if end > self.end:
            raise RefusedError("cut off: a field reaches beyond its message")
