# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/artifacts`` and ``uploads``: artifacts by resumable upload, or from a URL below what the operator listed.

Uploads go by the IETF's resumable uploads: https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from evidence import InputError, TooLargeError, parse_json
from service import from_urls, uploads
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route
from service.webhooks import raw_body

if TYPE_CHECKING:
    from service.api.callers import Caller
    from service.context import Context
    from service.uploads import Upload

router = APIRouter(prefix="/api/v1")

MAX_BODY = 1 << 16
PARTIAL = "application/partial-upload"
_AT_ONCE = 1 << 20
_DIGITS = 15
_DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]{44}):")
_FLAGS = {"?0": False, "?1": True}

_Text = Annotated[str, Query(max_length=1000)]


@router.post("/artifacts", status_code=201)
async def create(request: Request, caller: CallerOf, repository: _Text, commit: _Text, path: _Text) -> Response:
    """Begin an upload, with as much of it as there is: 201 with its address, and how far it is.

    ``Upload-Complete: ?0`` says that more is to come; without the header the body is the whole. ``Repr-Digest`` may
    say the SHA-256 of the whole, ``Upload-Length`` its size.
    """
    platform = caller.submitter()
    where = uploads.target(platform, repository, commit, path)
    complete = _complete(request, default=True)
    size = _number(request, "upload-length")
    if size is None and complete:
        size = _number(request, "content-length")
    context: Context = request.app.state.context
    said = _said_digest(request)
    upload = await run_in_threadpool(uploads.begin, context, where, size=size, sha256=said)
    return await _receive(request, caller, upload, 0, complete=complete, created=True)


@router.head("/uploads/{identifier}")
def look(request: Request, caller: CallerOf, identifier: str) -> Response:
    """How far an upload is: ``Upload-Offset`` and ``Upload-Complete``."""
    upload = uploads.look(request.app.state.context, caller.submitter().name, identifier, caller.sees)
    return Response(None, 204, _headers(request, upload))


@router.patch("/uploads/{identifier}")
async def append(request: Request, caller: CallerOf, identifier: str) -> Response:
    """Send more, from ``Upload-Offset`` on: 204, or 200 with size and digest once it is complete; 409 elsewhere."""
    context: Context = request.app.state.context
    platform = caller.submitter().name
    upload = await run_in_threadpool(uploads.look, context, platform, identifier, caller.sees)
    if request.headers.get("content-type", "").partition(";")[0].strip() != PARTIAL:
        raise InputError(f"Content-Type has to be {PARTIAL}")
    offset = _number(request, "upload-offset")
    if offset is None:
        raise InputError("Upload-Offset is missing")
    complete = _complete(request, default=None)
    if upload.done:
        return JSONResponse(_done(upload), 200, _headers(request, upload))
    return await _receive(request, caller, upload, offset, complete=complete, created=False)


@router.delete("/uploads/{identifier}", status_code=204)
def cancel(request: Request, caller: CallerOf, identifier: str) -> Response:
    """End an upload that is not complete; nothing of it stays."""
    uploads.drop(request.app.state.context, caller.submitter().name, identifier, caller.sees)
    return Response(None, 204)


class FromUrl(BaseModel):
    """An artifact that the service is to fetch itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Annotated[str, Field(min_length=1, max_length=400)]
    commit: Annotated[str, Field(max_length=64)]
    path: Annotated[str, Field(max_length=1000)]
    url: Annotated[str, Field(max_length=from_urls.MAX_URL)]
    sha256: Annotated[str, Field(max_length=64)] | None = None


@router.post("/artifacts/from-url", status_code=201)
async def from_url(request: Request, caller: CallerOf) -> JSONResponse:
    """Fetch an artifact from below a prefix that the operator listed; answered once it is in place."""
    platform = caller.submitter()
    body = await raw_body(request, MAX_BODY)
    try:
        asked = FromUrl.model_validate(parse_json(body, "request body"))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from error
    where = uploads.target(platform, asked.repository, asked.commit, asked.path)
    context: Context = request.app.state.context
    upload = await run_in_threadpool(from_urls.fetch, context, platform, where, asked.url, asked.sha256)
    return JSONResponse(_done(upload), 201)


async def _receive(
    request: Request, caller: Caller, upload: Upload, offset: int, *, complete: bool, created: bool
) -> Response:
    context: Context = request.app.state.context
    platform = caller.submitter().name
    try:
        file = await run_in_threadpool(uploads.Appending, context, upload, offset)
        whole = True
        try:
            whole = await _written(request, file)
        finally:
            await run_in_threadpool(file.close)
    except TooLargeError:
        await run_in_threadpool(uploads.drop, context, platform, upload.id, caller.sees)
        raise
    if complete and whole:
        upload = await run_in_threadpool(uploads.finish, context, platform, upload.id, caller.sees)
        return JSONResponse(_done(upload), 201 if created else 200, _headers(request, upload))
    upload = await run_in_threadpool(uploads.look, context, platform, upload.id, caller.sees)
    return Response(None, 201 if created else 204, _headers(request, upload))


async def _written(request: Request, file: uploads.Appending) -> bool:
    """Append the body as it comes; False if the sender left before its end, and what came of it is kept."""
    waiting = bytearray()
    whole = True
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _AT_ONCE:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
    except ClientDisconnect:
        whole = False
    await run_in_threadpool(file.write, bytes(waiting))
    return whole


def _headers(request: Request, upload: Upload) -> dict[str, str]:
    url = f"{request.app.state.settings.url}/api/v1/uploads/{upload.id}"
    headers = {
        "Location": url,
        "Upload-Offset": str(upload.offset),
        "Upload-Complete": "?1" if upload.done else "?0",
        "Upload-Limit": f"max-size={request.app.state.settings.artifact_bytes}",
    }
    return headers if upload.size is None else headers | {"Upload-Length": str(upload.size)}


def _done(upload: Upload) -> dict[str, object]:
    return {"status": "complete", "size": upload.size, "sha256": upload.sha256}


def _complete(request: Request, *, default: bool | None) -> bool:
    value = request.headers.get("upload-complete")
    if value is None and default is not None:
        return default
    if value not in _FLAGS:
        raise InputError("Upload-Complete has to be ?0 (more is to come) or ?1 (this is the end)")
    return _FLAGS[value]


def _number(request: Request, name: str) -> int | None:
    value = request.headers.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > _DIGITS:
        raise InputError(f"{'-'.join(part.capitalize() for part in name.split('-'))} is no number of bytes")
    return int(value)


def _said_digest(request: Request) -> str | None:
    """The SHA-256 that ``Repr-Digest`` says (RFC 9530); None without one."""
    header = request.headers.get("repr-digest")
    if header is None:
        return None
    found = _DIGEST.search(header)
    try:
        return base64.b64decode(found[1], validate=True).hex() if found else None
    except (binascii.Error, ValueError) as error:
        raise InputError("Repr-Digest: sha-256 is no Base64") from error
