# SPDX-License-Identifier: Apache-2.0
"""Clocks that differ by minutes: five are allowed for and not a second more, by the gate and by who stands alone.

The allowance is for what seems to come from the future. A time at which something ends is not stretched by it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from signoff import CLOCK_SKEW, PublicKey, key_leaf

if TYPE_CHECKING:
    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def judged(world: World, now: datetime = NOW) -> int | None:
    """The step at which the gate refuses, and with it the verifier that stands alone; None if it is admitted."""
    refused = world.gate(now).refused
    step = None if refused is None else refused.number
    assert world.verified(now) == (step, step)
    return step


def detail(world: World, now: datetime = NOW) -> str:
    refused = world.gate(now).refused
    return "" if refused is None else refused.detail


def test_five_minutes_are_what_the_documents_say() -> None:
    assert timedelta(minutes=5) == CLOCK_SKEW
    steps = (Path(__file__).resolve().parents[2] / "docs" / "gate.md").read_text("utf-8").split("## The steps")[1]
    for number in (6, 7, 8):
        step = steps.split(f"\n{number}. **")[1].split(f"\n{number + 1}. **")[0]
        assert "Five minutes of clock difference are allowed for" in step


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_a_signers_clock_may_be_five_minutes_ahead_of_the_gates(world: World, late: timedelta, seen: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The gate runs as soon as the statement is logged, and sees a signing time that is still to come."""
    if seen:
        world.witnessed()
    signed = NOW + CLOCK_SKEW + late
    envelope = world.envelope(validity=world.validity(signed))
    world.write([world.log_signoff(envelope, signed)])
    assert judged(world) == (8 if late else None)
    assert not late or "rita signed in the future" in detail(world)


@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_a_signers_clock_may_be_five_minutes_ahead_of_the_witnesses(world: World, late: timedelta) -> None:
    world.witnessed()
    envelope = world.envelope()
    signed = world.validity().signed_at
    world.write([world.log_signoff(envelope, signed - CLOCK_SKEW - late)])
    assert judged(world) == (6 if late else None)
    assert not late or "rita says to have signed after the log had the sign-off" in detail(world)


@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_a_signers_clock_may_be_five_minutes_behind_the_witnesses(world: World, late: timedelta) -> None:
    """What was signed seems to be seen only after the signing."""
    world.witnessed()
    envelope = world.envelope()
    key = str(key_leaf(PublicKey.from_line(world.public_line(1)))["digest"])
    world.log_piece("key", key, world.validity().signed_at + CLOCK_SKEW + late)
    world.write([world.log_signoff(envelope, world.validity().signed_at + timedelta(minutes=10))])
    assert judged(world) == (6 if late else None)
    assert not late or "rita signed before the key was logged" in detail(world)


@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_a_revocation_list_may_be_dated_five_minutes_ahead(world: World, late: timedelta) -> None:
    world.issued = NOW + CLOCK_SKEW + late
    world.write()
    assert judged(world) == (7 if late else None)
    assert not late or "from the future" in detail(world)


@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_a_checkpoint_may_be_witnessed_five_minutes_ahead(world: World, late: timedelta) -> None:
    world.witnessed()
    world.issued = NOW + CLOCK_SKEW + late - timedelta(minutes=1)  # it is witnessed a minute after
    world.write()
    assert judged(world) == (7 if late else None)
    assert not late or "the checkpoint is from the future, 2026-11-24 12:05 UTC" in detail(world)


def test_the_end_of_a_sign_off_is_not_stretched(world: World) -> None:
    validity = world.validity()
    world.write([world.sign(validity=replace(validity, expires_at=NOW + timedelta(hours=2)))])
    assert judged(world, NOW + timedelta(hours=2) - SECOND) is None
    assert judged(world, NOW + timedelta(hours=2)) == 8
    assert "expired" in detail(world, NOW + timedelta(hours=2))


def test_the_age_of_a_checkpoint_is_not_stretched(world: World) -> None:
    world.write()
    end = world.issued + timedelta(hours=168)
    assert judged(world, end - SECOND) is None
    assert judged(world, end) == 7
