# SPDX-License-Identifier: Apache-2.0
"""A deployer who holds earlier roots follows the signed updates that come in a bundle, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from changing import Chain

from evidence import canonical
from signoff import Cosigner, build_summary, read_summary, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["undated", "witnessed"])
def chain(world: World, request: pytest.FixtureRequest) -> Chain:
    if request.param == "witnessed":
        world.witnessed()
    return Chain(world)


@pytest.fixture
def witnessed(world: World) -> Chain:
    world.witnessed()
    return Chain(world)


def words(world: World) -> str:
    refused = verify(world.bundle, world.roots, NOW, world.policy).refused
    return "" if refused is None else refused.detail


def test_earlier_roots_lead_to_those_that_were_signed_under(chain: Chain) -> None:
    """The deployer's roots do not know rolf; the two updates that come with the bundle do."""
    world = chain.world
    chain.change(lambda one: one["people"][0].update(organization="Rita Review"))
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY, seeds=(12, 13))
    chain.write()
    for held in (0, 1, 2):
        chain.hold(held)
        result = world.gate()
        assert result.admitted, result.refused
        assert world.verified() == (None, None)
        assert result.roots_in_force == verify(world.bundle, world.roots, NOW).roots_in_force
        said = read_summary(canonical(build_summary(result, gate_id="gate", now=NOW)))
        assert (said.roots_in_force == said.roots) is (held == 2)
        assert f"sha256:{result.roots_in_force}" == said.roots_in_force
    assert result.roots_in_force == result.roots_digest


def test_without_the_updates_earlier_roots_do_not_know_the_signer(chain: Chain) -> None:
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY)
    chain.write()
    chain.world.edit(lambda one: one.pop("roots"))
    assert chain.world.verified() == (2, 2)


def test_an_older_bundle_holds_under_newer_roots(chain: Chain) -> None:
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY)
    chain.write()
    chain.change(lambda one: one["people"][0].update(name="Rita the First"), at=NOW - 3 * DAY)
    chain.hold(2)
    assert chain.world.verified() == (None, None)


@pytest.mark.parametrize("seeds", [(), (11,), (11, 11), (11, 2)])
def test_too_few_administrators_lead_nowhere(chain: Chain, seeds: tuple[int, ...]) -> None:
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY, seeds=seeds)
    chain.write()
    assert chain.world.verified() == (2, 2)
    assert "ask for 2 administrators" in words(chain.world)


TAKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "a person left out": lambda one: one["people"].pop(0),
    "a key that begins earlier": lambda one: one["people"][0]["keys"][0].update(valid_from="2025-01-01T00:00:00Z"),
    "another service": lambda one: one["service"].update(id="another"),
    "the log left out": lambda one: one.update(logs=[]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_an_update_that_takes_something_away_is_not_followed(chain: Chain, name: str) -> None:
    chain.change(lambda one: (chain.enrol_rolf(one), TAKEN[name](one)), at=NOW - 4 * DAY)
    chain.write()
    assert chain.world.verified() == (2, 2)


def test_a_new_key_that_begins_before_its_roots_is_not_followed(chain: Chain) -> None:
    chain.change(chain.enrol_rolf, at=NOW - 2 * DAY)
    chain.write()
    assert chain.world.verified() == (2, 2)
    assert "begins before the roots are issued" in words(chain.world)


def test_updates_are_a_chain_that_starts_at_the_roots_that_are_held(chain: Chain) -> None:
    chain.change(lambda one: one["people"][0].update(organization="Rita Review"))
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY)
    chain.write()
    good = chain.world.bundle.read_bytes()
    for change in (
        lambda one: one["roots"].reverse(),
        lambda one: one["roots"].pop(0),
        lambda one: one["roots"].append(one["roots"][0]),
    ):
        chain.world.bundle.write_bytes(good)
        chain.world.edit(change)
        assert chain.world.verified() == (2, 2)
    for change in (lambda one: one.update(roots=[]), lambda one: one.update(roots=None)):
        chain.world.bundle.write_bytes(good)
        chain.world.edit(change)
        assert chain.world.verified() == (1, 1)


def test_roots_without_administrators_are_not_led_anywhere(chain: Chain) -> None:
    """Whoever makes themselves an administrator would sign the first update."""
    bare = json.loads(chain.contents[0])
    bare.pop("administration")
    chain.contents = [canonical(bare)]
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY)
    first = json.loads(chain.contents[1])
    assert first["administration"]["version"] == 2
    chain.write()
    assert chain.world.verified() == (2, 2)
    assert "no administrators" in words(chain.world)


def test_every_update_is_in_the_log_to_its_last_byte(chain: Chain) -> None:
    """Also one that the deployer does not need: a signature less is another update than the one that was logged."""
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY, seeds=(11, 12, 13))
    chain.write(held=1)
    chain.world.edit(lambda one: one["roots"][0]["update"]["signatures"].pop())
    assert chain.world.verified() == (6, 6)
    chain.hold(0)
    assert chain.world.verified() == (6, 6)


def test_a_lost_key_signs_no_update_into_its_own_past(witnessed: Chain) -> None:
    """The key had ended when the witnesses saw the update, whatever time it says that it was issued at."""
    witnessed.change(witnessed.end(12, NOW - 6 * DAY), at=NOW - 7 * DAY, seeds=(11, 13))
    witnessed.change(witnessed.enrol_rolf, at=NOW - 6.5 * DAY, seeds=(11, 12), logged=NOW - 5 * DAY)
    witnessed.write()
    assert witnessed.world.verified() == (6, 6)
    assert "ask for 2 administrators" in words(witnessed.world)


def test_an_ended_key_counts_for_what_was_seen_before_and_without_witnesses_for_nothing(chain: Chain) -> None:
    at = NOW - 4 * DAY
    chain.change(chain.enrol_rolf, at=at, seeds=(11, 12))
    chain.change(chain.end(12, NOW - 3 * DAY), at=NOW - 3 * DAY, seeds=(11, 13))
    chain.write()
    assert chain.world.verified() == (None, None)  # the deployer's roots do not know of the end yet
    chain.hold(1)
    assert chain.world.verified() == (None, None)


def test_the_witnesses_of_the_roots_before_have_to_have_seen_an_update(witnessed: Chain) -> None:
    world = witnessed.world
    known, world.witness = world.witness, Cosigner.generate("witness.example/w2")
    witnessed.change(witnessed.enrol_rolf, at=NOW - 4 * DAY)
    world.witness = known
    witnessed.write()
    assert world.verified() == (6, 6)
    witnessed.hold(1)
    assert world.verified() == (None, None)


def test_an_update_that_is_not_logged_leads_nowhere(chain: Chain) -> None:
    chain.change(chain.enrol_rolf, at=NOW - 4 * DAY)
    chain.write()
    chain.world.edit(lambda one: one["roots"][0].update(proof=one["signoffs"][0]["proof"]))
    assert chain.world.verified() == (6, 6)


def test_an_update_from_the_future_is_not_followed(chain: Chain) -> None:
    chain.change(lambda one: one["people"][0].update(organization="Rita Review"), at=NOW + DAY, logged=NOW)
    chain.world.write([chain.world.sign()], roots=chain.changes)
    chain.hold(0)
    assert chain.world.verified() == (2, 2)
