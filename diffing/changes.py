# SPDX-License-Identifier: Apache-2.0
"""What a diff consists of: files, findings, what was not analysed, verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from evidence import Digest, Finding, Severity, Snapshot, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffing.artifacts.provenance import Provenance

SCHEMA = "countersign/diff/v1"

Status = Literal["added", "removed", "modified", "renamed"]
EXCUSED = frozenset({"media", "vendored", "generated"})


@dataclass(frozen=True, slots=True)
class FileChange:
    """One changed file.

    Paths are printable: bytes that are no UTF-8 stand as escapes. ``language`` is None where nothing reads the file.
    ``syntax_equal`` says that only layout, comments, docstrings or names of locals differ. ``old_object`` and
    ``new_object`` are git's blob ids; None where the side has no file of its own (or a submodule). Line counts of
    binary files are 0.
    """

    path: str
    old_path: str | None
    status: Status
    language: str | None
    lines_added: int
    lines_removed: int
    syntax_equal: bool
    old_object: str | None = None
    new_object: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The file as it stands in ``formats.md``."""
        return {
            "path": self.path,
            "old_path": self.old_path,
            "status": self.status,
            "language": self.language,
            "lines_added": self.lines_added,
            "lines_removed": self.lines_removed,
            "syntax_equal": self.syntax_equal,
        }


@dataclass(frozen=True, slots=True)
class NotAnalysed:
    """A file, or part of one, that no facts were read from, and why.

    ``category`` is one of media, vendored, generated (these excuse), weights, unsafe, binary, language, size,
    syntax, submodule,
    symlink, dependency, notebook, history.
    """

    path: str
    reason: str
    category: str

    @property
    def excused(self) -> bool:
        """Whether a diff can pass without it."""
        return self.category in EXCUSED

    def to_json(self) -> dict[str, Any]:
        """The entry as it stands in ``formats.md``."""
        return {"path": self.path, "reason": self.reason, "category": self.category, "excused": self.excused}


@dataclass(frozen=True, slots=True)
class History:
    """The commits between base and head: how many, how many carry a signature, and whether base is an ancestor.

    ``verified`` counts those that one of the reviewer's allowed signers made, as author or committer; None where no
    such list is given: signed then means no more than that there is a signature. ``signatures`` counts them by kind
    (ssh, openpgp, x509).
    """

    commits: int
    signed: int
    ancestor: bool
    verified: int | None = None
    signatures: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The history as it stands in the document."""
        return {
            "commits": self.commits,
            "signed": self.signed,
            "signatures": dict(self.signatures),
            "verified": self.verified,
            "base_is_ancestor": self.ancestor,
        }


@dataclass(frozen=True, slots=True)
class RuntimeValue:
    """A flag, variable or remote value that changed code of head reads.

    ``kind`` is environment or runtime-value; ``held`` says that the ``[runtime]`` table of head's manifest has it.
    """

    name: str
    kind: str
    path: str
    line: int
    held: bool

    def to_json(self) -> dict[str, Any]:
        """The value as it stands in the document."""
        return {"name": self.name, "kind": self.kind, "path": self.path, "line": self.line, "held": self.held}


@dataclass(frozen=True, slots=True)
class Diff:
    """What a change is. Findings come worst first; files and what was not analysed by path.

    ``history`` is None where commits could not be read, ``baseline`` where none was given, ``rules`` the digest of a
    reviewer's own rules; ``provenance`` is of every model that changed.
    """

    base: Snapshot
    head: Snapshot
    files: tuple[FileChange, ...]
    findings: tuple[Finding, ...]
    not_analysed: tuple[NotAnalysed, ...]
    history: History | None = None
    baseline: Snapshot | None = None
    rules: Digest | None = None
    runtime_values: tuple[RuntimeValue, ...] = ()
    provenance: tuple[Provenance, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict at the default threshold, high."""
        return self.verdict_at(Severity.HIGH)

    def verdict_at(self, fail_on: Severity) -> Verdict:
        """Fail if a finding weighs ``fail_on`` or more; else inconclusive if anything unexcused was not analysed."""
        if any(finding.severity.at_least(fail_on) for finding in self.findings):
            return Verdict.FAIL
        if any(not entry.excused for entry in self.not_analysed):
            return Verdict.INCONCLUSIVE
        return Verdict.PASS

    def to_json(self) -> dict[str, Any]:
        """The diff document of ``formats.md``."""
        return {
            "schema": SCHEMA,
            "base": {"commit": self.base.commit, "tree": self.base.tree},
            "head": {"commit": self.head.commit, "tree": self.head.tree},
            "verdict": self.verdict.value,
            "files": [file.to_json() for file in self.files],
            "findings": [finding.to_json() for finding in self.findings],
            "not_analysed": [entry.to_json() for entry in self.not_analysed],
            "history": self.history.to_json() if self.history else None,
            "baseline": {"commit": self.baseline.commit, "tree": self.baseline.tree} if self.baseline else None,
            "rules": self.rules,
            "runtime_values": [value.to_json() for value in self.runtime_values],
            "provenance": [one.to_json() for one in self.provenance],
        }
