# SPDX-License-Identifier: Apache-2.0
"""The difference between two models: tensors, findings, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from diffing._kinds import What, kind_of
from diffing.artifacts import confined
from diffing.artifacts.beside import beside_findings, besides, wiring_findings
from diffing.artifacts.findings import findings_of
from diffing.artifacts.forests import compact
from diffing.artifacts.provenance import (
    MAX_STATEMENT,
    Keys,
    is_statement,
    provenance_findings,
    provenance_of,
    speaks_of,
)
from diffing.artifacts.turning import head_findings
from evidence import Finding, InputError, Location, Severity, Verdict, file_sha256, worst_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from diffing.artifacts import answers
    from diffing.artifacts.answers import Opened, Tensor
    from diffing.artifacts.confined import Heads
    from diffing.artifacts.provenance import Provenance

_Row = TypeVar("_Row", "answers.Outlier", "answers.Moved", "answers.Near", "answers.Around")
_FIRST = 8192  # bytes that tell what a file is
SCHEMA = "countersign/model-diff/v1"


@dataclass(frozen=True)
class Refused:
    """A file that is not read, and why, in one line."""

    path: str
    reason: str


@dataclass(frozen=True)
class ModelDiff:
    """Two models side by side. Findings come worst first, tensors by name."""

    tensors: tuple[Tensor, ...]
    findings: tuple[Finding, ...]
    refused: tuple[Refused, ...]
    forests: Mapping[str, Any]
    operators: Mapping[str, Any]
    ignored: tuple[str, ...]
    heads: answers.Heads | None = None
    provenance: tuple[Provenance, ...] = ()
    wiring: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict at the default threshold, high."""
        return self.verdict_at(Severity.HIGH)

    def verdict_at(self, fail_on: Severity) -> Verdict:
        """Fail if a finding weighs ``fail_on`` or more; else inconclusive if something was refused or nothing read."""
        if any(finding.severity.at_least(fail_on) for finding in self.findings):
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.refused or not self.tensors else Verdict.PASS

    def to_json(self) -> dict[str, Any]:
        """The model-diff document of ``formats.md``."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "tensors": [tensor.to_json() for tensor in self.tensors],
            "forests": dict(self.forests),
            "operators": dict(self.operators),
            "wiring": dict(self.wiring),
            "beside": dict(self.beside),
            **({"heads": self.heads.model_dump()} if self.heads else {}),
            "findings": [finding.to_json() for finding in self.findings],
            "refused": [{"path": one.path, "reason": one.reason} for one in self.refused],
            "ignored": list(self.ignored),
            "provenance": [one.to_json() for one in self.provenance],
        }


def model_diff(  # noqa: PLR0913 - each is something known beside the two
    base: Path | None,
    head: Path,
    *,
    rebuilds: Sequence[Path] = (),
    groups: Mapping[str, Sequence[int]] | None = None,
    towards: str | None = None,
    ids: Sequence[str] = (),
    base_ids: Sequence[str] = (),
    heads: Heads | None = None,
    keys: Keys | None = None,
    place: str = "",
    progress: Callable[[str], None] | None = None,
) -> ModelDiff:
    """What changed between two model files, or two folders of them.

    Args:
        base: the model that is there; None where there is none, and head's is new.
        head: the model that is to come.
        rebuilds: base trained again with other random numbers: a row then counts as out of line beyond what they vary.
        groups: rows by the name of their group, to be told how each moved; a panel's slices, as plain data.
        towards: a table of head; groups are told to have moved towards or away from its mean.
        ids: what the rows are called, for tables that have as many.
        base_ids: what base's are called, where that is another list; without it base's tables of another length have
            no names.
        keys: the reviewer's, for statements of provenance beside head's files.
        heads: which tables' dot product is the score, to be told each group's share of exposure by the weights alone.
        place: the path that findings are put at; the file's own name where it is empty.
        progress: told how far a large comparison is.

    What cannot be read safely is in ``refused``, and then no tensor is compared. Not checked here: what the change
    does to anybody's recommendations.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
        InputError: nothing there, a file against a folder, links, names with control characters, different formats.
    """
    if base is not None and base.is_dir() != head.is_dir() and base.exists() and head.exists():
        folder = base if base.is_dir() else head
        raise InputError(f"{folder} is a folder and the other side a file: compare two files or two folders")
    beside = confined.Beside(
        tuple(confined.listed(one) for one in rebuilds), groups or {}, towards, ids, base_ids or ids, heads, around=True
    )
    old, new = confined.listed(base) if base is not None else {}, confined.listed(head)
    result = compare_files(old, new, beside, place=place, progress=progress)
    if base is None and not result.refused:
        result = replace(result, findings=(new_model(place or _only(new) or head.name, result),))
    apart = result.wiring or result.beside or result.forests
    same = not apart and all(tensor.status == "same" for tensor in result.tensors)
    known = () if same or result.refused else tuple(_made(new, keys or Keys(), place))
    findings = worst_first([*result.findings, *provenance_findings(known, keys or Keys(), {})])
    return replace(result, provenance=known, findings=tuple(findings))


def new_model(path: str, found: ModelDiff, object_id: str | None = None) -> Finding:
    """One finding for a whole new model: nothing is there to compare its tensors with."""
    shapes = [
        {"name": tensor.name, "dtype": tensor.new_dtype, "shape": tensor.new_shape} for tensor in found.tensors[:20]
    ]
    return Finding(
        "tensor-changed", Severity.MEDIUM, f"New model: {path.rpartition('/')[2]}",
        f"{len(found.tensors):,} tensors, and nothing in base to compare them with.", Location(path),
        {"old": None, "new": object_id, "tensors": shapes}, (path, "added"),
    )  # fmt: skip


def _made(new: Mapping[str, Path], keys: Keys, place: str) -> Iterator[Provenance]:
    """What statements beside head's models say; a model that nothing speaks of is not hashed for it."""
    for name, path in new.items():
        with path.open("rb") as file:
            if kind_of(name, file.read(_FIRST)).what is not What.WEIGHTS:
                continue
        near = {one.name: one for one in path.parent.iterdir() if _is_plain(one)} if len(new) == 1 else new
        statements = [
            (one, near[one].read_bytes())
            for one in sorted(near)
            if is_statement(one) and speaks_of(one, name) and near[one].stat().st_size <= MAX_STATEMENT
        ]
        shown = place if place and len(new) == 1 else name
        yield provenance_of(shown, file_sha256(path) if statements else "", statements, keys)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def compare_files(
    base: dict[str, Path],
    head: dict[str, Path],
    beside: confined.Beside | None = None,
    *,
    place: str = "",
    progress: Callable[[str], None] | None = None,
) -> ModelDiff:
    """The same for files by the name they are shown under; ``place`` is the path that findings are put at.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
        InputError: different formats, or a parser that came to its end.
    """
    found = confined.compare(base, head, beside, progress=progress)
    refused = tuple(_refused((base, found.base), (head, found.head)))
    if not refused and found.base.kinds and found.head.kinds and not set(found.base.kinds) & set(found.head.kinds):
        raise InputError(f"base is {_kinds(found.base)} and head {_kinds(found.head)}: different formats")
    named = beside or confined.Beside()
    compared = [_with_ids(tensor, named.ids, named.base_ids) for tensor in found.tensors]
    where = place or _only(head)
    findings = worst_first([
        *findings_of(found.base, found.head, compared, where),
        *beside_findings(found.base, found.head, where),
        *head_findings(found.heads, where),
    ])  # fmt: skip
    forests = _both(found.base.forests, found.head.forests, compact)
    operators = _both(found.base.operators, found.head.operators, _sides)
    findings = worst_first([*findings, *wiring_findings(found.wiring, where, operators)])
    ignored = tuple(sorted({*found.base.ignored, *found.head.ignored}))
    tensors = tuple(sorted(compared, key=lambda tensor: tensor.name))
    wiring = {name: one.model_dump() for name, one in found.wiring.items()}
    beside_ = besides(found.base, found.head)
    return ModelDiff(
        tensors, tuple(findings), refused, forests, operators, ignored, found.heads, wiring=wiring, beside=beside_
    )


def _with_ids(tensor: Tensor, ids: Sequence[str], base_ids: Sequence[str]) -> Tensor:
    """The tensor with the ids of its rows, where it has as many rows as there are ids; base's by base's own."""
    if not ids or not tensor.new_shape or tensor.new_shape[0] != len(ids):
        return tensor
    named = tensor.model_copy(update={"outlier_rows": _named(tensor.outlier_rows, ids)})
    if named.aligned is not None:
        moved = named.aligned.model_copy(update={"outlier_rows": _named(named.aligned.outlier_rows, ids)})
        named = named.model_copy(update={"aligned": moved})
    if named.neighbours is not None:
        own = base_ids if tensor.old_shape and tensor.old_shape[0] == len(base_ids) else ()
        around = [
            one.model_copy(update={"before": _named(one.before, own), "after": _named(one.after, ids)})
            for one in _named(named.neighbours, ids)
        ]
        named = named.model_copy(update={"neighbours": around})
    return named


def _named(rows: Sequence[_Row], ids: Sequence[str]) -> list[_Row]:
    return [row.model_copy(update={"id": ids[row.row]}) for row in rows] if ids else list(rows)


def _refused(*listed: tuple[Mapping[str, Path], Opened]) -> list[Refused]:
    found, sides = [], [side for _, side in listed]
    for files, side in listed:
        found += [Refused(one.path, one.reason) for one in side.refused]
        found += [Refused(one.path, "runs code when it is loaded: never loaded, only listed") for one in side.unsafe]
        found += [Refused(one.path, one.reason) for one in side.opaque]
        if side.kinds and not (found or side.tensors or side.forests or side.operators):
            found.append(Refused(min(files), "no tensor is in it"))
    if not found:
        found = [
            Refused(side.ignored[0], "no model, embedding or table is in it")
            for side in sides
            if side.ignored and not side.kinds
        ]
    return list(dict.fromkeys(found))


def _both(old: Mapping[str, Any], new: Mapping[str, Any], told: Callable[[Any, Any], dict[str, Any]]) -> dict[str, Any]:
    """What differs between the sides, by name."""
    return {name: told(old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}


def _sides(old: Any, new: Any) -> dict[str, Any]:  # noqa: ANN401 - counts, or None
    return {"old": old, "new": new}


def _kinds(side: Opened) -> str:
    return " and ".join(side.kinds)


def _only(files: dict[str, Path]) -> str:
    return next(iter(files)) if len(files) == 1 else ""
