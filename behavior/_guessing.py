# SPDX-License-Identifier: Apache-2.0
"""Which column is which in a table somebody else made: by its name, and by what an identifier must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Iterable

USER_NAMES = [
    "userid",
    "user",
    "uid",
    "memberid",
    "customerid",
    "viewerid",
    "visitorid",
    "readerid",
    "accountid",
    "personid",
    "sessionid",
    "listenerid",
    "id",
]
ITEM_NAMES = [
    "itemid",
    "item",
    "iid",
    "movieid",
    "newsid",
    "articleid",
    "videoid",
    "productid",
    "trackid",
    "songid",
    "bookid",
    "postid",
    "contentid",
    "documentid",
    "docid",
    "asin",
    "isbn",
    "sku",
    "businessid",
    "adid",
    "urlid",
    "id",
]
TIME_NAMES = [
    "at",
    "timestamp",
    "time",
    "datetime",
    "date",
    "ts",
    "eventtime",
    "createdat",
    "clickedat",
    "ratedat",
    "occurredat",
]
RATING_NAMES = ["rating", "stars", "score"]
CLICK_NAMES = ["clicked", "click", "isclick", "isclicked"]

_MILLISECONDS = 100_000_000_000  # an epoch above this (year 5138 in seconds) counts milliseconds


def find_column(frame: pl.DataFrame, names: Iterable[str]) -> str | None:
    """The first of ``names`` that the table has, whatever its case and punctuation; or None."""
    by_name = {_plain(column): column for column in reversed(frame.columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def identifier(frame: pl.DataFrame, file: str, role: str, names: Iterable[str], wanted: str | None) -> str:
    """The identifier column of a table of users or items: the one asked for, or the best guess.

    A guess has a value in every row and none of them twice: a known name first, then one that ends in ``id``, then
    the first column.

    Raises:
        PanelError: the column asked for is not there, or none can be an identifier.
    """
    if wanted is not None:
        if wanted not in frame.columns:
            raise PanelError(f"{file}: no column {wanted!r} (--{role}-id); it has {', '.join(frame.columns)}")
        return wanted
    named = [column for name in names for column in frame.columns if _plain(column) == name]
    ending = [column for column in frame.columns if _plain(column).endswith("id")]
    for column in (*named, *ending, *frame.columns[:1]):
        if _identifies(frame[column]):
            return column
    raise PanelError(
        f"{file}: no column can be the {role}'s identifier (a value in every row, none twice);"
        f" name it with --{role}-id; it has {', '.join(frame.columns) or 'none'}"
    )


def named_column(frame: pl.DataFrame, file: str, role: str, names: Iterable[str], wanted: str | None) -> str:
    """The column of a table of events that holds ``role``: the one asked for, or one of a known name.

    Raises:
        PanelError: there is no such column.
    """
    column = wanted if wanted is not None else find_column(frame, names)
    if column is None or column not in frame.columns:
        shown = "that looks like" if column is None else f"{column!r} for"
        raise PanelError(
            f"{file}: no column {shown} the {role}'s identifier; name it with --{role}-id;"
            f" it has {', '.join(frame.columns) or 'none'}"
        )
    return column


def as_time(values: pl.Series, file: str) -> pl.Series:
    """Times as microseconds: dates and times as they are, numbers as Unix time in seconds or milliseconds.

    Raises:
        PanelError: anything else.
    """
    if values.dtype.is_temporal():
        return values.cast(pl.Datetime("us")) if values.dtype != pl.Time else _no_time(values, file)
    if values.dtype == pl.String:
        parsed = values.str.to_datetime(strict=False, time_unit="us") if len(values.drop_nulls()) else None
        if parsed is None or parsed.null_count() > values.null_count():
            return _no_time(values, file)
        return parsed.dt.replace_time_zone(None)
    if not values.dtype.is_numeric():
        return _no_time(values, file)
    scale = 1_000 if float(values.cast(pl.Float64).abs().max() or 0) > _MILLISECONDS else 1_000_000  # type: ignore[arg-type] # a number
    micros = (values.cast(pl.Float64) * scale).round()
    return micros.cast(pl.Int64, strict=False).cast(pl.Datetime("us"))


def _no_time(values: pl.Series, file: str) -> pl.Series:
    first = next((value for value in values if value is not None), None)
    raise PanelError(f"{file}: column {values.name!r}: {str(first)[:60]!r} is no date, time or Unix time")


def _identifies(values: pl.Series) -> bool:
    kind = values.dtype
    if not (kind == pl.String or kind.is_integer() or isinstance(kind, pl.Categorical | pl.Enum)):
        return False
    return values.null_count() == 0 and values.n_unique() == len(values) > 0


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
