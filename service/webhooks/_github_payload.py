# SPDX-License-Identifier: Apache-2.0
"""GitHub's payloads, as far as they are read. https://docs.github.com/en/webhooks/webhook-events-and-payloads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from evidence import InputError
from service.arrivals import Arrival
from service.happenings import Closed, DeploymentAsked, Ignored, Meaning, Rerequested
from service.webhooks._pushes import Push, not_pushed, push_arrival
from service.webhooks._shapes import (
    Action,
    Commit,
    FullName,
    Link,
    Moment,
    Name,
    Number,
    Part,
    Ref,
    covering,
    first_line,
    moment,
    validated,
    web_url,
)

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import Platform

PROPOSING = frozenset({"opened", "synchronize", "synchronized", "reopened", "ready_for_review"})
_RUN = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/actions/runs/(?P<run>[0-9]{1,18})/deployment_protection_rule")


class Repository(Part):
    """A repository as events name it."""

    full_name: FullName
    default_branch: Name | None = None


class _User(Part):
    login: Name


class _Sender(Part):
    login: Name = ""


class _Fork(Part):
    full_name: FullName


class _End(Part):
    ref: Ref
    sha: Commit


class _Head(_End):
    repo: _Fork | None = None


class Pull(Part):
    """A pull request, in an event or as the API gives it. GitHub and Gitea write the same."""

    number: Number
    title: str
    body: str | None = None
    html_url: Link | None = None
    user: _User | None = None
    base: _End
    head: _Head
    updated_at: Moment | None = None
    draft: bool = False
    merged: bool | None = False
    state: Literal["open", "closed"] = "open"

    def from_fork(self, repository: str) -> bool:
        """Whether the head is in another repository, or in one that is gone; what does not say is not."""
        if "repo" not in self.head.model_fields_set:
            return False
        return self.head.repo is None or self.head.repo.full_name.lower() != repository.lower()


class _Before(Part):
    before: str = Field(default="", alias="from")


class _Changes(Part):
    base: dict[str, object] | None = None
    ref: dict[str, object] | None = None  # Gitea's word for it
    title: _Before | None = None

    @property
    def code(self) -> bool:
        """Whether what is to be reviewed is another thing by this, or is no draft any more (Gitea's are by title)."""
        draft = self.title is not None and self.title.before.upper().startswith(("WIP:", "[WIP]"))
        return bool(self.base or self.ref or draft)


class _PullRequestEvent(Part):
    action: Action
    repository: Repository
    pull_request: Pull | None = None
    sender: _Sender | None = None
    changes: _Changes | None = None


class _Message(Part):
    message: str = ""


class _Pusher(Part):
    name: Name = ""
    login: Name = ""
    email: Name | None = None


class _PushEvent(Part):
    ref: Ref
    before: Commit
    after: Commit
    deleted: bool = False
    repository: Repository
    head_commit: _Message | None = None
    pusher: _Pusher | None = None
    sender: _Sender | None = None
    compare: Link | None = None
    compare_url: Link | None = None


class _Checked(Part):
    head_sha: Commit


class _CheckEvent(Part):
    action: Action = ""
    repository: Repository | None = None
    check_run: _Checked | None = None
    check_suite: _Checked | None = None


class _Group(Part):
    head_sha: Commit
    head_ref: Ref
    base_sha: Commit
    base_ref: Ref
    head_commit: _Message | None = None


class _MergeGroupEvent(Part):
    action: Action
    repository: Repository
    merge_group: _Group
    reason: Action | None = None
    sender: _Sender | None = None


class _Deployment(Part):
    sha: Commit


class _DeploymentEvent(Part):
    action: Action
    environment: Annotated[str, Field(min_length=1, max_length=255)]
    deployment: _Deployment
    deployment_callback_url: Link
    repository: Repository


def read_pull_request(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What a ``pull_request`` event means.

    Raises:
        InputError: a field is missing or out of shape, or none of ``platforms`` covers the repository.
    """
    payload = validated(_PullRequestEvent, document)
    changes = payload.changes
    moved = payload.action == "edited" and changes is not None and changes.code
    if payload.action not in PROPOSING | {"closed"} and not moved:
        return Ignored(f"action {payload.action} changes no code")
    pull = payload.pull_request
    if pull is None:
        raise InputError("pull_request: field required")
    platform, configured = covering(payload.repository.full_name, platforms)
    if payload.action == "closed":
        how = "merged" if pull.merged else "closed"
        return Closed(platform.name, configured.name, f"pull/{pull.number}", how, moment(pull.updated_at))
    if pull.draft:
        return Ignored(f"pull request {pull.number} is a draft: it is reviewed once it is ready for review")
    sender = payload.sender.login if payload.sender else ""
    return pull_arrival(pull, platform, configured.name, sender)


def pull_arrival(pull: Pull, platform: Platform, repository: str, sender: str = "") -> Arrival:
    """The proposal that a pull request is."""
    return Arrival(
        platform=platform.name,
        host=platform.host,
        repository=repository,
        key=f"pull/{pull.number}",
        number=pull.number,
        title=pull.title,
        description=pull.body or "",
        url=web_url(pull.html_url),
        author=pull.user.login if pull.user else "unknown",
        target_ref=f"refs/heads/{pull.base.ref}",
        head_commit=pull.head.sha,
        base_hint=pull.base.sha,
        sent_at=moment(pull.updated_at),
        makers=tuple((name, "") for name in (pull.user.login if pull.user else "", sender) if name),
        held=pull.from_fork(repository) and not platform.review_forks,
    )


def _pushed_by(payload: _PushEvent) -> tuple[tuple[str, str], ...]:
    """The pusher by account, and by address if there is one; who sent the event may be another.

    A code host tells no address of an account.
    """
    found = [(payload.sender.login, "")] if payload.sender and payload.sender.login else []
    if payload.pusher:
        name = payload.pusher.name or payload.pusher.login
        found += [(name, ""), (name, payload.pusher.email or "")] if name else []
    return tuple(dict.fromkeys(found))


def read_push(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What a ``push`` event means: a proposal where it is to the default branch. Raises as above."""
    payload = validated(_PushEvent, document)
    reason = not_pushed(payload.ref, payload.repository.default_branch, payload.after, deleted=payload.deleted)
    if reason:
        return Ignored(reason)
    platform, configured = covering(payload.repository.full_name, platforms)
    message = payload.head_commit.message if payload.head_commit else ""
    pusher = payload.pusher
    push = Push(
        ref=payload.ref,
        before=payload.before,
        after=payload.after,
        message=message,
        author=pusher.name or pusher.login if pusher else "",
        makers=_pushed_by(payload),
        url=web_url(payload.compare or payload.compare_url),
    )
    return push_arrival(push, platform, configured.name)


def read_check(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What ``check_run`` and ``check_suite`` mean: a review again where one is requested. Raises as above."""
    payload = validated(_CheckEvent, document)
    if payload.action != "rerequested":
        return Ignored(f"action {payload.action or '(none)'} asks for no review")
    check = payload.check_run or payload.check_suite
    if check is None or payload.repository is None:
        raise InputError("check_run and repository: fields required")
    platform, configured = covering(payload.repository.full_name, platforms)
    return Rerequested(platform.name, configured.name, check.head_sha)


def read_merge_group(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What ``merge_group`` means: what a merge queue is about to merge is a proposal of its own. Raises as above."""
    payload = validated(_MergeGroupEvent, document)
    group = payload.merge_group
    platform, configured = covering(payload.repository.full_name, platforms)
    if payload.action == "destroyed":
        how = "merged" if payload.reason == "merged" else "closed"
        return Closed(platform.name, configured.name, group.head_ref, how)
    if payload.action != "checks_requested":
        return Ignored(f"action {payload.action} asks for no review")
    if not group.base_ref.startswith("refs/heads/"):
        raise InputError("merge_group.base_ref: not a branch")
    message = group.head_commit.message if group.head_commit else ""
    sender = payload.sender.login if payload.sender else ""
    return Arrival(
        platform=platform.name,
        host=platform.host,
        repository=configured.name,
        key=group.head_ref,
        number=None,
        title=first_line(message) or f"Merge group {group.head_sha[:12]}",
        description=message,
        url=None,
        author=sender or "unknown",
        target_ref=group.base_ref,
        head_commit=group.head_sha,
        base_hint=group.base_sha,
        sent_at=None,
        makers=((sender, ""),) if sender else (),
    )


def read_deployment(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What ``deployment_protection_rule`` means: a question that is kept. Raises as above.

    Where to answer is not taken from the payload but the number of the run, under the API that is configured.
    """
    payload = validated(_DeploymentEvent, document)
    if payload.action != "requested":
        return Ignored(f"action {payload.action} asks nothing")
    platform, configured = covering(payload.repository.full_name, platforms)
    found = _RUN.search(payload.deployment_callback_url)
    if found is None or found["repository"].lower() != payload.repository.full_name.lower():
        raise InputError("deployment_callback_url: not that of a run of this repository")
    asked = (payload.environment, payload.deployment.sha, int(found["run"]))
    return DeploymentAsked(platform.name, configured.name, *asked)


def read_ping(_document: Json, _platforms: tuple[Platform, ...]) -> Meaning:
    """A ping means that the secret is right, and nothing else."""
    return Ignored("ping: the signature holds")
