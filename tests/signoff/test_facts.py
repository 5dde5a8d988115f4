# SPDX-License-Identifier: Apache-2.0
"""The facts document: what policy is judged on, bound to the statement by its digest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from evidence import InputError, Severity, Verdict, canonical, document_digest, sha256_hex
from signoff import Files, WaivedFinding, Waiver, build_facts, coverage, parse_roots, policy_facts, read_facts

if TYPE_CHECKING:
    from world import World

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


def waived(**changes: Any) -> WaivedFinding:
    """What the answered finding of the world's facts is, or is not."""
    named = {
        "id": "sha256:" + sha256_hex(b"literal-changed"),
        "rule": "literal-changed",
        "severity": Severity.HIGH,
        "answer": "accepted",
        "by": "rita",
        "reason": "It is meant.",
    }
    return WaivedFinding.model_validate({**named, **changes})


def test_findings_that_were_left_as_they_are_are_named_with_their_reason(world: World) -> None:
    for findings in ([waived()], []):
        counted = coverage(world.facts(), findings=findings)
        assert (counted.answered, counted.waivedUnlisted) == (1, 1 - len(findings))
        world.write([world.sign(coverage=counted)])
        assert world.gate().admitted
        assert world.verified() == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "sha256:" + "0" * 64},
        {"rule": "ramp"},
        {"severity": Severity.LOW},
        {"answer": "not-an-issue"},
        {"by": "rolf"},
    ],
)
def test_a_finding_that_was_not_answered_so_is_not_named_as_waived(world: World, change: dict[str, Any]) -> None:
    world.write([world.sign(coverage=coverage(world.facts(), findings=[waived(**change)]))])
    refused = world.gate().refused
    assert refused is not None
    assert (refused.number, "was not answered so" in refused.detail) == (5, True)
    assert world.verified() == (5, 5)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"waivedUnlisted": 1}, 5),
        ({"waivedUnlisted": None}, 2),
        ({"waivedFindings": None}, 2),
        ({"waivedFindings": (waived(), waived())}, 2),
    ],
)
def test_every_answered_finding_is_accounted_for_once(world: World, change: dict[str, Any], step: int) -> None:
    document = world.statement(coverage=coverage(world.facts(), findings=[waived()]))
    said = document["predicate"]["coverage"]
    for name, value in change.items():
        said[name] = [one.model_dump(mode="json") for one in value] if isinstance(value, tuple) else value
    world.write([world.log_signoff(world.seal(document))])
    assert world.verified() == (step, step)
