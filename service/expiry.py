# SPDX-License-Identifier: Apache-2.0
"""How long sign-offs count: what a new statement is given, and when those that there are run out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from service import builds, judgement, progress, trust
from service.database import RevisionRow
from service.life import State
from signoff import admits

if TYPE_CHECKING:
    from datetime import datetime

    from service.context import Context
    from signoff import Policy


def life(policy: Policy, *, expedited: bool) -> timedelta:
    """How long a statement counts; an expedited one as long as its lane lets it."""
    rule = policy.rules.expedited
    return timedelta(hours=rule.hours) if expedited and rule is not None else policy.max_age


def expire(context: Context, moment: datetime) -> list[int]:
    """Let signed revisions expire whose sign-offs have run out by then; returns their ids."""
    with context.database.read() as session:
        signed = session.scalars(select(RevisionRow).where(RevisionRow.state == State.SIGNED)).all()
    found = []
    for revision in signed:
        statements = [one.statement for one in judgement.signatures(context, revision.id)]
        ends = [min(one.expires_at, one.signed_at + trust.policy(context).max_age) for one in statements]
        if not statements and builds.ended(context, revision, moment):
            ends = [moment]
        if not any(end <= moment for end in ends) or admits(
            judgement.judged(context, revision, trust.policy(context), moment)
        ):
            continue
        if progress.advance(context.database, revision.id, State.EXPIRED):
            found.append(revision.id)
    return found
