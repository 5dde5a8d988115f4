# SPDX-License-Identifier: Apache-2.0
"""Roots change only by enough administrators, forwards, and nothing that was valid is taken away or backdated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from evidence import CountersignError, InputError, PolicyError, VerificationError, canonical, sha256_hex
from signoff import ROOTS_SCHEMA, RootsUpdate, accept_update, format_time, pae, parse_roots, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Document = dict[str, Any]


@pytest.fixture
def board(world: World, tmp_path: Path) -> Board:
    return Board(world, tmp_path)


class Board:
    """Three administrators with keys 11, 12 and 13, and a reviewer with key 1."""

    def __init__(self, world: World, place: Path) -> None:
        self.world = world
        self.place = place
        people = [
            {
                "id": f"admin-{seed}",
                "name": f"Admin {seed}",
                "organization": "Review",
                "roles": ["administrator"],
                "keys": [world.key_entry(world.public_line(seed))],
            }
            for seed in (11, 12, 13)
        ]
        self.first = self.document([*people, world.people[0]], 1, None)
        self.before = canonical(self.first)

    def document(self, people: list[Any], version: int, previous: bytes | None, **plan: Any) -> Document:
        administration = {"version": version, "issued": format_time(NOW + timedelta(days=version - 1)), "threshold": 2}
        if previous is not None:
            administration["previous"] = {"sha256": sha256_hex(previous)}
        return {
            "schema": ROOTS_SCHEMA,
            "service": {"id": "countersign.example", "name": "The reviewer's service"},
            "logs": [{"origin": self.world.log.key.name, "vkey": self.world.log.key.vkey}],
            "people": people,
            "administration": {**administration, **plan},
        }

    def next(self, change: Callable[[Document], object] = lambda _: None, **plan: Any) -> Document:
        document = json.loads(canonical(self.document(self.first["people"], 2, self.before, **plan)))
        change(document)
        found: Document = document
        return found

    def update(self, document: Document, *seeds: int) -> RootsUpdate:
        update = RootsUpdate(canonical(document))
        for seed in seeds:
            update = update.signed(self.signature(seed, update.message))
        return update

    def signature(self, seed: int, message: bytes) -> str:
        path = self.place / f"admin-{seed}"
        if not path.exists():
            private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            path.write_bytes(pem)
            path.chmod(0o600)
        return sign_with_ssh_key(path, message)

    def accept(self, document: Document, *seeds: int) -> Any:
        return accept_update(self.before, self.update(document, *seeds), NOW + timedelta(days=2))


def fresh_key(document: Document, seed_line: str, start: datetime) -> None:
    document["people"][3]["keys"].append({"public": seed_line, "valid_from": format_time(start), "valid_until": None})


def end_key(document: Document) -> None:
    document["people"][3]["keys"][0]["valid_until"] = "2026-11-20T00:00:00Z"


def test_two_administrators_of_both_versions_change_the_roots(board: Board) -> None:
    first = accept_update(None, board.update(board.first, 11, 12), NOW)
    assert first.administration is not None
    line = board.world.public_line(40)
    document = board.next(lambda one: (fresh_key(one, line, NOW + timedelta(days=1)), end_key(one)))
    new = board.accept(document, 11, 13)
    assert [entry.valid_until is None for entry in new.people[3].keys] == [False, True]
    assert RootsUpdate.read(board.update(document, 11).to_bytes()) == board.update(document, 11)


def test_unmanaged_roots_are_put_under_administration_by_the_new_administrators(board: Board) -> None:
    bare = {key: value for key, value in board.first.items() if key != "administration"}
    before = canonical({**bare, "people": board.first["people"][3:]})
    document = board.document(board.first["people"], 1, before)
    with pytest.raises(PolicyError, match="begins before"):
        accept_update(before, board.update(document, 11, 12), NOW)
    for person in document["people"][:3]:
        person["keys"][0]["valid_from"] = format_time(NOW)
    assert accept_update(before, board.update(document, 11, 12), NOW).administration is not None
    with pytest.raises(PolicyError, match="1 of them"):
        accept_update(before, board.update(document, 11), NOW)


@pytest.mark.parametrize("seeds", [(), (11,), (11, 11), (11, 1), (1, 40), (40, 41)])
def test_too_few_administrators_change_nothing(board: Board, seeds: tuple[int, ...]) -> None:
    with pytest.raises(PolicyError, match="ask for 2 administrators"):
        board.accept(board.next(), *seeds)


def test_the_old_administrators_sign_too(board: Board) -> None:
    """Whoever writes themselves into the new roots as administrators has signed for the new ones only."""

    def take_over(document: Document) -> None:
        for seed in (40, 41):
            keys = [{**board.world.key_entry(board.world.public_line(seed)), "valid_from": "2026-11-25T12:00:00Z"}]
            document["people"].append({**document["people"][0], "id": f"new-{seed}", "keys": keys})

    with pytest.raises(PolicyError, match="the roots in force ask for 2"):
        board.accept(board.next(take_over), 40, 41)
    with pytest.raises(PolicyError, match="the roots in force ask for 2"):
        board.accept(board.next(take_over), 40, 41, 11)
    board.accept(board.next(take_over), 11, 12)


def test_an_administrator_whose_key_ended_does_not_count(board: Board) -> None:
    def end(document: Document) -> None:
        document["people"][1]["keys"][0]["valid_until"] = "2026-11-25T00:00:00Z"

    with pytest.raises(PolicyError, match="the new roots ask for 2 administrators; 1"):
        board.accept(board.next(end), 11, 12)
    board.accept(board.next(end), 11, 12, 13)


def test_one_person_with_two_keys_is_one_administrator(board: Board) -> None:
    board.first["people"][0]["keys"].append(board.world.key_entry(board.world.public_line(40)))
    board.before = canonical(board.first)
    with pytest.raises(PolicyError, match="1 of them signed"):
        board.accept(board.next(), 11, 40)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one["people"].pop(3), "is left out"),
        (lambda one: one["people"][3]["keys"].clear(), "a key of rita is left out"),
        (lambda one: one["people"][3]["keys"][0].update(valid_from="2026-11-01T00:00:00Z"), "another time"),
        (lambda one: one["logs"].clear(), "log"),
        (lambda one: one["service"].update(id="other"), "another service"),
        (lambda one: one["administration"].update(version=3), "2 is next"),
        (lambda one: one["administration"].update(version=1), "2 is next"),
        (lambda one: one["administration"].pop("previous"), "do not follow"),
        (lambda one: one["administration"].update(previous={"sha256": "0" * 64}), "do not follow"),
        (lambda one: one["administration"].update(issued="2026-12-24T12:00:00Z"), "in the future"),
        (lambda one: one["administration"].update(issued="2026-11-24T11:59:59Z"), "before those in force"),
        (lambda one: one["administration"].update(threshold=1), "threshold"),
        (lambda one: one["administration"].update(threshold=4), "fewer administrators"),
        (lambda one: one.pop("administration"), "no administration"),
    ],
)
def test_roots_that_take_something_away_are_refused(
    board: Board, change: Callable[[Document], object], reason: str
) -> None:
    with pytest.raises(PolicyError, match=reason):
        board.accept(board.next(change), 11, 12, 13)


def test_a_new_key_does_not_begin_in_the_past_and_an_ended_one_does_not_come_back(board: Board) -> None:
    line = board.world.public_line(40)
    with pytest.raises(PolicyError, match="begins before"):
        board.accept(board.next(lambda one: fresh_key(one, line, NOW)), 11, 12)
    end_key(board.first)
    board.before = canonical(board.first)
    for later in (None, "2026-12-01T00:00:00Z"):
        with pytest.raises(PolicyError, match="counts for longer"):
            board.accept(board.next(lambda one, to=later: one["people"][3]["keys"][0].update(valid_until=to)), 11, 12)


def test_a_signature_over_something_else_is_none(board: Board) -> None:
    update = RootsUpdate(canonical(board.next()))
    statement = board.signature(11, pae(update.roots))
    with pytest.raises(VerificationError):
        update.signed(statement)
    with pytest.raises(VerificationError):
        accept_update(board.before, RootsUpdate(update.roots, (statement,)), NOW + timedelta(days=2))
    with pytest.raises(InputError):
        update.signed("no signature")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_garbage_is_no_update(data: bytes) -> None:
    with pytest.raises(CountersignError):
        RootsUpdate.read(data)


def test_roots_with_administrators_and_declarations_are_roots(board: Board) -> None:
    assert parse_roots(board.before).administration is not None
