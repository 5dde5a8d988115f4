# SPDX-License-Identifier: Apache-2.0
"""What an event of a code host means, whatever the host, and what becomes of it: once, in one transaction.

A proposal is an ``Arrival``. Everything else that an event can mean is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from service.arrivals import (
    Arrival,
    Outcome,
    Received,
    about,
    delivered,
    find_change,
    now,
    once_more,
    receive,
    remember,
)
from service.database import Change, ClosedRow, DeploymentRow, EventRow, RevisionRow
from service.life import FINAL, State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.arrivals import DeliveryId
    from service.database import Database


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rerequested:
    """Somebody asks for a commit to be reviewed once more. ``failed_only``: only if it could not be reviewed."""

    platform: str
    repository: str
    head_commit: str
    failed_only: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """A proposal was closed, or merged. ``sent_at`` as in an arrival."""

    platform: str
    repository: str
    key: str
    how: str
    sent_at: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentAsked:
    """A code host asks whether a commit may go to an environment; ``run`` names what waits for the answer."""

    platform: str
    repository: str
    environment: str
    head_commit: str
    run: int


Meaning = Arrival | Rerequested | Closed | DeploymentAsked | Ignored


def take(database: Database, meaning: Meaning, delivery: DeliveryId) -> Received:
    """Do what an event means, once: the same delivery again is a repeat."""
    if isinstance(meaning, Arrival):
        return receive(database, meaning, delivery)
    if isinstance(meaning, Ignored):
        return Received(Outcome.IGNORED, None, None, reason=meaning.reason)
    with database.write() as session:
        known = delivered(session, delivery)
        if known is not None:
            return about(session, Outcome.REPEATED, known.revision_id)
        if isinstance(meaning, Rerequested):
            found = _rerequested(session, meaning)
        elif isinstance(meaning, Closed):
            found = _closed(session, meaning)
        else:
            found = _asked(session, meaning)
        if found.outcome is not Outcome.IGNORED:
            remember(session, delivery, found.revision_id)
        return found


def _rerequested(session: Session, meaning: Rerequested) -> Received:
    """The changes whose latest revision has that head are reviewed again, unless they are being reviewed."""
    newest = (
        select(RevisionRow.change_id, func.max(RevisionRow.n).label("n")).group_by(RevisionRow.change_id).subquery()
    )
    found = session.execute(
        select(RevisionRow, Change)
        .join(newest, (newest.c.change_id == RevisionRow.change_id) & (newest.c.n == RevisionRow.n))
        .join(Change, Change.id == RevisionRow.change_id)
        .where(
            Change.platform == meaning.platform,
            Change.repository == meaning.repository,
            RevisionRow.head_commit == meaning.head_commit,
        )
        .order_by(RevisionRow.id)
    ).all()
    # What is signed stays so: a new revision would outdate it, and whoever may run a pipeline could do that.
    states = {State.FAILED} if meaning.failed_only else FINAL - {State.SUPERSEDED, State.SIGNED}
    again = [once_more(session, change, row) for row, change in found if State(row.state) in states]
    if again:
        return about(session, Outcome.ACCEPTED, again[-1].id)
    if meaning.failed_only or not found:
        return Received(Outcome.IGNORED, None, None, reason=f"no review of {meaning.head_commit[:12]} to do again")
    return about(session, Outcome.REPEATED, found[-1][0].id)


def _closed(session: Session, meaning: Closed) -> Received:
    change = find_change(session, meaning.platform, meaning.repository, meaning.key)
    latest = (
        session.scalar(
            select(RevisionRow).where(RevisionRow.change_id == change.id).order_by(RevisionRow.n.desc()).limit(1)
        )
        if change is not None
        else None
    )
    if change is None or latest is None:
        return Received(Outcome.IGNORED, None, None, reason=f"{meaning.key} is not under review")
    if latest.sent_at and meaning.sent_at and meaning.sent_at < latest.sent_at:
        return Received(Outcome.IGNORED, None, None, reason=f"{meaning.key} was opened again since")
    session.merge(ClosedRow(change_id=change.id, how=meaning.how, at=now()))
    what = f"{meaning.how} at the code host"
    session.add(EventRow(revision_id=latest.id, at=now(), what=_once(session, latest.id, what)))
    return about(session, Outcome.ACCEPTED, latest.id)


def _once(session: Session, revision_id: int, what: str) -> str:
    """``what``, with a number where the timeline has it already: closed, opened, and closed again."""
    count = session.scalar(
        select(func.count()).where(EventRow.revision_id == revision_id, EventRow.what.startswith(what, autoescape=True))
    )
    return f"{what}, {count + 1} times" if count else what


def _asked(session: Session, meaning: DeploymentAsked) -> Received:
    same = select(DeploymentRow.id).where(
        DeploymentRow.platform == meaning.platform,
        DeploymentRow.repository == meaning.repository,
        DeploymentRow.run == meaning.run,
        DeploymentRow.environment == meaning.environment,
    )
    if session.scalar(same) is None:
        session.add(
            DeploymentRow(
                platform=meaning.platform,
                repository=meaning.repository,
                environment=meaning.environment,
                head_commit=meaning.head_commit,
                run=meaning.run,
                asked_at=now(),
            )
        )
    return Received(Outcome.ACCEPTED, None, None)
