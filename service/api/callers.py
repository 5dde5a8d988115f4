# SPDX-License-Identifier: Apache-2.0
"""Who calls the API: a platform's CI by bearer token, or a reviewer by session."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from evidence import AuthenticationError, PermissionDeniedError
from service.accounts import check_role, session_person
from service.ci_tokens import identify, looks_like_one

if TYPE_CHECKING:
    from service.settings import Platform
    from service.views import Person


@dataclass(frozen=True, slots=True)
class Caller:
    """A submitter has a platform and sees its public part only; a reviewer has a person and sees everything.

    A submitter by a CI's token has one repository of the platform.
    """

    platform: Platform | None
    person: Person | None
    repository: str | None = None  # the one that a CI's token is for

    @property
    def scope(self) -> str | None:
        """The one platform whose changes may be seen, or None for all."""
        return self.platform.name if self.platform else None

    def submitter(self) -> Platform:
        """The platform; PermissionDeniedError for a reviewer, who submits nothing."""
        if self.platform is None:
            raise PermissionDeniedError("changes are submitted with a platform's token, not by a reviewer")
        if self.repository is None:
            return self.platform
        one = self.platform.find(self.repository)
        return self.platform.model_copy(update={"repositories": (one,) if one else (), "repository_prefix": None})

    def sees(self, repository: str) -> bool:
        """Whether this caller, who may see the platform's changes, may see those of a repository."""
        return self.repository is None or self.repository == repository

    def reviewer(self) -> Person:
        """The person; PermissionDeniedError for a submitter."""
        if self.person is None:
            raise PermissionDeniedError("this is for reviewers: sign in")
        return self.person


def caller(request: Request) -> Caller:
    """Who calls. AuthenticationError for an unknown token, or neither token nor session; or as `check_role`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        platform = _platform(request.app.state.platforms, token.strip())
        if platform is None and looks_like_one(token.strip()):
            state = request.app.state
            found = identify(state.platforms, token.strip(), state.issuers, state.settings.url)
            return Caller(found[0], None, found[1])
        if platform is None:
            raise AuthenticationError("the token is unknown: check COUNTERSIGN_TOKEN")
        return Caller(platform, None)
    person = session_person(request)
    if person is None:
        raise AuthenticationError("send a platform's token as Authorization: Bearer, or sign in")
    check_role(request, person)
    return Caller(None, person)


def _platform(platforms: tuple[Platform, ...], token: str) -> Platform | None:
    """The platform of a token; all tokens of all platforms are compared, in constant time."""
    given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    found = None
    for platform in platforms:
        for secret in platform.submit_token or ():
            expected = hashlib.sha256(secret.get_secret_value().encode()).digest()
            if hmac.compare_digest(expected, given):
                found = platform
    return found


CallerOf = Annotated[Caller, Depends(caller)]
