# SPDX-License-Identifier: Apache-2.0
"""The transparency log as anyone may read it: the tiles on disk, by C2SP's tlog-tiles paths. No sign-in."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse

from evidence import NotFoundError
from service import trust

router = APIRouter()

_TILE = re.compile(r"(?:entries|[0-9]{1,2})(?:/x[0-9]{3}){0,6}/[0-9]{3}(?:\.p/[0-9]{1,3})?")


@router.get("/log/checkpoint")
def checkpoint(request: Request) -> FileResponse:
    """The newest signed checkpoint."""
    path = request.app.state.context.log / "checkpoint"
    if not path.is_file():
        raise NotFoundError("the log is empty: nothing was signed yet")
    return FileResponse(path, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


@router.get("/log/tile/{name:path}")
def tile(request: Request, name: str) -> FileResponse:
    """A tile of hashes or entries. Full tiles never change."""
    path = request.app.state.context.log / "tile" / name
    if not _TILE.fullmatch(name) or not path.is_file():
        raise NotFoundError("the log has no such tile")
    kept = "no-cache" if ".p/" in name else "public, max-age=31536000, immutable"
    return FileResponse(path, media_type="application/octet-stream", headers={"Cache-Control": kept})


@router.get("/log/proof/{index}.tlog-proof")
def proof(request: Request, index: int) -> PlainTextResponse:
    """The proof that an entry is in the log under its newest checkpoint (c2sp.org/tlog-proof), out of the tiles."""
    context = request.app.state.context
    if not (context.log / "checkpoint").is_file() or not 0 <= index < (reader := trust.log_reader(context)).size:
        raise NotFoundError("the log has no such entry")
    return PlainTextResponse(reader.proof(index).text, headers={"Cache-Control": "no-store"})
