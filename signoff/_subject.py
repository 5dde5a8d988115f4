# SPDX-License-Identifier: Apache-2.0
"""Step 5 of the gate: the repository and the artifacts are the ones that the signed manifest describes."""

from __future__ import annotations

import hashlib
import posixpath
import tomllib
from typing import TYPE_CHECKING

from evidence import InputError, RepositoryError, file_sha256
from signoff._checkout import check_checkout, is_checkout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from confine import Repository, TreeEntry
    from evidence import Artifact, Revision

_MANIFEST = "countersign.toml"
_MANIFEST_LIMIT = 1 << 20


def check_subject(revision: Revision, repository: Repository, artifacts: Mapping[str, Path]) -> str:
    """Recompute the manifest from what is to be deployed.

    Args:
        revision: the manifest that was signed.
        repository: the repository or checkout to deploy.
        artifacts: files by their names in the manifest; those not given must be in the tree where it says.

    Returns:
        What was found to agree, one line.

    Raises:
        InputError: the first thing that does not agree.
        RepositoryError: the repository does not have the commits, or cannot be read.
    """
    _check_commits(revision, repository)
    tree = repository.tree(revision.head.commit)
    _check_artifacts(revision, repository, tree, artifacts)
    agreed = f"head {revision.head.commit[:12]} and {len(revision.artifacts)} artifacts"
    if not is_checkout(repository.path):
        return f"{agreed} (a bare repository: no checked-out files)"
    if repository.resolve("HEAD") != revision.head.commit:
        raise InputError("the checkout's HEAD is not the signed commit")
    check_checkout(repository.path, tree, revision.head.content, artifacts.values())
    return f"{agreed}, and the checked-out files"


def _check_commits(revision: Revision, repository: Repository) -> None:
    head = repository.snapshot(revision.head.commit)
    if head != revision.head:
        raise InputError("head in the repository has another tree or content than was signed")
    base = repository.snapshot(revision.base.commit)
    if (base.commit, base.tree) != (revision.base.commit, revision.base.tree):
        raise InputError("base in the repository has another tree than was signed")


def _check_artifacts(
    revision: Revision, repository: Repository, tree: Mapping[str, TreeEntry], given: Mapping[str, Path]
) -> None:
    unknown = sorted(set(given) - {artifact.name for artifact in revision.artifacts})
    if unknown:
        raise InputError(f"artifact {unknown[0]!r} is not in the signed manifest")
    for artifact in revision.artifacts:
        path = given.get(artifact.name)
        if path is None:
            _check_in_tree(artifact, repository, tree)
        elif path.stat().st_size != artifact.size or file_sha256(path) != artifact.sha256:
            raise InputError(f"artifact {artifact.name!r} at {path} is not the one that was signed")


def _check_in_tree(artifact: Artifact, repository: Repository, tree: Mapping[str, TreeEntry]) -> None:
    """An artifact that was not given is in the signed commit, at the path that its own manifest names."""
    missing = f"artifact {artifact.name!r} was signed and not given; name it with --artifact {artifact.name}=FILE"
    entry = tree.get(declared_path(artifact.name, repository, tree) or "")
    if entry is None or entry.kind != "file" or entry.size != artifact.size:
        raise InputError(missing)
    content = repository.blob(entry.object_id, limit=artifact.size)
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise InputError(missing)


def declared_path(name: str, repository: Repository, tree: Mapping[str, TreeEntry]) -> str | None:
    """Where the tree's own manifest says that an artifact is; None if it does not say. Raises as `Repository`."""
    entry = tree.get(_MANIFEST)
    if entry is None or entry.kind != "file":
        return None
    try:
        document = tomllib.loads(repository.blob(entry.object_id, limit=_MANIFEST_LIMIT).decode("utf-8"))
    except (ValueError, RecursionError, RepositoryError):
        return None
    declared = document.get("artifacts")
    path = declared.get(name) if isinstance(declared, dict) else None
    return posixpath.normpath(path) if isinstance(path, str) else None
