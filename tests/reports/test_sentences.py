# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import Severity
from reports import behavior_sentence, code_sentence

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_pass_says_how_small_a_shift_would_have_been_seen(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    said = behavior_sentence(audit(cell(), cell(slice="party")))
    assert said == "No shift beyond 1.10 was found in 2 primary cells; this panel would have seen 1.06."


def test_the_least_certain_cohort_is_named_beside_everyone(audit: Callable[..., Any], cell: Callable[..., Any]) -> None:
    said = behavior_sentence(audit(cell(), cell(cohort={"party": "x"}, minimum_detectable_ratio=1.21)))
    assert "1.06 for everyone, 1.21 in the smallest cohorts, more than the margin in 1 cell" in said


def test_inconclusive_cells_are_never_passed_over(audit: Callable[..., Any], cell: Callable[..., Any]) -> None:
    said = behavior_sentence(audit(cell(), cell(verdict="inconclusive"), verdict="inconclusive"))
    assert said.endswith("1 cell inconclusive.")


def test_a_fail_names_the_worst_cell_with_its_interval(audit: Callable[..., Any], cell: Callable[..., Any]) -> None:
    lifted = cell(verdict="amplified", ratio=1.33, ratio_low=1.29, ratio_high=1.37, cohort={"country": "DE"})
    said = behavior_sentence(audit(cell(), lifted, verdict="fail"))
    assert "1 of 2 primary cells lies beyond the margin" in said
    assert "state-media for country DE, is amplified: 1.33 times base" in said


def test_from_nothing_to_something_is_told_in_points(audit: Callable[..., Any], cell: Callable[..., Any]) -> None:
    fresh = cell(verdict="amplified", ratio=None, ratio_low=None, ratio_high=None, base_share=0.0, difference=0.02)
    assert "+2.00 percentage points from none in base" in behavior_sentence(audit(fresh, verdict="fail"))


def test_nothing_measured_is_said_to_be_nothing_known(audit: Callable[..., Any]) -> None:
    assert "not known" in behavior_sentence(None)
    assert "not known" in behavior_sentence(audit(verdict="inconclusive"))


def test_the_code_sentence_counts_by_severity_and_names_what_was_left_out(
    diff: Callable[..., Any], finding: Callable[..., Any]
) -> None:
    document = diff(finding(), finding("Two", Severity.HIGH), not_analysed=[{"path": "a.bin", "reason": "binary"}])
    said = code_sentence(document)
    assert said == "1 file changed (1 lines added, 1 removed): 1 high and 1 medium findings. 1 file not analysed."


def test_what_searching_confirmed_is_told_beside_the_declared_cells(
    audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    found = cell(family="exploratory", probe="discovery", slice="outlet=o3 & topic=war", verdict="amplified", ratio=1.5)
    text = behavior_sentence(audit(cell(), found, verdict="fail"))
    assert text.startswith("No shift beyond 1.10 was found in 1 primary cell")
    assert "Searching confirmed 1 shift that the panel did not name" in text
    assert "outlet=o3 & topic=war for everyone, is amplified: 1.50 times base." in text
    assert "Searching" not in behavior_sentence(audit(cell()))
