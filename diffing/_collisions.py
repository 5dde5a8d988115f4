# SPDX-License-Identifier: Apache-2.0
"""Paths that a checkout cannot hold side by side: on many machines one file lands on the other."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

from diffing._evidence import cut
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def collision_findings(paths: Iterable[str], fresh: Iterable[str]) -> Iterator[Finding]:
    """Findings on head's printable ``paths`` that differ only in case or composition from one that is ``fresh``."""
    fresh = set(fresh)
    by_key: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_key[unicodedata.normalize("NFC", path).casefold()].append(path)
    for same in by_key.values():
        if len(same) > 1 and fresh & set(same):
            names = sorted(same)
            yield Finding(
                "invisible-characters",
                Severity.MEDIUM,
                cut(f"Paths that differ only in case or composition: {names[0]}"),
                f"{', '.join(names[:5])}. Where a file system takes them for one, one of them is what runs.",
                Location(names[-1]),
                {"kind": "paths", "characters": [ascii(name)[1:-1] for name in names[:10]], "count": len(names)},
                ("paths", *names),
            )
