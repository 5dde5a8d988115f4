# SPDX-License-Identifier: Apache-2.0
"""What a change depends on: declared and locked dependencies of both sides, compared."""

from diffing.dependencies._compare import dependency_findings
from diffing.dependencies._facts import Declared, Dependency, Source, UnreadableError
from diffing.dependencies._reading import declares, read, setting_of_dependencies

__all__ = [
    "Declared",
    "Dependency",
    "Source",
    "UnreadableError",
    "declares",
    "dependency_findings",
    "read",
    "setting_of_dependencies",
]
