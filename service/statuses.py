# SPDX-License-Identifier: Apache-2.0
"""Reporting back: a commit status at the code host, as GitHub's API takes it.

https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import structlog

from evidence import CountersignError, Verdict
from service import builds, progress
from service.life import State

if TYPE_CHECKING:
    from service.context import Context
    from service.progress import Job

CONTEXT = "countersign/review"
ATTEMPTS = 12
MAX_WAIT = 600.0
MAX_DESCRIPTION = 140  # GitHub refuses longer ones
_TIMEOUT = httpx2.Timeout(10.0)
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_TRY_AGAIN = frozenset({403, 408, 409, 425, 429})  # 403 is how GitHub says "rate limit"

log = structlog.get_logger("countersign")


class Outcome(StrEnum):
    """What became of an attempt to post."""

    POSTED = "posted"
    UNCHANGED = "unchanged"
    NOT_CONFIGURED = "not configured"
    REFUSED = "refused"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status: ``state`` is pending, success, failure or error."""

    state: str
    description: str


_WAITING = Status("pending", "Under review")
_HELD = Status("pending", "From a fork: waits until a reviewer lets it through")
_REVIEWED = {
    Verdict.PASS: Status("success", "Reviewed: no finding fails it. Awaits sign-off"),
    Verdict.FAIL: Status("failure", "Reviewed: a finding fails it. See the review"),
    Verdict.INCONCLUSIVE: Status("failure", "Reviewed: inconclusive, which is no pass. See the review"),
}
_DECIDED = {
    State.SIGNED: Status("success", "Signed off by a reviewer"),
    State.REJECTED: Status("failure", "Rejected by a reviewer"),
    State.REVOKED: Status("failure", "A reviewer revoked the approval"),
    State.EXPIRED: Status("failure", "The sign-offs have expired: a reviewer signs again"),
    State.OUTSIDE: Status("success", "Touches nothing that is under review"),
    State.SUPERSEDED: Status("error", "Outdated: a newer revision is under review"),
}
_COUNTERSIGNED = Status("success", "Countersigned by machine, within a recipe that reviewers signed")


def status_of(job: Job) -> Status:
    """The status that says where a revision stands. Says nothing of panels, slices or what the recommender printed."""
    if job.state in _DECIDED:
        return _DECIDED[job.state]
    if job.state is State.HELD:
        return _HELD
    if job.state is State.FAILED:
        return Status("error", f"Not reviewed: {job.error_public or 'see the review'}"[:MAX_DESCRIPTION])
    if job.state is State.READY and job.verdict is not None:
        return _REVIEWED[Verdict(job.verdict)]
    return _WAITING


def _said(context: Context, job: Job) -> Status:
    """The same, told apart for what no reviewer but a lane's key has signed."""
    build = builds.view(context, job.revision_id) if job.state is State.SIGNED else None
    return _COUNTERSIGNED if build is not None and build.counts else status_of(job)


def wait(first: float, attempt: int) -> float:
    """Seconds before attempt ``attempt + 1``: doubling, to ten minutes at most."""
    return float(min(MAX_WAIT, first * 2**attempt))


def post(context: Context, revision_id: int) -> Outcome:
    """Post the status a revision has now, once; a status posted before is not posted again.

    A commit has one status: of several revisions with the same head, the latest one's.

    One at a time on a data folder, so that an older status cannot overtake a newer one.
    """
    with context.exclusive("posting"):
        job = progress.job(context.database, revision_id)
        if progress.reviewed_again(context.database, job):
            return Outcome.UNCHANGED
        status = _said(context, job)
        if progress.status_posted(context.database, revision_id) == _text(status):
            return Outcome.UNCHANGED
        try:
            outcome = _send(context, job, status)
        except CountersignError:
            return Outcome.NOT_CONFIGURED
        if outcome is Outcome.POSTED:
            progress.set_status_posted(context.database, revision_id, _text(status))
        return outcome


def outstanding(context: Context) -> set[int]:
    """The revisions whose code host has not taken the status that they have now, superseded ones aside.

    A process that was killed, or a code host that was gone for too long, leaves them behind.
    """
    reporting = {
        platform.name
        for platform in context.platforms
        if platform.api_base is not None and platform.code_host != "gitlab"
    }
    return {
        job.revision_id
        for job, posted in progress.concluded(context.database, reporting)
        if posted != _text(_said(context, job))
    }


def _text(status: Status) -> str:
    return f"{status.state}: {status.description}"


def _send(context: Context, job: Job, status: Status) -> Outcome:
    platform = context.platform(job.platform)
    if platform.api_base is None or platform.code_host == "gitlab":
        return Outcome.NOT_CONFIGURED
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if platform.api_token is not None:
        headers["Authorization"] = f"Bearer {platform.api_token.get_secret_value()}"
    url = f"{platform.api_base.rstrip('/')}/repos/{quote(job.repository)}/statuses/{job.head_commit}"
    body = {
        "state": status.state,
        "description": status.description,
        "context": CONTEXT,
        "target_url": f"{context.settings.url}/changes/{job.change_id}/revisions/{job.n}",
    }
    try:
        with (
            httpx2.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, json=body, headers=headers) as answer,
        ):
            code = answer.status_code  # what else it says is not read: it need not end
    except httpx2.HTTPError as error:
        log.warning("status not posted", revision=job.revision_id, reason=type(error).__name__)
        return Outcome.RETRY
    if code >= _SERVER_ERROR or code in _TRY_AGAIN:
        log.warning("status not posted", revision=job.revision_id, reason=f"HTTP {code}")
        return Outcome.RETRY
    if code >= _CLIENT_ERROR:
        log.warning("status refused", revision=job.revision_id, reason=f"HTTP {code}")
        return Outcome.REFUSED
    return Outcome.POSTED
