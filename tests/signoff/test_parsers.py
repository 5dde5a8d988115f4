# SPDX-License-Identifier: Apache-2.0
"""Every parser of `signoff`, fed anything: it reads what it would write itself, or refuses. Nothing else."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsers import ENVELOPES, LIST, READERS

import signoff
from evidence import CountersignError, InputError, canonical
from signoff import RevokedKind, read_revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parsers import Reader

READING = ("read", "parse", "open_", "split_", "unpack_", "decode_", "dearmor", "load", "from_")
ELSEWHERE = {  # what reads, and is no parser of its own
    "_build.read_data": "the summary of a build's data: figures that are whole numbers, or none (test_recipes.py)",
    "_carried.read_signed_carry": "verifies, then `read_carry`",
    "_strict.read_document": "every document above is read by it",
}


def exposed() -> Iterator[str]:
    """Every function and static method of the room that reads, by its name."""
    for path in sorted(Path(signoff.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        holders = [("", tree), *((f"{one.name}.", one) for one in tree.body if isinstance(one, ast.ClassDef))]
        for prefix, holder in holders:
            for one in holder.body:
                if isinstance(one, ast.FunctionDef) and one.name.startswith(READING):
                    yield f"{path.stem}.{prefix}{one.name}"


def test_every_parser_of_the_room_is_here() -> None:
    named = {name for reader in READERS.values() for name in reader.names.split()}
    found = set(exposed())
    assert sorted(found - named - ELSEWHERE.keys()) == []
    assert sorted(ELSEWHERE.keys() - found) == []
    for name in named:
        module, *rest = name.split(".")
        held: Any = __import__(f"signoff.{module}", fromlist=["_"])
        for one in rest:
            held = getattr(held, one)
        assert callable(held)


@pytest.mark.parametrize("name", READERS)
def test_what_our_own_code_made_is_accepted_and_written_back(name: str) -> None:
    reader = READERS[name]
    for good in reader.seeds:
        found = reader.read(good)
        assert found is not None
        if reader.write is not None:
            assert reader.write(found) == good


def judged(reader: Reader, data: bytes) -> None:
    """What is accepted is the one spelling of what it says, where there is only one."""
    try:
        found = reader.read(data)
    except CountersignError:
        return
    if reader.write is not None and found is not None:
        written = reader.write(found)
        assert written == data or reader.spellings > 1
        assert reader.write(reader.read(written)) == written


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    judged(READERS[name], data)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100)
@given(data=st.data())
def test_a_document_with_anything_changed_is_read_or_refused(name: str, data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from(READERS[name].seeds)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    judged(READERS[name], bytes(changed))


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 70 + b"]" * 70])
@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.document])
def test_huge_nesting_is_refused(name: str, nested: bytes) -> None:
    with pytest.raises(CountersignError):
        READERS[name].read(nested)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["predicate"].update(number=-1),
        lambda one: one["predicate"].update(number=1.5),
        lambda one: one["predicate"].update(number=True),
        lambda one: one["predicate"].update(issuedAt="2026-11-24T12:00:00+00:00"),
        lambda one: one["predicate"].update(issuedAt="2026-02-30T12:00:00Z"),
        lambda one: one["predicate"].update(revoked=[]),
        lambda one: one["predicate"]["revoked"][0].update(kind="log"),
        lambda one: one["predicate"].update(revoked=one["predicate"]["revoked"] * 2),
        lambda one: one.update(predicateType="https://countersign.dev/review-signoff/v1"),
        lambda one: one["subject"][0]["digest"].update(sha256="0" * 64),
    ],
)
def test_a_list_that_is_not_one_is_refused(change: Callable[[Any], object]) -> None:
    document = json.loads(LIST)
    change(document)
    with pytest.raises(InputError):
        read_revocations(canonical(document))


@pytest.mark.parametrize("name", ["gate's decision", "facts", "revocation list", "statement", "measures"])
def test_a_number_that_other_readers_round_is_refused(name: str) -> None:
    """2**53 has one spelling, and is none of the numbers that canonical JSON may hold."""
    good = READERS[name].seeds[0]
    at = re.search(rb'"(number|total|files|findings)":(?=[0-9])', good)
    assert at is not None
    rest = good[at.end() :].lstrip(b"0123456789")
    assert READERS[name].read(good[: at.end()] + b"9007199254740991" + rest) is not None
    with pytest.raises(InputError):
        READERS[name].read(good[: at.end()] + b"9007199254740992" + rest)


def test_what_is_read_is_what_was_written() -> None:
    assert read_revocations(LIST).find(RevokedKind.KEY, "0" * 64) is not None
    assert json.loads(READERS["envelope"].read(ENVELOPES[0]).payload)["predicate"]["decision"] == "APPROVED"
