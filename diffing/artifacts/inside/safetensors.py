# SPDX-License-Identifier: Apache-2.0
"""safetensors, strictly: every byte is header or belongs to exactly one tensor (the format's own specification)."""

from __future__ import annotations

from typing import Any

from diffing.artifacts.inside.polyglots import refuse_polyglot
from diffing.artifacts.inside.tensors import WIDTH, Tensor, tensor
from diffing.artifacts.inside.words import (
    MAX_HEADER,
    MAX_TENSORS,
    File,
    RefusedError,
    checked_name,
    checked_shape,
    inner_path,
    strict_json,
)

_LENGTH = 8
_INDEX_SUFFIX = ".safetensors.index.json"


def read(file: File, told: dict[str, object] | None = None) -> list[Tensor]:
    """The tensors of one file, by name; its metadata goes into ``told``.

    Raises:
        RefusedError: anything that two readers could understand differently.
    """
    if file.size < _LENGTH:
        raise RefusedError("cut off: shorter than a safetensors header")
    length = int.from_bytes(file.read(0, _LENGTH), "little")
    if length > MAX_HEADER:
        raise RefusedError(f"a header of {length:,} bytes, more than {MAX_HEADER:,}")
    header = file.read(_LENGTH, length)
    if not header.startswith(b"{"):
        raise RefusedError("no safetensors: the header does not begin with '{'")
    refuse_polyglot(file)
    document = strict_json(header.rstrip(b" "), "the header")
    if not isinstance(document, dict) or len(document) > MAX_TENSORS:
        raise RefusedError(f"a header that is no object, or names more than {MAX_TENSORS:,} tensors")
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise RefusedError("__metadata__ holds something other than text")
    if told is not None:
        told.update(metadata)
    start = _LENGTH + length
    found = [_entry(checked_name(name), entry, file, start) for name, entry in document.items()]
    _covered(found, start, file.size)
    return sorted(found, key=lambda one: one.name)


def read_shards(files: list[File], indices: list[File], told: dict[str, object] | None = None) -> list[Tensor]:
    """The tensors of all shards; with an index, exactly those that it names, where it names them."""
    if len(indices) > 1:
        raise RefusedError("two indices for one model")
    by_name: dict[str, Tensor] = {}
    for file in files:
        for one in read(file, told):
            if one.name in by_name:
                raise RefusedError(f"tensor {one.name!r} is in two shards")
            by_name[one.name] = one
    for index in indices:
        _hold_index(index, files, by_name)
    return [by_name[name] for name in sorted(by_name)]


def is_index(name: str) -> bool:
    """Whether a file is the index of a sharded model by its name."""
    return name.lower().endswith(_INDEX_SUFFIX)


def _hold_index(index: File, files: list[File], tensors: dict[str, Tensor]) -> None:
    document = strict_json(index.read(0, index.size), "the index")
    weights = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, str) for value in weights.values()):
        raise RefusedError("no weight_map of names to files")
    present = {file.name.rpartition("/")[2] for file in files}
    missing = sorted({inner_path(value) for value in weights.values()} - present)
    if missing:
        raise RefusedError(f"the shard {missing[0]!r} is missing ({len(missing)} missing in all)")
    actual = {name: one.file.name.rpartition("/")[2] for name, one in tensors.items()}
    wrong = sorted(name for name in {*weights, *actual} if weights.get(name) != actual.get(name))
    if wrong:
        raise RefusedError(f"tensor {wrong[0]!r} is not where the index says")


def _entry(name: str, entry: Any, file: File, start: int) -> Tensor:  # noqa: ANN401 - parsed JSON
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise RefusedError(f"tensor {name!r}: not just dtype, shape and data_offsets")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise RefusedError(f"tensor {name!r}: the unknown dtype {ascii(entry['dtype'])[:40]}")
    offsets = entry["data_offsets"]
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2  # noqa: PLR2004 - begin and end
        or not all(isinstance(offset, int) and not isinstance(offset, bool) for offset in offsets)
        or not 0 <= offsets[0] <= offsets[1]
    ):
        raise RefusedError(f"tensor {name!r}: data_offsets that are no range")
    return tensor(name, dtype, checked_shape(entry["shape"]), file, start + offsets[0], offsets[1] - offsets[0])


def _covered(tensors: list[Tensor], start: int, size: int) -> None:
    """Refuse holes, overlaps and bytes behind the last tensor."""
    at, last = start, "the header"
    for one in sorted(tensors, key=lambda one: (one.offset, one.offset + one.nbytes)):
        if one.offset < at:
            raise RefusedError(f"tensors {last!r} and {one.name!r} overlap")
        if one.offset > at:
            raise RefusedError(f"{one.offset - at:,} bytes before tensor {one.name!r} belong to no tensor")
        at, last = one.offset + one.nbytes, one.name
    if at != size:
        raise RefusedError(f"{size - at:,} bytes behind the last tensor belong to none")


_DTYPES = {name: name for name in WIDTH} | {"F8_E4M3FN": "F8_E4M3"}
