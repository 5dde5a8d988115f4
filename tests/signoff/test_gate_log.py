# SPDX-License-Identifier: Apache-2.0
"""The gate on what the log says: order, witnesses, age, revocation; rollback; an edit of what was logged."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evidence import canonical
from signoff import (
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    Cosigner,
    LogKey,
    PublicKey,
    RevocationList,
    Revoked,
    RevokedKind,
    key_leaf,
    revocations_leaf,
    verify,
)

if TYPE_CHECKING:
    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SIGNED = NOW - timedelta(hours=1)


def refused(world: World, number: int, words: str, now: datetime = NOW, **more: Any) -> None:
    result = world.gate(now, **more)
    assert not result.admitted
    assert result.refused is not None
    assert (result.refused.number, words in result.refused.detail) == (number, True), result.refused


def key_hash(world: World, seed: int = 1) -> str:
    return str(key_leaf(PublicKey.from_line(world.public_line(seed)))["digest"]).removeprefix("sha256:")


@pytest.mark.parametrize("kind", [ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE])
def test_what_a_quorum_has_witnessed_is_admitted(world: World, kind: int) -> None:
    world.witnessed(kind)
    world.write()
    result = world.gate()
    assert result.admitted, result.steps
    assert "witnessed 2026-11-24 11:51" in result.steps[5].detail


def test_what_no_witness_saw_is_refused_where_the_roots_ask_for_one(world: World) -> None:
    world.write()
    world.witnessed()
    world.write_roots()
    refused(world, 6, "not the quorum")


def test_the_cosignature_of_another_witness_of_that_name_does_not_count(world: World) -> None:
    world.witnessed()
    world.write()
    world.witness = Cosigner.generate("witness.example/w1")
    world.quorum = f"witness w1 {world.witness.public.vkey}\nquorum w1\n"
    world.write_roots()
    refused(world, 6, "not the quorum")


def test_a_key_that_ended_after_it_was_logged_still_counts_where_witnesses_date_it(world: World) -> None:
    world.witnessed()
    world.write()
    world.people[0]["keys"][0]["valid_until"] = "2026-11-24T11:30:00Z"
    world.write_roots()
    assert world.gate().admitted


def test_a_statement_dated_back_into_the_time_of_an_old_key_is_refused(world: World) -> None:
    world.witnessed()
    world.write([world.log_signoff(world.envelope(), SIGNED + timedelta(minutes=40))])
    world.people[0]["keys"][0]["valid_until"] = "2026-11-24T11:30:00Z"
    world.write_roots()
    refused(world, 6, "did not count when it was logged")


def test_a_statement_from_after_it_was_logged_is_refused(world: World) -> None:
    world.witnessed()
    world.write([world.log_signoff(world.envelope(), SIGNED - timedelta(minutes=6))])
    refused(world, 6, "says to have signed after the log had the sign-off")
    world.write([world.log_signoff(world.envelope(validity=world.validity(SIGNED + timedelta(minutes=3))), SIGNED)])
    assert world.gate().admitted


def test_a_statement_that_was_signed_before_its_evidence_was_witnessed_is_refused(world: World) -> None:
    world.witnessed()
    envelope = world.envelope()
    early = world.envelope(validity=world.validity(SIGNED + timedelta(hours=1)))
    world.log_needed(early)  # an hour too late for the other
    world.write([world.log_signoff(envelope)])
    refused(world, 6, "signed before the audit was logged")


def test_evidence_that_was_logged_after_the_sign_off_is_refused(world: World) -> None:
    envelope = world.envelope()
    index = world.log.append({"type": "signoff", "envelope": envelope.to_json()})
    world.log_needed(envelope)
    signoff = world.log_signoff(envelope)
    first = type(signoff)(envelope, world.log.proof(index))
    world.write([first])
    refused(world, 6, "the audit that rita signed was not logged before the sign-off")


@pytest.mark.parametrize("kind", ["evidence", "key", "panel"])
def test_what_a_statement_rests_on_must_be_in_the_bundle(world: World, kind: str) -> None:
    world.write()
    kinds = [one["leaf"]["type"] for one in json.loads(world.bundle.read_bytes())["logged"]]
    world.edit(lambda bundle: bundle["logged"].pop(kinds.index(kind)))
    refused(world, 6, "was not logged before the sign-off")


def test_something_logged_that_nobody_signed_is_refused(world: World) -> None:
    signoff = world.sign()
    world.log_piece("evidence", "sha256:" + "0" * 64, NOW)
    more = world.logged["evidence", "sha256:" + "0" * 64]
    world.write([signoff])
    world.needed.clear()
    world.log_needed(signoff.envelope)
    world.edit(
        lambda bundle: bundle["logged"].insert(
            0,
            {
                "leaf": {"type": "evidence", "digest": more.digest},
                "proof": more.proof.text,
                "consistency": [
                    base64.b64encode(one).decode()
                    for one in world.log.consistency_proof(int(more.proof.checkpoint.split(b"\n")[1]))
                ],
                "salt": None,
            },
        )
    )
    refused(world, 6, "that nobody signed")


def test_a_panel_that_is_not_the_committed_one_is_refused(world: World) -> None:
    world.write()
    panel = next(at for at, one in enumerate(json.loads(world.bundle.read_bytes())["logged"]) if one["salt"])
    world.edit(lambda bundle: bundle["logged"][panel].update(salt="00" * 32))
    refused(world, 6, "the panel that rita signed was not logged")


def test_checkpoints_of_two_histories_are_refused(world: World) -> None:
    world.write()
    world.edit(lambda bundle: bundle["logged"][0].update(consistency=[]))
    refused(world, 6, "consistency")


def test_an_old_checkpoint_or_list_is_refused(world: World) -> None:
    world.write()
    assert world.gate(NOW + timedelta(days=6)).admitted
    refused(world, 7, "the checkpoint of 2026-11-24 11:50 UTC is over 168 h old", NOW + timedelta(days=7))
    world.policy_text = world.policy_text.replace("checkpoint_hours = 168", "checkpoint_hours = 8000")
    world.write()
    refused(world, 7, "the revocation list", NOW + timedelta(days=7))
    refused(world, 7, "from the future", NOW - timedelta(hours=1))


def test_a_list_by_another_key_or_service_is_refused(world: World) -> None:
    world.write()
    world.service = type(world.service).generate()
    world.write_roots()
    refused(world, 2, "none of the keys")
    roots = json.loads(world.roots.read_bytes())
    roots["service"]["keys"] = []
    world.roots.write_text(json.dumps(roots), encoding="utf-8")
    refused(world, 2, "no key of the service")


def test_a_list_from_after_its_checkpoint_is_refused(world: World) -> None:
    world.witnessed()
    world.write()
    signoffs = [world.sign()]
    world.issued = NOW + timedelta(hours=1)
    envelope = world.revocations().envelope
    late = RevocationList(envelope, world.append(revocations_leaf(envelope), NOW))
    world.revocations = lambda: late  # type: ignore[method-assign]
    world.write(signoffs)
    refused(world, 6, "dated after the checkpoint")


@pytest.mark.parametrize("kind", [kind for kind in RevokedKind if kind is not RevokedKind.RECIPE])
def test_what_is_revoked_is_refused_in_a_rollback_too(world: World, kind: RevokedKind) -> None:
    signoff = world.sign()
    named = {
        RevokedKind.STATEMENT: hashlib.sha256(signoff.envelope.payload).hexdigest(),
        RevokedKind.KEY: key_hash(world),
        RevokedKind.REVISION: world.revision.digest.removeprefix("sha256:"),
    }[kind]
    world.revoked.append(Revoked(kind, named, SIGNED - timedelta(days=1), "It was a mistake."))
    world.write([signoff])
    refused(world, 9, "revoked since 2026-11-23 11:00 UTC: It was a mistake.")
    refused(world, 9, "revoked", rollback=True)


def test_what_was_witnessed_before_a_key_was_lost_still_counts(world: World) -> None:
    world.witnessed()
    for since, counts in ((SIGNED + timedelta(minutes=2), True), (SIGNED, False)):
        world.revoked = [Revoked(RevokedKind.KEY, key_hash(world), since, "Lost.")]
        world.write([world.sign()])
        assert world.gate().admitted is counts


def test_without_witnesses_a_lost_key_counts_for_nothing(world: World) -> None:
    world.revoked = [Revoked(RevokedKind.KEY, key_hash(world), NOW, "Lost.")]
    world.write([world.sign()])
    refused(world, 9, "is revoked since")


def test_a_rollback_admits_what_expired_and_says_so(world: World) -> None:
    signoff = world.sign()
    later = NOW + timedelta(days=60)
    world.issued = later
    world.write([signoff])
    refused(world, 8, "expired", later)
    result = world.gate(later, rollback=True)
    assert result.admitted, result.steps
    assert result.to_json()["rollback"] is True
    assert "a rollback: expired at 2026-12-24" in result.steps[7].detail
    refused(world, 7, "over 168 h old", later + timedelta(days=8), rollback=True)


def test_a_rollback_does_not_admit_what_is_signed_in_the_future(world: World) -> None:
    world.write([world.sign(validity=world.validity(NOW + timedelta(days=1)))])
    refused(world, 8, "in the future", rollback=True)


def test_the_envelope_of_another_log_is_refused(world: World) -> None:
    world.write()
    first = world.bundle.read_bytes()
    world.logged.clear()
    world.log = world.another_log(LogKey.generate("other.example/log"))
    world.write()
    other = json.loads(world.bundle.read_bytes())
    mixed = json.loads(first)
    mixed["revocations"] = other["revocations"]
    world.bundle.write_bytes(canonical(mixed))
    refused(world, 6, "0 signatures by the log other.example/log")


def test_without_a_policy_nothing_is_said_of_age(world: World) -> None:
    world.carries_policy = False
    world.write()
    result = verify(world.bundle, world.roots, NOW + timedelta(days=20))
    assert result.holds
    assert result.steps[6].ok is None
