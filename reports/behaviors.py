# SPDX-License-Identifier: Apache-2.0
"""An audit as it is shown: the sentence, the plots, the tables, the probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports import words
from reports.cells import FAMILIES, CellRow, verdict_counts
from reports.plot import Chart, forest_plot
from reports.sentences import behavior_sentence, seen

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE_ROWS: Final = 200  # a table of more is not read; the JSON has all


@dataclass(frozen=True, slots=True)
class ProbeView:
    """One probe: whether it ran, and what it says."""

    name: str
    ran: bool
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class FamilyView:
    """One family of cells: its plot, and the rows of its table, worst first. ``left`` rows are in the JSON only."""

    name: str
    explained: str
    chart: Chart
    counts: tuple[tuple[str, int], ...]
    rows: tuple[CellRow, ...]
    left: int


@dataclass(frozen=True, slots=True)
class PanelView:
    """The panel an audit used, in words."""

    name: str
    digest: str
    users: str
    items: str
    k: str


@dataclass(frozen=True, slots=True)
class BehaviorView:
    """What a change does, to read."""

    sentence: str
    seen: str
    verdict: str
    panel: PanelView
    families: tuple[FamilyView, ...]
    probes: tuple[ProbeView, ...]


_EXPLAINED: Final[Mapping[str, str]] = {
    "primary": "The slices and cohorts that the panel declared before the run. These decide the verdict.",
    "secondary": "Every other label. A shift here must be answered and fails nothing by itself.",
    "exploratory": "Found by searching, confirmed on data the search did not see.",
}


def behavior_view(audit: Mapping[str, Any]) -> BehaviorView:
    """The audit document of ``formats.md`` to show: primary cells always, other families where there are any."""
    families = [family_view(audit, name, name, _EXPLAINED[name]) for name in FAMILIES]
    panel = audit.get("panel") or {}
    return BehaviorView(
        sentence=behavior_sentence(audit),
        seen=seen(families[0].chart.rows),
        verdict=audit["verdict"],
        panel=PanelView(
            name=panel.get("name") or words.MISSING,
            digest=panel.get("digest") or words.MISSING,
            users=words.count(panel.get("users") or 0, "user"),
            items=words.count(panel.get("items") or 0, "item"),
            k=str(panel.get("k") or words.MISSING),
        ),
        families=tuple(family for family in families if family.name == "primary" or family.chart.rows),
        probes=tuple(_probe(probe) for probe in audit.get("probes", ())),
    )


def family_view(audit: Mapping[str, Any], family: str, name: str, explained: str) -> FamilyView:
    """One family of the cells of an audit, or of anything with ``cells``, under a name of its own."""
    chart = forest_plot(audit, family=family)
    return FamilyView(
        name=name,
        explained=explained,
        chart=chart,
        counts=verdict_counts(chart.rows),
        rows=chart.rows[:TABLE_ROWS],
        left=max(0, len(chart.rows) - TABLE_ROWS),
    )


def _probe(probe: Mapping[str, Any]) -> ProbeView:
    ran = probe["status"] == "run"
    text = probe.get("summary") if ran else probe.get("reason")
    return ProbeView(
        name=probe["name"],
        ran=ran,
        status="run" if ran else "not run",
        text=text or ("no summary" if ran else "no reason given"),
    )
