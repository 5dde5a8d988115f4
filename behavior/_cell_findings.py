# SPDX-License-Identifier: Apache-2.0
"""Findings from cells: one for each slice and kind of shift, so that a lift for everyone is answered once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from behavior.cells import Cell, rounded
from evidence import CellVerdict, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

_RULES = {
    CellVerdict.AMPLIFIED: "amplified",
    CellVerdict.SUPPRESSED: "suppressed",
    CellVerdict.SHIFTED: "shifted",
}


def cell_findings(cells: Sequence[Cell]) -> list[Finding]:
    """What the cells oblige the reviewer to answer.

    Amplified or suppressed in a primary slice: of the slice's severity. Shifted in one: a step less. Amplified or
    suppressed in a secondary slice: medium. What a search confirmed: high, or medium where it is only shifted.
    """
    groups: defaultdict[tuple[str, str, str, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        rule = _RULES.get(cell.verdict)
        if rule is None or (cell.family == "secondary" and cell.verdict is CellVerdict.SHIFTED):
            continue
        groups[cell.probe, rule, cell.slice, cell.direction].append(cell)
    return [_finding(rule, group) for (_, rule, _, _), group in groups.items()]


def cohort_name(cohort: dict[str, str | int | bool]) -> str:
    """A cohort in words: ``everyone``, or ``party=AFD, country=DE``."""
    return ", ".join(f"{column}={value}" for column, value in cohort.items()) or "everyone"


def _finding(rule: str, group: list[Cell]) -> Finding:
    first = next((cell for cell in group if not cell.cohort), None) or min(group, key=lambda cell: cell.adjusted_p)
    severity = first.severity
    if rule == "shifted":
        severity = severity.step(-1)
    others = f" and {_more(len(group) - 1)}" if len(group) > 1 else ""
    against = " since the anchor" if first.probe == "anchor" else ""
    size = f"{first.ratio:.3f} times base" if first.ratio is not None else f"from nothing to {first.head_share:.3g}"
    moved = rule if rule != "shifted" else f"shifted {'up' if first.direction > 0 else 'down'}"
    return Finding(
        rule=rule,
        severity=severity,
        title=f"{first.slice} {moved}{against} for {cohort_name(first.cohort)}{others}: {size}",
        detail=_detail(first),
        evidence={
            "probe": first.probe,
            "family": first.family,
            "slice": first.slice,
            "direction": "up" if first.direction > 0 else "down",
            **_figures(first),
            "cohorts": [_figures(cell) for cell in group],
        },
        key=(first.probe, first.slice, str(first.direction)),
    )


def _figures(cell: Cell) -> dict[str, Any]:
    return {
        "cohort": cell.cohort,
        "ratio": rounded(cell.ratio),
        "ratio_low": rounded(cell.ratio_low),
        "ratio_high": rounded(cell.ratio_high),
        "difference": rounded(cell.difference),
        "adjusted_p": rounded(cell.adjusted_p),
    }


def _detail(cell: Cell) -> str:
    shares = f"Share of exposure {cell.base_share:.3%} under base, {cell.head_share:.3%} under head"
    interval = (
        f"; ratio {cell.ratio:.3f} ({cell.ratio_low:.3f} to {cell.ratio_high:.3f} over users)"
        if cell.ratio is not None and cell.ratio_low is not None and cell.ratio_high is not None
        else ""
    )
    adjusted = f"; {cell.adjusted_ratio:.3f} after what strata explain" if cell.adjusted_ratio is not None else ""
    return (
        f"{shares}{interval}{adjusted}. Margin {cell.margin:g}. Among {cell.users:,} users, adjusted p"
        f" {cell.adjusted_p:.2g} by {cell.statistic or 'no statistic'}."
    )


def _more(count: int) -> str:
    return "1 more cohort" if count == 1 else f"{count} more cohorts"
