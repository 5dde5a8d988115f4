# SPDX-License-Identifier: Apache-2.0
"""The report of an absolute audit: one version beside plain rankings, with nothing that passes or fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports import words
from reports.behaviors import FamilyView, family_view
from reports.findings import FindingView, finding_views
from reports.rendering import standalone

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class BaselineView:
    """One plain ranking: its cells, or why there are none."""

    name: str
    explained: str
    cells: FamilyView | None
    reason: str


@dataclass(frozen=True, slots=True)
class AbsoluteView:
    """What ``absolute.html`` is given."""

    panel: str
    digest: str
    users: str
    items: str
    k: str
    unsafe: bool
    baselines: tuple[BaselineView, ...]
    findings: tuple[FindingView, ...]
    version: str


def absolute_view(document: Mapping[str, Any]) -> AbsoluteView:
    """The absolute document to show."""
    panel = document["panel"]
    return AbsoluteView(
        panel=panel["name"],
        digest=document["audited"]["digest"],
        users=words.count(panel["users"], "user"),
        items=words.count(panel["items"], "item"),
        k=str(panel["k"]),
        unsafe=document["unsafe"],
        baselines=tuple(_baseline(each) for each in document["baselines"]),
        findings=finding_views(document["findings"]),
        version=document["version"],
    )


def absolute_html(document: Mapping[str, Any]) -> str:
    """The absolute document as one HTML file that needs nothing else; the same bytes for the same document."""
    return standalone("absolute.html", absolute_view(document))


def _baseline(baseline: Mapping[str, Any]) -> BaselineView:
    return BaselineView(
        name=baseline["name"],
        explained=baseline["explained"],
        cells=family_view(baseline, "primary", baseline["name"], baseline["explained"]) if baseline["cells"] else None,
        reason=baseline["reason"] or "",
    )
