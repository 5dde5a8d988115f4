# SPDX-License-Identifier: Apache-2.0
"""What the data folder holds of a platform's reviews over some days, for the annex of an audit report."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

import reports
from evidence import InputError, NotFoundError
from service import trust
from service.database import (
    BuildRow,
    CarriedRow,
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
from signoff import DECLARATION_DIGEST, format_time, read_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement

    from evidence import Json
    from service.context import Context
    from signoff import Person, Roots, Statement


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
            .where(Change.platform == platform, RevisionRow.state.in_(FINAL), *_within(start, end))
            .order_by(RevisionRow.created_at, RevisionRow.id)
        ).all()
        still = session.scalar(
            select(func.count())
            .select_from(RevisionRow)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(Change.platform == platform, RevisionRow.state.not_in(FINAL), *_within(start, end))
        )
        earlier = session.scalar(
            select(func.count())
            .select_from(SignoffRow)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .join(Change, Change.id == RevisionRow.change_id)
            .where(
                Change.platform == platform,
                RevisionRow.created_at < start,
                SignoffRow.at >= start,
                SignoffRow.at < end,
                SignoffRow.log_index.is_not(None),
            )
        )
    roots = trust.roots(context)
    revisions = [_revision(context, roots, row, change) for row, change in rows]
    return {
        "platform": platform,
        "from": since.isoformat(),
        "until": until.isoformat(),
        "repositories": sorted({one["repository"] for one in revisions}),
        "log": _log(context),
        "unfinished": still,
        "earlier_signoffs": earlier,
        "revisions": revisions,
        "people": _people(roots, platform, revisions),
        "incidents": _incidents(context, platform, start, end),
    }


def _known(context: Context, platform: str) -> None:
    """Refuse a name that no change on record and no configured platform has; one that was taken out is still known."""
    with context.database.read() as session:
        names = {*session.scalars(select(Change.platform).distinct()), *(one.name for one in context.platforms)}
    if platform not in names:
        there = ", ".join(sorted(names)) or "none"
        raise NotFoundError(f"no platform {platform[:80]!r} in {context.settings.data}; there is {there}")


def _within(start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    return RevisionRow.created_at >= start, RevisionRow.created_at < end


def _log(context: Context) -> Json:
    if not (context.log / "checkpoint").exists():
        return None
    reader = trust.log_reader(context)
    return {"size": reader.size, "checkpoint": reader.checkpoint().decode("utf-8")}


def _revision(context: Context, roots: Roots, row: RevisionRow, change: Change) -> dict[str, Json]:
    with context.database.read() as session:
        events = dict(session.execute(select(EventRow.what, EventRow.at).where(EventRow.revision_id == row.id)).all())
    named = {
        "diff": (row.diff_digest, events.get(State.DIFFED.value)),
        "artifacts": (row.artifacts_digest, events.get(ARTIFACTS_COMPARED)),
        "audit": (row.audit_digest, events.get(State.AUDITED.value)),
    }
    documents = {name: context.store.get_json(found) for name, (found, _) in named.items() if found is not None}
    diff, audit, artifacts = (documents.get(name) for name in ("diff", "audit", "artifacts"))
    given, payloads = _signoffs(context, roots, change.platform, row.id)
    build = _build(context, row.id)
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
            {
                "name": name,
                "digest": found,
                "made": None if at is None else format_time(at),
                "logged": any(found.removeprefix("sha256:") in names for names in payloads)
                or (build is not None and build["log_index"] is not None),
            }
            for name, (found, at) in named.items()
            if found is not None
        ],
        "findings": Counter(each["severity"] for each in reports.all_findings(diff, audit, artifacts)),
        "unknown": Counter(each.kind for each in reports.unknowns(diff, audit, artifacts)) if documents else {},
        **_behavior(audit),
        "signoffs": given,
        "build": build,
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


def _signoffs(
    context: Context, roots: Roots, platform: str, revision_id: int
) -> tuple[list[Json], list[frozenset[str]]]:
    """The sign-offs on a revision, those carried over to it too, and of each the digests of evidence that it names.

    Evidence is logged before the statement that names it is given out to be signed.
    """
    rows = select(SignoffRow, StatementRow.payload, CarriedRow.log_index)
    rows = rows.join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
    carried = (CarriedRow.nonce == SignoffRow.nonce) & (CarriedRow.revision_id == revision_id)
    rows = rows.outerjoin(CarriedRow, carried).where(SignoffRow.log_index.is_not(None))
    rows = rows.where((SignoffRow.revision_id == revision_id) | CarriedRow.nonce.is_not(None))
    with context.database.read() as session:
        found = session.execute(rows.order_by(SignoffRow.log_index)).all()
    statements = [(row, read_statement(payload), at) for row, payload, at in found]
    return (
        [_signoff(roots, platform, row, statement, at) for row, statement, at in statements],
        [
            frozenset(entry.digest.sha256 for entry in statement.predicate.evidence)
            for row, statement, _ in statements
            if row.revision_id == revision_id
        ],
    )


def _signoff(
    roots: Roots, platform: str, row: SignoffRow, statement: Statement, carried: int | None
) -> dict[str, Json]:
    predicate = statement.predicate
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
        "carried": carried,
        "superseded": row.superseded,
        "meaning": predicate.meaning,
        "conditions": list(predicate.conditions),
        "not_inspected": list(predicate.notInspected),
        "override": None if predicate.override is None else predicate.override.reason,
        "expedited": None if predicate.expedited is None else predicate.expedited.reason,
        "policy": f"sha256:{predicate.policy.digest.sha256}",
        "declaration": f"sha256:{predicate.independence.declarationDigest.sha256}",
        "not_independent": _not_independent(roots.person(predicate.reviewer.id), platform, statement),
        "files": coverage.files,
        "viewed": coverage.viewed,
        "waived": len(coverage.waived),
        "findings": coverage.findings,
        "answered": coverage.answered,
    }


def _not_independent(person: Person | None, platform: str, statement: Statement) -> str | None:
    """Why the declaration that a statement names does not show independence from the platform, or None if it does."""
    declared = None if person is None else person.independence
    named = f"sha256:{statement.predicate.independence.declarationDigest.sha256}"
    if named == DECLARATION_DIGEST:
        return "it names the general declaration only"
    if person is None or declared is None or declared.digest_for(person.id) != named:
        return "the declaration that it names is not in the roots any more"
    if declared.platform != platform:
        return f"its declaration is for {declared.platform}"
    return declared.conflict(statement.predicate.reviewer.organization, statement.signed_at)


def _build(context: Context, revision_id: int) -> Json:
    """A build under a recipe: by which, and where its countersignature is logged, or why it was outside."""
    with context.database.read() as session:
        row = session.get(BuildRow, revision_id)
    if row is None:
        return None
    return {"recipe": row.recipe, "number": row.number, "log_index": row.log_index, "outside": row.outside}


def _people(roots: Roots, platform: str, revisions: Iterable[Json]) -> list[Json]:
    """Who signed, as their statements call them, with what the roots say that they declare for this platform now."""
    signed = {(one["person"], one["name"], one["organization"]) for each in revisions for one in each["signoffs"]}
    return [
        {
            "id": identifier,
            "name": name,
            "organization": organization,
            "declaration": _declaration(roots.person(identifier), platform),
        }
        for identifier, name, organization in sorted(signed)
    ]


def _declaration(person: Person | None, platform: str) -> Json:
    if person is None or person.independence is None or person.independence.platform != platform:
        return None
    declared = person.independence
    return {**declared.model_dump(mode="json", exclude_none=True), "digest": declared.digest_for(person.id)}


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
