# SPDX-License-Identifier: Apache-2.0
"""``POST /webhooks/github``: authenticated over the raw body before anything of it is parsed."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from evidence import AuthenticationError, InputError, parse_json, sha256_hex
from service.arrivals import DeliveryId, Outcome, receive
from service.webhooks._body import raw_body
from service.webhooks._github_payload import read_pull_request, read_push

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.settings import Platform

router = APIRouter()

_READERS = {"pull_request": read_pull_request, "push": read_push}


def signed_by(platforms: Sequence[Platform], body: bytes, header: str) -> tuple[Platform, ...]:
    """The platforms whose secret made ``X-Hub-Signature-256`` over the raw body; compared in constant time.

    Every platform is tried, so that the time taken does not say which one matched.

    Raises:
        AuthenticationError: none.
    """
    given = header.encode("utf-8", "surrogateescape")
    matching = []
    for platform in platforms:
        if platform.webhook_secret is None:
            continue
        key = platform.webhook_secret.get_secret_value().encode()
        expected = b"sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest().encode()
        if hmac.compare_digest(expected, given):
            matching.append(platform)
    if not matching:
        raise AuthenticationError("X-Hub-Signature-256 does not match the body: check the webhook's secret")
    return tuple(matching)


@router.post("/webhooks/github", status_code=202)
async def github(request: Request) -> JSONResponse:
    """Store a delivery and answer: 202 stored, 200 a repeat or nothing to review, 401, 413 or 422 refused."""
    state = request.app.state
    body = await raw_body(request, state.settings.webhook_bytes)
    platforms = signed_by(state.platforms, body, request.headers.get("x-hub-signature-256", ""))
    event = request.headers.get("x-github-event", "")
    reader = _READERS.get(event)
    if reader is None:
        return JSONResponse({"status": "ignored", "reason": f"event {event[:64] or '(none)'} is not reviewed"})
    delivery_id = request.headers.get("x-github-delivery", "")
    if not delivery_id:
        raise InputError("X-GitHub-Delivery is missing")
    document = await run_in_threadpool(parse_json, body, "webhook body")
    arrival, reason = reader(document, platforms)
    if arrival is None:
        return JSONResponse({"status": "ignored", "reason": reason})
    delivery = DeliveryId(arrival.platform, "github", event, delivery_id, sha256_hex(body))
    received = await run_in_threadpool(receive, state.database, arrival, delivery)
    if received.outcome is Outcome.ACCEPTED:
        state.worker.wake()
    return JSONResponse(
        {"status": received.outcome.value, "change": received.change_id, "revision": received.revision},
        status_code=202 if received.outcome is Outcome.ACCEPTED else 200,
    )
