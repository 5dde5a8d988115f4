# SPDX-License-Identifier: Apache-2.0
"""Asking code hosts now and then: what a lost webhook would have told, and whether they have what they were told.

Asked about are the repositories that the operator names one by one; those below a prefix are not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from sqlalchemy import func, select

from evidence import CountersignError, InputError
from service import arrivals, progress, statuses, tidings
from service.database import Change, ClosedRow, RevisionRow
from service.life import FINAL, State
from service.outward import UnansweredError, get_json
from service.webhooks import addresses, stated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evidence import Json
    from service.context import Context
    from service.settings import Platform

FOUND = "found by asking the code host"
PAGE = 50
_PAGES = 40
_OK = 200

log = structlog.get_logger("countersign")


def reconcile(context: Context, name: str) -> int:
    """Ask a platform's code host about its repositories; returns how much was brought in or is sent again.

    A repository that cannot be asked about is named in the log and does not keep the others from it.
    """
    platform = next((one for one in context.platforms if one.name == name), None)
    if platform is None or platform.api_base is None:
        return 0
    count = 0
    for configured in platform.repositories:
        try:
            count += _repository(context, platform, configured.name)
        except CountersignError as error:
            log.warning("a code host could not be asked", platform=name, repository=configured.name, reason=str(error))
    return count


def _repository(context: Context, platform: Platform, repository: str) -> int:
    carried = statuses.headers(platform, repository)
    proposed = _open(platform, repository, carried)
    known = _known(context, platform, repository)
    count = 0
    for key, document in proposed.items():
        latest = known.get(key)
        if latest is None and isinstance(document, dict) and document.get("draft"):
            continue
        try:
            arrival = stated(document, platform, repository, key).arrival
        except InputError as error:
            log.warning("a proposal could not be read", platform=platform.name, key=key, reason=str(error))
            continue
        if latest is None or (latest[0].head_commit, latest[1].target_ref) != (arrival.head_commit, arrival.target_ref):
            progress.record(context.database, arrivals.restate(context.database, arrival), FOUND)
            count += 1
        else:
            count += _told(context, latest[0].id)
    for key, (_, change) in known.items():
        if key not in proposed:
            count += _closed(context, platform, repository, change, carried)
    return count


def _open(platform: Platform, repository: str, carried: Mapping[str, str]) -> dict[str, Json]:
    """Every open proposal of a repository by its key, as the API lists it. UnansweredError if not all can be had."""
    base = (platform.api_base or "").rstrip("/")
    if platform.code_host == "gitlab":
        where = f"{base}/projects/{quote(repository, safe='')}/merge_requests?state=opened&per_page={PAGE}"
        number, prefix = "iid", "merge-requests/"
    else:
        where = f"{base}/repos/{quote(repository)}/pulls?state=open&per_page={PAGE}&limit={PAGE}"
        number, prefix = "number", "pull/"
    found: dict[str, Json] = {}
    for page in range(1, _PAGES + 1):
        status, listed = get_json(f"{where}&page={page}", headers=carried, private=platform.allow_local)
        if status != _OK or not isinstance(listed, list):
            raise UnansweredError(f"{where[:200]}: HTTP {status}")
        found |= {f"{prefix}{one[number]}": one for one in listed if isinstance(one, dict) and number in one}
        if len(listed) < PAGE:
            return found
    raise UnansweredError(f"{repository}: more than {PAGE * _PAGES} open proposals")


def _known(context: Context, platform: Platform, repository: str) -> dict[str, tuple[RevisionRow, Change]]:
    """The changes that are open as far as is known here, with their latest revisions, by key."""
    newest = (
        select(RevisionRow.change_id, func.max(RevisionRow.n).label("n")).group_by(RevisionRow.change_id).subquery()
    )
    found = (
        select(RevisionRow, Change)
        .join(newest, (newest.c.change_id == RevisionRow.change_id) & (newest.c.n == RevisionRow.n))
        .join(Change, Change.id == RevisionRow.change_id)
        .outerjoin(ClosedRow, ClosedRow.change_id == Change.id)
        .where(Change.platform == platform.name, Change.repository == repository, ClosedRow.change_id.is_(None))
    )
    with context.database.read() as session:
        rows = session.execute(found).all()
    keyed = {change.key: (revision, change) for revision, change in rows}
    return {key: one for key, one in keyed.items() if key.startswith(("pull/", "merge-requests/"))}


def _closed(context: Context, platform: Platform, repository: str, change: Change, carried: Mapping[str, str]) -> int:
    """Whether a change that is not listed as open has ended at its code host, and is now marked so."""
    where = addresses(platform, repository, change.key)
    if where is None:
        return 0
    status, document = get_json(where[0], headers=carried, private=platform.allow_local)
    ended = stated(document, platform, repository, change.key).closed if status == _OK else None
    if ended is None:
        return 0
    arrivals.mark_closed(context.database, change.id, ended)
    return 1


def _told(context: Context, revision_id: int) -> int:
    """Send a report again that the code host took once and does not have."""
    job = progress.job(context.database, revision_id)
    posted = progress.status_posted(context.database, revision_id)
    if job.state not in FINAL - {State.SUPERSEDED} or posted is None or statuses.known(context, job):
        return 0
    with context.database.write() as session:
        row = session.get_one(RevisionRow, revision_id)
        row.status_posted = None
        tidings.report(session, row, session.get_one(Change, row.change_id), arrivals.now())
    return 1
