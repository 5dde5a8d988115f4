# SPDX-License-Identifier: Apache-2.0
"""Findings, revisions, verdicts and errors."""

from __future__ import annotations

import dataclasses

import pytest

import evidence
from evidence import Artifact, Finding, Location, RecommenderError, Revision, Severity, Snapshot, Verdict, worst_first

FINDING = Finding(
    rule="literal-changed",
    severity=Severity.LOW,
    title="share_weight: 8 → 20",
    detail="",
    location=Location(path="rank.py", line=12, symbol="rank.score"),
    evidence={"name": "share_weight", "old": 8.0, "new": 20.0},
)
REVISION = Revision(
    repository="https://example.org/platform",
    base=Snapshot(commit="a" * 40, tree="b" * 40, content="c" * 64),
    head=Snapshot(commit="d" * 40, tree="e" * 40, content="f" * 64),
    artifacts=(Artifact("model", 10, "0" * 64), Artifact("items", 20, "1" * 64)),
)


def test_a_fingerprint_survives_other_lines_and_another_severity() -> None:
    moved = dataclasses.replace(FINDING, severity=Severity.HIGH, location=Location("rank.py", 99, symbol="rank.score"))
    assert moved.id == FINDING.id


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(FINDING, rule="literal-added"),
        dataclasses.replace(FINDING, evidence={"name": "share_weight", "old": 8.0, "new": 21.0}),
        dataclasses.replace(FINDING, location=Location("other.py", 12, symbol="rank.score")),
    ],
)
def test_a_fingerprint_differs_for_another_rule_value_or_place(other: Finding) -> None:
    assert other.id != FINDING.id


def test_an_explicit_key_replaces_place_and_evidence() -> None:
    one = dataclasses.replace(FINDING, key=("share_weight",))
    two = dataclasses.replace(one, location=None, evidence={})
    assert one.id == two.id != FINDING.id


def test_severities_compare_by_weight() -> None:
    assert Severity.CRITICAL.at_least(Severity.HIGH)
    assert not Severity.LOW.at_least(Severity.MEDIUM)
    assert Severity.HIGH.step(-1) is Severity.MEDIUM
    assert Severity.CRITICAL.step(1) is Severity.CRITICAL


def test_the_worst_comes_first() -> None:
    worse = dataclasses.replace(FINDING, severity=Severity.CRITICAL)
    assert worst_first([FINDING, worse]) == [worse, FINDING]


def test_a_revision_is_the_same_whatever_the_order_of_its_artifacts() -> None:
    turned = dataclasses.replace(REVISION, artifacts=REVISION.artifacts[::-1])
    assert turned.digest == REVISION.digest


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(REVISION, repository="https://example.org/other"),
        dataclasses.replace(REVISION, base=dataclasses.replace(REVISION.base, tree="0" * 40)),
        dataclasses.replace(REVISION, head=dataclasses.replace(REVISION.head, content="0" * 64)),
        dataclasses.replace(REVISION, artifacts=REVISION.artifacts[:1]),
    ],
)
def test_a_revision_with_anything_else_in_it_has_another_digest(changed: Revision) -> None:
    assert changed.digest != REVISION.digest


def test_only_all_passes_make_a_pass_and_nothing_is_no_pass() -> None:
    assert Verdict.combine(Verdict.PASS, Verdict.PASS) is Verdict.PASS
    assert Verdict.combine(Verdict.PASS, Verdict.INCONCLUSIVE) is Verdict.INCONCLUSIVE
    assert Verdict.combine(Verdict.INCONCLUSIVE, Verdict.FAIL) is Verdict.FAIL
    assert Verdict.combine() is Verdict.INCONCLUSIVE


def test_an_error_is_one_line_and_says_its_class_apart() -> None:
    error = RecommenderError("raised", "ValueError:\n  user u1 watched c2")
    assert str(error) == "raised: ValueError: user u1 watched c2"
    assert error.error_class == "raised"


def test_every_error_has_a_status_an_exit_code_and_a_problem_type_of_its_own() -> None:
    errors = [
        thing
        for name in evidence.__all__
        if isinstance(thing := getattr(evidence, name), type) and issubclass(thing, evidence.CountersignError)
    ]
    assert len({error.problem for error in errors}) == len(errors) > 10
    assert all(400 <= error.status < 600 and error.exit_code in {1, 2, 4} for error in errors)
