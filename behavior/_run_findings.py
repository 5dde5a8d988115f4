# SPDX-License-Identifier: Apache-2.0
"""Findings from running recommenders: failures, attempts to get out, slates that do not repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from behavior._recording import Recorded
    from evidence import RecommenderError

_DETAIL_CHARACTERS = 4000
_LESS_ALIKE = 0.05  # of the repeated requests, before head counts as less stable than base


def failure_finding(side: str, error: RecommenderError) -> Finding:
    """A recommender that failed. The detail may hold what hostile code printed: it is for the reviewer only."""
    return Finding(
        rule="recommender-failed",
        severity=Severity.HIGH,
        title=f"The recommender of {side} failed: {error.error_class}",
        detail=_printable(str(error)),
        evidence={"side": side, "error_class": error.error_class},
        key=(side, error.error_class),
    )


def run_findings(recorded: Mapping[str, Recorded]) -> tuple[Finding, ...]:
    """What the runs themselves oblige the reviewer to answer, head against base."""
    findings = [finding for side in ("base", "head") if side in recorded for finding in _attempts(side, recorded)]
    base, head = recorded.get("base"), recorded.get("head")
    if base is not None and head is not None:
        findings += [*_stability(base, head), *_prefixes(base, head)]
    return tuple(findings)


def forbids_pass(findings: Iterable[Finding]) -> bool:
    """Whether a run's findings rule out a pass: head reached outwards, or hides in noise of its own."""
    return any(finding.rule == "excess-churn" or finding.severity.at_least(Severity.HIGH) for finding in findings)


def _attempts(side: str, recorded: Mapping[str, Recorded]) -> Iterable[Finding]:
    """Attempts to reach out, from the kernel. Base's own weigh less: the change under review did not bring them."""
    for attempt in recorded[side].attempts:
        if not attempt.network:
            continue
        yield Finding(
            rule="egress-attempted",
            severity=Severity.HIGH if side == "head" else Severity.MEDIUM,
            title=f"The recommender of {side} tried to reach the network: {attempt.kind} {_printable(attempt.detail)}",
            detail=f"The kernel refused {attempt.count} such calls while {side} was asked for slates.",
            evidence={
                "side": side,
                "kind": attempt.kind,
                "destination": _printable(attempt.detail),
                "count": attempt.count,
            },
            key=(side, attempt.kind, _printable(attempt.detail)),
        )


def _stability(base: Recorded, head: Recorded) -> Iterable[Finding]:
    if not base.repeated or not head.repeated:
        return
    before, after = base.alike / base.repeated, head.alike / head.repeated
    if after < before - _LESS_ALIKE:
        yield Finding(
            rule="excess-churn",
            severity=Severity.MEDIUM,
            title=f"Head repeats itself less than base: {after:.0%} of slates against {before:.0%}",
            detail="The same request with the same seed was asked twice. Slates that differ more under head than under"
            " base can hide a lift in noise, so this audit cannot pass.",
            evidence={"base_alike": round(before, 6), "head_alike": round(after, 6), "requests": head.repeated},
            key=("repeat",),
        )


def _prefixes(base: Recorded, head: Recorded) -> Iterable[Finding]:
    if head.slates.depth < base.slates.depth:
        yield Finding(
            rule="depth-mismatch",
            severity=Severity.MEDIUM,
            title=f"Head's slates end at {head.slates.depth}, base's at {base.slates.depth}",
            detail="Shorter deep slates leave less evidence of what was moved below the first screen.",
            evidence={"base": base.slates.depth, "head": head.slates.depth},
            key=("depth",),
        )
    before, after = base.slates.prefix_differs, head.slates.prefix_differs
    if not after:
        return
    requests = len(head.slates.user)
    newly = after - before > _LESS_ALIKE * requests
    yield Finding(
        rule="depth-mismatch",
        severity=Severity.MEDIUM if newly else Severity.INFO,
        title=f"Head's slates of k are not the beginning of its deep slates in {after:,} of {requests:,} requests",
        detail=f"Under base that is so in {before:,}. The slates of k are judged; deep slates only add evidence.",
        evidence={"base": before, "head": after, "requests": requests},
        key=("prefix",),
    )


def _printable(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode("utf-8")
    clean = "".join(character if character.isprintable() else " " for character in clean)
    return clean[:_DETAIL_CHARACTERS]
