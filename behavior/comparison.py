# SPDX-License-Identifier: Apache-2.0
"""Compare recorded slates: what a change does, as far as slates can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from behavior._analysis import Analysis, analyse
from behavior._cell_findings import cell_findings
from behavior._label_noise import label_notes
from behavior.audits import Audit, ProbeResult, audit_verdict
from behavior.slates import Slates, require_same_requests

if TYPE_CHECKING:
    from behavior.panels import Panel

SHOWN_BY_SLATES = ("exposure", "targeting", "discovery", "quality")  # the probes that need nothing but slates


def compare(panel: Panel, base: Slates, head: Slates, *, anchor: Slates | None = None) -> Audit:
    """Judge head's slates against base's on every slice and cohort of the panel.

    With ``anchor``, an earlier version's slates, head is also held to the margins against it, since many changes
    that are each within the margin add up. Of the panel's required probes only those that slates can show are held
    against the comparison.

    Raises:
        SlatesError: the sides do not answer the same users and contexts.
    """
    analyses, probes = run_slate_probes(panel, base, head, anchor)
    cells = tuple(cell for analysis in analyses for cell in analysis.cells)
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
) -> tuple[list[Analysis], tuple[ProbeResult, ...]]:
    """The exposure probe, and the anchor's when there is one."""
    require_same_requests(base, head, panel)
    if not panel.slices:
        return [], (ProbeResult("exposure", run=False, reason="the panel has no slices"),)
    analyses = [analyse(panel, base, head, "exposure")]
    probes = [_summary(panel, analyses[0], "exposure")]
    if anchor is not None:
        require_same_requests(anchor, head, panel, ("anchor", "head"))
        analyses.append(analyse(panel, anchor, head, "anchor"))
        probes.append(_summary(panel, analyses[1], "anchor"))
    return analyses, tuple(probes)


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
