# SPDX-License-Identifier: Apache-2.0
"""A git repository, opened so that nothing in it runs."""

from __future__ import annotations

import hashlib
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

from confine._git import Git
from confine._git_changes import DiffEntry, changes
from confine._git_commits import Commit, Person, parse_commit
from confine._git_export import Skipped, export_tree
from confine._git_fetch import FetchLimits, mirror
from confine._git_objects import COMMIT_BYTES, OBJECT_ID, ObjectReader
from confine._git_trees import TreeEntry, walk
from confine._git_view import View, locate
from evidence import RepositoryError, Snapshot, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import TracebackType

__all__ = ["Commit", "DiffEntry", "FetchLimits", "Person", "Repository", "Skipped", "TreeEntry"]

MAX_TREE_BYTES = 16 << 30  # content of one commit, unpacked
MAX_COMMITS = 100_000  # looked at between base and head
_REF_LETTERS = 1024
_CACHED_TREES = 4


class Repository:
    """A local repository, bare or not, read through a clean view of it.

    Its configuration, hooks, attributes, replace refs, grafts, commit-graph and multi-pack-index are never read; its
    objects are checked against their ids; missing objects are missing, never fetched. Commit and tree ids are
    lower-case hexadecimal; methods that take a commit take a full id or anything ``git rev-parse`` resolves.

    Safe to share between threads. ``close`` (or leaving the context) ends its process and removes the view.
    Not checked here: signatures on commits, and whether the people named in them are who they say.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        located = locate(path)
        self.shallow = located.shallow
        self._view = View(located)
        self._git = Git(self._view.git_dir)
        self._objects = ObjectReader(self._git)
        self._close = weakref.finalize(self, _close, self._objects, self._view)
        self._trees: dict[str, dict[str, TreeEntry]] = {}
        self._sha256: dict[str, str] = {}

    @staticmethod
    def open(path: Path) -> Repository:
        """Open the repository at ``path``: a bare one, or the top folder of a worktree.

        Raises:
            RepositoryError: none there, no commit in it, or one that cannot be read safely.
        """
        repository = Repository(Path(path))
        try:
            repository._refuse_empty()
        except BaseException:
            repository.close()
            raise
        return repository

    @staticmethod
    def mirror(
        url: str,
        into: Path,
        *,
        limits: FetchLimits | None = None,
        extra_refs: Sequence[str] = (),
        allow_local: bool = False,
    ) -> Repository:
        """Clone the branches and tags at ``url`` to the bare repository ``into``, or bring it up to date, and open it.

        Whole or nothing: a first clone appears under its name when complete; an update moves its refs together at
        the end. Commits that the other side drops stay readable by their ids. Two processes take turns.

        Args:
            url: ``https://``, ``ssh://`` or ``user@host:path``; with ``allow_local`` also ``file://`` or a path.
                A user and password in an https URL are sent as its credential; they are not stored or shown.
            into: the bare repository's folder.
            limits: bytes on disk and seconds for the whole of it, held while it runs.
            extra_refs: more to fetch, each a full ref (``refs/pull/7/head``), a pattern (``refs/pull/*/head``) or a
                commit id, kept as ``refs/countersign/<id>``, where the server gives ids out.
            allow_local: whether a repository on this machine may be named.

        Raises:
            RepositoryError: another protocol, no such repository or ref, an empty one, damaged or out of time.
            TooLargeError: over ``limits.bytes``.
        """
        place = Path(into).absolute()  # git changes folders on the way
        mirror(url, place, limits or FetchLimits(), tuple(extra_refs), allow_local=allow_local)
        return Repository.open(place)

    def close(self) -> None:
        """End the reading process and remove the view. The repository itself is untouched."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def resolve(self, ref: str) -> str:
        """The full commit id that ``ref`` names: a branch, tag, id, or an expression such as ``HEAD~2``.

        Raises:
            RepositoryError: it looks like an option, names no commit, or names two things (a tag and a branch).
        """
        shown = ref[:80]
        if not ref or len(ref) > _REF_LETTERS or not ref.isprintable():
            raise RepositoryError(f"ref {shown!r} is empty, too long or has control characters")
        if ref.startswith("-"):
            raise RepositoryError(f"ref {shown!r} looks like an option; write refs/heads/… for such a branch")
        self._view.refresh()
        result = self._git.run(["rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}"])
        if "is ambiguous" in result.stderr:
            raise RepositoryError(f"ref {shown!r} is ambiguous in {self.path}: write refs/heads/… or refs/tags/…")
        commit = result.stdout.decode("ascii", "replace").strip()
        if result.status or not OBJECT_ID.match(commit):  # "^main" is answered with "^" and an id
            raise RepositoryError(f"ref {shown!r} names no commit in {self.path}")
        return commit

    def snapshot(self, ref: str) -> Snapshot:
        """Commit and tree id that ``ref`` names, and the content digest; raises as ``resolve`` and ``tree``."""
        commit = self.resolve(ref)
        return Snapshot(commit, self._commit(commit).tree, self.content_digest(commit))

    def tree_id(self, ref: str) -> str:
        """The id of the tree of the commit that ``ref`` names; raises as ``resolve``."""
        return self._commit(self.resolve(ref)).tree

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or an ancestor of it.

        Raises:
            RepositoryError: no such commit, or the history is cut off (a shallow clone) before an answer was found.
        """
        result = self._git.run(["merge-base", "--is-ancestor", self.resolve(old), self.resolve(new)])
        if result.status == 1 and self.shallow:
            raise RepositoryError(f"{self.path} is a shallow clone, its history cut off: run git fetch --unshallow")
        if result.status not in {0, 1}:
            raise RepositoryError(f"history of {new[:80]!r} cannot be read: {result.complaint}")
        return result.status == 0

    def merge_base(self, one: str, other: str) -> str:
        """The best common ancestor of two commits, as git chooses it; of several equally good ones the first by id.

        Raises:
            RepositoryError: no such commit, no common ancestor, or a history cut off (a shallow clone).
        """
        commits = [self.resolve(one), self.resolve(other)]
        result = self._git.run(["merge-base", "--all", *commits])
        found = sorted(result.stdout.decode("ascii", "replace").split())
        # Where one is the other's ancestor no hidden history could give another answer.
        if self.shallow and not set(found) & set(commits):
            raise RepositoryError(f"{self.path} is a shallow clone, its history cut off: run git fetch --unshallow")
        if result.status or not found:
            raise RepositoryError(f"{one[:80]!r} and {other[:80]!r} have no common ancestor in {self.path}")
        return found[0]

    def tree(self, commit: str) -> dict[str, TreeEntry]:
        """Every file, symlink and submodule of a commit by path, sorted by path bytes.

        Raises:
            RepositoryError: a damaged or ambiguous tree, or a missing object.
            TooLargeError: more than a million entries.
        """
        return dict(self._tree(self._commit(self.resolve(commit)).tree))

    def blob(self, object_id: str, *, limit: int) -> bytes:
        """A file's content, or a symlink's target.

        Raises:
            TooLargeError: more than ``limit`` bytes.
            RepositoryError: missing, no blob, or damaged.
        """
        return self._objects.read(object_id, "blob", limit=limit)

    def content_digest(self, commit: str, *, without: Collection[str] = ()) -> str:
        r"""The SHA-256 over the commit's content in hexadecimal, independent of git's ids.

        It is taken over one line an entry, in the order of the paths' bytes::

            <mode> SP <sha256> TAB <path> NUL

        ``mode`` is six octal digits (100644, 100755, 120000, 160000), ``sha256`` that of the file's content in
        lower-case hexadecimal, ``path`` the bytes that git stores, unquoted. The NUL ends the line as no path can
        contain one. A symlink's content is its target's bytes; a submodule's the lower-case hexadecimal id of its
        commit. Empty folders do not count, and neither do the paths in ``without``, whether they are there or not.

        Raises:
            TooLargeError: over 16 GiB of content, or too many entries.
            RepositoryError: as ``tree``.
        """
        entries = self._tree(self._commit(self.resolve(commit)).tree)
        self._refuse_large(entries)
        running = hashlib.sha256()
        for path, entry in entries.items():
            if path in without:
                continue
            running.update(b"%06o %s\t%s\0" % (entry.mode, self._content_sha256(entry).encode(), entry.path_bytes))
        return running.hexdigest()

    def export(self, commit: str, into: Path) -> tuple[Skipped, ...]:
        """Write the commit's files to the folder ``into``, which must not exist or be empty; whole or nothing.

        Files get mode 0644 or 0755 and exactly the stored bytes: no filters, line-end changes or LFS. Symlinks that
        stay inside the tree are written.

        Returns:
            What was not written, with the reason: symlinks that lead out of the tree, and submodules.

        Raises:
            RepositoryError: a path with ``..``, ``.`` or ``.git`` (in any spelling that NTFS or HFS+ takes for it)
                in it, or ``into`` is there and not empty.
            TooLargeError: as ``content_digest``.
        """
        entries = self._tree(self._commit(self.resolve(commit)).tree)
        self._refuse_large(entries)
        return export_tree(self._objects, entries, Path(into))

    def commit_people(self, base: str, head: str) -> tuple[Person, ...]:
        """Everyone whom the commits of ``base..head`` name as author, committer or co-author, sorted.

        Raises:
            RepositoryError: no such commit, or the history is cut off (a shallow clone) inside ``base..head``.
            TooLargeError: more than 100,000 commits.
        """
        commits = [self._commit(commit) for commit in self._between(base, head)]
        return tuple(sorted({person for commit in commits for person in commit.people}))

    def commits(self, base: str, head: str) -> tuple[tuple[str, Commit], ...]:
        """The commits of ``base..head`` by id, parsed, oldest first as git orders them; raises as ``commit_people``."""
        return tuple((commit, self._commit(commit)) for commit in reversed(self._between(base, head)))

    def message(self, commit: str) -> str:
        """The commit's message, whole; what is not UTF-8 (or in its declared encoding) shows as U+FFFD."""
        return self._commit(self.resolve(commit)).message

    def diff_entries(self, base: str, head: str) -> list[DiffEntry]:
        """The paths that differ between two commits, renames paired, sorted by path.

        Renames with edits are looked for in up to a million pairs and 256 MiB of added and removed files; past that
        only unedited ones are paired and the others appear as removed and added. Nothing is left out.

        Raises:
            RepositoryError: as ``tree``.
        """
        old, new = (self._commit(self.resolve(commit)).tree for commit in (base, head))
        return changes(self._git, old, new, self._tree(old), self._tree(new))

    def _between(self, base: str, head: str) -> list[str]:
        old, new = self.resolve(base), self.resolve(head)
        result = self._git.run(["rev-list", f"--max-count={MAX_COMMITS + 1}", new, f"^{old}"])
        if result.status:
            raise RepositoryError(f"commits of {base[:80]}..{head[:80]} cannot be listed: {result.complaint}")
        commits = result.stdout.decode("ascii").split()
        if len(commits) > MAX_COMMITS:
            raise TooLargeError(f"{base[:80]}..{head[:80]}: more than {MAX_COMMITS} commits")
        if self.shallow:
            self._refuse_cut_off(commits, old)
        return commits

    def _refuse_cut_off(self, commits: list[str], old: str) -> None:
        known = {*commits, old}
        for commit in commits:
            for parent in self._commit(commit).parents:
                if parent not in known and not self._has(parent):
                    raise RepositoryError(
                        f"{self.path} is a shallow clone, cut off at {commit}: run git fetch --unshallow"
                    )

    def _has(self, commit: str) -> bool:
        try:
            self._objects.infos([commit])
        except RepositoryError:
            return False
        return True

    def _commit(self, commit: str) -> Commit:
        return parse_commit(self._objects.read(commit, "commit", limit=COMMIT_BYTES), commit)

    def _tree(self, tree: str) -> Mapping[str, TreeEntry]:
        entries = self._trees.get(tree)
        if entries is None:
            entries = walk(self._objects, tree)
            trees = {**self._trees, tree: entries}
            self._trees = dict(list(trees.items())[-_CACHED_TREES:])
        return entries

    def _content_sha256(self, entry: TreeEntry) -> str:
        if entry.kind == "submodule":
            return hashlib.sha256(entry.object_id.encode()).hexdigest()
        known = self._sha256.get(entry.object_id)
        if known is None:
            known = self._sha256[entry.object_id] = self._objects.sha256(entry.object_id)
        return known

    def _refuse_large(self, entries: Mapping[str, TreeEntry]) -> None:
        size = sum(entry.size for entry in entries.values())
        if size > MAX_TREE_BYTES:
            raise TooLargeError(f"{self.path}: {size} bytes of content, over the limit of {MAX_TREE_BYTES}")

    def _refuse_empty(self) -> None:
        found = self._git.run(["for-each-ref", "--count=1", "--format=%(objectname)"])
        if not found.stdout.strip() and self._git.run(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).status:
            raise RepositoryError(f"{self.path}: the repository is empty, it has no commit")


def _close(objects: ObjectReader, view: View) -> None:
    objects.close()
    view.close()
