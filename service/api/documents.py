# SPDX-License-Identifier: Apache-2.0
"""Views as the API's JSON. A submitter gets the error's public line and nothing of the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.life import State

if TYPE_CHECKING:
    from evidence import Json
    from service.views import ChangeView, QueueRow, RevisionView

# What else happens to a revision may tell of the panel, or of who signed.
_PUBLIC_EVENTS = frozenset({"fetched", *(state.value for state in State)})


def row_json(row: QueueRow, *, reviewer: bool) -> Json:
    """A line of the list of changes. How many findings there are would say too much of the panel."""
    document: Json = {
        "id": row.change_id,
        "title": row.title,
        "repository": row.repository,
        "number": row.number,
        "author": row.author,
        "target_ref": row.target_ref,
        "revision": row.revision,
        "state": row.state.value,
        "verdict": row.verdict.value if row.verdict else None,
        "since": row.since.isoformat(),
        "whose_turn": row.whose_turn,
    }
    if reviewer:
        document["open_findings"] = row.open_findings
    return document


def change_json(view: ChangeView) -> Json:
    """A change with its revisions."""
    return {
        "id": view.id,
        "title": view.title,
        "description": view.description,
        "repository": view.repository,
        "number": view.number,
        "url": view.url,
        "author": view.author,
        "target_ref": view.target_ref,
        "revisions": [
            {
                "n": line.n,
                "head_commit": line.head_commit,
                "digest": line.digest,
                "state": line.state.value,
                "verdict": line.verdict.value if line.verdict else None,
                "at": line.at.isoformat(),
            }
            for line in view.revisions
        ],
    }


def revision_json(view: RevisionView, *, reviewer: bool) -> Json:
    """A revision without its evidence, which has addresses of its own."""
    document: Json = {
        "change": view.change_id,
        "n": view.n,
        "digest": view.digest,
        "base_commit": view.base_commit,
        "head_commit": view.head_commit,
        "state": view.state.value,
        "verdict": view.verdict.value if view.verdict else None,
        "manifest": view.manifest,
        "error": {"class": view.error.error_class, "message": view.error.public} if view.error else None,
        "signoffs": [
            {"decision": signoff.decision, "at": signoff.at.isoformat(), "log_index": signoff.log_index}
            for signoff in view.signoffs
            if not signoff.superseded
        ],
        "timeline": [
            {"at": event.at.isoformat(), "what": event.what}
            for event in view.timeline
            if reviewer or event.what in _PUBLIC_EVENTS or event.what.startswith("superseded by revision ")
        ],
    }
    if reviewer:
        if view.error is not None:
            document["error"]["detail"] = view.error.detail
        document["requirements"] = [
            {"name": requirement.name, "state": requirement.state.value, "reason": requirement.reason}
            for requirement in view.requirements
        ]
    return document
