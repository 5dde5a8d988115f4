# SPDX-License-Identifier: Apache-2.0
"""One changed path with both contents, as the comparison takes them; and how text is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from diffing.changes import Status

EntryKind = Literal["file", "symlink", "submodule"]

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_PLAIN = frozenset(
    {
        "utf-8",
        "utf8",
        "utf-8-sig",
        "ascii",
        "us-ascii",
        "latin-1",
        "latin1",
        "iso-8859-1",
        "iso-8859-15",
        "cp1252",
        "utf_8",
        "latin_1",
    }
)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Side:
    """What a path holds on one side: a file's bytes, a symlink's target, a submodule's commit."""

    object_id: str
    kind: EntryKind
    size: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path. ``path`` is printable."""

    path: str
    old_path: str | None
    status: Status
    old: Side | None
    new: Side | None


def normalised(content: bytes) -> bytes:
    """Bytes to parse: no byte order mark, lines that end with a newline only, UTF-16 with a mark turned into UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = content.decode("utf-16", "replace").encode("utf-8", "replace")
    content = content.removeprefix(_BOM)
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in content else content


def text_of(content: bytes) -> str:
    """Content as text, with escapes for what is not UTF-8."""
    return content.decode("utf-8", "backslashreplace")


def declared_encoding(content: bytes) -> str | None:
    """The encoding that Python source declares in its first two lines where it is not a plain one.

    Under such an encoding (utf-7, rot13 and the like) the interpreter runs other text than a reader sees (PEP 263).
    """
    for line in content.split(b"\n", 2)[:2]:
        match = _COOKIE.match(line)
        if match:
            name = match.group(1).decode("ascii", "replace").lower()
            return None if name in _PLAIN else name
    return None
