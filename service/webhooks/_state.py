# SPDX-License-Identifier: Apache-2.0
"""What a code host's API says of a proposal: where to ask, and what the answer means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from service.arrivals import Arrival
from service.webhooks._github_payload import Pull, pull_arrival
from service.webhooks._shapes import Commit, Link, Moment, Name, Number, Part, Ref, moment, validated, web_url

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import Platform

_PULL, _MERGE = "pull/", "merge-requests/"


@dataclass(frozen=True, slots=True)
class Stated:
    """A proposal as its code host has it now; ``closed`` says closed or merged, None while it is open."""

    arrival: Arrival
    closed: str | None


class _Author(Part):
    username: Name = ""


class _Merge(Part):
    iid: Number
    title: str
    description: str | None = None
    web_url: Link | None = None
    state: Literal["opened", "closed", "merged", "locked"]
    sha: Commit
    target_branch: Ref
    source_project_id: int | None = None
    target_project_id: int | None = None
    author: _Author | None = None
    updated_at: Moment | None = None


def addresses(platform: Platform, repository: str, key: str) -> tuple[str, str] | None:
    """Where the API has a proposal, and where its repository; None for what the API has no page of, or no API."""
    if platform.api_base is None:
        return None
    base = platform.api_base.rstrip("/")
    if key.startswith(_MERGE):
        project = f"{base}/projects/{quote(repository, safe='')}"
        return f"{project}/merge_requests/{key.removeprefix(_MERGE)}", project
    if key.startswith(_PULL):
        project = f"{base}/repos/{quote(repository)}"
        return f"{project}/pulls/{key.removeprefix(_PULL)}", project
    return None


def headers(platform: Platform) -> dict[str, str]:
    """What a request to the API carries."""
    if platform.api_token is None:
        return {"Accept": "application/json"}
    token = platform.api_token.get_secret_value()
    if platform.code_host == "gitlab":
        return {"Accept": "application/json", "PRIVATE-TOKEN": token}
    scheme = "token" if platform.code_host == "gitea" else "Bearer"
    return {"Accept": "application/json", "Authorization": f"{scheme} {token}"}


def stated(document: Json, platform: Platform, repository: str, key: str) -> Stated:
    """The proposal that an answer of the API tells of. InputError if a field is missing or out of shape."""
    if key.startswith(_PULL):
        pull = validated(Pull, document, "pull request")
        ended = "merged" if pull.merged else "closed"
        return Stated(pull_arrival(pull, platform, repository), ended if pull.state == "closed" else None)
    merge = validated(_Merge, document, "merge request")
    author = merge.author.username if merge.author else ""
    arrival = Arrival(
        platform=platform.name,
        host=platform.host,
        repository=repository,
        key=f"{_MERGE}{merge.iid}",
        number=merge.iid,
        title=merge.title,
        description=merge.description or "",
        url=web_url(merge.web_url),
        author=author or "unknown",
        target_ref=f"refs/heads/{merge.target_branch}",
        head_commit=merge.sha,
        base_hint=None,
        sent_at=moment(merge.updated_at),
        makers=((author, ""),) if author else (),
        held=merge.source_project_id != merge.target_project_id and not platform.review_forks,
    )
    return Stated(arrival, merge.state if merge.state in {"closed", "merged"} else None)
