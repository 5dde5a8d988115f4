# SPDX-License-Identifier: Apache-2.0
"""A file that is two things: what one reader takes for weights, another runs as a pickle or opens as an archive."""

from __future__ import annotations

import pickletools
import struct
import warnings
from typing import TYPE_CHECKING

from diffing.artifacts.inside.words import RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_START = 1 << 16
_LONGEST = 64 << 20  # bytes of a program that are followed
_MOST_OPCODES = 2_000_000
_BREAKS_OFF = ("exhausted", "not enough data", "but only", "no newline")  # what pickletools says at an end
_END = struct.Struct("<4s4H2IH")  # end of central directory (APPNOTE.TXT 4.3.16)
_LONGEST_COMMENT = 1 << 16
_LAST = b"PK\x05\x06"
_CALLS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
_ENTRY = b"PK\x01\x02"


def refuse_polyglot(file: File) -> None:
    """Refuse a file that is also a pickle from its first byte on, or also a ZIP archive from its end on.

    Raises:
        RefusedError: it is.
    """
    if is_pickle(file.read(0, min(file.size, _START))):
        raise RefusedError("also a valid pickle: a file that is two things is not read")
    refuse_zip(file)


def refuse_zip(file: File) -> None:
    """Refuse a file of another format that is also a ZIP archive from its end on.

    Raises:
        RefusedError: it is.
    """
    if ends_in_zip(file):
        raise RefusedError("also a ZIP archive from its end: a file that is two things is not read")


def is_pickle(start: bytes, *, calling: bool = False, rest: File | None = None) -> bool:
    """Whether these first bytes hold a whole program for the pickle machine: opcodes up to a STOP. Nothing is run.

    With ``calling``, only if it imports something: short programs that do nothing are the beginnings of many a text.
    With the ``rest`` a program that does not end within them is followed, and one too long to follow counts as one.
    """
    told = _program(start, calling=calling)
    if told is None and rest is not None and rest.size > len(start):
        told = _program(rest.read(0, min(rest.size, _LONGEST)), calling=calling)
        return told or (told is None and rest.size > _LONGEST)
    return told is True


def _program(data: bytes, *, calling: bool) -> bool | None:
    """Whether it is a program, or too long to tell; None if it breaks off in the middle of one."""
    seen: set[str] = set()
    count = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for opcode, _, _ in pickletools.genops(data):
                seen.add(opcode.name)
                count += 1
                if opcode.name == "STOP":
                    return bool(seen & _CALLS) if calling else len(seen) > 1
                if count > _MOST_OPCODES:
                    return True
    except (ValueError, IndexError, OverflowError, UnicodeError) as error:
        return None if any(words in str(error) for words in _BREAKS_OFF) else False
    return False


def ends_in_zip(file: File) -> bool:
    """Whether a ZIP reader, which begins at the end, would find a central directory."""
    size = file.size
    tail_at = max(0, size - _LONGEST_COMMENT - _END.size)
    tail = file.read(tail_at, size - tail_at)
    at = tail.rfind(_LAST)
    while at >= 0:
        if at + _END.size <= len(tail):
            *_, length, _, _ = _END.unpack_from(tail, at)
            entry = tail_at + at - length
            if entry >= 0 and (length == 0 or file.read(entry, 4) == _ENTRY):
                return True
        at = tail.rfind(_LAST, 0, at)
    return False
