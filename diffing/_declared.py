# SPDX-License-Identifier: Apache-2.0
"""A changed dependency file: its findings, or why it was not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._artifacts import Verdicts
from diffing._content import normalised
from diffing._kinds import excuse
from diffing.changes import NotAnalysed
from diffing.dependencies import UnreadableError, dependency_findings, read

if TYPE_CHECKING:
    from diffing._content import Change, Side
    from diffing.dependencies import Declared


def dependency_verdicts(change: Change) -> Verdicts:
    """Findings on a dependency file; a side that cannot be read is named, and nothing is said of the other."""
    sides = (change.old_path or change.path, change.old), (change.path, change.new)
    try:
        old, new = (_declared(path, side) for path, side in sides)
    except UnreadableError as error:
        return Verdicts((), (NotAnalysed(change.path, f"dependencies: {error}", excuse(change.path) or "dependency"),))
    return Verdicts(tuple(dependency_findings(change.path, old, new)))


def _declared(path: str, side: Side | None) -> Declared | None:
    if side is None:
        return None
    if side.content is None:
        raise UnreadableError(f"{side.size:,} bytes: larger than is read")
    if b"\0" in side.content:
        raise UnreadableError("it holds NUL bytes")
    return read(path, normalised(side.content))
