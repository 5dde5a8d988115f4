# SPDX-License-Identifier: Apache-2.0
"""What a reviewer takes along: the report as one file, and the bundle for the gate."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from evidence import ConflictError, sha256_hex
from reports import report_document, report_html, report_policy
from service.pages._common import Desk, SignedIn  # noqa: TC001 - FastAPI reads them at run time

router = APIRouter()


@router.get("/changes/{change_id}/revisions/{n}/report", response_model=None)
def report(_person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """The self-contained report. ConflictError while there is no revision manifest yet."""
    revision = reviews.revision(change_id, n)
    if revision.manifest is None:
        raise ConflictError(f"revision {n} is {revision.state}: its report comes once base and head are known")
    title = reviews.change(change_id).title
    document = report_document(
        revision.manifest, revision.diff, revision.audit, artifacts=revision.artifacts, title=title
    )
    patches = reviews.patches(change_id, n) if revision.diff is not None else ()
    return HTMLResponse(
        report_html(document, patches),
        headers={"Content-Security-Policy": f"{report_policy()}; frame-ancestors 'none'"},
    )


@router.get("/changes/{change_id}/revisions/{n}/bundle", response_model=None)
def bundle(_person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """The bundle of the latest approval, to be handed to ``countersign gate``."""
    content = reviews.bundle(change_id, n)
    name = f"countersign-{change_id}-{n}-{sha256_hex(content)[:8]}.json"
    return Response(
        content,
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
