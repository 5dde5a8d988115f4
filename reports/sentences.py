# SPDX-License-Identifier: Apache-2.0
"""What was found, in sentences that claim no more than the evidence holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import Severity, Verdict
from reports import words
from reports.cells import CellRow, cell_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_SMALLEST = 1.005  # a ratio that is written as 1.00


def verdict_of(document: Mapping[str, Any] | None) -> Verdict:
    """A document's verdict; inconclusive where there is no document."""
    return Verdict.INCONCLUSIVE if document is None else Verdict(document["verdict"])


def code_sentence(diff: Mapping[str, Any] | None) -> str:
    """What the comparison of the code came to."""
    if diff is None:
        return "Base and head were not compared."
    files = diff.get("files", ())
    added = sum(file.get("lines_added") or 0 for file in files)
    removed = sum(file.get("lines_removed") or 0 for file in files)
    changed = f"{words.count(len(files), 'file')} changed ({added:,} lines added, {removed:,} removed)"
    found = _by_severity(diff.get("findings", ()))
    left = len(diff.get("not_analysed", ()))
    rest = f" {words.count(left, 'file')} not analysed." if left else ""
    return f"{changed}: {found or 'no rule of the diff found anything to look at'}.{rest}"


def _by_severity(findings: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for severity in reversed(Severity):
        number = sum(finding["severity"] == severity for finding in findings)
        if number:
            parts.append(f"{number} {severity}")
    noun = "finding" if len(findings) == 1 else "findings"
    return f"{words.joined(parts)} {noun}" if parts else ""


def behavior_sentence(audit: Mapping[str, Any] | None) -> str:
    """What the audit of the behaviour came to: never "no issues", always how small a shift would have been seen."""
    if audit is None:
        return "Neither version was run, so what the change does is not known."
    rows = cell_rows(audit, "primary")
    searched = _searched(cell_rows(audit, "exploratory"))
    if not rows:
        return f"The audit holds no primary cells, so what the change does is not known. {searched}".strip()
    beyond = [row for row in rows if row.verdict in {"amplified", "suppressed"}]
    if beyond:
        return " ".join(part for part in (_worst(beyond, len(rows)), _rest(rows), searched) if part)
    none = f"No shift beyond {_margins(rows)} was found in {words.count(len(rows), 'primary cell')}; {seen(rows)}."
    return " ".join(part for part in (none, _rest(rows), searched) if part)


def _searched(rows: Sequence[CellRow]) -> str:
    """What searching confirmed beside the declared cells, the worst of it by name."""
    if not rows:
        return ""
    worst = rows[0]
    size = f"{worst.ratio} times base" if worst.drawn.ratio is not None else f"{worst.difference} percentage points"
    found = words.count(len(rows), "shift that the panel did not name", "shifts that the panel did not name")
    return f"Searching confirmed {found}; the worst, {worst.slice} for {worst.who}, is {worst.verdict}: {size}."


def _worst(beyond: list[CellRow], total: int) -> str:
    worst = beyond[0]
    size = (
        f"{worst.ratio} times base (interval {worst.interval}, margin {worst.margin})"
        if worst.drawn.ratio is not None
        else f"{worst.difference} percentage points from none in base"
    )
    number = f"{len(beyond)} of {words.count(total, 'primary cell')}"
    verb = "lies" if len(beyond) == 1 else "lie"
    return f"{number} {verb} beyond the margin; the worst, {worst.slice} for {worst.who}, is {worst.verdict}: {size}."


def _margins(rows: Sequence[CellRow]) -> str:
    margins = sorted({row.drawn.margin for row in rows if row.drawn.margin is not None})
    if not margins:
        return "the margin"
    if len(margins) == 1:
        return words.ratio(margins[0])
    return f"its margin ({words.ratio(margins[0])} to {words.ratio(margins[-1])})"


def seen(rows: Sequence[CellRow]) -> str:
    """How small a shift the panel would have seen: for everyone, and in the cell that it knows least about."""
    known = [row for row in rows if row.drawn.detectable is not None]
    if not known:
        return "how small a shift this panel would have seen is not known"
    everyone = [row for row in known if row.who == "everyone"]
    worst = max(known, key=lambda row: row.drawn.detectable or 0)
    if not everyone:
        return f"this panel would have seen {worst.detectable} in every cell"
    best = max(everyone, key=lambda row: row.drawn.detectable or 0)
    if (worst.drawn.detectable or 0) < _SMALLEST:
        return "this panel would have seen even the smallest shift"
    text = f"this panel would have seen {best.detectable}"
    if (worst.drawn.detectable or 0) > (best.drawn.detectable or 0):
        text += f" for everyone, {worst.detectable} in the smallest cohorts"
    blind = sum((row.drawn.detectable or 0) > (row.drawn.margin or 0) for row in known)
    if blind:
        text += f", more than the margin in {words.count(blind, 'cell')}"
    return text


def _rest(rows: Sequence[CellRow]) -> str:
    """The cells that neither pass nor fail, so that they are not overlooked."""
    parts = []
    for verdict, say in (("shifted", "shifted"), ("inconclusive", "inconclusive"), ("not-run", "not run")):
        number = sum(row.verdict == verdict for row in rows)
        if number:
            parts.append(f"{words.count(number, 'cell')} {say}")
    return f"{words.joined(parts).capitalize()}." if parts else ""
