# SPDX-License-Identifier: Apache-2.0
"""Whoever has the log sees whether builds under a recipe follow on one another, with none left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from recipes import Lane, other_lane

from evidence import VerificationError, canonical, digest
from signoff import BuildChains, BuildPlace, build_leaf, build_stop, parse_roots, stop_leaf

if TYPE_CHECKING:
    from world import World

    from evidence import Digest
    from signoff import Envelope

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AT = [NOW - timedelta(minutes=50 - 10 * number) for number in range(4)]


class Entries:
    """Entries of a log with three builds in a row, and what takes their place."""

    def __init__(self, world: World) -> None:
        self.world, self.lane = world, Lane(world).enrol()
        self.recipe = self.lane.recipe()
        self.revision = self.lane.change()
        self.measures = self.lane.measures(self.revision)
        self.good = [self.build(1, None)]
        for number in (2, 3):
            self.good.append(self.build(number, self.good[-1]))

    def build(
        self, number: int, before: Envelope | None, *, at: datetime | None = None, lane: Lane | None = None
    ) -> Any:
        previous: tuple[Digest, datetime] | None = None
        if before is not None:
            previous = (digest(before.payload), at or AT[number - 2])
        place = BuildPlace(number, previous)
        held = self.lane.statement(self.revision, self.recipe, self.measures, place=place, signed_at=AT[number - 1])
        return (lane or self.lane).seal(held)

    def taken(self, *envelopes: Any) -> int:
        self.world.write_roots()
        chains = BuildChains(parse_roots(self.world.roots.read_bytes()))
        for number, one in enumerate(envelopes):
            document = one if isinstance(one, dict) else build_leaf(one)
            assert (chains.take(number, document) is None) is isinstance(one, dict)
        return chains.count

    def stop(self) -> dict[str, Any]:
        document = build_stop(
            self.recipe, service="countersign.example", revision=None, reason="Beyond.", stopped_at=AT[2]
        )
        return stop_leaf(self.world.service.sign(canonical(document)))


@pytest.fixture
def entries(world: World) -> Entries:
    return Entries(world)


def test_builds_in_a_row_follow_on_one_another_whatever_stands_between(entries: Entries) -> None:
    other: dict[str, Any] = {"type": "evidence", "digest": "sha256:" + "0" * 64}
    assert entries.taken(other, entries.good[0], other, *entries.good[1:], other, entries.stop()) == 3


def test_a_build_that_was_left_out_is_found(entries: Entries) -> None:
    first, second, third = entries.good
    for row in ([second], [first, third], [first, second, second], [first, third, second]):
        with pytest.raises(VerificationError, match="of its recipe, where"):
            entries.taken(*row)


def test_a_build_that_names_another_one_before_it_is_found(entries: Entries) -> None:
    first, second, _ = entries.good
    forked = entries.build(3, first, at=AT[1])
    with pytest.raises(VerificationError, match="names another build before it than log entry 1"):
        entries.taken(first, second, forked)
    with pytest.raises(VerificationError, match="names another build"):
        entries.taken(first, entries.build(2, first, at=AT[0] - timedelta(minutes=1)))


def test_a_build_after_its_lane_had_stopped_is_found(entries: Entries) -> None:
    with pytest.raises(VerificationError, match="after its lane had stopped, at log entry 1"):
        entries.taken(entries.good[0], entries.stop(), entries.good[1])


def test_a_build_that_no_lane_signed_and_one_that_is_none_are_found(entries: Entries) -> None:
    stranger = other_lane(entries.lane)
    entries.world.lanes.pop()
    with pytest.raises(VerificationError, match="log entry 0"):
        entries.taken(entries.build(1, None, lane=stranger))
    with pytest.raises(VerificationError, match="log entry 0: "):
        entries.taken(build_leaf(entries.lane.key.sign(b"{}")))
