# SPDX-License-Identifier: Apache-2.0
"""Coming in and going out: sign-in by one-time link, sign-out, and whether anybody is at home."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from evidence import AuthenticationError
from service import pages
from service.accounts import COOKIE, SESSION_LIFE

doors = APIRouter()

_Text = Annotated[str, Query(max_length=500)]


@doors.get("/sign-in", response_model=None)
def sign_in(request: Request, token: _Text = "", next: _Text = "/") -> Response:  # noqa: A002 - the parameter's name in the URL
    """Use up a one-time link and go on, or say how to get one."""
    if not token:
        return pages.sign_in_page(request, "")
    try:
        cookie = request.app.state.accounts.sign_in(token)
    except AuthenticationError as error:
        return pages.sign_in_page(request, str(error))
    response = RedirectResponse(_inside(next), status_code=303)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",  # strict would lose the session on the way here from the code host's status
        secure=request.app.state.settings.url.startswith("https://"),
    )
    return response


@doors.post("/sign-out", response_model=None)
def sign_out(request: Request) -> Response:
    """End the session."""
    request.app.state.accounts.sign_out(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(COOKIE)
    return response


@doors.get("/livez")
def livez() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "alive"})


@doors.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """The process can do its work; ``draining`` once it was told to stop."""
    readiness = request.app.state.worker.readiness()
    return JSONResponse({"status": readiness}, 200 if readiness == "ready" else 503)


def _inside(target: str) -> str:
    """``target``, if it is a path of this service; else the queue. ``//host`` and backslashes lead elsewhere."""
    inside = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if inside else "/"
