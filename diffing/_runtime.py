# SPDX-License-Identifier: Apache-2.0
"""Values that code reads and the change does not hold: environment, flags, remote configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._evidence import shown
from diffing._kinds import MANIFEST
from diffing._manifest import RUNTIME
from diffing.capabilities import Reach
from diffing.changes import RuntimeValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing._placing import FilePair
    from evidence import Finding

_READ = frozenset({Reach.ENVIRONMENT, Reach.RUNTIME})


def runtime_values(pairs: Sequence[FilePair]) -> list[RuntimeValue]:
    """The values that changed files of head read, by name and place.

    A value is held where the ``[runtime]`` table of a manifest that changed too has it.
    """
    news = [pair.new for pair in pairs if pair.new is not None]
    held = {
        literal.name.removeprefix(RUNTIME)
        for facts in news
        if facts.path == MANIFEST
        for literal in facts.literals
        if literal.name.startswith(RUNTIME)
    }
    held |= {name.rpartition(".")[2] for name in held}
    found = {
        RuntimeValue(str(shown(name)), use.reach.value, facts.path, use.line, held=name in held)
        for facts in news
        if facts.capabilities is not None
        for use in facts.capabilities.uses
        if use.reach in _READ and not use.through
        for name in use.names[:1]
    }
    return sorted(found, key=lambda value: (value.name, value.path, value.line))


def said_of_runtime(finding: Finding) -> bool:
    """Whether a finding is on a value of the snapshot in the manifest."""
    return str(finding.evidence.get("name", "")).startswith(RUNTIME)
