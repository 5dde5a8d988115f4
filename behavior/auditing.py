# SPDX-License-Identifier: Apache-2.0
"""Audit two versions: run both in the sandbox over the panel, and judge what they did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from behavior._cell_findings import cell_findings
from behavior._recording import Progress, Recorded, Side, SlateCache, record, side_manifest
from behavior._run_findings import failure_finding, forbids_pass, run_findings
from behavior._spending import at_revision
from behavior.audits import Audit, ProbeResult, audit_verdict
from behavior.comparison import SHOWN_BY_SLATES, missing_probes, run_slate_probes
from behavior.determinism import determinism
from evidence import RecommenderError, Verdict

if TYPE_CHECKING:
    from behavior.panels import Panel
    from confine import Limits

AUDIT_PROBES = (*SHOWN_BY_SLATES, "determinism")


def audit(  # noqa: PLR0913 - what a run may be given, each with its name
    panel: Panel,
    base: Side,
    head: Side,
    *,
    anchor: Side | None = None,
    limits: Limits | None = None,
    unsafe_no_sandbox: bool = False,
    progress: Progress | None = None,
    cache: SlateCache | None = None,
    revision: int | None = None,
) -> Audit:
    """Run base and head (and an anchor) over the panel in the sandbox and judge head against base.

    ``revision`` counts the looks at one change from 1, over which alpha is spent; None is a single look with all of it.

    A recommender that fails makes an inconclusive audit with a finding, not an exception: it is a result of the
    review. Its ``error_class`` may be shown to a submitter, the finding's detail may not.

    Raises:
        ManifestError: a side without a usable manifest or artifact.
        SandboxMissingError: no working sandbox; nothing was run.
        InputError: a revision that is none, or too late for any alpha to be left.
    """
    panel = at_revision(panel, revision)
    sides = {"base": base, "head": head} | ({} if anchor is None else {"anchor": anchor})
    manifests = {name: side_manifest(side, name) for name, side in sides.items()}
    known_users = any(manifest.known_users for manifest in manifests.values())
    recorded: dict[str, Recorded] = {}
    failures: dict[str, RecommenderError] = {}
    for name, side in sides.items():
        try:
            recorded[name] = record(
                panel,
                side,
                name,
                known_users=known_users,
                limits=limits,
                unsafe_no_sandbox=unsafe_no_sandbox,
                progress=progress or (lambda _: None),
                cache=cache,
            )
        except RecommenderError as error:
            failures[name] = error
    empty = Audit(
        verdict=Verdict.INCONCLUSIVE,
        panel=panel.summary(),
        base=base.digest,
        head=head.digest,
        anchor=None if anchor is None else anchor.digest,
        cells=(),
        probes=(),
        findings=run_findings(recorded),
        seed=panel.toml.seed,
        unsafe=unsafe_no_sandbox,
    )
    if failures:
        return _failed(empty, panel, failures)
    return _judged(empty, panel, recorded, known_users=known_users)


def _failed(empty: Audit, panel: Panel, failures: dict[str, RecommenderError]) -> Audit:
    first = "head" if "head" in failures else next(iter(failures))
    reason = "; ".join(f"the recommender of {name} failed: {error.error_class}" for name, error in failures.items())
    names = dict.fromkeys(("exposure", "determinism", *panel.toml.probes.required))
    return replace(
        empty,
        probes=tuple(ProbeResult(name, run=False, reason=reason) for name in names),
        findings=(*empty.findings, *(failure_finding(name, error) for name, error in failures.items())),
        error_class=failures[first].error_class,
    )


def _judged(empty: Audit, panel: Panel, recorded: dict[str, Recorded], *, known_users: bool) -> Audit:
    base, head, anchor = recorded["base"], recorded["head"], recorded.get("anchor")
    cells, probes = run_slate_probes(panel, base.slates, head.slates, None if anchor is None else anchor.slates)
    done = (*probes, determinism(recorded, known_users=known_users))
    done = (*done, *missing_probes(panel.toml.probes.required, done))
    verdict = audit_verdict(cells, done, panel.toml.probes.required)
    found = tuple(finding for probe in done for finding in probe.findings)
    if verdict is Verdict.PASS and (found or forbids_pass(empty.findings)):
        verdict = Verdict.INCONCLUSIVE
    findings = (*empty.findings, *found, *cell_findings(cells))
    return replace(empty, verdict=verdict, cells=cells, probes=done, findings=findings)
