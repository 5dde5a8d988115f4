# SPDX-License-Identifier: Apache-2.0
"""What an audit comes to: cells, probes, findings and one verdict, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evidence import VERSION, CellVerdict, Digest, Finding, Verdict, worst_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from behavior.cells import Cell

AUDIT_SCHEMA = "countersign/audit/v1"

_FAILING = (CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How one probe went: ``run``, or ``not-run`` with the reason. ``searched`` says how much was looked at.

    ``findings`` are the probe's own, beside those of cells; each forbids a pass. They stand among the audit's.
    """

    name: str
    run: bool
    summary: str = ""
    reason: str | None = None
    searched: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The probe as it stands in ``formats.md``."""
        return {
            "name": self.name,
            "status": "run" if self.run else "not-run",
            "reason": self.reason,
            "summary": self.summary,
            "searched": dict(self.searched),
        }


@dataclass(frozen=True)
class Audit:
    """Everything found about one pair of versions on one panel. The document is for the reviewer only.

    ``error_class`` is set when a recommender failed; it alone of the failure may be shown to a submitter.
    """

    verdict: Verdict
    panel: Mapping[str, Any]
    base: Digest
    head: Digest
    anchor: Digest | None
    cells: tuple[Cell, ...]
    probes: tuple[ProbeResult, ...]
    findings: tuple[Finding, ...]
    seed: int
    unsafe: bool = False
    error_class: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The audit document, ``countersign/audit/v1``: no clock, host, path or duration in it."""
        return {
            "schema": AUDIT_SCHEMA,
            "verdict": self.verdict.value,
            "panel": dict(self.panel),
            "base": {"digest": self.base},
            "head": {"digest": self.head},
            "anchor": None if self.anchor is None else {"digest": self.anchor},
            "cells": [cell.to_json() for cell in self.cells],
            "probes": [probe.to_json() for probe in self.probes],
            "findings": [finding.to_json() for finding in worst_first(self.findings)],
            "unsafe": self.unsafe,
            "seed": self.seed,
            "version": VERSION,
        }

    def public(self) -> dict[str, Any]:
        """What a submitter may see: verdict, public slices with direction, error class. No figure, no cohort.

        A slice the panel keeps secret is left out here; that something in the panel moved is in the verdict.
        """
        moved = {
            (cell.slice, cell.verdict.value)
            for cell in self.cells
            if cell.public and cell.family == "primary" and cell.verdict in _FAILING
        }
        return {
            "verdict": self.verdict.value,
            "slices": [{"slice": name, "direction": direction} for name, direction in sorted(moved)],
            "error_class": self.error_class,
        }


def audit_verdict(cells: Sequence[Cell], probes: Sequence[ProbeResult], required: Sequence[str]) -> Verdict:
    """The audit's verdict.

    Fail if a primary cell is amplified or suppressed. Pass only if there are primary cells, all of them equivalent or
    shifted inside the margin, no cell that a search confirmed is amplified or suppressed, and every required probe has
    run. Else inconclusive.
    """
    primary = [cell for cell in cells if cell.family == "primary"]
    if any(cell.verdict in _FAILING for cell in primary):
        return Verdict.FAIL
    found = any(cell.verdict in _FAILING for cell in cells if cell.family == "exploratory")
    ran = {probe.name for probe in probes if probe.run}
    if primary and not found and all(_settled(cell) for cell in primary) and ran.issuperset(required):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE


def _settled(cell: Cell) -> bool:
    return cell.verdict is CellVerdict.EQUIVALENT or (cell.verdict is CellVerdict.SHIFTED and cell.inside)
