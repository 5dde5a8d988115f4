# SPDX-License-Identifier: Apache-2.0
"""How a change arrives: whatever the code host, one shape, stored in one transaction before anybody is answered."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from evidence import ConflictError, InputError, NotFoundError
from service.database import Change, ClosedRow, Delivery, EventRow, MakerRow, RevisionRow
from service.life import FINAL, MOVES, State, move

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.database import Database

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MAX_TITLE = 500
_MAX_DESCRIPTION = 64 << 10
_MAX_NAME = 200
_OWN = frozenset({"api", "standard"})  # a submission may be sent again after it failed


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
    makers: tuple[tuple[str, str], ...] = ()  # (account or name, address) of who pushed, launched or sent it
    held: bool = False  # from a fork: nothing of it is run until a reviewer lets it


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Received:
    """The revision a delivery is about, and whether it was new; of what is ignored, why."""

    outcome: Outcome
    change_id: int | None
    revision: int | None
    revision_id: int | None = None
    held: bool = False
    reason: str | None = None


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

    A delivery id or body seen before is a repeat, unless a submitter sends again what could not be reviewed. A head
    that is under review, or was reviewed last, is not reviewed again. Otherwise a new revision is made and supersedes
    the change's older ones: also for a head that could not be reviewed, for one that a force-push brought back, and for
    one that is to go to another branch by now.
    """
    commit_id(arrival.head_commit, "head commit")
    with database.write() as session:
        known = delivered(session, delivery)
        if known is not None and not (delivery.source in _OWN and _failed(session, known)):
            return about(session, Outcome.REPEATED, known.revision_id)
        revision = _taken(session, arrival)
        if known is None:
            known = remember(session, delivery)
        known.revision_id = revision.id
        session.flush()
        return about(session, Outcome.ACCEPTED, revision.id)


def restate(database: Database, arrival: Arrival) -> int:
    """Take what the code host itself says of a change; returns the id of the revision that it is about."""
    commit_id(arrival.head_commit, "head commit")
    with database.write() as session:
        return _taken(session, arrival).id


def mark_closed(database: Database, change_id: int, how: str) -> None:
    """Keep that a change is ``closed`` or ``merged`` at its code host."""
    with database.write() as session:
        session.merge(ClosedRow(change_id=change_id, how=how, at=now()))


def _taken(session: Session, arrival: Arrival) -> RevisionRow:
    change = find_change(session, arrival.platform, arrival.repository, arrival.key)
    latest = _latest(session, change.id) if change is not None else None
    moved = change is not None and change.target_ref != arrival.target_ref
    if change is None or not _late(arrival.sent_at, latest):
        change = _described(session, change, arrival)
    for name, email in arrival.makers:
        session.merge(MakerRow(change_id=change.id, name=_one_line(name)[:_MAX_NAME], email=email[:_MAX_NAME]))
    return _standing(session, change, arrival, moved=moved) or _new_revision(session, change, arrival)


def remember(session: Session, delivery: DeliveryId, revision_id: int | None = None) -> Delivery:
    """Keep that a delivery was taken, so that it is a repeat from now on."""
    row = Delivery(
        platform=delivery.platform,
        source=delivery.source,
        event=delivery.event,
        delivery_id=delivery.id[:_MAX_NAME],
        body_sha256=delivery.body_sha256,
        received_at=now(),
        revision_id=revision_id,
    )
    session.add(row)
    session.flush()
    return row


def again(database: Database, change_id: int, n: int) -> int:
    """Have the change's latest revision reviewed once more, as its next one; returns that one's number.

    What did not change (panel, policy, version) is not run again; see ``service.workflows``.

    Raises:
        NotFoundError: no such revision.
        ConflictError: it is not the latest, or its review has not ended.
    """
    with database.write() as session:
        change, latest = session.get(Change, change_id), _latest(session, change_id)
        if change is None or latest is None or not 1 <= n <= latest.n:
            raise NotFoundError(f"change {change_id} has no revision {n}")
        if latest.n != n or State(latest.state) not in FINAL - {State.SUPERSEDED}:
            raise ConflictError(f"revision {n} is not the latest, or still under review: reload the page")
        return once_more(session, change, latest).n


def once_more(session: Session, change: Change, latest: RevisionRow) -> RevisionRow:
    """The next revision of a change, with the head of its latest one, whose review has ended."""
    plain = latest.workflow_id.partition(latest.head_commit)[0] + latest.head_commit
    return _append(session, change, plain, latest.head_commit, latest.base_hint, latest.sent_at)


def approve(database: Database, change_id: int, n: int, by: str) -> None:
    """Let a change from a fork be reviewed: this revision of it, and no later one.

    Raises:
        NotFoundError: no such revision.
        ConflictError: it does not wait for that, or no longer.
    """
    with database.write() as session:
        revision = session.scalar(select(RevisionRow).where(RevisionRow.change_id == change_id, RevisionRow.n == n))
        if revision is None:
            raise NotFoundError(f"change {change_id} has no revision {n}")
        if State(revision.state) is not State.HELD:
            raise ConflictError(f"revision {n} is {revision.state}: it waits for nobody to let it through")
        revision.state = move(State.HELD, State.RECEIVED)
        revision.since = now()
        revision.approved = True
        if revision.dispatched_at is not None:  # held in the middle of a review, which has ended by that
            revision.workflow_id, revision.dispatched_at = f"{revision.workflow_id}:approved", None
        session.add(EventRow(revision_id=revision.id, at=revision.since, what=f"let through by {by}"))


def delivered(session: Session, delivery: DeliveryId) -> Delivery | None:
    """The same delivery, where it was taken before."""
    same = (Delivery.platform == delivery.platform) & (Delivery.source == delivery.source)
    by_id = select(Delivery).where(same, Delivery.delivery_id == delivery.id[:_MAX_NAME])
    by_body = select(Delivery).where(
        same, Delivery.event == delivery.event, Delivery.body_sha256 == delivery.body_sha256
    )
    return session.scalar(by_id) or session.scalar(by_body)


def about(session: Session, outcome: Outcome, revision_id: int | None) -> Received:
    """What is answered to a delivery about a revision."""
    revision = session.get(RevisionRow, revision_id) if revision_id is not None else None
    if revision is None:
        return Received(outcome, None, None)
    return Received(outcome, revision.change_id, revision.n, revision.id, revision.state == State.HELD)


def find_change(session: Session, platform: str, repository: str, key: str) -> Change | None:
    """The change of that key, if there is one."""
    return session.scalar(
        select(Change).where(Change.platform == platform, Change.repository == repository, Change.key == key)
    )


def _described(session: Session, change: Change | None, arrival: Arrival) -> Change:
    """The change as the arrival describes it, made if it is new. What was closed is open again."""
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
    change.description = arrival.description[:_MAX_DESCRIPTION].replace("\0", "\ufffd")
    change.url = arrival.url
    change.author = _one_line(arrival.author)[:_MAX_NAME]
    change.target_ref = arrival.target_ref
    session.flush()
    session.execute(delete(ClosedRow).where(ClosedRow.change_id == change.id))
    return change


def _one_line(text: str) -> str:
    """Text for one line of a log or a page: what a terminal would obey, and not print, becomes U+FFFD."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))


def _failed(session: Session, delivery: Delivery) -> bool:
    """Whether what a delivery told of is still its change's latest revision, and could not be reviewed."""
    revision = session.get(RevisionRow, delivery.revision_id) if delivery.revision_id is not None else None
    return revision is not None and _latest(session, revision.change_id) is revision and revision.state == State.FAILED


def _latest(session: Session, change_id: int, head_commit: str | None = None) -> RevisionRow | None:
    """The newest revision of a change, or of one head of it."""
    statement = select(RevisionRow).where(RevisionRow.change_id == change_id).order_by(RevisionRow.n.desc()).limit(1)
    return session.scalar(statement if head_commit is None else statement.where(RevisionRow.head_commit == head_commit))


def _standing(session: Session, change: Change, arrival: Arrival, *, moved: bool) -> RevisionRow | None:
    """The revision that an arrival tells of, None if there has to be a new one."""
    latest, same = _latest(session, change.id), _latest(session, change.id, arrival.head_commit)
    if same is None or latest is None:
        return None
    if same is latest:
        again = State(same.state) is State.FAILED or (moved and not _late(arrival.sent_at, latest))
        return None if again else same
    return same if _late(arrival.sent_at, latest) else None


def _late(sent_at: str | None, latest: RevisionRow | None) -> bool:
    """Whether something was sent before what the latest revision came with."""
    return bool(latest and latest.sent_at and sent_at and sent_at < latest.sent_at)


def _new_revision(session: Session, change: Change, arrival: Arrival) -> RevisionRow:
    plain = f"arrival:{arrival.host}/{arrival.repository}@{arrival.head_commit}"
    before = _latest(session, change.id, arrival.head_commit)
    held = arrival.held and not (before is not None and before.approved)
    return _append(session, change, plain, arrival.head_commit, arrival.base_hint, arrival.sent_at, held=held)


def _append(
    session: Session,
    change: Change,
    plain: str,
    head_commit: str,
    base_hint: str | None,
    sent_at: str | None,
    *,
    held: bool = False,
) -> RevisionRow:
    """A change's next revision; ``plain`` is its workflow's id as long as nobody has it."""
    moment = now()
    latest = _latest(session, change.id)
    late = _late(sent_at, latest)
    n = latest.n + 1 if latest else 1
    revision = RevisionRow(
        change_id=change.id,
        n=n,
        head_commit=head_commit,
        base_hint=base_hint,
        state=State.SUPERSEDED if late else State.HELD if held else State.RECEIVED,
        sent_at=sent_at,
        created_at=moment,
        since=moment,
        workflow_id=_workflow_id(session, plain, change, n),
        dispatched_at=moment if late else None,
        approved=not held,
    )
    session.add(revision)
    session.flush()
    session.add(EventRow(revision_id=revision.id, at=moment, what="received"))
    if revision.state == State.HELD:
        session.add(EventRow(revision_id=revision.id, at=moment, what=State.HELD.value))
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


def _workflow_id(session: Session, plain: str, change: Change, n: int) -> str:
    """By host, repository and head commit; the same head in another change adds that change, and once more ``n``."""
    for candidate in (plain, f"{plain}:{change.key}"):
        if session.scalar(select(RevisionRow.id).where(RevisionRow.workflow_id == candidate)) is None:
            return candidate
    return f"{plain}:{change.key}:{change.id}:{n}"


def submission_id() -> str:
    """A delivery id for a sender that has none."""
    return secrets.token_hex(16)
