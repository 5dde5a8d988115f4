# SPDX-License-Identifier: Apache-2.0
"""Models, embeddings and tables of a repository: taken out of it, opened in a confined process, compared."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from diffing._artifacts import Verdicts, without_facts
from diffing._kinds import FileKind, What
from diffing.artifacts.models import compare_files, new_model
from diffing.artifacts.provenance import MAX_STATEMENT, is_statement, provenance_of, speaks_of
from diffing.changes import NotAnalysed
from evidence import Finding, InputError, Location, SandboxMissingError, Severity, TooLargeError, sha256_hex

if TYPE_CHECKING:
    from confine import Repository
    from diffing._content import Change, Side
    from diffing.artifacts import ModelDiff
    from diffing.artifacts.provenance import Keys, Provenance

MAX_MODEL = 256 << 20  # bytes of a model in a repository; larger ones belong beside it, as declared artifacts
_MOST = 64  # models of one change that are opened
_OPENED = frozenset({What.WEIGHTS, What.UNSAFE})


class Weights:
    """Takes changed files that are models; says of any other file what is said without facts.

    ``provenance`` is what statements beside them in ``commit`` say of how the changed ones were made.
    """

    def __init__(self, repository: Repository, commit: str, keys: Keys) -> None:
        self._repository = repository
        self._commit, self._keys = commit, keys
        self._statements: list[str] | None = None
        self._left = _MOST
        self.provenance: list[Provenance] = []

    def verdicts(self, change: Change, kind: FileKind) -> Verdicts:
        """Findings, and what was not analysed of one file."""
        plain = without_facts(change, kind)
        if kind.what not in _OPENED or (change.new is None and kind.what is What.UNSAFE):
            return plain
        return Verdicts((_removed(change),), ()) if change.new is None else self._opened(change, kind, plain)

    def _opened(self, change: Change, kind: FileKind, plain: Verdicts) -> Verdicts:
        if self._left == 0:
            return _skipped(change, plain, f"model weights: more than {_MOST} models in one change")
        self._left -= 1
        try:
            found = self._compared(change)
        except (InputError, SandboxMissingError) as error:
            return _skipped(change, plain, f"model weights: {error}")
        if kind.what is What.UNSAFE:
            return Verdicts(tuple(_listed(one, found) for one in plain.findings), plain.not_analysed)
        refused = tuple(NotAnalysed(change.path, f"model weights: {one.reason}", "weights") for one in found.refused)
        if not refused and any(tensor.status != "same" for tensor in found.tensors):
            self.provenance.append(self._made(change))
        if change.old is None and not refused:
            new = change.new.object_id if change.new else None
            return Verdicts((new_model(change.path, found, new),), ())
        return Verdicts(found.findings, refused[:1])

    def _compared(self, change: Change) -> ModelDiff:
        """Both sides in a private folder, under the name that the file has in head: its type is declared there."""
        name = PurePosixPath(change.path).name
        with tempfile.TemporaryDirectory(prefix="models-") as folder:
            Path(folder).chmod(0o755)
            sides = [
                {name: self._written(side, Path(folder, label))} if side is not None and side.kind == "file" else {}
                for label, side in (("base", change.old), ("head", change.new))
            ]
            return compare_files(sides[0], sides[1], place=change.path)

    def _made(self, change: Change) -> Provenance:
        """What the statements beside a model say, by its bytes in head."""
        tree = self._repository.tree(self._commit)
        if self._statements is None:
            self._statements = [path for path in sorted(tree) if is_statement(path)]
        beside = [path for path in self._statements if speaks_of(path, change.path) and tree[path].kind == "file"]
        read = []
        for path in beside:
            with suppress(TooLargeError):
                read.append((path, self._repository.blob(tree[path].object_id, limit=MAX_STATEMENT)))
        side = change.new
        content = side.content if side else None
        if content is None and side is not None:
            content = self._repository.blob(side.object_id, limit=MAX_MODEL)
        return provenance_of(change.path, sha256_hex(content or b""), read, self._keys)

    def _written(self, side: Side, path: Path) -> Path:
        content = side.content
        path.write_bytes(self._repository.blob(side.object_id, limit=MAX_MODEL) if content is None else content)
        path.chmod(0o644)
        return path


def _skipped(change: Change, plain: Verdicts, reason: str) -> Verdicts:
    return Verdicts(plain.findings, (*plain.not_analysed[1:], NotAnalysed(change.path, reason, "weights")))


def _removed(change: Change) -> Finding:
    return Finding(
        "tensor-changed", Severity.MEDIUM, f"Model removed: {change.path.rpartition('/')[2]}",
        "What was trained into it is no longer there.", Location(change.path, side="base"),
        {"old": change.old.object_id if change.old else None, "new": None}, (change.path, "removed"),
    )  # fmt: skip


def _listed(finding: Finding, found: ModelDiff) -> Finding:
    """The finding with what the listing of the file adds."""
    listing = next((one for one in found.findings if one.rule == "unsafe-artifact"), None)
    if listing is None:
        return finding
    return replace(
        finding, detail=f"{finding.detail} {listing.detail}", evidence={**finding.evidence, **listing.evidence}
    )
