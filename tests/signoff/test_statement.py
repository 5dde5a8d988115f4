# SPDX-License-Identifier: Apache-2.0
"""Statements: every field of the format, one spelling, and nothing that contradicts itself."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import InputError, Verdict, canonical, parse_json
from signoff import Decision, Override, Vote, build_statement, read_statement

if TYPE_CHECKING:
    from world import World


def changed(document: dict[str, Any], path: str, value: Any) -> bytes:
    """``document`` with the value at a dotted path replaced, or removed for ``...``."""
    copy = json.loads(json.dumps(document))
    where = copy
    *before, last = path.split(".")
    for part in before:
        where = where[int(part) if isinstance(where, list) else part]
    if value is ...:
        del where[last]
    else:
        where[last] = value
    return canonical(copy)


def test_the_statement_has_every_field_of_the_format(world: World) -> None:
    document = world.statement()
    assert set(document) == {"_type", "subject", "predicateType", "predicate"}
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://countersign.dev/review-signoff/v1"
    expected = world.revision.digest.removeprefix("sha256:")
    assert document["subject"] == [{"name": "revision", "digest": {"sha256": expected}}]
    fields = (
        "change decision meaning scope conditions notInspected coverage reviewer independence policy evidence nonce "
        "signedAt expiresAt"
    )
    assert set(document["predicate"]) == set(fields.split())
    assert document["predicate"]["signedAt"] == "2026-11-24T11:00:00Z"
    read = read_statement(canonical(document))
    assert read.revision == world.revision.digest
    assert read.predicate.reviewer.id == "rita"


def test_the_same_input_gives_the_same_bytes(world: World) -> None:
    assert canonical(world.statement()) == canonical(world.statement())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1"),
        ("predicateType", "https://slsa.dev/provenance/v1"),
        ("subject", []),
        ("subject.0.name", "revisions"),
        ("subject.0.digest", {"sha1": "0" * 40}),
        ("subject.0.digest.sha256", "A" * 64),
        ("subject.0.digest.sha512", "0" * 128),
        ("predicate.decision", "approved"),
        ("predicate.decision", None),
        ("predicate.conditions", ["only in DE"]),
        ("predicate.decision", "APPROVED_WITH_CONDITIONS"),
        ("predicate.scope", []),
        ("predicate.coverage.viewed", 3),
        ("predicate.coverage.viewed", -1),
        ("predicate.coverage.viewed", 1.5),
        ("predicate.coverage.viewed", True),
        ("predicate.coverage.viewed", "2"),
        ("predicate.coverage.answered", 2),
        ("predicate.coverage.waived", [{"path": "a", "reason": "b"}]),
        ("predicate.evidence", []),
        ("predicate.evidence.0.name", "facts"),
        ("predicate.nonce", "short"),
        ("predicate.nonce", "spaces are not allowed here"),
        ("predicate.signedAt", "2026-11-24T11:00:00+00:00"),
        ("predicate.signedAt", "2026-02-30T11:00:00Z"),
        ("predicate.signedAt", "2026-11-24T11:00:00Z\n"),
        ("predicate.signedAt", "2027-11-24T11:00:00Z"),
        ("predicate.override", {"verdict": "fail", "reason": ""}),
        ("predicate.reviewer.name", "line\nbreak"),
        ("predicate.reviewer.name", "right\u202eleft"),
        ("predicate.meaning", "\x1b[2J"),
        ("predicate.extra", 1),
        ("predicate.nonce", ...),
        ("extra", 1),
    ],
)
def test_any_other_statement_is_refused(world: World, path: str, value: Any) -> None:
    document = world.statement()
    with pytest.raises(InputError, match=r"statement|signedAt"):
        read_statement(changed(document, path, value))


def test_only_the_canonical_spelling_is_read(world: World) -> None:
    payload = canonical(world.statement())
    for other in (payload + b"\n", b" " + payload, json.dumps(parse_json(payload, "statement")).encode()):
        with pytest.raises(InputError, match="canonical"):
            read_statement(other)
    with pytest.raises(InputError, match="duplicate key"):
        read_statement(payload.replace(b'"decision":"APPROVED"', b'"decision":"REJECTED","decision":"APPROVED"'))


def test_what_cannot_be_read_is_not_built(world: World) -> None:
    with pytest.raises(InputError, match="conditions"):
        world.statement(vote=Vote(Decision.APPROVED_WITH_CONDITIONS, ""))
    with pytest.raises(InputError, match="digest"):
        world.statement(evidence={"facts": "md5:00"})
    with pytest.raises(InputError, match="limit"):
        world.statement(vote=Vote(Decision.APPROVED, "", not_inspected=("x" * 999,) * 50))
    with pytest.raises(InputError, match="zone"):
        world.statement(validity=world.validity(datetime(2026, 1, 1)))  # noqa: DTZ001 - that it is refused is tested
    assert callable(build_statement)


def test_an_override_names_verdict_and_reason(world: World) -> None:
    vote = Vote(Decision.APPROVED, "", override=Override(verdict=Verdict.FAIL, reason="Ordered by the court."))
    statement = read_statement(canonical(world.statement(vote=vote)))
    assert statement.predicate.override is not None
    assert statement.predicate.override.reason == "Ordered by the court."


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(InputError):
        read_statement(data)
