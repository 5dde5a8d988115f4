# SPDX-License-Identifier: Apache-2.0
"""Where a line that somebody spoke of is in another revision, or that it is there no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from house import House
from hypothesis import given
from hypothesis import strategies as st

from confine import Repository
from diffing import FileChange, hunks
from evidence import InputError
from service.placing import Commits, Places, Spot, _Entry, keyed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEFORE = "".join(f"line {number}\n" for number in range(1, 41))


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Any]:
    """A repository's house, and what is known of its commits."""
    house = House(tmp_path)
    house.repository.mkdir()
    house.git("init", "-q", "-b", "main")
    house.commit({"a.py": BEFORE, "gone.py": "x\n", "same.py": "s\n"}, "First")
    with Repository.open(house.repository / ".git") as repository:
        yield house, Places(repository)


def _revision(house: Any, files: dict[str, Any]) -> Commits:
    base = house.git("rev-parse", "main")
    return Commits(base, house.branch("topic", files))


def test_a_line_is_found_where_it_went_and_not_where_it_was_changed(places: Any) -> None:
    house, known = places
    first = _revision(house, {"a.py": BEFORE.replace("line 20\n", "the line\n")})
    later = BEFORE.replace("line 20\n", "the line\n").replace("line 5\n", "").replace("line 10\n", "a\nb\nc\n")
    second = _revision(house, {"a.py": later.replace("line 30\n", "")})

    def now(line: int) -> Spot | None:
        found: Spot | None = known.now(Spot("a.py", "head", line), first, second)
        return found

    assert known.quote(first, Spot("a.py", "head", 20)) == "the line"
    assert now(20) == Spot("a.py", "head", 21)
    assert known.quote(second, Spot("a.py", "head", 21)) == "the line"
    assert (now(5), now(10), now(30)) == (None, None, None)
    assert (now(4), now(31)) == (Spot("a.py", "head", 4), Spot("a.py", "head", 31))
    assert known.now(Spot("a.py", "base", 20), first, second) == Spot("a.py", "base", 20)


def test_a_thread_goes_with_its_file(places: Any) -> None:
    house, known = places
    first = _revision(house, {"a.py": BEFORE + "end\n", "gone.py": None, "same.py": "t\n"})
    second = _revision(house, {"b.py": BEFORE + "end\nmore\n", "a.py": None, "gone.py": None, "same.py": None})
    assert known.now(Spot("a.py", "head", 41), first, second) == Spot("b.py", "head", 41)
    assert known.now(Spot("a.py", "base", 3), first, second) == Spot("b.py", "base", 3)
    assert known.now(Spot("a.py"), first, second) == Spot("b.py")
    assert known.now(Spot("gone.py", "base", 1), first, second) == Spot("gone.py", "base", 1)
    assert known.now(Spot("gone.py"), first, second) == Spot("gone.py")
    assert known.now(Spot("same.py", "head", 1), first, second) is None
    assert known.now(Spot(), first, second) == Spot()
    assert known.now(Spot("a.py"), Commits(first.base, "0" * 40), second) is None


@pytest.mark.parametrize(
    ("spot", "said"),
    [
        (Spot("a.py", "head", 99), "no 99"),
        (Spot("gone.py", "head", 1), "no head side"),
        (Spot("same.py", "head", 1), "no head side"),
        (Spot("binary", "head", 1), "binary"),
    ],
)
def test_a_line_that_there_is_not_is_refused(places: Any, spot: Spot, said: str) -> None:
    house, known = places
    first = _revision(house, {"a.py": "x\n", "gone.py": None, "binary": "\0"})
    with pytest.raises(InputError, match=said):
        known.quote(first, spot)


class _Contents:
    """Two contents, as a repository would hand them out."""

    def __init__(self, old: str, new: str) -> None:
        self._held = {"old": old.encode(), "new": new.encode()}

    def blob(self, name: str, *, limit: int) -> bytes:
        assert limit
        return self._held[name]


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12))
def test_a_line_that_is_found_again_reads_the_same_and_keeps_its_order(old: list[str], new: list[str]) -> None:
    contents: Any = _Contents("".join(f"{one}\n" for one in old), "".join(f"{one}\n" for one in new))
    known, entry = Places(contents), _Entry("a", "a", "old", "new")
    moved = [known._line(entry, number) for number in range(1, len(old) + 1)]
    kept = [(number, to) for number, to in enumerate(moved) if to is not None]
    assert [old[number] for number, _ in kept] == [new[to - 1] for _, to in kept]
    assert [to for _, to in kept] == sorted({to for _, to in kept})
    change = FileChange("a", "a", "modified", None, 0, 0, syntax_equal=False, old_object="old", new_object="new")
    removed = {one.old for hunk in hunks(contents, change).hunks for one in hunk.lines if one.kind == "-"}
    assert {number + 1 for number, to in enumerate(moved) if to is None} == removed


def test_lines_are_keyed_as_the_diff_names_them() -> None:
    spots = {1: Spot("a", "head", 3), 2: Spot("a", "base", 3), 3: Spot("a", "head", 3), 4: Spot("a"), 5: Spot()}
    assert keyed(spots) == {"a": {"R3": [1, 3], "L3": [2]}}
