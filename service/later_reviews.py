# SPDX-License-Identifier: Apache-2.0
"""The full reviews that are owed for what went ahead without one: what is due, what is overdue, what ends it.

Two things owe a review: an expedited approval, by the policy's hours, and broken glass, by the date that its approvers
signed. Both are read from what is logged, shown until they are reviewed, and an incident once they are overdue.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import select

from evidence import ConflictError, CountersignError
from service import hands, incidents, ledger, trust
from service.arrivals import now
from service.database import Change, DecisionRow, RevisionRow, SignoffRow, StatementRow
from service.views import OwedReview
from signoff import Envelope, format_time, gate_leaf, parse_time, read_statement, read_summary, verify_summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from evidence import Digest
    from service.context import Context
    from signoff import Summary

_EXPEDITED = b'"expedited":{'  # in canonical JSON nothing that a person wrote can hold it: quotes in it are escaped

log = structlog.get_logger("countersign")


class _Place(NamedTuple):
    change_id: int
    n: int
    revision: Digest | None
    people: Digest | None


def review_by(summary: Summary) -> datetime | None:
    """By when a review is due of what a gate let out by broken glass; None where it did not."""
    broken = summary.break_glass
    if broken is None or not broken.admits or broken.review_by is None:
        return None
    return parse_time(broken.review_by, "review_by")


def owed(context: Context, moment: datetime | None = None) -> tuple[OwedReview, ...]:
    """Every review that is owed, those that are due first. ``overdue`` is as of ``moment``, by default now."""
    at = moment or now()
    found = (*_expedited(context, at), *_broken(context, at))
    return tuple(sorted(found, key=lambda one: (one.by, one.subject)))


def owes(context: Context, revision: Digest | None) -> bool:
    """Whether broken glass owes a review of this revision, which then can be signed whatever came after it."""
    return revision is not None and any(one.revision == revision for one in _broken(context, now()))


def check(context: Context, change_id: int, *, expedited: bool, moment: datetime) -> None:
    """Refuse an approval while a full review is overdue in the same repository, and a second hurry for one change.

    That is of expedited approvals: what went out by broken glass stops nobody's work, and is an incident.

    Raises:
        ConflictError: what has to be reviewed first.
    """
    with context.database.read() as session:
        change = session.get_one(Change, change_id)
    for one in _expedited(context, moment, change):
        which = f"change {one.change_id}, revision {one.n}, approved in a hurry"
        if one.change_id == change_id:
            if expedited and one.overdue:
                raise ConflictError(
                    f"{which}: its full review was due by {one.by:%Y-%m-%d %H:%M} UTC; review it in full"
                )
        elif one.overdue:
            raise ConflictError(f"{which}, was to be reviewed in full by {one.by:%Y-%m-%d %H:%M} UTC: do that first")


def look(context: Context, moment: datetime) -> int:
    """Open an incident for every review that is overdue, and settle those of which the review is done.

    Returns:
        How many were opened.
    """
    _look_into(context)
    due = owed(context, moment)
    open_ = {one.subject for one in due}
    incidents.settle(context, incidents.OVERDUE, moment, lambda subject: subject not in open_)
    return sum(
        incidents.open_incident(context, incidents.OVERDUE, one.subject, one.detail, moment)
        for one in due
        if one.overdue
    )


def _expedited(context: Context, moment: datetime, change: Change | None = None) -> list[OwedReview]:
    """Changes whose last sign-off was expedited, of one change's repository or of all.

    Any later sign-off that is none, an approval, a rejection or a revocation, settles it.
    """
    rule = trust.policy(context).rules.expedited
    # Where the policy has lost its expedited lane since, what was hurried under it is due at once.
    wait = timedelta(hours=rule.review_within_hours if rule is not None else 0)
    wanted = (
        select(Change, RevisionRow, StatementRow.payload, SignoffRow.payload_digest)
        .join(RevisionRow, RevisionRow.change_id == Change.id)
        .join(SignoffRow, SignoffRow.revision_id == RevisionRow.id)
        .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
        .where(SignoffRow.log_index.is_not(None))
        .order_by(SignoffRow.log_index)
    )
    if change is not None:
        wanted = wanted.where(Change.platform == change.platform, Change.repository == change.repository)
    found: dict[int, OwedReview] = {}
    with context.database.read() as session:
        for of, row, payload, named in session.execute(wanted):
            if _EXPEDITED not in payload:
                found.pop(of.id, None)
            elif of.id not in found:
                statement = read_statement(payload)
                by, who = statement.signed_at + wait, statement.predicate.reviewer.name
                found[of.id] = OwedReview(
                    kind="expedited",
                    subject=named,
                    platform=of.platform,
                    repository=of.repository,
                    revision=row.digest,
                    change_id=of.id,
                    n=row.n,
                    by=by,
                    overdue=by <= moment,
                    detail=_told(f"{of.repository}, change {of.id}, was approved in a hurry by {who}", by),
                )
    return list(found.values())


def _broken(context: Context, moment: datetime) -> list[OwedReview]:
    """Decisions by broken glass whose revision has not been reviewed since they were logged."""
    found: list[OwedReview] = []
    with context.database.read() as session:
        rows = session.scalars(select(DecisionRow).where(DecisionRow.review_by.is_not(None))).all()
        for row in rows:
            by = row.review_by or moment
            broken = _summary(context, row.digest).break_glass
            breakers = [one.id for one in broken.people] if broken is not None else []
            places = _places(session, row)
            if row.log_index is not None and any(
                _reviewed(context, session, one, row.log_index, breakers) for one in places
            ):
                continue
            what = f"{row.repository} at {(row.head_commit or '')[:12]}"
            found.append(
                OwedReview(
                    kind="break-glass",
                    subject=row.digest,
                    platform=row.platform,
                    repository=row.repository,
                    revision=row.revision,
                    change_id=places[-1].change_id if places else None,
                    n=places[-1].n if places else None,
                    by=by,
                    overdue=by <= moment,
                    detail=_told(f"{what} went out by broken glass of {' and '.join(breakers)}", by),
                )
            )
    return found


def _told(what: str, by: datetime) -> str:
    return f"{what}; its full review is due by {format_time(by)}"


def _places(session: Session, row: DecisionRow) -> list[_Place]:
    """Where this server has the revision that went out: the same content may have been proposed more than once."""
    if row.revision is None:
        return []
    found = select(RevisionRow.change_id, RevisionRow.n, RevisionRow.digest, RevisionRow.people_digest)
    return [_Place(*one) for one in session.execute(found.where(RevisionRow.digest == row.revision))]


def _reviewed(context: Context, session: Session, place: _Place, after: int, breakers: Iterable[str]) -> bool:
    """Whether somebody who neither broke the glass nor made the change signed a full review after that was logged."""
    rows = session.execute(
        select(SignoffRow.person_id, StatementRow.payload)
        .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
        .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
        .where(RevisionRow.change_id == place.change_id, RevisionRow.n == place.n, SignoffRow.log_index > after)
    ).all()
    signers = {person for person, payload in rows if _EXPEDITED not in payload} - set(breakers)
    return bool(signers - hands.makers(context, place.people, signers))


def place(context: Context, named: Digest) -> int:
    """Log a decision that is kept, once, and keep where; returns that. It may be one of before that was kept."""
    envelope = Envelope.read(context.store.get(named))
    index = ledger.record(context, gate_leaf(envelope)).index
    with context.database.write() as session:
        row = session.get_one(DecisionRow, named)
        row.log_index, row.review_by = index, review_by(read_summary(envelope.payload))
    return index


def _look_into(context: Context) -> None:
    """Find the broken glass in decisions of before it was looked for, and log those that a killed process did not.

    What is not in the log has to be signed by a gate: no row that somebody put there is logged.
    """
    with context.exclusive(ledger.ROWS):
        with context.database.read() as session:
            waiting = session.scalars(select(DecisionRow.digest).where(DecisionRow.log_index.is_(None))).all()
        for named in waiting:
            try:
                envelope = Envelope.read(context.store.get(named))
                if ledger.kept_proof(context, gate_leaf(envelope)) is None:
                    verify_summary(envelope, trust.roots(context))
            except CountersignError as error:
                log.warning("a decision that no gate signed is in the database", decision=named, why=str(error))
                continue
            place(context, named)


def _summary(context: Context, named: Digest) -> Summary:
    return read_summary(Envelope.read(context.store.get(named)).payload)
