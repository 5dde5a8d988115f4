# SPDX-License-Identifier: Apache-2.0
"""What is said about a change: its threads, the form to begin one, and one's drafts until they are published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from evidence import InputError, NotFoundError
from reports import file_anchor
from service import comments, discussion
from service.comments import MAX_TEXT, Author
from service.pages._common import Desk, Room, SignedIn, page
from service.pages._heading import Heading, heading, read, root
from service.placing import Commits, Spot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.discussion import Thread
    from service.views import RevisionView

router: APIRouter = APIRouter()

_BIGGEST = (1 << 31) - 1
_AROUND = 4  # lines shown above and below the one that is spoken of

Number = Annotated[str, Form(max_length=10, pattern=r"^[0-9]*$")]
Words = Annotated[str, Form(max_length=3 * MAX_TEXT)]
Letter = Literal["head", "base"]


_SIDES: Mapping[str, tuple[Letter, ...]] = {"added": ("head",), "removed": ("base",)}


class ThreadAt(NamedTuple):
    """A thread with where it stands in words, and a link to that line; no link where no page shows it."""

    thread: Thread
    where: str
    url: str


class Section(NamedTuple):
    """Threads that stand together on the page."""

    name: str
    anchor: str
    threads: tuple[ThreadAt, ...]


@dataclass(frozen=True, slots=True)
class ThreadsPage:
    """The threads of a change as seen from one revision. ``drafts`` are the reader's comments that nobody else sees.

    ``closed`` says why no thread can be begun on this revision; empty where one can.
    """

    template: ClassVar[str] = "threads.html"
    heading: Heading
    sections: tuple[Section, ...]
    drafts: int
    longest: int
    closed: str

    @property
    def title(self) -> str:
        """Threads of which change."""
        return f"Threads: {self.heading.name}"


class NumberedLine(NamedTuple):
    """A line of a file, and whether it is the one that is spoken of."""

    number: int
    text: str
    here: bool


@dataclass(frozen=True, slots=True)
class CommentPage:
    """The form to begin a thread on a file of a revision, with the lines around the one that was chosen.

    ``sides`` are those that the file has. ``problem`` says why the line cannot be shown.
    """

    template: ClassVar[str] = "comment.html"
    heading: Heading
    path: str
    anchor: str
    side: Letter
    line: str
    sides: tuple[Letter, ...]
    around: tuple[NumberedLine, ...]
    problem: str
    longest: int

    @property
    def title(self) -> str:
        """A comment on which change."""
        return f"Comment: {self.heading.name}"


@router.get("/changes/{change_id}/revisions/{n}/threads", response_model=None)
def threads(request: Request, person: SignedIn, reviews: Desk, context: Room, change_id: int, n: int) -> Response:
    """Every thread of the change, those that block it first."""
    reading = read(reviews, change_id, n)
    found = discussion.threads(context, change_id, n, person)
    view = ThreadsPage(
        heading=heading(reading, "threads"),
        sections=_sections(reading.revision, found),
        drafts=sum(thread.drafts for thread in found),
        longest=MAX_TEXT,
        closed="" if n == reading.change.latest.n else "New threads go to the latest revision. Answers go anywhere.",
    )
    return page(request, view, person)


@router.get("/changes/{change_id}/revisions/{n}/comment", response_model=None)
def comment(  # noqa: PLR0913, PLR0917 - FastAPI's signature
    request: Request,
    person: SignedIn,
    reviews: Desk,
    context: Room,
    change_id: int,
    n: int,
    file: Annotated[str, Query(max_length=40)],
    side: Annotated[Letter, Query()] = "head",
    line: Annotated[str, Query(max_length=10, pattern=r"^[0-9]*$")] = "",
) -> Response:
    """The form to begin a thread on a file, or on one of its lines."""
    reading = read(reviews, change_id, n)
    entry = _file(reading.revision, file)
    sides = _SIDES.get(entry["status"], ("head", "base"))
    chosen: Letter = side if side in sides else sides[0]
    around, problem = _around(context, reading.revision, Spot(entry["path"], chosen, int(line) if line else None))
    view = CommentPage(
        heading=heading(reading, "threads"),
        path=entry["path"],
        anchor=file,
        side=chosen,
        line=line,
        sides=sides,
        around=around,
        problem=problem,
        longest=MAX_TEXT,
    )
    return page(request, view, person)


@router.post("/changes/{change_id}/revisions/{n}/threads", response_model=None)
def begin(  # noqa: PLR0913, PLR0917 - the fields of the form
    person: SignedIn,
    reviews: Desk,
    context: Room,
    change_id: int,
    n: int,
    text: Words,
    file: Annotated[str, Form(max_length=40)] = "",
    side: Annotated[Letter, Form()] = "head",
    line: Number = "",
    blocking: Annotated[bool, Form()] = False,  # noqa: FBT002 - a box of the form
    then: Annotated[Literal["draft", "publish"], Form()] = "draft",
) -> Response:
    """Begin a thread, and show it: among the files if it is on one, else among the threads."""
    entry = _file(reviews.revision(change_id, n), file) if file else None
    spot = Spot() if entry is None else Spot(entry["path"], side, _line(line))
    begun = comments.begin(
        context, change_id, n, spot, text=text, person=person, blocking=blocking, draft=then == "draft"
    )
    return RedirectResponse(f"{root(change_id, n)}/{'files' if entry else 'threads'}#t{begun}", status_code=303)


@router.post("/changes/{change_id}/revisions/{n}/threads/{thread_id}/replies", response_model=None)
def reply(
    person: SignedIn,
    context: Room,
    change_id: int,
    n: int,
    thread_id: int,
    text: Words,
    then: Annotated[Literal["draft", "publish", "resolve"], Form()] = "draft",
) -> Response:
    """Answer a thread: as a draft, at once, or with resolving it."""
    if then == "resolve":
        comments.settle(context, change_id, thread_id, resolved=True, person=person, text=text)
    else:
        author = Author(person.id)
        comments.reply(context, change_id, thread_id, text=text, author=author, draft=then == "draft")
    return _back(change_id, n, thread_id)


@router.post("/changes/{change_id}/revisions/{n}/threads/{thread_id}/resolution", response_model=None)
def settle(
    person: SignedIn,
    context: Room,
    change_id: int,
    n: int,
    thread_id: int,
    resolved: Annotated[bool, Form()],
) -> Response:
    """Resolve a thread without a word more, or reopen it."""
    comments.settle(context, change_id, thread_id, resolved=resolved, person=person)
    return _back(change_id, n, thread_id)


@router.post("/changes/{change_id}/revisions/{n}/drafts/{comment_id}", response_model=None)
def revise(
    person: SignedIn,
    context: Room,
    change_id: int,
    n: int,
    comment_id: int,
    text: Words = "",
    then: Annotated[Literal["save", "discard"], Form()] = "save",
) -> Response:
    """Write a draft anew, or throw it away."""
    if then == "discard":
        comments.discard(context, change_id, comment_id, person=person)
    else:
        comments.revise(context, change_id, comment_id, text=text, person=person)
    return RedirectResponse(f"{root(change_id, n)}/threads", status_code=303)


@router.post("/changes/{change_id}/revisions/{n}/drafts", response_model=None)
def publish(person: SignedIn, context: Room, change_id: int, n: int, text: Words = "") -> Response:
    """Publish all of one's drafts together, with an answer to the change if there is one."""
    comments.publish(context, change_id, n, person=person, text=text)
    return RedirectResponse(f"{root(change_id, n)}/threads", status_code=303)


def described(revision: RevisionView, thread: Thread) -> ThreadAt:
    """A thread with where it stands in this revision."""
    at = root(revision.change_id, revision.n)
    spot = thread.spot
    if spot is None:
        there = root(revision.change_id, thread.n)
        line = f", line {thread.begun.line} of {thread.begun.side}" if thread.begun.line is not None else ""
        url = f"{there}/files#{_line_anchor(thread.begun)}"
        return ThreadAt(thread, f"{thread.begun.path}{line} in revision {thread.n}", url)
    if not spot.path:
        return ThreadAt(thread, "the change as a whole", f"{at}/threads#t{thread.id}")
    shown = any(file["path"] == spot.path for file in (revision.diff or {}).get("files", ()))
    line = f", line {spot.line} of {spot.side}" if spot.line is not None else ""
    return ThreadAt(thread, f"{spot.path}{line}", f"{at}/files#{_line_anchor(spot)}" if shown else "")


def _sections(revision: RevisionView, found: tuple[Thread, ...]) -> tuple[Section, ...]:
    at = tuple(described(revision, thread) for thread in found)
    sections = (
        Section("Block this change", "blocking", tuple(one for one in at if one.thread.open and one.thread.blocking)),
        Section("Open", "open", tuple(one for one in at if one.thread.open and not one.thread.blocking)),
        Section("Your drafts", "drafts", tuple(one for one in at if one.thread.draft)),
        Section("Resolved", "resolved", tuple(one for one in at if one.thread.resolved_at is not None)),
    )
    return tuple(section for section in sections if section.threads)


def _around(context: Room, revision: RevisionView, spot: Spot) -> tuple[tuple[NumberedLine, ...], str]:
    """The lines around a spot, and why there are none."""
    if spot.line is None or revision.base_commit is None:
        return (), ""
    try:
        commits = Commits(revision.base_commit, revision.head_commit)
        lines = discussion.lines(context, revision.change_id, revision.n, commits, spot)
    except InputError as error:
        return (), f"{error}."
    if not 1 <= spot.line <= len(lines):
        return (), f"The {spot.side} side has {len(lines)} lines, and no line {spot.line}."
    first = max(1, spot.line - _AROUND)
    shown = lines[first - 1 : spot.line + _AROUND]
    return tuple(NumberedLine(first + at, text, first + at == spot.line) for at, text in enumerate(shown)), ""


def _file(revision: RevisionView, anchor: str) -> dict[str, str]:
    """The changed file of an anchor, since a path may not survive a form."""
    for entry in (revision.diff or {}).get("files", ()):
        if file_anchor(entry["path"]) == anchor:
            return {"path": entry["path"], "status": entry["status"]}
    raise NotFoundError("this revision has no such file: reload the page")


def _line(text: str) -> int | None:
    if not text:
        return None
    if int(text) > _BIGGEST:
        raise InputError("no file has that many lines")
    return int(text)


def _line_anchor(spot: Spot) -> str:
    letter = "R" if spot.side == "head" else "L"
    return file_anchor(spot.path) + (f"{letter}{spot.line}" if spot.line is not None else "")


def _back(change_id: int, n: int, thread_id: int) -> Response:
    return RedirectResponse(f"{root(change_id, n)}/threads#t{thread_id}", status_code=303)
