# SPDX-License-Identifier: Apache-2.0
"""Panels and slates of any size, made up: popularity falls off as one over rank, and head moves every item a little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, np.dtype[Any]]

_USERS_AT_ONCE = 40_000
_REDRAWN = 0.2  # of head's places


def panel(folder: Path, *, users: int, items: int, slices: int, cohorts: int, permutations: int, k: int) -> None:
    """A panel directory: one slice of a tenth of the items, or a slice for every one of ``slices`` topics."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng([users, items])
    item = pl.DataFrame({"item_id": pl.int_range(items, eager=True).cast(pl.String)})
    item = item.select(item_id="item" + pl.col("item_id"))
    topic = generator.integers(10 if slices == 1 else slices, size=items)
    item.with_columns(topic=pl.Series(topic).cast(pl.String)).write_parquet(folder / "items.parquet")
    group = generator.integers(max(1, cohorts), size=users)
    user = pl.DataFrame({"user_id": user_ids(users), "group": pl.Series(group).cast(pl.String)})
    user.write_parquet(folder / "users.parquet")
    history = pl.DataFrame({"user_id": user["user_id"][:1], "item_id": ["item0"]})
    history.write_parquet(folder / "histories.parquet")
    declared = '[[slices]]\nname = "one"\nwhere = "topic = \'0\'"\n' if slices == 1 else '[[slices]]\neach = "topic"\n'
    by = '[[cohorts]]\nby = "group"\n' if cohorts else ""
    head = f'name = "made"\nk = {k}\ndepth = {k if slices == 1 else 50}\nseed = 1\npermutations = {permutations}\n'
    (folder / "panel.toml").write_text(head + declared + by, encoding="utf-8")


def user_ids(users: int) -> pl.Series:
    """Identifiers in their own order."""
    return pl.select(pl.lit("user") + pl.int_range(users).cast(pl.String).str.zfill(9)).to_series()


def slates(users: int, items: int, places: int, members: Array) -> tuple[Array, Array]:
    """Base's and head's slates in memory, item rows; head's churn moves every item, and the slice up a little."""
    generator = np.random.default_rng(3)
    popularity = -np.log(np.arange(items) + 50.0)
    churn = generator.normal(size=items) * 0.05
    base, head = (np.empty((users, places), dtype=np.int32) for _ in range(2))
    for low in range(0, users, 2000):
        rows = slice(low, min(low + 2000, users))
        scores = generator.gumbel(size=(rows.stop - low, items)).astype(np.float32) + popularity.astype(np.float32)
        base[rows] = _best(scores, places)
        head[rows] = _best(scores + (churn + 0.02 * members).astype(np.float32), places)
    return base, head


def slate_files(paths: list[Path], users: int, items: int, places: int) -> None:
    """Base's and head's slates in Parquet files, in order of user. Head keeps four places of five."""
    generator = np.random.default_rng(4)
    ids = pl.Series([f"item{number}" for number in generator.permutation(items)])
    # Each place of a slate draws from a stretch of ranks of its own, so no item is there twice.
    edges = np.rint(2000 * ((items / 2000 + 1) ** (np.arange(places + 1) / places) - 1)).astype(np.int64)
    names = user_ids(users)
    writers: list[Any] = [None, None]
    for low in range(0, users, _USERS_AT_ONCE):
        count = min(_USERS_AT_ONCE, users - low)
        order = np.argsort(generator.random((count, places), dtype=np.float32), axis=1)
        ranks = _ranks(generator, edges, count)
        moved = np.where(generator.random((count, places)) < _REDRAWN, _ranks(generator, edges, count), ranks)
        for index, drawn in enumerate((ranks, moved)):
            placed = np.take_along_axis(drawn, order, axis=1)
            frame = pl.DataFrame(
                {
                    "user_id": names[low : low + count].gather(np.repeat(np.arange(count), places)),
                    "rank": np.tile(np.arange(1, places + 1, dtype=np.int32), count),
                    "item_id": ids.gather(placed.ravel()),
                }
            ).to_arrow()
            if writers[index] is None:
                writers[index] = pq.ParquetWriter(paths[index], frame.schema, compression="zstd")
            writers[index].write_table(frame)
    for writer in writers:
        writer.close()


def _ranks(generator: np.random.Generator, edges: Array, count: int) -> Array:
    low, high = edges[:-1], edges[1:]
    return low + (generator.random((count, len(low))) * (high - low)).astype(np.int64)


def _best(scores: Array, places: int) -> Array:
    rows = np.argpartition(-scores, places, axis=1)[:, :places]
    order = np.argsort(-np.take_along_axis(scores, rows, axis=1), axis=1)
    return np.take_along_axis(rows, order, axis=1).astype(np.int32)
