# SPDX-License-Identifier: Apache-2.0
"""Two snapshots of training data: who and what was gained and lost, by whom, when, and how it is labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from diffing import data_diff
from evidence import InputError, Severity, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from diffing import DataDiff

pytestmark = pytest.mark.sandbox

ROWS, USERS, ITEMS = 6000, 400, 120
SOURCES = ("wire", "daily", "state", "blog")


def events(seed: int = 1, rows: int = ROWS, users: int = USERS) -> pl.DataFrame:
    """Interactions over six months of 2025: each item is of one source, one in three is liked."""
    draw = np.random.default_rng(seed)
    items = draw.integers(0, ITEMS, rows)
    seconds = draw.integers(0, 180, rows) * 86_400 + draw.integers(0, 86_400, rows)
    return pl.DataFrame({
        "user_id": [f"u{number}" for number in draw.integers(0, users, rows)],
        "item_id": [f"i{item}" for item in items],
        "source": [SOURCES[item % 4] for item in items],
        "event": np.where(draw.random(rows) < 1 / 3, "like", "view"),
        "at": np.datetime64("2025-01-01T00:00:00", "us") + seconds.astype("<m8[s]"),
        "weight": draw.random(rows),
    })  # fmt: skip


def compared(tmp_path: Path, base: pl.DataFrame, head: pl.DataFrame, **more: Any) -> DataDiff:
    base.write_parquet(tmp_path / "base.parquet")
    head.write_parquet(tmp_path / "head.parquet")
    return data_diff(tmp_path / "base.parquet", tmp_path / "head.parquet", **more)


def titles(result: DataDiff) -> list[str]:
    return [f"{finding.severity} {finding.title}" for finding in result.findings]


def test_the_same_and_a_fresh_draw_of_the_same_give_no_finding(tmp_path: Path) -> None:
    same = compared(tmp_path, events(), events())
    assert (titles(same), same.verdict) == ([], Verdict.PASS)
    document = same.to_json()
    assert document["columns"]["roles"] == {
        "user": "user_id", "item": "item_id", "source": "source", "label": "event", "time": "at",
    }  # fmt: skip
    assert (document["base"]["rows"], document["base"]["users"], document["base"]["items"]) == (ROWS, USERS, ITEMS)
    assert (document["users"]["gained"], document["users"]["lost"]) == (0, 0)
    assert (document["base"]["from"], document["base"]["to"]) == ("2025-01", "2025-06")
    assert sum(counts["new"] for counts in document["values"]["source"].values()) == ROWS
    assert titles(compared(tmp_path, events(), events(2))) == []


def test_a_source_that_gains_and_one_that_goes(tmp_path: Path) -> None:
    base = events()
    head = base.filter(pl.col("source") != "blog")
    state = head.filter(pl.col("source") == "state")
    head = pl.concat([head, *(state.with_columns(weight=pl.col("weight") + number + 1) for number in range(3))])
    found = titles(compared(tmp_path, base, head))
    assert any(title.startswith("medium source state has 2.") for title in found)
    assert any(title.startswith("high source blog is gone") for title in found)
    assert not any("daily" in title and "labels" in title for title in found)


def test_labels_of_one_source_that_moved(tmp_path: Path) -> None:
    lifted = pl.when((pl.col("source") == "state") & (pl.col("weight") < 0.5)).then(pl.lit("like")).otherwise("event")
    result = compared(tmp_path, events(), events().with_columns(event=lifted))
    assert [finding.evidence["name"] for finding in result.findings] == ["labels of state"]
    assert result.findings[0].severity is Severity.MEDIUM
    assert "Most gained: like" in result.findings[0].detail


def test_accounts_that_nobody_knew_arrive_at_once_and_all_at_one_source(tmp_path: Path) -> None:
    base = events()
    crowd = events(9, 8000).filter(pl.col("source") == "state").with_columns(
        user_id=pl.col("user_id") + "-new", at=pl.lit(np.datetime64("2025-06-10T00:00:00", "us"))
    )  # fmt: skip
    result = compared(tmp_path, base, pl.concat([base, crowd]))
    found = titles(result)
    new = result.compared.users
    assert new is not None
    assert new.gained == crowd["user_id"].n_unique()
    assert new.gained_rows == len(crowd)
    assert any("accounts nobody knew start on 2025-06-10" in title for title in found)
    assert any(
        title.startswith("high") and "of the rows of source state are of accounts nobody knew" in title
        for title in found
    )


def test_duplicates_holes_in_time_and_columns(tmp_path: Path) -> None:
    base = events()
    head = pl.concat([base, base.head(600)]).filter(pl.col("at").dt.month() != 3).with_columns(extra=1)
    result = compared(tmp_path, base, head)
    found = titles(result)
    assert any("rows are there more than once" in title for title in found)
    assert any("1 month in the middle are gone: 2025-03" in title for title in found)
    assert any("Columns new: extra" in title for title in found)
    kept = pl.concat([base, base.head(600)]).filter(pl.col("at").dt.month() != 3)
    assert result.compared.head.duplicates == pytest.approx(1 - kept.n_unique() / len(kept), abs=1e-5)


def test_rows_in_another_order_format_and_number_of_files_are_the_same(tmp_path: Path) -> None:
    base = events().drop("weight", "at").with_columns(ts=pl.int_range(pl.len()) + 1_740_000_000)
    (tmp_path / "parts").mkdir()
    shuffled = base.sample(fraction=1.0, shuffle=True, seed=3)
    shuffled.head(1000).write_csv(tmp_path / "parts" / "a.csv")
    shuffled.tail(ROWS - 1000).write_csv(tmp_path / "parts" / "b.tsv", separator="\t")
    base.write_csv(tmp_path / "base.csv")
    base.write_ipc(tmp_path / "base.arrow")
    (tmp_path / "whole").mkdir()
    (tmp_path / "base.csv").rename(tmp_path / "whole" / "base.csv")
    result = data_diff(tmp_path / "whole", tmp_path / "parts")
    assert titles(result) == []
    document, other = result.to_json(), data_diff(tmp_path / "base.arrow", tmp_path / "base.arrow").to_json()
    assert document["base"] == document["head"]
    assert document["values"] == other["values"]
    assert document["months"] == other["months"]


@pytest.mark.parametrize("kind", ["text", "numbers", "categories"])
def test_rows_of_groups_of_items_are_counted_whatever_type_their_ids_have(tmp_path: Path, kind: str) -> None:
    base, head = events(), events(2)
    state = pl.col("source") == "state"
    head = pl.concat([head.filter(~state), *[head.filter(state)] * 4])
    rows = base.filter(state).height, head.filter(state).height
    ids = {"state-media": [f"i{item}" for item in range(2, ITEMS, 4)], "nobody": ["i9999", "x"]}
    if kind == "numbers":
        plain = pl.col("item_id").str.strip_prefix("i").cast(pl.Int32)
        base, head = base.with_columns(plain), head.with_columns(plain)
        ids = {name: [one.removeprefix("i") for one in listed if one != "x"] for name, listed in ids.items()}
    if kind == "categories":
        base, head = (side.with_columns(pl.col("item_id").cast(pl.Categorical)) for side in (base, head))
    result = compared(tmp_path, base.drop("source"), head.drop("source"), groups=ids)
    assert result.to_json()["values"]["(slices)"] == {
        "state-media": {"old": rows[0], "new": rows[1]}, "nobody": {"old": 0, "new": 0},
    }  # fmt: skip
    shares = rows[0] / base.height, rows[1] / head.height
    (told,) = [title for title in titles(result) if "slice" in title]
    assert told.startswith(f"medium slice state-media has {shares[1] / shares[0]:.3g} times its share")
    assert told.endswith(f"{shares[0]:.2%} → {shares[1]:.2%} of the rows")


def test_slices_by_name_and_a_table_of_items(tmp_path: Path) -> None:
    base = pl.DataFrame({"item_id": range(1000), "topic": ["war" if n % 10 == 0 else "sport" for n in range(1000)]})
    head = base.with_columns(topic=pl.when(pl.col("item_id") % 3 == 0).then(pl.lit("war")).otherwise("topic"))
    assert titles(compared(tmp_path, base, head)) == []
    result = compared(tmp_path, base, head, by=("topic",))
    assert [title.partition(":")[0] for title in titles(result)] == [
        "high slice war has 4 times its share",
        "medium slice sport has 0.667 times its share",
    ]
    assert result.to_json()["users"] is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("head.parquet", b"PAR1 and nothing", "no table that can be read"),
        ("head.csv", b"", "no table that can be read"),
        ("head.csv", b"user_id,item_id\n", "no rows"),
        ("head.csv", b"a,a\n1,2\n", "no table that can be read|two columns"),
        ("head.csv", b"user\x00_id\n1\n", "control or invisible"),
        ("head.pkl", b"\x80\x04N.", "no Parquet, Arrow, CSV, TSV or JSON lines file"),
        ("head.arrow", b"ARROW1\0\0", "no table that can be read"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    events(rows=100).write_csv(tmp_path / "base.csv")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as raised:
        data_diff(tmp_path / "base.csv", tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_column_that_is_not_there_and_one_of_too_many_values_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'outlet'; there are user_id"):
        compared(tmp_path, events(rows=100), events(rows=100), roles={"source": "outlet"})
    many = pl.DataFrame({"item_id": range(30_000)}).with_columns(name=pl.col("item_id").cast(pl.String))
    with pytest.raises(InputError, match="more than 20,000 different values"):
        compared(tmp_path, many, many, by=("name",))
