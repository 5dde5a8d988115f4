# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/changes``: submit, list, look at, fetch evidence, sign off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from evidence import NotFoundError, parse_json, sha256_hex
from service import attention, blocking, reading
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route
from service.api.documents import change_json, revision_json, row_json
from service.arrivals import DeliveryId, Outcome, receive, submission_id
from service.proposals import read_submission, submission_arrival
from service.reviews import EvidenceKind  # noqa: TC001 - as above
from service.webhooks import raw_body

if TYPE_CHECKING:
    from service.api.callers import Caller
    from service.reviews import Reviews
    from service.views import ChangeView

router = APIRouter(prefix="/api/v1")

MAX_BODY = 1 << 20
MAX_ENVELOPE = 1 << 20
_BIGGEST = (1 << 31) - 1

_Id = Annotated[int, Path(ge=1, le=_BIGGEST)]
_N = Annotated[int, Path(ge=1, le=_BIGGEST)]


@router.post("/changes", status_code=202)
async def submit(request: Request, caller: CallerOf) -> JSONResponse:
    """Take a change for review: 202 with its address, 200 if this head was sent before."""
    platform = caller.submitter()
    body = await raw_body(request, MAX_BODY)
    arrival = submission_arrival(read_submission(parse_json(body, "request body")), platform)
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
    rows = attention.queue(request.app.state.database, person=caller.person, platform=caller.scope)
    return JSONResponse(
        {"changes": [row_json(row, reviewer=caller.person is not None) for row in rows if caller.sees(row.repository)]}
    )


@router.get("/changes/{change_id}")
def get_change(request: Request, caller: CallerOf, change_id: _Id) -> JSONResponse:
    """One change and its revisions."""
    return JSONResponse(change_json(seen(request, caller, change_id)))


@router.get("/changes/{change_id}/blocking")
def get_blocking(request: Request, caller: CallerOf, change_id: _Id) -> JSONResponse:
    """What blocks a change at its latest revision, who has to do what: the same for a submitter and a reviewer."""
    seen(request, caller, change_id)
    found = blocking.blocking(request.app.state.context, change_id)
    document = {
        "revision": found.n,
        "state": found.state.value,
        "verdict": found.verdict.value if found.verdict else None,
        "blocks": [block._asdict() for block in found.blocks],
    }
    return JSONResponse(document)


@router.get("/changes/{change_id}/revisions/{n}")
def get_revision(request: Request, caller: CallerOf, change_id: _Id, n: _N) -> JSONResponse:
    """One revision: state, verdict, error, sign-offs; for a reviewer also details and requirements."""
    seen(request, caller, change_id)
    reviews: Reviews = request.app.state.reviews
    view = reviews.revision(change_id, n)
    return JSONResponse(revision_json(view, reviewer=caller.person is not None))


@router.get("/changes/{change_id}/revisions/{n}/evidence/{kind}")
def get_evidence(request: Request, caller: CallerOf, change_id: _Id, n: _N, kind: EvidenceKind) -> JSONResponse:
    """A document of ``formats.md``. A submitter gets the public part of the audit, no artifacts and no report."""
    seen(request, caller, change_id)
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


def seen(request: Request, caller: Caller, change_id: int) -> ChangeView:
    """The change, if the caller may know of it; else NotFoundError, as if there were none."""
    view = reading.change(request.app.state.database, change_id, platform=caller.scope)
    if not caller.sees(view.repository):
        raise NotFoundError(f"there is no change {change_id}")
    return view
