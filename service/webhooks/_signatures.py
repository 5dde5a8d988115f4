# SPDX-License-Identifier: Apache-2.0
"""How a delivery shows that it is from whom it says: every secret of every platform is tried, in constant time.

So the time taken does not say which one matched, and old and new secret both hold while they are exchanged.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from evidence import AuthenticationError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from service.settings import Platform

TOLERANCE = 300  # seconds between a signed moment and our clock, as the specification advises
STANDARD_PREFIX = "whsec_"
_DIGITS = 12
_MOST_SIGNATURES = 16


def matching(
    platforms: Sequence[Platform], host: str | None, holds: Callable[[str], bool], refused: str
) -> tuple[Platform, ...]:
    """The platforms on this code host one of whose secrets ``holds``; with ``host`` None, whatever their host.

    Raises:
        AuthenticationError: none; ``refused`` says why.
    """
    found = []
    for platform in platforms:
        if host is not None and platform.code_host not in {None, host}:
            continue
        if any([holds(secret.get_secret_value()) for secret in platform.webhook_secret or ()]):  # noqa: C419 - all are tried
            found.append(platform)
    if not found:
        raise AuthenticationError(refused)
    return tuple(found)


def same(given: str, expected: str) -> bool:
    """Whether two texts are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def hex_hmac(secret: str, body: bytes) -> str:
    """The HMAC-SHA256 of a body under a secret's own bytes, in hexadecimal digits."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(headers: Mapping[str, str], body: bytes) -> Callable[[str], bool]:
    """Whether a secret made one of the signatures of a Standard Webhooks delivery.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    Raises:
        AuthenticationError: a header is missing, or the moment is further from our clock than the tolerance.
    """
    identifier, sent, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not identifier or not signatures:
        raise AuthenticationError("webhook-id, webhook-timestamp or webhook-signature is missing")
    if not (sent.isascii() and sent.isdigit()) or len(sent) > _DIGITS:
        raise AuthenticationError("webhook-timestamp is no number of seconds")
    if abs(time.time() - int(sent)) > TOLERANCE:
        raise AuthenticationError(f"webhook-timestamp is more than {TOLERANCE} seconds away: sent late, or again")
    signed = identifier.encode("utf-8", "surrogateescape") + b"." + sent.encode() + b"." + body
    given = [one.removeprefix("v1,") for one in signatures.split(" ")[:_MOST_SIGNATURES] if one.startswith("v1,")]

    def holds(secret: str) -> bool:
        return any([same(one, expected) for expected in _expected(secret, signed) for one in given])  # noqa: C419 - all

    return holds


def _expected(secret: str, signed: bytes) -> Iterable[str]:
    for key in _keys(secret):
        yield base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _keys(secret: str) -> list[bytes]:
    """The keys that a secret can mean: Base64 with or without its prefix, and without one also its own bytes."""
    bare = secret.removeprefix(STANDARD_PREFIX)
    keys = [] if bare != secret else [secret.encode()]
    with contextlib.suppress(binascii.Error, ValueError):
        keys.append(base64.b64decode(bare, validate=True))
    return [key for key in keys if key]


def signing_key(secret: str) -> bytes:
    """The key that a secret of ours signs with: what is after ``whsec_`` is Base64, anything else its own bytes.

    Raises:
        InputError: the prefix is there, and what follows is no Base64.
    """
    if not secret.startswith(STANDARD_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"a secret that starts with {STANDARD_PREFIX} has to go on in Base64") from error
