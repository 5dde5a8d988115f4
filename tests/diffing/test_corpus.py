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
DEFAULT_PATHS = {"config": "config.yaml"}


def cases(*names: str) -> list[Any]:
    found = []
    for name in names:
        for case in tomllib.loads((CORPUS / f"{name}.toml").read_text("utf-8"))["case"]:
            path = case.get("path", DEFAULT_PATHS.get(name, "rank.py"))
            sides = [
                {at: text.encode() for at, text in (tree if isinstance(tree, dict) else {path: tree}).items()}
                for tree in (case["before"], case["after"])
            ]
            found.append(pytest.param(case, *sides, id=f"{name}: {case['name']}"))
    return found


def described(outcome: Outcome) -> str:
    return "\n".join(f"{finding.severity} {finding.rule}: {finding.title}" for finding in outcome.findings)


@pytest.mark.parametrize(("case", "before", "after"), cases("python", "config"))
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


@pytest.mark.parametrize(("case", "before", "after"), cases("controls"))
def test_a_change_that_is_none_gives_nothing_above_info(
    case: dict[str, Any], before: dict[str, bytes], after: dict[str, bytes], compare: Callable[..., Outcome]
) -> None:
    outcome = compare(before, after, case.get("renamed"))
    above = [finding for finding in outcome.findings if finding.severity.at_least(Severity.LOW)]
    assert not above, described(outcome)
    assert not outcome.not_analysed
    if case.get("syntax_equal"):
        assert [file.syntax_equal for file in outcome.files] == [True]


def test_the_corpus_holds_what_it_promises() -> None:
    assert len(cases("python", "config")) >= 30
    assert len(cases("controls")) >= 30
    names = [case.id for case in cases("python", "config", "controls")]
    assert len(names) == len(set(names))
