# SPDX-License-Identifier: Apache-2.0
"""A diff between two commits of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._compare import Comparison
from diffing._content import Change, EntryKind, Side
from diffing._evidence import printable
from diffing._weights import Weights
from diffing.changes import Diff
from evidence import TooLargeError

if TYPE_CHECKING:
    from confine import DiffEntry, Repository
    from diffing.changes import Status

MAX_FILE = 4 << 20  # bytes of a side that are read
_SYMLINK, _SUBMODULE = 0o120000, 0o160000
_STATUS: dict[str, Status] = {"type-changed": "modified"}


def diff(repository: Repository, base: str, head: str) -> Diff:
    """What changed between ``base`` and ``head``: files, findings worst first, and what was not analysed.

    Facts are read from the languages in ``diffing.languages``; everything else that changed is named in
    ``not_analysed`` with the reason, apart from prose. The same two commits give the same document, byte for byte.

    Not checked here: whether base is an ancestor of head, what artifacts outside the repository hold, and what
    code that did not
    change does with what did.

    Raises:
        RepositoryError: a ref that names no commit, or a repository that cannot be read.
    """
    old, new = repository.snapshot(base), repository.snapshot(head)
    entries = repository.diff_entries(old.commit, new.commit)
    first = not any(entry.old_object for entry in entries)
    comparison = Comparison(weights=Weights(repository).verdicts, alone=first)
    for entry in entries:
        comparison.add(_change(repository, entry))
    outcome = comparison.finish()
    return Diff(old, new, tuple(outcome.files), tuple(outcome.findings), tuple(outcome.not_analysed))


def _change(repository: Repository, entry: DiffEntry) -> Change:
    old_path = entry.old_path if entry.status == "renamed" and entry.old_path is not None else None
    status: Status = _STATUS[entry.status] if entry.status == "type-changed" else entry.status
    return Change(
        printable(entry.path),
        printable(old_path) if old_path is not None else None,
        status,
        _side(repository, entry.old_object, entry.old_mode),
        _side(repository, entry.new_object, entry.new_mode),
    )


def _side(repository: Repository, object_id: str | None, mode: int | None) -> Side | None:
    if object_id is None or mode is None:
        return None
    kind: EntryKind = {_SYMLINK: "symlink", _SUBMODULE: "submodule"}.get(mode, "file")  # type: ignore[assignment]
    if kind == "submodule":
        return Side(object_id, kind, 0, None)
    try:
        content = repository.blob(object_id, limit=MAX_FILE)
    except TooLargeError:
        return Side(object_id, kind, MAX_FILE, None)
    return Side(object_id, kind, len(content), content)
