# SPDX-License-Identifier: Apache-2.0
"""Answers are bytes from a hostile process: any bytes give checked slates or a RecommenderError, and nothing else."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confine import _protocol
from evidence import RecommenderError

CLASSES = {"garbage", "protocol", "memory", "module-missing", "write-refused", "processes", "output-limit",
           "load-failed", "raised"}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "items", "scores", "slates", "error", "errno", "phase"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_slates_or_an_error(line: bytes) -> None:
    for read in (lambda: _protocol.slates(line, [0], 3), lambda: _protocol.abilities(line)):
        try:
            read()
        except RecommenderError as error:
            assert error.error_class in CLASSES  # noqa: PT017 - either outcome is fine, another exception is not


@given(
    st.lists(
        st.tuples(
            st.lists(st.text(min_size=1, max_size=8), max_size=5, unique=True),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_valid_slates_come_back_in_the_order_asked_for(slates: list[tuple[list[str], bool]], random: Any) -> None:
    scored = [
        {"id": number, "items": items} | ({"scores": [1.5] * len(items)} if has else {})
        for number, (items, has) in enumerate(slates)
    ]
    shuffled = random.sample(scored, len(scored))
    read = _protocol.slates(json.dumps({"slates": shuffled}).encode(), list(range(len(scored))), 5)
    assert [list(slate.items) for slate in read] == [items for items, _ in slates]
    assert all((slate.scores is None) != has for slate, (_, has) in zip(read, slates, strict=True))


@pytest.mark.parametrize(
    "slate",
    [
        {"items": ["a"]},
        {"id": "0", "items": ["a"]},
        {"id": True, "items": ["a"]},
        {"id": 1, "items": ["a"]},
        {"id": 0},
        {"id": 0, "items": "abc"},
        {"id": 0, "items": ["a", "a"]},
        {"id": 0, "items": [["a"]]},
        {"id": 0, "items": ["a", "b", "c", "d"]},
        {"id": 0, "items": ["a"], "scores": [None]},
        {"id": 0, "items": ["a"], "scores": [1, 2]},
        [],
        None,
    ],
)
def test_a_slate_that_breaks_a_rule(slate: object) -> None:
    with pytest.raises(RecommenderError, match="protocol"):
        _protocol.slates(json.dumps({"slates": [slate]}).encode(), [0], 3)


def test_two_slates_for_one_request_and_none_for_another() -> None:
    line = json.dumps({"slates": [{"id": 0, "items": []}, {"id": 0, "items": []}]}).encode()
    with pytest.raises(RecommenderError, match="no slate for request 1"):
        _protocol.slates(line, [0, 1], 3)


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        ({"type": "ValueError", "message": "x"}, "raised"),
        ({"type": "ValueError", "message": "x", "phase": "load"}, "load-failed"),
        ({"type": "X", "phase": "find"}, "module-missing"),
        ({"type": "MemoryError", "phase": "load"}, "memory"),
        ({"type": "OSError", "errno": 30}, "write-refused"),
        ({"type": "PermissionError", "errno": 13, "file": True}, "write-refused"),
        ({"type": "PermissionError", "errno": 13}, "raised"),
        ({"type": "BlockingIOError", "errno": 11}, "processes"),
        ({"type": "OSError", "errno": [30]}, "raised"),
        ({}, "raised"),
        ("text", "protocol"),
    ],
)
def test_an_error_that_is_told_gets_a_class(error: object, error_class: str) -> None:
    with pytest.raises(RecommenderError) as caught:
        _protocol.slates(json.dumps({"error": error}).encode(), [0], 3)
    assert caught.value.error_class == error_class


def test_what_is_told_is_bounded() -> None:
    with pytest.raises(RecommenderError) as caught:
        _protocol.abilities(json.dumps({"error": {"type": "E" * 9999, "message": "m" * 99999}}).encode())
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    "line", [b'{"hello": 2, "abilities": ["recommend"]}', b'{"hello": 1}', b'{"hello": 1, "abilities": [1]}']
)
def test_a_hello_that_is_none(line: bytes) -> None:
    with pytest.raises(RecommenderError, match="protocol"):
        _protocol.abilities(line)


def test_the_longest_answer_grows_with_what_was_asked() -> None:
    assert _protocol.largest_answer(256, 100) < 16 << 20
    longest = {"slates": [{"id": 10**9, "items": ["x" * 256] * 100, "scores": [math.pi] * 100}] * 256}
    assert len(json.dumps(longest, separators=(",", ":"))) < _protocol.largest_answer(256, 100)
