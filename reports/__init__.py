# SPDX-License-Identifier: Apache-2.0
"""What people read: the report as JSON and HTML, charts, highlighted diffs, and the words of verdicts."""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from reports.absolute import AbsoluteView, BaselineView, absolute_html, absolute_view
    from reports.annex import ANNEX_SCHEMA, annex_document
    from reports.annex_page import AnnexBlock, AnnexEntry, AnnexSection, AnnexView, annex_html, annex_view
    from reports.behaviors import BehaviorView, FamilyView, PanelView, ProbeView, behavior_view
    from reports.cells import CellRow, Drawn, cell_rows, verdict_counts
    from reports.document import (
        REPORT_SCHEMA,
        Unknown,
        UnknownGroup,
        all_findings,
        grouped,
        report_document,
        unknowns,
        worst_findings_first,
    )
    from reports.engagement import Conclusion, Engagement, opinion, read_engagement
    from reports.files import FileView, ShownRow, file_views
    from reports.findings import Fact, FindingView, finding_anchor, finding_views
    from reports.highlight import DiffRow, file_anchor, highlighted
    from reports.markdown import report_markdown
    from reports.models import ModelPage, ModelView, TableView, model_html, model_view, model_views
    from reports.page import ReportView, report_html
    from reports.plot import Chart, forest_plot
    from reports.rendering import environment, report_policy, stylesheet
    from reports.sarif import sarif_document
    from reports.sentences import behavior_sentence, code_sentence, verdict_of
    from reports.terminal import Screen, diff_text
    from reports.visible import visible, visible_html
    from reports.words import CELL_MEANINGS

__all__ = [
    "ANNEX_SCHEMA",
    "CELL_MEANINGS",
    "REPORT_SCHEMA",
    "AbsoluteView",
    "AnnexBlock",
    "AnnexEntry",
    "AnnexSection",
    "AnnexView",
    "BaselineView",
    "BehaviorView",
    "CellRow",
    "Chart",
    "Conclusion",
    "DiffRow",
    "Drawn",
    "Engagement",
    "Fact",
    "FamilyView",
    "FileView",
    "FindingView",
    "ModelPage",
    "ModelView",
    "PanelView",
    "ProbeView",
    "ReportView",
    "Screen",
    "ShownRow",
    "TableView",
    "Unknown",
    "UnknownGroup",
    "absolute_html",
    "absolute_view",
    "all_findings",
    "annex_document",
    "annex_html",
    "annex_view",
    "behavior_sentence",
    "behavior_view",
    "cell_rows",
    "code_sentence",
    "diff_text",
    "environment",
    "file_anchor",
    "file_views",
    "finding_anchor",
    "finding_views",
    "forest_plot",
    "grouped",
    "highlighted",
    "model_html",
    "model_view",
    "model_views",
    "opinion",
    "read_engagement",
    "report_document",
    "report_html",
    "report_markdown",
    "report_policy",
    "sarif_document",
    "stylesheet",
    "unknowns",
    "verdict_counts",
    "verdict_of",
    "visible",
    "visible_html",
    "worst_findings_first",
]

on_demand(__name__)
