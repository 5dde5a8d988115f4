# SPDX-License-Identifier: Apache-2.0
"""Findings of what stands beside a model's numbers, and of how a graph's nodes are connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffing.artifacts.answers import Opened, Wired

_SHOWN = 20


def besides(base: Opened, head: Opened) -> dict[str, dict[str, dict[str, str | None]]]:
    """The words that differ, by file and key; those of files that only one side has too, if it has another model."""
    found = {}
    for name in sorted({*base.beside, *head.beside}):
        old, new = (side.beside[name].words if name in side.beside else {} for side in (base, head))
        moved = {
            key: {"old": old.get(key), "new": new.get(key)}
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        }
        if moved:
            found[name] = moved
    return found


def beside_findings(base: Opened, head: Opened, path: str) -> Iterator[Finding]:
    """One finding a file: medium if whoever reads the file follows the words, low if only people do."""
    if not (base.kinds and head.kinds):
        return
    for name, moved in besides(base, head).items():
        one = head.beside.get(name) or base.beside[name]
        keys = list(moved)
        first = moved[keys[0]]
        yield Finding(
            "tensor-changed", Severity.MEDIUM if one.acts else Severity.LOW,
            f"{one.what[0].upper()}{one.what[1:]} beside the numbers changed: {', '.join(keys[:5])}",
            f"{keys[0]} goes from {_said(first['old'])} to {_said(first['new'])}"
            f"{f', and {len(keys) - 1:,} others changed' if len(keys) > 1 else ''}.",
            Location(path or name, symbol=keys[0]),
            {"name": name, "words": {key: moved[key] for key in keys[:_SHOWN]}, "count": len(keys)},
            (path, name, "beside", *keys[:_SHOWN]),
        )  # fmt: skip


def wiring_findings(wired: Mapping[str, Wired], path: str, told: Mapping[str, Any]) -> Iterator[Finding]:
    """Graphs of the same operators that are connected otherwise; of other operators there is a finding already."""
    for name, one in wired.items():
        if name in told:
            continue
        now, before = (", ".join(words[:5]) or "the same nodes" for words in (one.new, one.old))
        yield Finding(
            "tensor-changed", Severity.MEDIUM, "The graph is connected otherwise than before",
            f"Its operators are the same. Now: {now}. Before: {before}.", Location(path or name, symbol="graph"),
            {"name": name, "old": one.old, "new": one.new}, (path, name, "wiring", *one.new[:_SHOWN]),
        )  # fmt: skip


def _said(word: str | None) -> str:
    return "nothing" if word is None else word or "an empty text"
