# SPDX-License-Identifier: Apache-2.0
"""What was rolled out held against what gates decided: one without the other is an incident, logged and shown.

A decision and a rollout belong together if they are of one platform, repository and head commit, of one revision where
the rollout names it, and the gate let it through at most a day before it went out. A decision may come late, since a
gate that cannot reach the service goes on; it may not be made late.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy import func, select, tuple_, update

from evidence import InputError, TooManyError, document_digest
from service import ledger
from service.arrivals import now
from service.database import DecisionRow, IncidentRow, RolloutRow
from service.views import IncidentView
from signoff import CLOCK_SKEW, format_time, leaf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from evidence import Digest, Json
    from service.context import Context

ROLLOUT_LEAF = "rollout"
INCIDENT_LEAF = "incident"
INCIDENT_SCHEMA = "countersign/incident/v1"
UNDECIDED = "rollout-without-decision"
NOT_ROLLED_OUT = "decision-without-rollout"
OTHER_FILES = "decision-by-other-files"
OVERDUE = "review-overdue"
OWN_CHANGE = "own-change-let-out"
BREAKERS_REVIEWED = "reviewed-by-who-broke-glass"

_DAY = timedelta(hours=24)
_MINUTE = timedelta(minutes=1)
_AT_ONCE = 500  # head commits in one question to the database
_Row = TypeVar("_Row", DecisionRow, RolloutRow)

log = structlog.get_logger("countersign")


def report(context: Context, platform: str, repository: str, head: str, revision: Digest | None, at: datetime) -> bool:
    """Take in that something was rolled out; logged once. False if it was reported before.

    Raises:
        InputError: it is to have been rolled out in the future.
        TooManyError: the platform reported as many in the last minute as it may.
    """
    moment = now()
    if at > moment + CLOCK_SKEW:
        raise InputError(f"rolled out in the future, at {format_time(at)}: set the clock, or report it then")
    row = RolloutRow(
        platform=platform,
        repository=repository,
        revision=revision,
        head_commit=head,
        rolled_out_at=at,
        reported_at=moment,
        log_index=None,
    )
    document = rollout_document(row)
    row.digest = named = document_digest(document)
    with context.database.read() as session:
        if session.get(RolloutRow, named) is not None:
            return False
        lately = select(func.count()).where(RolloutRow.platform == platform, RolloutRow.reported_at > moment - _MINUTE)
        if (session.scalar(lately) or 0) >= context.settings.rollouts_a_minute:
            raise TooManyError(f"{context.settings.rollouts_a_minute} rollouts were reported within a minute: wait one")
    context.store.put_json(document)
    with context.exclusive(ledger.ROWS):
        with context.database.write() as session:
            if session.get(RolloutRow, named) is not None:
                return False
            session.add(row)
        _log_rollout(context, named)
    return True


def look(context: Context, moment: datetime) -> int:
    """Open an incident for every decision or rollout that has waited for the other too long, and settle what has come.

    What has found its other is marked, and never looked at again: it takes as long as there is open, not as there was.

    Returns:
        How many were opened.
    """
    finish(context)
    with context.database.read() as session:
        rollouts = session.scalars(select(RolloutRow).where(RolloutRow.answered_at.is_(None))).all()
        reporting = select(RolloutRow.platform, RolloutRow.repository).distinct()
        decisions = session.scalars(
            select(DecisionRow).where(
                DecisionRow.passed,
                DecisionRow.answered_at.is_(None),
                tuple_(DecisionRow.platform, DecisionRow.repository).in_(reporting),
            )
        ).all()
        about = _by_head(session, DecisionRow, rollouts)
        out = _by_head(session, RolloutRow, decisions)
    decided = [one for one in rollouts if any(belong(other, one) for other in about[one.head_commit])]
    followed = [one for one in decisions if any(belong(one, other) for other in out[one.head_commit])]
    _answer(context, UNDECIDED, decided, moment)
    _answer(context, NOT_ROLLED_OUT, followed, moment)
    wait = timedelta(minutes=context.settings.rollout_minutes)
    done = {one.digest for one in decided} | {one.digest for one in followed}
    found = [
        (UNDECIDED, one.digest, _undecided(one, about[one.head_commit]))
        for one in rollouts
        if one.digest not in done and one.reported_at + wait <= moment
    ]
    found += [
        (NOT_ROLLED_OUT, one.digest, f"{one.gate} let {_what(one)} through, and no rollout of it was reported")
        for one in decisions
        if one.digest not in done and max(one.taken_at, one.decided_at + _DAY) + wait <= moment
    ]
    return sum(open_incident(context, kind, subject, detail, moment) for kind, subject, detail in found)


def _by_head(
    session: Session, table: type[_Row], others: Sequence[DecisionRow] | Sequence[RolloutRow]
) -> defaultdict[str | None, list[_Row]]:
    """The rows of a table that are about the head commits of other rows, by head commit."""
    heads = sorted({one.head_commit for one in others if one.head_commit is not None})
    found: defaultdict[str | None, list[_Row]] = defaultdict(list)
    for first in range(0, len(heads), _AT_ONCE):
        for row in session.scalars(select(table).where(table.head_commit.in_(heads[first : first + _AT_ONCE]))):
            found[row.head_commit].append(row)
    return found


def _answer(context: Context, kind: str, rows: Sequence[_Row], moment: datetime) -> None:
    """Settle the incidents about rows that have found their other, and mark those; done again without harm."""
    digests = [row.digest for row in rows]
    if not digests:
        return
    settle(context, kind, moment, set(digests).__contains__)
    table = type(rows[0])
    with context.database.write() as session:
        for first in range(0, len(digests), _AT_ONCE):
            part = digests[first : first + _AT_ONCE]
            session.execute(update(table).where(table.digest.in_(part)).values(answered_at=moment))


def finish(context: Context) -> None:
    """Log the rollouts and incidents that a killed process, or one without witnesses, had kept and not logged.

    Raises:
        SandboxMissingError: not enough witnesses can be reached; it goes on once they can.
    """
    with context.exclusive(ledger.ROWS):
        with context.database.read() as session:
            rollouts = session.scalars(select(RolloutRow.digest).where(RolloutRow.log_index.is_(None))).all()
            opened = session.execute(
                select(IncidentRow.kind, IncidentRow.subject).where(IncidentRow.log_index.is_(None))
            ).all()
        for named in rollouts:
            _log_rollout(context, named)
        for kind, subject in opened:
            _log_opened(context, kind, subject)


def open_incident(context: Context, kind: str, subject: Digest, detail: str, moment: datetime) -> bool:
    """Keep an incident and log it. False, and nothing happens, if it is known."""
    with context.exclusive(ledger.ROWS):
        with context.database.write() as session:
            if session.get(IncidentRow, (kind, subject)) is not None:
                return False
            session.add(
                IncidentRow(
                    kind=kind, subject=subject, detail=detail, log_index=None, opened_at=moment, settled_at=None
                )
            )
        index = _log_opened(context, kind, subject)
    log.warning("incident", kind=kind, detail=detail, log_entry=index)
    return True


def settle(context: Context, kind: str, moment: datetime, which: Callable[[Digest], bool]) -> None:
    """Log that the open incidents of a kind of which ``which`` says so by their subject are open no more."""
    with context.database.read() as session:
        rows = session.scalars(select(IncidentRow).where(IncidentRow.kind == kind, IncidentRow.settled_at.is_(None)))
        open_ = [row for row in rows if which(row.subject)]
    for row in open_:
        _settle(context, row, moment)


def listed(context: Context) -> tuple[IncidentView, ...]:
    """Every incident, those that are open first, then the newest first."""
    with context.database.read() as session:
        rows = session.scalars(select(IncidentRow)).all()
    order = sorted(rows, key=lambda row: (row.settled_at is not None, -row.opened_at.timestamp(), row.subject))
    return tuple(
        IncidentView(row.kind, row.subject, row.detail, row.log_index, row.opened_at, row.settled_at) for row in order
    )


def belong(decision: DecisionRow, rollout: RolloutRow) -> bool:
    """Whether a decision answers for a rollout."""
    return (
        decision.passed
        and _same(decision, rollout)
        and (decision.decided_at - CLOCK_SKEW <= rollout.rolled_out_at <= decision.decided_at + _DAY)
    )


def rollout_document(row: RolloutRow) -> dict[str, Json]:
    """What a platform said it rolled out; the row's digest is this document's."""
    return {
        "schema": "countersign/rollout/v1",
        "platform": row.platform,
        "repository": row.repository,
        "head": row.head_commit,
        "revision": row.revision,
        "rolledOutAt": format_time(row.rolled_out_at),
    }


def opened_document(row: IncidentRow) -> dict[str, Json]:
    """What is logged, by its digest, when an incident is found."""
    said = {"kind": row.kind, "subject": row.subject, "detail": row.detail, "openedAt": format_time(row.opened_at)}
    return {"schema": INCIDENT_SCHEMA, **said}


def settled_document(kind: str, subject: Digest, moment: datetime) -> dict[str, Json]:
    """What is logged, by its digest, when an incident is settled."""
    return {"schema": INCIDENT_SCHEMA, "kind": kind, "subject": subject, "settledAt": format_time(moment)}


def _same(decision: DecisionRow, rollout: RolloutRow) -> bool:
    one = (decision.platform, decision.repository, decision.head_commit)
    same = one == (rollout.platform, rollout.repository, rollout.head_commit)
    return same and rollout.revision in {None, decision.revision}


def _undecided(rollout: RolloutRow, decisions: Sequence[DecisionRow]) -> str:
    what = f"{_what(rollout)} was rolled out at {format_time(rollout.rolled_out_at)}"
    about = [one for one in decisions if _same(one, rollout)]
    if not about:
        return f"{what}, and no gate's decision on it was delivered"
    newest = max(about, key=lambda one: one.decided_at)
    verb = "let it through" if newest.passed else "refused it"
    return f"{what}; {newest.gate} {verb} at {format_time(newest.decided_at)}, and nothing else was delivered"


def _what(row: DecisionRow | RolloutRow) -> str:
    return f"{row.repository} at {(row.head_commit or 'an unknown commit')[:12]}"


def _settle(context: Context, row: IncidentRow, moment: datetime) -> None:
    with context.exclusive(ledger.ROWS):
        _log(context, INCIDENT_LEAF, settled_document(row.kind, row.subject, moment))
        with context.database.write() as session:
            session.get_one(IncidentRow, (row.kind, row.subject)).settled_at = moment


def _log_rollout(context: Context, named: Digest) -> None:
    with context.database.read() as session:
        row = session.get_one(RolloutRow, named)
    index = _log(context, ROLLOUT_LEAF, rollout_document(row))
    with context.database.write() as session:
        session.get_one(RolloutRow, named).log_index = index


def _log_opened(context: Context, kind: str, subject: Digest) -> int:
    with context.database.read() as session:
        row = session.get_one(IncidentRow, (kind, subject))
    index = _log(context, INCIDENT_LEAF, opened_document(row))
    with context.database.write() as session:
        session.get_one(IncidentRow, (kind, subject)).log_index = index
    return index


def _log(context: Context, kind: str, document: dict[str, Json]) -> int:
    """Log a document by its digest; the evidence store keeps it."""
    named = context.store.put_json(document)
    return ledger.record(context, leaf(kind, digest=named)).index
