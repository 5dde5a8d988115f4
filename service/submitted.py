# SPDX-License-Identifier: Apache-2.0
"""Artifacts as a platform hands them in: in the repository, or beside it in a folder for each commit.

What lies beside the repository is the platform's to change at any moment. So a step takes a copy of it, and holds that
to the digests that the revision's manifest names, or that base's had when the change was fetched.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from behavior import MANIFEST_NAME, locate_artifacts, read_manifest
from diffing import MAX_STATEMENT, Heads, is_statement, speaks_of
from evidence import (
    Artifact,
    ManifestError,
    RepositoryError,
    TooLargeError,
    document_digest,
    sha256_hex,
)
from service import progress
from service.artifacts import Placed
from service.beside import copied, measured, neighbours

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from behavior import Manifest
    from confine import Repository
    from evidence import Json
    from service.context import Context
    from service.progress import Job

MAX_MANIFEST = 1 << 20
MAX_ARTIFACT = 4 << 30  # bytes of one in the repository; for one beside it see ``service.beside``


def folder_of(context: Context, job: Job, commit: str) -> Path | None:
    """Where the platform's artifacts of a commit lie beside the repository; None without such a folder.

    In the operator's folder for the platform where there is one, else where uploads of the repository are put.

    Raises:
        ManifestError: a link instead of a folder.
    """
    place = context.platform(job.platform).artifacts
    if place is None:
        place = context.uploaded(job.platform, job.repository, commit).parent
    if (place / commit).is_symlink():
        raise ManifestError(f"the artifacts of {commit[:12]} beside the repository are a link: make it a folder")
    return place / commit if (place / commit).is_dir() else None


def declared_artifacts(repository: Repository, commit: str, beside: Path | None = None) -> tuple[Artifact, ...]:
    """A commit's declared artifacts by SHA-256. A manifest that cannot be used is the audit's error, not this one's."""
    try:
        manifest = manifest_of(repository, commit)
    except ManifestError:
        return ()
    tree = repository.tree(commit)
    found = []
    for name, path in sorted(manifest.artifacts.items()):
        entry = tree.get(path)
        if entry is not None and entry.kind == "file":
            content = repository.blob(entry.object_id, limit=MAX_ARTIFACT)
            found.append(Artifact(name, len(content), sha256_hex(content)))
        elif beside is not None and (one := measured(beside, path, name)) is not None:
            found.append(one)
    return tuple(found)


def manifest_of(repository: Repository, commit: str) -> Manifest:
    """The manifest of a commit.

    Raises:
        ManifestError: there is none, or none that can be used.
    """
    entry = repository.tree(commit).get(MANIFEST_NAME)
    if entry is None or entry.kind != "file":
        raise ManifestError(f"{commit[:12]} has no {MANIFEST_NAME}: add one that says how to load the recommender")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MANIFEST_NAME).write_bytes(repository.blob(entry.object_id, limit=MAX_MANIFEST))
        return read_manifest(Path(folder))


def taken(repository: Repository, commit: str, beside: Path | None, into: Path) -> dict[str, Placed]:
    """The declared artifacts of a commit as files below ``into``, with the statements of provenance about them.

    Each has a folder by its name: one may lie in the repository where another one's folder is beside it.

    What is declared and nowhere to be found is left out: the audit cannot run such a commit and says so.
    """
    try:
        manifest = manifest_of(repository, commit)
    except ManifestError:
        return {}
    tree = repository.tree(commit)
    statements = [path for path, entry in tree.items() if entry.kind == "file" and is_statement(path)]
    found = {}
    for name, path in sorted(manifest.artifacts.items()):
        entry, folder, heads = tree.get(path), into / name, _heads(manifest, name)
        if entry is not None and entry.kind == "file":
            _write(repository, entry.object_id, folder / path, MAX_ARTIFACT)
            for one in statements:
                if PurePosixPath(one).parent == PurePosixPath(path).parent and speaks_of(one, path):
                    with suppress(TooLargeError):
                        _write(repository, tree[one].object_id, folder / one, MAX_STATEMENT)
            found[name] = Placed(folder / path, path, told=True, heads=heads)
        elif beside is not None and copied(beside, path, folder / path):
            for near in neighbours(beside, path):
                if is_statement(near) and speaks_of(near, path):
                    with suppress(ManifestError, TooLargeError):
                        copied(beside, near, folder / near, limit=MAX_STATEMENT)
            found[name] = Placed(folder / path, path, heads=heads)
    return found


def _heads(manifest: Manifest, name: str) -> Heads | None:
    """How the manifest says that an artifact scores."""
    declared = manifest.heads.get(name)
    return Heads(declared.users, declared.items) if declared is not None else None


def exported(repository: Repository, commit: str, beside: Path | None, into: Path) -> tuple[dict[str, Placed], str]:
    """A commit's files in ``into``, its artifacts by name, and one digest of all that.

    Raises:
        ManifestError: no manifest that can be used, or an artifact that is nowhere to be found.
    """
    repository.export(commit, into)
    manifest = read_manifest(into)
    found = {}
    for name, file in locate_artifacts(into, manifest, beside).items():
        path = manifest.artifacts[name]
        inside = file.is_relative_to(into)
        copy = file if inside else into.with_name(f"{into.name}-artifacts") / path
        if not inside and (beside is None or not copied(beside, path, copy)):
            raise ManifestError(f"{MANIFEST_NAME}: artifacts.{name}: no file {path!r}")
        found[name] = Placed(copy, path, told=inside, heads=_heads(manifest, name))
    content = repository.content_digest(commit)
    outside = {name: one.sha256 for name, one in found.items() if not one.told}
    return found, document_digest([content, outside]) if outside else f"sha256:{content}"


def base_artifacts(context: Context, job: Job, repository: Repository, base: str) -> dict[str, Json]:
    """What base's declared artifacts are, for the steps to come: no manifest names them.

    Raises:
        RepositoryError: base was signed as a head of this service, with other artifacts.
    """
    found = declared_artifacts(repository, base, folder_of(context, job, base))
    here = [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in found]
    signed = progress.last_signed_manifest(context.database, job, base)
    if signed is not None:
        name = _differing(context.store.get_json(signed)["artifacts"], {one.name: one.sha256 for one in found})
        if name is not None:
            raise RepositoryError(
                f"artifact {name} of base {base[:12]} is not what that commit was signed with: put back what was signed"
            )
    return {"commit": base, "artifacts": here}


def held(context: Context, job: Job, sides: Mapping[str, Mapping[str, Placed]]) -> None:
    """Check that head's artifacts are those of the revision's manifest, and base's what they were beside it then.

    Raises:
        RepositoryError: one is another one by now, or gone.
    """
    for side, found in sides.items():
        known = job.digest if side == "head" else job.base_artifacts_digest
        if known is None:
            raise RepositoryError("a step of this review is missing: send the change again")
        listed = context.store.get_json(known)["artifacts"]
        name = _differing(listed, {one: placed.sha256 for one, placed in found.items()})
        if name is not None:
            which = name if side == "head" else f"{name} of base"
            raise RepositoryError(f"artifact {which} is not what it was when this review began: send the change again")


def _differing(listed: Iterable[Mapping[str, Any]], found: Mapping[str, str]) -> str | None:
    """The first name that is not on both lists with one SHA-256."""
    known = {one["name"]: one["sha256"] for one in listed}
    return next((name for name in sorted(known.keys() | found.keys()) if known.get(name) != found.get(name)), None)


def _write(repository: Repository, object_id: str, into: Path, limit: int) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_bytes(repository.blob(object_id, limit=limit))
