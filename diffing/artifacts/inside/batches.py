# SPDX-License-Identifier: Apache-2.0
"""Tables of training data, batch by batch: Parquet, Arrow, CSV, TSV and JSON lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside.words import RefusedError, held, in_a_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from diffing.artifacts.inside.words import File

WRITTEN = frozenset({".csv", ".tsv"})  # formats that have no types
READ = frozenset({".parquet", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson", *WRITTEN})
_BATCH = 65_536
_BLOCK = 8 << 20
_MAX_GROUP = 512 << 20
_COLUMN = re.compile(r"In CSV column #([0-9]+)\b.*conversion error")


class OtherTypeError(RefusedError):
    """A column of a CSV file holds what its first rows did not promise: it has to be read as text, from the start."""

    def __init__(self, column: str) -> None:
        super().__init__(f"column {column!r} holds values of different types")
        self.column = column


def batches(file: File, texts: Callable[[list[str]], Collection[str]]) -> Iterator[Any]:
    """The record batches of a file. Of a CSV file, the columns that ``texts`` picks from all are left as they stand.

    Raises:
        OtherTypeError: a column of a CSV file that has to be among those.
        RefusedError: no table, or one that cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    try:
        if file.suffix in WRITTEN:
            yield from _written(file, texts)
        elif file.suffix in {".jsonl", ".ndjson"}:
            import pyarrow.json as lines  # noqa: PLC0415 - see above

            yield from lines.open_json(file.path, lines.ReadOptions(use_threads=False, block_size=_BLOCK))
        elif file.size >= 4 and file.read(0, 4) == b"PAR1":  # noqa: PLR2004 - the mark
            yield from map(held, _parquet(file))
        else:
            reader = pa.ipc.open_file(pa.OSFile(file.path, "rb"))
            yield from (held(reader.get_batch(number)) for number in range(reader.num_record_batches))
    except (pa.ArrowException, OSError, MemoryError, OverflowError, UnicodeDecodeError) as error:
        raise RefusedError(f"no table that can be read: {in_a_line(error)}") from error


def _parquet(file: File) -> Iterator[Any]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to start

    parquet = pq.ParquetFile(file.path, memory_map=False, pre_buffer=False)
    for group in range(parquet.metadata.num_row_groups):
        if parquet.metadata.row_group(group).total_byte_size > _MAX_GROUP:
            raise RefusedError(f"row group {group} unpacks to more than {_MAX_GROUP:,} bytes")
    yield from parquet.iter_batches(batch_size=_BATCH, use_threads=False)


def _written(file: File, texts: Callable[[list[str]], Collection[str]]) -> Iterator[Any]:
    """A CSV or TSV file; an empty field is missing, and nothing else is: ``NA`` is a name."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start
    import pyarrow.csv as text  # noqa: PLC0415 - slow to start

    parsing = text.ParseOptions(delimiter="\t" if file.suffix == ".tsv" else ",", newlines_in_values=True)
    options = text.ReadOptions(use_threads=False, block_size=_BLOCK)
    with text.open_csv(file.path, options, parsing) as reader:
        names = list(reader.schema.names)
    kinds = dict.fromkeys(texts(names), pa.string())
    converting = text.ConvertOptions(column_types=kinds, null_values=[""], strings_can_be_null=True)
    try:
        yield from text.open_csv(file.path, options, parsing, converting)
    except pa.ArrowInvalid as error:
        found = _COLUMN.search(str(error))
        if found is None or int(found[1]) >= len(names) or names[int(found[1])] in kinds:
            raise
        raise OtherTypeError(names[int(found[1])]) from error
