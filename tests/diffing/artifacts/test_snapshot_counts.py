# SPDX-License-Identifier: Apache-2.0
"""Snapshots counted a second way, by a library for tables; the same rows in other formats, types and zones."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import building
import numpy as np
import polars as pl
import pytest

from diffing import data_diff
from diffing.artifacts.inside.columns import day_numbers, digested
from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffing import DataDiff

ROWS = 70_000  # more than one batch
sandboxed = pytest.mark.sandbox


def events(seed: int, rows: int = ROWS, first_user: int = 0) -> pl.DataFrame:
    """Interactions of half a year with holes in every column, some of them twice."""
    draw = np.random.default_rng(seed)
    items = draw.integers(0, 900, rows)
    seconds = draw.integers(0, 180 * 86_400, rows)
    table = pl.DataFrame({
        "user_id": draw.integers(first_user, first_user + 5000, rows),
        "item_id": items,
        "source": np.array(["wire", "NA", "state", "007", "a,b"])[items % 5],
        "rating": np.array([1.0, 2.5, 4.0])[draw.integers(0, 3, rows)],
        "at": np.datetime64("2025-01-01T00:00:00", "us") + seconds.astype("<m8[s]"),
    })  # fmt: skip
    holes = draw.random((5, rows)) < 0.003
    table = table.with_columns(
        pl.when(pl.Series(hole)).then(None).otherwise(pl.col(name)).alias(name)
        for name, hole in zip(table.columns, holes, strict=True)
    )
    return pl.concat([table, table.sample(700, seed=seed)])


def counted(table: pl.DataFrame, column: str) -> dict[str, int]:
    """Rows by value, what is missing by the empty text."""
    counts = table.group_by(column).len().iter_rows()
    return {("" if value is None else f"{value:g}" if isinstance(value, float) else value): n for value, n in counts}


def by_month(table: pl.DataFrame) -> dict[str, int]:
    known = table.filter(pl.col("at").is_not_null())
    return dict(known.group_by(pl.col("at").dt.strftime("%Y-%m")).len().iter_rows())


WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": pl.DataFrame.write_parquet,
    "arrow": pl.DataFrame.write_ipc,
    "csv": pl.DataFrame.write_csv,
    "jsonl": pl.DataFrame.write_ndjson,
}


def between(
    folder: Path, base: pl.DataFrame, head: pl.DataFrame, old: str = "parquet", new: str = "parquet"
) -> DataDiff:
    WRITERS[old](base, folder / f"base.{old}")
    WRITERS[new](head, folder / f"head.{new}")
    return data_diff(folder / f"base.{old}", folder / f"head.{new}")


@sandboxed
@pytest.mark.parametrize("new", WRITERS)
def test_every_count_is_that_of_a_library_for_tables(tmp_path: Path, new: str) -> None:
    base, head = events(1), events(2, first_user=1000)
    document = between(tmp_path, base, head, new=new).to_json()
    for side, table in (("base", base), ("head", head)):
        told = document[side]
        assert told["rows"] == table.height
        assert told["users"] == table["user_id"].drop_nulls().n_unique()
        assert told["items"] == table["item_id"].drop_nulls().n_unique()
        assert told["missing"] == {"user": table["user_id"].null_count(), "item": table["item_id"].null_count()}
        assert told["undated"] == table["at"].null_count()
        assert told["duplicates"] == pytest.approx(1 - table.n_unique() / table.height, abs=1e-6)
        which = "old" if side == "base" else "new"
        for column in ("source", "rating"):
            found = {name: counts[which] for name, counts in document["values"][column].items()}
            assert found == counted(table, column)
        assert {month: counts[which] for month, counts in document["months"].items()} == by_month(table)
    before, after = (set(table["user_id"].drop_nulls()) for table in (base, head))
    assert document["users"]["gained"] == len(after - before)
    assert document["users"]["lost"] == len(before - after)
    fresh = head.filter(
        pl.col("user_id").is_not_null() & ~pl.col("user_id").is_in(base["user_id"].drop_nulls().implode())
    )
    assert document["users"]["gained_rows"] == fresh.height
    starts = fresh.group_by("user_id").agg(pl.col("at").min()).filter(pl.col("at").is_not_null())
    days = dict(starts.group_by(pl.col("at").dt.strftime("%Y-%m-%d")).len().iter_rows())
    for day, count in document["users"]["arrivals"].items():
        assert days[day] == count
    assert sorted(document["users"]["arrivals"].values()) == sorted(days.values())[-10:]


@sandboxed
@pytest.mark.parametrize(("old", "new"), [("parquet", "csv"), ("csv", "jsonl"), ("jsonl", "arrow")])
def test_the_same_rows_in_another_format_give_no_finding(tmp_path: Path, old: str, new: str) -> None:
    table = events(1)
    result = between(tmp_path, table, table, old, new)
    assert [finding.title for finding in result.findings] == []
    assert result.compared.users is not None
    assert (result.compared.users.gained, result.compared.users.lost) == (0, 0)


@sandboxed
@pytest.mark.parametrize("rows", [100, 400_000])
def test_a_column_of_numbers_in_which_a_word_comes_late_is_read(tmp_path: Path, rows: int) -> None:
    table = pl.DataFrame(
        {"user_id": np.arange(rows) % 50, "item_id": np.arange(rows) % 9, "rating": np.arange(rows) % 3}
    )
    table.write_csv(tmp_path / "base.csv")
    (tmp_path / "head.csv").write_text(table.write_csv() + "u7,3,liked\n", encoding="utf-8")
    document = data_diff(tmp_path / "base.csv", tmp_path / "head.csv").to_json()
    assert (document["users"]["gained"], document["users"]["lost"]) == (1, 0)
    assert document["values"]["rating"]["liked"] == {"old": 0, "new": 1}
    assert document["findings"] == []


@sandboxed
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("head.csv", b"user_id;item_id\n1;2\n", r"no column is called as users.*name them \(user_id;item_id\)"),
        ("head.csv", b"user_id,source\n1,w\xefre\n", "invalid UTF8"),
        ("head.csv", b"user_id,source\n1,a\n2\n", "Expected 2 columns, got 1"),
        ("head.jsonl", b'{"user_id":1,"user_id":2}\n', "specified twice"),
        ("head.jsonl", b'{"user_id":1}\n{"user_id":"x"}\n', "changed from number to string"),
        ("head.jsonl", b'{"user_id":1\n', "JSON parse error"),
        ("head.jsonl", b"", "Empty JSON"),
        ("head.jsonl", b"[1, 2]\n", "from object to array"),
        ("head.jsonl", b'{"user_id":1,"\xde":2}\n', "names that are no text|no table"),
        ("head.csv", b"user_id,source\n1,a\n2\x1b[2J\n", r"got 1: 2 \[2J$"),
        ("head.arrow", building.arrow_beyond_its_buffers(), "no table that can be read"),
    ],
)
def test_what_cannot_be_told_apart_is_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / "base.csv").write_bytes(b"user_id,source\n1,wire\n")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as raised:
        data_diff(tmp_path / "base.csv", tmp_path / name)
    assert str(raised.value).isprintable()


@sandboxed
@pytest.mark.parametrize("role", ["time", "user", "item"])
def test_rows_that_lose_their_time_or_whose_they_are_are_a_finding(tmp_path: Path, role: str) -> None:
    column = {"time": "at", "user": "user_id", "item": "item_id"}[role]
    base = events(1, 5000)
    gone = pl.when(pl.int_range(pl.len()) % 50 == 0).then(None).otherwise(pl.col(column)).alias(column)
    result = between(tmp_path, base, base.with_columns(gone))
    assert [f"no {role}" in finding.evidence["name"] for finding in result.findings] == [True]


@sandboxed
def test_a_campaign_of_accounts_over_weeks_is_found_and_told_once(tmp_path: Path) -> None:
    base = events(1, 20_000)
    crowd = events(2, 20_000, first_user=10_000).filter(pl.col("user_id").is_not_null())
    day = pl.lit(np.datetime64("2025-05-01T12:00:00", "us")) + pl.duration(days=pl.col("user_id") % 30)
    crowd = crowd.with_columns(at=day)
    (finding,) = [one for one in between(tmp_path, base, pl.concat([base, crowd])).findings if "Accounts" in one.title]
    assert finding.title.startswith("Accounts nobody knew start on 10 days or more, most of them on 2025-05-")


@sandboxed
def test_new_accounts_at_one_source_are_found_where_most_accounts_are_new(tmp_path: Path) -> None:
    base, fresh = events(1, 20_000), events(2, 60_000, first_user=10_000)
    fresh = fresh.filter((pl.col("source") != "state") | (pl.col("user_id") % 5 > 0))
    known = base.filter(pl.col("source") != "state")
    titles = [finding.title for finding in between(tmp_path, base, pl.concat([known, fresh])).findings]
    assert "100% of the rows of source state are of accounts nobody knew" in titles
    assert not any("source wire are of accounts" in title for title in titles)


def column(values: list[Any], kind: Any = None) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - as in the code under test

    return pa.array(values, kind)


@pytest.mark.parametrize(
    "values",
    [
        ["2025-03-01T02:00:00+05:00", "2025-02-28T21:00:00Z", "2025-02-28 16:00:00-05:00", "2025-02-28", "20250228"],
        [1_740_700_800 + 43_200, (1_740_700_800) * 1000, 1_740_700_800 * 10**6, 1_740_700_800 * 10**9],
        ["1740700800", "1740700800.5", "1740700800000", "20250228235959"],
        [20250228, 20250228.0],
        [dt.date(2025, 2, 28)],
    ],
)
def test_a_day_is_the_same_however_it_is_written(values: list[Any]) -> None:
    day = dt.date(2025, 2, 28).toordinal() - dt.date(1970, 1, 1).toordinal()
    assert day_numbers(column(values)).tolist() == [day] * len(values)


def test_an_id_is_the_same_in_every_type_and_007_is_another() -> None:
    import pyarrow as pa  # noqa: PLC0415 - as in the code under test

    snowflake = 1_790_000_000_000_000_001
    same = [
        digested(column([5, -3, snowflake, None])),
        digested(column(["5", "-3", str(snowflake), None])),
        digested(column([b"5", b"-3", str(snowflake).encode(), None])),
        digested(column(["5", "-3", str(snowflake), None], pa.large_string())),
        digested(column(["5", "-3", str(snowflake), None]).dictionary_encode()),
    ]
    assert all(one.tolist() == same[0].tolist() for one in same)
    assert digested(column([5.0, -3.0])).tolist() == same[0][:2].tolist()
    others = digested(column(["007", "7", "7.0", "+7", " 7", "7\n", "9" * 19, "-0", "0"]))
    assert len(set(others.tolist())) == len(others)
