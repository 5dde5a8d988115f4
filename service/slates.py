# SPDX-License-Identifier: Apache-2.0
"""Cached slates by content: what a version did on a panel, so that yesterday's head is today's base for free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import digest, sha256_hex
from service.store import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from evidence import Digest

_DIGEST_BYTES = len(digest(b""))


class SlateFolder:
    """A folder of cached records, each with the digest of its content before it; a damaged one counts as absent."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, key: Digest) -> bytes | None:
        """What was kept under ``key``, or None."""
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        expected, kept = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return kept if digest(kept).encode() == expected else None

    def put(self, key: Digest, content: bytes) -> None:
        """Keep ``content`` under ``key``, whole or not at all."""
        self._root.mkdir(exist_ok=True, mode=0o700)
        write_durably(self._path(key), digest(content).encode() + content)

    def _path(self, key: Digest) -> Path:
        return self._root / sha256_hex(key.encode())
