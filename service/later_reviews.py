# SPDX-License-Identifier: Apache-2.0
"""The full reviews that are owed for what went ahead without one: what is due, what is overdue, what ends it.

Two things owe a review: an expedited approval, by the policy's hours, and broken glass, by the date that its approvers
signed. Both are read from what is logged, shown until they are reviewed, and an incident once they are overdue.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
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

REVIEWER_ROLE = "reviewer"
_EXPEDITED = b'"expedited":{'  # in canonical JSON nothing that a person wrote can hold it: quotes in it are escaped

log = structlog.get_logger("countersign")


class _Ended(Enum):
    """By whom a review was done that broken glass owed."""

    BY_OTHERS = "others"
    BY_BREAKERS = "who broke it"


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
    _tell_of_reviews_by_breakers(context, moment)
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
    hurried = (
        select(RevisionRow.change_id)
        .join(SignoffRow, SignoffRow.revision_id == RevisionRow.id)
        .where(SignoffRow.expedited.is_not(False), SignoffRow.log_index.is_not(None))
    )
    wanted = (
        select(Change, RevisionRow, SignoffRow)
        .join(RevisionRow, RevisionRow.change_id == Change.id)
        .join(SignoffRow, SignoffRow.revision_id == RevisionRow.id)
        .where(SignoffRow.log_index.is_not(None), Change.id.in_(hurried))
        .order_by(SignoffRow.log_index)
    )
    if change is not None:
        wanted = wanted.where(Change.platform == change.platform, Change.repository == change.repository)
    last: dict[int, tuple[Change, RevisionRow, SignoffRow]] = {}
    with context.database.read() as session:
        for of, row, signoff in session.execute(wanted):
            if not _hurried(session, signoff):
                last.pop(of.id, None)
            else:
                last.setdefault(of.id, (of, row, signoff))
        statements = [
            (of, row, read_statement(session.get_one(StatementRow, signoff.nonce).payload), signoff.payload_digest)
            for of, row, signoff in last.values()
        ]
    return [
        OwedReview(
            kind="expedited",
            subject=named,
            platform=of.platform,
            repository=of.repository,
            revision=row.digest,
            change_id=of.id,
            n=row.n,
            by=(by := statement.signed_at + wait),
            overdue=by <= moment,
            detail=_told(
                f"{of.repository}, change {of.id}, was approved in a hurry by {statement.predicate.reviewer.name}", by
            ),
        )
        for of, row, statement, named in statements
    ]


def _hurried(session: Session, signoff: SignoffRow) -> bool:
    """Whether a sign-off is an expedited one; what was handed in before that was kept is read."""
    if signoff.expedited is not None:
        return signoff.expedited
    return _EXPEDITED in session.get_one(StatementRow, signoff.nonce).payload


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
            if _ended(context, session, row, places, breakers) is not None:
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


def _ended(
    context: Context, session: Session, row: DecisionRow, places: Iterable[_Place], breakers: Iterable[str]
) -> _Ended | None:
    """Whose full review has ended what broken glass owes; None while it is owed."""
    if row.log_index is None:
        return None
    found = {_reviewed(context, session, one, row.log_index, breakers) for one in places} - {None}
    return _Ended.BY_OTHERS if _Ended.BY_OTHERS in found else next(iter(found), None)


def _reviewed(context: Context, session: Session, place: _Place, after: int, breakers: Iterable[str]) -> _Ended | None:
    """Whether somebody who neither broke the glass nor made the change signed a full review after that was logged.

    Where nobody of the roots could have, at the time that it was signed, who broke the glass may; see decision 79.
    """
    rows = session.execute(
        select(SignoffRow, StatementRow.payload)
        .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
        .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
        .where(RevisionRow.change_id == place.change_id, RevisionRow.n == place.n, SignoffRow.log_index > after)
    ).all()
    given = [(row.person_id, payload) for row, payload in rows if not _hurried(session, row)]
    signers, broke = {person for person, _ in given}, set(breakers)
    makers, known = hands.makers(context, place.people, signers), trust.roots(context)
    if signers - broke - makers:
        return _Ended.BY_OTHERS
    reviewers = {one.id for one in known.people if REVIEWER_ROLE in one.roles} - makers
    alone = any(
        person in reviewers and not _others(context, place, broke, read_statement(payload).signed_at)
        for person, payload in given
    )
    return _Ended.BY_BREAKERS if alone else None


def _tell_of_reviews_by_breakers(context: Context, moment: datetime) -> None:
    """A review by who broke the glass ends what is owed, and stays on record as an incident that is settled."""
    with context.database.read() as session:
        rows = session.scalars(select(DecisionRow).where(DecisionRow.review_by.is_not(None))).all()
        found = []
        for row in rows:
            broken = _summary(context, row.digest).break_glass
            breakers = [one.id for one in broken.people] if broken is not None else []
            if _ended(context, session, row, _places(session, row), breakers) is _Ended.BY_BREAKERS:
                found.append((row.digest, f"{row.repository} at {(row.head_commit or '')[:12]}"))
    for named, what in found:
        detail = f"{what} went out by broken glass, and nobody else was there to review it than who broke that"
        incidents.open_incident(context, incidents.BREAKERS_REVIEWED, named, detail, moment)
    incidents.settle(context, incidents.BREAKERS_REVIEWED, moment, {named for named, _ in found}.__contains__)


def _others(context: Context, place: _Place, breakers: set[str], moment: datetime) -> set[str]:
    """Those of the roots who could review at that time, and neither broke the glass nor made the change."""
    able = {
        person.id
        for person in trust.roots(context).people
        if REVIEWER_ROLE in person.roles and any(entry.valid_at(moment) for entry in person.keys)
    }
    return able - breakers - hands.makers(context, place.people, able)


def place(context: Context, named: Digest) -> int:
    """Log a decision that is kept, once, and keep where; returns that. It may be one of before that was kept."""
    envelope = Envelope.read(context.store.get(named))
    index = ledger.record(context, gate_leaf(envelope)).index
    with context.database.write() as session:
        row = session.get_one(DecisionRow, named)
        row.log_index, row.review_by = index, review_by(read_summary(envelope.payload))
    return index


def _look_into(context: Context) -> None:
    """Find which sign-offs of before it was kept are expedited ones, and what `_look_into_decisions` finds."""
    with context.database.write() as session:
        for row in session.scalars(select(SignoffRow).where(SignoffRow.expedited.is_(None))):
            row.expedited = _hurried(session, row)
    _look_into_decisions(context)


def _look_into_decisions(context: Context) -> None:
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
