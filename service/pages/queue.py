# SPDX-License-Identifier: Apache-2.0
"""The queue: whose turn it is, since when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fastapi import APIRouter, Request, Response

from service.pages._common import Desk, SignedIn, page

if TYPE_CHECKING:
    from service.views import OwedReview, QueueRow, Turn

router = APIRouter()

_TURNS: dict[Turn, str] = {
    "reviewer": "Your turn",
    "service": "Being worked on",
    "author": "The author's turn",
    "nobody": "Done",
}


class Group(NamedTuple):
    """The changes that wait for the same somebody."""

    name: str
    rows: tuple[QueueRow, ...]


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Every change by its latest revision, grouped by whose turn it is, below the reviews that are ``owed``."""

    template: ClassVar[str] = "queue.html"
    owed: tuple[OwedReview, ...]
    groups: tuple[Group, ...]

    @property
    def title(self) -> str:
        """How many changes wait for the reader, first."""
        waiting = sum(len(group.rows) for group in self.groups if group.name == _TURNS["reviewer"])
        return f"({waiting}) Queue" if waiting else "Queue"


@router.get("/", response_model=None)
def queue(request: Request, person: SignedIn, reviews: Desk) -> Response:
    """The changes under review."""
    rows = reviews.queue()
    groups = (Group(name, tuple(row for row in rows if row.whose_turn == turn)) for turn, name in _TURNS.items())
    return page(request, QueuePage(reviews.owed(), tuple(group for group in groups if group.rows)), person)
