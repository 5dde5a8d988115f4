# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/deployments``: what code hosts asked about, and what sign-offs say to it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from service import deployments
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route

router = APIRouter(prefix="/api/v1")


@router.get("/deployments")
def list_deployments(request: Request, caller: CallerOf) -> JSONResponse:
    """Deployments that wait at the code host, newest first: approved, rejected or waiting as of now."""
    found = [
        {
            "repository": one.repository,
            "environment": one.environment,
            "head_commit": one.head_commit,
            "run": one.run,
            "asked_at": one.asked_at.isoformat(),
            "answer": one.answer,
        }
        for one in deployments.listed(request.app.state.database, caller.scope, caller.sees)
    ]
    return JSONResponse({"deployments": found})
