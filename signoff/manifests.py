# SPDX-License-Identifier: Apache-2.0
"""The revision manifest as it travels in bundles and break-glass files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evidence import Artifact, InputError, Revision, Snapshot
from signoff._strict import Count, GitId, Line, Sha256, Sha256Hex, StrictModel


class BaseEntry(StrictModel):
    """The base of a revision manifest."""

    commit: GitId
    tree: GitId


class HeadEntry(StrictModel):
    """The head of a revision manifest."""

    commit: GitId
    tree: GitId
    content: Sha256


class ArtifactEntry(StrictModel):
    """An artifact of a revision manifest."""

    name: Line
    size: Count
    sha256: Sha256Hex


class ManifestDocument(StrictModel):
    """The revision manifest, ``countersign/revision/v1``."""

    schema_name: Literal["countersign/revision/v1"] = Field(alias="schema")
    repository: Line
    base: BaseEntry
    head: HeadEntry
    artifacts: tuple[ArtifactEntry, ...]


def revision_of(manifest: ManifestDocument, what: str) -> Revision:
    """The revision that a manifest describes.

    Raises:
        InputError: its artifacts are out of order, or one is there twice.
    """
    names = [artifact.name for artifact in manifest.artifacts]
    if names != sorted(set(names)):
        raise InputError(f"{what}: its artifacts are not in the order of their names, or one is there twice")
    return Revision(
        repository=manifest.repository,
        base=Snapshot(manifest.base.commit, manifest.base.tree, ""),
        head=Snapshot(manifest.head.commit, manifest.head.tree, manifest.head.content.sha256),
        artifacts=tuple(Artifact(artifact.name, artifact.size, artifact.sha256) for artifact in manifest.artifacts),
    )
