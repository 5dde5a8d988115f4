# SPDX-License-Identifier: Apache-2.0
"""claim-mismatch: what a change says of itself against what it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from diffing._evidence import cut, shown
from diffing._kinds import is_test
from diffing._words import word_set
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing.changes import FileChange

_VALUES = word_set("""
literal-changed literal-added literal-removed condition-changed formula-changed identity-list-added
identity-list-changed identity-special-case rule-added rule-removed wiring-added wiring-removed monitoring-removed
redaction capability-added destination-added data-field-exposed unsafe-artifact opaque-artifact manifest-changed
dependency-added dependency-changed invisible-characters tensor-changed
""")
_DEPENDING = frozenset({"dependency-added", "dependency-changed"})
_CONVENTIONAL = re.compile(r"^(\w+)(?:\([^)]*\))?!?:\s*(.*)$")
_NUMBERS = re.compile(r"from\s+(-?\d+(?:\.\d+)?)\s+to\s+(-?\d+(?:\.\d+)?)", re.IGNORECASE)


class Claim(NamedTuple):
    """What a message says that a change is, and what may not be in it then.

    ``least`` is the severity from which on a finding contradicts.
    """

    what: str
    pattern: re.Pattern[str]
    against: frozenset[str]
    least: Severity


def _claim(what: str, words: str, against: frozenset[str], least: Severity) -> Claim:
    return Claim(what, re.compile(rf"\b(?:{words})\b", re.IGNORECASE), against, least)


_COMMENTING = (  # comments in code; those that people write are ranked
    r"(?:in|add(?:s|ed)?|fix(?:es|ed)?|updat\w+|correct\w*|clarif\w+|improv\w+|remov\w+|more|better|code|inline|stale|outdated)"
    r"\s(?:\w+\s)?comments?(?!\w|#|[ -](?:score|count|rank|sort|order|filter|thread|section|vote|repl)\w*)"
)
_BEHAVING = _VALUES - _DEPENDING
_CLAIMS = (
    _claim("a spelling fix", r"typos?|spelling|grammar|misspell\w*", _VALUES, Severity.LOW),
    _claim(
        "documentation",
        rf"docs?|docstrings?|documentation|readme|changelog|{_COMMENTING}",
        _VALUES,
        Severity.LOW,
    ),
    _claim(
        "formatting",
        r"formatting|reformat\w*|format (?:the )?(?:code|files?|imports?)"
        r"|lint(?:ing|er)?|style|whitespace|indent\w*|black|prettier|isort|ruff",
        _VALUES,
        Severity.LOW,
    ),
    _claim("a rename or move", r"rename[ds]?|renaming|move[ds]?|moving|reorgani[sz]\w+", _BEHAVING, Severity.MEDIUM),
    _claim(
        "a refactoring or housekeeping",
        r"refactor\w*|clean[ -]?ups?|simplif\w+|tid(?:y|ying)|nfc|no functional changes?|housekeeping|chores?",
        _BEHAVING,
        Severity.MEDIUM,
    ),
    _claim("tests", r"tests?|coverage|unit ?tests?", _VALUES, Severity.MEDIUM),
    _claim("a version bump", r"bumps?|upgrade[ds]?|dependenc(?:y|ies)|deps|lock ?files?", _BEHAVING, Severity.MEDIUM),
)
_TYPES = {"docs": 1, "style": 2, "refactor": 4, "chore": 4, "test": 5, "tests": 5, "build": 6, "deps": 6}
_DOING = re.compile(
    r"\b(?:add(?:s|ed)?|fix(?:es|ed)?|implement\w*|introduc\w+|support\w*|enabl\w+|disabl\w+|chang\w+|increas\w+|decreas\w+|"
    r"remov\w+|updat\w+|tun\w+|rais\w+|lower\w*|boost\w*|new|improv\w+|use[ds]?|allow\w*|mak\w+|set|drop\w*|delet\w+|feat)\b",
    re.IGNORECASE,
)


def claim_findings(
    messages: Sequence[str], findings: Sequence[Finding], files: Sequence[FileChange]
) -> Iterator[Finding]:
    """Findings on what ``messages`` say: a title, or the first line of each commit. All of them must claim."""
    subjects = [message.strip().split("\n", 1)[0].strip() for message in messages if message.strip()]
    yield from _numbers(messages, findings)
    claims = [_made(subject) for subject in subjects]
    made = [claim for claim in claims if claim is not None]
    if not made or len(made) < len(claims):
        return
    tests = {file.path for file in files if is_test(file.path)}
    allowed = frozenset.intersection(*(claim.against for claim in made))
    least = max((claim.least for claim in made), key=lambda severity: severity.rank)
    against = [
        finding
        for finding in findings
        if finding.rule in allowed
        and finding.severity.at_least(least)
        and not (finding.location and finding.location.path in tests)
    ]
    if any(claim.what == "tests" for claim in made):
        against = [one for one in against if one.location is None or "test" not in one.location.path.lower()]
    if not against:
        return
    what = " and ".join(dict.fromkeys(claim.what for claim in made))
    worst = max((finding.severity for finding in against), key=lambda severity: severity.rank)
    severity = (
        Severity.HIGH
        if worst.at_least(Severity.HIGH)
        else Severity.MEDIUM
        if worst.at_least(Severity.MEDIUM)
        else Severity.LOW
    )
    first = against[0]
    yield Finding(
        "claim-mismatch",
        severity,
        cut(f"It says {what}: {shown(subjects[0])}"),
        f"But {first.title}" + (f", and {len(against) - 1} more." if len(against) > 1 else "."),
        first.location,
        {
            "claim": what,
            "message": [shown(subject) for subject in subjects[:5]],
            "against": [finding.title for finding in against[:10]],
            "count": len(against),
        },
        (what, *subjects[:20], *sorted(finding.id for finding in against)[:200]),
    )


def _made(subject: str) -> Claim | None:
    """The claim that a subject makes: by its conventional type, or by words where none says that more is done."""
    conventional = _CONVENTIONAL.match(subject)
    if conventional is not None:
        at = _TYPES.get(conventional.group(1).lower())
        if at is not None:
            return _CLAIMS[at]
    for claim in _CLAIMS:
        if claim.pattern.search(subject):
            rest = claim.pattern.sub(" ", subject)
            harmless = claim.least is Severity.LOW or claim.what in {"tests", "a version bump"}
            return claim if harmless or not _DOING.search(rest) else None
    return None


def _numbers(messages: Sequence[str], findings: Sequence[Finding]) -> Iterator[Finding]:
    """A message that says "from 0.5 to 0.6" of a change that moves numbers, but not these."""
    for message in messages:
        for match in _NUMBERS.finditer(message[:5000]):
            said = (float(match.group(1)), float(match.group(2)))
            moved = [one for one in findings if one.rule == "literal-changed" and _is_number(one.evidence.get("new"))]
            starts = [one for one in moved if one.evidence.get("old") == said[0]]
            if starts and all(one.evidence["new"] != said[1] for one in starts):
                first = starts[0]
                yield Finding(
                    "claim-mismatch",
                    Severity.HIGH,
                    cut(f"It says {match.group()}, but {first.evidence.get('name')} goes to {first.evidence['new']}"),
                    f"The message: {shown(match.group())}.",
                    first.location,
                    {
                        "claim": match.group(),
                        "name": first.evidence.get("name"),
                        "old": said[0],
                        "said": said[1],
                        "new": first.evidence["new"],
                    },
                    ("numbers", match.group(), first.id),
                )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
