# SPDX-License-Identifier: Apache-2.0
"""Moving a revision along its life: each move in one transaction, and done again without harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from evidence import NotFoundError
from service.arrivals import now
from service.database import Change, EventRow, MakerRow, RevisionRow
from service.life import ARTIFACTS_COMPARED, FINAL, State, move

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from confine import Repository
    from evidence import Digest
    from service.database import Database
    from service.views import ReviewError

_BY_REVIEW = frozenset({State.DIFFED, State.AUDITED, State.READY})


@dataclass(frozen=True, slots=True)
class Job:
    """What a review's steps need to know about a revision and its change."""

    revision_id: int
    change_id: int
    n: int
    platform: str
    repository: str
    key: str
    title: str
    author: str
    target_ref: str
    head_commit: str
    base_hint: str | None
    base_commit: str | None
    sent_at: str | None
    state: State
    verdict: str | None
    digest: str | None
    diff_digest: str | None
    artifacts_digest: str | None
    base_artifacts_digest: str | None
    audit_digest: str | None
    error_public: str | None
    workflow_id: str  # of the review that goes on: another one, once a held revision was let through


def job(database: Database, revision_id: int) -> Job:
    """The revision as it is now. NotFoundError if there is none."""
    with database.read() as session:
        found = session.execute(
            select(RevisionRow, Change)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(RevisionRow.id == revision_id)
        ).first()
    if found is None:
        raise NotFoundError(f"no revision with id {revision_id}")
    return _job(*found)


def makers(database: Database, change_id: int) -> set[tuple[str, str]]:
    """(name, address) of who is said to have had a hand in a change, in any of its revisions."""
    with database.read() as session:
        rows = session.scalars(select(MakerRow).where(MakerRow.change_id == change_id))
        return {(row.name, row.email) for row in rows}


def people(database: Database, job: Job, repository: Repository, base: str) -> set[tuple[str, str]]:
    """(name, address) of everybody whom the commits since ``base`` name, and who proposed, pushed or launched it.

    None of them can approve it. RepositoryError if the repository cannot be read.
    """
    named = {(person.name, person.email) for person in repository.commit_people(base, job.head_commit)}
    return named | {(job.author, "")} | makers(database, job.change_id)


def concluded(database: Database, platforms: Collection[str]) -> list[tuple[Job, str | None]]:
    """The revisions of these platforms whose review has ended and counts, and the status that their host last took."""
    states = FINAL - {State.SUPERSEDED}
    with database.read() as session:
        found = session.execute(
            select(RevisionRow, Change)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(RevisionRow.state.in_(states), Change.platform.in_(platforms))
        ).all()
    return [(_job(revision, change), revision.status_posted) for revision, change in found]


def failed_before(database: Database, job: Job) -> bool:
    """Whether an earlier revision of the same change with the same head could not be reviewed."""
    with database.read() as session:
        failed = select(RevisionRow.id).where(
            _same_head(job), RevisionRow.n < job.n, RevisionRow.error_class.is_not(None)
        )
        return session.scalar(failed.limit(1)) is not None


def last_signed_manifest(database: Database, job: Job, commit: str) -> Digest | None:
    """The manifest of the revision by which a commit was last signed as a head of this repository; None if never."""
    signed = (
        select(RevisionRow.digest)
        .join(Change, Change.id == RevisionRow.change_id)
        .join(EventRow, EventRow.revision_id == RevisionRow.id)
        .where(
            Change.platform == job.platform,
            Change.repository == job.repository,
            RevisionRow.head_commit == commit,
            RevisionRow.state.in_((State.SIGNED, State.SUPERSEDED)),
            EventRow.what == State.SIGNED.value,
        )
        .order_by(EventRow.id.desc())
    )
    with database.read() as session:
        return session.scalar(signed.limit(1))


def reviewed_again(database: Database, job: Job) -> bool:
    """Whether a later revision of the same change has the same head, so that it speaks for that commit."""
    with database.read() as session:
        return session.scalar(select(RevisionRow.id).where(_same_head(job), RevisionRow.n > job.n).limit(1)) is not None


def _same_head(job: Job) -> ColumnElement[bool]:
    return (RevisionRow.change_id == job.change_id) & (RevisionRow.head_commit == job.head_commit)


def _job(revision: RevisionRow, change: Change) -> Job:
    return Job(
        revision_id=revision.id,
        change_id=change.id,
        n=revision.n,
        platform=change.platform,
        repository=change.repository,
        key=change.key,
        title=change.title,
        author=change.author,
        target_ref=change.target_ref,
        head_commit=revision.head_commit,
        base_hint=revision.base_hint,
        base_commit=revision.base_commit,
        sent_at=revision.sent_at,
        state=State(revision.state),
        verdict=revision.verdict,
        digest=revision.digest,
        diff_digest=revision.diff_digest,
        artifacts_digest=revision.artifacts_digest,
        base_artifacts_digest=revision.base_artifacts_digest,
        audit_digest=revision.audit_digest,
        error_public=revision.error_public,
        workflow_id=revision.workflow_id,
    )


def record(database: Database, revision_id: int, what: str, **values: Any) -> None:  # noqa: ANN401 - column values
    """Set columns of a revision and add a line to its timeline, once."""
    with database.write() as session:
        revision = session.get_one(RevisionRow, revision_id)
        for name, value in values.items():
            setattr(revision, name, value)
        happened(session, revision_id, what)


def advance(database: Database, revision_id: int, to: State, **values: Any) -> bool:  # noqa: ANN401 - column values
    """Move a revision on. False, and nothing changes, if it is there already or was superseded meanwhile.

    What a review does once is not done again: a step that a killed process had finished leaves alone what people have
    made of the revision since.
    """
    with database.write() as session:
        revision = session.get_one(RevisionRow, revision_id)
        current = State(revision.state)
        if current in (to, State.SUPERSEDED) or (to in _BY_REVIEW and _known(session, revision_id, to.value)):
            return False
        revision.state = move(current, to)
        revision.since = now()
        for name, value in values.items():
            setattr(revision, name, value)
        happened(session, revision_id, to.value)
    return True


def begin_again(database: Database, revision_id: int) -> bool:
    """Set a review back to its arrival, to be handed over anew; what it had found is forgotten.

    False, and nothing changes, if it has ended: its documents may have been signed.
    """
    with database.write() as session:
        revision = session.get_one(RevisionRow, revision_id)
        if State(revision.state) in FINAL:
            return False
        revision.state, revision.since, revision.dispatched_at = State.RECEIVED, now(), None
        revision.diff_digest = revision.artifacts_digest = revision.audit_digest = revision.public_digest = None
        found = (State.DIFFED.value, ARTIFACTS_COMPARED, State.AUDITED.value)
        session.execute(delete(EventRow).where(EventRow.revision_id == revision_id, EventRow.what.in_(found)))
    return True


def fail(database: Database, revision_id: int, error: ReviewError) -> bool:
    """End a revision's review with an error. False if it had ended before."""
    if job(database, revision_id).state in FINAL:
        return False
    return advance(
        database,
        revision_id,
        State.FAILED,
        error_class=error.error_class,
        error_public=error.public,
        error_detail=error.detail,
    )


def happened(session: Session, revision_id: int, what: str) -> None:
    """Add a line to a revision's timeline, once."""
    if not _known(session, revision_id, what):
        session.add(EventRow(revision_id=revision_id, at=now(), what=what))


def _known(session: Session, revision_id: int, what: str) -> bool:
    found = select(EventRow.id).where(EventRow.revision_id == revision_id, EventRow.what == what)
    return session.scalar(found.limit(1)) is not None


def let_through(database: Database, revision_id: int) -> bool:
    """Whether a reviewer let a revision through, or an earlier one with the same head."""
    with database.read() as session:
        row = session.get_one(RevisionRow, revision_id)
        same = (RevisionRow.change_id == row.change_id) & (RevisionRow.head_commit == row.head_commit)
        found = (
            select(EventRow.id)
            .join(RevisionRow, RevisionRow.id == EventRow.revision_id)
            .where(same, EventRow.what.startswith("let through by "))
        )
        return session.scalar(found.limit(1)) is not None


def public_audit(database: Database, revision_id: int) -> str | None:
    """The digest of what a submitter may see of a revision's audit; None until there is one."""
    with database.read() as session:
        return session.get_one(RevisionRow, revision_id).public_digest


def status_posted(database: Database, revision_id: int) -> str | None:
    """The status that the code host last took."""
    with database.read() as session:
        return session.get_one(RevisionRow, revision_id).status_posted


def set_status_posted(database: Database, revision_id: int, status: str) -> None:
    """Remember what the code host took."""
    with database.write() as session:
        session.get_one(RevisionRow, revision_id).status_posted = status
