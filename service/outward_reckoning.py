# SPDX-License-Identifier: Apache-2.0
"""Decisions, rollouts, incidents and stopped lanes of the database held against their entries in the log.

The log has most of these by digest. What a row says is put together again, or read from the evidence store by that
digest, and compared; each entry needs its row, and each row its entry.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import select

from evidence import VerificationError, canonical, digest, document_digest
from service import decisions, incidents, later_reviews
from service.database import DecisionRow, IncidentRow, RecipeRow, RolloutRow
from signoff import GATE_LEAF, STOP_LEAF, Envelope, read_stop, read_summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evidence import Digest
    from service.context import Context

_STEP = "database"
_Places = dict[str, list[int]]


def differs(what: str) -> NoReturn:
    """Raise what differs."""
    raise VerificationError(_STEP, what)


def check_same(what: str, index: int, same: Mapping[str, bool]) -> None:
    """Raise the first thing about an entry that is not the same in database and log."""
    for name, holds in same.items():
        if not holds:
            differs(f"the {name} of the {what} at log entry {index} was changed")


@dataclass(slots=True)
class Outward:
    """The rows as they were before the log was read, and the entries that are about them."""

    decisions: Sequence[DecisionRow]
    rollouts: Sequence[RolloutRow]
    incidents: Sequence[IncidentRow]
    recipes: Sequence[RecipeRow]
    places: dict[str, _Places] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    stops: list[tuple[int, Envelope]] = field(default_factory=list)

    @classmethod
    def read(cls, context: Context) -> Outward:
        """The rows as they are."""
        with context.database.read() as session:
            return cls(
                session.scalars(select(DecisionRow)).all(),
                session.scalars(select(RolloutRow)).all(),
                session.scalars(select(IncidentRow)).all(),
                session.scalars(select(RecipeRow)).all(),
            )

    def take(self, index: int, document: Mapping[str, Any]) -> None:
        """An entry of the log, in order."""
        if document["type"] == STOP_LEAF:
            self.stops.append((index, Envelope.from_json(document["envelope"])))
        elif document["type"] in _BY_DIGEST:
            self.places[document["type"]][document["digest"]].append(index)

    def check(self, context: Context) -> None:
        """Hold the rows against the entries.

        Raises:
            VerificationError: the first that differs, or is in one only.
            EvidenceDamagedError: what an entry's digest is of is damaged in the evidence store.
            NotFoundError: or is not there.
        """
        _check_decisions(context, self.decisions, self.places[GATE_LEAF])
        _check_rollouts(self.rollouts, self.places[incidents.ROLLOUT_LEAF])
        _check_answers(self.decisions, self.rollouts)
        _check_incidents(context, self.incidents, self.places[incidents.INCIDENT_LEAF])
        _check_stops(context, self.recipes, self.stops)


_BY_DIGEST = frozenset({GATE_LEAF, incidents.ROLLOUT_LEAF, incidents.INCIDENT_LEAF})


def _paired(what: str, rows: Mapping[Digest, object], places: _Places) -> None:
    for named, (first, *_) in places.items():
        if named not in rows:
            differs(f"the {what} at log entry {first} is gone from the database")
    for named in rows:
        if named not in places:
            differs(f"a {what} that is not in the log: {named}")


def _check_decisions(context: Context, rows: Sequence[DecisionRow], places: _Places) -> None:
    _paired("decision", {row.digest: row for row in rows}, places)
    for row in rows:
        summary = read_summary(Envelope.read(context.store.get(row.digest)).payload)
        same = {
            "place": row.log_index in places[row.digest],
            "gate": row.gate == summary.gate,
            "repository": row.repository == summary.document.predicate.resourceUri,
            "revision": row.revision == summary.revision,
            "head commit": row.head_commit == decisions.head_commit(summary),
            "result": row.passed == summary.passed,
            "time": row.decided_at == summary.at,
            "owed review": row.review_by == later_reviews.review_by(summary),
        }
        check_same("decision", places[row.digest][0], same)


def _check_rollouts(rows: Sequence[RolloutRow], places: _Places) -> None:
    _paired("rollout", {row.digest: row for row in rows}, places)
    for row in rows:
        same = {
            "place": row.log_index in places[row.digest],
            "account": row.digest == document_digest(incidents.rollout_document(row)),
        }
        check_same("rollout", places[row.digest][0], same)


def _check_answers(made: Sequence[DecisionRow], reported: Sequence[RolloutRow]) -> None:
    """What is marked as if it had found its other has found it: otherwise no incident would come of it."""
    about: defaultdict[str | None, list[DecisionRow]] = defaultdict(list)
    out: defaultdict[str | None, list[RolloutRow]] = defaultdict(list)
    for decision in made:
        about[decision.head_commit].append(decision)
    for rollout in reported:
        out[rollout.head_commit].append(rollout)
    for decision in made:
        if decision.answered_at is not None and not any(
            incidents.belong(decision, one) for one in out[decision.head_commit]
        ):
            differs(
                f"the decision at log entry {decision.log_index} is marked as rolled out, and no rollout is its own"
            )
    for rollout in reported:
        if rollout.answered_at is not None and not any(
            incidents.belong(one, rollout) for one in about[rollout.head_commit]
        ):
            differs(f"the rollout at log entry {rollout.log_index} is marked as decided, and no decision is its own")


def _check_incidents(context: Context, rows: Sequence[IncidentRow], places: _Places) -> None:
    """Each incident as it was opened, and as it was settled last; nothing else was opened or settled."""
    known = {(row.kind, row.subject): row for row in rows}
    settled: dict[tuple[str, str], tuple[int, Digest]] = {}
    for named, indices in places.items():
        said = context.store.get_json(named)
        which = said["kind"], said["subject"]
        if which not in known:
            differs(f"the incident at log entry {indices[0]} is gone from the database")
        if "settledAt" in said:
            settled[which] = max(settled.get(which, (-1, "")), (indices[-1], named))
    for which, row in known.items():
        named = document_digest(incidents.opened_document(row))
        if named not in places or row.log_index is None:
            words = "not in the log" if row.log_index is None else f"not the one at log entry {row.log_index}"
            differs(f"an incident, {row.kind} of {row.subject}, that is {words}")
        index, last = settled.get(which, (row.log_index, None))
        mark = row.settled_at and document_digest(incidents.settled_document(*which, row.settled_at))
        check_same("incident", index, {"place": row.log_index in places[named], "settlement": mark == last})


def _check_stops(context: Context, rows: Sequence[RecipeRow], stops: Sequence[tuple[int, Envelope]]) -> None:
    stopped = {row.digest: row for row in rows if row.stop_digest or row.stop_index is not None or row.stop_reason}
    for index, envelope in stops:
        stop = read_stop(envelope.payload)
        row = stopped.pop(f"sha256:{stop.subject[0].digest.sha256}", None)
        if row is None:
            differs(f"the stop of a lane at log entry {index} is gone from the database")
        detail, reason = stop.predicate.detail, stop.predicate.reason
        if detail is not None:
            reason = context.store.get_json(f"sha256:{detail.sha256}")["reason"]
        same = {
            "place": row.stop_index == index,
            "envelope": row.stop_digest == digest(canonical(envelope.to_json())),
            "reason": row.stop_reason == reason,
        }
        check_same("stop of a lane", index, same)
    for named in stopped:
        differs(f"a stop of the lane of recipe {named} that is not in the log")
