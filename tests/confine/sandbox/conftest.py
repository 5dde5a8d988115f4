# SPDX-License-Identifier: Apache-2.0
"""Recommenders written on the spot, and ways to run them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from confine import Limits, Recommender, Request
from evidence import RecommenderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHORT = Limits(
    memory_bytes=1 << 30,
    processes=16,
    cpu_seconds=30.0,
    start_seconds=20.0,
    call_seconds=20.0,
    file_bytes=8 << 20,
)
FRAME = """
import os, sys
from pathlib import Path

def attack(artifacts, argument):
{load}
    return "nothing"

class Ranker:
    def __init__(self, told):
        self.told = str(told)
    def recommend(self, requests, k):
{recommend}

def load(artifacts):
    return Ranker(attack(artifacts, {argument!r}))
"""


@pytest.fixture
def ranker(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recommender: ``load`` is what it does when loaded, ``recommend`` the body of its method."""

    def write(
        load: str = "pass", recommend: str = "return [[self.told] for _ in requests]", argument: object = ""
    ) -> Path:
        tree = tmp_path / "tree"
        tree.mkdir(exist_ok=True)
        indented = [textwrap.indent(textwrap.dedent(text), " " * depth) for text, depth in ((load, 4), (recommend, 8))]
        (tree / "ranker.py").write_text(FRAME.format(load=indented[0], recommend=indented[1], argument=argument))
        return tree

    return write


@pytest.fixture
def run(ranker: Callable[..., Path]) -> Callable[..., Recommender]:
    """A recommender with short limits, not yet entered."""

    def make(
        load: str = "pass",
        recommend: str = "return [[self.told] for _ in requests]",
        argument: object = "",
        **options: Any,
    ) -> Recommender:
        settings: dict[str, Any] = {"entrypoint": "ranker:load", "limits": SHORT, "packages": ()} | options
        return Recommender(ranker(load, recommend, argument), **settings)

    return make


@pytest.fixture
def told(run: Callable[..., Recommender]) -> Callable[..., str]:
    """What the code in ``load`` returned, by way of a slate; an error's class where it was refused."""

    def ask(load: str, argument: object = "", **options: Any) -> str:
        try:
            with run(load, argument=argument, **options) as recommender:
                (slate,) = recommender.recommend([Request(0, 0, "someone")], 1)
        except RecommenderError as error:
            return error.error_class
        return slate.items[0]

    return ask
