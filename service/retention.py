# SPDX-License-Identifier: Apache-2.0
"""How long evidence is kept, and what is held beyond that. Nothing goes by itself: an operator has it removed.

What goes are the documents of a review: diff, comparison of artifacts, audit, report, and who had a hand in it. What
stays are the revision's manifest, statements, sign-offs, log and proofs, so that what was signed can be verified for as
long as anybody wants to.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import select

from evidence import ConflictError, InputError, NotFoundError, canonical, parse_json
from service import progress
from service.database import Change, EventRow, RevisionRow
from service.life import FINAL, State
from service.store import write_durably

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evidence import Digest
    from service.context import Context

REMOVED = "evidence removed"  # in a revision's timeline
_YEAR = timedelta(days=365.25)
_LIMIT = 8 << 20
_KEPT_STATES = frozenset({State.SIGNED})  # it may be what is rolled out, or what the next change is compared with
_COLUMNS = (
    RevisionRow.diff_digest,
    RevisionRow.artifacts_digest,
    RevisionRow.audit_digest,
    RevisionRow.public_digest,
    RevisionRow.people_digest,
    RevisionRow.report_digest,
)

log = structlog.get_logger("countersign")


class Hold(NamedTuple):
    """A change of which nothing is removed, why, and since when."""

    change_id: int
    reason: str
    since: datetime


class Due(NamedTuple):
    """A revision whose evidence may go, and the documents that nothing else needs."""

    revision_id: int
    change_id: int
    n: int
    documents: tuple[Digest, ...]


def holds(context: Context) -> tuple[Hold, ...]:
    """The legal holds. InputError if their file cannot be used: then nothing is removed either."""
    path = _file(context)
    if not path.exists():
        return ()
    try:
        document = parse_json(path.read_bytes(), str(path), limit=_LIMIT)
        return tuple(
            Hold(int(one["change"]), str(one["reason"]), datetime.fromisoformat(one["since"])) for one in document
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a list of holds") from error


def hold(context: Context, change_id: int, reason: str, moment: datetime) -> None:
    """Let nothing of a change be removed until it is released.

    Raises:
        NotFoundError: no such change.
        ConflictError: it is held already.
        InputError: no reason.
    """
    if not reason.strip():
        raise InputError("a hold needs a reason")
    with context.database.read() as session:
        if session.get(Change, change_id) is None:
            raise NotFoundError(f"no change {change_id}")
    with context.exclusive("retention"):
        known = holds(context)
        if any(one.change_id == change_id for one in known):
            raise ConflictError(f"change {change_id} is held already")
        _write(context, [*known, Hold(change_id, reason.strip(), moment)])


def release(context: Context, change_id: int) -> None:
    """End a hold. NotFoundError if there is none."""
    with context.exclusive("retention"):
        known = holds(context)
        left = [one for one in known if one.change_id != change_id]
        if len(left) == len(known):
            raise NotFoundError(f"change {change_id} is not held")
        _write(context, left)


def due(context: Context, moment: datetime) -> list[Due]:
    """The revisions whose evidence may go: all of their change is older than it has to be kept, and it is not held."""
    cutoff = moment - context.settings.retention_years * _YEAR
    held = {one.change_id for one in holds(context)}
    with context.database.read() as session:
        known = (RevisionRow.id, RevisionRow.change_id, RevisionRow.n, RevisionRow.state, RevisionRow.since)
        found = session.execute(select(*known, *_COLUMNS).order_by(RevisionRow.id)).all()
        gone = set(session.scalars(select(EventRow.revision_id).where(EventRow.what == REMOVED)))
    young = {change_id for _, change_id, _, _, since, *_ in found if since > cutoff}
    going, needed = [], set()
    for revision_id, change_id, n, state, _, *documents in found:
        named = tuple(one for one in documents if one is not None)
        old = change_id not in young | held and State(state) in FINAL - _KEPT_STATES
        if old and revision_id not in gone:
            going.append((revision_id, change_id, n, named))
        elif not old:
            needed |= set(named)
    return [
        Due(revision_id, change_id, n, tuple(one for one in named if one not in needed))
        for revision_id, change_id, n, named in going
    ]


def remove(context: Context, moment: datetime) -> list[Due]:
    """Remove what is due; done again after a kill it goes on. Returns what was due."""
    with context.exclusive("retention"):
        going = due(context, moment)
        for one in going:
            for name in one.documents:
                context.store.remove(name)
            progress.record(context.database, one.revision_id, REMOVED)
            log.info("evidence removed", revision=one.revision_id, documents=len(one.documents))
    return going


def _write(context: Context, every: Sequence[Hold]) -> None:
    document = [{"change": one.change_id, "reason": one.reason, "since": one.since.isoformat()} for one in every]
    write_durably(_file(context), canonical(document))


def _file(context: Context) -> Path:
    return context.settings.data / "holds.json"
