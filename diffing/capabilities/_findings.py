# SPDX-License-Identifier: Apache-2.0
"""What head can reach that base could not, over all changed files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from diffing._kinds import is_test
from diffing.capabilities._added import added_findings
from diffing.capabilities._beyond import beyond_findings
from diffing.capabilities._flows import destination_findings, exposure_findings
from diffing.capabilities._following import Followed, Following, follow
from diffing.capabilities._sides import Base, side_of
from evidence import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from diffing._facts import Facts
    from diffing._placing import FilePair
    from diffing.capabilities._elsewhere import Elsewhere
    from diffing.capabilities._following import Opener
    from diffing.capabilities._sides import Sides
    from evidence import Finding


def capability_findings(
    pairs: Sequence[FilePair], elsewhere: Elsewhere | None = None, opener: Opener | None = None
) -> Iterator[Finding]:
    """capability-added, destination-added and data-field-exposed.

    Calls into other files are followed where there are ``elsewhere``, their paths, and an ``opener`` of them.
    """
    following = Following()
    if elsewhere is not None and opener is not None:
        following = follow([(_followed(pair.old), _followed(pair.new)) for pair in pairs], elsewhere, opener)
    sides = [(side_of(pair.old), side_of(pair.new)) for pair in pairs]
    base = Base(sides, following.hosts)
    destinations = list(destination_findings(sides, base))
    findings = [
        *destinations,
        *added_findings(sides, base),
        *beyond_findings(sides, following),
        *exposure_findings(sides, destinations),
    ]
    tests = _tests(sides)
    for finding in findings:
        if finding.location is None or finding.location.path not in tests:
            yield finding
        elif not finding.evidence.get("unresolved") or finding.severity.at_least(Severity.MEDIUM):
            lowered = Severity.LOW if finding.severity.at_least(Severity.MEDIUM) else Severity.INFO
            yield replace(finding, severity=lowered, detail=f"Among tests. {finding.detail}")


def _followed(facts: Facts | None) -> Followed | None:
    if facts is None or facts.capabilities is None:
        return None
    return Followed(facts.path, facts.language, facts.capabilities)


def _tests(sides: Iterable[Sides]) -> set[str]:
    """Files of head in a folder of tests, or tests by their names, that no other changed file imports."""
    facts = [new.facts for _, new in sides if new is not None]
    among = {one.path: one.module.rpartition(".")[2] for one in facts if _in_tests(one.path)}
    imported = set[str]().union(*(one.imports for one in facts if one.path not in among))
    return {path for path, name in among.items() if name not in imported}


def _in_tests(path: str) -> bool:
    return is_test(path) or bool({"test", "tests"} & set(PurePosixPath(path).parts[:-1]))
