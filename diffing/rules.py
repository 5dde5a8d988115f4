# SPDX-License-Identifier: Apache-2.0
"""A reviewer's own rules: what findings weigh, and which names are user data.

The file is the reviewer's; it never comes from a change. It adds to what is built in::

    [severity]
    dependency-added = "low"

    [[adjust]]
    rule = "capability-added"
    path = "tools/*"              # "*" also passes folders
    where = { kind = "process" }  # values of the finding's evidence
    severity = "info"
    reason = "tools are run by hand"

    [fields.health]
    names = ["step count"]
    of_people = ["weight"]

An adjustment goes before a rule's severity, a later one before an earlier one. Nothing is hidden: a finding only
weighs less or more, and says so. Its fingerprint stays what it was.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from diffing.capabilities import Fields, shipped
from evidence import RULES, Digest, Finding, InputError, Severity, sha256_hex, worst_first

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_FILE = 1 << 20
_Words = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Field(max_length=10_000)]


class _Adjustment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: str
    severity: Severity
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    path: str = "*"
    where: dict[str, str | int | float | bool] = {}


class _FieldLists(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    names: _Words = []
    of_people: _Words = []


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    severity: dict[str, Severity] = {}
    adjust: list[_Adjustment] = []
    fields: dict[str, _FieldLists] = {}


@dataclass(frozen=True)
class ReviewerRules:
    """Severities and user data as a reviewer wants them. ``digest`` is over the file's bytes."""

    digest: Digest | None = None
    fields: Fields = field(default_factory=shipped)
    severities: tuple[tuple[str, Severity], ...] = ()
    adjustments: tuple[_Adjustment, ...] = ()

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """Findings as they weigh under these rules, worst first."""
        return worst_first(self._weighed(finding) for finding in findings)

    def _weighed(self, finding: Finding) -> Finding:
        severity, reason = finding.severity, ""
        for rule, wanted in self.severities:
            if rule == finding.rule:
                severity = wanted
        for one in self.adjustments:
            if _fits(one, finding):
                severity, reason = one.severity, f": {one.reason}"
        if severity is finding.severity:
            return finding
        text = f"{finding.detail} Weighed {severity} instead of {finding.severity} by the reviewer's rules{reason}."
        return replace(finding, severity=severity, detail=text)


def _fits(adjustment: _Adjustment, finding: Finding) -> bool:
    path = finding.location.path if finding.location else ""
    return (
        adjustment.rule == finding.rule
        and fnmatchcase(path, adjustment.path)
        and all(finding.evidence.get(key) == value for key, value in adjustment.where.items())
    )


def read_rules(path: Path) -> ReviewerRules:
    """A reviewer's rules from a TOML file.

    Raises:
        InputError: it cannot be read, names a rule that there is not, or has a key or value that it may not have.
    """
    try:
        content = path.read_bytes()
        if len(content) > MAX_FILE:
            raise InputError(f"{path}: {len(content):,} bytes; rules have at most {MAX_FILE:,}")
        parsed = _File.model_validate(tomllib.loads(content.decode("utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {place}: {first['msg']} (found {str(first['input'])[:60]!r})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no TOML in UTF-8: {str(error)[:100]}") from error
    for rule in [*parsed.severity, *(one.rule for one in parsed.adjust)]:
        if rule not in RULES:
            raise InputError(f"{path}: there is no rule {rule[:60]!r}; evidence/rules.py lists them")
    tables = {category: lists.model_dump() for category, lists in parsed.fields.items()}
    return ReviewerRules(
        f"sha256:{sha256_hex(content)}",
        shipped().extended(tables) if tables else shipped(),
        tuple(parsed.severity.items()),
        tuple(parsed.adjust),
    )
