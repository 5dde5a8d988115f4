# SPDX-License-Identifier: Apache-2.0
"""What code can reach beyond computing: sinks and sources, destinations, and the user data that gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.capabilities._facts import Capabilities, Named, Use
from diffing.capabilities._findings import capability_findings
from diffing.capabilities._reading import read_capabilities, read_settings
from diffing.capabilities.fields import Fields, shipped
from diffing.capabilities.others import GO_SINKS, JVM_SINKS, NATIVE_SINKS, RUBY_SINKS, RUST_SINKS, SCRIPT_SINKS
from diffing.capabilities.python import PYTHON_SINKS
from diffing.capabilities.tables import Reach, Sink, SinkTable

if TYPE_CHECKING:
    from diffing._facts import Facts
    from diffing._reading import Parsed

SINKS = {
    "python": PYTHON_SINKS,
    "notebook": PYTHON_SINKS,
    **dict.fromkeys(("javascript", "typescript"), SCRIPT_SINKS),
    **dict.fromkeys(("java", "kotlin", "scala"), JVM_SINKS),
    "go": GO_SINKS,
    "rust": RUST_SINKS,
    "ruby": RUBY_SINKS,
    "cpp": NATIVE_SINKS,
}
"""Sinks by the name of a language's table."""

__all__ = [
    "SINKS",
    "Capabilities",
    "Fields",
    "Named",
    "Reach",
    "Sink",
    "SinkTable",
    "Use",
    "capabilities_of",
    "capability_findings",
    "shipped",
]


def capabilities_of(parsed: Parsed, facts: Facts, fields: Fields) -> Capabilities | None:
    """The capabilities of a parsed file, read with its facts; None where no table knows its language's sinks."""
    if parsed.table.config:
        return read_settings(facts)
    table = SINKS.get(parsed.table.name)
    if table is None:
        return None
    return read_capabilities(parsed.lowered.root, parsed.source, table, fields, facts.constants)
