# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/gate-decisions``: what the deployer's gates decided, logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from service import decisions
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route
from service.webhooks import raw_body

if TYPE_CHECKING:
    from service.context import Context

router = APIRouter(prefix="/api/v1")

MAX_DECISION = 1 << 20


@router.post("/gate-decisions", status_code=201)
async def take_decision(request: Request, caller: CallerOf) -> JSONResponse:
    """Take a gate's signed decision (a SLSA VSA in a DSSE envelope), check, keep and log it; 200 if it is known."""
    caller.submitter()
    content = await raw_body(request, MAX_DECISION)
    context: Context = request.app.state.context
    taken = await run_in_threadpool(decisions.take, context, content)
    document = {
        "log_index": taken.log_index,
        "passed": taken.passed,
        "review_by": taken.review_by,
        "differs": list(taken.differs),
    }
    return JSONResponse(document, 201 if taken.fresh else 200)
