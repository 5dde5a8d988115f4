# SPDX-License-Identifier: Apache-2.0
"""Delivering what is in the outbox: one attempt at a time, whose outcome is kept whatever it was.

Webhooks go out as Standard Webhooks say (https://www.standardwebhooks.com): the id is that of the message, the same at
every attempt, so that a receiver that has it already takes it for a repeat.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING

import structlog

from evidence import VERSION, CountersignError
from service import outbox, statuses, tidings
from service.arrivals import now
from service.outbox import TAKEN, Attempt, Fate, Tried
from service.outward import answered, asked_wait
from service.webhooks import signing_key

if TYPE_CHECKING:
    import httpx2

    from service.context import Context
    from service.database import OutboxRow
    from service.settings import Endpoint

AT_ONCE = 50  # messages of one destination before another one has its turn
SECONDS = 15.0  # as Standard Webhooks advise, answer's head included
_GONE = 410
_TAKEN = range(200, 300)

log = structlog.get_logger("countersign")


def try_next(context: Context, destination: str) -> bool:
    """Try the message that is next for a destination; whether another may be tried after it at once."""
    message = outbox.first(context.database, destination, now())
    if message is None:
        return False
    try:
        attempt = _send(context, message)
    except CountersignError as error:
        attempt = Attempt(Tried.AGAIN, str(error))
    except Exception as error:
        log.exception("a report could not be sent", destination=destination, message=message.message_id)
        attempt = Attempt(Tried.AGAIN, f"unforeseen: {type(error).__name__}")
    settings = context.settings
    fate = outbox.settle(
        context.database, message, attempt, first_wait=settings.retry_seconds, days=settings.outbox_days
    )
    if attempt.outcome is not Tried.TAKEN:
        log.warning(
            "a report was not taken", destination=destination, message=message.message_id, reason=attempt.reason
        )
    if fate is Fate.DEAD:
        log.error("a report is given up", destination=destination, message=message.message_id)
    return attempt.outcome is not Tried.AGAIN


def _send(context: Context, message: OutboxRow) -> Attempt:
    kind, _, name = message.destination.partition(":")
    if f"{kind}:" == tidings.WEBHOOK:
        endpoint = next((one for one in context.endpoints if one.name == name), None)
        if endpoint is not None:
            return post(endpoint, message.message_id, message.body.encode())
    if f"{kind}:" == tidings.HOST and any(one.name == name for one in context.platforms):
        about = json.loads(message.body)["id"]
        if message.event == tidings.ANSWER:
            return statuses.answer(context, about)
        return statuses.post(context, about)
    return Attempt(Tried.REFUSED, f"{message.destination} is no longer configured")


def post(endpoint: Endpoint, identifier: str, body: bytes) -> Attempt:
    """Send one message to an endpoint.

    Raises:
        UnansweredError: it does not answer in time, or the connection broke.
        InputError: a redirect, or an address that is not public and not allowed.
    """
    moment = str(int(time.time()))
    signed = f"{identifier}.{moment}.".encode() + body
    keys = [signing_key(one.get_secret_value()) for one in endpoint.secret]
    made = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Countersign/{VERSION}",
        "webhook-id": identifier,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made),
    }
    with answered(
        endpoint.url,
        method="POST",
        content=body,
        headers=headers,
        private=endpoint.allow_local,
        seconds=SECONDS,
    ) as answer:
        return judged(answer, refused=frozenset({_GONE}))


def judged(answer: httpx2.Response, *, refused: frozenset[int]) -> Attempt:
    """What an answer's status means; ``refused`` are those that no other attempt would change. Its body is not read."""
    if answer.status_code in _TAKEN:
        return TAKEN
    reason = f"HTTP {answer.status_code}"
    if answer.status_code in refused:
        return Attempt(Tried.REFUSED, reason)
    return Attempt(Tried.AGAIN, reason, asked_wait(answer))
