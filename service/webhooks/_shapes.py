# SPDX-License-Identifier: Apache-2.0
"""What payloads of all code hosts are made of, and how they are read: what is not named is ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import ConfiguredRepository, Platform

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Name = Annotated[str, Field(max_length=200)]
Ref = Annotated[str, Field(max_length=400, pattern=r"^[!-~\u00a0-\U0010ffff]+$")]
Number = Annotated[int, Field(ge=1, lt=1 << 31)]
Moment = Annotated[str, Field(max_length=40)]
Link = Annotated[str, Field(max_length=1000)]
Action = Annotated[str, Field(max_length=64)]
FullName = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$")]


class Part(BaseModel):
    """A part of a payload: what is not named is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


_P = TypeVar("_P", bound=BaseModel)


def validated(model: type[_P], document: Json, what: str = "payload") -> _P:
    """The document as ``model``; InputError names the first field that is missing or out of shape."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or what
        raise InputError(f"{place}: {first['msg']}") from error


def covering(full_name: str, platforms: tuple[Platform, ...]) -> tuple[Platform, ConfiguredRepository]:
    """The platform, of those whose secret matched, that covers a repository. InputError if none does."""
    for platform in platforms:
        configured = platform.find(full_name)
        if configured is not None:
            return platform, configured
    raise InputError(f"repository {full_name} is not configured here: add it to the platforms file")


def web_url(url: str | None) -> str | None:
    """A link that a page may show: http and https only."""
    return url if url is not None and url.startswith(("https://", "http://")) else None


def moment(text: str | None) -> str | None:
    """A sender's moment in UTC and one form, so that two compare as text; InputError for no moment.

    GitLab also writes ``2026-01-02 03:04:05 UTC``.
    """
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.removesuffix(" UTC").strip())
        aware = read if read.tzinfo else read.replace(tzinfo=UTC)
        return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is no moment in time") from error


def first_line(text: str) -> str:
    """The first line of a message, or nothing."""
    return text.strip().split("\n", 1)[0]
