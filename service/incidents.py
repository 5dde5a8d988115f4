# SPDX-License-Identifier: Apache-2.0
"""What was rolled out held against what gates decided: one without the other is an incident, logged and shown.

A decision and a rollout belong together if they are of one platform, repository and head commit, of one revision where
the rollout names it, and the gate let it through at most a day before it went out. A decision may come late, since a
gate that cannot reach the service goes on; it may not be made late.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from evidence import InputError
from service import ledger
from service.arrivals import now
from service.database import DecisionRow, IncidentRow, RolloutRow
from service.views import IncidentView
from signoff import CLOCK_SKEW, format_time, leaf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from evidence import Digest
    from service.context import Context

ROLLOUT_LEAF = "rollout"
INCIDENT_LEAF = "incident"
UNDECIDED = "rollout-without-decision"
NOT_ROLLED_OUT = "decision-without-rollout"
OTHER_FILES = "decision-by-other-files"

_DAY = timedelta(hours=24)

log = structlog.get_logger("countersign")


def report(context: Context, platform: str, repository: str, head: str, revision: Digest | None, at: datetime) -> bool:
    """Take in that something was rolled out; logged once. False if it was reported before.

    Raises:
        InputError: it is to have been rolled out in the future.
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

    Returns:
        How many were opened.
    """
    wait = timedelta(minutes=context.settings.rollout_minutes)
    with context.database.read() as session:
        decisions = session.scalars(select(DecisionRow)).all()
        rollouts = session.scalars(select(RolloutRow)).all()
        known = {(row.kind, row.subject) for row in session.scalars(select(IncidentRow))}
        open_ = session.scalars(select(IncidentRow).where(IncidentRow.settled_at.is_(None))).all()
    passed = [one for one in decisions if one.passed]
    together = [(one, other) for one in passed for other in rollouts if _belong(one, other)]
    decided, rolled_out = {other.digest for _, other in together}, {one.digest for one, _ in together}
    reporting = {(one.platform, one.repository) for one in rollouts}
    found = [
        (UNDECIDED, one.digest, _undecided(one, decisions))
        for one in rollouts
        if one.digest not in decided and one.reported_at + wait <= moment
    ]
    found += [
        (NOT_ROLLED_OUT, one.digest, f"{one.gate} let {_what(one)} through, and no rollout of it was reported")
        for one in passed
        if one.digest not in rolled_out
        and (one.platform, one.repository) in reporting
        and max(one.taken_at, one.decided_at + _DAY) + wait <= moment
    ]
    new = [one for one in found if one[:2] not in known]
    for kind, subject, detail in new:
        open_incident(context, kind, subject, detail, moment)
    for row in open_:
        if row.subject in (decided if row.kind == UNDECIDED else rolled_out if row.kind == NOT_ROLLED_OUT else ()):
            _settle(context, row, moment)
    return len(new)


def open_incident(context: Context, kind: str, subject: Digest, detail: str, moment: datetime) -> None:
    """Log an incident and keep it; nothing happens if it is known."""
    with context.database.read() as session:
        if session.get(IncidentRow, (kind, subject)) is not None:
            return
    index = _log(context, {"kind": kind, "subject": subject, "detail": detail, "openedAt": format_time(moment)})
    log.warning("incident", kind=kind, detail=detail, log_entry=index)
    with context.database.write() as session:
        session.merge(
            IncidentRow(kind=kind, subject=subject, detail=detail, log_index=index, opened_at=moment, settled_at=None)
        )


def listed(context: Context) -> tuple[IncidentView, ...]:
    """Every incident, those that are open first, then the newest first."""
    with context.database.read() as session:
        rows = session.scalars(select(IncidentRow)).all()
    order = sorted(rows, key=lambda row: (row.settled_at is not None, -row.opened_at.timestamp(), row.subject))
    return tuple(
        IncidentView(row.kind, row.subject, row.detail, row.log_index, row.opened_at, row.settled_at) for row in order
    )


def _belong(decision: DecisionRow, rollout: RolloutRow) -> bool:
    return _same(decision, rollout) and (
        decision.decided_at - CLOCK_SKEW <= rollout.rolled_out_at <= decision.decided_at + _DAY
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
