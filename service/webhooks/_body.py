# SPDX-License-Identifier: Apache-2.0
"""Reading a request's raw body, never more than the limit of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import InputError, TooLargeError

if TYPE_CHECKING:
    from fastapi import Request


async def raw_body(request: Request, limit: int) -> bytes:
    """The body as sent.

    Raises:
        TooLargeError: it is, or says it will be, over ``limit`` bytes; reading stops there.
        InputError: Content-Length is no number.
    """
    declared = request.headers.get("content-length")
    if declared is not None:
        if not (declared.isascii() and declared.isdigit()):
            raise InputError("Content-Length is not a number")
        if int(declared[:20]) > limit:
            raise TooLargeError(f"the body is {declared[:20]} bytes, over the limit of {limit}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLargeError(f"the body is over the limit of {limit} bytes")
    return bytes(body)
