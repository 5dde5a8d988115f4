# SPDX-License-Identifier: Apache-2.0
"""Policy: strict reading, and requirements that are met only by what is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import PolicyError, Severity, Verdict
from signoff import (
    DEFAULT_POLICY,
    ChangePerson,
    Decision,
    EvidenceFact,
    Facts,
    FindingFact,
    Override,
    Policy,
    Requirement,
    State,
    Voter,
    admits,
    evaluate,
    parse_policy,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DEFAULT = parse_policy(DEFAULT_POLICY.encode())
VOTE = Voter(
    person="rita",
    organization="Review Ltd",
    roles=frozenset({"reviewer"}),
    emails=frozenset({"rita@review.example"}),
    key="SHA256:one",
    decision=Decision.APPROVED,
    override=None,
    signed_at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(days=1),
)
SECOND = replace(
    VOTE, person="rolf", organization="Check GmbH", emails=frozenset({"rolf@check.example"}), key="SHA256:two"
)
FACTS = Facts(
    now=NOW,
    votes=(VOTE,),
    people=(ChangePerson("Ada", "ada@platform.example"),),
    evidence=(EvidenceFact("diff", Verdict.PASS), EvidenceFact("audit", Verdict.PASS)),
    findings=(FindingFact("sha256:1", "literal-changed", Severity.HIGH, "rita"),),
)


def policy(*changes: tuple[str, str]) -> Policy:
    text = DEFAULT_POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text.encode())


TWO = policy(("people = 1", "people = 2"), ("organizations = 1", "organizations = 2"))
ANY_VERDICT = policy(('admit_verdicts = ["pass"]', 'admit_verdicts = ["pass", "fail", "inconclusive"]'))


def states(facts: Facts, rules: Policy | None = DEFAULT) -> dict[str, State]:
    return {requirement.name: requirement.state for requirement in evaluate(rules, facts)}


def test_the_default_policy_admits_one_independent_approval_of_a_passing_review() -> None:
    requirements = evaluate(DEFAULT, FACTS)
    assert admits(requirements), requirements
    assert [requirement.name for requirement in requirements] == [
        "approvals",
        "no-rejection",
        "keys",
        "independence",
        "declarations",
        "evidence",
        "safe-evidence",
        "verdict",
        "findings-answered",
    ]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("approvals", replace(FACTS, votes=())),
        ("approvals", replace(FACTS, votes=(replace(VOTE, roles=frozenset({"administrator"})),))),
        ("approvals", replace(FACTS, votes=(replace(VOTE, decision=Decision.REJECTED),))),
        ("approvals", replace(FACTS, votes=(replace(VOTE, expires_at=NOW),))),
        ("approvals", replace(FACTS, votes=(replace(VOTE, signed_at=NOW + timedelta(hours=1)),))),
        ("approvals", replace(FACTS, votes=(replace(VOTE, signed_at=NOW - timedelta(days=90)),))),
        ("no-rejection", replace(FACTS, votes=(VOTE, replace(SECOND, decision=Decision.REJECTED)))),
        ("no-rejection", replace(FACTS, votes=(VOTE, replace(SECOND, decision=Decision.REVOKED)))),
        ("independence", replace(FACTS, people=(ChangePerson("R.", "Rita+git@review.example"),))),
        ("independence", replace(FACTS, people=(ChangePerson("R.", "home@rita.example", "rita"),))),
        ("evidence", replace(FACTS, evidence=(EvidenceFact("diff", Verdict.PASS),))),
        ("evidence", replace(FACTS, evidence=())),
        ("safe-evidence", replace(FACTS, evidence=(*FACTS.evidence, EvidenceFact("audit", Verdict.PASS, unsafe=True)))),
        ("verdict", replace(FACTS, evidence=(*FACTS.evidence, EvidenceFact("audit", Verdict.FAIL)))),
        ("verdict", replace(FACTS, evidence=(*FACTS.evidence, EvidenceFact("audit", Verdict.INCONCLUSIVE)))),
        ("verdict", replace(FACTS, evidence=())),
        ("findings-answered", replace(FACTS, findings=(FindingFact("sha256:1", "ramp", Severity.HIGH, None),))),
        ("findings-answered", replace(FACTS, findings=(FindingFact("sha256:1", "ramp", Severity.CRITICAL, None),))),
        (
            "findings-answered",
            replace(
                FACTS,
                people=(ChangePerson("Ada", "ada@platform.example", "ada"),),
                findings=(FindingFact("sha256:1", "ramp", Severity.HIGH, "ada"),),
            ),
        ),
    ],
)
def test_each_requirement_can_fail_by_itself(name: str, facts: Facts) -> None:
    assert states(facts)[name] is State.UNSATISFIED
    assert not admits(evaluate(DEFAULT, facts))


def test_a_change_made_by_nobody_known_is_an_error() -> None:
    assert states(replace(FACTS, people=()))["independence"] is State.ERROR
    assert not admits(evaluate(DEFAULT, replace(FACTS, people=())))


def test_findings_below_the_severity_need_no_answer() -> None:
    facts = replace(FACTS, findings=(FindingFact("sha256:1", "ramp", Severity.MEDIUM, None),))
    assert states(facts)["findings-answered"] is State.NOT_APPLICABLE
    assert admits(evaluate(DEFAULT, facts))


@pytest.mark.parametrize(
    ("votes", "met"),
    [
        ((VOTE, SECOND), True),
        ((VOTE,), False),
        ((VOTE, replace(SECOND, organization="REVIEW  ltd")), False),
        ((VOTE, replace(SECOND, key=VOTE.key)), False),
        ((VOTE, replace(SECOND, person="Rita")), False),
        ((VOTE, replace(SECOND, decision=Decision.REJECTED)), False),
    ],
)
def test_thresholds_count_distinct_people_organisations_and_keys(votes: tuple[Voter, ...], met: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert (states(replace(FACTS, votes=votes), TWO)["approvals"] is State.SATISFIED) is met


def test_conditions_count_only_where_policy_lets_them() -> None:
    facts = replace(FACTS, votes=(replace(VOTE, decision=Decision.APPROVED_WITH_CONDITIONS),))
    assert admits(evaluate(DEFAULT, facts))
    strict = policy(("with_conditions = true ", "with_conditions = false"))
    assert states(facts, strict)["approvals"] is State.UNSATISFIED


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_another_verdict_passes_only_if_policy_and_every_approval_say_so_by_name(verdict: Verdict) -> None:
    facts = replace(FACTS, evidence=(EvidenceFact("diff", Verdict.PASS), EvidenceFact("audit", verdict)))
    overriding = replace(VOTE, override=Override(verdict=verdict, reason="Ordered by the court."))
    other = Verdict.INCONCLUSIVE if verdict is Verdict.FAIL else Verdict.FAIL
    wrong = replace(VOTE, override=Override(verdict=other, reason="Ordered by the court."))
    assert states(replace(facts, votes=(overriding,)))["verdict"] is State.UNSATISFIED
    assert states(facts, ANY_VERDICT)["verdict"] is State.UNSATISFIED
    assert states(replace(facts, votes=(wrong,)), ANY_VERDICT)["verdict"] is State.UNSATISFIED
    assert states(replace(facts, votes=(overriding, SECOND)), ANY_VERDICT)["verdict"] is State.UNSATISFIED
    assert states(replace(facts, votes=(overriding,)), ANY_VERDICT)["verdict"] is State.OVERRIDDEN
    assert admits(evaluate(ANY_VERDICT, replace(facts, votes=(overriding,))))
    unsafe = replace(facts, votes=(overriding,), evidence=(*facts.evidence, EvidenceFact("x", verdict, unsafe=True)))
    assert states(unsafe, ANY_VERDICT)["safe-evidence"] is State.UNSATISFIED


def test_no_policy_no_requirements_and_nothing_met_admit_nothing() -> None:
    assert states(FACTS, None) == {"policy": State.ERROR}
    assert not admits(evaluate(None, FACTS))
    assert not admits(())
    assert not admits((Requirement("any", State.NOT_APPLICABLE, ""),))
    for state in (State.UNSATISFIED, State.BYPASSED, State.ERROR):
        assert not admits((Requirement("one", State.SATISFIED, ""), Requirement("two", state, "")))


@pytest.mark.parametrize(
    "change",
    [
        ("schema_version = 1", "schema_version = 2"),
        ("schema_version = 1", ""),
        ("schema_version = 1", "schema_version = true"),
        ("people = 1", "people = 0"),
        ("people = 1", "people = -1"),
        ("people = 1", "people = 1.5"),
        ("people = 1", 'people = "1"'),
        ("people = 1", "peple = 1"),
        ("organizations = 1", "organizations = 2"),
        ('roles = ["reviewer"]', "roles = []"),
        ('"high"', '"severe"'),
        ('admit_verdicts = ["pass"]', "admit_verdicts = []"),
        ('admit_verdicts = ["pass"]', 'admit_verdicts = ["passed"]'),
        ("max_age_days = 90", "max_age_days = 0"),
        ("max_age_days = 90", "max_age_days = 2026-01-01"),
        ("max_age_days = 90", "max_age_days = inf"),
        ("[time]", "[times]"),
        ("[time]", "[approvals]"),
        ("[time]", "[time"),
    ],
)
def test_any_other_policy_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(PolicyError, match="policy"):
        policy(change)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\xff", b"a = " + b"[" * 5000, b"x" * (2 << 20)])
def test_an_empty_or_unreadable_policy_is_refused(data: bytes) -> None:
    with pytest.raises(PolicyError, match="policy"):
        parse_policy(data)


@given(st.text(max_size=200))
def test_hostile_text_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text.encode("utf-8", "surrogatepass"))


def unmet(rules: Policy, facts: Facts) -> set[str]:
    return {name for name, state in states(facts, rules).items() if not state.met}


def test_a_synced_passkey_counts_only_where_policy_takes_it() -> None:
    synced = replace(FACTS, votes=(replace(VOTE, synced=True),))
    assert unmet(DEFAULT, synced) == {"keys"}
    assert not unmet(policy(("synced_passkeys = false", "synced_passkeys = true")), synced)
    assert not unmet(policy(("[signing]\nsynced_passkeys = false", "")), FACTS)
    assert unmet(policy(("[signing]\nsynced_passkeys = false", "")), synced) == {"keys"}
