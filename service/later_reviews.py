# SPDX-License-Identifier: Apache-2.0
"""The full review that follows an expedited approval: what is due, and what waits until it is done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from evidence import ConflictError
from service import trust
from service.database import Change, RevisionRow, SignoffRow, StatementRow
from signoff import read_statement

if TYPE_CHECKING:
    from service.context import Context


class Due(NamedTuple):
    """A change that was approved in a hurry, and by when it has to be reviewed in full."""

    change_id: int
    n: int
    by: datetime


def due(context: Context, change_id: int) -> tuple[Due, ...]:
    """The reviews that are owed in the repository of this change: those of changes whose last sign-off was expedited.

    Any later sign-off that is none, an approval, a rejection or a revocation, settles it.
    """
    rule = trust.policy(context).rules.expedited
    with context.database.read() as session:
        change = session.get_one(Change, change_id)
        rows = session.execute(
            select(RevisionRow.change_id, RevisionRow.n, StatementRow.payload)
            .join(SignoffRow, SignoffRow.revision_id == RevisionRow.id)
            .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(
                Change.platform == change.platform,
                Change.repository == change.repository,
                SignoffRow.log_index.is_not(None),
            )
            .order_by(SignoffRow.log_index)
        ).all()
    owed: dict[int, Due] = {}
    for owner, n, payload in rows:
        statement = read_statement(payload)
        if statement.predicate.expedited is None:
            owed.pop(owner, None)
        elif owner not in owed:
            # Where the policy has lost its expedited lane since, what was hurried under it is due at once.
            hours = rule.review_within_hours if rule is not None else 0
            owed[owner] = Due(owner, n, statement.signed_at + timedelta(hours=hours))
    return tuple(owed.values())


def check(context: Context, change_id: int, *, expedited: bool, moment: datetime) -> None:
    """Refuse an approval while a full review is overdue in the same repository, and a second hurry for one change.

    Raises:
        ConflictError: what has to be reviewed first.
    """
    for one in due(context, change_id):
        which = f"change {one.change_id}, revision {one.n}, approved in a hurry"
        if one.change_id == change_id:
            if expedited and one.by <= moment:
                raise ConflictError(
                    f"{which}: its full review was due by {one.by:%Y-%m-%d %H:%M} UTC; review it in full"
                )
        elif one.by <= moment:
            raise ConflictError(f"{which}, was to be reviewed in full by {one.by:%Y-%m-%d %H:%M} UTC: do that first")
