# SPDX-License-Identifier: Apache-2.0
"""What moved in the models and data that a revision declares: the plots, and the findings in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from reports import (
    FindingView,
    ModelView,
    UnknownGroup,
    finding_views,
    grouped,
    model_views,
    unknowns,
    worst_findings_first,
)
from service.pages._common import Desk, SignedIn, page
from service.pages._heading import Heading, heading, read

router = APIRouter()


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """The artifacts of a revision; ``verdict`` is empty where none were compared."""

    template: ClassVar[str] = "models.html"
    heading: Heading
    verdict: str
    models: tuple[ModelView, ...]
    findings: tuple[FindingView, ...]
    unknown: tuple[UnknownGroup, ...]

    @property
    def title(self) -> str:
        """Models of which change."""
        return f"Models: {self.heading.name}"


@router.get("/changes/{change_id}/revisions/{n}/models", response_model=None)
def models(request: Request, person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """What base's artifacts and head's differ in."""
    reading = read(reviews, change_id, n)
    document = reading.revision.artifacts or {}
    view = ModelsPage(
        heading=heading(reading, "models"),
        verdict=document.get("verdict", ""),
        models=model_views(document),
        findings=finding_views(worst_findings_first(document.get("findings", ()))),
        unknown=grouped(item for item in unknowns({}, None, document) if item.kind == "not-analysed"),
    )
    return page(request, view, person)
