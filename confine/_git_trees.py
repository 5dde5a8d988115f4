# SPDX-License-Identifier: Apache-2.0
"""Trees: every path of a commit, walked with limits, so that a few kilobytes that unfold to billions are refused."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from confine._git_objects import TREE_BYTES, ObjectReader
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

EntryKind = Literal["file", "symlink", "submodule"]

MAX_ENTRIES = 1_000_000
MAX_TREES = 500_000
MAX_PATH_BYTES = 4095  # what Linux can open
_EXECUTABLE = 0o100
_MODE_DIGITS = 7


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One path of a tree.

    ``mode`` is one of git's four: 0o100644, 0o100755, 0o120000 (symlink), 0o160000 (submodule). ``size`` is the
    content's in bytes, 0 for a submodule, whose ``object_id`` is a commit of another repository. ``path`` is decoded
    from UTF-8 with surrogateescape.
    """

    path: str
    mode: int
    object_id: str
    size: int
    kind: EntryKind

    @property
    def path_bytes(self) -> bytes:
        """The path as git stores it."""
        return self.path.encode("utf-8", "surrogateescape")


class _Raw(NamedTuple):
    path: bytes  # of a parsed tree: the name in it
    mode: int
    object_id: str


def walk(objects: ObjectReader, tree: str) -> dict[str, TreeEntry]:
    """Every file, symlink and submodule under a tree, sorted by path bytes.

    Names are not judged here beyond what makes a path ambiguous: ``..`` or ``.git`` in one is refused by ``export``.

    Raises:
        RepositoryError: a damaged tree, a name twice, an empty name or one with a slash, an unknown mode.
        TooLargeError: more entries, folders or longer paths than ``MAX_ENTRIES``, ``MAX_TREES``, ``MAX_PATH_BYTES``.
    """
    parsed: dict[str, list[_Raw]] = {}  # the same folder may stand in many places
    raws: list[_Raw] = []
    waiting = [(b"", tree)]
    trees = 0
    while waiting:
        prefix, object_id = waiting.pop()
        trees += 1
        if trees > MAX_TREES:
            raise TooLargeError(f"tree {tree}: more than {MAX_TREES} folders")
        if object_id not in parsed:
            parsed[object_id] = list(_parse(objects.read(object_id, "tree", limit=TREE_BYTES), object_id))
        for name, mode, below in parsed[object_id]:
            path = prefix + name
            if len(path) > MAX_PATH_BYTES:
                raise TooLargeError(f"tree {tree}: a path longer than {MAX_PATH_BYTES} bytes")
            if stat.S_ISDIR(mode):
                waiting.append((path + b"/", below))
            else:
                raws.append(_Raw(path, mode, below))
        if len(raws) + len(waiting) > MAX_ENTRIES:
            raise TooLargeError(f"tree {tree}: more than {MAX_ENTRIES} entries")
    raws.sort(key=lambda raw: raw.path)
    blobs = [raw.object_id for raw in raws if _kind(raw.mode) != "submodule"]
    sizes = _sizes(objects, blobs)
    entries = (
        TreeEntry(
            raw.path.decode("utf-8", "surrogateescape"),
            raw.mode,
            raw.object_id,
            sizes.get(raw.object_id, 0) if _kind(raw.mode) != "submodule" else 0,
            _kind(raw.mode),
        )
        for raw in raws
    )
    return {entry.path: entry for entry in entries}


def _sizes(objects: ObjectReader, blobs: list[str]) -> dict[str, int]:
    unique = list(dict.fromkeys(blobs))
    sizes: dict[str, int] = {}
    for object_id, info in zip(unique, objects.infos(unique), strict=True):
        if info.kind != "blob":
            raise RepositoryError(f"object {object_id} is a {info.kind}, where its tree has a file")
        sizes[object_id] = info.size
    return sizes


def _parse(data: bytes, tree: str) -> Iterator[_Raw]:
    """The entries of one tree object: ``<octal mode> <name> NUL <binary id>``, repeated."""
    id_bytes = len(tree) // 2
    position = 0
    seen: set[bytes] = set()
    while position < len(data):
        space = data.find(b" ", position, position + _MODE_DIGITS + 1)
        end = data.find(b"\0", space)
        if space < 0 or end < 0 or end + id_bytes >= len(data):
            raise RepositoryError(f"tree {tree} is damaged at byte {position}")
        name = data[space + 1 : end]
        if not name or b"/" in name or name in seen:
            raise RepositoryError(f"tree {tree}: the name {name!r} is empty, has a slash or is there twice")
        seen.add(name)
        yield _Raw(name, _mode(data[position:space], name, tree), data[end + 1 : end + 1 + id_bytes].hex())
        position = end + 1 + id_bytes


def _mode(digits: bytes, name: bytes, tree: str) -> int:
    """The mode as git reads it: of a file's permissions only the owner's x counts."""
    # int() alone would take a sign or an underscore for part of a number.
    mode = int(digits, 8) if digits.isdigit() and not digits.strip(b"01234567") else 0
    match stat.S_IFMT(mode):
        case stat.S_IFREG:
            return stat.S_IFREG | (0o755 if mode & _EXECUTABLE else 0o644)
        case stat.S_IFLNK | stat.S_IFDIR | 0o160000 as kind:
            return kind
    raise RepositoryError(f"tree {tree}: {name!r} has the unknown mode {digits!r}")


def _kind(mode: int) -> EntryKind:
    if stat.S_ISREG(mode):
        return "file"
    return "symlink" if stat.S_ISLNK(mode) else "submodule"
