# SPDX-License-Identifier: Apache-2.0
"""Compare recorded slates: what a change does, as far as slates can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from behavior._analysis import Analysis, analyse
from behavior._cell_findings import cell_findings
from behavior._label_noise import label_notes
from behavior._spending import at_revision
from behavior.audits import Audit, ProbeResult, audit_verdict
from behavior.cells import rounded
from behavior.discovery import discovery
from behavior.individual import individual
from behavior.quality import quality
from behavior.rebuilds import Rebuilds
from behavior.slates import Slates, require_same_requests
from behavior.targeting import targeting
from evidence import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from behavior._analysis import Rebuilt
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


def compare(
    panel: Panel,
    base: Slates,
    head: Slates,
    *,
    anchor: Slates | None = None,
    base_rebuilds: Sequence[Slates] = (),
    head_rebuilds: Sequence[Slates] = (),
    revision: int | None = None,
    only: Sequence[str] | None = None,
) -> Audit:
    """Judge head's slates against base's on every slice and cohort of the panel.

    With ``anchor``, an earlier version's slates, head is also held to the margins against it, since many changes
    that are each within the margin add up. Rebuilds are slates of builds that differ from the shipped ones in seed
    only. ``revision`` counts the looks at one change from 1: alpha is spent over them; without it, this look has all
    of it. Of the panel's required probes only those that slates can show are held against the comparison. ``only``
    names the searching probes to run beside exposure, all of ``SLATE_PROBES`` by default; whatever is required and not
    run is an open question, as always.

    Raises:
        SlatesError: the sides do not answer the same users and contexts.
        InputError: a revision that is none, or too late for any alpha to be left.
    """
    panel = at_revision(panel, revision)
    rebuilds = Rebuilds(tuple(base_rebuilds), tuple(head_rebuilds))
    cells, probes = run_slate_probes(panel, base, head, anchor, rebuilds, only=only)
    required = [name for name in panel.toml.probes.required if name in SHOWN_BY_SLATES]
    probes = (*probes, *missing_probes(required, probes))
    built = tuple(finding for probe in probes for finding in probe.findings)
    verdict = audit_verdict(cells, probes, required)
    if verdict is Verdict.PASS and built:
        verdict = Verdict.INCONCLUSIVE  # each of these forbids a pass
    return Audit(
        verdict=verdict,
        panel=panel.summary(),
        base=base.digest,
        head=head.digest,
        anchor=None if anchor is None else anchor.digest,
        cells=cells,
        probes=probes,
        findings=(*built, *cell_findings(cells)),
        seed=panel.toml.seed,
    )


def run_slate_probes(
    panel: Panel,
    base: Slates,
    head: Slates,
    anchor: Slates | None,
    rebuilds: Rebuilds | None = None,
    *,
    only: Sequence[str] | None = None,
) -> tuple[tuple[Cell, ...], tuple[ProbeResult, ...]]:
    """Every probe that slates can show: exposure, the anchor's when there is one, and those of ``SLATE_PROBES``.

    Rebuilds are the exposure probe's.
    """
    require_same_requests(base, head, panel)
    if anchor is not None:
        require_same_requests(anchor, head, panel, ("anchor", "head"))
    cells: list[Cell] = []
    probes: list[ProbeResult] = []
    sides = {"exposure": base} | ({} if anchor is None else {"anchor": anchor})
    for name, side in sides.items():
        if panel.slices:
            analysis = analyse(panel, side, head, name, rebuilds if name == "exposure" else None)
            cells += analysis.cells
            probes.append(_summary(panel, analysis, name))
        else:
            probes.append(ProbeResult(name, run=False, reason="the panel has no slices"))
    primary = tuple(cell for cell in cells if cell.probe == "exposure")
    for name, probe in SLATE_PROBES.items():
        if only is not None and name not in only:
            continue
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
    rebuilt = analysis.rebuilt
    if rebuilt is not None:
        parts.append(_rebuilt_words(rebuilt))
    return ProbeResult(
        name,
        run=True,
        findings=analysis.findings,
        summary="; ".join(parts) + ".",
        searched={
            "cells": len(analysis.cells),
            "users": analysis.users,
            "permutations": panel.toml.permutations,
            "alpha": rounded(panel.toml.alpha),
            "alpha_fail": rounded(panel.toml.alpha_fail),
            "statistics": list(analysis.statistics),
            "statistics_not_run": [] if analysis.depth is not None else ["deep"],
            **({} if rebuilt is None else {"rebuilds": _rebuilt_figures(rebuilt, analysis.statistics)}),
        },
    )


def _rebuilt_words(rebuilt: Rebuilt) -> str:
    words = f"means over {rebuilt.base} builds of base and {rebuilt.head} of head"
    if rebuilt.open_cells > rebuilt.hopeless:
        words += f"; {rebuilt.more} more rebuilds of each would make the open cells conclusive"
    if rebuilt.hopeless:
        words += f"; {rebuilt.hopeless} of {rebuilt.open_cells} open cells would stay open with any number of rebuilds"
    return words


def _rebuilt_figures(rebuilt: Rebuilt, statistics: Sequence[str]) -> dict[str, Any]:
    return {
        "base": rebuilt.base,
        "head": rebuilt.head,
        "open_cells": rebuilt.open_cells,
        "more_of_each": rebuilt.more,
        "open_with_any_number": rebuilt.hopeless,
        "churn_beyond_permuted_labels": {
            name: rounded(design) for name, design in zip(statistics, rebuilt.design, strict=True)
        },
    }
