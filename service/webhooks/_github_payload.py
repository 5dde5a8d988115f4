# SPDX-License-Identifier: Apache-2.0
"""GitHub's payloads, as far as they are read. https://docs.github.com/en/webhooks/webhook-events-and-payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError
from service.arrivals import Arrival

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import Platform

PULL_REQUEST_ACTIONS = frozenset({"opened", "synchronize", "reopened"})

_Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
_Name = Annotated[str, Field(max_length=200)]
_Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


_P = TypeVar("_P", bound=_Part)


class _Repository(_Part):
    full_name: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    default_branch: _Name | None = None


class _User(_Part):
    login: _Name


class _Sender(_Part):
    login: _Name = ""


class _End(_Part):
    ref: Annotated[str, Field(max_length=400)]
    sha: _Commit


class _Pull(_Part):
    number: Annotated[int, Field(ge=1, lt=1 << 31)]
    title: str
    body: str | None = None
    html_url: Annotated[str, Field(max_length=1000)] | None = None
    user: _User | None = None
    base: _End
    head: _End
    updated_at: _Moment | None = None


class _PullRequestEvent(_Part):
    action: Annotated[str, Field(max_length=64)]
    repository: _Repository
    pull_request: _Pull | None = None
    sender: _Sender | None = None


class _Commit0(_Part):
    message: str = ""


class _Pusher(_Part):
    name: _Name
    email: _Name | None = None


class _PushEvent(_Part):
    ref: Annotated[str, Field(max_length=400)]
    before: _Commit
    after: _Commit
    deleted: bool = False
    repository: _Repository
    head_commit: _Commit0 | None = None
    pusher: _Pusher | None = None
    sender: _Sender | None = None
    compare: Annotated[str, Field(max_length=1000)] | None = None


def read_pull_request(document: Json, platforms: tuple[Platform, ...]) -> tuple[Arrival | None, str]:
    """The arrival in a ``pull_request`` event and "", or None and why there is nothing to review.

    Raises:
        InputError: a field is missing or out of shape, or none of ``platforms`` covers the repository.
    """
    payload = _validated(_PullRequestEvent, document)
    if payload.action not in PULL_REQUEST_ACTIONS:
        return None, f"action {payload.action} changes no code"
    pull = payload.pull_request
    if pull is None:
        raise InputError("pull_request: field required")
    platform, repository = _covering(payload.repository, platforms)
    arrival = Arrival(
        platform=platform.name,
        host=platform.host,
        repository=repository,
        key=f"pull/{pull.number}",
        number=pull.number,
        title=pull.title,
        description=pull.body or "",
        url=_web_url(pull.html_url),
        author=pull.user.login if pull.user else "unknown",
        target_ref=f"refs/heads/{pull.base.ref}",
        head_commit=pull.head.sha,
        base_hint=pull.base.sha,
        sent_at=pull.updated_at,
        makers=tuple((user.login, "") for user in (pull.user, payload.sender) if user and user.login),
    )
    return arrival, ""


def _pushed_by(payload: _PushEvent) -> tuple[tuple[str, str], ...]:
    """The pusher by account, and by address if there is one; who sent the event may be another.

    A code host tells no address of an account.
    """
    found = [(payload.sender.login, "")] if payload.sender and payload.sender.login else []
    if payload.pusher:
        found += [(payload.pusher.name, ""), (payload.pusher.name, payload.pusher.email or "")]
    return tuple(dict.fromkeys(found))


def read_push(document: Json, platforms: tuple[Platform, ...]) -> tuple[Arrival | None, str]:
    """The arrival in a ``push`` event and "", or None and why there is nothing to review. Raises as above."""
    payload = _validated(_PushEvent, document)
    if not payload.ref.startswith("refs/heads/"):
        return None, f"{payload.ref} is no branch"
    default = payload.repository.default_branch
    if default is not None and payload.ref != f"refs/heads/{default}":
        return None, f"{payload.ref} is not the default branch: its changes are reviewed as pull requests"
    if payload.deleted or not payload.after.strip("0"):
        return None, f"{payload.ref} was deleted"
    platform, repository = _covering(payload.repository, platforms)
    subject = payload.head_commit.message.strip().split("\n", 1)[0] if payload.head_commit else ""
    arrival = Arrival(
        platform=platform.name,
        host=platform.host,
        repository=repository,
        key=payload.ref,
        number=None,
        title=subject or f"Push to {payload.ref.removeprefix('refs/heads/')}",
        description=payload.head_commit.message if payload.head_commit else "",
        url=_web_url(payload.compare),
        author=payload.pusher.name if payload.pusher else "unknown",
        target_ref=payload.ref,
        head_commit=payload.after,
        base_hint=payload.before if payload.before.strip("0") else None,
        sent_at=None,
        makers=_pushed_by(payload),
    )
    return arrival, ""


def _validated(model: type[_P], document: Json) -> _P:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "payload"
        raise InputError(f"{place}: {first['msg']}") from error


def _covering(repository: _Repository, platforms: tuple[Platform, ...]) -> tuple[Platform, str]:
    for platform in platforms:
        configured = platform.find(repository.full_name)
        if configured is not None:
            return platform, configured.name
    raise InputError(f"repository {repository.full_name} is not configured here: add it to the platforms file")


def _web_url(url: str | None) -> str | None:
    """A link that a page may show: http and https only."""
    return url if url is not None and url.startswith(("https://", "http://")) else None
