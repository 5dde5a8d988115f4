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

    from evidence import Digest
    from service.context import Context

ROLLOUT_LEAF = "rollout"
INCIDENT_LEAF = "incident"
UNDECIDED = "rollout-without-decision"
NOT_ROLLED_OUT = "decision-without-rollout"
OTHER_FILES = "decision-by-other-files"
OVERDUE = "review-overdue"
OWN_CHANGE = "own-change-let-out"

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
    document = {
        "schema": "countersign/rollout/v1",
        "platform": platform,
        "repository": repository,
        "head": head,
        "revision": revision,
        "rolledOutAt": format_time(at),
    }
    with context.database.read() as session:
        if session.get(RolloutRow, document_digest(document)) is not None:
            return False
        lately = select(func.count()).where(RolloutRow.platform == platform, RolloutRow.reported_at > moment - _MINUTE)
        if (session.scalar(lately) or 0) >= context.settings.rollouts_a_minute:
            raise TooManyError(f"{context.settings.rollouts_a_minute} rollouts were reported within a minute: wait one")
    named = context.store.put_json(document)
    ledger.record(context, leaf(ROLLOUT_LEAF, digest=named))
    with context.database.write() as session:
        if session.get(RolloutRow, named) is not None:
            return False
        session.add(
            RolloutRow(
                digest=named,
                platform=platform,
                repository=repository,
                revision=revision,
                head_commit=head,
                rolled_out_at=at,
                reported_at=moment,
            )
        )
    return True


def look(context: Context, moment: datetime) -> int:
    """Open an incident for every decision or rollout that has waited for the other too long, and settle what has come.

    What has found its other is marked, and never looked at again: it takes as long as there is open, not as there was.

    Returns:
        How many were opened.
    """
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
    decided = [one for one in rollouts if any(_belong(other, one) for other in about[one.head_commit])]
    followed = [one for one in decisions if any(_belong(one, other) for other in out[one.head_commit])]
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


def open_incident(context: Context, kind: str, subject: Digest, detail: str, moment: datetime) -> bool:
    """Log an incident and keep it. False, and nothing happens, if it is known."""
    with context.database.read() as session:
        if session.get(IncidentRow, (kind, subject)) is not None:
            return False
    index = _log(context, {"kind": kind, "subject": subject, "detail": detail, "openedAt": format_time(moment)})
    log.warning("incident", kind=kind, detail=detail, log_entry=index)
    with context.database.write() as session:
        session.merge(
            IncidentRow(kind=kind, subject=subject, detail=detail, log_index=index, opened_at=moment, settled_at=None)
        )
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


def _belong(decision: DecisionRow, rollout: RolloutRow) -> bool:
    return (
        decision.passed
        and _same(decision, rollout)
        and (decision.decided_at - CLOCK_SKEW <= rollout.rolled_out_at <= decision.decided_at + _DAY)
    )


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
    _log(context, {"kind": row.kind, "subject": row.subject, "settledAt": format_time(moment)})
    with context.database.write() as session:
        session.get_one(IncidentRow, (row.kind, row.subject)).settled_at = moment


def _log(context: Context, said: dict[str, str]) -> int:
    """Log what is said of an incident, by the digest of a document that the evidence store keeps."""
    named = context.store.put_json({"schema": "countersign/incident/v1", **said})
    return ledger.record(context, leaf(INCIDENT_LEAF, digest=named)).index
