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
    from collections.abc import Iterator, Mapping

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


_LOOKALIKES = frozenset(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u04cf\u0475\u051b\u051d\u0410\u0412\u0415\u041a"
    "\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0405\u0406\u0408\u03bf\u03bd\u03c1\u03b9\u03ba\u03b1\u0391\u0392\u0395\u0396"
    "\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
)
"""Cyrillic and Greek letters that look like Latin ones in most fonts."""


def name_findings(path: str, old: Mapping[str, int], new: Mapping[str, int]) -> Iterator[Finding]:
    """Names of head's code, with their lines, that pass for others though no line of them mixes scripts.

    A name of look-alikes only, or one that compilers take for another spelling (NFKC, as in PEP 3131).
    """
    hits = []
    for name, line in sorted(new.items(), key=lambda item: item[1]):
        letters = [letter for letter in name if letter.isalpha()]
        alike = len(letters) > 1 and all(letter in _LOOKALIKES for letter in letters)
        if name not in old and (alike or unicodedata.normalize("NFKC", name) != name):
            hits.append((line, ascii(name)[1:-1]))
    if hits:
        yield _finding(path, "lookalike", Severity.MEDIUM, hits)


_TITLES = {
    "lookalike": "A name that passes for another",
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
