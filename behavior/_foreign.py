# SPDX-License-Identifier: Apache-2.0
"""Files without a header, in layouts of their own: every field as text, checked as it becomes something else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WHOLE_LINE = "\x01"  # a separator no text file holds


def read_fields(path: Path, separator: str, columns: Sequence[str]) -> pl.DataFrame:
    """A file of lines as a table of text: fields named ``columns``, split at ``separator`` (one character or more).

    UTF-8, or else Latin-1, in which MovieLens' older files are.

    Raises:
        PanelError: no such file, no lines, or a line with another number of fields.
    """
    if not path.is_file():
        raise PanelError(f"{path}: no such file")
    data = path.read_bytes()
    if not data.strip():
        raise PanelError(f"{path.name}: no lines")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        data = data.decode("latin-1").encode("utf-8")
    try:
        lines = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            separator=_WHOLE_LINE,
            quote_char=None,
            new_columns=["line"],
            schema={"line": pl.String},
        )["line"]
    except pl.exceptions.PolarsError as error:
        raise PanelError(f"{path.name}: cannot be read: {str(error).splitlines()[0]}") from error
    lines = lines.str.strip_chars_end("\r")
    filled = lines.fill_null("")
    counts = filled.str.count_matches(separator, literal=True) + 1
    wrong = counts != len(columns)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise PanelError(
            f"{path.name}: row {row + 1}: {counts[row]} fields instead of {len(columns)}: {filled[row][:60]!r}"
        )
    parts = filled.str.split_exact(separator, len(columns) - 1).struct.rename_fields(list(columns))
    return parts.struct.unnest()


def whole_number(frame: pl.DataFrame, column: str, file: str) -> pl.Series:
    """A column of text as whole numbers; PanelError with row and value where it holds anything else."""
    return _cast(frame, column, file, pl.Int64(), "a whole number")


def number(frame: pl.DataFrame, column: str, file: str) -> pl.Series:
    """A column of text as numbers; PanelError with row and value where it holds anything else."""
    return _cast(frame, column, file, pl.Float64(), "a number")


def require_filled(frame: pl.DataFrame, column: str, file: str) -> None:
    """Raise PanelError naming the first row without a value."""
    blank = frame[column].is_null() | (frame[column] == "")
    if blank.any():
        raise PanelError(f"{file}: column {column!r}: no value in row {int(blank.arg_true()[0]) + 1}")


def refuse(frame: pl.DataFrame, column: str, file: str, wrong: pl.Series, problem: str) -> None:
    """Raise PanelError with row and value of the first ``wrong`` one, if there is any."""
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise PanelError(
            f"{file}: row {row + 1}: column {column!r}: {frame[column][row]!r} {problem} ({int(wrong.sum())} such)"
        )


def _cast(frame: pl.DataFrame, column: str, file: str, kind: pl.DataType, what: str) -> pl.Series:
    cast = frame[column].str.strip_chars().cast(kind, strict=False)
    bad = cast.is_null() if kind == pl.Int64 else cast.is_null() | ~cast.is_finite()
    refuse(frame, column, file, bad, f"is not {what}")
    return cast
