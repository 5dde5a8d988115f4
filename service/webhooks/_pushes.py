# SPDX-License-Identifier: Apache-2.0
"""A push to the default branch as a proposal, the same of every code host."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from service.arrivals import Arrival
from service.webhooks._shapes import first_line

if TYPE_CHECKING:
    from service.settings import Platform


class Push(NamedTuple):
    """What hosts say of a push, each in its own words. ``makers`` are names with addresses, which may be empty."""

    ref: str
    before: str
    after: str
    message: str
    author: str
    makers: tuple[tuple[str, str], ...]
    url: str | None = None


def not_pushed(ref: str, default: str | None, after: str, *, deleted: bool) -> str:
    """Why a push is nothing to review, or nothing."""
    if not ref.startswith("refs/heads/"):
        return f"{ref} is no branch"
    if default is not None and ref != f"refs/heads/{default}":
        return f"{ref} is not the default branch: its changes are reviewed as pull requests"
    return f"{ref} was deleted" if deleted or not after.strip("0") else ""


def push_arrival(push: Push, platform: Platform, repository: str) -> Arrival:
    """The proposal that a push is."""
    return Arrival(
        platform=platform.name,
        host=platform.host,
        repository=repository,
        key=push.ref,
        number=None,
        title=first_line(push.message) or f"Push to {push.ref.removeprefix('refs/heads/')}",
        description=push.message,
        url=push.url,
        author=push.author or "unknown",
        target_ref=push.ref,
        head_commit=push.after,
        base_hint=push.before if push.before.strip("0") else None,
        sent_at=None,
        makers=push.makers,
    )
