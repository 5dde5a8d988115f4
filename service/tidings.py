# SPDX-License-Identifier: Apache-2.0
"""What is told to whom: a message for every row that a write has moved, in the same transaction.

A message names a revision and its state, never a panel, a slice, a finding or a person: what is behind it is read at
its address by whoever may.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from service import outbox
from service.arrivals import now
from service.database import Change, DeploymentRow, IncidentRow, RevisionRow
from service.life import State
from signoff import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from evidence import Json
    from service.settings import Endpoint, Platform

WEBHOOK = "webhook:"
HOST = "host:"
REPORT, ANSWER = "report", "answer"
_ON_THE_WAY = frozenset({State.DIFFED, State.AUDITED})  # nobody acts on them
_DECIDED = frozenset({State.SIGNED, State.REJECTED, State.REVOKED})
OPENED, SETTLED = "incident.opened", "incident.settled"


def events() -> frozenset[str]:
    """Every type of event that an endpoint can be told of."""
    return frozenset(f"revision.{state.value}" for state in State if state not in _ON_THE_WAY) | {OPENED, SETTLED}


def host(platform: str) -> str:
    """The destination that is a platform's code host."""
    return f"{HOST}{platform}"


def commit(row: RevisionRow) -> str:
    """What a code host is told about: the head commit of a change."""
    return f"{row.change_id}/{row.head_commit}"


def report(session: Session, row: RevisionRow, change: Change, moment: datetime) -> None:
    """Have a code host told where a revision stands; what that is, is read when it is told."""
    outbox.put(session, host(change.platform), commit(row), REPORT, json.dumps({"id": row.id}), moment)


def _answers(session: Session, rows: Iterable[DeploymentRow], moment: datetime) -> None:
    for row in rows:
        body = json.dumps({"id": row.id})
        outbox.put(session, host(row.platform), f"deployment/{row.id}", ANSWER, body, moment)


class Writer:
    """What writes the messages for rows that were moved; ``url`` is the service's own address."""

    def __init__(self, endpoints: Sequence[Endpoint], platforms: Sequence[Platform], url: str) -> None:
        self._endpoints = endpoints
        self._reporting = {one.name for one in platforms if one.api_base is not None}
        self._answering = {one.name for one in platforms if one.app_id is not None}
        self._url = url

    def __call__(self, session: Session, rows: list[Any]) -> None:
        """Write them, within the transaction."""
        moment = now()
        for row in rows:
            if isinstance(row, RevisionRow) and State(row.state) not in _ON_THE_WAY:
                self._revision(session, row, moment)
            elif isinstance(row, IncidentRow) and row.log_index is not None:  # told of once it is logged
                self._incident(session, row, moment)
            elif isinstance(row, DeploymentRow) and row.platform in self._answering:
                _answers(session, [row], moment)

    def _revision(self, session: Session, row: RevisionRow, moment: datetime) -> None:
        change = session.get_one(Change, row.change_id)
        if change.platform in self._reporting:
            report(session, row, change, moment)
        if change.platform in self._answering and State(row.state) in _DECIDED:
            asked = select(DeploymentRow).where(
                DeploymentRow.platform == change.platform,
                DeploymentRow.repository == change.repository,
                DeploymentRow.head_commit == row.head_commit,
            )
            _answers(session, session.scalars(asked).all(), moment)
        data = {
            "platform": change.platform,
            "repository": change.repository,
            "change": change.id,
            "key": change.key,
            "revision": row.n,
            "head": row.head_commit,
            "digest": row.digest,
            "state": State(row.state).value,
            "verdict": row.verdict,
            "error": row.error_class,
            "url": f"{self._url}/changes/{change.id}/revisions/{row.n}",
        }
        self._tell(session, f"revision.{State(row.state).value}", f"revision/{row.id}", data, moment, change.platform)

    def _incident(self, session: Session, row: IncidentRow, moment: datetime) -> None:
        event = OPENED if row.settled_at is None else SETTLED
        data = {"kind": row.kind, "subject": row.subject, "log_entry": row.log_index, "url": f"{self._url}/log"}
        self._tell(session, event, f"incident/{row.kind}/{row.subject}", data, moment, None)

    def _tell(
        self, session: Session, event: str, subject: str, data: Json, moment: datetime, platform: str | None
    ) -> None:
        body = json.dumps({"type": event, "timestamp": format_time(moment), "data": data}, separators=(",", ":"))
        for endpoint in self._endpoints:
            if _wants(endpoint, event, platform):
                outbox.put(session, f"{WEBHOOK}{endpoint.name}", subject, event, body, moment)


def _wants(endpoint: Endpoint, event: str, platform: str | None) -> bool:
    """Whether an endpoint is told of it; an incident, which names no platform, is for those of all platforms."""
    return (not endpoint.events or event in endpoint.events) and (
        not endpoint.platforms or platform in endpoint.platforms
    )
