# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON, strict parsing and digests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import InputError, canonical, digest, document_digest, file_sha256, parse_json

if TYPE_CHECKING:
    from pathlib import Path

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(documents)
def test_canonical_json_reads_back_as_the_same_document(document: object) -> None:
    assert parse_json(canonical(document), "it") == document
    assert canonical(parse_json(canonical(document), "it")) == canonical(document)


@given(st.dictionaries(st.text(), st.integers(0, 9), min_size=2))
def test_the_order_of_keys_does_not_change_a_digest(document: dict[str, int]) -> None:
    assert document_digest(document) == document_digest(dict(reversed(document.items())))


def test_canonical_json_is_rfc_8785() -> None:
    # RFC 8785, section 3.2.3: keys by UTF-16 code units, numbers as ECMAScript prints them.
    assert canonical({"b": 1e21, "a": [1.0, 333333333.33333329, 1e-27], "é": None}) == (
        '{"a":[1,333333333.3333333,1e-27],"b":1e+21,"é":null}'.encode()
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53 + 1, "\ud800"])
def test_what_json_cannot_carry_exactly_has_no_canonical_form(value: object) -> None:
    with pytest.raises(InputError):
        canonical({"value": value})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "duplicate key 'b'"),
        ("[NaN]", "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not a JSON number"),
        ("[9007199254740993]", "no exact double"),
        ("[1" + "0" * 400 + "]", "not valid JSON"),
        ("[1] 2", "not valid JSON"),
        ("", "not valid JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        ("[" * 70 + "]" * 70, "nested deeper than 64"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_two_readers_could_understand_differently_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(InputError, match=r"^the envelope: ") as caught:
        parse_json(text, "the envelope")
    assert says in str(caught.value)


def test_json_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(InputError, match="over the limit of 10"):
        parse_json("[" + "1," * 20 + "1]", "it", limit=10)


def test_a_digest_names_its_algorithm_and_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = b"slate" * 500_000
    (tmp_path / "file").write_bytes(data)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    assert digest(data) == "sha256:" + file_sha256(tmp_path / "file")
