# SPDX-License-Identifier: Apache-2.0
"""A file's unified diff as data, for pages and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffing._lines import LineDiff, Run, compare_lines, split_lines
from evidence import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from confine import Repository
    from diffing.changes import FileChange

MAX_FILE = 2 << 20  # bytes of a side that are shown
MAX_LINES = 5_000  # lines of a patch that are shown
MAX_LINE = 2_000  # characters of a line that are shown
_SNIFFED = 8_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line: " " on both sides, "+" only in head, "-" only in base.

    Numbers count from 1 and are None where it is not.
    """

    kind: Literal[" ", "+", "-"]
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """Changed lines with those around them; ``old_start`` and ``new_start`` count from 1."""

    old_start: int
    new_start: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class FilePatch:
    """A file's hunks; ``truncated`` says in one sentence what is not shown and why, None where all is."""

    path: str
    old_path: str | None
    truncated: str | None
    hunks: tuple[Hunk, ...]


def hunks(repository: Repository, change: FileChange, *, context: int = 3) -> FilePatch:
    """The patch of one changed file with ``context`` lines around each change.

    Binary files, files over 2 MiB and patches over 5,000 lines are cut, and ``truncated`` says so. Lines are
    decoded as UTF-8 with
    escapes for what is not, and keep no line end but a carriage return.

    Raises:
        RepositoryError: the objects cannot be read.
    """
    try:
        old, new = (
            repository.blob(object_id, limit=MAX_FILE) if object_id else b""
            for object_id in (change.old_object, change.new_object)
        )
    except TooLargeError:
        return FilePatch(change.path, change.old_path, f"Not shown: larger than {MAX_FILE >> 20} MiB.", ())
    return patch_of(change.path, change.old_path, old, new, context=context)


def patch_of(path: str, old_path: str | None, old: bytes, new: bytes, *, context: int = 3) -> FilePatch:
    """The patch between two contents."""
    if b"\0" in old[:_SNIFFED] or b"\0" in new[:_SNIFFED]:
        return FilePatch(path, old_path, "Not shown: a binary file.", ())
    before, after = split_lines(old), split_lines(new)
    diff = compare_lines(before, after)
    found: list[Hunk] = []
    shown, truncated = 0, None
    for group in _groups(diff, context):
        lines = list(_lines(group, before, after, context))
        if shown + len(lines) > MAX_LINES:
            lines = lines[: MAX_LINES - shown]
            truncated = f"Only the first {MAX_LINES:,} lines of the patch are shown."
        if lines:
            start = group[0]
            lead = min(context, start.old_start, start.new_start)
            found.append(Hunk(start.old_start - lead + 1, start.new_start - lead + 1, tuple(lines)))
        shown += len(lines)
        if truncated:
            break
    if truncated is None and any(len(line.text) > MAX_LINE for hunk in found for line in hunk.lines):
        truncated = f"Lines over {MAX_LINE:,} characters are cut."
    return FilePatch(path, old_path, truncated, tuple(found))


def _groups(diff: LineDiff, context: int) -> Iterable[list[Run]]:
    """Runs that are near enough to share their context."""
    group: list[Run] = []
    for run in diff.runs:
        if group and run.old_start - group[-1].old_end > 2 * context:
            yield group
            group = []
        group.append(run)
    if group:
        yield group


def _lines(group: list[Run], old: Sequence[bytes], new: Sequence[bytes], context: int) -> Iterable[Line]:
    at_old = max(0, group[0].old_start - min(context, group[0].old_start, group[0].new_start))
    at_new = group[0].new_start - (group[0].old_start - at_old)
    for run in group:
        yield from _kept(old, at_old, run.old_start, at_new)
        for number in range(run.old_start, run.old_end):
            yield Line("-", number + 1, None, _text(old[number]))
        for number in range(run.new_start, run.new_end):
            yield Line("+", None, number + 1, _text(new[number]))
        at_old, at_new = run.old_end, run.new_end
    yield from _kept(old, at_old, min(len(old), at_old + context), at_new)


def _kept(old: Sequence[bytes], start: int, end: int, at_new: int) -> Iterable[Line]:
    for number in range(start, end):
        yield Line(" ", number + 1, at_new + number - start + 1, _text(old[number]))


def _text(line: bytes) -> str:
    text = line.removesuffix(b"\n")[: 4 * MAX_LINE + 4].decode("utf-8", "backslashreplace")
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"
