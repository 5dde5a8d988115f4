# SPDX-License-Identifier: Apache-2.0
"""SSH's wire encoding (RFC 4251, section 5), read strictly.

Every length is checked against what is there, and a reader that is not at its end when the caller is, is refused:
bytes nobody looked at are bytes that somebody can change.
"""

from __future__ import annotations

import struct

from evidence import InputError

_MPINT_LIMIT = 16384 // 8 + 1


class WireReader:
    """Reads a byte string from front to back. Every method raises InputError if what it reads is not there."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        if length > len(self._data) - self._at:
            raise InputError(f"{self._what}: ends too early")
        piece = self._data[self._at : self._at + length]
        self._at += length
        return piece

    def byte(self) -> int:
        """The next byte as a number."""
        return self.take(1)[0]

    def uint32(self) -> int:
        """The next four bytes as a big-endian number."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """The next length-prefixed string."""
        return self.take(self.uint32())

    def name(self) -> str:
        """The next string, which must be printable ASCII."""
        raw = self.string()
        if not raw.isascii() or not (text := raw.decode("ascii")).isprintable():
            raise InputError(f"{self._what}: a name that is not printable ASCII")
        return text

    def positive(self) -> int:
        """The next mpint, which must be positive and in its shortest form."""
        raw = self.string()
        if not raw or len(raw) > _MPINT_LIMIT or raw[0] & 0x80:
            raise InputError(f"{self._what}: a number that is negative, empty or too large")
        if raw[0] == 0 and (len(raw) == 1 or not raw[1] & 0x80):
            raise InputError(f"{self._what}: a number that is zero or padded")
        return int.from_bytes(raw, "big")

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise InputError(f"{self._what}: {len(self._data) - self._at} bytes too many")


def wire_string(data: bytes) -> bytes:
    """``data`` with its length before it."""
    return struct.pack(">I", len(data)) + data


def wire_number(number: int) -> bytes:
    """A positive number as an mpint holds it, without the length before it."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
