# SPDX-License-Identifier: Apache-2.0
"""A first ``panel.toml`` for tables nobody has written one for: slices and cohorts proposed, the rest as comments."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import polars as pl

CONTEXT_NAMES = ("country", "language", "device", "account_age_days", "at")

_FEW_VALUES = 12
_MANY_VALUES = 300
_ITEMS_A_VALUE = 5
_LABELS = 6  # slices by true/false and soft labels proposed at once; more are written as comments
_GROUPINGS = 2
_SECONDARY = 3
_COHORTS = 3
_PROSE = 20  # characters a value has on average where it is read rather than counted


@dataclass
class _Proposals:
    """Lines of TOML: what is proposed, and what could be."""

    slices: list[str] = field(default_factory=list)
    secondary: list[str] = field(default_factory=list)
    cohorts: list[str] = field(default_factory=list)
    context: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def panel_toml(name: str, k: int, items: pl.DataFrame, users: pl.DataFrame, notes: list[str]) -> str:
    """A commented ``panel.toml`` for these tables, ids already in ``item_id`` and ``user_id``."""
    found = _Proposals(notes=list(notes))
    _propose_slices(items, found)
    _propose_cohorts(users, found)
    lines = [
        "# Proposed from the tables: read every line, change what is not meant, then run countersign panel check.",
        f"# {items.height:,} items, {users.height:,} users. Margins are part of what is signed: set them before a run.",
        f"name = {_text(name)}",
        f"k = {k}  # what people see: impact is judged here",
        "# depth = 100  # how deep slates are recorded; default 5 k and at least 100",
        "# seed = 0",
        "# alpha = 0.05  # to flag; alpha_fail = 0.01 to fail; permutations = 2000; materiality = 0.001",
        "",
        "[exposure]",
        '# weights = "log2"  # or uniform, reciprocal, cascade:0.8',
        "# What a change may honestly move (a freshness term moves fresh items): item columns, popularity, age.",
        f"# match_on = [{', '.join(_text(name) for name in ('popularity', *found.dates))}]",
        "",
        *_context(found),
        "# What must not be amplified, each with how much is too much (margin) and how bad it would be (severity).",
        *(found.slices or ["# No column of the items can be a slice: without slices an audit is inconclusive."]),
        *_prose(found),
        "",
        "# For whom; everyone is always there. A cohort of fewer than 30 users settles nothing.",
        *(found.cohorts or ["# No column of the users can be a cohort."]),
        "",
        *(["# Looked at as well, in a family of its own.", "[secondary]", *found.secondary] if found.secondary else []),
        *(f"# {note}" for note in found.notes),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _propose_slices(items: pl.DataFrame, found: _Proposals) -> None:
    labels = groupings = 0
    secondary: list[str] = []
    for column in items.columns:
        values = items[column]
        if column == "item_id":
            continue
        if (where := _label(values)) is not None:
            labels += 1
            found.slices += _active(_label_lines(values, where), active=labels <= _LABELS)
        elif values.dtype.is_temporal():
            found.dates.append(column)
        elif _counts(values) and (count := values.drop_nulls().n_unique()) > 1:
            if count <= _FEW_VALUES:
                groupings += 1
                lines = ["[[slices]]", f"each = {_text(column)}  # {count} values, one slice each", "margin = 1.15"]
                found.slices += _active(lines, active=groupings <= _GROUPINGS)
            elif count <= _MANY_VALUES and count * _ITEMS_A_VALUE <= items.height:
                secondary.append(column)
            elif _is_prose(values):
                found.prose.append(column)
    if secondary:
        found.secondary = [f"each = [{', '.join(map(_text, secondary[:_SECONDARY]))}]", "margin = 1.10"]


def _label_lines(values: pl.Series, where: str) -> list[str]:
    mean = float(values.cast(pl.Float64).fill_null(0.0).mean() or 0.0)  # type: ignore[arg-type] # a number
    return [
        "[[slices]]",
        f"name = {_text(values.name)}",
        f"where = {_text(where)}  # mean degree {mean:.3g}",
        "margin = 1.10",
        'severity = "high"',
    ]


def _propose_cohorts(users: pl.DataFrame, found: _Proposals) -> None:
    proposed = 0
    for column in users.columns:
        values = users[column]
        if column == "user_id":
            continue
        if column in CONTEXT_NAMES:
            found.context.append(f"{column} = {_text(column)}")
        count = values.drop_nulls().n_unique()
        if (_counts(values) or values.dtype == pl.Boolean) and 1 < count <= _FEW_VALUES:
            proposed += 1
            found.cohorts += _active(["[[cohorts]]", f"by = {_text(column)}"], active=proposed <= _COHORTS)
        elif values.dtype.is_numeric() and count > _FEW_VALUES:
            found.notes.append(f"users: {_text(column)} has {count} values; a column of bands would make a cohort")


def _label(values: pl.Series) -> str | None:
    """An expression for a column that can be a label as it stands, or None."""
    quoted = '"' + values.name.replace('"', '""') + '"'
    bare = values.name if values.name.isascii() and values.name.isidentifier() and values.name.islower() else quoted
    if values.name.startswith("^"):
        return None
    if values.dtype == pl.Boolean:
        return None if not values.any() else (f"{quoted} IS TRUE" if values.null_count() else bare)
    if not values.dtype.is_float() or values.null_count() or not len(values):
        return None
    inside = values.is_between(0.0, 1.0).all() and not values.is_nan().any()
    return bare if inside and (values > 0).any() else None


def _counts(values: pl.Series) -> bool:
    return values.dtype == pl.String or values.dtype.is_integer() or isinstance(values.dtype, pl.Categorical | pl.Enum)


def _is_prose(values: pl.Series) -> bool:
    return values.dtype == pl.String and float(values.str.len_chars().mean() or 0.0) >= _PROSE  # type: ignore[arg-type] # a number


def _active(lines: list[str], *, active: bool) -> list[str]:
    return lines if active else [f"# {line}" for line in lines]


def _context(found: _Proposals) -> list[str]:
    if not found.context:
        return []
    return ["# What the recommender is told of a user, beside the history.", "[context]", *found.context, ""]


def _prose(found: _Proposals) -> list[str]:
    if not found.prose:
        return []
    columns = " ".join(f"--text {name}" for name in found.prose[:2] if name.isidentifier())
    return [f"# A label can be learnt from text: countersign panel label PANEL --examples FILE --column NAME {columns}"]


def _text(value: str) -> str:
    """A TOML string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
