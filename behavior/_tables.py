# SPDX-License-Identifier: Apache-2.0
"""Tables of a panel: read from Parquet, CSV or TSV, checked, and hashed by what they say.

The digest of a table is over its values, not its file: column by column in order of name, rows in the order given,
each value in a fixed binary form. A CSV file and a Parquet file with the same types and values have the same digest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXTENSIONS = (".parquet", ".csv", ".tsv")

_LARGEST = (1 << 63) - 1

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def find_table(folder: Path, stem: str) -> Path | None:
    """The file of a table in a panel directory, or None.

    Raises:
        PanelError: the same table in two formats: which one counts would be a guess.
    """
    found = [path for extension in EXTENSIONS if (path := folder / f"{stem}{extension}").is_file()]
    if len(found) > 1:
        raise PanelError(f"{folder}: both {found[0].name} and {found[1].name}; keep one")
    return found[0] if found else None


def read_table(path: Path, ids: Sequence[str]) -> pl.DataFrame:
    """Read one table whose ``ids`` columns must be there, be text and hold no nulls.

    Identifiers that are integers in the file are taken as text. In CSV and TSV files identifiers are never parsed as
    numbers, so ``007`` stays ``007``.

    Raises:
        PanelError: unreadable file, missing column, null or empty identifier.
    """
    try:
        frame = _read(path, ids)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise PanelError(f"{path.name}: cannot be read: {str(error).splitlines()[0]}") from error
    for column in ids:
        if column not in frame.columns:
            raise PanelError(f"{path.name}: no column {column!r}; it has {', '.join(frame.columns) or 'none'}")
        frame = _as_text(frame, column, path)
    return frame


def read_any_table(path: Path) -> pl.DataFrame:
    """Read a table somebody else made, before its identifiers are known.

    Raises:
        PanelError: no such file, a format that is none of ours, unreadable.
    """
    if not path.is_file():
        raise PanelError(f"{path}: no such file")
    if path.suffix not in EXTENSIONS:
        raise PanelError(f"{path.name}: tables are {', '.join(EXTENSIONS)} files")
    return read_table(path, [])


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table in the format of its extension."""
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator=_SEPARATORS[path.suffix])


def require_unique(frame: pl.DataFrame, column: str, file: str) -> None:
    """Raise PanelError naming the first identifier that ``column`` holds twice."""
    twice = frame[column].is_duplicated()
    if twice.any():
        again = frame.filter(twice)[column]
        raise PanelError(f"{file}: column {column!r}: {again[0]!r} is there twice ({again.n_unique()} such ids)")


def require_known(frame: pl.DataFrame, column: str, file: str, known: pl.Series, where: str) -> None:
    """Raise PanelError naming the first value of ``column`` that is no identifier of table ``where``."""
    unknown = frame.filter(~pl.col(column).is_in(known.implode()))[column]
    if len(unknown):
        raise PanelError(f"{file}: column {column!r}: {unknown[0]!r} is not in {where} ({len(unknown)} such rows)")


def table_digest(frame: pl.DataFrame) -> str:
    """The SHA-256, in hexadecimal, of a table's columns (by name), types and values (rows in order)."""
    running = hashlib.sha256(f"rows {frame.height}\n".encode())
    for name in sorted(frame.columns):
        kind, data = _column_bytes(frame[name])
        running.update(f"column {len(name.encode())}:{name} {kind} {len(data)}\n".encode())
        running.update(data)
    return running.hexdigest()


def _read(path: Path, ids: Sequence[str]) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    separator = _SEPARATORS[path.suffix]
    header = pl.read_csv(path, separator=separator, n_rows=0).columns
    overrides: dict[str, pl.DataType] = {column: pl.String() for column in ids if column in header}
    return pl.read_csv(
        path, separator=separator, try_parse_dates=True, schema_overrides=overrides, infer_schema_length=None
    )


def _as_text(frame: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    kind = frame[column].dtype
    if not (kind == pl.String or kind.is_integer() or isinstance(kind, pl.Categorical | pl.Enum)):
        raise PanelError(f"{path.name}: column {column!r} is {kind}; identifiers are strings")
    frame = frame.with_columns(pl.col(column).cast(pl.String))
    blank = frame[column].is_null() | (frame[column] == "")
    if blank.any():
        raise PanelError(f"{path.name}: column {column!r}: no value in row {blank.arg_true()[0] + 1}")
    return frame


def _column_bytes(column: pl.Series) -> tuple[str, bytes]:
    """A column's kind and bytes: little-endian numbers, or lengths followed by UTF-8; nulls as a mask in front."""
    present = column.is_not_null().to_numpy()
    mask = np.packbits(present).tobytes()
    kind = column.dtype
    if kind == pl.Boolean:
        return "bool", mask + column.fill_null(value=False).to_numpy().astype("u1").tobytes()
    if kind.is_integer():
        if kind == pl.UInt64 and (column > _LARGEST).any():
            raise PanelError(
                f"column {column.name!r}: {column.max()!r} is over the limit of {_LARGEST} for whole numbers"
            )
        return "int", mask + column.fill_null(0).cast(pl.Int64).to_numpy().astype("<i8").tobytes()
    if kind.is_float():
        return "float", mask + column.fill_null(0.0).cast(pl.Float64).to_numpy().astype("<f8").tobytes()
    if kind == pl.Date:
        return "date", mask + column.cast(pl.Int32).fill_null(0).to_numpy().astype("<i8").tobytes()
    if isinstance(kind, pl.Datetime):
        micros = column.dt.epoch("us").fill_null(0).to_numpy().astype("<i8").tobytes()
        return "datetime", mask + micros
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        text = column.cast(pl.String).fill_null("")
        lengths = text.str.len_bytes().to_numpy().astype("<i8").tobytes()
        return "text", mask + lengths + "".join(text.to_list()).encode()
    raise PanelError(f"column {column.name!r} is {kind}; use text, numbers, booleans, dates or times")
