# SPDX-License-Identifier: Apache-2.0
"""The files around a change: what did not change, opened only where a call of a changed file leads there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._content import normalised
from diffing._kinds import What, kind_of
from diffing._naming import module_constants
from diffing._reading import Parsed
from diffing._tree import TooManyNodesError, lower
from diffing.capabilities import Elsewhere, Fields, Followed, capabilities_of_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_OPENED = 60  # files
MAX_BYTES = 512 << 10  # of one file
MAX_READ = 32 << 20


class Around:
    """The files of a repository. Paths are printable.

    Args:
        paths: every path of head, and of base where it changed; asked for once a changed file is read.
        read: the content of an unchanged file of at most so many bytes; None where it is no file or larger.
    """

    def __init__(self, paths: Callable[[], Iterable[str]], read: Callable[[str, int], bytes | None]) -> None:
        self._paths, self._read = paths, read
        self._elsewhere: Elsewhere | None = None
        self._fields: Fields | None = None
        self._contents: dict[str, bytes | None] = {}
        self._opened: dict[str, Followed | None] = {}
        self._left = MAX_READ
        self.unopened: set[str] = set()

    def elsewhere(self, fields: Fields) -> Elsewhere:
        """The paths by the names that code has for them; ``fields`` are the names of user data to open files with."""
        self._fields = fields
        if self._elsewhere is None:
            self._elsewhere = Elsewhere(self._paths(), self._content)
        return self._elsewhere

    def may_hold(self, path: str, word: str) -> bool:
        """Whether a file is worth opening for a name."""
        content = self._content(path)
        name = word.encode("utf-8", "replace")
        if content is None or not path.endswith(".go"):
            return content is not None and name in content
        return any(start + name in content for start in (b"func ", b") ", b"type "))

    def open(self, path: str) -> Followed | None:
        """The file with its capabilities; None where it cannot be read, or too many were."""
        if path not in self._opened:
            self._opened[path] = self._parsed(path)
            if self._opened[path] is None:
                self.unopened.add(path)
        return self._opened[path]

    def _parsed(self, path: str) -> Followed | None:
        content = self._content(path) if len(self._opened) < MAX_OPENED else None
        kind = kind_of(path, content) if content is not None else None
        if content is None or kind is None or kind.what is not What.CODE or kind.table is None:
            return None
        try:
            lowered = lower(normalised(content), kind.table)
        except TooManyNodesError:
            return None
        assert self._fields is not None  # noqa: S101 - elsewhere was asked for first
        constants = module_constants(lowered.root, nested=kind.table.nested)
        parsed = Parsed(path, lowered.source, kind.table, lowered, "", constants, {})
        held = capabilities_of_code(parsed, constants, self._fields, self._elsewhere)
        return Followed(path, kind.table.name, held) if held is not None else None

    def _content(self, path: str) -> bytes | None:
        if path not in self._contents:
            content = self._read(path, min(MAX_BYTES, self._left)) if self._left > 0 else None
            self._left -= len(content or b"")
            self._contents[path] = content
        return self._contents[path]
