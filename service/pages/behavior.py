# SPDX-License-Identifier: Apache-2.0
"""What a revision does: the plots, the tables, the probes, and the findings of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from reports import (
    BehaviorView,
    FindingView,
    UnknownGroup,
    behavior_view,
    finding_views,
    grouped,
    unknowns,
    worst_findings_first,
)
from service.pages._common import Desk, SignedIn, page
from service.pages._heading import Heading, heading, read

router = APIRouter()


@dataclass(frozen=True, slots=True)
class BehaviorPage:
    """The audit of a revision; ``behavior`` is None where nothing was run."""

    template: ClassVar[str] = "behavior.html"
    heading: Heading
    behavior: BehaviorView | None
    findings: tuple[FindingView, ...]
    unknown: tuple[UnknownGroup, ...]
    reason: str

    @property
    def title(self) -> str:
        """Behavior of which change."""
        return f"Behavior: {self.heading.name}"


@router.get("/changes/{change_id}/revisions/{n}/behavior", response_model=None)
def behavior(request: Request, person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """What base and head did over the panel."""
    reading = read(reviews, change_id, n)
    audit, error = reading.revision.audit, reading.revision.error
    findings = worst_findings_first((audit or {}).get("findings", ()))
    view = BehaviorPage(
        heading=heading(reading, "behavior"),
        behavior=behavior_view(audit) if audit is not None else None,
        findings=finding_views(findings),
        unknown=grouped(item for item in unknowns({}, audit) if item.kind != "absent"),
        reason=error.public if error is not None else "",
    )
    return page(request, view, person)
