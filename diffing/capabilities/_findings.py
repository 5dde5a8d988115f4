# SPDX-License-Identifier: Apache-2.0
"""What head can reach that base could not, over all changed files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.capabilities._added import added_findings
from diffing.capabilities._flows import destination_findings, exposure_findings
from diffing.capabilities._sides import Base, side_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffing._placing import FilePair
    from evidence import Finding


def capability_findings(pairs: Iterable[FilePair]) -> Iterator[Finding]:
    """capability-added, destination-added and data-field-exposed."""
    sides = [(side_of(pair.old), side_of(pair.new)) for pair in pairs]
    base = Base(sides)
    destinations = list(destination_findings(sides, base))
    yield from destinations
    yield from added_findings(sides, base)
    yield from exposure_findings(sides, destinations)
