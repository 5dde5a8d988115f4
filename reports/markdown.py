# SPDX-License-Identifier: Apache-2.0
"""The report as Markdown, for the summary of a check run or a message: one screen, the rest counted.

Whatever comes from the change is in code spans (CommonMark 0.31, 6.1), where nothing is markup, no name is a mention
and no number a link. A code span has no escapes: its fence is longer than any run of backticks in it, and long runs are
counted instead, since cmark-gfm knows no fence of more than 80. Lists, no tables: implementations differ in what ends a
cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports import words
from reports.cells import cell_rows
from reports.document import all_findings, grouped, unknowns
from reports.findings import FindingView, finding_views
from reports.sentences import verdict_of
from reports.visible import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reports.cells import CellRow
    from reports.document import UnknownGroup

_FINDINGS: Final = 25
_CELLS: Final = 15
_LONGEST: Final = 160  # characters of one text
_MOST: Final = 60_000  # bytes of all of it: GitHub takes 65,535 of a summary
_TICKS: Final = re.compile("`{9,}")
_LINKED: Final = re.compile(r"@|://|www\.|:\w+:|#\d|GH-\d|\b[0-9a-fA-F]{7,}\b")  # what hosts link within text
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>&~|#!$])")
_KINDS: Final = {
    "absent": "Not there",
    "not-analysed": "Not analysed",
    "not-run": "Not run",
    "inconclusive": "Inconclusive",
    "unsafe": "Unsafe",
}


def report_markdown(document: Mapping[str, Any]) -> str:
    """The report document (``countersign/report/v1``) as Markdown; the same document gives the same text.

    It holds what the document holds: it is the reviewer's, not the submitter's.
    """
    diff, audit, artifacts = document["diff"], document["audit"], document.get("artifacts")
    findings = finding_views(all_findings(diff, audit, artifacts))
    beyond = [row for row in cell_rows(audit or {}) if row.verdict != "equivalent"]
    groups = grouped(unknowns(diff, audit, artifacts))
    head = [
        f"# {_verdict(document['verdict'])}: {code(document['title'] or 'a change')}",
        "A machine's verdict: the decision is the reviewer's.",
        f"**What changed** ({_verdict(verdict_of(diff).value)}): {plain(document['summary']['code'])}",
        f"**What it does** ({_verdict(verdict_of(audit).value)}): {plain(document['summary']['behavior'])}",
    ]
    foot = f"Revision {code(document['revision']['digest'])}, Countersign {plain(document['version'])}"
    room = _Room(_MOST - _size(*head, foot))
    parts = [
        *head,
        *room.section("Findings", map(_finding, findings), _FINDINGS, "No rule found anything to look at."),
        *room.section("Cells that are not equivalent", map(_cell, beyond), _CELLS, "None."),
        *room.section("What is not known", map(_unknown, groups), _CELLS, "Nothing."),
        foot,
    ]
    return "\n\n".join(parts) + "\n"


@dataclass(slots=True)
class _Room:
    """How many bytes are left for sections."""

    left: int

    def section(self, title: str, lines: Iterable[str], limit: int, none: str) -> Iterator[str]:
        """A heading and its first lines, as many as may be and fit; how many more there are is said."""
        found = [f"- {line}" for line in lines]
        shown: list[str] = []
        for line in found[:limit]:
            self.left -= _size(line)
            if self.left < 0:
                break
            shown.append(line)
        yield f"## {title}"
        if shown or not found:
            yield "\n".join(shown) or none
        if len(found) > len(shown):
            yield f"And {len(found) - len(shown):,} more: see the report."


def _size(*texts: str) -> int:
    return sum(len(text.encode()) + 2 for text in texts)


def code(text: str) -> str:
    """Foreign text as a code span of one line, hidden characters written out and cut: nothing in it is markup."""
    line = _TICKS.sub(lambda run: f"⟦` {len(run.group())} times⟧", " ".join(visible(text).split()))
    line = shortened(line, _LONGEST)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if "`" in line[:1] + line[-1:] else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def plain(text: str) -> str:
    """Our own sentences as text: what could be markup is escaped, and a word that a host would link is code."""
    return " ".join(
        code(word) if _LINKED.search(word) else _MARKUP.sub(r"\\\1", word) for word in visible(text).split()
    )


def _finding(view: FindingView) -> str:
    place = f" at {code(view.place)}" if view.place else ""
    moved = f": {code(view.old or 'nothing')} becomes {code(view.new or 'nothing')}" if view.old or view.new else ""
    return f"**{view.severity}** {code(view.rule)} {code(view.title)}{place}{moved}"


def _cell(row: CellRow) -> str:
    size = f"{row.ratio} ({row.interval}), margin {row.margin}"
    return f"{row.sign} **{row.verdict}** {code(row.slice)} for {code(row.who)}: {plain(size)}"


def _unknown(group: UnknownGroup) -> str:
    more = f" and {group.more:,} more" if group.more else ""
    return f"{_KINDS[group.kind]}: {', '.join(map(code, group.names))}{more}: {code(group.reason)}"


def _verdict(name: str) -> str:
    return f"{words.VERDICT_SIGNS[name]} {name}"
