# SPDX-License-Identifier: Apache-2.0
"""Users in blocks, shards in any order, slates in files: the same bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from behavior import Slates, _analysis, _slate_blocks, _slate_files, _tally, compare, read_slates, write_slates
from behavior._ids import RowNumbers
from behavior.exposure import measure, measured, tally
from evidence import SlatesError, canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behavior import Panel

ITEMS = 300
SOFT = SLICES = """
[[slices]]
name = "state"
where = "state"
[[slices]]
name = "soft"
where = "score"
[[slices]]
name = "rare"
where = "views < 6"
[[cohorts]]
by = "country"
[[cohorts]]
by = "age"
"""


@pytest.fixture
def panel(panel_folder: Callable[..., Any]) -> Panel:
    read: Panel = panel_folder(users=300, slices=SOFT, permutations=100).read()
    return read


@pytest.fixture
def sides(panel: Panel, world: Callable[..., Any]) -> tuple[Slates, Slates]:
    people = world(300, ITEMS)
    base, head = (people.slates(panel, people.version(seed, 0.3)) for seed in (1, 2))
    return base, head


def _bytes(panel: Panel, base: Slates, head: Slates) -> bytes:
    return canonical(compare(panel, base, head).to_json())


def _part(side: Slates, rows: Any) -> Slates:
    assert side.deep is not None
    return Slates(side.user[rows], tuple(side.context[row] for row in rows), side.top[rows], side.deep[rows])


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), shards=st.integers(1, 9))
def test_shards_of_users_merged_in_any_order_give_the_same_document(
    panel: Panel, sides: tuple[Slates, Slates], seed: int, shards: int
) -> None:
    whole = _bytes(panel, *sides)
    generator = np.random.default_rng(seed)
    shard = generator.integers(0, shards, 300)
    parts = [np.flatnonzero(shard == number) for number in generator.permutation(shards)]

    def sharded(panel: Panel, base: Slates, head: Slates) -> Any:
        tallies = [tally(panel, _part(base, rows), _part(head, rows)) for rows in parts if len(rows)]
        while len(tallies) > 1:
            taken = tallies.pop(int(generator.integers(len(tallies))))
            tallies[int(generator.integers(len(tallies)))].merge(taken)
        return measured(tallies[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_analysis, "measure", sharded)
        assert _bytes(panel, *sides) == whole


@pytest.mark.parametrize("places", [1, 700, 3000])
def test_the_size_of_blocks_changes_nothing(
    panel: Panel, sides: tuple[Slates, Slates], places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _bytes(panel, *sides)
    monkeypatch.setattr(_tally, "_PLACES_AT_ONCE", places)
    assert _bytes(panel, *sides) == whole


def test_a_user_with_several_requests_is_never_split(sides: tuple[Slates, Slates]) -> None:
    rows = np.repeat(np.arange(300), 1 + np.arange(300) % 3)
    contexts = tuple(f"c{index:04}" for index in range(len(rows)))
    assert sides[0].deep is not None
    many = Slates(sides[0].user[rows], contexts, sides[0].top[rows], sides[0].deep[rows])
    blocks = _tally.user_blocks(many, slices=1 << 20)
    assert len(blocks) > 50
    assert blocks[0].start == 0
    assert blocks[-1].stop == len(rows)
    for before, after in pairwise(blocks):
        assert before.stop == after.start
        assert many.user[before.stop - 1] != many.user[after.start]


def test_exposures_are_kept_for_cells_with_few_exposed_users_only(
    panel: Panel, sides: tuple[Slates, Slates], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tally, "_PLACES_AT_ONCE", 700)
    found = measured(tally(panel, *sides))
    exposed = found.exposure.exposed
    assert {cell for cell, values in found.few.items() if len(values)} == {
        (int(cohort), int(slice_)) for cohort, slice_ in np.argwhere((exposed > 0) & (exposed < _tally.MANY_EXPOSED))
    }
    assert all(len(values) == exposed[cell] and (values > 0).any(axis=1).all() for cell, values in found.few.items())
    assert (exposed >= _tally.MANY_EXPOSED).any()


def test_exposures_of_every_user_are_there_when_they_are_asked_for(
    panel: Panel, sides: tuple[Slates, Slates], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tally, "_PLACES_AT_ONCE", 700)
    found = measure(panel, *sides, by_user=True)
    assert found.values is not None
    assert found.members is not None
    assert found.values[0].shape == (300, 3)
    assert (found.members @ found.values[0] == found.exposure.base).all()
    assert (found.members @ (found.values[1] - found.values[0]) == found.exposure.gain).all()
    assert measure(panel, *sides).values is None


def test_moments_are_exact_where_floats_would_round() -> None:
    sums = _tally.Sums((1, 1))
    from scipy import sparse  # noqa: PLC0415 - one matrix

    values = np.full((1000, 1), (1 << 30) - 1, dtype=np.int64)
    sums.add(sparse.csr_array(np.ones((1, 1000), dtype=np.int64)), values, -values)
    assert sums.rounded(0)[0, 0] == float(1000 * ((1 << 30) - 1) ** 2)
    assert sums.rounded(1)[0, 0] == -float(1000 * ((1 << 30) - 1) ** 2)
    assert sums.rounded(2)[0, 0] == float(1000 * ((1 << 30) - 1) ** 2)


def test_slates_in_files_are_the_same_slates(
    panel: Panel, sides: tuple[Slates, Slates], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, side in zip(("base", "head"), sides, strict=True):
        write_slates(side, tmp_path / f"{name}.parquet", panel)
    whole = _bytes(panel, *sides)
    monkeypatch.setattr(_slate_blocks, "IN_MEMORY", 100)
    monkeypatch.setattr(_slate_files, "_PIECE", 777)
    base, head = (read_slates(tmp_path / f"{name}.parquet", panel) for name in ("base", "head"))
    assert isinstance(base.top, np.memmap)
    assert isinstance(base.deep, np.memmap)
    assert base.digest == sides[0].digest
    assert base.prefix_differs == 0
    assert _bytes(panel, base, head) == whole


def _shuffled(frame: pl.DataFrame, how: str) -> pl.DataFrame:
    if how == "users":
        generator = np.random.default_rng(1)
        place = pl.DataFrame({"user_id": frame["user_id"].unique(maintain_order=True)})
        place = place.with_columns(place=pl.Series(generator.permutation(place.height)))
        return frame.join(place, on="user_id").sort("place", "rank").drop("place")
    return frame.sort("rank", "user_id") if how == "ranks" else frame


@pytest.mark.parametrize(("how", "told"), [("as written", False), ("users", False), ("ranks", True)])
def test_a_file_that_is_not_in_order_is_sorted_first_and_somebody_is_told(
    panel: Panel, sides: tuple[Slates, Slates], tmp_path: Path, how: str, *, told: bool
) -> None:
    write_slates(sides[0], tmp_path / "s.parquet", panel)
    _shuffled(pl.read_parquet(tmp_path / "s.parquet"), how).write_parquet(tmp_path / "s.parquet")
    heard: list[str] = []
    assert read_slates(tmp_path / "s.parquet", panel, say=heard.append).digest == sides[0].digest
    assert heard == (["s.parquet: not in order of rank within each request; it is sorted first"] if told else [])


@pytest.mark.parametrize("piece", [5, 1000])
def test_the_first_case_and_the_count_do_not_depend_on_pieces(
    panel: Panel, sides: tuple[Slates, Slates], tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_slate_files, "_PIECE", piece)
    path = tmp_path / "s.parquet"
    write_slates(sides[0], path, panel)
    frame = pl.read_parquet(path)
    two = pl.col("user_id").is_in(["u7", "u30"])
    cases = [
        (two, pl.lit("x") + pl.col("user_id"), "user_id", "user 'xu30' is not in the panel"),
        (two & (pl.col("rank") == 3), pl.lit("zz"), "item_id", "user 'u30': an item that is not in the panel: 'zz'"),
        (two & (pl.col("rank") < 3), pl.lit("i5"), "item_id", "user 'u30': a repeated item: 'i5'"),
    ]
    for where, value, column, words in cases:
        frame.with_columns(pl.when(where).then(value).otherwise(pl.col(column)).alias(column)).write_parquet(path)
        with pytest.raises(SlatesError, match=rf"{words} \(2 such\)"):
            read_slates(path, panel)
    frame.filter((pl.col("rank") < 5) | ~two).write_parquet(path)
    with pytest.raises(SlatesError, match=r"user 'u30': fewer than k = 10 items: 4 \(2 such\)"):
        read_slates(path, panel)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=4), unique=True, min_size=1, max_size=40), st.lists(st.text(max_size=4), max_size=40))
def test_row_numbers_are_those_of_a_dictionary(ids: list[str], asked: list[str]) -> None:
    rows = {name: row for row, name in enumerate(ids)}
    found = RowNumbers(pl.Series(ids, dtype=pl.String)).of(pl.Series([*asked, *ids], dtype=pl.String))
    assert found.tolist() == [rows.get(name, -1) for name in [*asked, *ids]]


def test_identifiers_that_share_a_place_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowNumbers, "_slots", lambda _, hashes: np.zeros(len(hashes), dtype=np.int64))
    ids = [f"i{number}" for number in range(50)]
    asked = [*reversed(ids), "x", ""]
    found = RowNumbers(pl.Series(ids)).of(pl.Series(asked))
    assert found.tolist() == [*reversed(range(50)), -1, -1]
