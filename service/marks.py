# SPDX-License-Identifier: Apache-2.0
"""What a reviewer notes on a revision: answers to findings, files viewed. Marks hang on one revision only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from evidence import ConflictError, InputError
from service.arrivals import now
from service.database import AnswerRow, RevisionRow, ViewedRow
from service.life import State
from service.views import ANSWER_KINDS

if TYPE_CHECKING:
    from service.database import Database
    from service.views import Person

MAX_TEXT = 4000
_CLOSED = frozenset({State.SUPERSEDED, State.HELD, State.RECEIVED})


def answer(
    database: Database, revision_id: int, finding_id: str, *, kind: str, text: str, person: Person, serious: bool
) -> None:
    """Record an answer; a later one replaces it. Does not check that the finding exists: the caller does.

    ``serious`` is whether the finding is one that the queue counts.

    Raises:
        InputError: an unknown kind, or a text that is empty or too long.
        ConflictError: the revision was superseded.
    """
    if kind not in ANSWER_KINDS:
        raise InputError(f"answer {kind[:40]!r} is none of {', '.join(ANSWER_KINDS)}")
    words = text.strip()
    if not words or len(words) > MAX_TEXT:
        raise InputError(f"an answer needs a reason of 1 to {MAX_TEXT} characters")
    with database.write() as session:
        still_open(session.get_one(RevisionRow, revision_id))
        session.merge(
            AnswerRow(
                revision_id=revision_id,
                finding_id=finding_id,
                kind=kind,
                text=words,
                person_id=person.id,
                at=now(),
                serious=serious,
            )
        )


def mark_viewed(database: Database, revision_id: int, path: str, *, person: Person, viewed: bool) -> None:
    """Mark a file as viewed by a person, or take the mark back. Does not check that the change touches it.

    Raises:
        ConflictError: the revision was superseded.
    """
    with database.write() as session:
        still_open(session.get_one(RevisionRow, revision_id))
        if viewed:
            session.merge(ViewedRow(revision_id=revision_id, path=path, person_id=person.id, at=now()))
        else:
            session.execute(
                delete(ViewedRow).where(
                    ViewedRow.revision_id == revision_id, ViewedRow.path == path, ViewedRow.person_id == person.id
                )
            )


def still_open(revision: RevisionRow) -> None:
    """Refuse a revision that takes no marks. ConflictError if it is superseded, or not compared yet."""
    if State(revision.state) in _CLOSED:
        raise ConflictError(f"revision {revision.n} is {revision.state}: marks go to the latest one, reload the page")
