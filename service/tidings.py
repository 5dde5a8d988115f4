# SPDX-License-Identifier: Apache-2.0
"""What is told to whom: a message for every row that a write has moved, in the same transaction.

A message names a revision and its state, never a panel, a slice, a finding or a person: what is behind it is read at
its address by whoever may.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from service import outbox
from service.arrivals import now
from service.database import Change, IncidentRow, RevisionRow
from service.life import State
from signoff import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from evidence import Json
    from service.settings import Endpoint

WEBHOOK = "webhook:"
_ON_THE_WAY = frozenset({State.DIFFED, State.AUDITED})  # nobody acts on them
OPENED, SETTLED = "incident.opened", "incident.settled"


def events() -> frozenset[str]:
    """Every type of event that an endpoint can be told of."""
    return frozenset(f"revision.{state.value}" for state in State if state not in _ON_THE_WAY) | {OPENED, SETTLED}


def writer(endpoints: Sequence[Endpoint], url: str) -> Callable[[Session, list[Any]], None]:
    """What writes the messages for rows that were moved; ``url`` is the service's own address."""

    def moved(session: Session, rows: list[Any]) -> None:
        moment = now()
        for row in rows:
            if isinstance(row, RevisionRow) and State(row.state) not in _ON_THE_WAY:
                _revision(session, row, moment)
            elif isinstance(row, IncidentRow):
                _incident(session, row, moment)

    def _revision(session: Session, row: RevisionRow, moment: datetime) -> None:
        change = session.get_one(Change, row.change_id)
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
            "url": f"{url}/changes/{change.id}/revisions/{row.n}",
        }
        _tell(session, f"revision.{State(row.state).value}", f"revision/{row.id}", data, moment, change.platform)

    def _incident(session: Session, row: IncidentRow, moment: datetime) -> None:
        event = OPENED if row.settled_at is None else SETTLED
        data = {"kind": row.kind, "subject": row.subject, "log_entry": row.log_index, "url": f"{url}/log"}
        _tell(session, event, f"incident/{row.kind}/{row.subject}", data, moment, None)

    def _tell(session: Session, event: str, subject: str, data: Json, moment: datetime, platform: str | None) -> None:
        body = json.dumps({"type": event, "timestamp": format_time(moment), "data": data}, separators=(",", ":"))
        for endpoint in endpoints:
            if _wants(endpoint, event, platform):
                outbox.put(session, f"{WEBHOOK}{endpoint.name}", subject, event, body, moment)

    return moved


def _wants(endpoint: Endpoint, event: str, platform: str | None) -> bool:
    """Whether an endpoint is told of it; an incident, which names no platform, is for those of all platforms."""
    return (not endpoint.events or event in endpoint.events) and (
        not endpoint.platforms or platform in endpoint.platforms
    )
