# SPDX-License-Identifier: Apache-2.0
"""A proposal in our own words: what ``countersign submit`` sends to the API, and Standard Webhooks carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError
from service.arrivals import Arrival

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import Platform

_Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")]


class Maker(BaseModel):
    """Somebody who had a hand in the change beside those whom its commits name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: Annotated[str, Field(max_length=200)] = ""


class Submission(BaseModel):
    """What ``countersign submit`` sends. ``change`` names the proposal: a new head becomes its next revision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Annotated[str, Field(min_length=1, max_length=400)]
    base: _Commit
    head: _Commit
    target_ref: Annotated[str, Field(pattern=r"^refs/heads/\S+$", max_length=400)] = "refs/heads/main"
    change: _Name | None = None
    title: Annotated[str, Field(max_length=500)] = ""
    description: Annotated[str, Field(max_length=64 << 10)] = ""
    author: Annotated[str, Field(max_length=200)] = "ci"
    makers: Annotated[tuple[Maker, ...], Field(max_length=100)] = ()


def read_submission(document: Json) -> Submission:
    """The document as a submission; InputError names the first field that is wrong."""
    try:
        return Submission.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from error


def submission_arrival(submission: Submission, platform: Platform) -> Arrival:
    """The arrival that a submission is. InputError if the platform does not cover the repository."""
    configured = platform.find(submission.repository)
    if configured is None:
        raise InputError(f"repository {submission.repository[:200]} is not configured for platform {platform.name}")
    return Arrival(
        platform=platform.name,
        host=platform.host,
        repository=configured.name,
        key=f"submit/{submission.change or submission.head}",
        number=None,
        title=submission.title,
        description=submission.description,
        url=None,
        author=submission.author,
        target_ref=submission.target_ref,
        head_commit=submission.head,
        base_hint=submission.base,
        sent_at=None,
        makers=tuple((maker.name, maker.email) for maker in submission.makers),
    )
