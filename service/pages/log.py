# SPDX-License-Identifier: Apache-2.0
"""The transparency log, to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response

from service.pages._common import Desk, SignedIn, page

if TYPE_CHECKING:
    from service.views import IncidentView, LogLine

router = APIRouter()

_LINES = 100


@dataclass(frozen=True, slots=True)
class LogPage:
    """A stretch of the log, newest first. ``older`` is the address of the next stretch, empty at the end.

    ``incidents`` are what was rolled out without a gate's decision, or decided and not rolled out, open ones first.
    """

    template: ClassVar[str] = "log.html"
    size: int
    checkpoint: str
    lines: tuple[LogLine, ...]
    older: str
    incidents: tuple[IncidentView, ...]

    @property
    def title(self) -> str:
        """Always the same."""
        return "Log"


@router.get("/log", response_model=None)
def log(
    request: Request,
    person: SignedIn,
    reviews: Desk,
    before: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The log's entries and its signed checkpoint."""
    view = reviews.log(before=before, limit=_LINES)
    older = f"/log?before={view.lines[-1].index}" if view.lines and view.lines[-1].index > 0 else ""
    return page(request, LogPage(view.size, view.checkpoint, view.lines, older, reviews.incidents()), person)
