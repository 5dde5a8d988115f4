# SPDX-License-Identifier: Apache-2.0
"""The roots file: strict, and without contradictions about whose key is whose."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import InputError, PolicyError
from signoff import LogKey, PublicKey, parse_roots

LOG = LogKey.generate("log.example/one")
LINES = [PublicKey.from_ed25519(bytes([seed]) * 32).line for seed in (88, 17, 33)]


def key(line: str = LINES[0], start: str = "2026-01-01T00:00:00Z", end: str | None = None) -> dict[str, Any]:
    return {"public": line, "valid_from": start, "valid_until": end}


def person(identifier: str = "rita", **changes: Any) -> dict[str, Any]:
    entry = {
        "id": identifier,
        "name": "Rita",
        "organization": "Review Ltd",
        "roles": ["reviewer"],
        "emails": [f"{identifier}@review.example"],
        "keys": [],
    }
    return {**entry, **changes}


def roots(*people: dict[str, Any], **changes: Any) -> bytes:
    document = {
        "schema": "countersign/roots/v1",
        "service": {"id": "review.example", "name": "Review"},
        "logs": [{"origin": LOG.origin, "vkey": LOG.vkey}],
        "people": list(people),
    }
    return json.dumps({**document, **changes}).encode()


def test_people_are_found_by_key_bytes_id_and_address() -> None:
    known = parse_roots(roots(person(keys=[key(), key(LINES[1])]), person("rolf", keys=[key(LINES[2])])))
    owner, entry = known.owner(PublicKey.from_line(LINES[1] + " any comment"))
    assert owner.id == "rita"
    assert entry.valid_at(datetime(2026, 1, 1, tzinfo=UTC))
    assert not entry.valid_at(datetime(2025, 12, 31, tzinfo=UTC))
    assert known.person("rolf") is not None
    assert known.person("nobody") is None
    found = known.by_email(" Rita+work@REVIEW.example ")
    assert found is not None
    assert found.id == "rita"
    assert known.by_email("") is None
    assert known.log(LOG.origin) == LOG.public
    assert known.log("log.example/two") is None
    with pytest.raises(InputError, match="not in the roots"):
        known.owner(LOG_AS_PERSON)


LOG_AS_PERSON = PublicKey.from_ed25519(LOG.public.public)


def test_a_key_ends_at_its_end() -> None:
    known = parse_roots(roots(person(keys=[key(end="2026-06-01T00:00:00Z")])))
    _, entry = known.owner(PublicKey.from_line(LINES[0]))
    assert entry.valid_at(datetime(2026, 5, 31, 23, 59, tzinfo=UTC))
    assert not entry.valid_at(datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (roots(person(keys=[key()]), person("rolf", keys=[key()])), "one key in two places"),
        (roots(person(keys=[key(), key(LINES[0] + " again")])), "one key in two places"),
        (roots(person(keys=[key(LOG_AS_PERSON.line)])), "one key in two places"),
        (roots(person(), person("RITA ", emails=[])), "two people with the id"),
        (roots(person(), person("rolf", emails=["Rita+x@review.example"])), "two people with the address"),
        (roots(person(accounts=["git-r"]), person("rolf", accounts=["GIT-R"])), "with the account or id git-r"),
        (roots(person(), person("rolf", accounts=[" Rita"])), "with the account or id rita"),
        (roots(person(accounts=["rolf"]), person("rolf")), "with the account or id rolf"),
        (roots(person(keys=[key(start="2026-01-01")])), "String should match"),
        (roots(person(keys=[key(end="2026-01-01T00:00:00Z")])), "ends before"),
        (roots(person(keys=[key("ssh-dss AAAA")])), "public key|not accepted|ends too early|rita"),
        (roots(person(roles=[])), "roles"),
        (roots(person(admin=True)), "admin"),
        (roots(schema="countersign/roots/v2"), "schema"),
        (roots(logs=[{"origin": "log.example/two", "vkey": LOG.vkey}]), "has the key of"),
        (roots(logs=[{"origin": LOG.origin, "vkey": LOG.vkey}] * 2), "two keys for the log"),
        (roots(extra=1), "extra"),
        (b'{"schema":"countersign/roots/v1","schema":"countersign/roots/v1"}', "duplicate key"),
        (b"", "not valid JSON"),
    ],
)
def test_a_roots_file_that_contradicts_itself_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        parse_roots(data)


def test_ones_own_id_may_be_ones_account_too() -> None:
    known = parse_roots(roots(person(accounts=["RITA", "rita-on-git"]), person("rolf")))
    assert known.by_account("Rita") == known.by_account("rita-on-git") == known.person("rita")


def test_a_person_signs_in_their_own_roles_only() -> None:
    rita = parse_roots(roots(person())).people[0]
    assert rita.reviewer().organization == "Review Ltd"
    with pytest.raises(InputError, match="no role"):
        rita.reviewer("administrator")


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(PolicyError):
        parse_roots(data)
