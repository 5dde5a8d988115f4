# SPDX-License-Identifier: Apache-2.0
"""How a change arrives: whatever the code host, one shape, stored in one transaction before anybody is answered."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from evidence import InputError
from service.database import Change, Delivery, EventRow, RevisionRow
from service.life import MOVES, State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.database import Database

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MAX_TITLE = 500
_MAX_DESCRIPTION = 64 << 10
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class DeliveryId:
    """What makes a delivery the same again: its id at the sender, or its body."""

    platform: str
    source: str
    event: str
    id: str
    body_sha256: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A proposed head commit. ``key`` names the change within the repository; ``base_hint`` is where it says it starts.

    ``host`` and ``repository`` are as configured, never as sent. ``sent_at`` is the sender's own RFC 3339 moment, used
    only to recognise a late delivery of an older head.
    """

    platform: str
    host: str
    repository: str
    key: str
    number: int | None
    title: str
    description: str
    url: str | None
    author: str
    target_ref: str
    head_commit: str
    base_hint: str | None
    sent_at: str | None


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Received:
    """The revision a delivery is about, and whether it was new."""

    outcome: Outcome
    change_id: int | None
    revision: int | None


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def commit_id(value: str, what: str) -> str:
    """``value``, if it is a full commit id; raises InputError."""
    if not _COMMIT.fullmatch(value):
        raise InputError(f"{what}: {value[:80]!r} is not a full commit id of 40 or 64 hexadecimal digits")
    return value


def receive(database: Database, arrival: Arrival, delivery: DeliveryId) -> Received:
    """Store an arrival with its delivery, durably and once.

    A delivery id or body seen before is a repeat. A head that the change already has is not reviewed again. Otherwise
    a new revision is made, which supersedes the change's older ones.
    """
    commit_id(arrival.head_commit, "head commit")
    with database.write() as session:
        known = _delivered(session, delivery)
        if known is not None:
            return _about(session, Outcome.REPEATED, known.revision_id)
        change = _change(session, arrival)
        revision = session.scalar(
            select(RevisionRow).where(
                RevisionRow.change_id == change.id, RevisionRow.head_commit == arrival.head_commit
            )
        )
        if revision is None:
            revision = _new_revision(session, change, arrival)
        session.add(
            Delivery(
                platform=delivery.platform,
                source=delivery.source,
                event=delivery.event,
                delivery_id=delivery.id[:_MAX_NAME],
                body_sha256=delivery.body_sha256,
                received_at=now(),
                revision_id=revision.id,
            )
        )
        session.flush()
        return _about(session, Outcome.ACCEPTED, revision.id)


def _delivered(session: Session, delivery: DeliveryId) -> Delivery | None:
    same = (Delivery.platform == delivery.platform) & (Delivery.source == delivery.source)
    by_id = select(Delivery).where(same, Delivery.delivery_id == delivery.id[:_MAX_NAME])
    by_body = select(Delivery).where(
        same, Delivery.event == delivery.event, Delivery.body_sha256 == delivery.body_sha256
    )
    return session.scalar(by_id) or session.scalar(by_body)


def _about(session: Session, outcome: Outcome, revision_id: int | None) -> Received:
    revision = session.get(RevisionRow, revision_id) if revision_id is not None else None
    return Received(outcome, revision.change_id if revision else None, revision.n if revision else None)


def _change(session: Session, arrival: Arrival) -> Change:
    change = session.scalar(
        select(Change).where(
            Change.platform == arrival.platform, Change.repository == arrival.repository, Change.key == arrival.key
        )
    )
    if change is None:
        change = Change(
            platform=arrival.platform,
            repository=arrival.repository,
            key=arrival.key,
            number=arrival.number,
            opened_at=now(),
        )
        session.add(change)
    change.title = _one_line(arrival.title)[:_MAX_TITLE] or arrival.head_commit[:12]
    change.description = arrival.description[:_MAX_DESCRIPTION]
    change.url = arrival.url
    change.author = _one_line(arrival.author)[:_MAX_NAME]
    change.target_ref = arrival.target_ref
    session.flush()
    return change


def _one_line(text: str) -> str:
    """Text for one line of a log or a page: what a terminal would obey, and not print, becomes U+FFFD."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))


def _new_revision(session: Session, change: Change, arrival: Arrival) -> RevisionRow:
    moment = now()
    latest = session.scalar(
        select(RevisionRow).where(RevisionRow.change_id == change.id).order_by(RevisionRow.n.desc()).limit(1)
    )
    late = bool(latest and latest.sent_at and arrival.sent_at and arrival.sent_at < latest.sent_at)
    revision = RevisionRow(
        change_id=change.id,
        n=latest.n + 1 if latest else 1,
        head_commit=arrival.head_commit,
        base_hint=arrival.base_hint,
        state=State.SUPERSEDED if late else State.RECEIVED,
        sent_at=arrival.sent_at,
        created_at=moment,
        since=moment,
        workflow_id=_workflow_id(session, arrival, change),
        dispatched_at=moment if late else None,
    )
    session.add(revision)
    session.flush()
    session.add(EventRow(revision_id=revision.id, at=moment, what="received"))
    if not late:
        _supersede(session, change, revision)
    return revision


def _supersede(session: Session, change: Change, by: RevisionRow) -> None:
    older = session.scalars(select(RevisionRow).where(RevisionRow.change_id == change.id, RevisionRow.n < by.n))
    for revision in older:
        if State.SUPERSEDED in MOVES[State(revision.state)]:
            revision.state = State.SUPERSEDED
            revision.since = by.since
            session.add(EventRow(revision_id=revision.id, at=by.since, what=f"superseded by revision {by.n}"))


def _workflow_id(session: Session, arrival: Arrival, change: Change) -> str:
    """By host, repository and head commit; the same head in another change of the repository adds that change."""
    plain = f"arrival:{arrival.host}/{arrival.repository}@{arrival.head_commit}"
    taken = session.scalar(select(func.count()).select_from(RevisionRow).where(RevisionRow.workflow_id == plain))
    return f"{plain}:{change.key}" if taken else plain


def submission_id() -> str:
    """A delivery id for a sender that has none."""
    return secrets.token_hex(16)
