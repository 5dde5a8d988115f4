# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/changes``: submit, list, look at, fetch evidence, sign off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError, NotFoundError, parse_json, sha256_hex
from service import reading
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route
from service.api.documents import change_json, revision_json, row_json
from service.arrivals import Arrival, DeliveryId, Outcome, receive, submission_id
from service.reviews import EvidenceKind  # noqa: TC001 - as above
from service.webhooks import raw_body

if TYPE_CHECKING:
    from evidence import Json
    from service.reviews import Reviews
    from service.settings import Platform

router = APIRouter(prefix="/api/v1")

MAX_BODY = 1 << 20
MAX_ENVELOPE = 1 << 20
_BIGGEST = (1 << 31) - 1

_Id = Annotated[int, Path(ge=1, le=_BIGGEST)]
_N = Annotated[int, Path(ge=1, le=_BIGGEST)]
_Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")]


class Maker(BaseModel):
    """Somebody who had a hand in the change beside those whom its commits name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: Annotated[str, Field(max_length=200)] = ""


class Submission(BaseModel):
    """What ``countersign submit`` sends. ``change`` names the proposal: a new head becomes its next revision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Annotated[str, Field(min_length=1, max_length=400)]
    base: _Commit
    head: _Commit
    target_ref: Annotated[str, Field(pattern=r"^refs/heads/\S+$", max_length=400)] = "refs/heads/main"
    change: _Name | None = None
    title: Annotated[str, Field(max_length=500)] = ""
    description: Annotated[str, Field(max_length=64 << 10)] = ""
    author: Annotated[str, Field(max_length=200)] = "ci"
    makers: Annotated[tuple[Maker, ...], Field(max_length=100)] = ()


@router.post("/changes", status_code=202)
async def submit(request: Request, caller: CallerOf) -> JSONResponse:
    """Take a change for review: 202 with its address, 200 if this head was sent before."""
    platform = caller.submitter()
    body = await raw_body(request, MAX_BODY)
    submission = _validated(parse_json(body, "request body"))
    arrival = _arrival(submission, platform)
    event = f"submit {arrival.key}"[:64]
    delivery = DeliveryId(platform.name, "api", event, submission_id(), sha256_hex(body))
    received = await run_in_threadpool(receive, request.app.state.database, arrival, delivery)
    fresh = received.outcome is Outcome.ACCEPTED
    if fresh:
        request.app.state.worker.wake()
    url = f"{request.app.state.settings.url}/api/v1/changes/{received.change_id}/revisions/{received.revision}"
    document = {"status": received.outcome.value, "change": received.change_id, "revision": received.revision}
    return JSONResponse({**document, "url": url}, 202 if fresh else 200, {"Location": url})


@router.get("/changes")
def list_changes(request: Request, caller: CallerOf) -> JSONResponse:
    """The changes that the caller may see, each by its latest revision."""
    rows = reading.queue(request.app.state.database, platform=caller.scope)
    return JSONResponse({"changes": [row_json(row, reviewer=caller.person is not None) for row in rows]})


@router.get("/changes/{change_id}")
def get_change(request: Request, caller: CallerOf, change_id: _Id) -> JSONResponse:
    """One change and its revisions."""
    return JSONResponse(change_json(reading.change(request.app.state.database, change_id, platform=caller.scope)))


@router.get("/changes/{change_id}/revisions/{n}")
def get_revision(request: Request, caller: CallerOf, change_id: _Id, n: _N) -> JSONResponse:
    """One revision: state, verdict, error, sign-offs; for a reviewer also details and requirements."""
    reading.change(request.app.state.database, change_id, platform=caller.scope)
    reviews: Reviews = request.app.state.reviews
    view = reviews.revision(change_id, n)
    return JSONResponse(revision_json(view, reviewer=caller.person is not None))


@router.get("/changes/{change_id}/revisions/{n}/evidence/{kind}")
def get_evidence(request: Request, caller: CallerOf, change_id: _Id, n: _N, kind: EvidenceKind) -> JSONResponse:
    """A document of ``formats.md``. A submitter gets the public part of the audit, no artifacts and no report."""
    reading.change(request.app.state.database, change_id, platform=caller.scope)
    if kind in {"artifacts", "report"}:  # by the panel's slices
        caller.reviewer()
    reviews: Reviews = request.app.state.reviews
    document = reviews.evidence(change_id, n, kind, public=caller.person is None)
    if document is None:
        raise NotFoundError(f"revision {n} of change {change_id} has no {kind} yet")
    return JSONResponse(document)


@router.post("/changes/{change_id}/revisions/{n}/signoffs", status_code=201)
async def sign_off(request: Request, caller: CallerOf, change_id: _Id, n: _N) -> JSONResponse:
    """Take a DSSE envelope over a statement prepared for this reviewer; answers with its place in the log."""
    person = caller.reviewer()
    envelope = await raw_body(request, MAX_ENVELOPE)
    reviews: Reviews = request.app.state.reviews
    index = await run_in_threadpool(reviews.sign_off, change_id, n, person, envelope=envelope)
    return JSONResponse({"log_index": index}, 201)


@router.post("/changes/{change_id}/revisions/{n}/let-through", status_code=202)
def let_through(request: Request, caller: CallerOf, change_id: _Id, n: _N) -> JSONResponse:
    """Have a change from a fork reviewed: this revision, by a reviewer. 409 if it does not wait for that."""
    person = caller.reviewer()
    reviews: Reviews = request.app.state.reviews
    reviews.let_through(change_id, n, person)
    return JSONResponse({"status": "accepted", "change": change_id, "revision": n}, 202)


def _validated(document: Json) -> Submission:
    try:
        return Submission.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from error


def _arrival(submission: Submission, platform: Platform) -> Arrival:
    configured = platform.find(submission.repository)
    if configured is None:
        raise InputError(f"repository {submission.repository[:200]} is not configured for platform {platform.name}")
    return Arrival(
        platform=platform.name,
        host=platform.host,
        repository=configured.name,
        key=f"submit/{submission.change or submission.head}",
        number=None,
        title=submission.title,
        description=submission.description,
        url=None,
        author=submission.author,
        target_ref=submission.target_ref,
        head_commit=submission.head,
        base_hint=submission.base,
        sent_at=None,
        makers=tuple((maker.name, maker.email) for maker in submission.makers),
    )
