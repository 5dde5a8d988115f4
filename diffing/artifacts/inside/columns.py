# SPDX-License-Identifier: Apache-2.0
"""A column of training data as numbers: the same value gives the same ones, whatever format or type it came in.

A whole number is one as a number, as a float and as text, so that ids of a Parquet file are those of a CSV file;
``007`` is no number. Days are those of UTC.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array

MISSING = np.uint64(0x9E3779B97F4A7C15)
SPREAD = np.uint64(0xBF58476D1CE4E5B9)
NO_DAY = np.iinfo("<i4").max
_WHOLE = (
    r"^(0|-?([1-9][0-9]{0,17}|[1-8][0-9]{18}))\z"  # what a whole number of 64 bits is written as, and nothing else is
)
_WHOLE_BYTES = re.compile(rb"0|-?([1-9][0-9]{0,17}|[1-8][0-9]{18})")
_EXACT = 2.0**53  # up to here a float is the whole number that it looks like
_EPOCH = re.compile(r"[0-9]{9,13}(\.[0-9]+)?|[0-9]{15,20}")
_WITH_TIME = re.compile(r"[0-9]{14}")  # a date and a time of day
_1970 = 719_163
_DAY = 86_400
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # from which number on a time is in which part of a second: 1973
_FIRST_DATE, _LAST_DATE = 19000101, 21001231
_LONGEST = 200


def digested(column: Any) -> Array:  # noqa: ANN401 - pyarrow has no types
    """64 bits for each value of a column, the same for the same value; ``MISSING`` for none."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64())
        kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        numbers = column.cast(pa.uint64() if pa.types.is_uint64(kind) else pa.int64(), safe=False)
        raw = np.asarray(numbers.fill_null(0)).view("<u8")
        return np.where(np.asarray(column.is_null()), MISSING, _mixed(raw))
    if pa.types.is_floating(kind):
        values = np.asarray(column.cast(pa.float64()).fill_null(np.nan)).astype("<f8")
        whole = (np.abs(values) < _EXACT) & (values == np.floor(values))
        numbers_ = np.where(whole, values, 0).astype("<i8").view("<u8")
        return np.where(np.isnan(values), MISSING, _mixed(np.where(whole, numbers_, values.view("<u8"))))
    codes, found = _encoded(column)
    table = _of_texts(found)
    return np.where(codes < 0, MISSING, table[codes])


def digests_of(ids: list[str]) -> Array:
    """The digests of ids that are given as text."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    return digested(pa.array(ids, pa.string()))


def _mixed(raw: Array) -> Array:
    mixed = (raw + MISSING) * SPREAD
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _of_texts(found: Any) -> Array:  # noqa: ANN401 - pyarrow has no types
    """The digests of distinct values; whole numbers all at once, as they are many where there are any."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start
    import pyarrow.compute as pc  # noqa: PLC0415 - slow to start

    if not len(found):
        return np.zeros(1, "<u8")
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
        return np.array([_digest(value) for value in found.to_pylist()], dtype="<u8")
    whole = np.asarray(pc.match_substring_regex(found, _WHOLE)).astype(bool)
    table = np.zeros(len(found), "<u8")
    if whole.any():
        table[whole] = _mixed(np.asarray(found.filter(pa.array(whole)).cast(pa.int64())).astype("<i8").view("<u8"))
    if not whole.all():
        table[~whole] = [_hashed(text.encode()) for text in found.filter(pa.array(~whole)).to_pylist()]
    return table


def _digest(value: object) -> int:
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    if _WHOLE_BYTES.fullmatch(raw):
        return int(_mixed(np.array([int(raw)], "<i8").view("<u8"))[0])
    return _hashed(raw)


def _hashed(raw: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


def _encoded(column: Any) -> tuple[Array, Any]:  # noqa: ANN401 - pyarrow has no types
    """Codes of a column, and its distinct values; -1 is missing. Nested values stand by their text."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    try:
        found = column.dictionary_encode()
    except pa.ArrowException:
        found = pa.array([None if value is None else str(value) for value in column.to_pylist()]).dictionary_encode()
    return np.asarray(found.indices.fill_null(-1)).astype("<i8"), found.dictionary


def named(column: Any) -> tuple[Array, list[str]]:  # noqa: ANN401 - pyarrow has no types
    """Codes and texts of a column of few values; what is missing is a value too, by the empty text."""
    codes, values = _encoded(column)
    texts = [_shown(value) for value in values.to_pylist()]
    known = {text: at for at, text in enumerate(dict.fromkeys([*texts, ""]))}
    place = np.array([known[text] for text in texts] + [known[""]], dtype="<i8")
    return place[codes], list(known)


def _shown(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN is the number that is not itself
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    text = f"{text:g}" if isinstance(text, float) else str(text)[:_LONGEST]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def day_numbers(column: Any) -> Array:  # noqa: ANN401 - pyarrow has no types
    """Days of UTC since 1970 for each value: timestamps, dates, parts of seconds, dates as numbers, or ISO texts."""
    import pyarrow as pa  # noqa: PLC0415 - slow to start

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        days = np.asarray(seconds.fill_null(0)).astype("<f8") / _DAY
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        days = _of_numbers(np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan)))
    else:
        codes, values = _encoded(column)
        table = np.array([_of_text(str(value)) for value in values.to_pylist()] or [np.nan])
        days = np.where(codes < 0, np.nan, table[codes])
    known = np.isfinite(days) & (np.abs(days) < 10**6) & ~np.asarray(column.is_null())
    return np.where(known, np.floor(np.where(known, days, 0)), NO_DAY).astype("<i4")


def _of_numbers(raw: Array) -> Array:
    """Each by its own size, so that one that is far off does not move the others; dates only if all are dates."""
    known = np.isfinite(raw)
    if known.any() and _are_dates(raw[known]):
        whole = np.where(known, raw, _FIRST_DATE).astype("<i8")
        months = (whole // 10_000 - 1970) * 12 + whole // 100 % 100 - 1
        days = months.astype("<M8[M]").astype("<M8[D]").astype("<i8") + whole % 100 - 1
        return np.where(known, days, np.nan)
    unit = np.ones(len(raw))
    for size, parts in reversed(_UNITS):
        unit[np.abs(np.where(known, raw, 0)) > size] = parts
    return raw / unit / _DAY


def _are_dates(raw: Array) -> bool:
    """Whether all are days written as numbers, such as 20250131."""
    month, day = raw // 100 % 100, raw % 100
    inside = (raw >= _FIRST_DATE) & (raw <= _LAST_DATE) & (raw == np.floor(raw))
    return bool((inside & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())  # noqa: PLR2004 - a calendar


def _of_text(text: str) -> float:
    """The day of a text; that of UTC where it names its zone."""
    text = text.strip()
    if _EPOCH.fullmatch(text):
        return float(_of_numbers(np.array([float(text)]))[0])
    try:
        moment = datetime.fromisoformat(text[:8] if _WITH_TIME.fullmatch(text) else text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).toordinal() - _1970
    except (ValueError, OverflowError):
        pass
    try:
        return float(np.datetime64(text[:10], "D").astype("<i8"))
    except ValueError:
        return float("nan")
