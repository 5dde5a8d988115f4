# SPDX-License-Identifier: Apache-2.0
"""The transparency log, to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from service.pages._common import Desk, SignedIn, page

if TYPE_CHECKING:
    from service.views import IncidentView, LogLine, OwedReview, WitnessView

router = APIRouter()

_LINES = 100


@dataclass(frozen=True, slots=True)
class LogPage:
    """A stretch of the log, newest first. ``older`` is the address of the next stretch, empty at the end.

    ``sought`` is what was searched for, empty if nothing was; ``searched`` is how many of the newest entries were
    looked through for it. ``witnesses`` say who has cosigned the checkpoint, and ``quorum`` whether that is enough,
    empty where the roots ask for none. ``incidents`` are what must not be, open ones first;
    ``owed`` the reviews that are due or overdue.
    """

    template: ClassVar[str] = "log.html"
    size: int
    checkpoint: str
    lines: tuple[LogLine, ...]
    older: str
    incidents: tuple[IncidentView, ...]
    owed: tuple[OwedReview, ...]
    sought: str = ""
    searched: int = 0
    witnesses: tuple[WitnessView, ...] = ()
    quorum: str = ""

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
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The log's entries and its signed checkpoint; those that hold ``q``, where that is asked for."""
    view = reviews.log(before=before, limit=_LINES, sought=q)
    older = f"/log?{urlencode({'before': view.older} | ({'q': q} if q else {}))}" if view.older is not None else ""
    shown = LogPage(
        size=view.size,
        checkpoint=view.checkpoint,
        lines=view.lines,
        older=older,
        incidents=reviews.incidents(),
        owed=reviews.owed(),
        sought=q.strip(),
        searched=view.searched,
        witnesses=view.witnesses,
        quorum=view.quorum,
    )
    return page(request, shown, person)
