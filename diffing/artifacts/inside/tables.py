# SPDX-License-Identifier: Apache-2.0
"""Parquet and Arrow tables: every column as a tensor, batch by batch; lists of equal length as rows of a matrix."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.scratch import spool
from diffing.artifacts.inside.tensors import NUMPY, Tensor, tensor
from diffing.artifacts.inside.words import RefusedError, checked_name, held, in_a_line

os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more address space than they use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.artifacts.inside.words import File

_BATCH = 65_536
_MAX_COLUMNS = 10_000
_MAX_GROUP = 512 << 20
_PLAIN = {
    "double": "F64", "float": "F32", "halffloat": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_TEXTS = frozenset({"string", "large_string", "string_view", "binary", "large_binary", "binary_view"})
_TEXT = 8  # bytes that stand for one text: the start of its SHA-256


def read(file: File) -> list[Tensor]:
    """The columns of a table by name.

    A text stands as 8 bytes of its digest; what is missing, as NaN, the lowest
    whole number, or zero bytes.

    Raises:
        RefusedError: no such table, or one with columns that are not read.
    """
    import pyarrow as pa  # noqa: PLC0415 - only tables need it, and it is slow to start

    try:
        schema, batches = _open(file)
        if len(schema) > _MAX_COLUMNS or len(set(schema.names)) != len(schema):
            raise RefusedError("two columns of one name, or more columns than are read")
        return [_column(file, schema.field(index), index, batches) for index in range(len(schema))]
    except (pa.ArrowException, OSError, MemoryError, OverflowError, RuntimeError, UnicodeDecodeError) as error:
        raise RefusedError(f"no table that can be read: {in_a_line(error)}") from error


def _open(file: File) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The schema, and a function that gives the batches of one column."""
    import pyarrow as pa  # noqa: PLC0415 - see above
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    if file.read(0, 4) == b"PAR1":
        parquet = pq.ParquetFile(file.path, memory_map=False, pre_buffer=False)
        large = [
            group
            for group in range(parquet.metadata.num_row_groups)
            if parquet.metadata.row_group(group).total_byte_size > _MAX_GROUP
        ]
        if large:
            raise RefusedError(f"row group {large[0]} unpacks to more than {_MAX_GROUP:,} bytes")
        schema = parquet.schema_arrow
        return schema, lambda index: (
            held(batch.column(0))
            for batch in parquet.iter_batches(batch_size=_BATCH, columns=[schema.names[index]], use_threads=False)
        )
    source = pa.OSFile(file.path, "rb")
    reader = pa.ipc.open_file(source)
    return reader.schema, lambda index: (
        held(reader.get_batch(number).column(index)) for number in range(reader.num_record_batches)
    )


def _column(file: File, field: Any, index: int, batches: Any) -> Tensor:  # noqa: ANN401 - pyarrow has no types
    name = checked_name(field.name)
    facts: dict[str, Any] = {"rows": 0, "width": -1, "dtype": ""}
    unpacked = spool(f"{file.name}:{name}", _chunks(name, batches(index), facts))
    width = int(facts["width"])
    shape = (int(facts["rows"]),) if width < 0 else (int(facts["rows"]), width)
    return tensor(name, str(facts["dtype"] or "TEXT_digest"), shape, unpacked, 0, unpacked.size)


def _chunks(name: str, columns: Iterator[Any], facts: dict[str, Any]) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - see above

    for column in columns:
        values = column
        if isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()
        rows = len(values)
        facts["rows"] += rows
        kind = values.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            flat = values.flatten()
            width, left = divmod(len(flat), rows) if rows else (max(facts["width"], 0), 0)
            lengths = values.value_lengths() if not pa.types.is_fixed_size_list(kind) else None
            uneven = lengths is not None and rows and len(set(lengths.to_pylist())) > 1
            if left or uneven or values.null_count or facts["width"] not in (-1, width):
                raise RefusedError(f"column {name!r}: lists of different lengths")
            facts["width"], values = width, flat
        yield _raw(name, values, facts)


def _raw(name: str, values: Any, facts: dict[str, Any]) -> bytes:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415 - see above

    kind = values.type
    if pa.types.is_temporal(kind):
        bits = 32 if pa.types.is_date32(kind) or pa.types.is_time32(kind) else 64
        values = values.cast(pa.int32() if bits == 32 else pa.int64())  # noqa: PLR2004 - of a temporal type
        kind = values.type
    dtype = _PLAIN.get(str(kind))
    if dtype is not None:
        facts["dtype"] = dtype
        if values.null_count and dtype[0] != "F":
            lowest = np.iinfo(NUMPY[dtype]).min
            values = values.fill_null(False if dtype == "BOOL" else int(lowest))
        array = values.to_numpy(zero_copy_only=False)
        return array.astype(NUMPY[dtype]).tobytes()  # type: ignore[no-any-return]
    if (
        pa.types.is_string_view(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
    ):
        facts["dtype"] = "TEXT_digest"
        words = (value.encode() if isinstance(value, str) else value for value in values.to_pylist())
        return b"".join(hashlib.sha256(word).digest()[:_TEXT] if word is not None else bytes(_TEXT) for word in words)
    if pa.types.is_null(kind):
        facts["dtype"] = "TEXT_digest"
        return bytes(_TEXT * len(values))
    raise RefusedError(f"column {name!r} of type {str(kind)[:60]} is not read")
