# SPDX-License-Identifier: Apache-2.0
"""What the data folder holds of a platform's reviews over some days, for the annex of an audit report."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

import reports
from evidence import InputError, NotFoundError
from service import trust
from service.database import (
    Change,
    DecisionRow,
    EventRow,
    IncidentRow,
    RevisionRow,
    RolloutRow,
    SignoffRow,
    StatementRow,
)
from service.life import ARTIFACTS_COMPARED, FINAL, State
from signoff import format_time, parse_time, read_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evidence import Json
    from service.context import Context
    from signoff import Person, Roots


def record(context: Context, platform: str, since: date, until: date) -> dict[str, Json]:
    """The reviews that arrived from ``since`` to ``until`` (both days whole, UTC) and have ended, in order of arrival.

    Documents are in the store and in it by digest. The same state of the folder gives the same record.

    Raises:
        InputError: the days are the wrong way round.
        NotFoundError: no platform of that name is configured or on record.
    """
    if until < since:
        raise InputError(f"the last day, {until}, is before the first, {since}")
    _known(context, platform)
    start = datetime.combine(since, datetime.min.time(), UTC)
    end = datetime.combine(until + timedelta(days=1), datetime.min.time(), UTC)
    with context.database.read() as session:
        rows = session.execute(
            select(RevisionRow, Change)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(
                Change.platform == platform,
                RevisionRow.state.in_(FINAL),
                RevisionRow.created_at >= start,
                RevisionRow.created_at < end,
            )
            .order_by(RevisionRow.created_at, RevisionRow.id)
        ).all()
    revisions = [_revision(context, row, change) for row, change in rows]
    return {
        "platform": platform,
        "from": since.isoformat(),
        "until": until.isoformat(),
        "repositories": sorted({one["repository"] for one in revisions}),
        "log": _log(context),
        "revisions": revisions,
        "people": _people(trust.roots(context), platform, revisions),
        "incidents": _incidents(context, platform, start, end),
    }


def _known(context: Context, platform: str) -> None:
    """Refuse a name that no change on record and no configured platform has; one that was taken out is still known."""
    with context.database.read() as session:
        names = {*session.scalars(select(Change.platform).distinct()), *(one.name for one in context.platforms)}
    if platform not in names:
        there = ", ".join(sorted(names)) or "none"
        raise NotFoundError(f"no platform {platform[:80]!r} in {context.settings.data}; there is {there}")


def _log(context: Context) -> Json:
    if not (context.log / "checkpoint").exists():
        return None
    reader = trust.log_reader(context)
    return {"size": reader.size, "checkpoint": reader.checkpoint().decode("utf-8")}


def _revision(context: Context, row: RevisionRow, change: Change) -> dict[str, Json]:
    with context.database.read() as session:
        events = dict(session.execute(select(EventRow.what, EventRow.at).where(EventRow.revision_id == row.id)).all())
    named = {
        "diff": (row.diff_digest, events.get(State.DIFFED.value)),
        "artifacts": (row.artifacts_digest, events.get(ARTIFACTS_COMPARED)),
        "audit": (row.audit_digest, events.get(State.AUDITED.value)),
    }
    documents = {name: context.store.get_json(found) for name, (found, _) in named.items() if found is not None}
    diff, audit, artifacts = (documents.get(name) for name in ("diff", "audit", "artifacts"))
    return {
        "change": row.change_id,
        "revision": row.n,
        "repository": change.repository,
        "title": change.title,
        "target": change.target_ref,
        "head_commit": row.head_commit,
        "digest": row.digest,
        "state": State(row.state).value,
        "verdict": row.verdict,
        "error": row.error_class,
        "received": format_time(row.created_at),
        "evidence": [
            {"name": name, "digest": found, "made": None if at is None else format_time(at)}
            for name, (found, at) in named.items()
            if found is not None
        ],
        "findings": Counter(each["severity"] for each in reports.all_findings(diff, audit, artifacts)),
        "unknown": Counter(each.kind for each in reports.unknowns(diff, audit, artifacts)) if documents else {},
        **_behavior(audit),
        "signoffs": _signoffs(context, row.id),
    }


def _behavior(audit: Mapping[str, Any] | None) -> dict[str, Json]:
    if audit is None:
        return {"panel": None, "probes": {}, "cells": {}, "margins": [], "unsafe": False, "version": None}
    primary = [cell for cell in audit["cells"] if cell["family"] == "primary"]
    margins = {(cell["slice"], cell["margin"]) for cell in primary if cell.get("margin") is not None}
    return {
        "panel": audit["panel"],
        "probes": {probe["name"]: probe["status"] for probe in audit["probes"]},
        "cells": Counter(cell["verdict"] for cell in primary),
        "margins": [{"slice": name, "margin": margin} for name, margin in sorted(margins)],
        "unsafe": audit["unsafe"],
        "version": audit["version"],
    }


def _signoffs(context: Context, revision_id: int) -> list[Json]:
    with context.database.read() as session:
        rows = session.execute(
            select(SignoffRow, StatementRow.payload)
            .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
            .where(SignoffRow.revision_id == revision_id, SignoffRow.log_index.is_not(None))
            .order_by(SignoffRow.log_index)
        ).all()
    return [_signoff(row, payload) for row, payload in rows]


def _signoff(row: SignoffRow, payload: bytes) -> dict[str, Json]:
    predicate = read_statement(payload).predicate
    coverage = predicate.coverage
    return {
        "person": predicate.reviewer.id,
        "name": predicate.reviewer.name,
        "organization": predicate.reviewer.organization,
        "role": predicate.reviewer.role,
        "decision": predicate.decision.value,
        "signed": predicate.signedAt,
        "expires": predicate.expiresAt,
        "log_index": row.log_index,
        "superseded": row.superseded,
        "meaning": predicate.meaning,
        "conditions": list(predicate.conditions),
        "not_inspected": list(predicate.notInspected),
        "override": None if predicate.override is None else predicate.override.reason,
        "expedited": None if predicate.expedited is None else predicate.expedited.reason,
        "policy": f"sha256:{predicate.policy.digest.sha256}",
        "declaration": f"sha256:{predicate.independence.declarationDigest.sha256}",
        "files": coverage.files,
        "viewed": coverage.viewed,
        "waived": len(coverage.waived),
        "findings": coverage.findings,
        "answered": coverage.answered,
    }


def _people(roots: Roots, platform: str, revisions: Iterable[Json]) -> list[Json]:
    """Who signed, as their statements call them, with what the roots say that they declared for this platform."""
    signed: dict[tuple[str, str, str], list[datetime]] = {}
    for one in (one for each in revisions for one in each["signoffs"]):
        signed.setdefault((one["person"], one["name"], one["organization"]), []).append(
            parse_time(one["signed"], "signed")
        )
    return [
        {
            "id": identifier,
            "name": name,
            "organization": organization,
            "declaration": _declaration(roots.person(identifier), platform, moments),
        }
        for (identifier, name, organization), moments in sorted(signed.items())
    ]


def _declaration(person: Person | None, platform: str, moments: Iterable[datetime]) -> Json:
    """What somebody declared, with the first reason for which they were not independent when they signed."""
    if person is None or person.independence is None or person.independence.platform != platform:
        return None
    declared = person.independence
    conflicts = (declared.conflict(person.organization, moment) for moment in sorted(moments))
    return {
        **declared.model_dump(mode="json", exclude_none=True),
        "digest": declared.digest_for(person.id),
        "conflict": next((reason for reason in conflicts if reason is not None), None),
    }


def _incidents(context: Context, platform: str, start: datetime, end: datetime) -> list[Json]:
    with context.database.read() as session:
        subjects = {
            *session.scalars(select(DecisionRow.digest).where(DecisionRow.platform == platform)),
            *session.scalars(select(RolloutRow.digest).where(RolloutRow.platform == platform)),
        }
        rows = session.scalars(
            select(IncidentRow)
            .where(IncidentRow.opened_at >= start, IncidentRow.opened_at < end)
            .order_by(IncidentRow.log_index)
        ).all()
    return [
        {
            "kind": row.kind,
            "detail": row.detail,
            "log_index": row.log_index,
            "opened": format_time(row.opened_at),
            "settled": None if row.settled_at is None else format_time(row.settled_at),
        }
        for row in rows
        if row.subject in subjects
    ]
