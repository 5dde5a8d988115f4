# SPDX-License-Identifier: Apache-2.0
"""Errors as answers: RFC 9457 problem+json for programs, a page for browsers, a redirect for who is not signed in."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from evidence import AuthenticationError, CountersignError, InputError, NotFoundError
from service import metrics, pages

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_TYPE = "https://countersign.dev/problems/"
_MACHINES = ("/api/", "/webhooks/", "/log/", "/livez", "/readyz")

log = structlog.get_logger("countersign")


class InternalError(CountersignError):
    """Something that nobody foresaw; what it was is in the service's log only."""


class MethodError(CountersignError):
    """The path exists, but not for this method."""

    status = 405
    problem = "method-not-allowed"


def problem(error: CountersignError) -> JSONResponse:
    """The error as application/problem+json."""
    headers = {"WWW-Authenticate": 'Bearer realm="countersign"'} if isinstance(error, AuthenticationError) else None
    document = {
        "type": f"{_TYPE}{error.problem}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
    }
    return JSONResponse(document, error.status, headers, media_type="application/problem+json")


def answer(request: Request, error: CountersignError) -> Response:
    """The error as whoever asks can read it."""
    metrics.PROBLEMS.labels(error.problem).inc()
    path = request.url.path
    accepted = request.headers.get("accept", "")
    if path.startswith(_MACHINES) or ("json" in accepted and "text/html" not in accepted):
        return problem(error)
    if isinstance(error, AuthenticationError) and path != "/sign-in":
        target = quote(path, safe="/") if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?next={target}", status_code=303)
    return pages.error_page(request, error)


def install(app: FastAPI) -> None:
    """Answer every error of the application through here."""

    @app.exception_handler(CountersignError)
    def known(request: Request, error: CountersignError) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return answer(request, InputError(f"{place}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.NOT_FOUND:
            return answer(request, NotFoundError(f"there is nothing at {request.url.path[:200]}"))
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            response = answer(request, MethodError(f"{request.method} is not possible at {request.url.path[:200]}"))
            response.headers.update(error.headers or {})
            return response
        return answer(request, InputError(str(error.detail)))

    @app.exception_handler(Exception)
    def unknown(request: Request, error: Exception) -> Response:
        log.error("request failed", path=request.url.path, exc_info=error)
        return answer(request, InternalError("something went wrong here; it is in the service's log"))
