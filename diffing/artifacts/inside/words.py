# SPDX-License-Identifier: Apache-2.0
"""What every parser shares: the refusal, names that may be shown, JSON read strictly, sizes that may be believed."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HEADER = 32 << 20  # bytes of a header, a graph or a model's text that are held in memory
MAX_TENSORS = 100_000
MAX_NAME = 512
MAX_RANK = 16
MAX_ELEMENTS = 1 << 46
_MAX_DEPTH = 64
_SHARD = re.compile(r"(.*)-([0-9]{3,6})-of-([0-9]{3,6})(\.[^/]*)")


class RefusedError(Exception):
    """A file that is not read. Its text is one line: what is wrong with it."""


def in_a_line(error: Exception) -> str:
    """What a library said, as one short line that can be shown: it may repeat what stands in the file."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(words.split())[:120] or type(error).__name__


def held(values: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """An Arrow array or batch whose offsets, indices and texts lie inside its buffers: the library believes the file.

    Raises:
        pyarrow.ArrowInvalid: they do not; to read it would read, or crash, beyond them.
    """
    values.validate(full=True)
    return values


@dataclass(frozen=True)
class File:
    """One hostile file: the name a person knows it by, and where it lies in the sandbox."""

    name: str
    path: str

    @property
    def size(self) -> int:
        """Bytes."""
        return os.stat(self.path).st_size  # noqa: PTH116 - called for every range of every tensor

    @property
    def suffix(self) -> str:
        """The ending, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    def read(self, offset: int, count: int) -> bytes:
        """Exactly that range.

        Raises:
            RefusedError: it reaches beyond the end.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            raise RefusedError(f"cut off: {offset + count:,} bytes are announced, {self.size:,} are there")
        with Path(self.path).open("rb") as file:
            file.seek(offset)
            return file.read(count)


def checked_name(name: object) -> str:
    """A tensor's or member's name: printable text of moderate length."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME:
        raise RefusedError(f"a name that is empty, no text, or longer than {MAX_NAME} characters")
    if not name.isprintable():
        raise RefusedError(f"the name {ascii(name)[:80]} holds control or invisible characters")
    return name


def checked_shape(shape: object) -> tuple[int, ...]:
    """A shape whose product can be an amount of elements."""
    if not isinstance(shape, (list, tuple)) or len(shape) > MAX_RANK:
        raise RefusedError(f"a shape that is no list of at most {MAX_RANK} numbers")
    total = 1
    for length in shape:
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise RefusedError("a shape that holds something other than lengths")
        total *= max(length, 1)
        if total > MAX_ELEMENTS:
            raise RefusedError(f"a shape whose product overflows: {'x'.join(str(part)[:24] for part in shape)}")
    return tuple(shape)


def elements(shape: tuple[int, ...]) -> int:
    """The product of a checked shape."""
    total = 1
    for length in shape:
        total *= length
    return total


def missing_shard(names: Iterable[str]) -> str | None:
    """The first shard that names such as ``model-00001-of-00003.safetensors`` promise and that is not there."""
    sets: dict[tuple[str, int, int, str], set[int]] = {}
    for name in names:
        found = _SHARD.fullmatch(name)
        if found is not None:
            before, number, total, after = found.groups()
            sets.setdefault((before, int(total), len(total), after), set()).add(int(number))
    for (before, total, width, after), there in sorted(sets.items()):
        gap = next((number for number in range(1, min(total, len(there) + 1) + 1) if number not in there), None)
        if gap is not None:
            return f"{before}-{gap:0{width}}-of-{total:0{width}}{after}"
    return None


def inner_path(name: str) -> str:
    """A path inside an archive, index or graph that stays inside."""
    checked_name(name)
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise RefusedError(f"the path {name[:80]!r} leads out of its folder")
    return name


def strict_json(data: bytes, what: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """JSON without duplicate keys, NaN, Infinity or endless nesting."""
    if len(data) > MAX_HEADER:
        raise RefusedError(f"{what} has {len(data):,} bytes, more than {MAX_HEADER:,}")
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except RecursionError as error:
        raise RefusedError(f"{what} is nested too deeply") from error
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        raise RefusedError(f"{what} is no valid JSON: {in_a_line(error)}") from error
    _shallow(document, what)
    return document


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RefusedError(f"duplicate key {ascii(key)[:80]}")
            seen.add(key)
    return result


def _no_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{name} is no JSON number")


def _shallow(document: Any, what: str) -> None:  # noqa: ANN401 - whatever JSON holds
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise RefusedError(f"{what} is nested deeper than {_MAX_DEPTH}")
