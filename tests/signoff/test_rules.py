# SPDX-License-Identifier: Apache-2.0
"""What a reviewer writes into the policy is checked when it is read, and met only by what is known."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import InputError, PolicyError, Severity, Verdict
from signoff import (
    DEFAULT_POLICY,
    ChangePerson,
    Decision,
    EvidenceFact,
    Facts,
    FindingFact,
    State,
    Voter,
    admits,
    evaluate,
    parse_policy,
)
from signoff.expressions import UnknownFactError, parse_condition
from signoff.globs import matches, parse_glob
from signoff.rules import LANGUAGE, FactsLookup, condition

NOW = datetime(2026, 11, 24, tzinfo=UTC)
VOTE = Voter(
    person="rita",
    organization="Review Ltd",
    roles=frozenset({"reviewer"}),
    emails=frozenset({"rita@review.example"}),
    key="one",
    decision=Decision.APPROVED,
    override=None,
    signed_at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(days=1),
)
SECOND = replace(VOTE, person="rolf", organization="Check", emails=frozenset({"rolf@check.example"}), key="two")
FACTS = Facts(
    now=NOW,
    votes=(VOTE,),
    people=(ChangePerson("Ada", "ada@platform.example"),),
    evidence=(
        EvidenceFact("diff", Verdict.PASS),
        EvidenceFact("audit", Verdict.PASS, made_at=NOW - timedelta(hours=30)),
    ),
    findings=(FindingFact("sha256:1", "ramp", Severity.HIGH, "rita"), FindingFact("2", "ramp", Severity.LOW, None)),
    paths=("models/als.safetensors", "rank/score.py"),
    files=(2, 1, 1),
)


def holds(text: str, facts: Facts = FACTS, lane: str | None = None) -> Any:
    return condition(text).evaluate(FactsLookup(facts, facts.votes, lane))


def rules(text: str) -> Any:
    return parse_policy(f"{DEFAULT_POLICY}\n{text}".encode())


def state(policy: Any, facts: Facts, name: str) -> State:
    return next(one.state for one in evaluate(policy, facts) if one.name == name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("not true", False),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("not false and not false", True),
        ("people == 1", True),
        ("people >= 2", False),
        ("organizations < 1.5", True),
        ('verdict == "pass"', True),
        ("verdict != 'pass'", False),
        ('"ramp" in rules', True),
        ('"rita" in approvers and "Review Ltd" in approving_organizations', True),
        ('"ada@platform.example" in makers', True),
        ('"critical" in severities', False),
        ('touches("models/**")', True),
        ('touches("*.md", "rank/*.py")', True),
        ('only("models/**")', False),
        ('only("models/**", "rank/**")', True),
        ('findings("high") == 1 and findings("low") == 2', True),
        ('unanswered("low") == 1 and unanswered("high") == 0', True),
        ('count("ramp") == 2 and count("none") == 0', True),
        ('verdict_of("audit") == "pass"', True),
        ('age_hours("audit") <= 30 and age_hours("audit") > 29', True),
        ('approvals_by("reviewer") == 1 and approvals_by("owner") == 0', True),
        ("files == 2 and viewed == 1 and waived == 1", True),
        ("true == (1 < 2)", True),
        ('"and" in rules', False),
    ],
)
def test_an_expression_means_what_it_says(text: str, value: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert holds(text) is value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "tru", "people", '"text"', "1", "people == '1'", "verdict < 'pass'", "1 in rules", "'a' in people",
        "not 1", "true and 1", "true or", "and true", "(true", "true)", "true true", "1 < 2 < 3", "rules == rules",
        "touches()", "touches(models)", "touches('/abs')", "touches('')", "touches('a' 'b')", "findings('worst')",
        "findings('low', 'high')", "nonsense('x')", "touches", "__import__('os')", "people.real", "people[0]",
        "lambda: true", "true; false", "true # yes", "1e9 > 0", "0x1 > 0", "'a\\'b' in rules", "tr\u00fce",
        "(" * 60 + "true" + ")" * 60, "not " * 60 + "true", "true or " * 400 + "true", "true\x00", "True", "people = 1",
        "touches(,)",
    ],
)  # fmt: skip
def test_what_is_no_condition_makes_the_policy_unreadable(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_condition(text, LANGUAGE, "policy")


def test_an_error_names_the_column() -> None:
    with pytest.raises(PolicyError, match=r"the name peopel is not understood, column 10 of"):
        parse_condition("true and peopel > 1", LANGUAGE, "policy")


@given(st.text(alphabet="()'\",<>=! abcdeflnoprstu_019.\n", max_size=80))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        found = parse_condition(text, LANGUAGE, "policy")
    except PolicyError:
        return
    with suppress(UnknownFactError):
        assert found.evaluate(FactsLookup(FACTS, FACTS.votes, "standard")) in {True, False}


@st.composite
def conditions(draw: st.DrawFn, depth: int = 0) -> tuple[str, bool]:
    """An expression, and what Python says that it comes to."""
    atoms = [("true", True), ("people == 1", True), ("people > 1", False), ("'ramp' in rules", True)]
    if depth > 3:
        return draw(st.sampled_from(atoms))
    shape = draw(st.sampled_from(["atom", "not", "and", "or"]))
    if shape == "atom":
        return draw(st.sampled_from(atoms))
    text, value = draw(conditions(depth + 1))
    if shape == "not":
        return f"not ({text})", not value
    other, second = draw(conditions(depth + 1))
    joined = (value and second) if shape == "and" else (value or second)
    return f"({text}) {shape} ({other})", joined


@given(conditions())
def test_and_or_not_are_those_of_logic(drawn: tuple[str, bool]) -> None:
    assert holds(drawn[0]) is drawn[1]


@given(st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "."]), min_size=1, max_size=8).map("".join),
       st.text(alphabet="ab/.", max_size=12))  # fmt: skip
def test_patterns_match_as_a_regular_expression_would(pattern: str, path: str) -> None:
    if pattern.startswith("/"):
        return
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    written = ""
    at = 0
    while at < len(pattern):
        wild = next((one for one in parts if pattern.startswith(one, at)), None)
        if wild == "**/" and at and pattern[at - 1] != "/":
            wild = "**"
        written += re.escape(pattern[at]) if wild is None else parts[wild]
        at += 1 if wild is None else len(wild)
    assert matches(parse_glob(pattern), path) == (re.fullmatch(written, path, re.DOTALL) is not None)


def test_a_pattern_takes_no_longer_on_a_hostile_path() -> None:
    pattern = parse_glob("*a" * 100 + "b")
    assert not matches(pattern, "a" * 4000)
    with pytest.raises(InputError):
        parse_glob("a" * 501)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('touches("models/**")', replace(FACTS, paths=None)),
        ('only("models/**")', replace(FACTS, paths=())),
        ('age_hours("diff") < 1000', FACTS),
        ('age_hours("none") < 1000', FACTS),
        ('verdict_of("none") == "pass"', FACTS),
        ("viewed == files", replace(FACTS, files=None)),
        ('lane == "standard"', FACTS),
        ('true or touches("x")', replace(FACTS, paths=None)),
        ('not touches("x")', replace(FACTS, paths=None)),
    ],
)
def test_what_is_unknown_is_not_met(text: str, facts: Facts) -> None:
    for key in ("met_if", "applies_if"):
        written = {"met_if": "true", "applies_if": "true", key: text.replace('"', "'")}
        policy = rules('[[requirements]]\nname = "own"\n' + "".join(f'{k} = "{v}"\n' for k, v in written.items()))
        assert state(policy, facts, "own") is State.ERROR
        assert not admits(evaluate(policy, facts))


@pytest.mark.parametrize(
    ("applies", "met", "override", "expected"),
    [
        ("false", "false", "false", State.NOT_APPLICABLE),
        ("true", "true", "false", State.SATISFIED),
        ("true", "false", "true", State.OVERRIDDEN),
        ("true", "false", "false", State.UNSATISFIED),
    ],
)
def test_a_written_requirement_has_gerrits_states(applies: str, met: str, override: str, expected: State) -> None:
    policy = rules(
        f'[[requirements]]\nname = "own"\napplies_if = "{applies}"\nmet_if = "{met}"\noverride_if = "{override}"'
    )
    assert state(policy, FACTS, "own") is expected
    assert admits(evaluate(policy, FACTS)) is expected.met


LANES = """
[[lanes]]
name = "critical"
when = "touches('models/**') or findings('critical') > 0"
people = 2
organizations = 2
[[lanes]]
name = "standard"
when = "not only('docs/**')"
people = 1
organizations = 1
[[lanes]]
name = "routine"
when = "true"
people = 1
organizations = 1
"""


def lane(facts: Facts) -> str:
    return next(one.reason.split(":")[0] for one in evaluate(rules(LANES), facts) if one.name == "lane")


def test_lanes_are_told_by_what_a_change_touches_and_ask_for_more_people() -> None:
    assert lane(FACTS) == "critical"
    assert lane(replace(FACTS, paths=("rank.py",))) == "standard"
    assert lane(replace(FACTS, paths=("docs/a.md",))) == "routine"
    assert lane(replace(FACTS, paths=None)) == "critical"
    assert state(rules(LANES), FACTS, "lane") is State.UNSATISFIED
    assert state(rules(LANES), replace(FACTS, votes=(VOTE, SECOND)), "lane") is State.SATISFIED
    same_key = replace(SECOND, key=VOTE.key)
    assert state(rules(LANES), replace(FACTS, votes=(VOTE, same_key)), "lane") is State.UNSATISFIED
    same_house = replace(SECOND, organization="review  LTD")
    assert state(rules(LANES), replace(FACTS, votes=(VOTE, same_house)), "lane") is State.UNSATISFIED
    only_docs = LANES.replace('when = "true"', "when = \"only('docs/**')\"").replace("not only('docs/**')", "false")
    assert state(rules(only_docs), replace(FACTS, paths=("rank.py",)), "lane") is State.ERROR
    own = "[[requirements]]\nname = 'own'\nmet_if = \"lane == 'critical'\""
    assert state(rules(LANES + own), FACTS, "own") is State.SATISFIED


EXPEDITED = """
[expedited]
when = "only('rank/**', 'models/**') and files <= 2"
sets_aside = ["verdict"]
organizations = 2
hours = 24
review_within_hours = 72
"""
FAILING = replace(FACTS, evidence=(EvidenceFact("diff", Verdict.PASS), EvidenceFact("audit", Verdict.FAIL)))
HURRIED = (replace(VOTE, expedited=True), replace(SECOND, expedited=True))


@pytest.mark.parametrize(
    ("facts", "admitted"),
    [
        (replace(FAILING, votes=HURRIED), True),
        (replace(FAILING, votes=(VOTE, SECOND)), False),
        (replace(FAILING, votes=HURRIED[:1]), False),
        (replace(FAILING, votes=(HURRIED[0], replace(HURRIED[1], organization="Review Ltd"))), False),
        (replace(FAILING, votes=(HURRIED[0], replace(HURRIED[1], key="one"))), False),
        (replace(FAILING, votes=HURRIED, now=NOW + timedelta(hours=23)), False),
        (replace(FAILING, votes=HURRIED, paths=("docs/x",)), False),
        (replace(FAILING, votes=HURRIED, paths=None), False),
        (replace(FAILING, votes=HURRIED, files=(3, 3, 0)), False),
        (replace(FAILING, votes=HURRIED, people=()), False),
        (replace(FACTS, votes=HURRIED[:1]), False),
    ],
)
def test_the_expedited_lane_is_narrow_needs_two_organisations_and_ends(
    facts: Facts,
    admitted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert admits(evaluate(rules(EXPEDITED), facts)) is admitted
    assert not admits(evaluate(parse_policy(DEFAULT_POLICY.encode()), replace(facts, votes=HURRIED)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[requirements]]\nname = "verdict"\nmet_if = "true"', "there already"),
        ('[[requirements]]\nname = "own"\nmet_if = "maybe"', "maybe"),
        ('[[requirements]]\nname = "own"\nmet_if = "true"\n' * 2, "there already"),
        ('[[requirements]]\nname = "own"', "met_if"),
        ('[[requirements]]\nname = "own"\nmet_if = "true"\nextra = 1', "extra"),
        (LANES.replace("critical", "standard"), "critical to routine"),
        (LANES.replace('name = "critical"', 'name = "urgent"'), "critical"),
        (LANES.replace("people = 2", "people = 1"), "nothing could meet"),
        (LANES.replace('when = "true"', "when = \"lane == 'routine'\""), "lane"),
        (EXPEDITED.replace("organizations = 2", "organizations = 1"), "organizations"),
        (EXPEDITED.replace('["verdict"]', '["independence"]'), "set aside"),
        (EXPEDITED.replace('["verdict"]', '["approvals"]'), "set aside"),
        (EXPEDITED.replace('["verdict"]', '["nonsense"]'), "set aside"),
        (EXPEDITED.replace("hours = 24", "hours = 24000"), "hours"),
    ],
)
def test_rules_that_could_not_be_judged_are_refused_when_they_are_read(text: str, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        rules(text)
