# SPDX-License-Identifier: Apache-2.0
"""The gate admits what was signed, and names the step at which anything else is refused."""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evidence import InputError, Severity, Verdict
from signoff import (
    DEFAULT_POLICY,
    Decision,
    LogKey,
    Override,
    Signoff,
    State,
    Vote,
    envelope_from_ssh,
    gate,
    pae,
    sign_with_ssh_key,
    verify,
)

if TYPE_CHECKING:
    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
APPROVED = Vote(Decision.APPROVED, "I approve.")


def assert_refused(world: World, number: int, words: str, now: datetime = NOW) -> None:
    result = world.gate(now)
    assert not result.admitted
    assert result.refused is not None, result.steps
    assert (result.refused.number, words in result.refused.detail) == (number, True), result.refused
    assert [step.ok for step in result.steps] == [True] * (number - 1) + [False] + [None] * (10 - number)
    assert all(step.detail == f"not run: step {number} does not hold" for step in result.steps[number:])


def flip(text: str, at: int = 0) -> str:
    """Base64 of the same bytes but one bit."""
    data = bytearray(base64.b64decode(text))
    data[at] ^= 1
    return base64.b64encode(data).decode()


# What was signed


def test_what_was_signed_is_admitted_from_a_checkout(world: World) -> None:
    world.write()
    result = world.gate()
    assert result.admitted, result.steps
    assert result.refused is None
    assert [step.ok for step in result.steps] == [True] * 10
    assert "checked-out files" in result.steps[4].detail
    others = [one for one in result.requirements if one.state is not State.SATISFIED]
    assert [(one.name, one.state) for one in others] == [("declarations", State.NOT_APPLICABLE)]


def test_what_was_signed_is_admitted_from_a_bare_repository(world: World) -> None:
    world.write()
    world.bare()
    result = world.gate()
    assert result.admitted, result.steps
    assert "bare" in result.steps[4].detail


def test_a_sign_off_made_by_stock_openssh_is_admitted(world: World) -> None:
    key = world.folder / "id"
    world.keygen(key)
    world.enrol("susi", 0, keys=[world.key_entry(key.with_suffix(".pub").read_text(encoding="utf-8"))])
    payload = world.payload("susi")
    envelope = envelope_from_ssh(payload, sign_with_ssh_key(key, pae(payload)))
    world.write([world.log_signoff(envelope)])
    result = world.gate()
    assert result.admitted, result.steps
    assert result.signed[0].person.id == "susi"


def test_two_reviewers_of_two_organisations_are_admitted_where_policy_wants_two(world: World) -> None:
    world.policy_text = DEFAULT_POLICY.replace("people = 1", "people = 2").replace(
        "organizations = 1", "organizations = 2"
    )
    world.write([world.sign(), world.sign(2, "rolf")])
    assert world.gate().admitted
    world.write([world.sign()])
    assert_refused(world, 10, "approvals: 1 of 2")


def test_the_result_is_one_document(world: World) -> None:
    world.write()
    document = json.loads(json.dumps(world.gate().to_json()))
    assert document["admitted"] is True
    assert [step["number"] for step in document["steps"]] == list(range(1, 11))
    assert document["signoffs"][0]["decision"] == "APPROVED"


# One changed byte


def test_a_changed_byte_in_a_checked_out_file_is_refused(world: World) -> None:
    world.write()
    (world.repository / "rank.py").write_text("WEIGHT = 1.6\n", encoding="utf-8")
    assert_refused(world, 5, "'rank.py' in the checkout is not what was signed")


@pytest.mark.parametrize("name", ["rank.py", "models/small.bin"])
def test_a_changed_byte_in_a_committed_object_is_refused(world: World, name: str) -> None:
    world.write()
    world.bare()
    world.rewrite_object(f"main:{name}", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert_refused(world, 5, "")


def test_a_rewritten_author_is_refused(world: World) -> None:
    world.write()
    world.bare()
    world.rewrite_object("main", lambda data: data.replace(b"ada@platform", b"eva@platform"))
    assert_refused(world, 5, "")


def test_a_changed_byte_in_an_artifact_is_refused(world: World) -> None:
    world.write()
    data = world.artifacts["model"].read_bytes()
    world.artifacts["model"].write_bytes(data[:-1] + b"X")
    assert_refused(world, 5, "artifact 'model'")
    world.artifacts["model"].write_bytes(data + b"X")
    assert_refused(world, 5, "artifact 'model'")


def test_a_policy_that_an_approver_edited_admits_nothing_under_the_reviewers(world: World) -> None:
    """They sign under a policy of their own, which asks for one approval less; the deployer holds the reviewer's."""
    strict = world.policy_text.replace("people = 1  ", "people = 2  ", 1)
    world.write()
    assert world.gate().admitted  # under what they signed
    assert strict != world.policy_text
    world.policy.write_text(strict, encoding="utf-8")
    assert_refused(world, 4, "another policy")


def test_evidence_that_was_swapped_after_the_signing_is_refused(world: World) -> None:
    """Facts of another audit, logged as they should be, are not those whose digest was signed."""
    signed = world.sign()
    other = world.facts(review=b" made later")
    for piece in other["evidence"]:
        world.log_piece("evidence", "sha256:" + piece["digest"]["sha256"], NOW)
    world.write([signed], [other])
    assert_refused(world, 5, "are not in the bundle")


def test_a_changed_byte_in_the_policy_is_refused(world: World) -> None:
    world.write()
    for text in (world.policy_text.replace("out.", "out!"), world.policy_text + "\n", "", world.policy_text[:-1]):
        world.policy.write_text(text, encoding="utf-8")
        assert_refused(world, 4, "another policy")


@pytest.mark.parametrize(
    ("change", "number", "words"),
    [
        (lambda bundle: bundle["signoffs"][0]["envelope"].update(payload=flip(payload_of(bundle), 40)), 2, "none of"),
        (lambda bundle: signature_of(bundle).update(sig=flip(signature_of(bundle)["sig"])), 2, "none of the keys"),
        (lambda bundle: signature_of(bundle).update(kind="ssh"), 2, "SSHSIG"),
        (lambda bundle: signature_of(bundle).update(keyid="SHA256:other"), 6, "does not lead"),
        (lambda bundle: bundle["revision"]["head"].update(tree="0" * 40), 5, "the bundle's manifest is"),
        (lambda bundle: bundle["revision"]["artifacts"][0].update(size=1), 5, "the bundle's manifest is"),
        (lambda bundle: bundle["facts"][0]["findings"][0].update(rule="ramp"), 5, "not in the bundle"),
        (lambda bundle: bundle["facts"][0]["evidence"][0].update(verdict="fail"), 5, "not in the bundle"),
        (lambda bundle: bundle["facts"][0].update(people=[]), 5, "not in the bundle"),
        (lambda bundle: change_proof(bundle, 2, flip), 6, "does not lead"),
        (lambda bundle: change_proof(bundle, 1, lambda _: "index 0"), 6, "inclusion"),
        (lambda bundle: change_proof(bundle, 2, lambda line: f"{line}\n{line}\n{line}\n{line}"), 6, "too long"),
        (lambda bundle: change_proof(bundle, -6, lambda line: line + "x"), 6, "not by the log"),
        (lambda bundle: change_proof(bundle, -5, lambda _: "3"), 6, "not by the log"),
        (lambda bundle: change_proof(bundle, -4, flip), 6, "not by the log"),
        (lambda bundle: change_proof(bundle, -2, lambda line: line[:-88] + flip(line[-88:], 40)), 6, "log"),
        (lambda bundle: bundle.update(schema="countersign/bundle/v2"), 1, "schema"),
        (lambda bundle: bundle.update(extra=1), 1, "extra"),
        (lambda bundle: bundle.update(signoffs=[]), 1, "signoffs"),
        (lambda bundle: bundle.update(facts=[]), 1, "facts"),
        (lambda bundle: bundle["facts"].append(bundle["facts"][0]), 1, "twice"),
        (lambda bundle: bundle["revision"]["artifacts"].reverse(), 1, "artifacts"),
        (lambda bundle: bundle["revision"].update(repository=1), 1, "repository"),
    ],
)
def test_a_changed_bundle_is_refused_at_the_step_it_concerns(
    world: World, change: Any, number: int, words: str
) -> None:
    world.log.append_entries([b"another entry"])
    world.write()
    world.edit(change)
    assert_refused(world, number, words)


def payload_of(bundle: dict[str, Any]) -> str:
    payload: str = bundle["signoffs"][0]["envelope"]["payload"]
    return payload


def signature_of(bundle: dict[str, Any]) -> dict[str, Any]:
    signature: dict[str, Any] = bundle["signoffs"][0]["envelope"]["signatures"][0]
    return signature


def change_proof(bundle: dict[str, Any], number: int, change: Any) -> None:
    lines = bundle["signoffs"][0]["proof"].split("\n")
    lines[number] = change(lines[number])
    bundle["signoffs"][0]["proof"] = "\n".join(lines)


def test_a_bundle_in_another_spelling_is_refused(world: World) -> None:
    world.write()
    data = world.bundle.read_bytes()
    for other in (data + b"\n", data.replace(b":", b": ", 1), data[:-1], b"", b"[" * 100_000, b"\xff"):
        world.bundle.write_bytes(other)
        assert_refused(world, 1, "bundle")


def test_every_byte_of_a_bundle_has_a_meaning(world: World) -> None:
    """Of every position, or of 400 spread over the file: another byte there is refused."""
    world.write()
    data = world.bundle.read_bytes()
    step = max(1, len(data) // 400)
    for number, at in enumerate(range(0, len(data), step)):
        bit = 32 if number % 2 else 1  # the other case, or another digit or letter
        world.bundle.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        result = world.gate()
        assert not result.admitted, (at, data[max(0, at - 40) : at + 40])
        assert result.refused is not None


# Another repository, tree or artifact


def test_another_head_is_refused(world: World) -> None:
    world.write()
    world.git("commit", "-q", "--allow-empty", "-m", "Same tree, another commit")
    assert_refused(world, 5, "HEAD is not the signed commit")


def test_a_repository_without_the_signed_commit_is_refused(world: World) -> None:
    world.write()
    other = world.folder / "other"
    world.git("init", "-q", str(other))
    world.git("-C", str(other), "commit", "-q", "--allow-empty", "-m", "Unrelated")
    world.repository = other
    assert_refused(world, 5, "names no commit")


def test_a_folder_that_is_no_repository_is_refused(world: World) -> None:
    world.write()
    world.repository = world.folder / "log"
    assert_refused(world, 5, "no git repository")


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "extra.py").write_text("", encoding="utf-8"),
        lambda top: (top / "models" / "extra.py").write_text("", encoding="utf-8"),
        lambda top: (top / "rank.py").unlink(),
        lambda top: (top / "rank.py").chmod(0o755),
        lambda top: (top / "run.sh").chmod(0o644),
        lambda top: ((top / "link").unlink(), (top / "link").symlink_to("run.sh")),
        lambda top: ((top / "link").unlink(), (top / "link").write_text("rank.py", encoding="utf-8")),
        lambda top: ((top / "rank.py").unlink(), (top / "rank.py").symlink_to("/dev/zero")),
        lambda top: ((top / "rank.py").unlink(), os.mkfifo(top / "rank.py")),
        lambda top: os.mkfifo(top / "pipe"),
        lambda top: ((top / "models").rename(top.parent / "moved"), (top / "models").symlink_to(top.parent / "moved")),
        lambda top: (top / "models" / ".git").mkdir() or (top / "models" / ".git" / "x").touch(),
    ],
)
def test_a_checkout_that_differs_in_any_way_is_refused(world: World, change: Any) -> None:
    world.write()
    change(world.repository)
    assert_refused(world, 5, "in the checkout")


def test_an_ignored_file_is_no_exception_but_a_signed_artifact_is(world: World) -> None:
    world.write()
    (world.repository / ".git" / "info" / "exclude").write_text("*.npz\n", encoding="utf-8")
    inside = world.repository / "models" / "model.npz"
    inside.write_bytes(world.artifacts["model"].read_bytes())
    assert_refused(world, 5, "'models/model.npz' in the checkout is not in the signed commit")
    world.artifacts["model"] = inside
    assert world.gate().admitted
    second = world.repository / "second.npz"
    second.hardlink_to(inside)
    assert_refused(world, 5, "'second.npz' in the checkout is not in the signed commit")
    second.unlink()
    inside.write_bytes(b"other")
    assert_refused(world, 5, "artifact 'model'")


def test_every_signed_artifact_must_be_given_and_no_other(world: World) -> None:
    world.write()
    world.artifacts["more"] = world.artifacts["model"]
    assert_refused(world, 5, "'more' is not in the signed manifest")
    world.artifacts.clear()
    assert_refused(world, 5, "--artifact model=FILE")


def test_an_artifact_in_the_tree_may_be_given_too(world: World) -> None:
    world.write()
    world.artifacts["small"] = world.repository / "models" / "small.bin"
    assert world.gate().admitted
    world.artifacts["small"] = world.artifacts["model"]
    assert_refused(world, 5, "artifact 'small'")


@pytest.mark.parametrize(
    ("side", "part", "words"),
    [
        ("head", "content", "head in the repository has another tree or content"),
        ("head", "tree", "head in the repository has another tree or content"),
        ("base", "tree", "base in the repository has another tree"),
        ("base", "commit", "names no commit"),
    ],
)
def test_a_manifest_that_was_wrong_when_it_was_signed_is_refused(
    world: World, side: str, part: str, words: str
) -> None:
    snapshot = getattr(world.revision, side)
    wrong = replace(snapshot, **{part: "0" * len(getattr(snapshot, part))})
    world.revision = replace(world.revision, **{side: wrong})
    world.write()
    assert_refused(world, 5, words)


def test_an_artifact_in_the_tree_that_is_not_the_signed_one_is_refused(world: World) -> None:
    model, small = world.revision.artifacts
    for wrong in (replace(small, sha256="0" * 64), replace(small, size=10), replace(small, name="another")):
        world.revision = replace(world.revision, artifacts=tuple(sorted((model, wrong), key=lambda one: one.name)))
        world.write()
        assert_refused(world, 5, f"--artifact {wrong.name}=FILE")


@pytest.mark.parametrize("name", ["repository", "baseTree", "headTree", "headCommit"])
def test_a_statement_whose_words_are_not_its_subjects_is_refused(world: World, name: str) -> None:
    document = world.statement()
    document["predicate"]["change"][name] = "0" * 40
    world.write([world.log_signoff(world.seal(document))])
    assert_refused(world, 5, "describes another change than its manifest")


# Keys and people


@pytest.mark.parametrize(
    ("start", "end", "when"),
    [
        ("2026-11-24T11:30:00Z", None, "when it signed"),
        ("2026-01-01T00:00:00Z", "2026-11-24T10:00:00Z", "when it signed"),
        ("2026-01-01T00:00:00Z", "2026-11-24T11:30:00Z", "now"),
    ],
)
def test_a_key_outside_its_time_is_refused(world: World, start: str, end: str | None, when: str) -> None:
    world.write()
    world.people[0]["keys"][0].update(valid_from=start, valid_until=end)
    world.write_roots()
    assert_refused(world, 2, f"does not count {when}")


def test_a_key_that_the_roots_do_not_have_is_refused(world: World) -> None:
    world.write()
    world.people[0]["keys"] = []
    world.write_roots()
    assert_refused(world, 2, "none of the keys")


def test_signing_in_the_name_of_somebody_else_is_refused(world: World) -> None:
    world.write([world.sign(2, "rita")])
    assert_refused(world, 2, "signed by the key of rolf, in the name of 'rita'")


def test_signing_in_a_role_one_does_not_have_is_refused(world: World) -> None:
    world.write()
    world.people[0]["roles"] = ["auditor"]
    world.write_roots()
    assert_refused(world, 2, "signs as 'reviewer'")


def test_one_key_under_two_people_is_refused(world: World) -> None:
    world.write()
    world.enrol("third", 1)
    world.write_roots()
    assert_refused(world, 2, "one key in two places")


def test_two_keys_of_one_person_are_one_approval(world: World) -> None:
    world.policy_text = DEFAULT_POLICY.replace("people = 1", "people = 2")
    world.people[0]["keys"].append(world.key_entry(world.public_line(7)))
    world.write([world.sign(), world.sign(7)])
    assert_refused(world, 3, "one person signed twice")


@pytest.mark.parametrize("email", ["ada@platform.example", "carl@platform.example", "cora@platform.example"])
def test_nobody_who_made_the_change_approves_it(world: World, email: str) -> None:
    """Author, committer and co-author are read from the repository, whatever the facts say."""
    world.people[0]["emails"].append(email.upper())
    world.write()
    assert_refused(world, 10, "independence")


def test_sign_offs_for_different_targets_do_not_add_up(world: World) -> None:
    world.write([world.sign(), world.sign(2, "rolf", target_ref="refs/heads/release")])
    assert_refused(world, 3, "different targets")


def test_a_reviewer_without_an_address_cannot_be_called_independent(world: World) -> None:
    world.people[0]["emails"] = []
    world.write()
    assert_refused(world, 10, "no address in the roots")


def test_a_pusher_whom_only_the_facts_name_does_not_approve(world: World) -> None:
    facts = world.facts(people=[("Rita", "rita@review.example")])
    world.write([world.sign(facts=facts)], [facts])
    assert_refused(world, 10, "independence")


# Log


def test_a_sign_off_that_was_never_logged_is_refused(world: World) -> None:
    logged = world.sign()
    unlogged = world.envelope(vote=Vote(Decision.APPROVED, "Not in the log."))
    world.write([Signoff(unlogged, logged.proof)])
    assert_refused(world, 6, "does not lead to the checkpoint")


def test_the_log_of_another_key_is_refused(world: World) -> None:
    world.write()
    mine = world.log
    world.log = world.another_log(LogKey.generate(mine.key.name))
    world.write_roots()
    assert_refused(world, 6, "0 signatures by the log")
    world.log = world.another_log(LogKey.generate("other.example/log"))
    world.write_roots()
    assert_refused(world, 6, "not in the roots file")


# Time


def test_time_runs_out(world: World) -> None:
    signoffs = [world.sign()]
    for days, expired in ((29, False), (30, True)):
        world.issued = NOW + timedelta(days=days)
        world.write(signoffs)
        if expired:
            assert_refused(world, 8, "expired", world.issued)
        else:
            assert world.gate(world.issued).admitted
    world.issued = NOW - timedelta(hours=2)
    world.write(signoffs)
    assert_refused(world, 8, "in the future", world.issued)


def test_policy_limits_how_long_a_statement_counts(world: World) -> None:
    signoffs = [world.sign(validity=world.validity(days=1000))]
    world.issued = NOW + timedelta(days=89)
    world.write(signoffs)
    assert world.gate(world.issued).admitted
    world.issued = NOW + timedelta(days=90)
    world.write(signoffs)
    assert_refused(world, 8, "older than 90 days", world.issued)


# Requirements


def test_a_rejection_is_refused(world: World) -> None:
    world.write([world.sign(), world.sign(2, "rolf", vote=Vote(Decision.REJECTED, "It lifts one source."))])
    assert_refused(world, 10, "no-rejection: rejected or revoked by rolf")


def test_an_unanswered_finding_is_refused(world: World) -> None:
    facts = world.facts(findings=[world.finding("ramp", Severity.HIGH, None)])
    world.write([world.sign(facts=facts)], [facts])
    assert_refused(world, 10, "findings-answered: 1 of 1 unanswered, first ramp")


def test_of_two_states_of_a_review_the_worse_counts(world: World) -> None:
    open_facts = world.facts(findings=[world.finding("ramp", Severity.HIGH, None)])
    done_facts = world.facts(findings=[world.finding("ramp", Severity.HIGH, "rita")])
    signoffs = [world.sign(facts=open_facts), world.sign(2, "rolf", facts=done_facts)]
    world.write(signoffs, [open_facts, done_facts])
    assert_refused(world, 10, "findings-answered")
    world.write(signoffs[1:], [done_facts])
    assert world.gate().admitted


def test_facts_that_nobody_signed_are_refused(world: World) -> None:
    world.write([world.sign()], [world.facts(), world.facts(unsafe=True)])
    assert_refused(world, 5, "nobody signed")


def test_coverage_that_is_not_the_facts_is_refused(world: World) -> None:
    signoff = world.sign(coverage=world.coverage(files=3, viewed=3))
    world.write([signoff])
    assert_refused(world, 5, "coverage")


@pytest.mark.parametrize("missing", ["diff", "audit"])
def test_evidence_that_the_statement_does_not_list_is_refused(world: World, missing: str) -> None:
    evidence = world.statement()["predicate"]["evidence"]
    listed = {entry["name"]: "sha256:" + entry["digest"]["sha256"] for entry in evidence if entry["name"] != missing}
    world.write([world.sign(evidence=listed)])
    assert_refused(world, 5, f"does not list the {missing}")


def test_a_failed_review_passes_only_by_policy_and_with_a_reason(world: World) -> None:
    facts = world.facts(audit=Verdict.FAIL)
    overriding = Vote(Decision.APPROVED, "", override=Override(verdict=Verdict.FAIL, reason="Ordered by the court."))
    world.write([world.sign(facts=facts, vote=overriding)], [facts])
    assert_refused(world, 10, "verdict: the verdict is fail")
    world.policy_text = DEFAULT_POLICY.replace('["pass"]', '["pass", "fail"]')
    world.write([world.sign(facts=facts)], [facts])
    assert_refused(world, 10, "overrule it by name")
    world.write([world.sign(facts=facts, vote=overriding)], [facts])
    result = world.gate()
    assert result.admitted
    assert State.OVERRIDDEN in {requirement.state for requirement in result.requirements}


def test_unsafe_evidence_never_passes(world: World) -> None:
    facts = world.facts(unsafe=True)
    world.write([world.sign(facts=facts)], [facts])
    assert_refused(world, 10, "safe-evidence")


# Verify, and what is missing


def test_verify_looks_at_the_bundle_alone_and_admits_nothing(world: World) -> None:
    world.carries_policy = False
    world.write()
    result = verify(world.bundle, world.roots, NOW)
    assert result.holds
    assert not result.admitted
    assert [step.ok for step in result.steps] == [True, True, True, None, True, True, None, True, True, True]
    assert "not looked at" in result.steps[4].detail
    full = verify(world.bundle, world.roots, NOW, world.policy)
    assert full.holds
    assert not full.admitted
    assert [step.ok for step in full.steps] == [True] * 10
    world.edit(lambda bundle: bundle["revision"].update(repository="https://code.example/other"))
    refused = verify(world.bundle, world.roots, NOW)
    assert not refused.holds
    assert refused.refused is not None
    assert refused.refused.number == 5


@pytest.mark.parametrize("name", ["bundle", "policy", "roots"])
def test_a_file_that_is_not_there_is_bad_usage(world: World, name: str) -> None:
    world.write()
    getattr(world, name).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        world.gate()


def test_a_folder_or_artifact_that_is_not_there_is_bad_usage(world: World) -> None:
    world.write()
    with pytest.raises(InputError, match="no such folder"):
        gate(world.bundle, world.folder / "absent", {}, world.policy, world.roots, NOW)
    with pytest.raises(InputError, match="for artifact 'model'"):
        gate(world.bundle, world.repository, {"model": world.folder}, world.policy, world.roots, NOW)


def test_a_time_without_its_zone_is_bad_usage(world: World) -> None:
    world.write()
    with pytest.raises(InputError, match="zone"):
        world.gate(NOW.replace(tzinfo=None))


def test_what_a_bundle_names_is_shown_without_control_characters(world: World) -> None:
    world.write()
    world.edit(lambda bundle: bundle.update({"\x1b[2J\u202e": 1}))
    refused = world.gate().refused
    assert refused is not None
    assert refused.detail.isprintable()


def test_the_object_helper_rewrites_in_place(world: World) -> None:
    """That the tests above change what they say they change."""
    world.bare()
    name = world.git("rev-parse", "main:rank.py")
    world.rewrite_object("main:rank.py", lambda data: data.replace(b"1.5", b"9.5"))
    path = world.repository / "objects" / name[:2] / name[2:]
    assert zlib.decompress(path.read_bytes()).endswith(b"9.5\n")
