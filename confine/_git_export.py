# SPDX-License-Identifier: Apache-2.0
"""Writing a commit's files to a folder, without git: no filters, no hooks, nothing outside the folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evidence import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confine._git_objects import ObjectReader
    from confine._git_trees import TreeEntry

_TARGET_BYTES = 4095
_MAX_HOPS = 40  # as the kernel follows symlinks
# Characters that HFS+ ignores in names (git's utf8.c, next_hfs_char).
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# NTFS drops trailing dots and spaces, reads "name:stream" as the file and knows .git as git~1 (CVE-2014-9390).
_DOT_GIT = re.compile(r"(?:\.git|git~\d)[. ]*(?::.*)?\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was not written, and why."""

    path: str
    reason: Literal["symlink-outside", "submodule"]


def export_tree(objects: ObjectReader, entries: Mapping[str, TreeEntry], into: Path) -> tuple[Skipped, ...]:
    """Write ``entries`` to ``into`` as ``Repository.export`` describes."""
    for entry in entries.values():
        refuse_unsafe(entry.path)
    _refuse_files_as_folders(entries)
    if os.path.lexists(into) and not (into.is_dir() and not into.is_symlink() and not any(into.iterdir())):
        raise RepositoryError(f"{into}: exists and is not an empty folder; nothing was written")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{into.name[:50]}.", dir=into.parent))
        try:
            skipped = _write(objects, entries, unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(into)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise RepositoryError(f"{into}: cannot be written: {error.strerror}: {error.filename}") from error
    return skipped


def refuse_unsafe(path: str) -> None:
    """Refuse a path that could be written outside, or that some file system takes for git's own folder.

    Raises:
        RepositoryError: such a component; backslashes separate too, as they do on NTFS.
    """
    for component in re.split(r"[/\\]", path):
        plain = _IGNORED_BY_HFS.sub("", component)
        if component in {"", ".", ".."} and "\\" not in path:
            raise RepositoryError(f"{path!r}: a path with {component or 'nothing'!r} in it is not written")
        if component == ".." or _DOT_GIT.match(plain):
            raise RepositoryError(f"{path!r}: a path with {component!r} in it is not written")


def _refuse_files_as_folders(entries: Mapping[str, TreeEntry]) -> None:
    for path in entries:
        parts = path.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in entries:
                raise RepositoryError(f"{path!r}: a part of this path is a file as well; nothing was written")


def _write(objects: ObjectReader, entries: Mapping[str, TreeEntry], root: Path) -> tuple[Skipped, ...]:
    targets = {
        entry.path: objects.read(entry.object_id, "blob", limit=_TARGET_BYTES)
        for entry in entries.values()
        if entry.kind == "symlink"
    }
    skipped = [Skipped(entry.path, "submodule") for entry in entries.values() if entry.kind == "submodule"]
    made = {root}
    # Symlinks come last, so that no file is ever written through one.
    for entry in sorted(entries.values(), key=lambda entry: entry.kind == "symlink"):
        place = root / entry.path
        if entry.kind == "submodule" or (entry.kind == "symlink" and _leads_out(entry.path, targets)):
            if entry.kind == "symlink":
                skipped.append(Skipped(entry.path, "symlink-outside"))
            continue
        _make_folders(place.parent, made)
        if entry.kind == "symlink":
            place.symlink_to(os.fsdecode(targets[entry.path]))
        else:
            _write_file(objects, entry, place)
    return tuple(sorted(skipped, key=lambda item: item.path))


def _make_folders(folder: Path, made: set[Path]) -> None:
    if folder not in made:
        _make_folders(folder.parent, made)
        folder.mkdir()
        folder.chmod(0o755)
        made.add(folder)


def _write_file(objects: ObjectReader, entry: TreeEntry, place: Path) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - pathlib cannot open a descriptor
        objects.copy(entry.object_id, "blob", file.write)
        os.fchmod(descriptor, entry.mode & 0o777)


def _leads_out(path: str, targets: Mapping[str, bytes]) -> bool:
    """Whether following the symlink at ``path`` could leave the tree.

    Followed as the kernel does, other symlinks of the tree included: ``a/b/../..`` leads out when ``b`` is a symlink
    to a shallower folder, though its letters say otherwise.
    """
    waiting = path.split("/")[::-1]
    at: list[str] = []
    hops = 0
    while waiting:
        component = waiting.pop()
        if component in {"", "."}:
            continue
        if component == "..":
            if not at:
                return True
            at.pop()
            continue
        at.append(component)
        target = targets.get("/".join(at))
        if target is None:
            continue
        hops += 1
        # An empty target cannot be made, one with a NUL would be cut short.
        if hops > _MAX_HOPS or target.startswith(b"/") or not target or b"\0" in target:
            return True
        at.pop()
        waiting.extend(target.decode("utf-8", "surrogateescape").split("/")[::-1])
    return False
