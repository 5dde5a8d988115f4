# SPDX-License-Identifier: Apache-2.0
"""The queue: whose turn it is, since when, and why; filtered, and by views that somebody saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, NamedTuple
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError
from service import attention, saved_views
from service.arrivals import now
from service.attention import TURNS, Filter
from service.pages._common import Desk, Room, SignedIn, page

if TYPE_CHECKING:
    from service.attention import Age
    from service.saved_views import SavedView
    from service.views import OwedReview, QueueRow, Turn

router: APIRouter = APIRouter()

_TURNS: dict[Turn, str] = {
    "reviewer": "Your turn",
    "others": "Another reviewer's turn",
    "service": "Being worked on",
    "author": "The author's turn",
    "nobody": "Done",
}
_DAYS: Final = (1, 2, 7, 30)


class _Asked(BaseModel):
    """The filter as it comes in a query or out of a saved view."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str = Field(default="", max_length=200)
    turn: Literal["", "reviewer", "others", "service", "author", "nobody"] = ""
    verdict: Literal["", "pass", "fail", "inconclusive", "none"] = ""
    repository: str = Field(default="", max_length=400)
    days: Annotated[int, Field(ge=0, le=3660)] = 0

    def filter(self) -> Filter:
        """What it asks for."""
        return Filter(self.text.strip(), self.turn, self.verdict, self.repository, self.days)


def _asked(
    text: Annotated[str, Query(max_length=200)] = "",
    turn: Annotated[str, Query(max_length=20)] = "",
    verdict: Annotated[str, Query(max_length=20)] = "",
    repository: Annotated[str, Query(max_length=400)] = "",
    days: Annotated[str, Query(max_length=10)] = "",
) -> Filter:
    return _parsed({"text": text, "turn": turn, "verdict": verdict, "repository": repository, "days": days or "0"})


class AgedRow(NamedTuple):
    """A change in the queue, and whether it has waited long."""

    row: QueueRow
    age: Age


class Group(NamedTuple):
    """The changes that wait for the same somebody."""

    name: str
    rows: tuple[AgedRow, ...]


class Choice(NamedTuple):
    """One option of the filter."""

    value: str
    name: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Every change by its latest revision, grouped by whose turn it is, below the reviews that are ``owed``.

    ``waiting`` is how many changes wait for the reader; ``total`` how many there are, of which the filter lets
    ``shown`` through. ``saved`` are the reader's views, ``query`` the filter that is in force, empty for none.
    """

    template: ClassVar[str] = "queue.html"
    owed: tuple[OwedReview, ...]
    groups: tuple[Group, ...]
    waiting: int = 0
    total: int = 0
    shown: int = 0
    text: str = ""
    query: str = ""
    turns: tuple[Choice, ...] = ()
    verdicts: tuple[Choice, ...] = ()
    repositories: tuple[Choice, ...] = ()
    days: tuple[Choice, ...] = ()
    saved: tuple[SavedView, ...] = ()

    @property
    def title(self) -> str:
        """How many changes wait for the reader, first."""
        return f"({self.waiting}) Queue" if self.waiting else "Queue"


@router.get("/", response_model=None)
def queue(
    request: Request,
    person: SignedIn,
    reviews: Desk,
    context: Room,
    wanted: Annotated[Filter, Depends(_asked)],
) -> Response:
    """The changes under review, as the reader has them."""
    rows, moment = reviews.queue(person), now()
    shown = [AgedRow(row, attention.age(row, moment)) for row in rows if wanted.lets(row, moment)]
    groups = (Group(_TURNS[turn], tuple(one for one in shown if one.row.whose_turn == turn)) for turn in TURNS)
    repositories = sorted({row.repository for row in rows} | ({wanted.repository} - {""}))
    view = QueuePage(
        owed=reviews.owed(),
        groups=tuple(group for group in groups if group.rows),
        waiting=sum(row.whose_turn == "reviewer" for row in rows),
        total=len(rows),
        shown=len(shown),
        text=wanted.text,
        query=wanted.query,
        turns=_choices([(turn, _TURNS[turn]) for turn in TURNS], wanted.turn),
        verdicts=_choices(
            [(name, name) for name in ("fail", "inconclusive", "pass")] + [("none", "none yet")], wanted.verdict
        ),
        repositories=_choices([(name, name) for name in repositories], wanted.repository),
        days=_choices([(str(days), f"{days} day{'s' if days > 1 else ''}") for days in _DAYS], str(wanted.days)),
        saved=saved_views.listed(context.database, person),
    )
    return page(request, view, person)


@router.post("/views", response_model=None)
def save(
    person: SignedIn,
    context: Room,
    name: Annotated[str, Form(max_length=200)] = "",
    query: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Keep the filter of a query under a name, and show it."""
    wanted = _parsed(dict(parse_qsl(query)))
    saved_views.save(context.database, person, name, wanted)
    return RedirectResponse(f"/?{wanted.query}", status_code=303)


@router.post("/views/remove", response_model=None)
def remove(person: SignedIn, context: Room, name: Annotated[str, Form(max_length=200)] = "") -> Response:
    """Take one's view of that name away."""
    saved_views.remove(context.database, person, name)
    return RedirectResponse("/", status_code=303)


def _parsed(given: dict[str, str]) -> Filter:
    try:
        return _Asked.model_validate(given).filter()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(f"the filter's {'.'.join(map(str, first['loc']))} is none: {first['msg']}") from error


def _choices(options: list[tuple[str, str]], chosen: str) -> tuple[Choice, ...]:
    return tuple(Choice(value, name, value == chosen) for value, name in options)
