# SPDX-License-Identifier: Apache-2.0
"""The report as one JSON document: what was compared, what was found, and what is not known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from evidence import VERSION, Revision, Severity, Verdict, document_digest
from reports.cells import cell_rows
from reports.sentences import behavior_sentence, code_sentence, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REPORT_SCHEMA: Final = "countersign/report/v1"

UnknownKind = Literal["absent", "not-analysed", "not-run", "inconclusive", "unsafe"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the review cannot speak for, and why. ``kind`` groups it; ``what`` names it."""

    kind: UnknownKind
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownGroup:
    """What is not known for one and the same reason: the first names, and how many more there are."""

    kind: UnknownKind
    names: tuple[str, ...]
    more: int
    reason: str


def grouped(items: Iterable[Unknown], *, names: int = 6) -> tuple[UnknownGroup, ...]:
    """Unknowns to read: one line a kind and reason, in the order of their first."""
    groups: dict[tuple[UnknownKind, str], list[str]] = {}
    for item in items:
        groups.setdefault((item.kind, item.reason), []).append(item.what)
    return tuple(
        UnknownGroup(kind, tuple(found[:names]), max(0, len(found) - names), reason)
        for (kind, reason), found in groups.items()
    )


def report_document(
    revision: Revision | Mapping[str, Any],
    diff: Mapping[str, Any] | None,
    audit: Mapping[str, Any] | None,
    *,
    artifacts: Mapping[str, Any] | None = None,
    title: str = "",
) -> dict[str, Any]:
    """The report of one revision, schema ``countersign/report/v1``; the same input gives the same document.

    Args:
        revision: the revision, or its manifest.
        diff: the diff document of ``formats.md``, None where there is none.
        audit: the audit document, None where nothing was run.
        artifacts: the artifacts document, None where no artifact is declared.
        title: what the change calls itself. Shown, never read.

    What is missing is not passed over: a report without an audit is at best inconclusive.
    """
    manifest = dict(revision.manifest() if isinstance(revision, Revision) else revision)
    findings = all_findings(diff, audit, artifacts)
    verdicts = [verdict_of(diff), verdict_of(audit), *([verdict_of(artifacts)] if artifacts is not None else [])]
    return {
        "schema": REPORT_SCHEMA,
        "version": VERSION,
        "title": title,
        "verdict": Verdict.combine(*verdicts).value,
        "summary": {"code": code_sentence(diff), "behavior": behavior_sentence(audit)},
        "revision": {"digest": document_digest(manifest), "manifest": manifest},
        "evidence": [
            {"name": name, "digest": document_digest(document)}
            for name, document in (("diff", diff), ("audit", audit), ("artifacts", artifacts))
            if document is not None
        ],
        "counts": {
            "findings": {
                severity.value: sum(finding["severity"] == severity for finding in findings) for severity in Severity
            },
            "files": len((diff or {}).get("files", ())),
            "cells": len((audit or {}).get("cells", ())),
        },
        "unknown": [asdict(item) for item in unknowns(diff, audit, artifacts)],
        "diff": diff,
        "audit": audit,
        "artifacts": artifacts,
    }


def all_findings(*documents: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], ...]:
    """The findings of diff, audit and artifacts, worst first, then by rule, place and id; of one id the worst."""
    found: dict[str, Mapping[str, Any]] = {}
    for document in reversed(documents):
        for finding in (document or {}).get("findings", ()):
            known = found.get(finding["id"])
            if known is None or not Severity(known["severity"]).at_least(Severity(finding["severity"])):
                found[finding["id"]] = finding
    return worst_findings_first(found.values())


def worst_findings_first(findings: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Findings as documents in the order of `evidence.worst_first`."""

    def order(finding: Mapping[str, Any]) -> tuple[int, str, str, int, str]:
        place = finding.get("location") or {}
        weight = Severity(finding["severity"]).rank
        return (-weight, finding["rule"], place.get("path") or "", place.get("line") or 0, finding["id"])

    return tuple(sorted(findings, key=order))


def unknowns(
    diff: Mapping[str, Any] | None, audit: Mapping[str, Any] | None, artifacts: Mapping[str, Any] | None = None
) -> tuple[Unknown, ...]:
    """Everything the evidence does not cover: what is absent, not analysed, not run, inconclusive or unsafe."""
    left = (artifacts or {}).get("not_analysed", ())
    unread = [Unknown("not-analysed", item["path"], item["reason"]) for item in left]
    return (*_unknown_code(diff), *unread, *_unknown_behavior(audit))


def _unknown_code(diff: Mapping[str, Any] | None) -> Iterable[Unknown]:
    if diff is None:
        yield Unknown("absent", "diff", "base and head were not compared: what changed is not known")
        return
    for item in diff.get("not_analysed", ()):
        yield Unknown("not-analysed", item["path"], item["reason"])


def _unknown_behavior(audit: Mapping[str, Any] | None) -> Iterable[Unknown]:
    if audit is None:
        yield Unknown("absent", "audit", "neither version was run: what the change does is not known")
        return
    if audit.get("unsafe"):
        yield Unknown("unsafe", "audit", "it ran outside the sandbox: nothing held the code under review")
    for probe in audit.get("probes", ()):
        if probe["status"] != "run":
            yield Unknown("not-run", f"probe {probe['name']}", probe.get("reason") or "no reason given")
    rows = cell_rows(audit)
    if not rows:
        yield Unknown("absent", "cells", "the audit holds no cells: nothing was measured")
    for row in rows:
        if row.family == "primary" and row.verdict in {"inconclusive", "not-run"}:
            kind: UnknownKind = "inconclusive" if row.verdict == "inconclusive" else "not-run"
            yield Unknown(kind, f"{row.slice} for {row.who}", row.reason or row.meaning)
