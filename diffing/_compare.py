# SPDX-License-Identifier: Apache-2.0
"""The comparison itself, over bytes: no repository, no clock, no disk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from diffing._artifacts import Verdicts, special_entry, without_facts
from diffing._aside import weighed
from diffing._characters import character_findings, name_findings
from diffing._conditions import condition_findings
from diffing._content import Change, Side, declared_encoding, normalised, text_of
from diffing._crowds import limited, uncrowded
from diffing._declared import dependency_verdicts
from diffing._facts import Facts
from diffing._formulas import formula_findings
from diffing._kinds import MANIFEST, FileKind, What, excuse, kind_of
from diffing._lines import compare_lines, split_lines
from diffing._literals import literal_findings
from diffing._manifest import manifest_findings
from diffing._monitoring import monitoring_findings
from diffing._pairing import match_literals
from diffing._placing import FilePair, Places
from diffing._reading import Parsed, facts_of, odd_names, parse, text_list, unchanged
from diffing._redactions import blanked_numbers
from diffing._runtime import runtime_values, said_of_runtime
from diffing._specials import special_findings
from diffing._tree import TooManyNodesError
from diffing._wiring import wiring_findings
from diffing.capabilities import Elsewhere, Fields, capabilities_of, capability_findings, shipped
from diffing.changes import FileChange, NotAnalysed, RuntimeValue
from diffing.dependencies import declares, setting_of_dependencies
from diffing.languages import MARKDOWN
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from diffing._around import Around
    from diffing._facts import Value

_KEPT_NODES = 3_000_000  # syntax nodes of modified files held at once; beyond, constants of other files are not put in


@dataclass(slots=True)
class Outcome:
    """What a comparison gives."""

    files: list[FileChange] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    not_analysed: list[NotAnalysed] = field(default_factory=list)
    runtime_values: list[RuntimeValue] = field(default_factory=list)


@dataclass(slots=True)
class _Waiting:
    """A file parsed on the sides it has, before facts are read."""

    path: str
    old: Parsed | None
    new: Parsed | None
    equal: bool = False


class Comparison:
    """Takes changed files one by one, then compares the facts of all of them.

    ``alone`` says that all code and settings are new (a first import): there is nothing to compare expressions with.
    ``weights`` says what there is to say of models, and of any other file that no facts are read from; ``around`` holds
    the files that calls are followed into.
    """

    def __init__(
        self,
        fields: Fields | None = None,
        weights: Callable[[Change, FileKind], Verdicts] = without_facts,
        *,
        alone: bool = False,
        around: Around | None = None,
    ) -> None:
        self._alone, self._around = alone, around
        self.outcome = Outcome()
        self._fields = fields or shipped()
        self._without_facts = weights
        self._waiting: list[_Waiting] = []
        self._pairs: list[FilePair] = []
        self._nodes = 0

    def add(self, change: Change) -> None:
        """Take one changed file."""
        kind, equal = None, False
        if {side.kind for side in (change.old, change.new) if side} == {"file"}:
            kind = _kind(change)
            equal = self._file(change, kind)
        else:
            self._take(special_entry(change))
            file_sides = [side for side in (change.old, change.new) if side and side.kind == "file"]
            if file_sides and change.new is not None:  # a file that was or became a link: what is a file now is read
                alone = replace(change, old=_only_file(change.old), new=_only_file(change.new))
                kind = _kind(alone)
                self._file(alone, kind)
        added, removed = _line_counts(change)
        self.outcome.files.append(
            FileChange(
                change.path,
                change.old_path,
                change.status,
                kind.language if kind else None,
                added,
                removed,
                equal,
                _object(change.old),
                _object(change.new),
            )
        )

    def finish(self) -> Outcome:
        """Compare the facts of everything taken."""
        old_constants = _shared(waiting.old for waiting in self._waiting)
        new_constants = _shared(waiting.new for waiting in self._waiting)
        for waiting in self._waiting:
            self._read(waiting, old_constants, new_constants)
        self._waiting = []
        outcome = self.outcome
        places = Places(self._pairs)
        specials = list(special_findings(self._pairs))
        singled = {(finding.location.path, str(finding.evidence["name"])) for finding in specials if finding.location}
        matches = [
            match
            for prose in (False, True)  # a documented value is no value that moved out of the code
            for match in match_literals([pair for pair in self._pairs if _is_prose(pair) is prose], places)
        ]
        found = [
            *literal_findings(matches, places, singled),
            *blanked_numbers(matches),
            *wiring_findings(self._pairs, places),
            *monitoring_findings(self._pairs, places),
            *specials,
            *condition_findings(self._pairs, places),
            *formula_findings(self._pairs, places),
            *capability_findings(self._pairs, self._elsewhere(), self._around),
        ]
        own = [
            finding
            for finding in found
            if finding.location is None or finding.location.path != MANIFEST or said_of_runtime(finding)
        ]
        outcome.findings = limited([*self._of_files(), *uncrowded(weighed(own, self._pairs, alone=self._alone))])
        outcome.runtime_values = runtime_values(self._pairs)
        outcome.not_analysed.sort(key=lambda entry: (entry.path, entry.reason))
        outcome.files.sort(key=lambda file: file.path)
        return outcome

    def _of_files(self) -> list[Finding]:
        """What was found of single files; only that one does not parse weighs by where it stands."""
        found = self.outcome.findings
        unparsed = [finding for finding in found if finding.rule == "parse-failed"]
        others = [finding for finding in found if finding.rule != "parse-failed"]
        return [*others, *weighed(unparsed, self._pairs)]

    def _take(self, verdicts: tuple[Iterable[Finding], Iterable[NotAnalysed]]) -> None:
        self.outcome.findings += verdicts[0]
        self.outcome.not_analysed += verdicts[1]

    def _file(self, change: Change, kind: FileKind) -> bool:
        """Take a regular file; whether its syntax is equal on both sides."""
        old, new = change.old, change.new
        if old and new and old.object_id == new.object_id:
            return True
        if declares(change.path) and kind.what in {What.CODE, What.TEXT, What.DEPENDENCY}:
            self._take(dependency_verdicts(change))
            if kind.what is What.DEPENDENCY:
                return False
        if kind.what not in {What.CODE, What.TEXT}:
            self._take(self._without_facts(change, kind))
            return False
        too_large = [side for side in (old, new) if side and side.content is None]
        if too_large:
            size = max(side.size for side in too_large)
            category = excuse(change.path) or "size"
            self._skip(change.path, f"{size:,} bytes: larger than is read", category)
            return False
        before, after = old.content if old else None, new.content if new else None
        if after is not None:
            text = text_of(after)
            self.outcome.findings += character_findings(
                change.path,
                text_of(before or b""),
                text,
                code=kind.what is What.CODE and not (kind.table and kind.table.prose),
            )
        if kind.what is What.TEXT or kind.table is None:
            self._list(change, before, after)
            return False
        return self._code(change, kind, before, after)

    def _list(self, change: Change, before: bytes | None, after: bytes | None) -> None:
        """A text file of one word a line is a list."""
        old = text_list(change.old_path or change.path, normalised(before)) if before is not None else None
        new = text_list(change.path, normalised(after)) if after is not None else None
        if old or new:
            self._pairs.append(FilePair(old, new))

    def _code(self, change: Change, kind: FileKind, before: bytes | None, after: bytes | None) -> bool:
        table = kind.table
        assert table is not None  # noqa: S101 - the caller has looked
        path = change.path
        if any(content is not None and b"\0" in normalised(content) for content in (before, after)):
            self._take(_unreadable(path, f"it holds NUL bytes, which {table.title} does not have"))
            return False
        encoding = declared_encoding(after) if after is not None and table.name == "python" else None
        if encoding:
            self._take(
                _unreadable(path, f"it declares the encoding {encoding}, under which other text runs than is shown")
            )
            return False
        try:
            old = parse(change.old_path or path, normalised(before), table) if before is not None else None
            new = parse(path, normalised(after), table) if after is not None else None
        except TooManyNodesError as error:
            self._skip(path, str(error), excuse(path) or ("notebook" if table.embedded else "size"))
            return False
        for parsed, side in ((new, "head"), (old, "base")):
            if parsed is not None and parsed.errors and (side == "head" or new is None or not new.errors):
                known = side == "head" and old is not None and len(old.errors) >= len(parsed.errors)
                self._take(_not_parsed(path, parsed, side, known=known))
        self.outcome.findings += name_findings(path, odd_names(old), odd_names(new))
        waiting = _Waiting(path, old, new, equal=bool(old and new and old.form == new.form))
        if waiting.equal:
            return not table.prose
        if path == MANIFEST:
            self.outcome.findings += manifest_findings(
                path, *(facts_of(one, {}) if one else None for one in (old, new))
            )
        self._wait(waiting)
        return False

    def _wait(self, waiting: _Waiting) -> None:
        """Read a file at once where only one side is there, or too much is waiting already; else when all are known."""
        sides = [side for side in (waiting.old, waiting.new) if side]
        nodes = sum(side.lowered.nodes for side in sides)
        if len(sides) == 1 or self._nodes + nodes > _KEPT_NODES:
            self._read(waiting, {}, {})
            return
        self._nodes += nodes
        self._waiting.append(waiting)

    def _read(self, waiting: _Waiting, old_constants: Mapping[str, Value], new_constants: Mapping[str, Value]) -> None:
        try:
            same = _every_symbol(waiting.new) if self._alone else unchanged(waiting.old, waiting.new)
            old = facts_of(waiting.old, old_constants, same) if waiting.old else None
            new = facts_of(waiting.new, new_constants, same) if waiting.new else None
        except TooManyNodesError as error:
            self._skip(waiting.path, str(error), excuse(waiting.path) or "size")
            return
        for facts, parsed in ((old, waiting.old), (new, waiting.new)):
            if facts is not None and parsed is not None:
                facts.literals = [one for one in facts.literals if not setting_of_dependencies(facts.path, one.name)]
                facts.capabilities = capabilities_of(parsed, facts, self._fields, self._elsewhere())
        self._pairs.append(FilePair(old, new))

    def _elsewhere(self) -> Elsewhere | None:
        return self._around.elsewhere(self._fields) if self._around is not None else None

    def _skip(self, path: str, reason: str, category: str) -> None:
        self.outcome.not_analysed.append(NotAnalysed(path, reason, category))


def _is_prose(pair: FilePair) -> bool:
    return pair.path.lower().endswith(MARKDOWN.suffixes)


def _kind(change: Change) -> FileKind:
    """What a file is: by head, but what one side makes unsafe or opaque is so."""
    kinds = [kind_of(path, side.content) for path, side in _sides(change)]
    for what in (What.UNSAFE, What.LFS):
        for kind in kinds:
            if kind.what is what:
                return kind
    return kinds[0]


def _sides(change: Change) -> list[tuple[str, Side]]:
    found = [(change.path, change.new), (change.old_path or change.path, change.old)]
    return [(path, side) for path, side in found if side is not None]


def _only_file(side: Side | None) -> Side | None:
    return side if side is not None and side.kind == "file" else None


def _object(side: Side | None) -> str | None:
    return side.object_id if side is not None and side.kind != "submodule" else None


def _line_counts(change: Change) -> tuple[int, int]:
    contents = []
    for side in (change.old, change.new):
        content = b"" if side is None or side.kind == "submodule" else side.content
        if content is None or b"\0" in content[:8000]:
            return 0, 0
        contents.append(split_lines(content))
    diff = compare_lines(contents[0], contents[1])
    return diff.added, diff.removed


def _every_symbol(parsed: Parsed | None) -> frozenset[str]:
    return frozenset({"", *parsed.definitions}) if parsed else frozenset()


def _shared(sides: Iterable[Parsed | None]) -> dict[str, Value]:
    """Constants in capitals that all files of a side agree on."""
    found: dict[str, Value] = {}
    unsure: set[str] = set()
    for side in sides:
        for name, value in (side.constants if side else {}).items():
            if name.isupper():
                if name in found and found[name] != value:
                    unsure.add(name)
                found[name] = value
    return {name: value for name, value in found.items() if name not in unsure}


def _unreadable(path: str, why: str) -> tuple[list[Finding], list[NotAnalysed]]:
    finding = Finding(
        "parse-failed",
        Severity.MEDIUM,
        f"{path} cannot be read as it says",
        f"{why[0].upper()}{why[1:]}.",
        Location(path),
        {"reason": why},
        (path, why),
    )
    return [finding], [NotAnalysed(path, why, "syntax")]


def _not_parsed(path: str, parsed: Parsed, side: str, *, known: bool) -> tuple[list[Finding], list[NotAnalysed]]:
    lines = [f"{span.line}" if span.line == span.end_line else f"{span.line}-{span.end_line}" for span in parsed.errors]
    shown = ", ".join(lines[:5]) + (f" and {len(lines) - 5:,} more" if len(lines) > 5 else "")  # noqa: PLR2004 - one line of text
    why = f"lines {shown} of {side} do not parse as {parsed.table.title}"
    first = parsed.errors[0]
    location = Location(path, first.line, first.end_line, "head" if side == "head" else "base")
    finding = Finding(
        "parse-failed",
        Severity.LOW if known else Severity.MEDIUM,
        f"{path} does not parse{', as before' if known else ''}",
        f"{why[0].upper()}{why[1:]}; facts come from the rest.",
        location,
        {"lines": lines[:20], "side": side},
        (path, side),
    )
    return [finding], [NotAnalysed(path, why, "syntax")]


__all__ = ["Comparison", "Facts", "Outcome"]
