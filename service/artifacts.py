# SPDX-License-Identifier: Apache-2.0
"""Declared artifacts that are not in the repository: base's model against head's, with the panel's slices as groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import diffing
from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import behavior
    from evidence import Finding

IDS = "item_ids"  # the artifact that says which item each row of a table is, one id a line
_MEMBER = 0.5  # degree from which on an item is of a slice
_MOST_IDS = 64 << 20


class Outside(NamedTuple):
    """What comparing artifacts gave: a document each by name, all findings, and what was not read."""

    models: dict[str, diffing.ModelDiff]
    findings: tuple[Finding, ...]
    not_analysed: tuple[diffing.NotAnalysed, ...]


def compare_artifacts(
    base: Mapping[str, Path],
    head: Mapping[str, Path],
    panel: behavior.Panel | None = None,
    keys: diffing.Keys | None = None,
) -> Outside:
    """Compare the artifacts that both sides declare under one name; files are given as they lie outside.

    Where head declares ``item_ids``, a text file of one id a line, tables with as many rows are told by those ids, and
    how far the items of each of the panel's slices moved.

    Raises:
        SandboxMissingError: no working sandbox; nothing was opened.
    """
    ids = _ids(head)
    groups = _groups(panel, ids) if panel is not None else {}
    models: dict[str, diffing.ModelDiff] = {}
    findings: list[Finding] = []
    left: list[diffing.NotAnalysed] = []
    for name in sorted(head.keys() - {IDS}):
        if name not in base:
            left.append(
                diffing.NotAnalysed(name, "an artifact outside the repository that base does not have", "weights")
            )
            continue
        try:
            found = diffing.model_diff(base[name], head[name], groups=groups, ids=ids, keys=keys)
        except InputError as error:
            left.append(diffing.NotAnalysed(name, f"an artifact outside the repository: {error}", "weights"))
            continue
        models[name] = found
        findings += found.findings
        left += [
            diffing.NotAnalysed(name, f"an artifact outside the repository: {one.reason}", "weights")
            for one in found.refused
        ]
    return Outside(models, tuple(findings), tuple(left))


def _ids(head: Mapping[str, Path]) -> list[str]:
    path = head.get(IDS)
    if path is None or path.stat().st_size > _MOST_IDS:
        return []
    ids = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return ids if len(set(ids)) == len(ids) and all(one.isprintable() for one in ids) else []


def _groups(panel: behavior.Panel, ids: list[str]) -> dict[str, list[int]]:
    """The rows of each slice's items, for tables whose rows are told by ``ids``."""
    rows = {one: row for row, one in enumerate(ids)}
    items = panel.items["item_id"].to_list()
    columns = panel.membership.tocsc()
    found = {}
    for at, one in enumerate(panel.slices):
        part = columns[:, [at]].tocoo()
        members = [items[item] for item, degree in zip(part.coords[0], part.data, strict=True) if degree >= _MEMBER]
        known = sorted(rows[item] for item in members if item in rows)
        if known:
            found[one.name] = known
    return found
