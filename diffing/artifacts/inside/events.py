# SPDX-License-Identifier: Apache-2.0
"""A snapshot of training data, read batch by batch: what its columns hold, whatever the number of rows.

Texts are counted by name up to a number of distinct ones, users, items and rows by 64 bits of a digest; of more rows
than fit, those whose digest ends in zeros stand for the others.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.words import RefusedError, checked_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.artifacts.inside.tensors import Array
    from diffing.artifacts.inside.words import File

BATCH = 65_536
SLICES = "(slices)"  # where the rows of groups of items stand among the columns whose values are told
MOST_VALUES = 20_000  # distinct sources, labels or members of a slice
MOST_PEOPLE = 40_000_000
_MOST_ROWS = 8_000_000  # digests of rows that are held
_PENDING = 4_000_000
_LONGEST = 200
_MAX_GROUP = 512 << 20
_MISSING = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)
_WEEK = 7
_NO_DAY = np.iinfo("<i4").max
_MICROSECONDS, _MILLISECONDS = 10**14, 10**11


def batches(file: File) -> Iterator[Any]:
    """The record batches of a Parquet, Arrow, CSV or TSV file.

    Raises:
        RefusedError: it is none, or cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to start
    import pyarrow.csv as text  # noqa: PLC0415 - see above
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    try:
        if file.suffix in {".csv", ".tsv"}:
            parsing = text.ParseOptions(delimiter="\t" if file.suffix == ".tsv" else ",")
            options = text.ReadOptions(use_threads=False, block_size=8 << 20)
            yield from text.open_csv(file.path, read_options=options, parse_options=parsing)
        elif file.size >= 4 and file.read(0, 4) == b"PAR1":  # noqa: PLR2004 - the mark
            parquet = pq.ParquetFile(file.path, memory_map=False, pre_buffer=False)
            for group in range(parquet.metadata.num_row_groups):
                if parquet.metadata.row_group(group).total_byte_size > _MAX_GROUP:
                    raise RefusedError(f"row group {group} unpacks to more than {_MAX_GROUP:,} bytes")
            yield from parquet.iter_batches(batch_size=BATCH, use_threads=False)
        else:
            reader = pa.ipc.open_file(pa.OSFile(file.path, "rb"))
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    except (pa.ArrowException, OSError, MemoryError, OverflowError, UnicodeDecodeError) as error:
        raise RefusedError(f"no table that can be read: {' '.join(str(error).split())[:120]}") from error


class People:
    """Distinct ids: how many rows each has, and its first day."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.ids: Array = np.empty(0, "<u8")
        self.rows: Array = np.empty(0, "<i8")
        self.first: Array = np.empty(0, "<i4")
        self._pending: list[tuple[Array, Array]] = []
        self._held = 0

    def take(self, ids: Array, days: Array) -> None:
        """Add rows by the digest of whom they are of."""
        self._pending.append((ids, days))
        self._held += len(ids)
        if self._held > _PENDING:
            self.settle()

    def settle(self) -> None:
        """Put what waits to the rest."""
        ids = np.concatenate([self.ids, *(one for one, _ in self._pending)])
        first = np.concatenate([self.first, *(days for _, days in self._pending)])
        rows = np.concatenate([self.rows, np.ones(self._held, "<i8")])
        self.ids, place = np.unique(ids, return_inverse=True)
        self.rows = np.bincount(place, weights=rows, minlength=len(self.ids)).astype("<i8")
        self.first = np.full(len(self.ids), _NO_DAY, "<i4")
        np.minimum.at(self.first, place, first)
        self._pending, self._held = [], 0
        if len(self.ids) > MOST_PEOPLE:
            raise RefusedError(f"more than {MOST_PEOPLE:,} {self._what}")

    def has(self, ids: Array) -> Array:
        """Which of these are among them."""
        at = np.searchsorted(self.ids, ids)
        found: Array = (
            np.zeros(len(ids), bool) if not len(self.ids) else self.ids[np.minimum(at, len(self.ids) - 1)] == ids
        )
        return found


class Rows:
    """Digests of whole rows, to count those that are there twice; a share of them once there are many."""

    def __init__(self) -> None:
        self.step = 1
        self._kept: list[Array] = []
        self._held = 0

    def take(self, digests: Array) -> None:
        """Add rows."""
        kept = digests[digests % np.uint64(self.step) == 0] if self.step > 1 else digests
        self._kept.append(kept)
        self._held += len(kept)
        while self._held > _MOST_ROWS:
            self.step *= 4
            whole = np.concatenate(self._kept)
            self._kept = [whole[whole % np.uint64(self.step) == 0]]
            self._held = len(self._kept[0])

    def share(self) -> float:
        """The share of rows that say the same as another one before."""
        whole = np.concatenate(self._kept) if self._kept else np.empty(0, "<u8")
        return 1.0 - len(np.unique(whole)) / len(whole) if len(whole) else 0.0


class Snapshot:
    """One side: takes batches, then tells. ``before`` is base's users, if this is head; ``groups`` are ids of items."""

    def __init__(
        self, roles: dict[str, str], by: list[str], before: People | None, groups: dict[str, list[str]] | None = None
    ) -> None:
        self._groups = groups or {}
        self._members: dict[str, Array] = {}
        self._roles, self._before = roles, before
        self._named = [roles[role] for role in ("source", "label") if role in roles] + by
        self.rows = 0
        self.columns: dict[str, str] = {}
        self.users, self._items = People("users"), People("items")
        self._whole = Rows()
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self._named}
        self._labels: dict[tuple[str, str], int] = Counter()
        self._new_by_source: Counter[str] = Counter()
        self._months: Counter[int] = Counter()
        self._undated = 0

    def take(self, batch: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        """Add a batch. RefusedError if its columns are not those before, or one is missing."""
        if len(set(batch.schema.names)) != len(batch.schema.names):
            raise RefusedError("two columns of one name")
        columns = {checked_name(field.name): str(field.type)[:60] for field in batch.schema}
        if self.columns and list(columns) != list(self.columns):
            raise RefusedError("files of one snapshot have other columns than each other")
        self.columns = self.columns or columns
        missing = [name for name in (*self._roles.values(), *self._named) if name not in columns]
        if missing:
            raise RefusedError(f"no column {missing[0][:80]!r}; there are {', '.join(list(columns)[:20])[:300]}")
        self.rows += batch.num_rows
        digests = {name: digested(batch.column(name)) for name in columns}
        whole = np.zeros(batch.num_rows, "<u8")
        for digests_ in digests.values():
            whole = (whole ^ digests_) * _SPREAD
            whole ^= whole >> np.uint64(29)
        self._whole.take(whole)
        days = self._dated(batch)
        if "item" in self._roles:
            items = digests[self._roles["item"]]
            self._items.take(items, days)
            self._sliced(items, batch.column(self._roles["item"]))
        new = np.zeros(batch.num_rows, bool)
        if "user" in self._roles:
            users = digests[self._roles["user"]]
            self.users.take(users, days)
            new = ~self._before.has(users) if self._before is not None else new
        self._counted(batch, new)

    def _sliced(self, items: Array, column: Any) -> None:  # noqa: ANN401 - see above
        """Count the rows of each group; its ids are taken as the column's type has them."""
        if self._groups and not self._members:
            self._members = {name: np.sort(typed(ids, column.type)) for name, ids in self._groups.items()}
            self._counts[SLICES] = Counter(dict.fromkeys(self._members, 0))
        for name, members in self._members.items():
            self._counts[SLICES][name] += int(np.isin(items, members).sum())

    def _dated(self, batch: Any) -> Array:  # noqa: ANN401 - see above
        if "time" not in self._roles:
            return np.full(batch.num_rows, _NO_DAY, "<i4")
        days = day_numbers(batch.column(self._roles["time"]))
        known = days[days != _NO_DAY]
        self._undated += len(days) - len(known)
        months = known.astype("<M8[D]").astype("<M8[M]").astype("<i8")
        for month, count in zip(*np.unique(months, return_counts=True), strict=True):
            self._months[int(month)] += int(count)
        return days

    def _counted(self, batch: Any, new: Array) -> None:  # noqa: ANN401 - see above
        held: dict[str, tuple[Array, list[str]]] = {}
        for name in dict.fromkeys(self._named):
            codes, values = named(batch.column(name))
            held[name] = codes, values
            counts = np.bincount(codes, minlength=len(values))
            for value, count in zip(values, counts.tolist(), strict=True):
                self._counts[name][value] += count
            if len(self._counts[name]) > MOST_VALUES:
                raise RefusedError(f"column {name!r}: more than {MOST_VALUES:,} different values: name another one")
        source = self._roles.get("source")
        if source is None:
            return
        codes, values = held[source]
        for value, count in zip(values, np.bincount(codes[new], minlength=len(values)).tolist(), strict=True):
            self._new_by_source[value] += count
        if "label" in self._roles:
            others, labels = held[self._roles["label"]]
            pairs, counts = np.unique(codes.astype("<i8") * len(labels) + others, return_counts=True)
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
                self._labels[values[pair // len(labels)], labels[pair % len(labels)]] += count
            if len(self._labels) > MOST_VALUES * 10:
                raise RefusedError("more pairs of source and label than are told")

    def told(self) -> dict[str, Any]:
        """What there is to say of this side alone."""
        self.users.settle()
        self._items.settle()
        labels: dict[str, dict[str, int]] = {}
        for (source, label), count in sorted(self._labels.items()):
            labels.setdefault(source, {})[label] = count
        return {
            "rows": self.rows,
            "columns": self.columns,
            "users": len(self.users.ids) if "user" in self._roles else None,
            "items": len(self._items.ids) if "item" in self._roles else None,
            "duplicates": round(self._whole.share(), 6),
            "duplicates_sampled": self._whole.step,
            "undated": self._undated,
            "months": {str(np.datetime64(month, "M")): count for month, count in sorted(self._months.items())},
            "values": {name: dict(sorted(counts.items())) for name, counts in self._counts.items()},
            "labels": labels,
            "new_by_source": dict(sorted((name, count) for name, count in self._new_by_source.items() if count)),
        }


def moved(base: People, head: People) -> dict[str, Any]:
    """Users that only one side has, and on which days those of head come for the first time."""
    gained = ~base.has(head.ids)
    days, counts = np.unique(head.first[gained & (head.first != _NO_DAY)], return_counts=True)
    arrivals = {
        str(np.datetime64(int(days[at]), "D")): int(counts[at]) for at in np.argsort(-counts, kind="stable")[:10]
    }
    _, before = np.unique(base.first[base.first != _NO_DAY], return_counts=True)
    return {
        "gained": int(gained.sum()),
        "lost": int((~head.has(base.ids)).sum()),
        "gained_rows": int(head.rows[gained].sum()),
        "arrivals": arrivals,
        "usual_day": _usual(counts),
        "usual_day_before": _usual(before),
    }


def _usual(counts: Array) -> float:
    """The median of the days on which anybody comes; 0 where they are too few to call any of them usual."""
    return float(np.median(counts)) if len(counts) >= _WEEK else 0.0


def digested(column: Any) -> Array:  # noqa: ANN401 - see above
    """64 bits for each value of a column, the same for the same value."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64())
        kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        numbers = column.cast(pa.uint64() if pa.types.is_uint64(kind) else pa.int64(), safe=False)
        raw = np.asarray(numbers.fill_null(0)).astype("<u8") if pa.types.is_uint64(kind) else None
        raw = raw if raw is not None else np.asarray(numbers.fill_null(0)).astype("<i8").view("<u8")
    elif pa.types.is_floating(kind):
        raw = np.asarray(column.cast(pa.float64()).fill_null(0.0)).astype("<f8").view("<u8")
    else:
        codes, values = _encoded(column)
        table = np.array([_digest(value) for value in values] or [0], dtype="<u8")
        return np.where(codes < 0, _MISSING, table[codes])
    mixed = (raw + _MISSING) * _SPREAD
    mixed ^= mixed >> np.uint64(31)
    return np.where(np.asarray(column.is_null()), _MISSING, mixed)


def typed(ids: list[str], kind: Any) -> Array:  # noqa: ANN401 - see above
    """The digests of ids as a column of that type holds them; none where they are none of it."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    try:
        return digested(pa.array(ids, pa.string()).cast(kind))
    except pa.ArrowException:
        return np.empty(0, "<u8")


def _digest(value: object) -> int:
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


def _encoded(column: Any) -> tuple[Array, list[Any]]:  # noqa: ANN401 - see above
    """Codes and values of a column; -1 is missing. Nested values stand by their text."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    try:
        found = column.dictionary_encode()
    except pa.ArrowException:
        found = pa.array([None if value is None else str(value) for value in column.to_pylist()]).dictionary_encode()
    codes = np.asarray(found.indices.fill_null(-1)).astype("<i8")
    return codes, found.dictionary.to_pylist()


def named(column: Any) -> tuple[Array, list[str]]:  # noqa: ANN401 - see above
    """Codes and texts of a column of few values; what is missing is a value too, by the empty text."""
    codes, values = _encoded(column.dictionary_decode() if hasattr(column, "dictionary_decode") else column)
    texts = [_shown(value) for value in values]
    known = {text: at for at, text in enumerate(dict.fromkeys([*texts, ""]))}
    place = np.array([known[text] for text in texts] + [known[""]], dtype="<i8")
    return place[codes], list(known)


def _shown(value: object) -> str:
    text = str(value)[:_LONGEST] if not isinstance(value, float) else f"{value:g}"
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def day_numbers(column: Any) -> Array:  # noqa: ANN401 - see above
    """Days since 1970 for each value: timestamps, dates, seconds, milliseconds or microseconds, or ISO texts."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        days = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        numbers = np.asarray(days.fill_null(0)).astype("<f8") / 86_400
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        raw = np.asarray(column.cast(pa.float64(), safe=False).fill_null(0.0))
        largest = float(np.nanmax(np.abs(raw), initial=0.0))
        unit = 1e6 if largest > _MICROSECONDS else 1e3 if largest > _MILLISECONDS else 1.0
        numbers = raw / unit / 86_400
    else:
        codes, values = _encoded(column)
        table = np.array([_iso_day(value) for value in values] or [0.0])
        return np.where(codes < 0, _NO_DAY, np.nan_to_num(table[codes], nan=_NO_DAY)).astype("<i4")
    known = np.isfinite(numbers) & (np.abs(numbers) < 10**6) & ~np.asarray(column.is_null())
    return np.where(known, np.floor(np.where(known, numbers, 0)), _NO_DAY).astype("<i4")


def _iso_day(value: object) -> float:
    try:
        return float(np.datetime64(str(value)[:10], "D").astype("<i8"))
    except ValueError:
        return float("nan")
