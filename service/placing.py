# SPDX-License-Identifier: Apache-2.0
"""Where a thread stands: the line it was begun on, and where that line is in another revision of the change.

A line is still there if git's diff of the two contents neither removes nor changes it. What cannot be told, as of a
binary file or a patch too long to show, counts as no longer there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from diffing import FileChange, hunks
from evidence import InputError, RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confine import Repository

Side = Literal["head", "base"]

MAX_FILE: Final = 2 << 20  # bytes of a file whose lines can be spoken of
_MAX_QUOTE = 400


class Spot(NamedTuple):
    """A place in a revision: ``path`` as its diff names it, empty for the whole change; ``line`` None for a file."""

    path: str = ""
    side: Side = "head"
    line: int | None = None


class Commits(NamedTuple):
    """The two commits of a revision."""

    base: str
    head: str


class _Entry(NamedTuple):
    """A path that differs between two commits, by what each calls it and holds there."""

    old_path: str | None
    new_path: str | None
    old_object: str | None
    new_object: str | None


@dataclass
class Places:
    """The files of a repository's commits, each pair of commits compared once."""

    repository: Repository
    _known: dict[tuple[str, str], tuple[_Entry, ...]] = field(default_factory=dict)

    def lines(self, commits: Commits, spot: Spot) -> tuple[str, ...]:
        """The text of every line of a changed file on one side.

        Raises:
            InputError: the revision has no such file on that side, or it is binary or too large to speak of its lines.
        """
        entry = self._changed(commits, spot.path)
        held = None if entry is None else (entry.new_object if spot.side == "head" else entry.old_object)
        if held is None:
            raise InputError(f"{spot.path[:200]} has no {spot.side} side in this revision")
        try:
            content = self.repository.blob(held, limit=MAX_FILE)
        except TooLargeError as error:
            raise InputError(f"{spot.path[:200]} is too large to speak of its lines: speak of the file") from error
        if b"\0" in content:
            raise InputError(f"{spot.path[:200]} is binary: speak of the file")
        text = content.decode("utf-8", "backslashreplace").removesuffix("\n")
        return tuple(text.split("\n")) if content else ()

    def quote(self, commits: Commits, spot: Spot) -> str:
        """The text of a spot's line. InputError if it has none, or as `lines`."""
        if spot.line is None:
            return ""
        lines = self.lines(commits, spot)
        if not 1 <= spot.line <= len(lines):
            raise InputError(f"{spot.path[:200]} has {len(lines)} lines on the {spot.side} side, and no {spot.line}")
        return lines[spot.line - 1][:_MAX_QUOTE]

    def now(self, spot: Spot, begun: Commits, commits: Commits) -> Spot | None:
        """Where a spot of one revision is in another; None where it is no longer there, or cannot be told."""
        if not spot.path or begun == commits:
            return spot
        try:
            return self._moved(spot, begun, commits)
        except RepositoryError:
            return None

    def _moved(self, spot: Spot, begun: Commits, commits: Commits) -> Spot | None:
        entry = self._changed(begun, spot.path)
        path = None if entry is None else (entry.new_path if spot.side == "head" else entry.old_path)
        if path is None:
            return self._renamed(spot, commits) if spot.line is None else None
        old, new = (begun.head, commits.head) if spot.side == "head" else (begun.base, commits.base)
        moved = next((one for one in self._entries(old, new) if one.old_path == path), None)
        line = spot.line
        if moved is not None:
            if moved.new_path is None:
                return None
            path, line = moved.new_path, line if line is None else self._line(moved, line)
            if line is None and spot.line is not None:
                return None
        if spot.side == "base":
            named = next((one for one in self._entries(*commits) if one.old_path == path), None)
            path = path if named is None else named.new_path or path
        return Spot(path, spot.side, line)

    def _renamed(self, spot: Spot, commits: Commits) -> Spot | None:
        """A removed file has no head: it is there for as long as the diff names it."""
        return spot if self._changed(commits, spot.path) is not None else None

    def _line(self, moved: _Entry, line: int) -> int | None:
        if moved.old_object == moved.new_object:
            return line
        change = FileChange(
            path=moved.new_path or "",
            old_path=moved.old_path,
            status="modified",
            language=None,
            lines_added=0,
            lines_removed=0,
            syntax_equal=False,
            old_object=moved.old_object,
            new_object=moved.new_object,
        )
        patch = hunks(self.repository, change, context=0)
        if patch.truncated is not None:
            return None
        offset = 0
        for one in (one for hunk in patch.hunks for one in hunk.lines):
            if one.kind == "-" and one.old is not None:
                if one.old == line:
                    return None
                offset -= one.old < line
            elif one.kind == "+" and one.new is not None:
                offset += one.new <= line + offset
        return line + offset

    def _changed(self, commits: Commits, path: str) -> _Entry | None:
        return next((one for one in self._entries(*commits) if (one.new_path or one.old_path) == path), None)

    def _entries(self, old: str, new: str) -> tuple[_Entry, ...]:
        found = self._known.get((old, new))
        if found is None:
            found = tuple(
                _Entry(_printable(one.old_path), _printable(one.new_path), one.old_object, one.new_object)
                for one in self.repository.diff_entries(old, new)
            )
            self._known[old, new] = found
        return found


def keyed(spots: Mapping[int, Spot]) -> dict[str, dict[str, list[int]]]:
    """The ids of spots that are on lines, by path and then by ``L12`` for a line of base or ``R12`` for one of head."""
    found: dict[str, dict[str, list[int]]] = {}
    for name, spot in spots.items():
        if spot.line is not None:
            letter = "R" if spot.side == "head" else "L"
            found.setdefault(spot.path, {}).setdefault(f"{letter}{spot.line}", []).append(name)
    return found


def _printable(path: str | None) -> str | None:
    """A path as the diff's document names it."""
    return None if path is None else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
