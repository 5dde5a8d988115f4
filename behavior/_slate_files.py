# SPDX-License-Identifier: Apache-2.0
"""Slates in Parquet and JSON Lines files."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from behavior._slate_blocks import Requests, SlateBlocks, TwiceAskedError
from behavior.slates import Slates, make_slates, slates_of
from evidence import InputError, SlatesError, canonical, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from behavior.panels import Panel
    from behavior.slates import Rows

Integers = np.ndarray[Any, np.dtype[np.int64]]
Piece = tuple[pl.DataFrame, Integers]  # rows of whole requests, and at which of them each begins
Ranking = tuple[str, str, list[str]]  # user id, context, item ids in order

_LINE_LIMIT = 4 << 20
_PIECE = 1 << 21  # rows of a Parquet file looked at together


class _NotInOrderError(Exception):
    """The rows of a request do not stand together in order of rank."""


def _nobody(_: str) -> None:
    """Nobody listens."""


def read_slates(path: Path, panel: Panel, *, say: Callable[[str], None] = _nobody) -> Slates:
    """Read slates from ``.parquet`` (user_id, rank from 1, item_id) or ``.jsonl`` ({"user_id", "items"}).

    A Parquet file whose rows are in order of rank within each request, requests in any order, is read in pieces:
    memory does not grow with it. Any other is sorted first, which takes as much memory as the file has rows, and
    ``say`` is told so.

    Raises:
        SlatesError: unreadable, a missing column, ranks that are not 1, 2, 3, …, or anything ``make_slates`` refuses.
    """
    if not path.is_file():
        raise SlatesError(f"{path}: no such file")
    if path.suffix == ".parquet":
        return _from_parquet(path, panel, say)
    if path.suffix in {".jsonl", ".ndjson"}:
        return make_slates(panel, _from_json_lines(path), what=path.name)
    raise SlatesError(f"{path.name}: slates are .parquet or .jsonl files")


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


def _from_parquet(path: Path, panel: Panel, say: Callable[[str], None]) -> Slates:
    try:
        rows = pl.scan_parquet(path)
        columns, places = _columns(path, rows.collect_schema()), _height(rows)
        try:
            return _gather(_in_pieces(path, rows.select(columns)), path, panel, places)
        except _NotInOrderError:
            say(f"{path.name}: not in order of rank within each request; it is sorted first")
            return _gather(_sorted(path, rows.select(columns)), path, panel, places)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SlatesError(f"{path.name}: cannot be read: {str(error).splitlines()[0]}") from error


def _columns(path: Path, schema: pl.Schema) -> list[pl.Expr]:
    """The columns that count, as text and whole numbers. SlatesError if one is not there or is of another kind."""
    for column in ("user_id", "rank", "item_id"):
        if column not in schema:
            raise SlatesError(f"{path.name}: no column {column!r}; it has {', '.join(schema) or 'none'}")
    if not schema["rank"].is_integer():
        raise SlatesError(f"{path.name}: column 'rank' is {schema['rank']}; ranks are integers from 1")
    context = [pl.col("context").cast(pl.String).fill_null("")] if "context" in schema else []
    return [
        pl.col("user_id").cast(pl.String),
        *context,
        pl.col("rank").cast(pl.Int64),
        pl.col("item_id").cast(pl.String),
    ]


def _height(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect().item())


def _in_pieces(path: Path, rows: pl.LazyFrame) -> Iterator[Piece]:
    """Pieces of the file, each of whole requests whose ranks are 1, 2, 3, ….

    Raises:
        _NotInOrderError: ranks are not in order where the rows of a request stand together.
    """
    kept: pl.DataFrame | None = None
    seen = 0
    for piece in rows.collect_batches(chunk_size=_PIECE, maintain_order=True):
        _require_values(path, piece, seen)
        seen += piece.height
        frame = piece if kept is None else pl.concat([kept, piece])
        starts = _starts(frame)
        last = int(starts[-1]) if frame.height else 0
        frame, kept = frame[:last], frame[last:]
        if frame.height:
            yield frame, starts[:-1]
    if kept is not None and kept.height:
        yield kept, _starts(kept)


def _gather(pieces: Iterator[Piece], path: Path, panel: Panel, places: int) -> Slates:
    with SlateBlocks(panel, path.name, panel.k, places) as blocks:
        for frame, starts in pieces:
            blocks.add(_requests(frame, starts))
        try:
            return slates_of(blocks.finish(), panel.k)
        except TwiceAskedError as twice:  # or the rows of a request stand apart
            raise _NotInOrderError from twice


def _requests(frame: pl.DataFrame, starts: Integers) -> Requests:
    lengths = np.diff(starts, append=frame.height)
    expected = np.arange(1, frame.height + 1) - np.repeat(starts, lengths)
    if not np.array_equal(frame["rank"].to_numpy(), expected):
        raise _NotInOrderError
    heads = frame[starts]
    contexts = heads["context"] if "context" in frame.columns else None
    return Requests(heads["user_id"], contexts, lengths, frame["item_id"])


def _sorted(path: Path, rows: pl.LazyFrame) -> Iterator[Piece]:
    """The whole file in order of user, context and rank. SlatesError where ranks are not 1, 2, 3, …."""
    frame = rows.collect()
    _require_values(path, frame, 0)
    keys = [column for column in ("user_id", "context") if column in frame.columns]
    frame = frame.sort(*keys, "rank", maintain_order=True)
    expected = frame.select(pl.int_range(1, pl.len() + 1).over(keys).alias("expected"))["expected"]
    wrong = frame.filter(frame["rank"] != expected)
    if wrong.height:
        user, rank = wrong["user_id"][0], wrong["rank"][0]
        repeated = frame.filter((pl.col("user_id") == user) & (pl.col("rank") == rank)).height > 1
        problem = (
            f"rank {rank} is there twice" if repeated else f"rank {rank} has a gap before it; ranks are 1, 2, 3, …"
        )
        raise SlatesError(f"{path.name}: user {user!r}: {problem} ({wrong['user_id'].n_unique()} such users)")
    starts = np.append(_starts(frame), frame.height)
    cuts = np.unique(
        starts[np.searchsorted(starts, np.arange(0, frame.height + _PIECE, _PIECE)).clip(max=len(starts) - 1)]
    )
    for low, high in pairwise(cuts.tolist()):
        yield frame[low:high], _starts(frame[low:high])


def _require_values(path: Path, frame: pl.DataFrame, before: int) -> None:
    for column in ("user_id", "rank", "item_id"):
        if frame[column].null_count():
            row = before + int(frame[column].is_null().arg_true()[0]) + 1
            raise SlatesError(f"{path.name}: column {column!r}: no value in row {row}")


def _starts(frame: pl.DataFrame) -> Integers:
    """The rows at which a request begins: those whose user or context is not the one before."""
    new = np.ones(frame.height, dtype=bool)
    if frame.height:
        new[1:] = (frame["user_id"][1:] != frame["user_id"][:-1]).to_numpy()
        if "context" in frame.columns:
            new[1:] |= (frame["context"][1:] != frame["context"][:-1]).to_numpy()
    return np.flatnonzero(new)


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
