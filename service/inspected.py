# SPDX-License-Identifier: Apache-2.0
"""What a statement says of what was looked at: files viewed, waived or not inspected, and findings left as they are."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from evidence import InputError, Severity, canonical
from service import judgement
from service.database import AnswerRow, ViewedRow
from signoff import Coverage, WaivedFinding, Waiver, coverage, read_facts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from evidence import Json
    from service.context import Context
    from service.database import RevisionRow

MOST_NAMED = 50  # files by name; beyond that they are counted by folder
MOST_FINDINGS = 50
_NAMED_LETTERS = 6000
_LINE = 900
_FOLDERS = 40
_REASON = 200


class Inspected(NamedTuple):
    """The facts as one person stands for them, and what the statement says of it."""

    document: Json
    coverage: Coverage
    not_inspected: tuple[str, ...]


def inspected(context: Context, row: RevisionRow, person_id: str, waive: Iterable[tuple[str, str]] = ()) -> Inspected:
    """What this person has looked at: their own marks, the files that they waive, everybody's answers.

    Args:
        context: the data folder.
        row: the revision, reviewed.
        person_id: whose marks count.
        waive: paths that need no look, each with why.

    Raises:
        ConflictError: it is not reviewed.
        InputError: a file waived that the change does not touch, twice, after it was viewed, or without a reason.
    """
    files = (
        {file["path"] for file in context.store.get_json(row.diff_digest or "")["files"]} if row.diff_digest else set()
    )
    viewed = viewed_by(context, row.id, person_id) & files
    waivers = _waivers(waive, files, viewed)
    document = judgement.facts(context, row, person_id, waived=len(waivers))
    left = files - viewed - {one.path for one in waivers}
    return Inspected(document, coverage(document, waivers, _left_as_they_are(context, row, document)), lines(left))


def viewed_by(context: Context, revision_id: int, person_id: str) -> frozenset[str]:
    """The files of a revision that somebody marked as viewed."""
    with context.database.read() as session:
        marks = select(ViewedRow.path).where(ViewedRow.revision_id == revision_id, ViewedRow.person_id == person_id)
        return frozenset(session.scalars(marks))


def lines(paths: Collection[str]) -> tuple[str, ...]:
    """Files that were not inspected, by name; where they are many, by folder with how many, and a digest of the list.

    The digest is the SHA-256 of the sorted paths as canonical JSON, so that the list can be held against it: it is the
    diff's files without those that were viewed or waived.
    """
    listed = sorted(paths)
    named = tuple(_line(path) for path in listed)
    if len(named) <= MOST_NAMED and sum(map(len, named)) <= _NAMED_LETTERS:
        return named
    folders = Counter(path.split("/", 1)[0] + "/" if "/" in path else "" for path in listed)
    order = sorted(folders.items(), key=lambda one: (-one[1], one[0]))
    told = [f"{_line(folder) or '(top folder)'}: {_files(count)}" for folder, count in order[:_FOLDERS]]
    rest = sum(count for _, count in order[_FOLDERS:])
    if rest:
        told.append(f"(other folders): {_files(rest)}")
    whole = hashlib.sha256(canonical(list(listed))).hexdigest()
    return (*told, f"(in all): {_files(len(listed))}, sha256 of their sorted paths as canonical JSON {whole}")


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'} not viewed"


def _line(path: str) -> str:
    """A path on one line: what a terminal would obey is spelt out, and what is too long is cut and told by digest."""
    shown = path if path.isprintable() else json.dumps(path)[1:-1]
    if len(shown) <= _LINE:
        return shown
    return f"{shown[: _LINE - 100]}… (sha256 of the path {hashlib.sha256(path.encode()).hexdigest()})"


def _waivers(waive: Iterable[tuple[str, str]], files: Collection[str], viewed: Collection[str]) -> tuple[Waiver, ...]:
    found: dict[str, Waiver] = {}
    for path, reason in waive:
        words = " ".join(reason.split())
        if path not in files or path in viewed or path in found:
            raise InputError(f"{_line(path)}: waived twice, viewed already, or not touched by the change")
        if not words or not words.isprintable() or len(words) > _REASON:
            raise InputError(f"{_line(path)}: waiving a file needs a reason, one line of at most {_REASON} characters")
        found[path] = Waiver(path=path, reason=words)
    return tuple(found.values())


def _left_as_they_are(context: Context, row: RevisionRow, document: Json) -> list[WaivedFinding]:
    """The answered findings, worst first, as many as fit; the rest is counted."""
    with context.database.read() as session:
        rows = session.scalars(select(AnswerRow).where(AnswerRow.revision_id == row.id))
        words = {answer.finding_id: answer.text for answer in rows}
    answered = [finding for finding in read_facts(document).findings if finding.answer is not None]
    answered.sort(key=lambda finding: (-Severity(finding.severity).rank, finding.id))
    return [
        WaivedFinding(
            id=finding.id,
            rule=finding.rule,
            severity=finding.severity,
            answer=finding.answer.kind,
            by=finding.answer.by,
            reason=_shortened(words.get(finding.id, "")),
        )
        for finding in answered[:MOST_FINDINGS]
        if finding.answer is not None
    ]


def _shortened(text: str) -> str:
    """An answer on one line. Its whole text is in the facts by digest."""
    plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))
    return plain if len(plain) <= _REASON else f"{plain[: _REASON - 1]}…"
