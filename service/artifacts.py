# SPDX-License-Identifier: Apache-2.0
"""Declared artifacts, base's against head's: models by the panel's slices, training data, and how they were made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import diffing
from evidence import Finding, InputError, Location, Severity, Verdict, file_sha256, worst_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import behavior

SCHEMA: Final = "countersign/artifacts/v1"
IDS: Final = "item_ids"  # the artifact that says which item each row of a table is, one id a line
DATA: Final = "training_data"  # the artifact that is a table of what was learnt from
_MEMBER = 0.5  # degree from which on an item is of a slice
_MOST_IDS = 64 << 20
_USUAL = 200  # characters of an id


@dataclass(frozen=True)
class Placed:
    """An artifact's file, and the path that the manifest gives it.

    ``told`` says that the diff tells of it too, ``heads`` which of its tables the manifest says make a score.
    """

    file: Path
    path: str
    told: bool = False
    heads: diffing.Heads | None = None

    @cached_property
    def sha256(self) -> str:
        """Of its bytes as they are when first asked for."""
        return file_sha256(self.file)

    def named(self) -> dict[str, Any]:
        """Its path, size and digest."""
        return {"path": self.path, "size": self.file.stat().st_size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Compared:
    """One artifact on both sides, None where a side has none, and what comparing them gave."""

    name: str
    base: Mapping[str, Any] | None
    head: Mapping[str, Any] | None
    model: diffing.ModelDiff | None = None
    data: diffing.DataDiff | None = None

    @property
    def status(self) -> str:
        """``same`` by the bytes, whatever the path."""
        if self.base is None or self.head is None:
            return "added" if self.base is None else "removed"
        return "same" if self.base["sha256"] == self.head["sha256"] else "changed"

    def to_json(self) -> dict[str, Any]:
        """The artifact as it stands in the document."""
        return {
            "name": self.name,
            "status": self.status,
            "base": self.base,
            "head": self.head,
            "model": self.model.to_json() if self.model is not None else None,
            "data": self.data.to_json() if self.data is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What comparing artifacts gave. Findings come worst first, artifacts by name."""

    artifacts: tuple[Compared, ...]
    findings: tuple[Finding, ...]
    not_analysed: tuple[diffing.NotAnalysed, ...]

    @property
    def models(self) -> dict[str, diffing.ModelDiff]:
        """The models that were compared, by name."""
        return {one.name: one.model for one in self.artifacts if one.model is not None}

    @property
    def verdict(self) -> Verdict:
        """Fail where a finding weighs high; else inconclusive where something was not read."""
        if any(finding.severity.at_least(Severity.HIGH) for finding in self.findings):
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.not_analysed else Verdict.PASS

    def weighed(self, rules: diffing.ReviewerRules, known: Iterable[Mapping[str, Any]] = ()) -> Artifacts:
        """The same under the reviewer's rules, without findings that ``known`` documents hold and weigh as much."""
        seen = {finding["id"]: Severity(finding["severity"]) for finding in known}
        findings = [
            finding
            for finding in rules.apply(self.findings)
            if finding.id not in seen or not seen[finding.id].at_least(finding.severity)
        ]
        return replace(self, findings=tuple(findings))

    def to_json(self) -> dict[str, Any]:
        """The artifacts document; ``docs/schemas/artifacts.schema.json``."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "artifacts": [one.to_json() for one in self.artifacts],
            "findings": [finding.to_json() for finding in self.findings],
            "not_analysed": [entry.to_json() for entry in self.not_analysed],
        }


def compare_artifacts(
    base: Mapping[str, Placed],
    head: Mapping[str, Placed],
    panel: behavior.Panel | None = None,
    keys: diffing.Keys | None = None,
) -> Artifacts:
    """Compare the artifacts that both sides declare under one name. What has the same bytes is not opened.

    Where head declares ``item_ids``, a text file of one id a line, tables with as many rows are told by those ids, and
    how far the items of each of the panel's slices moved. Where a manifest declares heads, head's or base's,
    each slice's exposure by those tables alone is told too. ``training_data`` is compared as a table of interactions.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
    """
    ids, base_ids, left = _ids(base.get(IDS), head.get(IDS))
    members = _members(panel) if panel is not None else {}
    groups = _groups(members, ids)
    compared: list[Compared] = []
    findings: list[Finding] = []
    for name in sorted(base.keys() | head.keys()):
        old, new = base.get(name), head.get(name)
        one = Compared(name, old.named() if old else None, new.named() if new else None)
        if one.status == "changed" or (one.status == "added" and name not in {IDS, DATA}):
            one, missing = _opened(one, old, new, (members, groups, ids, base_ids), keys)
            left += missing
        elif one.status == "removed" and old is not None:
            findings.append(_removed(name, old.path))
        compared.append(one)
        findings += [*(one.model.findings if one.model else ()), *(one.data.findings if one.data else ())]
    return Artifacts(tuple(compared), tuple(worst_first(findings)), tuple(left))


def _opened(
    one: Compared,
    old: Placed | None,
    new: Placed | None,
    sliced: tuple[Mapping[str, list[str]], Mapping[str, list[int]], list[str], list[str]],
    keys: diffing.Keys | None,
) -> tuple[Compared, list[diffing.NotAnalysed]]:
    """The artifact with what changed inside it; and what was not read of it, unless the diff tells of the file."""
    if new is None or one.name == IDS:
        return one, []
    members, groups, ids, base_ids = sliced
    try:
        if one.name == DATA and old is not None:
            return replace(one, data=diffing.data_diff(old.file, new.file, groups=members, place=new.path)), []
        found, left = _weights(one.name, old, new, groups, ids, base_ids, keys)
    except InputError as error:
        return one, [] if new.told else [_unread(one.name, str(error))]
    missing = [] if new.told else [_unread(one.name, refused.reason) for refused in found.refused]
    return replace(one, model=found), [*missing, *left]


def _weights(
    name: str,
    old: Placed | None,
    new: Placed,
    groups: Mapping[str, list[int]],
    ids: list[str],
    base_ids: list[str],
    keys: diffing.Keys | None,
) -> tuple[diffing.ModelDiff, list[diffing.NotAnalysed]]:
    """What changed inside an artifact, with its heads where they are declared; and why not, if tables are no heads."""
    heads = (new.heads or (old.heads if old is not None else None)) if groups else None
    compare = partial(
        diffing.model_diff, old.file if old is not None else None, new.file,
        groups=groups, ids=ids, base_ids=base_ids, keys=keys, place=new.path,
    )  # fmt: skip
    if heads is None or old is None:
        return compare(), []
    try:
        return compare(heads=heads, towards=heads.users), []
    except InputError as error:
        return compare(), [_unread(name, f"its heads: {error}")]


def _unread(name: str, reason: str) -> diffing.NotAnalysed:
    return diffing.NotAnalysed(name, f"a declared artifact: {reason}", "weights")


def _removed(name: str, path: str) -> Finding:
    return Finding(
        "tensor-changed", Severity.MEDIUM, f"Artifact removed: {name}", "What was in it is no longer there.",
        Location(path, side="base"), {"old": path, "new": None}, (path, "removed"),
    )  # fmt: skip


def _ids(base: Placed | None, head: Placed | None) -> tuple[list[str], list[str], list[diffing.NotAnalysed]]:
    """The ids of head's rows and of base's, none where they cannot be used; and then why."""
    if head is None:
        return [], [], []
    ids = _listed(head)
    if ids is None:
        return [], [], [_unread(IDS, "no list of one id a line, each once: rows are told by their numbers")]
    before = _listed(base) if base is not None else ids
    shared = min(len(ids), len(before or ()))
    if before is None or before[:shared] != ids[:shared]:
        reason = "base lists other items in these rows: rows are told by their numbers, and slices not followed"
        return [], [], [_unread(IDS, reason)]
    return ids, before, []


def _listed(placed: Placed) -> list[str] | None:
    if placed.file.stat().st_size > _MOST_IDS:
        return None
    ids = placed.file.read_text(encoding="utf-8", errors="replace").splitlines()
    usable = len(set(ids)) == len(ids) and all(0 < len(one) <= _USUAL and one.isprintable() for one in ids)
    return ids if usable else None


def _members(panel: behavior.Panel) -> dict[str, list[str]]:
    """The ids of each slice's items."""
    items = panel.items["item_id"].to_list()
    columns = panel.membership.tocsc()
    found = {}
    for at, one in enumerate(panel.slices):
        part = columns[:, [at]].tocoo()
        members = [items[item] for item, degree in zip(part.coords[0], part.data, strict=True) if degree >= _MEMBER]
        if members:
            found[one.name] = members
    return found


def _groups(members: Mapping[str, list[str]], ids: list[str]) -> dict[str, list[int]]:
    """The rows of each slice's items, for tables whose rows are told by ``ids``."""
    rows = {one: row for row, one in enumerate(ids)}
    found = {name: sorted(rows[one] for one in listed if one in rows) for name, listed in members.items()}
    return {name: known for name, known in found.items() if known}
