# SPDX-License-Identifier: Apache-2.0
"""A revision: one exact state of a change, and the manifest whose digest everything hangs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evidence.digests import Digest, canonical, digest

MANIFEST_SCHEMA = "countersign/revision/v1"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One side of a revision: git ids in hexadecimal and a SHA-256 over the content, since git's ids are SHA-1.

    ``content`` is the hexadecimal SHA-256 over the sorted (path, mode, sha256 of content) of the tree.
    """

    commit: str
    tree: str
    content: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file beside the repository (weights, embeddings, tables): its name in the manifest, size in bytes, SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Revision:
    """Base and head of a change with head's artifacts, everything by digest."""

    repository: str
    base: Snapshot
    head: Snapshot
    artifacts: tuple[Artifact, ...] = ()

    def manifest(self) -> dict[str, Any]:
        """The revision manifest of ``formats.md``; its canonical JSON is what a sign-off is about."""
        return {
            "schema": MANIFEST_SCHEMA,
            "repository": self.repository,
            "base": {"commit": self.base.commit, "tree": self.base.tree},
            "head": {"commit": self.head.commit, "tree": self.head.tree, "content": {"sha256": self.head.content}},
            "artifacts": [
                {"name": artifact.name, "size": artifact.size, "sha256": artifact.sha256}
                for artifact in sorted(self.artifacts, key=lambda artifact: artifact.name)
            ],
        }

    def canonical(self) -> bytes:
        """The manifest's canonical JSON."""
        return canonical(self.manifest())

    @property
    def digest(self) -> Digest:
        """The revision's digest: the SHA-256 of the manifest's canonical JSON."""
        return digest(self.canonical())
