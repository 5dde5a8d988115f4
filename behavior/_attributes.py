# SPDX-License-Identifier: Apache-2.0
"""Attributes of items and users as codes: what searching probes may combine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

Codes = np.ndarray[Any, np.dtype[np.int64]]
Value = str | int | bool

MOST_VALUES = 100  # a text column of more is no category but a name or a title
_FEW_VALUES = 12  # whole numbers of no more are categories, not quantities
_BANDS = 5


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column as categories: ``codes`` index ``values``; -1 where the value is absent."""

    name: str
    values: tuple[Value, ...]
    codes: Codes


class Attributes(NamedTuple):
    """The columns of a table that can be searched, by name, and the names of those that cannot."""

    found: tuple[Attribute, ...]
    left: tuple[str, ...]


def attributes(frame: pl.DataFrame, *, without: str) -> Attributes:
    """The columns of a panel's table as attributes.

    Text, booleans and small whole numbers go by value, other numbers, dates and times by five bands of about equal
    size. Text of more than 100 values is left out, as are columns of one value. ``without`` is the identifier's column.
    """
    found, left = [], []
    for name in sorted(frame.columns):
        if name == without:
            continue
        attribute = _attribute(frame[name])
        if attribute is None:
            left.append(name)
        else:
            found.append(attribute)
    return Attributes(tuple(found), tuple(left))


def _attribute(column: pl.Series) -> Attribute | None:
    kind = column.dtype
    if kind.is_float():
        column = column.fill_nan(None)
    distinct = column.drop_nulls().n_unique()
    if distinct < 2:  # noqa: PLR2004 - one value tells nobody apart
        return None
    if kind.is_float() or kind.is_temporal() or (kind.is_integer() and distinct > _FEW_VALUES):
        return _bands(column)
    if distinct > MOST_VALUES or not (kind == pl.Boolean or kind.is_integer() or kind == pl.String):
        return None
    values = column.drop_nulls().unique().sort()
    codes = column.replace_strict(values, pl.Series(range(len(values)), dtype=pl.Int64), default=None)
    return Attribute(column.name, tuple(values), codes.fill_null(-1).to_numpy().astype(np.int64))


def _bands(column: pl.Series) -> Attribute | None:
    """Bands of about equal size, equal values together, each named by its ends."""
    present = column.drop_nulls().sort()
    edges = sorted({present[len(present) * band // _BANDS] for band in range(1, _BANDS)} - {present[0]})
    if not edges:
        return None
    starts = [present[0], *edges]
    codes = pl.Series(np.searchsorted(_numbers(pl.Series(edges, dtype=column.dtype)), _numbers(column), side="right"))
    codes = pl.select(pl.when(column.is_null()).then(-1).otherwise(codes)).to_series()
    names = []
    for band, start in enumerate(starts):
        inside = column.filter(codes == band)
        names.append(f"{_shown(start)} to {_shown(inside.max())}")
    return Attribute(column.name, tuple(names), codes.to_numpy().astype(np.int64))


def _numbers(column: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    return column.to_physical().cast(pl.Float64).fill_null(0.0).to_numpy()


def _shown(value: object) -> str:
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def each_value(found: tuple[Attribute, ...]) -> Iterator[tuple[str, Value, Codes]]:
    """Every attribute's every value with the row numbers that have it, in order."""
    for attribute in found:
        order = np.argsort(attribute.codes, kind="stable")
        bounds = np.searchsorted(attribute.codes[order], np.arange(len(attribute.values) + 1))
        for number, value in enumerate(attribute.values):
            yield attribute.name, value, order[bounds[number] : bounds[number + 1]]
