# SPDX-License-Identifier: Apache-2.0
"""``countersign.toml``: how the repository under review says its recommender is loaded. Hostile input."""

from __future__ import annotations

import hashlib
import re
import stat
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from behavior._panel_toml import first_problem
from evidence import Digest, ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST_NAME = "countersign.toml"

_LIMIT = 64 << 10
_MOST_ARTIFACTS = 64
_ENTRYPOINT = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", re.ASCII)

Argument = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]


class _RecommenderTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    entrypoint: Annotated[str, StringConstraints(max_length=300, pattern=_ENTRYPOINT)] | None = None
    command: Annotated[list[Argument], Field(min_length=1, max_length=64)] | None = None
    requirements: Argument | None = None
    known_users: bool = False


class _HeadTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    users: Argument
    items: Argument


class _ManifestFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    recommender: _RecommenderTable
    artifacts: Annotated[dict[str, Argument], Field(max_length=_MOST_ARTIFACTS)] = {}
    heads: Annotated[dict[str, _HeadTable], Field(max_length=_MOST_ARTIFACTS)] = {}
    runtime: dict[str, object] = {}  # flags and remote values as they are in production: read by the diff, not here


@dataclass(frozen=True, slots=True)
class DotProduct:
    """The names of two tables in an artifact: a score is the dot product of a row of each."""

    users: str
    items: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """How to load and call the recommender: either ``entrypoint`` (``module:function``) or ``command``.

    ``artifacts`` are paths relative to the tree by name; ``heads`` says of some of them how they score, which nothing
    here believes: it is what a reviewer is shown the effect of. ``digest`` is over the file's bytes.
    """

    entrypoint: str | None
    command: tuple[str, ...] | None
    requirements: str | None
    artifacts: Mapping[str, str]
    heads: Mapping[str, DotProduct]
    known_users: bool
    digest: Digest


def read_manifest(tree: Path) -> Manifest:
    """Read the manifest of a tree.

    Not checked here: that artifacts are there (they may be kept beside the repository; ``locate_artifacts``), and
    that the entry point exists (the sandbox finds out).

    Raises:
        ManifestError: no manifest, a link instead of a file, over 64 KiB, not TOML, an unknown key, neither or both
            of entrypoint and command, or a path that leaves the tree or goes through a link.
    """
    path = tree / MANIFEST_NAME
    if path.is_symlink() or not path.is_file():
        raise ManifestError(f"no {MANIFEST_NAME} in the repository; add one that says how to load the recommender")
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ManifestError(f"{MANIFEST_NAME}: over the limit of {_LIMIT} bytes")
    try:
        parsed = _ManifestFile.model_validate(tomllib.loads(data.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"{MANIFEST_NAME}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ManifestError(f"{MANIFEST_NAME}: {first_problem(error)}") from error
    recommender = parsed.recommender
    if (recommender.entrypoint is None) == (recommender.command is None):
        raise ManifestError(f"{MANIFEST_NAME}: recommender: give either entrypoint or command")
    if recommender.requirements is not None:
        _inside(tree, recommender.requirements, "recommender.requirements")
    for name, artifact in parsed.artifacts.items():
        if not _ARTIFACT_NAME.match(name):
            raise ManifestError(f"{MANIFEST_NAME}: artifacts: {name!r} is no name; use letters, digits, - and _")
        _inside(tree, artifact, f"artifacts.{name}")
    unknown = sorted(parsed.heads.keys() - parsed.artifacts.keys())
    if unknown:
        raise ManifestError(f"{MANIFEST_NAME}: heads: {unknown[0][:64]!r} is none of the artifacts")
    return Manifest(
        entrypoint=recommender.entrypoint,
        command=None if recommender.command is None else tuple(recommender.command),
        requirements=recommender.requirements,
        artifacts=dict(sorted(parsed.artifacts.items())),
        heads={name: DotProduct(one.users, one.items) for name, one in sorted(parsed.heads.items())},
        known_users=recommender.known_users,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
    )


def locate_artifacts(tree: Path, manifest: Manifest, beside: Path | None = None) -> dict[str, Path]:
    """Each declared artifact's file: in the tree, or else below ``beside`` at the same relative path.

    Raises:
        ManifestError: an artifact that is in neither, or is no regular file.
    """
    found: dict[str, Path] = {}
    for name, relative in manifest.artifacts.items():
        for root in (tree, beside):
            if root is not None and (candidate := _inside(root, relative, f"artifacts.{name}")).is_file():
                found[name] = candidate
                break
        else:
            raise ManifestError(f"{MANIFEST_NAME}: artifacts.{name}: no file {relative!r}")
    return found


def _inside(tree: Path, relative: str, key: str) -> Path:
    """The path, if it stays in the tree without passing a link; nothing is followed to find out."""
    parts = relative.split("/")
    place = f"{MANIFEST_NAME}: {key}: {relative!r}"
    if relative.startswith("/") or "\\" in relative or any(ord(character) < ord(" ") for character in relative):
        raise ManifestError(f"{place} is not a relative path with forward slashes")
    if any(part in {"", ".", ".."} for part in parts):
        raise ManifestError(f"{place} leaves the tree or is not in its plainest form")
    path = tree
    for part in parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            break
        except OSError as error:
            raise ManifestError(f"{place} cannot be looked at: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            raise ManifestError(f"{place} goes through a symbolic link; artifacts are plain files")
    else:
        if not stat.S_ISREG(mode):
            raise ManifestError(f"{place} is no plain file")
    return tree.joinpath(*parts)
