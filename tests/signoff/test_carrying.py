# SPDX-License-Identifier: Apache-2.0
"""Votes carried over to a revision that differs in its commits alone: admitted so, and only if policy allows it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence import InputError, Severity, Verdict, canonical, sha256_hex
from signoff import (
    DEFAULT_POLICY,
    Carried,
    Decision,
    Hurry,
    MachineKey,
    PublicKey,
    Revoked,
    RevokedKind,
    Vote,
    build_carry,
    key_leaf,
    read_bundle,
    read_carry,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

    from evidence import Revision
    from signoff import CarriedOver, Signoff

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ALLOWED = DEFAULT_POLICY.replace("carry_over = false", "carry_over = true")


@pytest.fixture
def rebased(world: World) -> World:
    """A policy that lets votes carry over."""
    world.policy_text = ALLOWED
    return world


def carried(world: World, signoffs: list[Signoff] | None = None, **changes: Any) -> tuple[Revision, CarriedOver]:
    """Sign the revision as it is, put another commit over the same trees, carry over and write the bundle."""
    old_facts, signoffs = world.facts(), [world.sign()] if signoffs is None else signoffs
    before = world.rebase()
    facts = world.facts(review=b" anew", **changes.pop("review", {}))
    carry = world.carry(signoffs, facts, [before], **changes)
    world.write(signoffs, [old_facts, facts], carry)
    return before, carry


def refused(world: World, number: int, words: str) -> None:
    result = world.gate()
    assert not result.admitted
    assert result.refused is not None, result.steps
    assert (result.refused.number, words in result.refused.detail) == (number, True), result.refused
    ours, alone = world.verified()
    assert ours == alone
    assert number in {ours, 10} or "in the repository" in words


@pytest.mark.parametrize("witnessed", [False, True])
def test_votes_on_the_same_trees_count_where_policy_says_so(rebased: World, *, witnessed: bool) -> None:
    if witnessed:
        rebased.witnessed()
    before, carry = carried(rebased)
    result = rebased.gate()
    assert result.admitted, result.steps
    assert rebased.verified() == (None, None)
    (signed,) = result.to_json()["signoffs"]
    assert signed["carried_from"] == before.digest
    assert result.revision == rebased.revision.digest != before.digest
    said = read_carry(carry.envelope.payload)
    assert (said.revision, said.predicate.content.headTree) == (rebased.revision.digest, before.head.tree)
    assert [one.revision.sha256 for one in said.predicate.carried] == [before.digest.removeprefix("sha256:")]


def test_a_policy_that_says_nothing_of_it_refuses(world: World) -> None:
    carried(world)
    refused(world, 4, "which the policy does not allow")


def test_votes_of_another_revision_do_not_count_by_themselves(rebased: World) -> None:
    signoff, facts = rebased.sign(), rebased.facts()
    rebased.rebase()
    rebased.write([signoff], [facts])
    refused(rebased, 5, "the bundle's manifest is")


def test_a_vote_on_the_new_revision_takes_the_place_of_a_carried_one(rebased: World) -> None:
    """Rita looks again and rejects; Rolf's vote is carried over."""
    rolf, rita, old = rebased.sign(2, "rolf"), rebased.sign(), rebased.facts()
    before = rebased.rebase()
    facts = rebased.facts(review=b" anew")
    carry = rebased.carry([rolf, rita], facts, [before])
    against = Vote(Decision.REJECTED, "On second thoughts, no.")
    anew = rebased.sign(vote=against, validity=replace(rebased.validity(), nonce="nonce-of-a-second-thought"))
    rebased.write([rolf, anew], [old, facts, rebased.facts()], carry)
    refused(rebased, 10, "no-rejection: rejected or revoked by rita")
    rebased.write([rolf, rita], [old, facts], carry)
    assert rebased.gate().admitted


def test_a_rejection_that_was_carried_over_cannot_be_left_out(rebased: World) -> None:
    rita, rolf = rebased.sign(), rebased.sign(2, "rolf", vote=Vote(Decision.REJECTED, "No."))
    old, before = rebased.facts(), rebased.rebase()
    facts = rebased.facts(review=b" anew")
    carry = rebased.carry([rita, rolf], facts, [before])
    rebased.write([rita, rolf], [old, facts], carry)
    refused(rebased, 10, "rejected or revoked by rolf")
    rebased.write([rita], [old, facts], carry)
    refused(rebased, 5, "the carried sign-off by rolf was left out")


def test_votes_from_several_revisions_are_carried_over_together(rebased: World) -> None:
    first, facts, before = rebased.sign(), [rebased.facts()], [rebased.rebase()]
    second, facts = rebased.sign(2, "rolf"), [*facts, rebased.facts()]
    before += [rebased.rebase("Once more")]
    facts += [rebased.facts(review=b" once more")]
    rebased.write([first, second], facts, rebased.carry([first, second], facts[2], before))
    assert rebased.gate().admitted


# What differs does not carry over


@pytest.mark.parametrize("what", ["a file", "an artifact", "base"])
def test_votes_on_other_content_are_refused(rebased: World, what: str) -> None:
    signoff, old, before = rebased.sign(), rebased.facts(), rebased.revision
    changed = before
    if what == "a file":
        (rebased.repository / "rank.py").write_text("WEIGHT = 1.6\n", encoding="utf-8")
        rebased.git("commit", "-q", "-a", "--amend", "-m", "Another weight")
        head = rebased.git("rev-parse", "HEAD", "HEAD^{tree}").split()
        changed = replace(before, head=replace(before.head, commit=head[0], tree=head[1]))
    elif what == "an artifact":
        model, small = before.artifacts
        changed = replace(before, artifacts=(replace(model, sha256="0" * 64), small))
    else:  # base has moved: the head is the same, and what it changes is not
        changed = replace(before, base=replace(before.base, commit=before.head.commit, tree=before.head.tree))
    rebased.revision = changed
    facts = rebased.facts(review=b" anew")
    rebased.write([signoff], [old, facts], rebased.carry([signoff], facts, [before]))
    refused(rebased, 5, "has another repository, tree, content or artifact")


@pytest.mark.parametrize("side", ["headContent", "artifacts", "baseContent", "baseTree"])
def test_a_carry_over_that_names_another_content_is_refused(rebased: World, side: str) -> None:
    wrong: Any = "0" * 40 if side == "baseTree" else {"sha256": "0" * 64}
    carried(rebased, edit=lambda document: document["predicate"]["content"].update({side: wrong}))
    refused(rebased, 5, "base in the repository" if side == "baseContent" else "names another content")


@pytest.mark.parametrize(
    ("review", "what"),
    [
        ({"audit": Verdict.INCONCLUSIVE}, "verdicts"),
        ({"unsafe": True}, "verdicts"),
        ({"findings": []}, "findings"),
        ({"findings": [("literal-changed", Severity.CRITICAL)]}, "findings"),
        ({"findings": [("literal-changed", Severity.HIGH), ("claim-mismatch", Severity.LOW)]}, "findings"),
    ],
)
def test_a_new_review_that_came_to_something_else_is_looked_at_again(
    rebased: World, review: dict[str, Any], what: str
) -> None:
    if review.get("findings"):
        review = {"findings": [rebased.finding(rule, severity, "rita") for rule, severity in review["findings"]]}
    carried(rebased, review=review)
    refused(rebased, 5, f"came to other {what}")


def test_an_answer_that_is_missing_in_the_new_review_counts_as_missing(rebased: World) -> None:
    carried(rebased, review={"findings": [rebased.finding("literal-changed", Severity.HIGH, None)]})
    refused(rebased, 10, "findings-answered")


def test_who_made_the_new_commit_does_not_approve_it(rebased: World) -> None:
    """The commits of the new revision are read, whoever made the old ones."""
    signoff, old = rebased.sign(), rebased.facts()
    before = rebased.revision
    rebased.git("commit", "-q", "--amend", "--no-edit", "--author", "Rita <rita@review.example>")
    rebased.revision = replace(before, head=replace(before.head, commit=rebased.git("rev-parse", "HEAD")))
    facts = rebased.facts(review=b" anew")
    rebased.write([signoff], [old, facts], rebased.carry([signoff], facts, [before]))
    refused(rebased, 10, "independence: rita approves a change that they made themselves")


# Time, revocation, keys


def test_nothing_is_carried_past_its_end(rebased: World) -> None:
    early = rebased.validity(NOW - timedelta(days=2), days=1)
    carried(rebased, [rebased.sign(validity=replace(early, nonce="nonce-0123456789-rita"))])
    refused(rebased, 8, "expired at")
    result = rebased.gate(NOW, rollback=True)  # it counted once, and not when it was carried over
    assert (result.admitted, result.refused.detail if result.refused else "") == (
        False,
        "the sign-off by rita had expired when it was carried over",
    )


def test_nothing_is_carried_over_in_the_future(rebased: World) -> None:
    carried(rebased, at=NOW + timedelta(hours=1))
    refused(rebased, 8, "in the future")


@pytest.mark.parametrize("what", ["old revision", "new revision", "statement", "carry-over", "key", "service's key"])
def test_what_is_revoked_is_not_carried_over(rebased: World, what: str) -> None:
    signoff, old, before = rebased.sign(), rebased.facts(), rebased.rebase()
    facts = rebased.facts(review=b" anew")
    carry = rebased.carry([signoff], facts, [before])
    keys = {"key": signoff_key(rebased), "service's key": key_leaf(rebased.service.public)["digest"]}
    kind, named = {
        "old revision": (RevokedKind.REVISION, before.digest),
        "new revision": (RevokedKind.REVISION, rebased.revision.digest),
        "statement": (RevokedKind.STATEMENT, sha256_hex(signoff.envelope.payload)),
        "carry-over": (RevokedKind.STATEMENT, sha256_hex(carry.envelope.payload)),
    }.get(what, (RevokedKind.KEY, str(keys.get(what))))
    named = named.removeprefix("sha256:")
    rebased.revoked = [Revoked(kind, named, NOW - timedelta(hours=2), "Lost.")]
    rebased.write([signoff], [old, facts], carry)
    refused(rebased, 9, "is revoked since")


def signoff_key(world: World) -> str:
    return str(key_leaf(PublicKey.from_line(world.public_line(1)))["digest"])


def test_only_the_service_carries_over(rebased: World) -> None:
    carried(rebased, key=MachineKey(Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)))  # rita's own
    refused(rebased, 2, "none of the keys")


@pytest.mark.parametrize(
    ("end", "witnessed", "step"),
    [("11:15", False, 2), ("11:15", True, 2), ("11:45", False, 2), ("11:30:30", True, 6), ("11:45", True, None)],
)
def test_the_service_carries_over_by_a_key_that_counts(
    rebased: World, end: str, *, witnessed: bool, step: int | None
) -> None:
    """At 11:30, logged a minute later. Without witnesses nobody else dates it, so the key must count to this day."""
    if witnessed:
        rebased.witnessed()
    carried(rebased, key=MachineKey(Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)))
    roots = json.loads(rebased.roots.read_bytes())
    moment = f"2026-11-24T{end}Z" if end.count(":") > 1 else f"2026-11-24T{end}:00Z"
    roots["service"]["keys"].append({**rebased.key_entry(rebased.public_line(9)), "valid_until": moment})
    rebased.roots.write_text(json.dumps(roots), encoding="utf-8")
    found = rebased.gate().refused
    assert (found.number if found else None) == step
    assert rebased.verified() == (step, step)


# What it says


@pytest.mark.parametrize(
    ("edit", "number", "words"),
    [
        (lambda document: document["predicate"].update(service="another.example"), 2, "another.example"),
        (lambda document: document["predicate"].update(targetRef="refs/heads/other"), 3, "another target"),
        (lambda document: document["predicate"].update(policy={"sha256": "0" * 64}), 4, "another policy"),
        (lambda document: document["subject"][0]["digest"].update(sha256="0" * 64), 5, "to another revision"),
        (lambda document: document["predicate"]["carried"][0].update(reviewer="rolf"), 5, "names rolf"),
        (lambda document: document["predicate"]["carried"][0].update(statement={"sha256": "0" * 64}), 5, "rita signed"),
        (lambda document: document["predicate"]["carried"][0].update(revision={"sha256": "0" * 64}), 5, "rita signed"),
        (lambda document: document["predicate"]["evidence"].pop(0), 5, "does not list the evidence"),
        (lambda document: document["predicate"]["evidence"].pop(2), 2, "no facts"),
        (lambda document: document["predicate"].update(carried=[]), 2, "carried"),
        (lambda document: document["predicate"].update(more=1), 2, "more"),
        (lambda document: document.update(predicateType="https://countersign.dev/review-signoff/v1"), 2, "predicate"),
    ],
)
def test_a_carry_over_that_says_something_else_is_refused(
    rebased: World, edit: Callable[[dict[str, Any]], object], number: int, words: str
) -> None:
    carried(rebased, edit=edit)
    refused(rebased, number, words)


def test_an_expedited_vote_is_not_carried_over(rebased: World) -> None:
    vote = Vote(Decision.APPROVED, "Quick.", expedited=Hurry(reason="It burns."))
    carried(rebased, [rebased.sign(vote=vote)])
    refused(rebased, 5, "the expedited sign-off by rita was carried over")


def test_a_vote_that_was_logged_after_it_was_carried_over_is_refused(rebased: World) -> None:
    envelope, old = rebased.envelope(), rebased.facts()
    later = type("Later", (), {"envelope": envelope})
    before = rebased.rebase()
    facts = rebased.facts(review=b" anew")
    carry = rebased.carry([later], facts, [before])  # type: ignore[list-item]
    rebased.write([rebased.log_signoff(envelope)], [old, facts], carry)
    refused(rebased, 6, "was logged after it was carried over")


def test_evidence_of_the_new_review_is_logged_before(rebased: World) -> None:
    signoff, old, before = rebased.sign(), rebased.facts(), rebased.rebase()
    facts = rebased.facts(review=b" anew")
    carry = rebased.carry([signoff], facts, [before])
    rebased.write([signoff], [old, facts], carry)
    new = "sha256:" + sha256_hex(b"audit anew")
    rebased.edit(lambda bundle: bundle.update(logged=[one for one in bundle["logged"] if one["leaf"]["digest"] != new]))
    refused(rebased, 6, "the audit of the new revision was not logged before")


def test_null_is_no_way_to_say_that_nothing_was_carried_over(world: World) -> None:
    world.write()
    document = json.loads(world.bundle.read_bytes())
    with pytest.raises(InputError, match="carry is null"):
        read_bundle(canonical({**document, "carry": None}))


def test_two_statements_of_one_person_are_not_carried_over(rebased: World) -> None:
    two = [Carried(who, digit * 64, "sha256:" + "0" * 64) for who, digit in (("rita", "0"), ("Rita ", "1"))]
    with pytest.raises(InputError, match="two statements of one person"):
        build_carry(
            service="s",
            revision=rebased.revision,
            target_ref="t",
            policy="0" * 64,
            evidence={"facts": "sha256:" + "0" * 64},
            carried=two,
            at=NOW,
        )
