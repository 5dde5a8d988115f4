# SPDX-License-Identifier: Apache-2.0
"""Two snapshots of training data: what a model will have learnt from, before and after.

Counts are exact up to the limits in ``inside/events.py``; duplicates are of a share of the rows once there are many.
Not checked here: whether the rows are true, and what a model makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from confine import Parser
from diffing.artifacts import answers, confined
from diffing.artifacts.data_findings import data_findings
from diffing.artifacts.inside.events import SLICES
from evidence import Finding, Severity, Verdict, worst_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA = "countersign/data-diff/v1"
ROLES = ("user", "item", "source", "label", "time")


@dataclass(frozen=True)
class DataDiff:
    """Two snapshots side by side. Findings come worst first."""

    compared: answers.Snapshots
    findings: tuple[Finding, ...]
    by: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The verdict at the default threshold, high."""
        return self.verdict_at(Severity.HIGH)

    def verdict_at(self, fail_on: Severity) -> Verdict:
        """Fail if a finding weighs ``fail_on`` or more, else pass: what cannot be read is an error."""
        return Verdict.FAIL if any(one.severity.at_least(fail_on) for one in self.findings) else Verdict.PASS

    def to_json(self) -> dict[str, Any]:
        """The data-diff document; rows of a value are told for both sides, the most in head first."""
        base, head = self.compared.base, self.compared.head
        values = {name: _table(base.values.get(name, {}), head.values.get(name, {})) for name in sorted(head.values)}
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "columns": {"roles": self.compared.roles, "by": list(self.by)},
            "base": _side(base),
            "head": _side(head),
            "users": self.compared.users.model_dump() if self.compared.users else None,
            "values": values,
            "months": _table(base.months, head.months),
            "findings": [finding.to_json() for finding in self.findings],
        }


def data_diff(
    base: Path,
    head: Path,
    *,
    roles: Mapping[str, str] | None = None,
    by: tuple[str, ...] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    place: str = "",
) -> DataDiff:
    """What changed between two snapshots: tables of interactions or items, each a file or a folder of parts.

    Args:
        base: the snapshot that base was trained on. Parquet, Arrow, CSV, TSV or JSON lines.
        head: the one that head was trained on.
        roles: the column that holds the ``user``, ``item``, ``source``, ``label`` and ``time``; guessed by name.
        by: more columns of few values whose rows are counted: slices.
        groups: ids of items by the name of their group, whose rows are counted too; a panel's slices, as plain data.
        place: the path that findings are put at; head's own name where it is empty.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
        InputError: what is no table, or has no such column, or no rows; or sides with other columns for the roles.
    """
    files = {"base": confined.listed(base), "head": confined.listed(head)}
    asked: dict[str, list[dict[str, str]]] = {}
    inside: dict[str, Path] = {}
    for side, listed in files.items():
        named = confined.inside_names(side, listed)
        inside |= {name: path for name, _, path in named}
        asked[side] = [{"name": shown, "path": Parser.inside(name)} for name, shown, _ in named]
    with confined.parser_of(inside) as parser:
        groups = {name: list(ids) for name, ids in (groups or {}).items()}
        call = {**asked, "roles": dict(roles or {}), "by": list(by), "groups": groups}
        compared = answers.snapshots(parser.ask({"data": call}))
    findings = worst_first(data_findings(compared, (*by, SLICES) if groups else by, place or head.name))
    return DataDiff(compared, tuple(findings), by)


def _side(side: answers.Snapshot) -> dict[str, Any]:
    months = list(side.months)
    return {
        **side.model_dump(
            include={"rows", "users", "items", "duplicates", "duplicates_sampled", "undated", "missing", "columns"}
        ),
        "from": months[0] if months else None,
        "to": months[-1] if months else None,
    }


def _table(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, dict[str, int]]:
    names = sorted({*old, *new}, key=lambda name: (-new.get(name, 0), -old.get(name, 0), name))
    return {name: {"old": old.get(name, 0), "new": new.get(name, 0)} for name in names}
