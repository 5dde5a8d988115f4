# SPDX-License-Identifier: Apache-2.0
"""manifest-changed: how the recommender is loaded, called and fed is part of what is reviewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._evidence import shown
from evidence import Finding, Location, Severity

RUNTIME = "runtime."
"""What the names of values start with that a platform submits with the change: flags, remote configuration."""

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing._facts import Facts, Literal


def manifest_findings(path: str, old: Facts | None, new: Facts | None) -> Iterator[Finding]:
    """One finding for each key of ``countersign.toml`` that changed, came or went."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one is not None and other is not None and one.value == other.value:
            continue
        there = other or one
        assert there is not None  # noqa: S101 - the name is from one of the two
        was, now = (shown(literal.value) if literal else None for literal in (one, other))
        what = "changed" if one and other else "added" if other else "removed"
        yield Finding(
            "manifest-changed",
            Severity.MEDIUM,
            f"Manifest: {name} {what}",
            f"It was {was!r} and is {now!r}.",
            Location(path, there.line, there.end_line, "head" if other else "base", name),
            {"name": name, "old": was, "new": now, "change": what},
            (path, name, repr(was), repr(now)),
        )


def _by_name(facts: Facts | None) -> dict[str, Literal]:
    """Settings by name; the snapshot of runtime values is told value by value, as other settings are."""
    found = facts.literals if facts else []
    return {literal.name: literal for literal in found if not literal.name.startswith(RUNTIME)}
