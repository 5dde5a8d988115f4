# SPDX-License-Identifier: Apache-2.0
"""The one stylesheet, under a name that changes with its content."""

from __future__ import annotations

from fastapi import APIRouter, Response

from evidence import NotFoundError
from service.pages._common import style, style_url

router = APIRouter()


@router.get("/style/{name}", response_model=None)
def stylesheet(name: str) -> Response:
    """The stylesheet, for everybody. NotFoundError under an older name: a reload finds the new one."""
    if f"/style/{name}" != style_url():
        raise NotFoundError("the stylesheet has changed: reload the page")
    return Response(style(), media_type="text/css", headers={"Cache-Control": "public, max-age=31536000, immutable"})
