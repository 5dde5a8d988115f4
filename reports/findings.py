# SPDX-License-Identifier: Apache-2.0
"""Findings as they are shown: in words, with their place and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from evidence import Severity, canonical
from reports import words
from reports.highlight import file_anchor
from reports.visible import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST_VALUE: Final = 400  # characters of one evidence value
_LONGEST_DETAIL: Final = 320  # characters of a detail that are read at once; the rest opens
_SHOWN_APART: Final = frozenset({"old", "new", "ratio"})


class Fact(NamedTuple):
    """One named value of a finding's evidence, ready to print."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding to read. ``anchor`` is its id on a page; ``file`` and ``line`` are the anchors it points to.

    ``more`` is the whole detail where ``detail`` had to be cut, else empty.
    """

    id: str
    anchor: str
    rule: str
    severity: str
    sign: str
    title: str
    detail: str
    more: str
    path: str
    place: str
    file: str
    line: str
    side: str
    line_number: int | None
    old: str | None
    new: str | None
    ratio: str | None
    facts: tuple[Fact, ...]


def finding_views(findings: Iterable[Mapping[str, Any]]) -> tuple[FindingView, ...]:
    """Findings of ``formats.md`` to show, in the order given."""
    return tuple(_view(finding) for finding in findings)


def finding_anchor(finding_id: str) -> str:
    """The anchor of a finding on a page."""
    return f"finding-{words.short(finding_id)}"


def _view(finding: Mapping[str, Any]) -> FindingView:
    severity = Severity(finding["severity"])
    evidence = finding.get("evidence") or {}
    place = finding.get("location") or {}
    path = place.get("path") or ""
    line = place.get("line")
    side = place.get("side") or "head"
    measured = evidence.get("ratio")
    apart = _SHOWN_APART if evidence.get("old") is not None or evidence.get("new") is not None else frozenset()
    detail, more = _detail(finding.get("detail") or "")
    return FindingView(
        id=finding["id"],
        anchor=finding_anchor(finding["id"]),
        rule=finding["rule"],
        severity=severity.value,
        sign=words.SEVERITY_SIGNS[severity],
        title=finding["title"],
        detail=detail,
        more=more,
        path=path,
        place=_place(path, line, side, place.get("symbol")),
        file=file_anchor(path) if path else "",
        line=f"{file_anchor(path)}{'L' if side == 'base' else 'R'}{line}" if path and line else "",
        side=side,
        line_number=line,
        old=_value(evidence["old"]) if evidence.get("old") is not None else None,
        new=_value(evidence["new"]) if evidence.get("new") is not None else None,
        ratio=words.ratio(measured) if isinstance(measured, int | float) else None,
        facts=tuple(
            Fact(name.replace("_", " "), _value(value))
            for name, value in evidence.items()
            if name not in apart and value is not None
        ),
    )


def _detail(text: str) -> tuple[str, str]:
    """What is read at once, and the whole where that is not all of it."""
    text = text.strip()
    if len(text) <= _LONGEST_DETAIL:
        return text, ""
    cut = text.rfind(" ", 0, _LONGEST_DETAIL)
    return text[: cut if cut > 0 else _LONGEST_DETAIL] + " …", text


def _place(path: str, line: int | None, side: str, symbol: str | None) -> str:
    if not path:
        return ""
    where = f"{path}:{line}" if line else path
    return f"{where}{' (base)' if side == 'base' else ''}{f' in {symbol}' if symbol else ''}"


def _value(value: Any) -> str:  # noqa: ANN401 - a value of a JSON document
    text = value if isinstance(value, str) else canonical(value).decode()
    return shortened(text, _LONGEST_VALUE)
