# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/gate-decisions``, ``rollouts``, ``incidents``: what gates decided and what went out, each logged."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError, parse_json
from service import decisions, incidents, later_reviews
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route
from service.webhooks import raw_body
from signoff import parse_time

if TYPE_CHECKING:
    from service.context import Context

router = APIRouter(prefix="/api/v1")

MAX_DECISION = 1 << 20


@router.post("/gate-decisions", status_code=201)
async def take_decision(request: Request, caller: CallerOf) -> JSONResponse:
    """Take a gate's signed decision (a SLSA VSA in a DSSE envelope), check, keep and log it; 200 if it is known."""
    platform = caller.submitter()
    content = await raw_body(request, MAX_DECISION)
    context: Context = request.app.state.context
    taken = await run_in_threadpool(decisions.take, context, content, platform.name)
    document = {
        "log_index": taken.log_index,
        "passed": taken.passed,
        "review_by": taken.review_by,
        "differs": list(taken.differs),
    }
    return JSONResponse(document, 201 if taken.fresh else 200)


class Rollout(BaseModel):
    """What ``countersign report-rollout`` sends: what was rolled out, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Annotated[str, Field(min_length=1, max_length=400)]
    head: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    revision: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    at: Annotated[str, Field(max_length=40)]


@router.post("/rollouts", status_code=201)
async def take_rollout(request: Request, caller: CallerOf) -> JSONResponse:
    """Take in that something was rolled out; 200 if it was reported before."""
    platform = caller.submitter()
    body = await raw_body(request, MAX_DECISION)
    try:
        rollout = Rollout.model_validate(parse_json(body, "request body"))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from error
    configured = platform.find(rollout.repository)
    if configured is None:
        raise InputError(f"repository {rollout.repository[:200]} is not configured for platform {platform.name}")
    given = (platform.name, configured.name, rollout.head, rollout.revision, parse_time(rollout.at, "at"))
    fresh = await run_in_threadpool(incidents.report, request.app.state.context, *given)
    return JSONResponse({"status": "accepted" if fresh else "repeated"}, 201 if fresh else 200)


@router.get("/later-reviews")
def list_later_reviews(request: Request, caller: CallerOf) -> JSONResponse:
    """The full reviews that are owed, after broken glass or an expedited approval, those that are due first."""
    caller.reviewer()
    found = [
        {**dataclasses.asdict(one), "by": one.by.isoformat()} for one in later_reviews.owed(request.app.state.context)
    ]
    return JSONResponse({"later_reviews": found})


@router.get("/incidents")
def list_incidents(request: Request, caller: CallerOf) -> JSONResponse:
    """What must not be: rollouts without a decision, reviews that are overdue, …; those that are open first."""
    caller.reviewer()
    found = [
        {
            "kind": one.kind,
            "subject": one.subject,
            "detail": one.detail,
            "log_index": one.log_index,
            "opened_at": one.opened_at.isoformat(),
            "settled_at": None if one.settled_at is None else one.settled_at.isoformat(),
        }
        for one in incidents.listed(request.app.state.context)
    ]
    return JSONResponse({"incidents": found})
