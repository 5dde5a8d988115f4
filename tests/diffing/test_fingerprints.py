# SPDX-License-Identifier: Apache-2.0
"""Fingerprints survive what does not concern them; findings come in one order; tests weigh low."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._compare import Outcome

BEFORE = """
LIMIT = 10


def score(item, viewer):
    total = item.relevance * 1.0
    if item.age < 7:
        total += item.fresh
    return total
"""
AFTER = """
LIMIT = 10


def score(item, viewer):
    total = item.relevance * 1.0 + item.partner
    if item.age <= 9:
        total += item.fresh
    if viewer.country == "XX":
        total *= 1.4
    return total
"""
PADDING = '"""Something else."""\n\nimport os\n\nUNRELATED = os.sep\n\n\ndef unrelated():\n    return UNRELATED\n\n'


def ids(outcome: Outcome) -> dict[str, str]:
    return {finding.id: finding.rule for finding in outcome.findings}


def test_unrelated_code_above_changes_no_fingerprint(compare_one: Callable[..., Outcome]) -> None:
    alone = compare_one(BEFORE, AFTER)
    within = compare_one(PADDING + BEFORE, PADDING + AFTER)
    assert ids(alone) == ids(within)
    assert len(ids(alone)) >= 4


def test_unrelated_changes_beside_change_no_fingerprint(compare_one: Callable[..., Outcome]) -> None:
    alone = ids(compare_one(BEFORE, AFTER))
    beside = ids(compare_one(BEFORE, AFTER.replace("LIMIT = 10", "LIMIT = 11")))
    assert alone.items() <= beside.items()


def test_another_value_is_another_finding(compare_one: Callable[..., Outcome]) -> None:
    one = compare_one("share_weight = 1.0", "share_weight = 1.5")
    other = compare_one("share_weight = 1.0", "share_weight = 1.6")
    assert not ids(one).keys() & ids(other).keys()


def test_findings_come_worst_first(compare_one: Callable[..., Outcome]) -> None:
    ranks = [finding.severity.rank for finding in compare_one(BEFORE, AFTER).findings]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) > 1


def test_the_same_change_in_two_lines_is_one_finding_with_both(compare_one: Callable[..., Outcome]) -> None:
    line = "    total = total + item.likes * {}\n"
    before, after = (
        "def score(item, total):\n" + line.format(value) * 2 + "    return total\n" for value in (2.5, 3.5)
    )
    (finding,) = compare_one(before, after).findings
    assert (finding.evidence["occurrences"], finding.evidence["lines"]) == (2, [2, 3])


def test_findings_are_on_the_lines_of_head(compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(BEFORE, AFTER)
    lines = {finding.rule: finding.location.line for finding in outcome.findings if finding.location}
    assert AFTER.split("\n")[lines["identity-special-case"] - 1].strip() == 'if viewer.country == "XX":'


def test_a_test_weighs_low_unless_the_program_imports_it(compare: Callable[..., Outcome]) -> None:
    before = {"tests/test_rank.py": b"x = 1\n", "app.py": b"y = 1\n"}
    after = {"tests/test_rank.py": b"x = 1\nboost = {'rt.com': 2.0}\n", "app.py": b"y = 2\n"}
    assert {finding.severity.value for finding in compare(before, after).findings} <= {"info", "low"}
    after["app.py"] = b"from tests.test_rank import boost\ny = 2\n"
    assert "high" in {finding.severity.value for finding in compare(before, after).findings}


@pytest.mark.parametrize("path", ["blocked.txt", "data/blocked_sources.txt"])
def test_a_text_file_of_one_word_a_line_is_a_list(path: str, compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one("a.com\nb.org\n", "a.com\nb.org\nrt.com\n", path)
    (finding,) = outcome.findings
    assert (finding.rule, finding.evidence["added"]) == ("identity-list-changed", ["rt.com"])
