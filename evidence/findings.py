# SPDX-License-Identifier: Apache-2.0
"""Findings: what a reviewer must look at, with a stable fingerprint."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from evidence.digests import Digest, document_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Side = Literal["base", "head"]


class Severity(StrEnum):
    """How much a finding weighs. Members compare by weight, not by spelling."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 4 for critical."""
        return _RANKS[self]

    def at_least(self, other: Severity) -> bool:
        """Whether this weighs as much as ``other`` or more."""
        return self.rank >= other.rank

    def step(self, by: int) -> Severity:
        """The severity ``by`` steps up (or down, if negative), held to the ends of the scale."""
        ordered = list(Severity)
        return ordered[max(0, min(len(ordered) - 1, self.rank + by))]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the change: lines count from 1; ``symbol`` is a dotted name or config path."""

    path: str
    line: int | None = None
    end_line: int | None = None
    side: Side = "head"
    symbol: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The location as it stands in ``formats.md``."""
        return {
            "path": self.path,
            "line": self.line,
            "end_line": self.end_line,
            "side": self.side,
            "symbol": self.symbol,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a reviewer must look at.

    ``key`` identifies the finding across unrelated edits and rebases: together with the rule it makes the
    fingerprint, so it holds names and values, never line numbers. Without it the location's path and symbol
    and the evidence are used.
    """

    rule: str
    severity: Severity
    title: str
    detail: str
    location: Location | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    key: tuple[str, ...] | None = None

    @property
    def id(self) -> Digest:
        """The stable fingerprint, ``sha256:<hex>``."""
        if self.key is not None:
            return document_digest([self.rule, *self.key])
        place = [self.location.path, self.location.symbol] if self.location else []
        return document_digest([self.rule, place, dict(self.evidence)])

    def to_json(self) -> dict[str, Any]:
        """The finding as it stands in ``formats.md``."""
        return {
            "id": self.id,
            "rule": self.rule,
            "severity": self.severity.value,
            "title": self.title,
            "detail": self.detail,
            "location": self.location.to_json() if self.location else None,
            "evidence": dict(self.evidence),
        }


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by falling severity, then rule, path, line and fingerprint: the order they are shown in."""
    # Fingerprints cost more than all the rest of the order, so they are made only where nothing else decides.
    ordered = sorted(findings, key=_order)
    result: list[Finding] = []
    for _, alike in groupby(ordered, key=_order):
        same = list(alike)
        result += sorted(same, key=lambda finding: finding.id) if len(same) > 1 else same
    return result


def _order(finding: Finding) -> tuple[int, str, str, int]:
    at = finding.location
    return -finding.severity.rank, finding.rule, at.path if at else "", (at.line or 0) if at else 0
