# SPDX-License-Identifier: Apache-2.0
"""The words and signs of verdicts, numbers and cells, the same in pages, reports and charts.

A verdict is told by word and sign before it is told by colour. Numbers are written as a reader compares them:
ratios with two decimals, shares in percent, p-values never as zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from evidence import CellVerdict, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

THIN_SPACE: Final = "\u202f"
DASH: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
MISSING: Final = DASH

VERDICT_SIGNS: Final[Mapping[str, str]] = {Verdict.PASS: "✓", Verdict.FAIL: "✕", Verdict.INCONCLUSIVE: "?"}

CELL_SIGNS: Final[Mapping[str, str]] = {
    CellVerdict.AMPLIFIED: "▲",
    CellVerdict.SUPPRESSED: "▼",
    CellVerdict.SHIFTED: "◆",
    CellVerdict.EQUIVALENT: "●",
    CellVerdict.INCONCLUSIVE: "○",
    CellVerdict.NOT_RUN: "□",
}

CELL_MEANINGS: Final[Mapping[str, str]] = {
    CellVerdict.AMPLIFIED: "head shows more of it than base, beyond the margin",
    CellVerdict.SUPPRESSED: "head shows less of it than base, beyond the margin",
    CellVerdict.SHIFTED: "a real difference, but small or less than certain: it needs an answer",
    CellVerdict.EQUIVALENT: "any difference lies inside the margin",
    CellVerdict.INCONCLUSIVE: "the data cannot tell: neither a pass nor a fail",
    CellVerdict.NOT_RUN: "not measured: neither a pass nor a fail",
}

# Worst first: what fails, what must be answered, what is not known, what is fine.
CELL_ORDER: Final[tuple[CellVerdict, ...]] = (
    CellVerdict.AMPLIFIED,
    CellVerdict.SUPPRESSED,
    CellVerdict.SHIFTED,
    CellVerdict.INCONCLUSIVE,
    CellVerdict.NOT_RUN,
    CellVerdict.EQUIVALENT,
)

SEVERITY_SIGNS: Final[Mapping[str, str]] = {
    severity: "●" * severity.rank + "○" * (len(Severity) - 1 - severity.rank) for severity in Severity
}


def ratio(value: float | None) -> str:
    """A ratio with two decimals, three where it is within 0.01 of 1 but not 1; a dash where there is none."""
    if value is None:
        return MISSING
    places = 3 if 0 < abs(value - 1) < 0.005 else 2  # noqa: PLR2004 - half a unit of the second decimal
    return f"{value:.{places}f}"


def interval(low: float | None, high: float | None) -> str:
    """From one ratio to another with a dash between; only a dash where an end is missing."""
    return MISSING if low is None or high is None else f"{ratio(low)}{DASH}{ratio(high)}"


def percent(share: float | None) -> str:
    """A share of 0..1 in percent, with the decimals that its size needs."""
    if share is None:
        return MISSING
    value = 100 * share
    places = 1 if abs(value) >= 1 or value == 0 else 2
    return f"{value:.{places}f}{THIN_SPACE}%"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, signed."""
    return MISSING if difference is None else f"{100 * difference:+.2f}".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """A p-value; below 0.001 as such, never zero."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - the customary limit


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 file``, ``3,432 users``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def cohort(values: Mapping[str, Any]) -> str:
    """A cohort in words; the whole population is ``everyone``."""
    return ", ".join(f"{key} {value}" for key, value in sorted(values.items())) if values else "everyone"


def briefly(values: Mapping[str, Any]) -> str:
    """A cohort in few words: of several columns the values alone, ``DE, under 60 days``."""
    if len(values) < 2 or any(isinstance(value, bool | int | float) for value in values.values()):  # noqa: PLR2004
        return cohort(values)
    return ", ".join(str(value) for value in sorted((str(value) for value in values.values()), key=len))


def context(values: Mapping[str, Any]) -> str:
    """A request context in words; empty where there is none."""
    return ", ".join(f"{key} = {value}" for key, value in sorted(values.items()))


def joined(words: list[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def short(identifier: str | None) -> str:
    """The first twelve digits of a commit or digest, without the algorithm's name."""
    return MISSING if not identifier else identifier.removeprefix("sha256:")[:12]
