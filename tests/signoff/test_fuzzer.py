# SPDX-License-Identifier: Apache-2.0
"""The fuzzer of the parsers and of both verifiers, for a short while; and that it finds what is planted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fuzzer import Fuzzer, spelled
from parsers import READERS

from evidence import parse_json
from signoff import Envelope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_every_parser_reads_or_refuses_what_the_fuzzer_makes() -> None:
    one = Fuzzer(1)
    one.parsers(25)
    assert one.tried == 25 * len(READERS)
    assert one.tried // 50 < one.accepted < one.tried  # it gets past the parsers, and not always


def test_both_verifiers_refuse_what_the_fuzzer_makes_at_the_same_step(tmp_path: Path) -> None:
    one = Fuzzer(2)
    one.verifiers(tmp_path, 200)
    assert {1, 2, 5, 6} <= one.steps.keys()


def test_a_payload_that_says_something_else_is_signed_anew() -> None:
    envelope = Envelope.from_json(parse_json(READERS["envelope"].seeds[0], "envelope"))  # type: ignore[arg-type]
    document = envelope.to_json()
    Fuzzer(3).signed(document, b"{}")
    assert document["signatures"] != envelope.to_json()["signatures"]


def fails_on_a_byte(data: bytes) -> Any:
    if b"\xff" in data:
        raise KeyError("unforeseen")
    return data


def takes_any_order(data: bytes) -> Any:
    return parse_json(data, "document")


def remembers() -> Callable[[bytes], Any]:
    seen: list[bytes] = []

    def read(data: bytes) -> Any:
        seen.append(data)
        return len(seen)

    return read


@pytest.mark.parametrize(
    ("read", "write", "found"),
    [
        (fails_on_a_byte, None, KeyError),
        (takes_any_order, spelled, AssertionError),
        (remembers(), lambda number: str(number).encode(), AssertionError),
    ],
)
def test_the_fuzzer_finds_what_is_planted(read: Any, write: Any, found: type[Exception]) -> None:
    reader = replace(READERS["bundle"], read=read, write=write)
    with pytest.raises(found):
        Fuzzer(4).parsers(500, {"planted": reader})


def test_the_same_seed_makes_the_same_cases() -> None:
    cases = []
    for _ in range(2):
        one = Fuzzer(5)
        cases.append([one.changed(reader.seeds[0]) for reader in READERS.values() for _ in range(5)])
    assert cases[0] == cases[1]
