# SPDX-License-Identifier: Apache-2.0
"""What a panel names: slices over its items, cohorts over its users, strata for the churn null."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from scipy import sparse

from behavior._expressions import label_expression
from evidence import PanelError, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from behavior._panel_toml import PanelToml

Family = Literal["primary", "secondary", "exploratory"]
CohortKey = tuple[tuple[str, str | int | bool], ...]  # ((column, value), …); () is everyone

_MAX_VALUES = 5000
_DECILES = 10


@dataclass(frozen=True, slots=True)
class Slice:
    """A named set of items and what is held against it. Membership is a column of ``Panel.membership``."""

    name: str
    family: Family
    margin: float
    severity: Severity
    public: bool


@dataclass(frozen=True, slots=True)
class Cohort:
    """A named set of users: ``members`` are row numbers of ``Panel.users``."""

    key: CohortKey
    members: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def name(self) -> dict[str, str | int | bool]:
        """The cohort as it stands in ``formats.md``: ``{}`` for everyone."""
        return dict(self.key)


def build_slices(toml: PanelToml, items: pl.DataFrame, file: str) -> tuple[tuple[Slice, ...], sparse.csr_array]:
    """The panel's slices, and their membership as a sparse matrix, items by slices, of degrees in [0, 1].

    Raises:
        PanelError: unknown column, an expression that is no label, a label outside [0, 1], an empty slice by
            ``where``, two slices of one name.
    """
    slices: list[Slice] = []
    columns: list[sparse.coo_array] = []
    for spec in toml.slices:
        named: Iterator[tuple[str, pl.Series]]
        if spec.where is not None and spec.name is not None:
            named = iter([(spec.name, _where(spec.where, spec.name, items, file))])
        else:
            named = _each(str(spec.each), items, file)
        for name, degrees in named:
            if any(name == other.name for other in slices):
                raise PanelError(f"panel.toml: slices: two slices are named {name!r}")
            slices.append(Slice(name, "primary", spec.margin, spec.severity, spec.public))
            columns.append(sparse.coo_array(degrees.to_numpy()[:, None]))
    for column in toml.secondary.each:
        for name, degrees in _each(column, items, file):
            if any(name == other.name for other in slices):
                continue  # declared as a primary slice too: there it counts
            slices.append(Slice(name, "secondary", toml.secondary.margin, Severity.MEDIUM, public=False))
            columns.append(sparse.coo_array(degrees.to_numpy()[:, None]))
    if not columns:
        return (), sparse.csr_array((items.height, 0))
    return tuple(slices), sparse.csr_array(sparse.hstack(columns, format="csr"))


def build_cohorts(toml: PanelToml, users: pl.DataFrame, file: str) -> tuple[Cohort, ...]:
    """Everyone first, then every declared cohort in order of its values. A user without a value is in none.

    Raises:
        PanelError: a cohort column that is not there, or that has more than 5,000 combinations of values.
    """
    cohorts = [Cohort((), np.arange(users.height, dtype=np.int64))]
    for spec in toml.cohorts:
        for column in spec.columns:
            _require(column, users, file, "cohorts.by")
            _require_category(users[column], file)
        groups = (
            users.select(spec.columns)
            .with_row_index("_row")
            .drop_nulls()
            .group_by(spec.columns)
            .agg(pl.col("_row").sort())
            .sort(spec.columns)
        )
        _limit_values(groups.height, " x ".join(spec.columns), file)
        for row in groups.iter_rows(named=True):
            key = tuple((column, _plain(row[column])) for column in spec.columns)
            if not any(cohort.key == key for cohort in cohorts):
                cohorts.append(Cohort(key, np.asarray(row["_row"], dtype=np.int64)))
    return tuple(cohorts)


def build_match(
    columns: Sequence[str], items: pl.DataFrame, histories: pl.DataFrame, file: str
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One code an item: items with the same code are alike in everything ``match_on`` lists (zeros if it is empty).

    Numbers and dates go by deciles, anything else by value; an absent value is a value of its own.

    Raises:
        PanelError: a column that is neither there nor one of the counted ones (popularity, age).
    """
    codes = np.zeros(items.height, dtype=np.int64)
    for column in columns:
        values = _match_column(column, items, histories, file)
        if values.dtype.is_numeric() or values.dtype.is_temporal():
            ranks = values.cast(pl.Int64 if values.dtype.is_temporal() else pl.Float64).to_physical()
            level = _deciles(ranks.cast(pl.Float64).fill_null(np.nan).to_numpy())
        else:
            level = values.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
        _, codes = np.unique(codes * (level.max(initial=0) + 2) + level + 1, return_inverse=True)
    return codes.astype(np.int64)


def _where(expression: str, name: str, items: pl.DataFrame, file: str) -> pl.Series:
    place = f"panel.toml: slice {name!r}: where = {expression!r}"
    parsed, _ = label_expression(expression, items.columns, file, place)
    try:
        result = items.select(parsed.alias("label"))["label"]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise PanelError(f"{place}: {str(error).splitlines()[0]}") from error
    bare = expression.strip().strip('"') in items.columns
    degrees = _degrees(result, f"{file}: column {expression.strip()!r}" if bare else place, items, nulls_refused=bare)
    if not (degrees > 0).any():
        raise PanelError(f"{place}: no item of {file} is in this slice")
    return degrees


def _degrees(result: pl.Series, place: str, items: pl.DataFrame, *, nulls_refused: bool) -> pl.Series:
    """Labels as degrees in [0, 1]. An unknown condition is false, as in SQL; a label column has no unknowns."""
    if not (result.dtype == pl.Boolean or result.dtype.is_numeric()):
        raise PanelError(f"{place}: is {result.dtype}; a label is true or false, or a number in [0, 1]")
    absent = result.is_null()
    if absent.any() and (nulls_refused or result.dtype != pl.Boolean):
        raise PanelError(f"{place}: no label for item {items['item_id'][absent.arg_true()[0]]!r} ({absent.sum()} such)")
    degrees = result.cast(pl.Float64).fill_null(0.0)
    wrong = ~degrees.is_between(0.0, 1.0) | degrees.is_nan()
    if wrong.any():
        first = wrong.arg_true()[0]
        raise PanelError(
            f"{place}: label {degrees[first]!r} of item {items['item_id'][first]!r} is outside [0, 1]"
            f" ({wrong.sum()} such)"
        )
    return degrees


def _each(column: str, items: pl.DataFrame, file: str) -> Iterator[tuple[str, pl.Series]]:
    _require(column, items, file, "each")
    values = items[column]
    _require_category(values, file)
    distinct = values.drop_nulls().unique().sort()
    _limit_values(len(distinct), column, file)
    for value in distinct:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{column}={shown}", (values == value).fill_null(value=False).cast(pl.Float64)


def _match_column(column: str, items: pl.DataFrame, histories: pl.DataFrame, file: str) -> pl.Series:
    if column in items.columns:
        return items[column]
    if column == "popularity":
        return counted_popularity(items, histories)
    if column == "age":
        dates = [name for name, kind in items.schema.items() if kind.is_temporal()]
        if len(dates) == 1:
            return items[dates[0]]
        raise PanelError(f"{file}: match_on 'age' needs exactly one date column; there are {len(dates)}")
    raise PanelError(f"{file}: no column {column!r} for match_on; it has {', '.join(items.columns)}")


def counted_popularity(items: pl.DataFrame, histories: pl.DataFrame) -> pl.Series:
    """How many events of the histories each item has."""
    counts = histories.group_by("item_id").len()
    return items.select("item_id").join(counts, on="item_id", how="left", maintain_order="left")["len"].fill_null(0)


def _deciles(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Decile of each value, ties together, absent values as -1."""
    level = np.full(len(values), -1, dtype=np.int64)
    present = ~np.isnan(values)
    ordered = np.sort(values[present])
    if len(ordered):
        level[present] = np.searchsorted(ordered, values[present], side="left") * _DECILES // len(ordered)
    return level


def _require(column: str, frame: pl.DataFrame, file: str, key: str) -> None:
    if column not in frame.columns:
        raise PanelError(f"{file}: no column {column!r} ({key} in panel.toml); it has {', '.join(frame.columns)}")


def _require_category(values: pl.Series, file: str) -> None:
    if values.dtype.is_float():
        raise PanelError(f"{file}: column {values.name!r} holds fractions; group them into bands first")


def _limit_values(count: int, what: str, file: str) -> None:
    if count > _MAX_VALUES:
        raise PanelError(f"{file}: {what!r} has {count} values, over the limit of {_MAX_VALUES}; group them first")


def _plain(value: object) -> str | int | bool:
    if isinstance(value, str | int):
        return value
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else str(value)
