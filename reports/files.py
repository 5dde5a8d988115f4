# SPDX-License-Identifier: Apache-2.0
"""Changed files as they are shown: their diff, findings on their lines, and by name whatever is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from reports.highlight import DiffRow, file_anchor, highlighted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from diffing import FileChange, FilePatch
    from reports.findings import FindingView

ROWS_A_FILE: Final = 2_000
ROWS_A_PAGE: Final = 20_000


class ShownRow(NamedTuple):
    """A row of the diff with the findings that sit on its line."""

    row: DiffRow
    findings: tuple[FindingView, ...]


@dataclass(frozen=True, slots=True)
class FileView:
    """One changed file. ``elsewhere`` are findings of this file on lines that no row shows.

    ``not_shown`` says what of the diff is left out and why; empty where all of it is here.
    """

    path: str
    old_path: str
    anchor: str
    status: str
    language: str
    added: int
    removed: int
    syntax_equal: bool
    rows: tuple[ShownRow, ...]
    elsewhere: tuple[FindingView, ...]
    findings: int
    not_shown: str


def file_views(
    patches: Iterable[tuple[FileChange, FilePatch]],
    findings: Iterable[FindingView],
    *,
    rows_a_file: int = ROWS_A_FILE,
    rows_a_page: int = ROWS_A_PAGE,
) -> Iterator[FileView]:
    """Each changed file in order; past ``rows_a_page`` rows in all, files are named but not shown."""
    by_path: dict[str, list[FindingView]] = {}
    for finding in findings:
        if finding.path:
            by_path.setdefault(finding.path, []).append(finding)
    room = rows_a_page
    for change, patch in patches:
        shown = min(room, rows_a_file)
        mine = [*by_path.get(change.path, ())]
        if change.old_path and change.old_path != change.path:
            mine += by_path.get(change.old_path, ())
        view = _view(change, patch, mine, shown)
        room -= len(view.rows)
        yield view


def _view(change: FileChange, patch: FilePatch, findings: list[FindingView], limit: int) -> FileView:
    rows = highlighted(patch) if limit > 0 else ()
    cut = rows[:limit]
    on_lines = _by_line(findings)
    placed = tuple(ShownRow(row, _findings_on(row, on_lines)) for row in cut)
    seen = {finding.id for shown in placed for finding in shown.findings}
    return FileView(
        path=change.path,
        old_path=change.old_path if change.old_path and change.old_path != change.path else "",
        anchor=file_anchor(change.path),
        status=change.status,
        language=change.language or "",
        added=change.lines_added or 0,
        removed=change.lines_removed or 0,
        syntax_equal=bool(change.syntax_equal),
        rows=placed,
        elsewhere=tuple(finding for finding in findings if finding.id not in seen),
        findings=len(findings),
        not_shown=_not_shown(patch, len(rows) - len(cut), limit),
    )


def _not_shown(patch: FilePatch, left: int, limit: int) -> str:
    if limit <= 0:
        return "Not shown: this page is full. The file is part of the change and needs to be read elsewhere."
    if patch.truncated:
        return f"Not shown in full: {patch.truncated}."
    if left > 0:
        return f"Not shown: the last {left:,} lines of this diff."
    return "" if patch.hunks else "No text lines differ."


_Lines = dict[tuple[str, int], list["FindingView"]]


def _by_line(findings: Iterable[FindingView]) -> Mapping[tuple[str, int], list[FindingView]]:
    lines: _Lines = {}
    for finding in findings:
        if finding.line_number:
            lines.setdefault((finding.side, finding.line_number), []).append(finding)
    return lines


def _findings_on(row: DiffRow, lines: Mapping[tuple[str, int], list[FindingView]]) -> tuple[FindingView, ...]:
    found: list[FindingView] = []
    if row.kind in "+ " and row.new is not None:
        found += lines.get(("head", row.new), ())
    if row.kind in "- " and row.old is not None:
        found += lines.get(("base", row.old), ())
    return tuple(found)
