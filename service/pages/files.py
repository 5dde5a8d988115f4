# SPDX-License-Identifier: Apache-2.0
"""The files of a revision: list and diffs, findings on their lines, viewed marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from evidence import NotFoundError
from reports import FileView, file_anchor, file_views, finding_views
from service import discussion
from service.pages._common import Desk, Room, SignedIn, page
from service.pages._heading import Heading, heading, read, root
from service.pages.threads import ThreadAt, described
from service.placing import keyed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.placing import Spot
    from service.views import RevisionView

router: APIRouter = APIRouter()


class MarkedFile(NamedTuple):
    """A file with its viewed mark, and its threads: by the line they are on (``R12``, ``L12``), and all others."""

    file: FileView
    viewed: bool
    on_lines: Mapping[str, list[ThreadAt]]
    elsewhere: tuple[ThreadAt, ...]


@dataclass(frozen=True, slots=True)
class FilesPage:
    """The changed files of a revision with their diffs, and how many drafts the reader has."""

    template: ClassVar[str] = "files.html"
    heading: Heading
    files: tuple[MarkedFile, ...]
    viewed: int
    compared: bool
    drafts: int

    @property
    def title(self) -> str:
        """Files of which change."""
        return f"Files: {self.heading.name}"


@router.get("/changes/{change_id}/revisions/{n}/files", response_model=None)
def files(request: Request, person: SignedIn, reviews: Desk, context: Room, change_id: int, n: int) -> Response:
    """Every changed file with its diff."""
    reading = read(reviews, change_id, n)
    revision = reading.revision
    findings = finding_views(revision.findings)
    views = file_views(reviews.patches(change_id, n), findings) if revision.diff is not None else ()
    said = discussion.threads(context, change_id, n, person)
    at = {thread.id: described(revision, thread) for thread in said}
    spots = {thread.id: thread.spot for thread in said if thread.spot is not None}
    marked = tuple(_marked(view, revision, at, spots) for view in views)
    view = FilesPage(
        heading=heading(reading, "files"),
        files=marked,
        viewed=sum(file.viewed for file in marked),
        compared=revision.diff is not None,
        drafts=sum(thread.drafts for thread in said),
    )
    return page(request, view, person)


@router.post("/changes/{change_id}/revisions/{n}/viewed", response_model=None)
def mark(
    person: SignedIn,
    reviews: Desk,
    change_id: int,
    n: int,
    file: Annotated[str, Form()],
    viewed: Annotated[bool, Form()],
    stay: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of the form
) -> Response:
    """Set or take back a viewed mark. ``file`` is the file's anchor, since a path may not survive a form.

    After a mark the next file without one is shown, unless one wants to ``stay``; after taking it back the same file.
    """
    revision = reviews.revision(change_id, n)
    paths = [entry["path"] for entry in (revision.diff or {}).get("files", ())]
    marked = next((path for path in paths if file_anchor(path) == file), None)
    if marked is None:
        raise NotFoundError("this revision has no such file: reload the page")
    reviews.mark_viewed(change_id, n, marked, person=person, viewed=viewed)
    target = file
    if viewed and not stay:
        at = paths.index(marked)
        unviewed = (path for path in paths[at + 1 :] + paths[:at] if path not in revision.viewed)
        target = next((file_anchor(path) for path in unviewed), "files")
    return RedirectResponse(f"{root(change_id, n)}/files#{target}", status_code=303)


def _marked(
    file: FileView, revision: RevisionView, at: Mapping[int, ThreadAt], spots: Mapping[int, Spot]
) -> MarkedFile:
    """A file with its threads where they are: on a line that is shown, or else above the diff."""
    mine = {name: spot for name, spot in spots.items() if spot.path == file.path}
    lines = keyed(mine).get(file.path, {})
    if lines:
        shown = {f"R{row.new}" for row, _ in file.rows if row.new is not None}
        shown |= {f"L{row.old}" for row, _ in file.rows if row.old is not None}
        lines = {key: names for key, names in lines.items() if key in shown}
    placed = {name for names in lines.values() for name in names}
    return MarkedFile(
        file,
        file.path in revision.viewed,
        {key: [at[name] for name in names] for key, names in lines.items()},
        tuple(at[name] for name in mine if name not in placed),
    )
