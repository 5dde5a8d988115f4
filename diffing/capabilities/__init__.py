# SPDX-License-Identifier: Apache-2.0
"""What code can reach beyond computing: sinks and sources, destinations, and the user data that gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.capabilities._elsewhere import Elsewhere
from diffing.capabilities._facts import Capabilities, Named, Use
from diffing.capabilities._findings import capability_findings
from diffing.capabilities._following import Followed
from diffing.capabilities._reading import read_capabilities, read_settings
from diffing.capabilities.fields import Fields, shipped
from diffing.capabilities.others import GO_SINKS, JVM_SINKS, NATIVE_SINKS, RUBY_SINKS, RUST_SINKS, SCRIPT_SINKS
from diffing.capabilities.python import PYTHON_SINKS
from diffing.capabilities.tables import Reach, Sink, SinkTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from diffing._facts import Facts, Value
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
    "Elsewhere",
    "Fields",
    "Followed",
    "Named",
    "Reach",
    "Sink",
    "SinkTable",
    "Use",
    "capabilities_of",
    "capabilities_of_code",
    "capability_findings",
    "shipped",
]


def capabilities_of(
    parsed: Parsed, facts: Facts, fields: Fields, elsewhere: Elsewhere | None = None
) -> Capabilities | None:
    """The capabilities of a parsed file, read with its facts; None where no table knows its language's sinks."""
    if parsed.table.config:
        return read_settings(facts)
    return capabilities_of_code(parsed, facts.constants, fields, elsewhere)


def capabilities_of_code(
    parsed: Parsed, constants: Mapping[str, Value], fields: Fields, elsewhere: Elsewhere | None = None
) -> Capabilities | None:
    """The same of a file of code. ``elsewhere`` are the other files of the repository; calls of them are taken down."""
    path, language = parsed.path, parsed.table.name
    table = SINKS.get(language)
    if table is None:
        return None

    def known(name: str, wide: Sequence[str]) -> bool:
        return elsewhere is not None and elsewhere.find(name, path, language, wide) is not None

    return read_capabilities(parsed.lowered.root, parsed.source, table, fields, constants, known)
