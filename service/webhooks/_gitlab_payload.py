# SPDX-License-Identifier: Apache-2.0
"""GitLab's payloads, as far as they are read. https://docs.gitlab.com/user/project/integrations/webhook_events/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.arrivals import Arrival
from service.happenings import Closed, Ignored, Meaning, Rerequested
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
    moment,
    validated,
    web_url,
)

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import Platform

_CLOSED = {"close": "closed", "merge": "merged"}


class _Project(Part):
    path_with_namespace: FullName
    default_branch: Name | None = None


class _User(Part):
    username: Name = ""
    name: Name = ""


class _Author(Part):
    name: Name = ""


class _Last(Part):
    id: Commit
    author: _Author | None = None


class _Merge(Part):
    iid: Number
    action: Action = ""
    title: str
    description: str | None = None
    url: Link | None = None
    target_branch: Ref
    source_project_id: int | None = None
    target_project_id: int | None = None
    last_commit: _Last
    oldrev: Commit | None = None
    updated_at: Moment | None = None
    draft: bool = False
    work_in_progress: bool = False


class _Flag(Part):
    previous: bool | None = None


class _Changes(Part):
    target_branch: dict[str, object] | None = None
    draft: _Flag | None = None


class _MergeEvent(Part):
    project: _Project
    user: _User | None = None
    object_attributes: _Merge
    changes: _Changes | None = None


class _Pushed(Part):
    id: Commit
    message: str = ""


class _PushEvent(Part):
    ref: Ref
    before: Commit
    after: Commit
    project: _Project
    user_username: Name | None = None
    user_name: Name | None = None
    user_email: Name | None = None
    commits: tuple[_Pushed, ...] = ()


class _Run(Part):
    status: Action = ""
    sha: Commit


class _PipelineEvent(Part):
    project: _Project
    object_attributes: _Run


def read_merge_request(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What a merge request's event means.

    Raises:
        InputError: a field is missing or out of shape, or none of ``platforms`` covers the project.
    """
    payload = validated(_MergeEvent, document)
    merge = payload.object_attributes
    if merge.action not in _CLOSED and not _proposes(merge, payload.changes):
        return Ignored(f"action {merge.action or '(none)'} changes no code")
    platform, configured = covering(payload.project.path_with_namespace, platforms)
    key = f"merge-requests/{merge.iid}"
    if merge.action in _CLOSED:
        return Closed(platform.name, configured.name, key, _CLOSED[merge.action], moment(merge.updated_at))
    if merge.draft or merge.work_in_progress:
        return Ignored(f"merge request {merge.iid} is a draft: it is reviewed once it is ready")
    user = payload.user.username if payload.user else ""
    last = merge.last_commit.author.name if merge.last_commit.author else ""
    outside = merge.source_project_id != merge.target_project_id
    return Arrival(
        platform=platform.name,
        host=platform.host,
        repository=configured.name,
        key=key,
        number=merge.iid,
        title=merge.title,
        description=merge.description or "",
        url=web_url(merge.url),
        author=(user if merge.action == "open" else last or user) or "unknown",  # later, the user is whoever did it
        target_ref=f"refs/heads/{merge.target_branch}",
        head_commit=merge.last_commit.id,
        base_hint=None,
        sent_at=moment(merge.updated_at),
        makers=((user, ""),) if user else (),
        held=outside and not platform.review_forks,
    )


def _proposes(merge: _Merge, changes: _Changes | None) -> bool:
    """Whether there is something to review: new commits, another target, or no draft any more."""
    if merge.action in {"open", "reopen"}:
        return True
    ready = changes is not None and changes.draft is not None and changes.draft.previous is True
    moved = changes is not None and changes.target_branch is not None
    return merge.action == "update" and (merge.oldrev is not None or moved or ready)


def read_push(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What a push means: a proposal where it is to the default branch. Raises as above."""
    payload = validated(_PushEvent, document)
    reason = not_pushed(payload.ref, payload.project.default_branch, payload.after, deleted=False)
    if reason:
        return Ignored(reason)
    platform, configured = covering(payload.project.path_with_namespace, platforms)
    message = next((commit.message for commit in payload.commits if commit.id == payload.after), "")
    name = payload.user_username or payload.user_name or ""
    push = Push(
        ref=payload.ref,
        before=payload.before,
        after=payload.after,
        message=message,
        author=name,
        makers=((name, ""), (payload.user_name or name, payload.user_email or "")) if name else (),
    )
    return push_arrival(push, platform, configured.name)


def read_pipeline(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """What a pipeline's event means: once it succeeded, what it makes is there, and a review that failed is done again.

    Raises as above.
    """
    payload = validated(_PipelineEvent, document)
    run = payload.object_attributes
    if run.status != "success":
        return Ignored(f"status {run.status or '(none)'} asks for no review")
    platform, configured = covering(payload.project.path_with_namespace, platforms)
    return Rerequested(platform.name, configured.name, run.sha, failed_only=True)
