# SPDX-License-Identifier: Apache-2.0
"""invisible-characters: what a reader does not see, or takes for another letter.

Bidirectional controls reorder what is shown (CVE-2021-42574, https://trojansource.codes), zero-width characters hide
in names
and texts, and letters of another script pass for Latin ones (CVE-2021-42694). Only what head adds is reported.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

_BIDI = "\u202a-\u202e\u2066-\u2069"
_HIDDEN = (
    "\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
    "\U000e0000-\U000e007f"
)
_BIDI_RUN = re.compile(f"[{_BIDI}]")
_ANY_RUN = re.compile(f"[{_BIDI}{_HIDDEN}]|\r(?!\n)")
_WORD = re.compile(r"[^\W\d_]+")
_JOINERS = frozenset("\u200c\u200d")
_LATIN, _MIXED = "LATIN", frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
_MOST_LINES = 20


def character_findings(path: str, old: str, new: str, *, code: bool) -> Iterator[Finding]:
    """Findings on lines of head that base does not have; letters of mixed scripts count in code only."""
    if new.isascii() and "\r" not in new:
        return
    known = Counter(old.split("\n"))
    hits: list[tuple[int, str, str]] = []
    for number, line in enumerate(new.split("\n"), start=1):
        if line.isascii() and "\r" not in line:
            continue
        if known[line] > 0:
            known[line] -= 1
            continue
        line = line.removeprefix("\ufeff") if number == 1 else line  # noqa: PLW2901 - the byte order mark is no content
        kind, names = _hidden(line.removesuffix("\r"), code=code)
        if kind:
            hits.append((number, kind, names))
    for kind, severity in (("bidi", Severity.HIGH), ("hidden", Severity.MEDIUM), ("mixed", Severity.MEDIUM)):
        lines = [(number, names) for number, found, names in hits if found == kind]
        if lines:
            yield _finding(path, kind, severity, lines)


def _hidden(line: str, *, code: bool) -> tuple[str, str]:
    """What a line hides, and the names of its characters."""
    found = [match.group() for match in _ANY_RUN.finditer(line) if not _joins(line, match.start())]
    if found:
        names = ", ".join(
            sorted({unicodedata.name(one, f"U+{ord(one):04X}") if one != "\r" else "CARRIAGE RETURN" for one in found})
        )
        return ("bidi" if any(_BIDI_RUN.match(one) for one in found) else "hidden"), names
    if code:
        for word in _WORD.findall(line):
            if not word.isascii() and (scripts := _scripts(word)) and _LATIN in scripts and scripts & _MIXED:
                return "mixed", ascii(word)[1:-1]
    return "", ""


def _joins(line: str, at: int) -> bool:
    """Whether a joiner stands between letters that need one: in Arabic or Indic words and in emoji."""
    if line[at] not in _JOINERS or not 0 < at < len(line) - 1:
        return False
    return ord(line[at - 1]) > 0x5FF and ord(line[at + 1]) > 0x5FF  # noqa: PLR2004 - below are scripts that use no joiners


def _scripts(word: str) -> set[str]:
    return {unicodedata.name(letter, "?").partition(" ")[0] for letter in word if letter.isalpha()}


_TITLES = {
    "bidi": "Characters that reorder the text as shown",
    "hidden": "Characters that are not shown",
    "mixed": "A name with look-alike letters of another script",
}


def _finding(path: str, kind: str, severity: Severity, lines: list[tuple[int, str]]) -> Finding:
    names = sorted({name for _, name in lines})
    evidence = {
        "kind": kind,
        "characters": names[:_MOST_LINES],
        "lines": [number for number, _ in lines[:_MOST_LINES]],
        "count": len(lines),
    }
    return Finding(
        "invisible-characters",
        severity,
        f"{_TITLES[kind]}: {len(lines)} line{'s' if len(lines) > 1 else ''}",
        f"{'; '.join(names[:5])}. What a reviewer reads is not what runs.",
        Location(path, lines[0][0], lines[0][0]),
        evidence,
        (path, kind, *names),
    )
