# SPDX-License-Identifier: Apache-2.0
"""A panel is scaffolded from any two tables, reads as it is, and replaces nothing."""

from __future__ import annotations

import datetime as dt
import tomllib
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from behavior import IdColumns, new_panel, read_panel
from evidence import PanelError

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = pl.DataFrame(
    {
        "section": ["a", "b"] * 30,
        "Article ID": [f"00{index}" for index in range(60)],
        "state": [index % 10 == 0 for index in range(60)],
        "toxic": [index / 100 for index in range(60)],
        "outlet": [f"o{index % 13}" if index < 59 else None for index in range(60)],
        "headline": [f"A long enough headline with number {index}" for index in range(60)],
        "published": [dt.date(2026, 1, 1) + dt.timedelta(days=index) for index in range(60)],
        "never": [False] * 60,
        "sponsored": [None if index == 3 else index == 5 for index in range(60)],
    }
)
USERS = pl.DataFrame(
    {
        "user": [f"u{index}" for index in range(40)],
        "country": ["DE", "FR"] * 20,
        "age": [18 + index for index in range(40)],
    }
)


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    ITEMS.write_csv(tmp_path / "articles.csv")
    USERS.write_csv(tmp_path / "people.tsv", separator="\t")
    return tmp_path / "articles.csv", tmp_path / "people.tsv"


def test_ids_are_guessed_and_slices_and_cohorts_proposed(tables: tuple[Path, Path], tmp_path: Path) -> None:
    panel = new_panel(*tables, tmp_path / "made")
    assert panel.digest == read_panel(tmp_path / "made").digest
    assert panel.items["item_id"][7] == "007"
    names = {declared.name: declared.family for declared in panel.slices}
    assert {"state", "toxic", "sponsored", "section=a", "section=b"} <= set(names)
    assert "never" not in names
    assert panel.membership.toarray()[:, list(names).index("toxic")].tolist() == ITEMS["toxic"].to_list()
    assert [cohort.name for cohort in panel.cohorts] == [{}, {"country": "DE"}, {"country": "FR"}]
    assert panel.requests.columns == ["user_id", "country"]
    text = (tmp_path / "made" / "panel.toml").read_text(encoding="utf-8")
    assert 'match_on = ["popularity", "published"]' in text
    assert "every user's is empty" in text
    assert "panel label" in text
    assert "--text headline" in text


def test_histories_are_taken_in_order_of_time_and_only_clicks(tables: tuple[Path, Path], tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "article_id": ["003", "001", "002"],
            "user_id": ["u1", "u1", "u1"],
            "timestamp": [1_700_000_300, 1_700_000_100, 1_700_000_200],
            "clicked": [True, True, False],
        }
    ).write_csv(tmp_path / "clicks.csv")
    panel = new_panel(*tables, tmp_path / "made", histories_file=tmp_path / "clicks.csv")
    assert panel.histories["item_id"].to_list() == ["001", "003"]
    assert panel.histories["at"][0] == dt.datetime(2023, 11, 14, 22, 15)  # noqa: DTZ001 - tables hold naive UTC times


def test_nothing_is_overwritten_and_nothing_is_left_of_a_failure(tables: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(PanelError, match="there: is there already"):
        new_panel(*tables, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []
    before = sorted(tmp_path.iterdir())
    pl.DataFrame({"user_id": ["nobody"], "item_id": ["001"]}).write_csv(tmp_path / "h.csv")
    with pytest.raises(PanelError, match=r"h\.csv: column 'user_id': 'nobody' is not in people\.tsv"):
        new_panel(*tables, tmp_path / "made", histories_file=tmp_path / "h.csv")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "h.csv"])


@pytest.mark.parametrize(
    ("table", "ids", "words"),
    [
        (
            ITEMS.drop("Article ID", "headline", "published", "toxic"),
            IdColumns(),
            "no column can be the item's identifier",
        ),
        (ITEMS, IdColumns(item="nothing"), "no column 'nothing' (--item-id)"),
        (ITEMS, IdColumns(item="section"), "column 'item_id': 'a' is there twice"),
        (ITEMS, IdColumns(item="outlet"), "column 'outlet': no value in row 60"),
        (ITEMS.clear(), IdColumns(), "articles.csv: no rows"),
    ],
)
def test_a_table_without_a_usable_identifier_is_refused(
    tables: tuple[Path, Path], tmp_path: Path, table: pl.DataFrame, ids: IdColumns, words: str
) -> None:
    table.write_csv(tables[0])
    with pytest.raises(PanelError) as refused:
        new_panel(*tables, tmp_path / "made", ids=ids)
    assert words in str(refused.value)
    assert not (tmp_path / "made").exists()


def test_columns_a_panel_cannot_hold_are_left_out_by_name(tables: tuple[Path, Path], tmp_path: Path) -> None:
    odd = ITEMS.with_columns(tags=pl.Series([["x"]] * 60), **{"bro\nken": pl.lit(1)})
    odd.write_parquet(tmp_path / "odd.parquet")
    panel = new_panel(tmp_path / "odd.parquet", tables[1], tmp_path / "made")
    assert not {"tags", "bro\nken"} & set(panel.items.columns)
    text = (tmp_path / "made" / "panel.toml").read_text(encoding="utf-8")
    assert "# items: column 'tags' is left out: List(String) is no text" in text


_NAMES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12).filter(
    lambda name: name not in {"item_id", "user_id"}  # hypothesis draws words that it finds in the code
)
_VALUES: st.SearchStrategy[list[Any]] = st.one_of(
    st.lists(st.booleans() | st.none(), min_size=8, max_size=8),
    st.lists(st.floats(0, 1) | st.floats(), min_size=8, max_size=8),
    st.lists(st.integers(0, 5), min_size=8, max_size=8),
    st.lists(st.text(max_size=4) | st.none(), min_size=8, max_size=8),
    st.lists(st.dates(), min_size=8, max_size=8),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=st.dictionaries(_NAMES, _VALUES, max_size=6), people=st.dictionaries(_NAMES, _VALUES, max_size=3))
def test_whatever_the_columns_what_is_written_is_a_valid_panel(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, list[Any]], people: dict[str, list[Any]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    ids = [f"x{index}" for index in range(8)]
    pl.DataFrame({"item_id": ids, **columns}, strict=False).write_parquet(folder / "items.parquet")
    pl.DataFrame({"user_id": ids, **people}, strict=False).write_parquet(folder / "users.parquet")
    panel = new_panel(folder / "items.parquet", folder / "users.parquet", folder / "made")
    tomllib.loads((folder / "made" / "panel.toml").read_text(encoding="utf-8"))
    assert panel.digest == read_panel(folder / "made").digest
