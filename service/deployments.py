# SPDX-License-Identifier: Apache-2.0
"""Deployments that a code host asked about, each with what sign-offs say of its commit now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from service.database import Change, DeploymentRow, RevisionRow
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from service.database import Database

MOST = 500

Answer = Literal["approved", "rejected", "waiting"]

_NO = frozenset({State.REJECTED, State.REVOKED})


@dataclass(frozen=True, slots=True)
class Deployment:
    """One question: ``approved`` where a revision with that head is signed, ``rejected`` where a reviewer said no."""

    platform: str
    repository: str
    environment: str
    head_commit: str
    run: int
    asked_at: datetime
    answer: Answer
    sent: str | None = None  # what the code host was told and has taken


def one(database: Database, deployment_id: int) -> Deployment | None:
    """One question, as it would be answered now; None if there is none."""
    with database.read() as session:
        row = session.get(DeploymentRow, deployment_id)
        if row is None:
            return None
        states = session.scalars(
            select(RevisionRow.state)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(
                Change.platform == row.platform,
                Change.repository == row.repository,
                RevisionRow.head_commit == row.head_commit,
            )
        )
        return _deployment(row, {State(state) for state in states})


def listed(
    database: Database, platform: str | None = None, sees: Callable[[str], bool] = lambda _: True
) -> list[Deployment]:
    """The newest questions first, of one platform or of all, each as it would be answered now."""
    questions = select(DeploymentRow).order_by(DeploymentRow.id.desc()).limit(MOST)
    if platform is not None:
        questions = questions.where(DeploymentRow.platform == platform)
    with database.read() as session:
        rows = [row for row in session.scalars(questions) if sees(row.repository)]
        heads = {row.head_commit for row in rows}
        states: dict[tuple[str, str, str], set[State]] = {}
        reviewed = (
            select(Change.platform, Change.repository, RevisionRow.head_commit, RevisionRow.state)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(RevisionRow.head_commit.in_(heads))
        )
        for of, repository, head, state in session.execute(reviewed):
            states.setdefault((of, repository, head), set()).add(State(state))
    return [_deployment(row, states.get((row.platform, row.repository, row.head_commit), set())) for row in rows]


def _deployment(row: DeploymentRow, states: set[State]) -> Deployment:
    """A question as it would be answered where the revisions with its commit have these states."""
    return Deployment(
        row.platform,
        row.repository,
        row.environment,
        row.head_commit,
        row.run,
        row.asked_at,
        _answer(states),
        row.answer_sent,
    )


def _answer(states: set[State]) -> Answer:
    """No comes before yes: a commit that one change has signed and another refused does not go out by itself."""
    if states & _NO:
        return "rejected"
    return "approved" if State.SIGNED in states else "waiting"
