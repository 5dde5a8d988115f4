# SPDX-License-Identifier: Apache-2.0
"""The pages that the application itself asks for: signing in, and errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from service.pages._common import page, person_of

if TYPE_CHECKING:
    from fastapi import Request, Response

    from evidence import CountersignError


@dataclass(frozen=True, slots=True)
class SignInPage:
    """How to get in. ``message`` says why this page is shown, and may be empty."""

    template: ClassVar[str] = "sign_in.html"
    message: str

    @property
    def title(self) -> str:
        """Always the same."""
        return "Sign in"


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What happened, what was kept, and what to do next."""

    template: ClassVar[str] = "error.html"
    status: int
    phrase: str
    message: str
    kept: str
    back: str

    @property
    def title(self) -> str:
        """The kind of error."""
        return self.phrase


_KEPT = {
    404: "Nothing was changed. The address may be mistyped, or what it named may have moved on.",
    409: "Nothing was changed by what you sent. Reload the page to see how things stand now.",
    413: "Nothing of it was kept.",
    422: "Nothing of it was kept. What you entered is still in the form if you go back.",
    500: "What was stored before is still there. If it happens again, the service's log says why.",
    503: "Nothing was started. `countersign doctor` says what is missing and how to fix it.",
}


def error_page(request: Request, error: CountersignError) -> Response:
    """An error as a page, with the error's own status."""
    view = ErrorPage(
        status=error.status,
        phrase=_PHRASES.get(error.status) or HTTPStatus(error.status).phrase,
        message=str(error)[:1].upper() + str(error)[1:],
        kept=_KEPT.get(error.status, "Nothing was changed."),
        back=_back(request),
    )
    return page(request, view, person_of(request), status=error.status)


def sign_in_page(request: Request, message: str) -> Response:
    """How to get a sign-in link. Status 401 where ``message`` says that a link did not work."""
    status = HTTPStatus.UNAUTHORIZED if message else HTTPStatus.OK
    return page(request, SignInPage(message), person_of(request), status=status)


_INSIDE = re.compile(r"/changes/[0-9]{1,18}(?:/revisions/[0-9]{1,9}(?=/))?")
_PHRASES = {404: "Not found", 409: "It has moved on", 413: "Too large", 422: "That cannot be used", 403: "Not allowed"}


def _back(request: Request) -> str:
    """The page to go back to: the revision that the path is about, else its change, else the queue."""
    found = _INSIDE.match(request.url.path)
    return found.group() if found and found.group() != request.url.path else "/"
