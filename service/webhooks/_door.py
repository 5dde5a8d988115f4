# SPDX-License-Identifier: Apache-2.0
"""``POST /webhooks/HOST``: authenticated over the raw body before it is parsed, stored before it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from evidence import InputError, parse_json, sha256_hex
from service.arrivals import DeliveryId, Outcome
from service.happenings import Ignored, take
from service.webhooks._body import raw_body
from service.webhooks.gitea import GITEA
from service.webhooks.github import GITHUB
from service.webhooks.gitlab import GITLAB
from service.webhooks.standard import STANDARD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from service.arrivals import Received
    from service.happenings import Meaning
    from service.settings import Platform
    from service.webhooks._hosts import CodeHost

HOSTS = (GITHUB, GITLAB, GITEA, STANDARD)
_MAX_EVENT = 64
_BODY = "body:"

router = APIRouter()


def _door(host: CodeHost) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def door(request: Request) -> JSONResponse:
        """Store a delivery and answer: 202 stored, 200 a repeat or nothing to do, 401, 413 or 422 refused."""
        state = request.app.state
        body = await raw_body(request, state.settings.webhook_bytes)
        platforms = host.verify(state.platforms, request.headers, body)
        event = _first(request.headers, host.event) or host.default_event
        if event not in host.readers:
            reason = f"event {event[:_MAX_EVENT] or '(none)'} is not reviewed"
            return JSONResponse({"status": Outcome.IGNORED.value, "reason": reason})
        identifier = _first(request.headers, host.delivery)
        if host.needs_id and not identifier:
            raise InputError(f"{host.delivery[0]} is missing")
        received = await run_in_threadpool(_taken, request, host, event, identifier, platforms, body)
        if received.outcome is Outcome.ACCEPTED:
            state.worker.wake()
        return _answer(received)

    return door


def _taken(
    request: Request, host: CodeHost, event: str, identifier: str, platforms: tuple[Platform, ...], body: bytes
) -> Received:
    meaning: Meaning = host.readers[event](parse_json(body, "webhook body"), platforms)
    platform = "" if isinstance(meaning, Ignored) else meaning.platform
    digest = sha256_hex(body)
    delivery = DeliveryId(platform, host.name, event[:_MAX_EVENT], identifier or f"{_BODY}{digest}", digest)
    return take(request.app.state.database, meaning, delivery)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first of these headers that is there."""
    return next((value for name in names if (value := headers.get(name, ""))), "")


def _answer(received: Received) -> JSONResponse:
    if received.outcome is Outcome.IGNORED:
        return JSONResponse({"status": received.outcome.value, "reason": received.reason})
    document = {"status": received.outcome.value, "change": received.change_id, "revision": received.revision}
    return JSONResponse(document, 202 if received.outcome is Outcome.ACCEPTED else 200)


for _host in HOSTS:
    router.add_api_route(f"/webhooks/{_host.name}", _door(_host), methods=["POST"], status_code=202, name=_host.name)
