# SPDX-License-Identifier: Apache-2.0
"""Findings as SARIF 2.1.0 (OASIS), for code hosts and editors that show them beside the lines.

A result's ``partialFingerprints`` hold the finding's own id, so that a viewer knows it again after a rebase. Findings
on lines that head no longer has stand on the file, with the old lines in the properties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from evidence import RULES, VERSION, Severity
from reports.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {"info": "note", "low": "note", "medium": "warning", "high": "error", "critical": "error"}
_SCORES: Final = {"info": "0.0", "low": "3.0", "medium": "5.0", "high": "8.0", "critical": "9.5"}
_FINGERPRINT: Final = "countersign/v1"


def sarif_document(*documents: Mapping[str, Any] | None) -> dict[str, Any]:
    """One SARIF log with a run for each diff or audit document; what was not analysed is a notification of its run."""
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [_run(document) for document in documents if document is not None],
    }


def _run(document: Mapping[str, Any]) -> dict[str, Any]:
    findings = document["findings"]
    used = [rule for rule in RULES if any(finding["rule"] == rule for finding in findings)]
    used += sorted({finding["rule"] for finding in findings} - set(RULES))
    at = {rule: number for number, rule in enumerate(used)}
    head = document.get("head") or {}
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "Countersign", "version": VERSION, "rules": [_rule(rule) for rule in used]}},
        "automationDetails": {"id": f"{document['schema']}/{head.get('commit') or head.get('digest') or ''}"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, at) for finding in findings],
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notes(document)}],
        "properties": {"verdict": document["verdict"], "schema": document["schema"]},
    }
    if head.get("commit"):
        run["properties"] |= {"base": document["base"]["commit"], "head": head["commit"]}
    return run


def _rule(rule: str) -> dict[str, Any]:
    description = RULES.get(rule, rule)
    return {
        "id": rule,
        "name": "".join(part.capitalize() for part in rule.split("-")),
        "shortDescription": {"text": description},
    }


def _result(finding: Mapping[str, Any], at: Mapping[str, int]) -> dict[str, Any]:
    severity = str(finding["severity"])
    result: dict[str, Any] = {
        "ruleId": finding["rule"],
        "ruleIndex": at[finding["rule"]],
        "level": _LEVELS[severity],
        "rank": 25.0 * Severity(severity).rank,
        "message": {"text": visible(f"{finding['title']}\n{finding['detail']}".strip())},
        "partialFingerprints": {_FINGERPRINT: finding["id"]},
        "properties": {
            "severity": severity,
            "security-severity": _SCORES[severity],
            "evidence": finding["evidence"],
        },
    }
    place = finding["location"]
    if place is not None:
        result["locations"] = [_location(place)]
        if place["side"] == "base":
            result["properties"]["base_lines"] = [place["line"], place["end_line"]]
    return result


def _location(place: Mapping[str, Any]) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place["path"]), "uriBaseId": "%SRCROOT%"}}
    if place["line"] and place["side"] == "head":
        physical["region"] = {"startLine": place["line"], "endLine": max(place["line"], place["end_line"] or 0)}
    location: dict[str, Any] = {"physicalLocation": physical}
    if place["symbol"]:
        location["logicalLocations"] = [{"fullyQualifiedName": visible(place["symbol"])}]
    return location


def _uri(path: str) -> str:
    """A relative URI: no scheme, no host, whatever the file is called."""
    quoted = quote(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), safe="/-._~")
    return f"./{quoted}" if ":" in quoted.partition("/")[0] or quoted.startswith("/") else quoted


def _notes(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    notes = [
        _note(entry["path"], entry["reason"], excused=bool(entry.get("excused")))
        for entry in document.get("not_analysed", ())
    ]
    return notes + [_silent(probe) for probe in _not_run(document)]


def _note(path: str, reason: str, *, excused: bool) -> dict[str, Any]:
    return {
        "level": "note" if excused else "warning",
        "message": {"text": visible(f"not analysed: {reason}")},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(path), "uriBaseId": "%SRCROOT%"}}}],
    }


def _not_run(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return [probe for probe in document.get("probes", ()) if probe["status"] != "run"]


def _silent(probe: Mapping[str, Any]) -> dict[str, Any]:
    return {"level": "warning", "message": {"text": visible(f"not run: {probe['name']}: {probe['reason'] or ''}")}}
