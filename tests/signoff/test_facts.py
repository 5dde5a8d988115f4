# SPDX-License-Identifier: Apache-2.0
"""The facts document: what policy is judged on, bound to the statement by its digest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from evidence import InputError, Severity, Verdict, canonical, document_digest
from signoff import Files, Waiver, build_facts, coverage, parse_roots, policy_facts, read_facts

if TYPE_CHECKING:
    from conftest import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_the_same_review_gives_the_same_facts_in_any_order(world: World) -> None:
    findings = [world.finding(rule, Severity.LOW, None) for rule in ("one", "two", "three")]
    people = [("Ada", "ada@platform.example"), ("Carl", "carl@platform.example")]
    first = world.facts(findings=findings, people=people)
    second = world.facts(findings=findings[::-1], people=people[::-1] + people)
    assert canonical(first) == canonical(second)
    assert document_digest(first) == document_digest(second)


def test_of_two_findings_with_one_fingerprint_the_worse_is_kept(world: World) -> None:
    low = world.finding("ramp", Severity.LOW, None)
    high = world.finding("ramp", Severity.HIGH, "rita")
    unanswered = world.finding("ramp", Severity.HIGH, None)
    for order in ([low, high], [high, low]):
        assert world.facts(findings=order)["findings"] == [high.model_dump(mode="json")]
    for order in ([unanswered, high], [high, unanswered]):
        assert world.facts(findings=order)["findings"] == [unanswered.model_dump(mode="json")]


def test_odd_names_in_commits_do_not_stop_a_review(world: World) -> None:
    facts = world.facts(people=[("\udc80\x1b", ""), ("x" * 5000, "\u202e@x")])
    assert [len(person["name"]) for person in facts["people"]] == [2, 1000]


def test_coverage_is_that_of_the_facts(world: World) -> None:
    facts = build_facts(
        revision=world.revision,
        evidence=[],
        findings=[world.finding("one", Severity.LOW, None), world.finding("two", Severity.LOW, "rita")],
        files=Files(total=3, viewed=1, waived=2),
        people=[],
    )
    waivers = [Waiver(path="b", reason="generated"), Waiver(path="a", reason="generated")]
    counted = coverage(facts, waivers)
    assert (counted.files, counted.viewed, counted.findings, counted.answered) == (3, 1, 2, 1)
    assert [waiver.path for waiver in counted.waived] == ["a", "b"]
    with pytest.raises(InputError, match="2 files waived"):
        coverage(facts)


def test_the_same_thing_twice_is_refused(world: World) -> None:
    facts = world.facts()
    for part in ("evidence", "findings"):
        with pytest.raises(InputError, match="twice"):
            read_facts({**facts, part: [facts[part][0], facts[part][0]]})


def test_makers_of_the_change_are_known_by_their_addresses(world: World) -> None:
    world.write_roots()
    roots = parse_roots(world.roots.read_bytes())
    documents = [read_facts(world.facts(people=[("R", "RITA@review.example")]))]
    facts = policy_facts(documents, votes=(), people=[("Eve", "eve@platform.example")], roots=roots, now=NOW)
    assert [(person.email, person.person) for person in facts.people] == [
        ("eve@platform.example", None),
        ("RITA@review.example", "rita"),
    ]
    assert [piece.verdict for piece in facts.evidence] == [Verdict.PASS, Verdict.PASS]
