# SPDX-License-Identifier: Apache-2.0
"""What stands beside a model's numbers and may change what they do: settings, metadata, text files; as short words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffing.artifacts.inside.words import File

_LONGEST = 160  # of a value or a key that is told as it is
_MOST = 2_000  # words of one file that are told one by one
_CHUNK = 1 << 20
_REST = "(all others)"


@dataclass
class Beside:
    """Words by their key; ``acts`` where a reader of the file follows them, not only people."""

    what: str
    acts: bool
    words: dict[str, str] = field(default_factory=dict)


def words_of(found: Mapping[str, object]) -> dict[str, str]:
    """Values as short text: a long one by its beginning and its digest, more than are told as one digest."""
    listed = sorted((_short(str(key)), _short(_text(value))) for key, value in found.items())
    words = dict(listed[:_MOST])
    if len(listed) > _MOST:
        words[_REST] = _digest(repr(listed[_MOST:]).encode())
    return words


def flat(document: Any, path: str = "") -> Iterator[tuple[str, object]]:  # noqa: ANN401 - parsed JSON
    """The leaves of a parsed document by their path; an empty list or object is one too."""
    waiting = [(path, document)]
    while waiting:
        at, node = waiting.pop()
        inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        below = [(f"{at}.{key}" if at else str(key), value) for key, value in inner]
        if below:
            waiting += reversed(below)
        elif at:
            yield at, node


def digest_of(file: File) -> dict[str, str]:
    """The one word of a file that is not read: its SHA-256."""
    found, at, size = hashlib.sha256(), 0, file.size
    while at < size:
        part = file.read(at, min(_CHUNK, size - at))
        found.update(part)
        at += len(part)
    return {"sha256": found.hexdigest()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _short(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST])
    return text if shown == text else f"{shown}… ({_digest(text.encode('utf-8', 'surrogatepass'))})"


def _digest(data: bytes) -> str:
    return f"sha256 {hashlib.sha256(data).hexdigest()[:16]}"
