# SPDX-License-Identifier: Apache-2.0
"""Changes and revisions as views: the database's rows and the store's documents put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from evidence import NotFoundError, Verdict
from service.database import (
    AnswerRow,
    CarriedRow,
    Change,
    ClosedRow,
    EventRow,
    PersonRow,
    RevisionRow,
    SignoffRow,
    ViewedRow,
)
from service.life import State
from service.views import (
    Answer,
    ChangeView,
    Event,
    QueueRow,
    ReviewError,
    RevisionLine,
    RevisionView,
    SignoffView,
    Turn,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.database import Database
    from service.store import EvidenceStore

_TURNS: dict[State, tuple[Turn, str]] = {
    State.HELD: ("reviewer", "from a fork: let it through to have it reviewed"),
    State.RECEIVED: ("service", "is being fetched and diffed"),
    State.DIFFED: ("service", "base and head are being run"),
    State.AUDITED: ("service", "the review is being put together"),
    State.OUTSIDE: ("nobody", "touches nothing under review"),
    State.READY: ("reviewer", "ready for sign-off"),
    State.SIGNED: ("nobody", "signed off"),
    State.REJECTED: ("author", "rejected"),
    State.REVOKED: ("author", "its approval was revoked"),
    State.EXPIRED: ("reviewer", "its sign-offs have expired"),
    State.SUPERSEDED: ("nobody", "superseded"),
    State.FAILED: ("author", "could not be reviewed"),
}
_ORDER: dict[Turn, int] = {"reviewer": 0, "others": 1, "service": 2, "author": 3, "nobody": 4}


def find(session: Session, change_id: int, n: int) -> RevisionRow:
    """The row of a revision. NotFoundError if there is none."""
    revision = session.scalar(select(RevisionRow).where(RevisionRow.change_id == change_id, RevisionRow.n == n))
    if revision is None:
        raise NotFoundError(f"change {change_id} has no revision {n}")
    return revision


def queue(database: Database, *, platform: str | None = None) -> list[QueueRow]:
    """Every change by its latest revision, as its state alone has it: see `service.attention` for the rest."""
    latest = (
        select(RevisionRow.change_id, func.max(RevisionRow.n).label("n")).group_by(RevisionRow.change_id).subquery()
    )
    answered = (
        select(AnswerRow.revision_id, func.count().label("count"))
        .where(AnswerRow.kind != "must-change", AnswerRow.serious)
        .group_by(AnswerRow.revision_id)
        .subquery()
    )
    statement = (
        select(RevisionRow, Change, answered.c.count, ClosedRow.how)
        .join(latest, (latest.c.change_id == RevisionRow.change_id) & (latest.c.n == RevisionRow.n))
        .join(Change, Change.id == RevisionRow.change_id)
        .outerjoin(answered, answered.c.revision_id == RevisionRow.id)
        .outerjoin(ClosedRow, ClosedRow.change_id == Change.id)
    )
    if platform is not None:
        statement = statement.where(Change.platform == platform)
    with database.read() as session:
        rows = [
            _queue_row(revision, change, count or 0, how) for revision, change, count, how in session.execute(statement)
        ]
    return sorted(rows, key=lambda row: (_ORDER[row.whose_turn], row.since, row.change_id))


def _queue_row(revision: RevisionRow, change: Change, answered: int, closed: str | None) -> QueueRow:
    state = State(revision.state)
    turn, why = _TURNS[state]
    unanswered = max(0, revision.findings - answered)
    if state is State.READY and unanswered:
        why = f"{unanswered} finding{'' if unanswered == 1 else 's'} to answer"
    elif state is State.FAILED and revision.error_public:
        why = revision.error_public
    if closed == "closed":
        turn, why = "nobody", "closed at the code host"
    elif closed == "merged" and state is not State.SIGNED:
        why = f"merged without a sign-off; {why}"
    return QueueRow(
        change_id=change.id,
        title=change.title,
        repository=change.repository,
        number=change.number,
        author=change.author,
        target_ref=change.target_ref,
        state=state,
        verdict=Verdict(revision.verdict) if revision.verdict else None,
        since=revision.since,
        revision=revision.n,
        open_findings=unanswered,
        whose_turn=turn,
        why=why,
    )


def change(database: Database, change_id: int, *, platform: str | None = None) -> ChangeView:
    """A change with its revisions. NotFoundError if there is none, or none on this platform."""
    with database.read() as session:
        row = session.get(Change, change_id)
        if row is None or (platform is not None and row.platform != platform):
            raise NotFoundError(f"there is no change {change_id}")
        revisions = session.scalars(
            select(RevisionRow).where(RevisionRow.change_id == change_id).order_by(RevisionRow.n)
        ).all()
    return ChangeView(
        id=row.id,
        title=row.title,
        description=row.description,
        repository=row.repository,
        number=row.number,
        url=row.url,
        author=row.author,
        target_ref=row.target_ref,
        revisions=tuple(
            RevisionLine(
                n=revision.n,
                head_commit=revision.head_commit,
                digest=revision.digest,
                state=State(revision.state),
                verdict=Verdict(revision.verdict) if revision.verdict else None,
                at=revision.created_at,
            )
            for revision in revisions
        ),
    )


def revision(database: Database, store: EvidenceStore, change_id: int, n: int) -> RevisionView:
    """One revision with documents and marks; its requirements are left empty here. NotFoundError if there is none."""
    with database.read() as session:
        row = find(session, change_id, n)
        answers = _answers(session, row.id)
        viewed = frozenset(session.scalars(select(ViewedRow.path).where(ViewedRow.revision_id == row.id)))
        signoffs = _signoffs(session, row)
        events = session.scalars(select(EventRow).where(EventRow.revision_id == row.id).order_by(EventRow.id)).all()
    error = None
    if row.error_class is not None:
        error = ReviewError(row.error_class, row.error_public or "", row.error_detail or "")
    return RevisionView(
        change_id=change_id,
        n=n,
        digest=row.digest,
        base_commit=row.base_commit,
        head_commit=row.head_commit,
        state=State(row.state),
        verdict=Verdict(row.verdict) if row.verdict else None,
        manifest=store.get_json(row.digest) if row.digest else None,
        diff=store.get_json(row.diff_digest) if row.diff_digest else None,
        audit=store.get_json(row.audit_digest) if row.audit_digest else None,
        artifacts=store.get_json(row.artifacts_digest) if row.artifacts_digest else None,
        error=error,
        answers=answers,
        viewed=viewed,
        signoffs=signoffs,
        timeline=tuple(Event(event.at, event.what) for event in events),
        requirements=(),
    )


def _answers(session: Session, revision_id: int) -> dict[str, Answer]:
    rows = session.execute(
        select(AnswerRow, PersonRow.name)
        .join(PersonRow, PersonRow.id == AnswerRow.person_id)
        .where(AnswerRow.revision_id == revision_id)
        .order_by(AnswerRow.finding_id)
    )
    # The column holds nothing but what `marks.answer` lets in.
    return {row.finding_id: Answer(row.kind, row.text, name, row.at) for row, name in rows}  # type: ignore[arg-type]


def signed_before(database: Database, change_id: int, n: int, person_id: str) -> int | None:
    """The last revision of a change before ``n`` that somebody signed, if there is one."""
    with database.read() as session:
        return session.scalar(
            select(func.max(RevisionRow.n))
            .join(SignoffRow, SignoffRow.revision_id == RevisionRow.id)
            .where(
                RevisionRow.change_id == change_id,
                RevisionRow.n < n,
                SignoffRow.person_id == person_id,
                SignoffRow.log_index.is_not(None),
            )
        )


def _signoffs(session: Session, revision: RevisionRow) -> tuple[SignoffView, ...]:
    signed = (
        select(SignoffRow, PersonRow, RevisionRow.n)
        .join(PersonRow, PersonRow.id == SignoffRow.person_id)
        .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
    )
    given = signed.where(SignoffRow.revision_id == revision.id, SignoffRow.log_index.is_not(None))
    carried = signed.join(CarriedRow, CarriedRow.nonce == SignoffRow.nonce).where(CarriedRow.revision_id == revision.id)
    rows = sorted((*session.execute(given), *session.execute(carried)), key=lambda row: row[0].log_index or 0)
    anew = {person.id for _, person, n in rows if n == revision.n}
    outdated = State(revision.state) is State.SUPERSEDED
    return tuple(
        SignoffView(
            log_index=signoff.log_index or 0,
            decision=signoff.decision,
            reviewer_id=person.id,
            reviewer_name=person.name,
            organization=person.organization,
            at=signoff.at,
            payload_digest=signoff.payload_digest,
            superseded=signoff.superseded or outdated or (n != revision.n and person.id in anew),
            carried_from=None if n == revision.n else n,
        )
        for signoff, person, n in rows
    )
