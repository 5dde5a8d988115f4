# SPDX-License-Identifier: Apache-2.0
"""A bundle ten years on: refused as of today, and shown to have held when it was made, from bundle and roots alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from changing import Chain
from recipes import Lane
from world import NOW

from evidence import InputError, canonical
from signoff import DEFAULT_POLICY, Revoked, RevokedKind, made_at, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

LATER = NOW + timedelta(days=3653)
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "verifier" / "countersign_verify.py"


def alone(world: World, *arguments: str) -> tuple[int, list[str]]:
    """The verifier that stands alone, as of ten years on unless told otherwise."""
    command = [sys.executable, "-I", SCRIPT, world.bundle, "--roots", world.roots, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def witnessed(world: World) -> datetime:
    world.witnessed()
    world.write()
    return world.issued + timedelta(minutes=1)


def plain(world: World) -> datetime:
    world.write()
    return world.issued


def followed(world: World) -> datetime:
    world.witnessed()
    chain = Chain(world)
    chain.change(chain.enrol_rolf)
    chain.write()
    return world.issued + timedelta(minutes=1)


def built(world: World) -> datetime:
    world.witnessed()
    Lane(world).enrol().write()
    return world.issued + timedelta(minutes=1)


@pytest.mark.parametrize("make", [plain, witnessed, followed, built])
def test_an_old_bundle_held_when_it_was_made(world: World, make: Callable[[World], datetime]) -> None:
    moment = make(world)
    world.policy.unlink()  # ten years on there is bundle and roots
    assert made_at(world.bundle, world.roots) == moment
    result = verify(world.bundle, world.roots, LATER)
    assert result.refused is not None
    assert result.refused.number == 7
    assert result.as_made == (moment, None)
    assert result.to_json()["as_made"] == {"at": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "holds": True, "refused": None}
    then = verify(world.bundle, world.roots, moment)
    assert (then.holds, then.as_made) == (True, None)
    assert all(step.ok for step in then.steps)
    status, lines = alone(world, "--at", f"{LATER:%Y-%m-%dT%H:%M:%SZ}")
    assert status == 1
    assert f"as of {moment:%Y-%m-%dT%H:%M:%SZ}, when it was made: all of it held" in lines
    status, lines = alone(world, "--at", "made")
    assert (status, lines[-1]) == (0, "holds, as far as was looked at")
    assert f"judged as of {moment:%Y-%m-%dT%H:%M:%SZ}; what was revoked since then is not in it" in lines


def test_the_gate_refuses_it_for_its_age_and_admits_nothing_by_what_it_was(world: World) -> None:
    moment = witnessed(world)
    result = world.gate(LATER)
    assert not result.admitted
    assert result.refused is not None
    assert (result.refused.number, result.as_made) == (7, None)
    assert not world.gate(LATER, rollback=True).admitted
    assert world.gate(moment).admitted


def test_what_did_not_hold_then_is_not_said_to_have_held(world: World) -> None:
    revision = world.revision.digest.removeprefix("sha256:")
    world.revoked = [Revoked(RevokedKind.REVISION, revision, NOW - timedelta(hours=1), "A mistake.")]
    witnessed(world)
    result = verify(world.bundle, world.roots, LATER)
    assert result.as_made is not None
    assert result.as_made.refused is not None
    assert result.as_made.refused.number == 9
    status, lines = alone(world, "--at", f"{LATER:%Y-%m-%dT%H:%M:%SZ}")
    assert (status, lines[-3].rpartition(": ")[2]) == (1, "refused at step 9, revocation")


def test_a_key_that_has_ended_since_still_counts_for_what_was_witnessed_in_its_time(world: World) -> None:
    moment = witnessed(world)
    for person in world.people:
        person["keys"][0]["valid_until"] = "2028-01-01T00:00:00Z"
    world.write_roots()
    assert verify(world.bundle, world.roots, LATER).as_made == (moment, None)
    assert alone(world, "--at", "made")[0] == 0


def test_a_bundle_without_its_policy_is_judged_by_less(world: World) -> None:
    world.carries_policy = False
    world.write()
    result = verify(world.bundle, world.roots, NOW)
    assert [step.ok for step in result.steps if step.number in {4, 7}] == [None, None]
    assert result.policy_digest is None
    assert world.gate().admitted


@pytest.mark.parametrize("carried", [DEFAULT_POLICY + "\n", "", "not TOML ["])
def test_another_policy_in_the_bundle_is_refused_at_step_four(world: World, carried: str) -> None:
    world.write()
    world.edit(lambda bundle: bundle.update(policy=carried))
    for policy in (world.policy, None):
        result = verify(world.bundle, world.roots, NOW, policy)
        assert result.refused is not None
        assert result.refused.number == 4
    assert world.verified() == (4, 4)
    refused = world.gate().refused
    assert refused is not None
    assert refused.number == 4


def test_a_policy_that_is_carried_is_judged_as_the_same_file_is(world: World) -> None:
    world.policy_text = DEFAULT_POLICY.replace("people = 1", "people = 2", 1)
    assert world.policy_text != DEFAULT_POLICY
    world.write()
    by_file = verify(world.bundle, world.roots, NOW, world.policy)
    carried = verify(world.bundle, world.roots, NOW)
    assert by_file.refused is not None
    assert by_file.refused.number == 10
    assert [step.ok for step in carried.steps] == [step.ok for step in by_file.steps]
    assert carried.requirements == by_file.requirements
    assert carried.policy_digest == by_file.policy_digest
    assert carried.steps[3].detail.endswith(", as the bundle carries it")


@pytest.mark.parametrize(
    "edit",
    [
        lambda bundle: bundle.clear(),
        lambda bundle: bundle["revocations"]["envelope"].update(payload="e30="),
        lambda bundle: bundle["revocations"]["envelope"].update(payload=""),
    ],
)
def test_what_is_no_bundle_was_never_made(world: World, edit: Callable[[Any], object]) -> None:
    world.write()
    world.edit(edit)
    with pytest.raises(InputError):
        made_at(world.bundle, world.roots)
    assert verify(world.bundle, world.roots, LATER).as_made is None
    status, lines = alone(world, "--at", "made")
    assert status == 1
    assert not any("when it was made" in line for line in lines)


def test_a_list_dated_by_a_thief_moves_the_time_and_is_refused_there(world: World) -> None:
    """What is said of the past is judged in full: the list's date is its signer's, and its signature is held too."""
    witnessed(world)
    document = json.loads(world.bundle.read_bytes())
    payload = json.loads(world.revocations().envelope.payload)
    payload["predicate"]["issuedAt"] = "2026-11-24T09:00:00Z"
    document["revocations"]["envelope"] = world.seal(payload, 77).to_json()
    world.bundle.write_bytes(canonical(document))
    result = verify(world.bundle, world.roots, LATER)
    assert result.as_made is not None
    assert result.as_made.at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert result.as_made.refused is not None
    assert result.as_made.refused.number == 2
    assert alone(world, "--at", "made")[0] == 1


def test_nothing_is_said_of_the_past_where_it_holds_now(world: World) -> None:
    witnessed(world)
    assert verify(world.bundle, world.roots, NOW).as_made is None
    assert "when it was made" not in "\n".join(alone(world, "--at", f"{NOW:%Y-%m-%dT%H:%M:%SZ}")[1])
    assert replace(verify(world.bundle, world.roots, NOW), as_made=None).to_json()["as_made"] is None
