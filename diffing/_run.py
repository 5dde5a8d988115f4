# SPDX-License-Identifier: Apache-2.0
"""A diff between two commits of a repository."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from diffing._around import Around
from diffing._artifacts import without_facts
from diffing._claims import claim_findings
from diffing._collisions import collision_findings
from diffing._compare import Comparison
from diffing._content import Change, EntryKind, Side
from diffing._evidence import printable
from diffing._history import read_history
from diffing._kinds import reads
from diffing._ramps import ramp_findings
from diffing._weights import Weights
from diffing.artifacts.provenance import Keys, provenance_findings
from diffing.changes import Diff
from diffing.rules import ReviewerRules
from diffing.wheels import Wheels, compare_wheels
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from confine import DiffEntry, Repository, TreeEntry
    from diffing._compare import Outcome
    from diffing.changes import Status

MAX_FILE = 4 << 20  # bytes of a side that are read
_SYMLINK, _SUBMODULE = 0o120000, 0o160000
_STATUS: dict[str, Status] = {"type-changed": "modified"}


def diff(  # noqa: PLR0913 - each is something a reviewer has beside the two commits
    repository: Repository,
    base: str,
    head: str,
    *,
    baseline: str | None = None,
    rules: ReviewerRules | None = None,
    title: str | None = None,
    wheels: tuple[Path, Path] | None = None,
    keys: Keys | None = None,
    signers: Path | None = None,
    keyring: Path | None = None,
) -> Diff:
    """What changed between ``base`` and ``head``: files, findings worst first, and what was not analysed.

    Facts are read from the languages in ``diffing.languages``; everything else that changed is named in
    ``not_analysed`` with the reason, apart from prose. The same two commits give the same document, byte for byte.

    Args:
        repository: holds all the commits.
        base: where the change starts.
        head: where it ends.
        baseline: the last signed commit; values that moved further since then than in this change are ramps.
        rules: a reviewer's own severities and names of user data.
        title: what the change says of itself, instead of the messages of its commits.
        wheels: folders of the wheels that base and head are installed from, to compare too.
        keys: the reviewer's, for statements of provenance beside models.
        signers: a file of allowed signers, as of ssh-keygen: every commit is then to be signed by one of them.
        keyring: the same for OpenPGP, as exported by gpg; with both, either will do.

    Not checked here: X.509 signatures of commits, what artifacts outside the repository hold, and what code that did
    not change does with what did, apart from references by name and from where calls into it lead.

    Raises:
        RepositoryError: a ref that names no commit, or a repository that cannot be read.
        InputError: wheels, or a file of signers, that cannot be read.
        SandboxMissingError: signers are given, and ssh-keygen or gpg is not installed.
    """
    rules = rules or ReviewerRules()
    old, new = repository.snapshot(base), repository.snapshot(head)
    weights = Weights(repository, new.commit, keys or Keys())
    outcome = _compared(repository, old.commit, new.commit, rules, weights)
    read = read_history(repository, old.commit, new.commit, signers, keyring)
    fresh = [file.path for file in outcome.files if file.status in {"added", "renamed"}]
    collisions = collision_findings(map(printable, repository.tree(new.commit)), fresh) if fresh else ()
    inside = compare_wheels(*wheels, rules.fields) if wheels is not None else Wheels([], [])
    made = provenance_findings(weights.provenance, keys or Keys(), _elsewhere(repository, new.commit, weights))
    findings = [*outcome.findings, *read.findings, *collisions, *inside.findings, *made]
    signed = repository.snapshot(baseline) if baseline is not None else None
    if signed is not None and signed.commit != old.commit:
        findings += ramp_findings(outcome.findings, _compared(repository, signed.commit, new.commit, rules).findings)
    messages = [title] if title is not None else read.messages
    findings += claim_findings(messages, findings, outcome.files)
    return Diff(
        old,
        new,
        tuple(outcome.files),
        tuple(rules.apply(findings)),
        (*read.not_analysed, *outcome.not_analysed, *inside.not_analysed),
        read.history,
        signed,
        rules.digest,
        tuple(outcome.runtime_values),
        tuple(weights.provenance),
    )


def _elsewhere(repository: Repository, head: str, weights: Weights) -> dict[str, str]:
    """The commits that models are said to be made from and head does not descend from."""
    found = {}
    for commit in {commit for one in weights.provenance for commit in one.commits}:
        try:
            known = repository.resolve(commit) == commit and repository.is_ancestor(commit, head)
        except RepositoryError:
            known = False
        if not known:
            found[commit] = "is no commit of this history"
    return found


def _compared(
    repository: Repository, base: str, head: str, rules: ReviewerRules, weights: Weights | None = None
) -> Outcome:
    entries = repository.diff_entries(base, head)
    opened = weights.verdicts if weights is not None else without_facts
    first = not any(entry.old_object and reads(entry.old_path or entry.path) for entry in entries)
    around = _around(repository, head, entries) if weights is not None else None
    comparison = Comparison(rules.fields, weights=opened, alone=first, around=around)
    for entry in entries:
        comparison.add(_change(repository, entry))
    return comparison.finish()


def _around(repository: Repository, head: str, entries: Sequence[DiffEntry]) -> Around:
    """The files around a change: what head has, and what base had where it changed."""

    @cache
    def known() -> dict[str, TreeEntry]:
        return {printable(path): entry for path, entry in repository.tree(head).items()}

    def read(path: str, most: int) -> bytes | None:
        entry = known().get(path)
        if entry is None or entry.kind != "file" or entry.size > most:
            return None
        return repository.blob(entry.object_id, limit=entry.size)

    old = {printable(entry.old_path or entry.path) for entry in entries if entry.old_object is not None}
    return Around(lambda: {*known(), *old}, read)


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
