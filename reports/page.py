# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML file that needs nothing else: no script, no request, the same bytes for the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports.behaviors import BehaviorView, behavior_view
from reports.document import UnknownGroup, all_findings, grouped, unknowns
from reports.files import FileView, file_views
from reports.findings import FindingView, finding_views
from reports.models import ModelView, model_views
from reports.rendering import standalone
from reports.sentences import verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from diffing import FileChange, FilePatch

_REPORT_ROWS: Final = 40_000


@dataclass(frozen=True, slots=True)
class ReportView:
    """What ``report.html`` is given: the document, and its parts made ready to read."""

    document: Mapping[str, Any]
    title: str
    digest: str
    verdict: str
    code_verdict: str
    behavior_verdict: str
    findings: tuple[FindingView, ...]
    behavior: BehaviorView | None
    models: tuple[ModelView, ...]
    unknown: tuple[UnknownGroup, ...]
    files: tuple[FileView, ...]


def report_html(document: Mapping[str, Any], patches: Iterable[tuple[FileChange, FilePatch]] = ()) -> str:
    """The report document as a page, with the diff of the patches given.

    Its own security policy allows its one style block by hash and nothing else. The page holds what the document
    holds: it is the reviewer's, not the submitter's.
    """
    diff, audit, artifacts = document["diff"], document["audit"], document.get("artifacts")
    findings = finding_views(all_findings(diff, audit, artifacts))
    view = ReportView(
        document=document,
        title=document["title"] or "a change",
        digest=document["revision"]["digest"],
        verdict=document["verdict"],
        code_verdict=verdict_of(diff).value,
        behavior_verdict=verdict_of(audit).value,
        findings=findings,
        behavior=behavior_view(audit) if audit is not None else None,
        models=model_views(artifacts),
        unknown=grouped(unknowns(diff, audit, artifacts)),
        files=tuple(file_views(patches, findings, rows_a_page=_REPORT_ROWS)),
    )
    return standalone("report.html", view)
