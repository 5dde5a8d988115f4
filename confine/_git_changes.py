# SPDX-License-Identifier: Apache-2.0
"""Which paths differ between two trees, with renames, from ``git diff-tree``'s raw output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evidence import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confine._git import Git
    from confine._git_trees import TreeEntry

ChangeStatus = Literal["added", "removed", "modified", "renamed", "type-changed"]

# Past these only renames without any edit are found; the rest stay one removed and one added path each. A bound on
# the input, not on time, so that the same trees always give the same answer.
MAX_RENAME_PAIRS = 1_000_000
MAX_RENAME_BYTES = 256 << 20
_RENAME_SIMILARITY = 50
_STATUSES: Mapping[str, ChangeStatus] = {
    "A": "added",
    "D": "removed",
    "M": "modified",
    "R": "renamed",
    "T": "type-changed",
}


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """One changed path. What does not exist on a side is None there; paths are decoded with surrogateescape.

    ``status`` "type-changed" is a file that became a symlink or submodule, or back. ``similarity`` is git's, in
    percent, for "renamed" only.
    """

    status: ChangeStatus
    old_path: str | None
    new_path: str | None
    old_mode: int | None
    new_mode: int | None
    old_object: str | None
    new_object: str | None
    similarity: int | None = None

    @property
    def path(self) -> str:
        """The path on the head side, or on the base side of a removed one."""
        return self.new_path or self.old_path or ""


def changes(
    git: Git, base_tree: str, head_tree: str, base: Mapping[str, TreeEntry], head: Mapping[str, TreeEntry]
) -> list[DiffEntry]:
    """The changed paths, sorted by path bytes. Raises RepositoryError if git cannot compare the trees."""
    gone = [entry for path, entry in base.items() if path not in head and entry.kind != "submodule"]
    come = [entry for path, entry in head.items() if path not in base and entry.kind != "submodule"]
    size = sum(entry.size for entry in gone) + sum(entry.size for entry in come)
    exhaustive = len(gone) * len(come) <= MAX_RENAME_PAIRS and size <= MAX_RENAME_BYTES
    result = git.run(
        [
            *(
                "diff-tree",
                "-r",
                "-z",
                "--raw",
                "--no-abbrev",
                "--no-ext-diff",
                "--no-textconv",
                "--ignore-submodules=none",
            ),
            f"-M{_RENAME_SIMILARITY if exhaustive else 100}%",
            f"-l{MAX_RENAME_PAIRS}",
            base_tree,
            head_tree,
        ]
    )
    if result.status:
        raise RepositoryError(f"trees {base_tree} and {head_tree} cannot be compared: {result.complaint}")
    return sorted(_parse(result.stdout), key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))


def _parse(output: bytes) -> Iterator[DiffEntry]:
    """``:mode mode id id status NUL path NUL`` and, for a rename, a second path and NUL."""
    fields = iter(output.split(b"\0"))
    for header in fields:
        if not header:
            return
        old_mode, new_mode, old_object, new_object, letter = header.decode("ascii").lstrip(":").split(" ")
        status = _STATUSES.get(letter[:1])
        if status is None:
            raise RepositoryError(f"git diff-tree: unknown status {letter!r}")
        old_path = next(fields).decode("utf-8", "surrogateescape")
        new_path = next(fields).decode("utf-8", "surrogateescape") if status == "renamed" else old_path
        yield DiffEntry(
            status,
            None if status == "added" else old_path,
            None if status == "removed" else new_path,
            None if status == "added" else int(old_mode, 8),
            None if status == "removed" else int(new_mode, 8),
            None if status == "added" else old_object,
            None if status == "removed" else new_object,
            int(letter[1:]) if status == "renamed" else None,
        )
