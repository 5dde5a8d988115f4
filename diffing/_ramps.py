# SPDX-License-Identifier: Apache-2.0
"""ramp: against the last signed baseline, many small steps are one big one."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from diffing._evidence import cut, number_move
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FURTHER = 1.1  # how much further in all than in this step, in logarithms of ratios
_LISTS = frozenset({"identity-list-changed", "identity-list-added"})
_DRIFTING = _LISTS | {"literal-changed", "identity-special-case"}

_Place = tuple[str, str, str]


def ramp_findings(step: Sequence[Finding], whole: Sequence[Finding]) -> Iterator[Finding]:
    """Findings from two comparisons with one head: ``step`` from base, ``whole`` from the baseline."""
    steps = {_place(finding): finding for finding in step if finding.rule in _DRIFTING}
    left: list[Finding] = []
    for total in whole:
        if total.rule not in _DRIFTING:
            continue
        now = steps.get(_place(total))
        if now is None:
            if total.severity.at_least(Severity.MEDIUM):
                left.append(total)
        elif total.rule == "literal-changed" and now.rule == "literal-changed":
            yield from _number(now, total)
        elif total.rule in _LISTS and now.rule in _LISTS:
            yield from _list(now, total)
    if left:
        yield _drift(left)


def _place(finding: Finding) -> _Place:
    location = finding.location
    symbol = location.symbol if location and location.symbol else ""
    kind = "list" if finding.rule in _LISTS else finding.rule
    return kind, symbol, str(finding.evidence.get("name", ""))


def _number(now: Finding, total: Finding) -> Iterator[Finding]:
    start, before, after = total.evidence.get("old"), now.evidence.get("old"), total.evidence.get("new")
    if start == before or not all(_is_number(value) for value in (start, before, after)):
        return
    whole, step = number_move(start, after), number_move(before, after)
    if whole.flips is step.flips and not _further(whole.ratio, step.ratio):
        return
    severity = total.severity if total.severity.at_least(Severity.HIGH) else Severity.MEDIUM
    yield Finding(
        "ramp",
        severity,
        cut(f"{total.evidence['name']}: {start} → {after} since the baseline{whole.words}"),
        f"This change moves it from {before} to {after}{step.words}.",
        total.location,
        {"name": total.evidence["name"], "old": start, "new": after, "ratio": whole.ratio, "sign_flip": whole.flips,
         "step_old": before, "step_ratio": step.ratio},
        (*_place(total), repr(start), repr(before), repr(after)),
    )  # fmt: skip


def _further(whole: float | None, step: float | None) -> bool:
    """Whether a ratio goes further than another, in the same direction."""
    if whole is None or step is None or whole <= 0 or step <= 0:
        return whole != step
    return log(whole) * log(step) > 0 and abs(log(whole)) > _FURTHER * abs(log(step))


def _list(now: Finding, total: Finding) -> Iterator[Finding]:
    added, this = (int(one.evidence.get("added_count") or one.evidence.get("count") or 0) for one in (total, now))
    if added <= this:
        return
    yield Finding(
        "ramp",
        Severity.HIGH if total.severity.at_least(Severity.HIGH) else Severity.MEDIUM,
        cut(f"{total.evidence['name']}: {added:,} added since the baseline"),
        f"This change adds {this:,}.",
        total.location,
        {
            "name": total.evidence["name"],
            "count": added,
            "step_count": this,
            "sample": total.evidence.get("added") or total.evidence.get("sample"),
        },
        (*_place(total), "list", str(added), str(this)),
    )


def _drift(left: Sequence[Finding]) -> Finding:
    """What moved between the baseline and base, and this change leaves as it is."""
    titles = [finding.title for finding in left]
    return Finding(
        "ramp",
        Severity.MEDIUM,
        f"{len(left):,} change{'' if len(left) == 1 else 's'} between the baseline and base that nobody signed here",
        f"{'; '.join(titles[:5])}. This change does not touch them, so they are not among its findings.",
        left[0].location,
        {"count": len(left), "sample": titles[:10]},
        ("drift", *sorted(finding.id for finding in left)[:1000]),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
