# SPDX-License-Identifier: Apache-2.0
"""Reporting back to code hosts: where a revision stands, as a check run of a GitHub App or a commit status.

https://docs.github.com/en/rest/commits/statuses, https://docs.gitlab.com/api/commits/#set-the-pipeline-status-of-a-commit
and Gitea's API, which takes what GitHub's does. Messages come out of the outbox, one at a time for a platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from evidence import NotFoundError, Verdict
from service import builds, check_runs, deployments, github_app, outbox, progress, tidings
from service.arrivals import now
from service.database import Change, DeploymentRow, RevisionRow
from service.life import State
from service.outbox import TAKEN, Attempt, Tried
from service.outward import UnansweredError, exchanged
from service.webhooks import api_headers

if TYPE_CHECKING:
    from service.context import Context
    from service.progress import Job
    from service.settings import Platform

CONTEXT = "countersign/review"
MAX_DESCRIPTION = 140  # GitHub refuses longer ones
_TAKEN = frozenset({200, 201, 204})
_NEVER = frozenset({400, 405, 410, 413, 422})  # another attempt would not change that
_UNAUTHENTICATED = 401
_BAD_REQUEST = 400
_OK = 200
_GITLAB = {"pending": "pending", "success": "success", "failure": "failed", "error": "failed"}
_CONCLUSIONS = {"pending": None, "success": "success", "failure": "failure", "error": "failure"}


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


def post(context: Context, revision_id: int) -> Attempt:
    """Report where a revision stands now, once; what was reported before is not reported again.

    A commit has one status: of several revisions of a change with the same head, the latest one's.

    Raises:
        UnansweredError, InputError, TooLargeError: as `outward.exchanged`.
        NotFoundError: the platform is not configured any more.
    """
    job = progress.job(context.database, revision_id)
    if progress.reviewed_again(context.database, job):
        return TAKEN
    status = _said(context, job)
    if progress.status_posted(context.database, revision_id) == _text(status):
        return TAKEN
    platform = context.platform(job.platform)
    if platform.api_base is None:
        return TAKEN
    attempt = _check(context, platform, job, status) if platform.app_id else _status(context, platform, job, status)
    if attempt is TAKEN:
        progress.set_status_posted(context.database, revision_id, _text(status))
    return attempt


def answer(context: Context, deployment_id: int) -> Attempt:
    """Answer a code host's question whether a commit may be deployed, once somebody has decided.

    Raises:
        UnansweredError, InputError, NotFoundError: as `post`.
    """
    found = deployments.one(context.database, deployment_id)
    if found is None or found.answer in {"waiting", found.sent}:
        return TAKEN
    platform = context.platform(found.platform)
    where = f"{_api(platform)}/repos/{quote(found.repository)}/actions/runs/{found.run}/deployment_protection_rule"
    words = "Signed off by a reviewer" if found.answer == "approved" else "A reviewer has refused this commit"
    body = {"environment_name": found.environment, "state": found.answer, "comment": words}
    carried = github_app.headers(platform, found.repository)
    told = exchanged("POST", where, body, headers=carried, private=platform.allow_local)
    attempt = _judged(platform, found.repository, told.status, told.wait)
    if attempt is TAKEN:
        with context.database.write() as session:
            session.get_one(DeploymentRow, deployment_id).answer_sent = found.answer
    return attempt


def headers(platform: Platform, repository: str) -> dict[str, str]:
    """What a request to the code host carries: a GitHub App's token, or the one that is configured."""
    return github_app.headers(platform, repository) if platform.app_id else api_headers(platform)


def known(context: Context, job: Job) -> bool:
    """Whether the code host has what was last said of a revision.

    Raises:
        UnansweredError, InputError: as `post`.
    """
    platform, status = context.platform(job.platform), _said(context, job)
    carried = headers(platform, job.repository)
    if platform.app_id:
        conclusion = _conclusion(job, status)
        return check_runs.published(
            _api(platform), job.repository, _check_of(job), conclusion, carried, private=platform.allow_local
        )
    if platform.code_host == "gitlab":
        return _has(platform, job, _GITLAB[status.state], carried)
    where = f"{_api(platform)}/repos/{quote(job.repository)}/commits/{job.head_commit}/statuses?per_page=100&limit=50"
    told = exchanged("GET", where, None, headers=carried, private=platform.allow_local)
    if told.status != _OK or not isinstance(told.document, list):
        raise UnansweredError(f"{where[:200]}: HTTP {told.status}")
    return any(
        isinstance(one, dict)
        and one.get("context") == CONTEXT
        and status.state in {one.get("state"), one.get("status")}  # the latter is Gitea's word
        and one.get("description") == status.description
        for one in told.document
    )


def _conclusion(job: Job, status: Status) -> str | None:
    return "cancelled" if job.state is State.SUPERSEDED else _CONCLUSIONS[status.state]


def _check_of(job: Job) -> tuple[str, str, str]:
    """What a revision's check run is known by: its name, the commit, and our own id."""
    return CONTEXT, job.head_commit, f"{job.change_id}/{job.n}"


def remind(context: Context) -> int:
    """Write messages for the revisions whose code host has not taken the status that they have now; returns how many.

    Superseded ones aside. What an earlier version, or an outbox that was given up or lost, has left behind.
    """
    reporting = {platform.name for platform in context.platforms if platform.api_base is not None}
    missing = [
        job.revision_id
        for job, posted in progress.concluded(context.database, reporting)
        if posted != _text(_said(context, job))
    ]
    for revision_id in missing:
        with context.database.write() as session:
            row = session.get_one(RevisionRow, revision_id)
            change = session.get_one(Change, row.change_id)
            if not outbox.waits(session, tidings.host(change.platform), tidings.commit(row)):
                tidings.report(session, row, change, now())
    return len(missing)


def _text(status: Status) -> str:
    return f"{status.state}: {status.description}"


def _api(platform: Platform) -> str:
    if platform.api_base is None:
        raise NotFoundError(f"platform {platform.name} has no api_base any more")
    return platform.api_base.rstrip("/")


def _url(context: Context, job: Job) -> str:
    return f"{context.settings.url}/changes/{job.change_id}/revisions/{job.n}"


def _check(context: Context, platform: Platform, job: Job, status: Status) -> Attempt:
    url = _url(context, job)
    diff = context.store.get_json(job.diff_digest) if job.diff_digest else None
    public = progress.public_audit(context.database, job.revision_id)
    ended = job.state is not State.HELD and status.state != "pending"
    name, head, external_id = _check_of(job)
    check = check_runs.Check(
        name=name,
        head=head,
        external_id=external_id,
        url=url,
        conclusion=_conclusion(job, status),
        title=status.description,
        summary=check_runs.summary(job.verdict, diff, context.store.get_json(public) if public else None, url),
        annotations=check_runs.noted(diff) if diff is not None and ended else (),
    )
    carried = github_app.headers(platform, job.repository)
    code, wait = check_runs.publish(_api(platform), job.repository, check, carried, private=platform.allow_local)
    return _judged(platform, job.repository, code, wait)


def _status(context: Context, platform: Platform, job: Job, status: Status) -> Attempt:
    carried = api_headers(platform)
    if platform.code_host == "gitlab":
        project = f"{_api(platform)}/projects/{quote(job.repository, safe='')}"
        where = f"{project}/statuses/{job.head_commit}"
        body = {"state": _GITLAB[status.state], "name": CONTEXT}
    else:
        where = f"{_api(platform)}/repos/{quote(job.repository)}/statuses/{job.head_commit}"
        body = {"state": status.state, "context": CONTEXT}
    body |= {"description": status.description, "target_url": _url(context, job)}
    told = exchanged("POST", where, body, headers=carried, private=platform.allow_local)
    if told.status == _BAD_REQUEST and platform.code_host == "gitlab" and _has(platform, job, body["state"], carried):
        return TAKEN  # GitLab refuses a state that the commit has already
    return _judged(platform, job.repository, told.status, told.wait)


def _has(platform: Platform, job: Job, state: str, carried: dict[str, str]) -> bool:
    """Whether GitLab's commit has this status as its newest of our name."""
    project = f"{_api(platform)}/projects/{quote(job.repository, safe='')}"
    where = f"{project}/repository/commits/{job.head_commit}/statuses?name={quote(CONTEXT, safe='')}"
    told = exchanged("GET", where, None, headers=carried, private=platform.allow_local)
    listed = told.document if isinstance(told.document, list) else []
    return any(isinstance(one, dict) and one.get("name") == CONTEXT and one.get("status") == state for one in listed)


def _judged(platform: Platform, repository: str, code: int, wait: float) -> Attempt:
    if code in _TAKEN:
        return TAKEN
    if code == _UNAUTHENTICATED and platform.app_id is not None:
        github_app.forget(platform, repository)
    return Attempt(Tried.REFUSED if code in _NEVER else Tried.AGAIN, f"HTTP {code}", wait)
