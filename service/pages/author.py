# SPDX-License-Identifier: Apache-2.0
"""The submitter's page: what blocks a change, and what to do about it, as far as the platform may know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fastapi import APIRouter, Request, Response

from service.blocking import blocking
from service.pages._common import Desk, Room, SignedIn, page
from service.pages._heading import Heading, heading, read

if TYPE_CHECKING:
    from service.blocking import Block
    from service.life import State

router: APIRouter = APIRouter()


@dataclass(frozen=True, slots=True)
class AuthorPage:
    """What blocks the latest revision: what the author has to do, and what they wait for. ``api`` says the same."""

    template: ClassVar[str] = "author.html"
    heading: Heading
    state: State
    yours: tuple[Block, ...]
    others: tuple[Block, ...]
    api: str

    @property
    def title(self) -> str:
        """What blocks which change."""
        return f"What blocks: {self.heading.name}"


@router.get("/changes/{change_id}/author", response_model=None)
def author(request: Request, person: SignedIn, reviews: Desk, context: Room, change_id: int) -> Response:
    """What blocks a change, in the words that its platform gets."""
    found = blocking(context, change_id)
    view = AuthorPage(
        heading=heading(read(reviews, change_id, found.n), "author"),
        state=found.state,
        yours=tuple(block for block in found.blocks if block.who == "author"),
        others=tuple(block for block in found.blocks if block.who != "author"),
        api=f"{context.settings.url}/api/v1/changes/{change_id}",
    )
    return page(request, view, person)
