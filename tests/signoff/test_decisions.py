# SPDX-License-Identifier: Apache-2.0
"""Breaking the glass, and the signed decisions that gates leave behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.dsse import Envelope as DsseEnvelope

from evidence import InputError, VerificationError, canonical
from signoff import (
    BREAK_GLASS_ROLE,
    DEFAULT_POLICY,
    EmergencyTimes,
    Envelope,
    MachineKey,
    Reviewer,
    build_break_glass,
    build_emergency,
    build_summary,
    parse_policy,
    parse_roots,
    read_bundle_revision,
    read_summary,
    verify_summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REASON = "The feed shows an attack on a hospital; the fix cannot wait."
GATE = "https://platform.example/gates/1"


def prepare(world: World) -> None:
    for entry in world.people:
        entry["roles"] = ["reviewer", BREAK_GLASS_ROLE]
    world.write()


def approval(world: World, identifier: str, seed: int, **changes: Any) -> Envelope:
    entry = next(entry for entry in world.people if entry["id"] == identifier)
    signed = changes.pop("signed_at", NOW - timedelta(minutes=5))
    hours = changes.pop("hours", 4)
    arguments: dict[str, Any] = {
        "revision": world.revision,
        "target_ref": "refs/heads/main",
        "reason": REASON,
        "approver": Reviewer(
            id=entry["id"], name=entry["name"], organization=entry["organization"], role=BREAK_GLASS_ROLE
        ),
        "people": [],
        "policy": f"sha256:{parse_policy(world.policy_text.encode()).digest}",
        "times": EmergencyTimes(
            f"nonce-{identifier}-0123456789", signed, signed + timedelta(hours=hours), signed + timedelta(days=3)
        ),
    }
    return world.seal(build_emergency(**{**arguments, **changes}), seed)


def glass(world: World, *approvals: Envelope) -> Path:
    path = world.folder / "glass.json"
    path.write_bytes(build_break_glass(world.revision, approvals))
    return path


def both(world: World, **changes: Any) -> Path:
    return glass(world, approval(world, "rita", 1, **changes), approval(world, "rolf", 2, **changes))


def test_two_people_of_two_organisations_let_out_what_nobody_reviewed(world: World) -> None:
    prepare(world)
    path = both(world)
    world.bundle.write_bytes(b"")
    result = world.gate(break_glass=path)
    assert result.admitted
    assert not result.reviewed
    assert result.refused is not None
    assert result.revision == world.revision.digest
    broken = result.to_json()["break_glass"]
    assert (broken["admits"], broken["reason"], broken["review_by"]) == (True, REASON, "2026-11-27T11:55:00Z")
    assert [one["id"] for one in broken["people"]] == ["rita", "rolf"]


def test_broken_glass_is_recorded_also_where_the_policy_would_have_passed(world: World) -> None:
    prepare(world)
    result = world.gate(break_glass=both(world))
    assert result.reviewed
    assert result.break_glass is not None
    assert result.break_glass.admits
    assert dict(result.inputs).keys() == {"bundle", "break-glass"}
    world.write([world.sign()])
    assert world.gate(break_glass=glass(world, approval(world, "rita", 1))).reviewed


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda world: glass(world, approval(world, "rita", 1)), "1 of 2 people, 1 of 2 organisations"),
        (lambda world: glass(world, *[approval(world, "rita", 1)] * 2), "signed twice"),
        (lambda world: both(world, signed_at=NOW - timedelta(hours=4)), "expired at"),
        (lambda world: both(world, signed_at=NOW + timedelta(hours=1)), "in the future"),
        (lambda world: both(world, hours=25), "lasts longer than the 24 h"),
        (lambda world: both(world, policy="sha256:" + "0" * 64), "under another policy"),
        (lambda world: both(world, revision=replace(world.revision, repository="https://other.example/x")), "another"),
        (lambda world: glass(world, approval(world, "rita", 1), approval(world, "rolf", 1)), "in the name of"),
        (lambda world: glass(world, approval(world, "rita", 1), approval(world, "rolf", 9)), "none of the keys"),
        (
            lambda world: glass(
                world, approval(world, "rita", 1), approval(world, "rolf", 2, target_ref="refs/heads/x")
            ),
            "different targets",
        ),
        (lambda world: glass(world, world.envelope(), approval(world, "rolf", 2)), "break-glass statement"),
    ],
)
def test_glass_that_is_not_broken_rightly_admits_nothing(
    world: World, make: Callable[[World], Path], words: str
) -> None:
    prepare(world)
    path = make(world)
    world.bundle.write_bytes(b"")
    result = world.gate(break_glass=path)
    assert not result.admitted
    assert result.break_glass is not None
    assert words in result.break_glass.detail


def test_nobody_breaks_the_glass_for_their_own_change_or_without_the_role(world: World) -> None:
    prepare(world)
    path = both(world)
    world.bundle.write_bytes(b"")
    world.people[0]["emails"].append("ada@platform.example")
    world.write_roots()
    refused = world.gate(break_glass=path).break_glass
    assert refused is not None
    assert "made themselves" in refused.detail
    world.people[0].update(emails=["rita@review.example"], roles=["reviewer"])
    world.write_roots()
    refused = world.gate(break_glass=path).break_glass
    assert refused is not None
    assert "no role" in refused.detail


def test_nobody_breaks_the_glass_for_what_they_pushed_or_launched(world: World) -> None:
    """Commits do not name them: an approval does, one's own or another's, and a bundle of that revision."""
    prepare(world)
    held = world.bundle.read_bytes()
    for people, words in (
        ([("Rita", "rita+ci@review.example")], "rita breaks the glass"),
        ([("", "ROLF@review.example")], "rolf breaks the glass"),
        ([("ROLF", "")], "rolf breaks the glass"),  # an account of a code host, which tells no address
        ([("Pat", "pat@platform.example")], ""),
        ([("Pat", "")], ""),
    ):
        world.bundle.write_bytes(b"")
        approvals = (approval(world, "rita", 1, people=people), approval(world, "rolf", 2))
        result = world.gate(break_glass=glass(world, *approvals))
        assert result.break_glass is not None
        assert result.break_glass.admits is (words == "")
        assert words in result.break_glass.detail
    world.bundle.write_bytes(held)
    assert world.gate(break_glass=both(world)).admitted
    facts = world.facts(people=[("Rolf", "rolf@review.example")])
    world.write([world.sign(facts=facts)], [facts])
    refused = world.gate(break_glass=both(world)).break_glass
    assert refused is not None
    assert "rolf breaks the glass for a change that they made themselves" in refused.detail


def test_glass_broken_for_another_tree_does_not_let_this_one_out(world: World) -> None:
    prepare(world)
    path = both(world)
    world.bundle.write_bytes(b"")
    (world.repository / "rank.py").write_text("WEIGHT = 9.0\n", encoding="utf-8")
    refused = world.gate(break_glass=path).break_glass
    assert refused is not None
    assert not refused.admits
    assert "is not what was signed" in refused.detail


def test_a_policy_without_the_table_knows_no_emergency(world: World) -> None:
    world.policy_text = DEFAULT_POLICY[: DEFAULT_POLICY.index("[break_glass]")]
    prepare(world)
    path = both(world)
    world.bundle.write_bytes(b"")
    refused = world.gate(break_glass=path).break_glass
    assert refused is not None
    assert "no table break_glass" in refused.detail


def test_the_review_is_due_and_soon(world: World) -> None:
    signed = NOW - timedelta(minutes=5)
    times = EmergencyTimes("nonce-0123456789", signed, signed + timedelta(hours=1), signed + timedelta(days=15))
    with pytest.raises(InputError, match="within 14 days"):
        approval(world, "rita", 1, times=times)
    with pytest.raises(InputError, match="before it is signed"):
        approval(world, "rita", 1, times=replace(times, review_by=signed))


def test_approvals_are_gathered_one_after_another(world: World) -> None:
    prepare(world)
    revision, none = read_bundle_revision(world.bundle.read_bytes())
    assert (revision.digest, none) == (world.revision.digest, ())
    first = build_break_glass(revision, [approval(world, "rita", 1)])
    revision, earlier = read_bundle_revision(first)
    assert (revision.digest, len(earlier)) == (world.revision.digest, 1)
    assert read_bundle_revision(canonical(world.revision.manifest()))[0].digest == world.revision.digest


def signed_decision(world: World, key: MachineKey, **more: Any) -> Envelope:
    return key.sign(canonical(build_summary(world.gate(**more), gate_id=GATE, now=NOW)))


def test_a_decision_names_policy_roots_and_bundle_by_digest(world: World) -> None:
    key = MachineKey.generate()
    world.gates = [{"id": GATE, "keys": [world.key_entry(key.public.line)]}]
    world.write()
    roots = parse_roots(world.roots.read_bytes())
    gate, summary = verify_summary(signed_decision(world, key), roots)
    assert (gate.id, summary.passed, summary.revision) == (GATE, True, world.revision.digest)
    assert summary.policy == f"sha256:{parse_policy(world.policy.read_bytes()).digest}"
    assert summary.roots == f"sha256:{roots.digest}"
    predicate = summary.document.predicate
    assert predicate.verifiedLevels == ("COUNTERSIGN_REVIEWED",)
    assert {one.name for one in summary.document.subject} == {"revision", "head", "artifact model", "artifact small"}
    world.bundle.write_bytes(b"[]")
    _, failed = verify_summary(signed_decision(world, key), roots)
    assert (failed.passed, failed.document.predicate.verifiedLevels) == (False, ("FAILED",))


def test_a_decision_tells_of_broken_glass(world: World) -> None:
    key = MachineKey.generate()
    prepare(world)
    path = both(world)
    world.bundle.write_bytes(b"")
    summary = read_summary(signed_decision(world, key, break_glass=path).payload)
    assert summary.passed
    assert summary.revision == world.revision.digest
    assert summary.document.predicate.verifiedLevels == ("COUNTERSIGN_BREAK_GLASS",)
    assert summary.break_glass is not None
    assert summary.break_glass.review_by == "2026-11-27T11:55:00Z"


def test_a_decision_by_no_gate_of_the_roots_or_in_another_name_is_refused(world: World) -> None:
    key, other = MachineKey.generate(), MachineKey.generate()
    world.gates = [{"id": "another gate", "keys": [world.key_entry(key.public.line)]}]
    world.write()
    roots = parse_roots(world.roots.read_bytes())
    with pytest.raises(InputError, match="in the name of"):
        verify_summary(signed_decision(world, key), roots)
    with pytest.raises(VerificationError, match="none of the keys"):
        verify_summary(signed_decision(world, other), roots)


def test_a_decision_is_an_envelope_that_other_dsse_tools_read(world: World) -> None:
    world.write()
    document = signed_decision(world, MachineKey.generate()).to_json()
    read = DsseEnvelope.from_dict(document)
    assert read.payload_type == "application/vnd.in-toto+json"
    assert read_summary(read.payload).passed


def test_a_machine_key_reads_back_from_either_form_and_from_no_open_file(world: World) -> None:
    key = MachineKey.generate()
    key.save(world.folder / "gate.pem")
    assert MachineKey.load(world.folder / "gate.pem").public == key.public
    world.keygen(world.folder / "gate")
    assert MachineKey.load(world.folder / "gate").public.line in (world.folder / "gate.pub").read_text(encoding="utf-8")
    (world.folder / "gate").chmod(0o640)
    with pytest.raises(InputError, match="open to others"):
        MachineKey.load(world.folder / "gate")
    (world.folder / "not").write_bytes(b"not a key")
    (world.folder / "not").chmod(0o600)
    with pytest.raises(InputError, match="not a private key"):
        MachineKey.load(world.folder / "not")
