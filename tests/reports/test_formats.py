# SPDX-License-Identifier: Apache-2.0
"""SARIF that validates, and text that fits a screen."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evidence import RULES, Finding, Location, Severity
from reports import Screen, diff_text, sarif_document

VECTORS = Path(__file__).parents[1] / "vectors/sarif"
SCHEMA = json.loads((VECTORS / "sarif-schema-2.1.0.json").read_text("utf-8"))


def finding(rule: str, severity: Severity, path: str | None = "a/b.py", **values: Any) -> dict[str, Any]:
    place = (
        Location(path, values.get("line", 3), values.get("end_line", 4), values.get("side", "head"), "b.score")
        if path
        else None
    )
    return Finding(
        rule, severity, values.get("title", "A title"), "Detail.", place, {"name": "x", "old": 1, "new": None}
    ).to_json()


def document(findings: list[dict[str, Any]], unread: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    side = {"commit": "a" * 40, "tree": "b" * 40}
    file = {"path": "a/b.py", "old_path": None, "status": "modified", "language": "python", "syntax_equal": False}
    return {
        "schema": "countersign/diff/v1",
        "base": side,
        "head": side,
        "verdict": "fail",
        "files": [file | {"lines_added": 1, "lines_removed": 2}],
        "findings": findings,
        "not_analysed": unread or [],
        "history": {"commits": 3, "signed": 0, "base_is_ancestor": True},
    }


ODD = ["a b.py", "café.py", "new\nline.py", "c:x.py", "/rooted.py", "100%.py", "-x.py", "#a?b.py"]


def test_the_vendored_schema_is_what_its_manifest_says() -> None:
    (entry,) = tomllib.loads((VECTORS / "manifest.toml").read_text("utf-8"))["file"]
    assert hashlib.sha256((VECTORS / entry["name"]).read_bytes()).hexdigest() == entry["sha256"]
    assert "OASIS" in entry["licence"]


def test_every_rule_and_odd_name_gives_valid_sarif() -> None:
    findings = [finding(rule, severity) for rule, severity in zip(RULES, [*Severity] * 10, strict=False)]
    findings += [finding("ramp", Severity.LOW, path) for path in ODD]
    findings += [
        finding("history-rewritten", Severity.HIGH, None),
        finding("ramp", Severity.LOW, side="base", line=None),
    ]
    unread = [{"path": path, "reason": "x\u202e", "category": "media", "excused": path == "a b.py"} for path in ODD]
    probes = [{"name": "trigger", "status": "not-run", "reason": None}, {"name": "exposure", "status": "run"}]
    audit = {"schema": "countersign/audit/v1", "verdict": "inconclusive", "head": {"digest": "sha256:0"}}
    audit |= {"findings": [finding("excess-churn", Severity.MEDIUM, None)], "probes": probes}
    log = sarif_document(document(findings, unread), audit, None)
    jsonschema.Draft4Validator(SCHEMA).validate(json.loads(json.dumps(log)))
    diff_run, audit_run = log["runs"]
    assert len(diff_run["results"]) == len(findings)
    assert [rule["id"] for rule in diff_run["tool"]["driver"]["rules"]] == list(RULES)
    assert all(RULES[result["ruleId"]] for result in diff_run["results"])
    for result in diff_run["results"]:
        assert diff_run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert len(audit_run["invocations"][0]["toolExecutionNotifications"]) == 1
    json.dumps(log, ensure_ascii=False).encode()


def test_the_schema_can_fail() -> None:
    log = sarif_document(document([finding("ramp", Severity.LOW)]))
    log["runs"][0]["results"][0]["level"] = "loud"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(log)


def test_a_fingerprint_is_the_findings_own() -> None:
    one = finding("ramp", Severity.CRITICAL)
    (result,) = sarif_document(document([one]))["runs"][0]["results"]
    assert result["partialFingerprints"] == {"countersign/v1": one["id"]}
    assert result["level"] == "error"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "endLine": 4}


MANY = [
    finding("literal-changed", severity, title=f"{'long ' * 40}{number}")
    for severity in reversed(Severity)
    for number in range(30)
]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 50), (40, 12), (200, 200)])
def test_text_fits_its_screen(width: int, height: int) -> None:
    unread = [{"path": f"f{number}", "reason": "x " * 90, "excused": False} for number in range(30)]
    text = diff_text(document(MANY, unread), Screen(width, height))
    lines = text.splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "not analysed" in text
    assert "more: not analysed" in text
    assert ("more: " in text.partition("not analysed")[0]) is (height < len(MANY))
    assert lines[3].strip().startswith("critical")


def test_without_a_terminal_everything_is_there_and_nothing_is_coloured() -> None:
    text = diff_text(document(MANY))
    assert text.count("literal-changed") == len(MANY)
    assert "\x1b" not in text
    assert "30 critical, 30 high, 30 medium, 30 low, 30 info" in text


def test_colour_only_where_it_is_asked_for_and_nothing_of_a_change_controls_a_terminal() -> None:
    bad = [finding("ramp", Severity.HIGH, "a\x1b[2Jb\n.py", title="x\x1b[31m\r\nhigh y")]
    plain, coloured = (diff_text(document(bad), Screen(120, 40, colour=colour)) for colour in (False, True))
    assert "\x1b" not in plain
    assert "\x1b[31mhigh" in coloured
    assert "\x1b[2J" not in coloured
    assert len(plain.splitlines()) == len(coloured.splitlines())


def test_nothing_found_is_said() -> None:
    assert "no findings" in diff_text(document([]))
