# SPDX-License-Identifier: Apache-2.0
"""What the words mean: for everybody, signed in or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fastapi import APIRouter, Request, Response

from service.glossary import glossary
from service.pages._common import page, person_of

if TYPE_CHECKING:
    from service.glossary import Words

router = APIRouter()


@dataclass(frozen=True, slots=True)
class WordsPage:
    """The glossary."""

    template: ClassVar[str] = "words.html"
    groups: tuple[Words, ...]

    @property
    def title(self) -> str:
        """Always the same."""
        return "What the words mean"


@router.get("/words", response_model=None)
def words(request: Request) -> Response:
    """Every word, verdict, state and answer that pages and reports use."""
    return page(request, WordsPage(glossary()), person_of(request))
