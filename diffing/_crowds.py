# SPDX-License-Identifier: Apache-2.0
"""Many findings as few: equal ones are one, and of one rule in one file only so many are told apart."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from evidence import Finding, Location, Severity, worst_first

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_AT_INFO = 10  # findings of one rule in one file at info
_MOST_OF_A_RULE = 100  # and at any severity; the others are counted in one more


def distinct(findings: Sequence[Finding]) -> list[Finding]:
    """Findings with equal fingerprints as one, which says how often it occurs and in which lines."""
    groups: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for finding in findings:  # what a fingerprint is of says as much as itself, and need not be hashed
        groups[(finding.rule, *finding.key) if finding.key is not None else (finding.id,)].append(finding)
    result = []
    for same in groups.values():
        if len(same) == 1:
            result.append(same[0])
            continue
        worst = worst_first(same)[0]
        lines = [finding.location.line for finding in same if finding.location]
        result.append(replace(worst, evidence={**worst.evidence, "occurrences": len(same), "lines": lines[:20]}))
    return result


def uncrowded(findings: Sequence[Finding]) -> list[Finding]:
    """At most so many findings of one rule at info in one file; the others are counted in one more."""
    kept: list[Finding] = []
    left: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for finding in findings:
        if finding.severity.at_least(Severity.LOW):
            kept.append(finding)
            continue
        name = (finding.rule, finding.location.path if finding.location else "")
        counts[name] += 1
        (kept if counts[name] <= _MOST_AT_INFO else left[name]).append(finding)
    return [*kept, *(_more(rule, path, others) for (rule, path), others in left.items())]


def _more(rule: str, path: str, others: Sequence[Finding]) -> Finding:
    sample = [finding.title for finding in others[:5]]
    return Finding(
        rule,
        others[0].severity,
        f"{len(others):,} more of {rule} in {path}",
        f"For example: {'; '.join(sample)}.",
        Location(path),
        {"count": len(others), "sample": sample},
        (path, "more", others[0].severity.value, *sorted(finding.title for finding in others)[:1000]),
    )


def limited(findings: Sequence[Finding]) -> list[Finding]:
    """At most so many findings of one rule in one file, the worst; the others are counted in one more."""
    kept, left = [], defaultdict[tuple[str, str], list[Finding]](list)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for finding in worst_first(distinct(findings)):
        name = (finding.rule, finding.location.path if finding.location else "")
        counts[name] += 1
        if counts[name] <= _MOST_OF_A_RULE:
            kept.append(finding)
        else:
            left[name].append(finding)
    return worst_first([*kept, *(_more(rule, path, others) for (rule, path), others in left.items())])
