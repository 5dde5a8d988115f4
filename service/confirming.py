# SPDX-License-Identifier: Apache-2.0
"""A pull or merge request as its code host has it now, asked before anything of it is fetched.

A delivery can be late, out of order, or made by somebody who has the secret. Where an API is configured, what it says
counts: head, target, title, author, whether it comes from a fork, and whether it is still open. Not asked: a push,
whose branch git itself has, and a submission, which no API knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import InputError, RepositoryError, TooLargeError
from service import arrivals, progress
from service.life import State
from service.outward import UnansweredError, get_json
from service.webhooks import addresses, api_headers, stated

if TYPE_CHECKING:
    from evidence import Json
    from service.context import Context
    from service.progress import Job
    from service.settings import Platform
    from service.webhooks import Stated

CONFIRMED = "confirmed by the code host"
_OK = 200
_NOT_FOUND = 404
_NOT_NOW = frozenset({403, 408, 409, 425, 429, 500, 502, 503, 504})  # 403 is how GitHub says "rate limit"


def confirm(context: Context, job: Job) -> None:
    """Ask the code host, and have its answer count. The revision may be superseded or held by it.

    Raises:
        UnansweredError: the code host does not answer, not now, or is behind what it has sent.
        RepositoryError: it knows no such proposal, or the proposal is closed.
    """
    platform = context.platform(job.platform)
    where = addresses(platform, job.repository, job.key)
    if where is None or job.state is not State.RECEIVED:
        return
    found, why = _asked(platform, job, *where)
    if found is None:
        progress.record(context.database, job.revision_id, f"taken as it was sent: {why}")
        return
    arrival = found.arrival
    if job.sent_at and arrival.sent_at and arrival.sent_at < job.sent_at:
        raise UnansweredError(f"{job.key} of {job.repository}: the code host's API is behind what it has sent")
    about = arrivals.restate(context.database, arrival)
    if about != job.revision_id:
        return
    if found.closed is not None:
        arrivals.mark_closed(context.database, job.change_id, found.closed)
    if found.closed == "closed":
        raise RepositoryError(
            f"{job.key} of {job.repository} is closed at the code host: open it again to have it reviewed"
        )
    if arrival.held and not progress.let_through(context.database, job.revision_id):
        progress.advance(context.database, job.revision_id, State.HELD, approved=False)
        return
    progress.record(context.database, job.revision_id, CONFIRMED)


def _asked(platform: Platform, job: Job, proposal: str, project: str) -> tuple[Stated | None, str]:
    """What the API says; or None, and why it says nothing: it does not show the repository at all."""
    status, document = _get(platform, proposal)
    if status == _OK:
        try:
            return stated(document, platform, job.repository, job.key), ""
        except InputError as error:
            return None, f"its API answers in another form ({error})"
    if status == _NOT_FOUND and _get(platform, project)[0] == _OK:
        raise RepositoryError(f"the code host knows no {job.key} of {job.repository}")
    return None, f"its API does not show the repository (HTTP {status})"


def _get(platform: Platform, url: str) -> tuple[int, Json]:
    try:
        status, document = get_json(url, headers=api_headers(platform), private=platform.allow_local)
    except TooLargeError as error:
        raise UnansweredError(str(error)) from error
    except InputError as error:
        raise RepositoryError(str(error)) from error
    if status in _NOT_NOW:
        raise UnansweredError(f"{url}: HTTP {status}")
    return status, document
