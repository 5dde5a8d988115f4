# SPDX-License-Identifier: Apache-2.0
"""What another policy would have said of the revisions that were reviewed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from service import judgement, trust
from service.database import Change, RevisionRow
from signoff import admits

if TYPE_CHECKING:
    from service.context import Context
    from signoff import Policy, Requirement


@dataclass(frozen=True, slots=True)
class Simulated:
    """A revision under two policies: ``now`` is the one in force, ``then`` the one that is tried."""

    change: int
    n: int
    repository: str
    now: bool
    then: bool
    unmet: tuple[Requirement, ...]

    @property
    def line(self) -> str:
        """The revision in one line."""
        words = {True: "admits", False: "refuses"}
        why = "; ".join(f"{one.name}: {one.reason}" for one in self.unmet)
        mark = "=" if self.now == self.then else "!"
        which = f"{self.repository} change {self.change} revision {self.n}"
        said = f"{mark} {which}: {words[self.now]}, then {words[self.then]}"
        return f"{said} ({why})" if why else said

    def to_json(self) -> dict[str, Any]:
        """The same as a document."""
        return {
            "change": self.change,
            "revision": self.n,
            "repository": self.repository,
            "admits_now": self.now,
            "admits_then": self.then,
            "unmet": [{"name": one.name, "state": one.state.value, "reason": one.reason} for one in self.unmet],
        }


def simulate(context: Context, tried: Policy) -> tuple[Simulated, ...]:
    """Every reviewed revision, judged by the policy in force and by ``tried``, as of its last sign-off.

    Votes are taken as they are: that they name another policy's digest, which the gate refuses, does not count here.
    """
    with context.database.read() as session:
        rows = session.execute(
            select(RevisionRow, Change.repository)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(RevisionRow.people_digest.is_not(None))
            .order_by(RevisionRow.id)
        ).all()
    found = []
    for row, repository in rows:
        signed = [one.statement.signed_at for one in judgement.signatures(context, row.id)]
        moment = max(signed, default=row.since)
        now = judgement.judged(context, row, trust.policy(context), moment)
        then = judgement.judged(context, row, tried, moment)
        unmet = tuple(one for one in then if not one.state.met)
        found.append(Simulated(row.change_id, row.n, repository, admits(now), admits(then), unmet))
    return tuple(found)
