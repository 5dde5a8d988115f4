# SPDX-License-Identifier: Apache-2.0
"""Compare recorded slates: what a change does, as far as slates can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from behavior._analysis import Analysis, analyse
from behavior._cell_findings import cell_findings
from behavior._label_noise import label_notes
from behavior.audits import Audit, ProbeResult, audit_verdict
from behavior.discovery import discovery
from behavior.individual import individual
from behavior.quality import quality
from behavior.slates import Slates, require_same_requests
from behavior.targeting import targeting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from behavior._probed import Probed
    from behavior.cells import Cell
    from behavior.panels import Panel

    SlateProbe = Callable[[Panel, Slates, Slates, Sequence[Cell]], Probed | None]

# The probes that need nothing but slates, beside exposure, in the order they run. Each is given base, head and the
# cells of the exposure probe; None is a probe that the panel does not ask for.
SLATE_PROBES: Mapping[str, SlateProbe] = {
    "targeting": targeting,
    "discovery": discovery,
    "quality": quality,
    "individual": individual,
}
SHOWN_BY_SLATES = ("exposure", *SLATE_PROBES)


def compare(panel: Panel, base: Slates, head: Slates, *, anchor: Slates | None = None) -> Audit:
    """Judge head's slates against base's on every slice and cohort of the panel.

    With ``anchor``, an earlier version's slates, head is also held to the margins against it, since many changes
    that are each within the margin add up. Of the panel's required probes only those that slates can show are held
    against the comparison.

    Raises:
        SlatesError: the sides do not answer the same users and contexts.
    """
    cells, probes = run_slate_probes(panel, base, head, anchor)
    required = [name for name in panel.toml.probes.required if name in SHOWN_BY_SLATES]
    probes = (*probes, *missing_probes(required, probes))
    return Audit(
        verdict=audit_verdict(cells, probes, required),
        panel=panel.summary(),
        base=base.digest,
        head=head.digest,
        anchor=None if anchor is None else anchor.digest,
        cells=cells,
        probes=probes,
        findings=tuple(cell_findings(cells)),
        seed=panel.toml.seed,
    )


def run_slate_probes(
    panel: Panel, base: Slates, head: Slates, anchor: Slates | None
) -> tuple[tuple[Cell, ...], tuple[ProbeResult, ...]]:
    """Every probe that slates can show: exposure, the anchor's when there is one, and those of ``SLATE_PROBES``."""
    require_same_requests(base, head, panel)
    if anchor is not None:
        require_same_requests(anchor, head, panel, ("anchor", "head"))
    cells: list[Cell] = []
    probes: list[ProbeResult] = []
    sides = {"exposure": base} | ({} if anchor is None else {"anchor": anchor})
    for name, side in sides.items():
        if panel.slices:
            analysis = analyse(panel, side, head, name)
            cells += analysis.cells
            probes.append(_summary(panel, analysis, name))
        else:
            probes.append(ProbeResult(name, run=False, reason="the panel has no slices"))
    primary = tuple(cell for cell in cells if cell.probe == "exposure")
    for probe in SLATE_PROBES.values():
        probed = probe(panel, base, head, primary)
        if probed is None:
            continue
        cells += probed.cells
        probes.append(probed.result)
    return tuple(cells), tuple(probes)


def missing_probes(required: list[str], done: tuple[ProbeResult, ...]) -> list[ProbeResult]:
    """A not-run result for every required probe that there is no result of."""
    there = {probe.name for probe in done}
    return [
        ProbeResult(name, run=False, reason="this version of Countersign has no such probe")
        for name in required
        if name not in there
    ]


def _summary(panel: Panel, analysis: Analysis, name: str) -> ProbeResult:
    parts = [
        f"{analysis.users:,} of {panel.users.height:,} users; {len(panel.slices)} slices, {len(panel.cohorts)} cohorts",
        f"slates differ for {analysis.changed:,} users and {analysis.moved:,} items moved",
        f"{panel.toml.permutations:,} permutations within {analysis.strata} strata",
        f"statistics {', '.join(analysis.statistics)}",
    ]
    if analysis.depth is None:
        parts.append(f"deep statistic not run: the slates are no deeper than k = {panel.k}")
    elif analysis.depth < panel.depth:
        parts.append(f"deep statistic at {analysis.depth} instead of {panel.depth}: the slates end there")
    parts += label_notes(panel)
    return ProbeResult(
        name,
        run=True,
        summary="; ".join(parts) + ".",
        searched={
            "cells": len(analysis.cells),
            "users": analysis.users,
            "permutations": panel.toml.permutations,
            "statistics": list(analysis.statistics),
            "statistics_not_run": [] if analysis.depth is not None else ["deep"],
        },
    )
