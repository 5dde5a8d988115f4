# SPDX-License-Identifier: Apache-2.0
"""What head can reach that base could not, over all changed files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from diffing._kinds import is_test
from diffing.capabilities._added import added_findings
from diffing.capabilities._flows import destination_findings, exposure_findings
from diffing.capabilities._sides import Base, side_of
from evidence import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffing._placing import FilePair
    from diffing.capabilities._sides import Sides
    from evidence import Finding


def capability_findings(pairs: Iterable[FilePair]) -> Iterator[Finding]:
    """capability-added, destination-added and data-field-exposed."""
    sides = [(side_of(pair.old), side_of(pair.new)) for pair in pairs]
    base = Base(sides)
    destinations = list(destination_findings(sides, base))
    findings = [*destinations, *added_findings(sides, base), *exposure_findings(sides, destinations)]
    tests = _tests(sides)
    for finding in findings:
        if finding.location is None or finding.location.path not in tests:
            yield finding
        elif not finding.evidence.get("unresolved") or finding.severity.at_least(Severity.MEDIUM):
            lowered = Severity.LOW if finding.severity.at_least(Severity.MEDIUM) else Severity.INFO
            yield replace(finding, severity=lowered, detail=f"Among tests. {finding.detail}")


def _tests(sides: Iterable[Sides]) -> set[str]:
    """Files of head in a folder of tests, or tests by their names, that no other changed file imports."""
    facts = [new.facts for _, new in sides if new is not None]
    among = {one.path: one.module.rpartition(".")[2] for one in facts if _in_tests(one.path)}
    imported = set[str]().union(*(one.imports for one in facts if one.path not in among))
    return {path for path, name in among.items() if name not in imported}


def _in_tests(path: str) -> bool:
    return is_test(path) or bool({"test", "tests"} & set(PurePosixPath(path).parts[:-1]))
