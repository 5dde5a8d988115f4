# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import Slates, compare, make_slates, read_slates, write_slates
from evidence import SlatesError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behavior import Panel


@pytest.fixture
def panel(panel_folder: Callable[..., Any]) -> Panel:
    read: Panel = panel_folder(users=4, items=30, k=3, depth=6).read()
    return read


def _rankings(length: int = 6) -> list[tuple[str, str, list[str]]]:
    return [(f"u{user}", "", [f"i{(user + rank) % 30}" for rank in range(length)]) for user in range(4)]


@pytest.mark.parametrize("name", ["slates.parquet", "slates.jsonl"])
def test_what_is_written_is_read_back(panel: Panel, tmp_path: Path, name: str) -> None:
    slates = make_slates(panel, _rankings())
    write_slates(slates, tmp_path / name, panel)
    again = read_slates(tmp_path / name, panel)
    assert again.digest == slates.digest
    assert again.deep is not None
    assert again.deep.tolist()[1] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["panel", name])


def test_order_of_rows_and_extra_columns_change_nothing(panel: Panel, tmp_path: Path) -> None:
    path = tmp_path / "slates.parquet"
    write_slates(make_slates(panel, _rankings()), path, panel)
    frame = pl.read_parquet(path).with_columns(score=pl.lit(0.5)).sample(fraction=1.0, shuffle=True, seed=2)
    frame.write_parquet(tmp_path / "turned.parquet")
    assert read_slates(tmp_path / "turned.parquet", panel).digest == read_slates(path, panel).digest


def test_slates_of_k_have_no_deep_part_and_the_audit_says_so(panel: Panel) -> None:
    slates = make_slates(panel, _rankings(3))
    assert slates.deep is None
    probe = compare(panel, slates, slates).probes[0]
    assert "deep statistic not run" in probe.summary
    assert probe.searched["statistics_not_run"] == ["deep"]


def test_slates_beyond_the_depth_are_cut_there(panel: Panel) -> None:
    assert make_slates(panel, _rankings(12)).digest == make_slates(panel, _rankings(6)).digest


def test_requests_of_one_user_are_told_apart_by_context(panel: Panel, tmp_path: Path) -> None:
    rankings = [(user, context, items) for user, _, items in _rankings() for context in ("tv", "phone")]
    slates = make_slates(panel, rankings)
    assert slates.top.shape == (8, 3)
    write_slates(slates, tmp_path / "slates.parquet", panel)
    write_slates(slates, tmp_path / "slates.jsonl", panel)
    for name in ("slates.parquet", "slates.jsonl"):
        assert read_slates(tmp_path / name, panel).digest == slates.digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: [], ["no slates"]),
        (lambda rows: [("u9", "", rows[0][2]), *rows[1:]], ["'u9'", "not in the panel", "1 such"]),
        (lambda rows: [(u, c, ["zz", *items[1:]]) for u, c, items in rows], ["'u0'", "'zz'", "4 such"]),
        (lambda rows: [(u, c, [items[1], *items[1:]]) for u, c, items in rows], ["'u0'", "repeated", "'i1'", "4 such"]),
        (lambda rows: [rows[0], (rows[1][0], "", ["i1", "i2"])], ["'u1'", "fewer than k = 3", "1 such"]),
        (lambda rows: [*rows, rows[2]], ["'u2'", "two slates"]),
    ],
)
def test_slates_that_do_not_fit_the_panel_name_the_first_case_and_the_count(
    panel: Panel, change: Callable[..., Any], words: list[str]
) -> None:
    with pytest.raises(SlatesError) as refused:
        make_slates(panel, change(_rankings()), what="head.parquet")
    for word in ("head.parquet", *words):
        assert word in str(refused.value)


def test_sides_that_answer_different_users_are_refused(panel: Panel) -> None:
    whole, part = make_slates(panel, _rankings()), make_slates(panel, _rankings()[:3])
    with pytest.raises(SlatesError, match=r"base slates: user 'u3' is not in the head slates \(1 such\)"):
        compare(panel, whole, part)
    with pytest.raises(SlatesError, match=r"head slates: user 'u3' is not in the base slates"):
        compare(panel, part, whole)
    with pytest.raises(SlatesError, match=r"anchor slates|head slates: user 'u3' is not in the anchor"):
        compare(panel, whole, whole, anchor=part)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"user_id": ["u0"], "rank": [1]}, ["no column 'item_id'"]),
        ({"user_id": ["u0"] * 3, "rank": [1, 1, 2], "item_id": ["i1", "i2", "i3"]}, ["'u0'", "rank 1", "twice"]),
        ({"user_id": ["u0"] * 3, "rank": [1, 2, 4], "item_id": ["i1", "i2", "i3"]}, ["'u0'", "rank 4", "gap"]),
        ({"user_id": ["u0"] * 3, "rank": [0, 1, 2], "item_id": ["i1", "i2", "i3"]}, ["'u0'", "rank 0"]),
        ({"user_id": ["u0"], "rank": [1.5], "item_id": ["i1"]}, ["'rank'", "integers"]),
        ({"user_id": ["u0", None], "rank": [1, 2], "item_id": ["i1", "i2"]}, ["'user_id'", "row 2"]),
    ],
)
def test_bad_parquet_slates_are_refused_in_one_line(
    panel: Panel, tmp_path: Path, rows: dict[str, Any], words: list[str]
) -> None:
    pl.DataFrame(rows).write_parquet(tmp_path / "s.parquet")
    with pytest.raises(SlatesError) as refused:
        read_slates(tmp_path / "s.parquet", panel)
    for word in ("s.parquet", *words):
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", ["line 1", "not valid JSON"]),
        ("[1]", ["line 1", "user_id"]),
        (json.dumps({"user_id": "u0", "items": [1]}), ["line 1", "items is a list of strings"]),
        (json.dumps({"user_id": 3, "items": ["i1"]}), ["line 1", "strings"]),
        (json.dumps({"user_id": "u0", "itens": ["i1"]}), ["line 1", "unknown key 'itens'"]),
        ('{"user_id": "u0", "user_id": "u1", "items": []}', ["line 1", "duplicate key"]),
    ],
)
def test_bad_json_lines_are_refused_in_one_line(panel: Panel, tmp_path: Path, line: str, words: list[str]) -> None:
    (tmp_path / "s.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(SlatesError) as refused:
        read_slates(tmp_path / "s.jsonl", panel)
    for word in ("s.jsonl", *words):
        assert word in str(refused.value)


def test_files_that_are_no_slates_are_refused(panel: Panel, tmp_path: Path) -> None:
    with pytest.raises(SlatesError, match="no such file"):
        read_slates(tmp_path / "none.parquet", panel)
    (tmp_path / "s.txt").write_text("", encoding="utf-8")
    with pytest.raises(SlatesError, match=r"\.parquet or \.jsonl"):
        read_slates(tmp_path / "s.txt", panel)
    (tmp_path / "s.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SlatesError, match=r"s\.parquet: cannot be read"):
        read_slates(tmp_path / "s.parquet", panel)
    with pytest.raises(SlatesError, match=r"\.parquet or \.jsonl"):
        write_slates(make_slates(panel, _rankings()), tmp_path / "s.csv", panel)


def test_slates_whose_deep_part_begins_otherwise_are_written_as_people_see_them(panel: Panel, tmp_path: Path) -> None:
    slates = make_slates(panel, _rankings())
    assert slates.deep is not None
    other = Slates(slates.user, slates.context, slates.top, np.ascontiguousarray(slates.deep[:, ::-1]))
    assert other.prefix_differs == 4
    write_slates(other, tmp_path / "s.parquet", panel)
    again = read_slates(tmp_path / "s.parquet", panel)
    assert again.deep is None
    assert np.array_equal(again.top, slates.top)
