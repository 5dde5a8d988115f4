# SPDX-License-Identifier: Apache-2.0
"""Slates in Parquet and JSON Lines files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from behavior.slates import Slates, make_slates
from evidence import InputError, SlatesError, canonical, parse_json

if TYPE_CHECKING:
    from behavior.panels import Panel
    from behavior.slates import Rows

Ranking = tuple[str, str, list[str]]  # user id, context, item ids in order

_LINE_LIMIT = 4 << 20


def read_slates(path: Path, panel: Panel) -> Slates:
    """Read slates from ``.parquet`` (user_id, rank from 1, item_id) or ``.jsonl`` ({"user_id", "items"}).

    Raises:
        SlatesError: unreadable, a missing column, ranks that are not 1, 2, 3, …, or anything ``make_slates`` refuses.
    """
    if not path.is_file():
        raise SlatesError(f"{path}: no such file")
    if path.suffix == ".parquet":
        rankings = _from_parquet(path)
    elif path.suffix in {".jsonl", ".ndjson"}:
        rankings = _from_json_lines(path)
    else:
        raise SlatesError(f"{path.name}: slates are .parquet or .jsonl files")
    return make_slates(panel, rankings, what=path.name)


def write_slates(slates: Slates, path: Path, panel: Panel) -> None:
    """Write slates to ``.parquet`` or ``.jsonl``, whole or not at all.

    One ranking a request is written: the deep one where it begins with the slate of ``k`` everywhere, else the slate
    of ``k``, which is what people see.
    """
    deep = slates.deep is not None and slates.prefix_differs == 0
    block = slates.deep if deep and slates.deep is not None else slates.top
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        if path.suffix == ".parquet":
            _to_parquet(slates, block, temporary, panel)
        elif path.suffix in {".jsonl", ".ndjson"}:
            _to_json_lines(slates, block, temporary, panel)
        else:
            raise SlatesError(f"{path.name}: slates are .parquet or .jsonl files")
        os.replace(temporary, path)  # noqa: PTH105 - atomic on the same file system, which is the point


def _from_parquet(path: Path) -> list[Ranking]:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SlatesError(f"{path.name}: cannot be read: {str(error).splitlines()[0]}") from error
    for column in ("user_id", "rank", "item_id"):
        if column not in frame.columns:
            raise SlatesError(f"{path.name}: no column {column!r}; it has {', '.join(frame.columns) or 'none'}")
        if frame[column].null_count():
            raise SlatesError(f"{path.name}: column {column!r}: no value in row {_first(frame[column].is_null())}")
    if not frame["rank"].dtype.is_integer():
        raise SlatesError(f"{path.name}: column 'rank' is {frame['rank'].dtype}; ranks are integers from 1")
    context = pl.col("context").cast(pl.String).fill_null("") if "context" in frame.columns else pl.lit("")
    frame = frame.select(
        pl.col("user_id").cast(pl.String),
        context.alias("context"),
        pl.col("rank").cast(pl.Int64),
        pl.col("item_id").cast(pl.String),
    ).sort("user_id", "context", "rank", maintain_order=True)
    expected = frame.select(pl.int_range(1, pl.len() + 1).over("user_id", "context").alias("expected"))["expected"]
    wrong = frame.filter(frame["rank"] != expected)
    if wrong.height:
        user, _, rank, _ = wrong.row(0)
        repeated = frame.filter((pl.col("user_id") == user) & (pl.col("rank") == rank)).height > 1
        problem = (
            f"rank {rank} is there twice" if repeated else f"rank {rank} has a gap before it; ranks are 1, 2, 3, …"
        )
        raise SlatesError(f"{path.name}: user {user!r}: {problem} ({wrong['user_id'].n_unique()} such users)")
    grouped = frame.group_by("user_id", "context", maintain_order=True).agg(pl.col("item_id"))
    return [(user, context, items) for user, context, items in grouped.iter_rows()]


def _from_json_lines(path: Path) -> list[Ranking]:
    rankings: list[Ranking] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rankings.append(_ranking(line, f"{path.name}: line {number}"))
    return rankings


def _ranking(line: bytes, place: str) -> Ranking:
    try:
        row = parse_json(line, place, limit=_LINE_LIMIT)
    except InputError as error:
        raise SlatesError(str(error)) from error
    if not isinstance(row, dict):
        raise SlatesError(f'{place}: a slate is {{"user_id": …, "items": […]}}')
    if unknown := sorted(set(row) - {"user_id", "items", "scores", "context"}):
        raise SlatesError(f"{place}: unknown key {unknown[0]!r}")
    user, items, context = row.get("user_id"), row.get("items"), row.get("context", "")
    if not isinstance(user, str) or not isinstance(context, str):
        raise SlatesError(f"{place}: user_id and context are strings")
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise SlatesError(f"{place}: items is a list of strings")
    return user, context, items


def _first(mask: pl.Series) -> int:
    return int(mask.arg_true()[0]) + 1


def _to_parquet(slates: Slates, block: Rows, path: Path, panel: Panel) -> None:
    length = block.shape[1]
    columns = {
        "user_id": panel.users["user_id"].gather(np.repeat(slates.user, length)),
        "rank": np.tile(np.arange(1, length + 1, dtype=np.int32), len(block)),
        "item_id": panel.items["item_id"].gather(block.ravel()),
    }
    if any(slates.context):
        columns["context"] = pl.Series(slates.context).gather(np.repeat(np.arange(len(block)), length))
    pl.DataFrame(columns).write_parquet(path)


def _to_json_lines(slates: Slates, block: Rows, path: Path, panel: Panel) -> None:
    names, items = panel.users["user_id"], panel.items["item_id"].to_list()
    with path.open("wb") as file:
        for row, (user, context) in enumerate(zip(slates.user, slates.context, strict=True)):
            line: dict[str, object] = {"user_id": names[int(user)], "items": [items[item] for item in block[row]]}
            if context:
                line["context"] = context
            file.write(canonical(line) + b"\n")
