# SPDX-License-Identifier: Apache-2.0
"""The outbox: what others are to be told is written with what it tells of, and tried until it is taken or given up.

One subject of a destination has one message that waits: a newer one replaces it, so that whoever was away learns of how
things are and not of how they were. Whoever delivers takes one message of a destination at a time (`service.worker`),
so that an older one never arrives after a newer one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select, update

from evidence import NotFoundError
from service.arrivals import now
from service.database import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from service.database import Database

KEPT = timedelta(days=7)  # how long it is known what was delivered or replaced; what is dead stays
MOST = 500
MAX_WAIT = 600.0
MAX_ASKED = 3600.0  # the longest wait that somebody's Retry-After is obeyed for
_DOUBLINGS = 20
_MAX_REASON = 500


class Fate(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    REPLACED = "replaced"
    DEAD = "dead"


class Tried(StrEnum):
    """What came of one attempt."""

    TAKEN = "taken"
    AGAIN = "again"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt's outcome; ``reason`` says why it was not taken, ``wait`` how many seconds were asked for."""

    outcome: Tried
    reason: str = ""
    wait: float = 0.0


TAKEN = Attempt(Tried.TAKEN)


def put(session: Session, destination: str, subject: str, event: str, body: str, moment: datetime) -> OutboxRow:
    """Write a message within a transaction; what waits for the same subject at the same place is replaced by it."""
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.destination == destination, OutboxRow.subject == subject, OutboxRow.state == Fate.WAITING.value
        )
        .values(state=Fate.REPLACED.value, ended_at=moment)
        .execution_options(synchronize_session=False)
    )
    row = OutboxRow(
        message_id=f"msg_{secrets.token_hex(16)}",
        destination=destination,
        subject=subject,
        event=event,
        body=body,
        created_at=moment,
        due_at=moment,
        attempts=0,
        state=Fate.WAITING.value,
    )
    session.add(row)
    return row


def waits(session: Session, destination: str, subject: str) -> bool:
    """Whether a message for a subject waits at a destination."""
    same = (OutboxRow.destination == destination) & (OutboxRow.subject == subject)
    found = select(OutboxRow.id).where(same, OutboxRow.state == Fate.WAITING.value)
    return session.scalar(found.limit(1)) is not None


def due(database: Database, moment: datetime) -> list[str]:
    """The destinations for which a message is due."""
    waiting = (OutboxRow.state == Fate.WAITING.value) & (OutboxRow.due_at <= moment)
    with database.read() as session:
        return list(session.scalars(select(OutboxRow.destination).where(waiting).distinct().order_by("destination")))


def first(database: Database, destination: str, moment: datetime) -> OutboxRow | None:
    """The message to try next: of those that are due the one tried least, then the oldest.

    So one that its receiver chokes on holds up none of the others.
    """
    found = (
        select(OutboxRow)
        .where(OutboxRow.destination == destination, OutboxRow.state == Fate.WAITING.value, OutboxRow.due_at <= moment)
        .order_by(OutboxRow.attempts, OutboxRow.id)
        .limit(1)
    )
    with database.read() as session:
        return session.scalar(found)


def settle(database: Database, message: OutboxRow, attempt: Attempt, *, first_wait: float, days: float) -> Fate:
    """Keep what came of an attempt. After one to be made again the whole destination is left alone for a while."""
    moment = now()
    with database.write() as session:
        row = session.get_one(OutboxRow, message.id)
        row.attempts += 1
        row.reason = attempt.reason[:_MAX_REASON] or row.reason
        if row.state != Fate.WAITING.value:  # replaced meanwhile: the newer one follows
            return Fate(row.state)
        if attempt.outcome is Tried.TAKEN:
            row.state, row.ended_at = Fate.DELIVERED.value, moment
        elif attempt.outcome is Tried.REFUSED or row.created_at + timedelta(days=days) <= moment:
            row.state, row.ended_at = Fate.DEAD.value, moment
        else:
            wait = max(backoff(first_wait, row.attempts - 1), min(attempt.wait, MAX_ASKED))
            row.due_at = moment + timedelta(seconds=wait)
            session.execute(
                update(OutboxRow)
                .where(
                    OutboxRow.destination == row.destination,
                    OutboxRow.state == Fate.WAITING.value,
                    OutboxRow.due_at < row.due_at,
                    OutboxRow.id != row.id,
                )
                .values(due_at=row.due_at)
                .execution_options(synchronize_session=False)
            )
        return Fate(row.state)


def backoff(first_wait: float, attempt: int) -> float:
    """Seconds after attempt ``attempt``, from 0: doubling, to ten minutes at most."""
    return float(min(MAX_WAIT, first_wait * 2 ** min(attempt, _DOUBLINGS)))


def listed(database: Database, fates: Sequence[Fate]) -> list[OutboxRow]:
    """The newest messages of these fates, newest first, at most ``MOST``."""
    found = select(OutboxRow).where(OutboxRow.state.in_([fate.value for fate in fates]))
    with database.read() as session:
        return list(session.scalars(found.order_by(OutboxRow.id.desc()).limit(MOST)))


def again(database: Database, message_id: str | None) -> int:
    """Have a message that waits or is dead tried at once, or every dead one; as if it were new.

    A dead one stays so where a newer one of its subject was written since: it would be out of order.

    Returns:
        How many will be tried.

    Raises:
        NotFoundError: no such message, or it is neither waiting nor dead, or a newer one has taken its place.
    """
    moment, count = now(), 0
    states = [Fate.DEAD.value] if message_id is None else [Fate.DEAD.value, Fate.WAITING.value]
    found = select(OutboxRow).where(OutboxRow.state.in_(states))
    if message_id is not None:
        found = found.where(OutboxRow.message_id == message_id)
    with database.write() as session:
        for row in session.scalars(found).all():
            same = (OutboxRow.destination == row.destination) & (OutboxRow.subject == row.subject)
            if session.scalar(select(OutboxRow.id).where(same, OutboxRow.id > row.id).limit(1)) is not None:
                continue
            row.state, row.ended_at = Fate.WAITING.value, None
            row.created_at = row.due_at = moment
            row.attempts, count = 0, count + 1
    if message_id is not None and not count:
        raise NotFoundError(f"{message_id[:80]}: no message that waits or is dead and has no newer one after it")
    return count


def tidy(database: Database, moment: datetime) -> int:
    """Forget what was delivered or replaced long ago; returns how much that was."""
    over = or_(OutboxRow.state == Fate.DELIVERED.value, OutboxRow.state == Fate.REPLACED.value)
    with database.write() as session:
        gone = session.execute(delete(OutboxRow).where(over, OutboxRow.ended_at < moment - KEPT))
        return int(getattr(gone, "rowcount", 0))


def figures(database: Database) -> tuple[dict[Fate, int], datetime | None]:
    """How many messages there are of each fate, and since when the oldest that waits has been there."""
    with database.read() as session:
        counts = session.execute(select(OutboxRow.state, func.count()).group_by(OutboxRow.state)).all()
        oldest = session.scalar(select(func.min(OutboxRow.created_at)).where(OutboxRow.state == Fate.WAITING.value))
    return {Fate(state): count for state, count in counts}, oldest
