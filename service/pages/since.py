# SPDX-License-Identifier: Apache-2.0
"""What changed since an earlier revision, which somebody signed: the difference of two heads, and nothing of base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fastapi import APIRouter, Request, Response

from reports import file_views
from service.pages._common import Desk, SignedIn, page
from service.pages._heading import Heading, heading, read

if TYPE_CHECKING:
    from reports import FileView

router = APIRouter()


@dataclass(frozen=True, slots=True)
class SincePage:
    """The files that differ between the head of revision ``earlier`` and this revision's."""

    template: ClassVar[str] = "since.html"
    heading: Heading
    earlier: int
    files: tuple[FileView, ...]

    @property
    def title(self) -> str:
        """Since which revision, and of which change."""
        return f"Since revision {self.earlier}: {self.heading.name}"


@router.get("/changes/{change_id}/revisions/{n}/since/{earlier}", response_model=None)
def since(request: Request, person: SignedIn, reviews: Desk, change_id: int, n: int, earlier: int) -> Response:
    """The difference between two revisions of one change."""
    reading = read(reviews, change_id, n)
    files = tuple(file_views(reviews.patches_since(change_id, n, earlier), ()))
    return page(request, SincePage(heading(reading, "files"), earlier, files), person)
