# SPDX-License-Identifier: Apache-2.0
"""What every request passes: same-origin for everything that changes something, and headers that browsers obey."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders

from evidence import PermissionDeniedError, TooLargeError
from service.problems import answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SCRIPTED = f"{POLICY}; script-src 'self'; require-trusted-types-for 'script'"  # for pages with keys
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DIGITS = 12
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SameOrigin:
    """Refuses a browser's request from another site, by Sec-Fetch-Site or else by Origin.

    A request with neither header comes from no current browser, so no browser's cookies were borrowed for it.
    Webhooks are authenticated by their signature and not looked at. https://words.filippo.io/csrf/
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and not scope["path"].startswith("/webhooks/"):
            request = Request(scope, receive)
            if not _same_origin(request):
                error = PermissionDeniedError("this request came from another site: use the form on the page itself")
                await answer(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _same_origin(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or (urlsplit(origin).netloc == request.headers.get("host") and origin != "null")


class FormLimit:
    """Refuses a form over ``limit`` bytes before it is read, whoever sends it.

    Webhooks and API have limits of their own.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 413."""
        if scope["type"] != "http" or scope["path"].startswith(("/webhooks/", "/api/")):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        declared = request.headers.get("content-length", "0")
        too_large = TooLargeError(f"the form is over the limit of {self._limit} bytes")
        if not (declared.isascii() and declared.isdigit()) or len(declared) > _DIGITS or int(declared) > self._limit:
            await answer(request, too_large)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise too_large
            return message

        await self._app(scope, counted, send)


class StrictHeaders:
    """Adds the headers above to every answer that does not bring its own, and keeps pages out of caches."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and put the headers on its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._https:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                if not scope["path"].startswith(("/static/", "/log/")):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)
