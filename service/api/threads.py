# SPDX-License-Identifier: Apache-2.0
"""``/api/v1/changes/{id}/threads``: what is said. A submitter reads what is published, and answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError, parse_json
from service import comments, discussion
from service.api.callers import CallerOf  # noqa: TC001 - FastAPI reads it when it builds the route
from service.api.changes import seen
from service.comments import MAX_TEXT, Author
from service.placing import Spot
from service.webhooks import raw_body

if TYPE_CHECKING:
    from service.context import Context
    from service.discussion import Thread

router = APIRouter(prefix="/api/v1")

MAX_BODY = 64 << 10
_BIGGEST = (1 << 31) - 1

_Id = Annotated[int, Path(ge=1, le=_BIGGEST)]
_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Read = TypeVar("_Read", bound=_Body)


class Begun(_Body):
    """A thread to begin: on a line, on a file, or without a path on the change as a whole."""

    text: _Text
    path: Annotated[str, Field(max_length=4000)] = ""
    side: Literal["head", "base"] = "head"
    line: Annotated[int, Field(ge=1, le=_BIGGEST)] | None = None
    blocking: bool = False
    draft: bool = True


class Reply(_Body):
    """An answer to a thread; a submitter's is published at once."""

    text: _Text
    draft: bool = False


class Resolution(_Body):
    """That a thread is resolved, or open again."""

    resolved: bool
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""


class Published(_Body):
    """An answer to the change as a whole that is published with the drafts; empty without one."""

    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""


@router.get("/changes/{change_id}/threads")
def list_threads(
    request: Request,
    caller: CallerOf,
    change_id: _Id,
    revision: Annotated[int, Query(ge=1, le=_BIGGEST)] | None = None,
) -> JSONResponse:
    """What is published, and a reviewer's own drafts; each with where it stands in the latest revision, or that one."""
    change = seen(request, caller, change_id)
    n = change.latest.n if revision is None else revision
    found = discussion.threads(request.app.state.context, change_id, n, caller.person)
    return JSONResponse({"revision": n, "threads": [_thread_json(one) for one in found]})


@router.post("/changes/{change_id}/revisions/{n}/threads", status_code=201)
async def begin_thread(request: Request, caller: CallerOf, change_id: _Id, n: _Id) -> JSONResponse:
    """Begin a thread, as a draft unless told otherwise. For reviewers."""
    person = caller.reviewer()
    body = await _read(request, Begun)
    context: Context = request.app.state.context

    def begun() -> int:
        spot = Spot(body.path, body.side, body.line)
        return comments.begin(
            context, change_id, n, spot, text=body.text, person=person, blocking=body.blocking, draft=body.draft
        )

    return JSONResponse({"thread": await run_in_threadpool(begun)}, 201)


@router.post("/changes/{change_id}/threads/{thread_id}/replies", status_code=201)
async def reply_to_thread(request: Request, caller: CallerOf, change_id: _Id, thread_id: _Id) -> JSONResponse:
    """Answer a thread that the caller may see."""
    await run_in_threadpool(seen, request, caller, change_id)
    body = await _read(request, Reply)
    author = Author(caller.person.id) if caller.person else Author(None, caller.submitter().name)
    draft = body.draft and caller.person is not None
    context: Context = request.app.state.context

    def replied() -> int:
        return comments.reply(context, change_id, thread_id, text=body.text, author=author, draft=draft)

    return JSONResponse({"comment": await run_in_threadpool(replied)}, 201)


@router.post("/changes/{change_id}/threads/{thread_id}/resolution")
async def resolve_thread(request: Request, caller: CallerOf, change_id: _Id, thread_id: _Id) -> JSONResponse:
    """Resolve a published thread, or reopen it. For reviewers."""
    person = caller.reviewer()
    body = await _read(request, Resolution)
    context: Context = request.app.state.context

    def settled() -> None:
        comments.settle(context, change_id, thread_id, resolved=body.resolved, person=person, text=body.text)

    await run_in_threadpool(settled)
    return JSONResponse({"thread": thread_id, "resolved": body.resolved})


@router.post("/changes/{change_id}/revisions/{n}/drafts/publish")
async def publish_drafts(request: Request, caller: CallerOf, change_id: _Id, n: _Id) -> JSONResponse:
    """Publish all of one's drafts on a change at once. For reviewers."""
    person = caller.reviewer()
    body = await _read(request, Published)
    context: Context = request.app.state.context

    def published() -> int:
        return comments.publish(context, change_id, n, person=person, text=body.text)

    return JSONResponse({"published": await run_in_threadpool(published)})


async def _read(request: Request, model: type[_Read]) -> _Read:
    content = await raw_body(request, MAX_BODY)
    try:
        return model.model_validate(parse_json(content, "request body"))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from error


def _thread_json(thread: Thread) -> dict[str, Any]:
    return {
        "id": thread.id,
        "revision": thread.n,
        "path": thread.begun.path,
        "side": thread.begun.side,
        "line": thread.begun.line,
        "quote": thread.quote,
        "blocking": thread.blocking,
        "draft": thread.draft,
        "resolved": thread.resolved_at is not None,
        "resolved_by": thread.resolved_by or None,
        "resolved_at": thread.resolved_at.isoformat() if thread.resolved_at else None,
        "now": None if thread.spot is None else thread.spot._asdict(),
        "comments": [
            {
                "id": one.id,
                "kind": one.kind,
                "text": one.text,
                "who": one.who,
                "by_platform": one.by_platform,
                "at": one.at.isoformat(),
                "draft": one.draft,
            }
            for one in thread.comments
        ],
    }
