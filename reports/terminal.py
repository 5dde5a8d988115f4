# SPDX-License-Identifier: Apache-2.0
"""A diff as text for a terminal: worst first, and no more than fits where a screen has an end.

Nothing from a change reaches a terminal as anything but printable characters on one line.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports import words
from reports.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLOURS: Final = {"critical": "1;31", "high": "31", "medium": "33", "low": "36", "info": "2"}
_VERDICTS: Final = {"fail": "1;31", "inconclusive": "1;33", "pass": "1;32"}
_SEVERITIES: Final = tuple(_COLOURS)
_LEAST_LINES: Final = 3
_NAMED: Final = 4  # of what was not analysed, where a screen has an end
_AROUND: Final = 4  # blank lines, the hint and the prompt
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Screen:
    """Where text goes. ``lines`` is None where there is no end to it: a file, a pipe, or all of it was asked for."""

    width: int = 120
    lines: int | None = None
    colour: bool = False

    def painted(self, text: str, code: str) -> str:
        """``text`` in a colour, where there are colours."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def fitted(self, text: str) -> str:
        """``text`` on one line of this width; a screen without an end has lines without an end."""
        text = " ".join(text.split("\n"))
        plain = _ESCAPE.sub("", text)
        if self.lines is None or len(plain) <= self.width:
            return text
        return f"{plain[: self.width - 1]}…"


def diff_text(document: Mapping[str, Any], screen: Screen | None = None) -> str:
    """A diff document: verdict and counts, findings worst first, what was not analysed, files."""
    screen = screen or Screen()
    findings, files, unread = document["findings"], document["files"], document["not_analysed"]
    lines = [screen.fitted(_heading(document, screen)), screen.fitted(_counts(findings, files, screen)), ""]
    unexcused = unread if screen.lines is None else [entry for entry in unread if not entry.get("excused")]
    room = left = None
    if screen.lines is not None:
        left = min(len(unexcused), _NAMED, screen.lines // 6) + 1
        room = max(_LEAST_LINES, screen.lines - len(lines) - left - _AROUND)
    shown = _some([_finding(one, screen) for one in findings], room, _rest(findings, room))
    lines += [*shown[:-2], *(screen.fitted(line) for line in shown[-2:])]
    reasons = [
        screen.fitted(f"  not analysed: {visible(entry['path'])}: {visible(entry['reason'])}") for entry in unexcused
    ]
    lines += _some(reasons, left, "not analysed")
    if screen.lines is None:
        lines += [_file(file) for file in files]
    elif findings or unread:
        lines.append(screen.fitted(screen.painted("--all shows everything, --format json the evidence", "2")))
    return "\n".join(lines).rstrip("\n") + "\n"


def _heading(document: Mapping[str, Any], screen: Screen) -> str:
    base, head = document["base"]["commit"][:12], document["head"]["commit"][:12]
    verdict = document["verdict"]
    history = document.get("history") or {}
    commits = f", {words.count(history['commits'], 'commit')}" if history.get("commits") else ""
    files = words.count(len(document["files"]), "file")
    return f"{screen.painted(verdict, _VERDICTS[verdict])}: {base}..{head}{commits}, {files}"


def _counts(findings: Sequence[Mapping[str, Any]], files: Sequence[Mapping[str, Any]], screen: Screen) -> str:
    counts = Counter(finding["severity"] for finding in findings)
    parts = [
        screen.painted(f"{counts[severity]} {severity}", _COLOURS[severity])
        for severity in _SEVERITIES
        if counts[severity]
    ]
    quiet = sum(file["syntax_equal"] for file in files)
    if quiet:
        parts.append(f"{words.count(quiet, 'file')} without a change of meaning")
    return ", ".join(parts) or "no findings"


def _finding(finding: Mapping[str, Any], screen: Screen) -> str:
    place = finding["location"]
    where = f"{place['path']}{':' + str(place['line']) if place['line'] else ''}" if place else ""
    severity = finding["severity"]
    text = f"{finding['rule']}: {visible(finding['title'])}"
    shown = f"  ({visible(where)})" if where else ""
    if screen.lines is not None:  # the place is kept; the title gives way
        room = screen.width - 11 - len(shown)
        text = text if len(text) <= room or room < 20 else f"{text[: room - 1]}…"  # noqa: PLR2004 - too narrow to cut sensibly
    line = screen.fitted(f"  {severity:<8} {text}{shown}")
    return line.replace(severity, screen.painted(severity, _COLOURS[severity]), 1)


def _some(lines: Sequence[str], room: int | None, rest: str) -> list[str]:
    """As many lines as there is room for, with a line on the others; and a blank one after."""
    if not lines:
        return []
    if room is None or len(lines) <= room:
        return [*lines, ""]
    return [*lines[: room - 1], f"  and {len(lines) - room + 1} more: {rest}", ""]


def _rest(findings: Sequence[Mapping[str, Any]], room: int | None) -> str:
    """What is left out, by rule."""
    left = Counter(finding["rule"] for finding in findings[room - 1 :]) if room else Counter[str]()
    return ", ".join(f"{count} {rule}" for rule, count in left.most_common(4))


def _file(file: Mapping[str, Any]) -> str:
    name = (
        visible(file["path"]) if file["old_path"] is None else f"{visible(file['old_path'])} -> {visible(file['path'])}"
    )
    quiet = ", no change of meaning" if file["syntax_equal"] else ""
    return (
        f"  {file['status']:<9} {' '.join(name.split(chr(10)))}  +{file['lines_added']} -{file['lines_removed']}{quiet}"
    )
