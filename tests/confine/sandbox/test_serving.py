# SPDX-License-Identifier: Apache-2.0
"""What an honest recommender sees and answers, in Python and in any language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from confine import HistoryEvent, Limits, Recommender, Request, Slate
from evidence import RecommenderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Recommender]

pytestmark = pytest.mark.sandbox

SPEAKS = """#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    call = json.loads(line)
    if "hello" in call:
        answer = {"hello": 1, "abilities": ["recommend", "score", "fly"]}
    else:
        requests = reversed(call["recommend"]["requests"])
        answer = {"slates": [{"id": r["id"], "items": [r["user_id"], *sys.argv[1:]]} for r in requests]}
    print(json.dumps(answer), flush=True)
"""


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_request_arrives_as_the_protocol_says(run: Run, unsafe: bool) -> None:  # noqa: FBT001 - a parameter
    request = Request(
        7,
        12,
        "u1",
        (HistoryEvent("i1", "2026-01-02T03:04:05Z", "like"), {"item_id": "i2"}),
        {"country": "DE", "age": 3},
    )
    with run(
        recommend="import json\nreturn [[json.dumps(requests[0]), str(k)]]", unsafe_no_sandbox=unsafe
    ) as recommender:
        assert recommender.unsafe is unsafe
        assert recommender.abilities == {"recommend"}
        (slate,) = recommender.recommend([request], 20)
    assert slate.id == 7
    assert json.loads(slate.items[0]) == {
        "id": 7,
        "seed": 12,
        "user_id": "u1",
        "history": [{"item_id": "i1", "at": "2026-01-02T03:04:05Z", "event": "like"}, {"item_id": "i2"}],
        "context": {"country": "DE", "age": 3},
    }
    assert slate.items[1] == "20"


def test_arrays_scores_and_any_script_are_fine(run: Run) -> None:
    body = """
        import numpy
        return ({"items": numpy.array(["новости", "b"]), "scores": numpy.array([0.5, 0.25], "f4")} for _ in requests)
    """
    with run(recommend=body, packages=("numpy",)) as recommender:
        slates = recommender.recommend([Request(3, 0, "u")], 2)
    assert slates == [Slate(3, ("новости", "b"), (0.5, 0.25))]


def test_fewer_items_than_asked_for_are_passed_on(run: Run) -> None:
    with run(recommend="return [[] for _ in requests]") as recommender:
        assert recommender.recommend([Request(0, 0, "u")], 20) == [Slate(0, (), None)]


def test_many_requests_are_asked_in_calls_of_bounded_size(run: Run) -> None:
    with run(recommend="return [[str(len(requests)), r['user_id']] for r in requests]") as recommender:
        slates = recommender.recommend([Request(number, 0, f"u{number}") for number in range(600)], 2)
        assert recommender.recommend([], 2) == []
    assert [slate.id for slate in slates] == list(range(600))
    assert [slate.items[1] for slate in slates] == [f"u{number}" for number in range(600)]
    assert {slate.items[0] for slate in slates} == {"256", "88"}


def test_abilities_are_methods_of_what_load_returns(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "wide.py").write_text(
        "class R:\n"
        "    def recommend(self, requests, k): return []\n"
        "    def update(self, events): pass\n"
        "    score = None\n"
        "def load(artifacts): return R()\n"
    )
    with Recommender(tree, entrypoint="wide:load", packages=()) as recommender:
        assert recommender.abilities == {"recommend", "update"}
    (tree / "wide.py").write_text("def load(artifacts): return object()\n")
    with pytest.raises(RecommenderError, match="no method recommend"):
        Recommender(tree, entrypoint="wide:load", packages=()).__enter__()


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_command_speaks_for_itself(tmp_path: Path, unsafe: bool) -> None:  # noqa: FBT001 - a parameter
    program = tmp_path / "ranker"
    program.write_text(SPEAKS)
    program.chmod(0o755)
    with Recommender(tmp_path, command=("./ranker", "extra"), unsafe_no_sandbox=unsafe) as recommender:
        assert recommender.abilities == {"recommend", "score"}
        slates = recommender.recommend([Request(1, 0, "a"), Request(2, 0, "b")], 5)
    assert slates == [Slate(1, ("a", "extra"), None), Slate(2, ("b", "extra"), None)]


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_command_that_is_not_there(tmp_path: Path, unsafe: bool) -> None:  # noqa: FBT001 - a parameter
    with pytest.raises(RecommenderError) as caught:
        Recommender(tmp_path, command=("./absent",), unsafe_no_sandbox=unsafe).__enter__()
    assert caught.value.error_class == "module-missing"


def test_the_same_request_twice_gives_the_same_answer_in_two_sandboxes(run: Run) -> None:
    body = "return [[str(x) for x in {f'i{n}' for n in range(50)}][:k] for r in requests]"

    def ask() -> list[Slate]:
        with run(recommend=body) as recommender:
            return recommender.recommend([Request(0, 5, "u")], 20)

    assert ask() == ask()


def test_a_closed_folder_is_opened_to_the_sandbox_entry_by_entry(run: Run, tmp_path: Path) -> None:
    recommender = run("return (Path('data') / 'inner.txt').read_text() + Path('link').read_text()")
    tree = tmp_path / "tree"
    (tree / "data").mkdir()
    (tree / "data" / "inner.txt").write_text("seen")
    (tree / "link").symlink_to("data/inner.txt")
    tree.chmod(0o700)
    with recommender:
        assert recommender.recommend([Request(0, 0, "u")], 1)[0].items == ("seenseen",)


def test_files_closed_to_others_are_opened_by_a_copy_and_left_as_they_are(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "model.npz"
    model.write_bytes(b"weights")
    read = "return (Path('data') / 'inner.txt').read_text() + (artifacts / 'model.npz').read_text()"
    recommender = run(read, artifacts={"model": model})
    inner = tmp_path / "tree" / "data" / "inner.txt"
    inner.parent.mkdir(mode=0o700)
    inner.write_text("seen ")
    (inner.parent / "link").symlink_to("/etc/shadow")
    for path in (inner, model):
        path.chmod(0o600)
    with recommender:
        assert recommender.recommend([Request(0, 0, "u")], 1)[0].items == ("seen weights",)
    assert inner.stat().st_mode & 0o777 == model.stat().st_mode & 0o777 == 0o600


def test_limits_have_the_defaults_that_are_documented() -> None:
    assert Limits().memory_bytes == 4 << 30
    assert Limits().processes == 64
