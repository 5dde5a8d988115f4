# SPDX-License-Identifier: Apache-2.0
"""The corpus: small changes with the rules they must give, and changes that must give none."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evidence import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._compare import Outcome

CORPUS = Path(__file__).parent / "corpus"
PATHS = {
    "config": "config.yaml",
    "cpp": "rank.cc",
    "go": "rank.go",
    "java": "Ranker.java",
    "javascript": "rank.js",
    "kotlin": "Ranker.kt",
    "ruby": "ranker.rb",
    "rust": "rank.rs",
    "scala": "Ranker.scala",
    "sql": "rank.sql",
    "typescript": "rank.ts",
}
LANGUAGES = (*PATHS, "python", "other")
CONTROLS = ("controls", "controls_languages")


def cases(*names: str) -> list[Any]:
    """The cases of corpus files: with both sides, or with a source and what is changed in it."""
    found = []
    for name in names:
        document = tomllib.loads((CORPUS / f"{name}.toml").read_text("utf-8"))
        for case in document["case"]:
            path = case.get("path", PATHS.get(name, "rank.py"))
            before = case.get("before", document.get("source", document.get("sources", {}).get(path)))
            after = case["after"] if "after" in case else changed(before, case["change"])
            sides = [
                {at: text.encode() for at, text in (tree if isinstance(tree, dict) else {path: tree}).items()}
                for tree in (before, after)
            ]
            found.append(pytest.param(case, *sides, id=f"{name}: {case['name']}"))
    return found


def changed(source: str, changes: list[list[str]]) -> str:
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


def described(outcome: Outcome) -> str:
    return "\n".join(f"{finding.severity} {finding.rule}: {finding.title}" for finding in outcome.findings)


@pytest.mark.parametrize(("case", "before", "after"), cases(*LANGUAGES))
def test_a_change_gives_exactly_its_rules(
    case: dict[str, Any], before: dict[str, bytes], after: dict[str, bytes], compare: Callable[..., Outcome]
) -> None:
    outcome = compare(before, after, case.get("renamed"))
    worst: dict[str, Severity] = {}
    for finding in outcome.findings:
        worst.setdefault(finding.rule, finding.severity)
    wanted = {rule: Severity(severity) for rule, severity in case["expect"].items()}
    shown = {rule: severity for rule, severity in worst.items() if severity.at_least(Severity.MEDIUM) or rule in wanted}
    assert shown == wanted, described(outcome)
    for key, value in case.get("evidence", {}).items():
        found = [finding.evidence.get(key) for finding in outcome.findings if finding.rule in wanted]
        assert value in found, (key, found)


@pytest.mark.parametrize(("case", "before", "after"), cases(*CONTROLS))
def test_a_change_that_is_none_gives_nothing_above_info(
    case: dict[str, Any], before: dict[str, bytes], after: dict[str, bytes], compare: Callable[..., Outcome]
) -> None:
    outcome = compare(before, after, case.get("renamed"))
    above = [finding for finding in outcome.findings if finding.severity.at_least(Severity.LOW)]
    assert not above, described(outcome)
    assert not outcome.not_analysed
    if case.get("syntax_equal"):
        assert [file.syntax_equal for file in outcome.files] == [True]


def test_recall_and_noise_over_the_corpus(compare: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{'language':<20} {'cases':>5} {'rules':>6} {'found':>6} {'recall':>7} {'other ≥ medium':>15}"]
    total = total_found = total_cases = 0
    for name in LANGUAGES:
        wanted = found = extra = 0
        listed = cases(name)
        for parameters in listed:
            case, before, after = parameters.values
            outcome = compare(before, after, case.get("renamed"))
            rules = {finding.rule for finding in outcome.findings}
            wanted += len(case["expect"])
            found += len(rules & case["expect"].keys())
            loud = {finding.rule for finding in outcome.findings if finding.severity.at_least(Severity.MEDIUM)}
            extra += len(loud - case["expect"].keys())
        lines.append(f"{name:<20} {len(listed):>5} {wanted:>6} {found:>6} {found / wanted:>7.1%} {extra:>15}")
        total, total_found, total_cases = total + wanted, total_found + found, total_cases + len(listed)
    controls = cases(*CONTROLS)
    above = 0
    for parameters in controls:
        case, before, after = parameters.values
        outcome = compare(before, after, case.get("renamed"))
        above += sum(finding.severity.at_least(Severity.LOW) for finding in outcome.findings)
    lines.append(f"{'all':<20} {total_cases:>5} {total:>6} {total_found:>6} {total_found / total:>7.1%}")
    lines.append(f"{'negative controls':<20} {len(controls):>5} {'':>6} {above:>6} above info")
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201 - the table is what this test is for
    assert total_found / total >= 0.95
    assert above == 0


def test_the_corpus_holds_what_it_promises() -> None:
    sizes = {name: len(cases(name)) for name in LANGUAGES}
    assert sum(sizes.values()) >= 120
    assert all(size >= 10 for size in sizes.values()), sizes
    assert len(cases(*CONTROLS)) >= 40
    names = [case.id for case in cases(*LANGUAGES, *CONTROLS)]
    assert len(names) == len(set(names))
