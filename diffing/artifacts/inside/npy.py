# SPDX-License-Identifier: Apache-2.0
"""One array in NumPy's own format, versions 1 to 3; no objects, no structures, nothing evaluated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from diffing.artifacts.inside.scratch import keep
from diffing.artifacts.inside.tensors import NUMPY, Tensor, tensor
from diffing.artifacts.inside.words import RefusedError, checked_name, checked_shape, elements

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_MAGIC = b"\x93NUMPY"
_PREFIX = {1: (10, 2), 2: (12, 4), 3: (12, 4)}
_LONGEST = 1 << 16
_MOST_TURNED = 128 << 20  # bytes of an array in column order that are turned in memory
_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<descr>[<>|=]?[a-zA-Z?][0-9]{0,4})',\s*'fortran_order':\s*(?P<fortran>True|False),\s*"
    r"'shape':\s*\((?P<shape>[0-9, L]{0,400})\),?\s*\}\s*"
)
_KINDS = {kind.lstrip("<|"): name for name, kind in NUMPY.items() if name not in {"BOOL", "C64", "C128"}}
_KINDS |= {"b1": "BOOL", "?": "BOOL", "c8": "C64", "c16": "C128"}


def read(file: File, name: str, offset: int = 0, size: int | None = None) -> Tensor:
    """The array at ``offset`` of a file as a tensor of that name.

    Raises:
        RefusedError: a pickle in it, a structure, another byte order, or lengths that do not fit.
    """
    checked_name(name)
    size = file.size - offset if size is None else size
    start = file.read(offset, min(size, 12))
    if not start.startswith(_MAGIC) or len(start) < 12 or start[6] not in _PREFIX:  # noqa: PLR2004 - the prefix
        raise RefusedError("no array in NumPy's format, version 1 to 3")
    prefix, width = _PREFIX[start[6]]
    length = int.from_bytes(start[8 : 8 + width], "little")
    if length > _LONGEST or prefix + length > size:
        raise RefusedError("cut off, or a header longer than is read")
    header = file.read(offset + prefix, length).decode("latin-1")
    if "'O'" in header or "|O" in header:
        raise RefusedError("an array of Python objects: reading it would run a pickle")
    match = _HEADER.fullmatch(header)
    if match is None:
        raise RefusedError("an array header that is no plain description")
    return _array(match, file, name, offset + prefix + length, size - prefix - length)


def _array(match: re.Match[str], file: File, name: str, at: int, nbytes: int) -> Tensor:
    descr = match["descr"]
    if descr.startswith(">"):
        raise RefusedError("an array in big-endian order: store it little-endian")
    words = [word.strip(" L") for word in match["shape"].split(",")]
    if not all(word.isdigit() for word in words[:-1]) or not (words[-1] == "" or words[-1].isdigit()):
        raise RefusedError("an array header with a shape that is none")
    shape = checked_shape([int(word) for word in words if word])
    kind = descr.lstrip("<|=")
    if kind.startswith(("U", "S")):
        item = int(kind[1:] or 0) * (4 if kind[0] == "U" else 1)
        if elements(shape) * item != nbytes:
            raise RefusedError(f"array {name!r}: {nbytes:,} bytes where its shape says {elements(shape) * item:,}")
        return tensor(name, f"TEXT_{kind}", shape, file, at, nbytes)
    if kind not in _KINDS:
        raise RefusedError(f"an array of {ascii(descr)[:20]}: not a plain number")
    found = tensor(name, _KINDS[kind], shape, file, at, nbytes)
    if match["fortran"] == "True" and len(shape) > 1:
        return _turned(found)
    return found


def _turned(found: Tensor) -> Tensor:
    """An array stored by columns, by rows: other rows, the same values."""
    if found.nbytes > _MOST_TURNED:
        raise RefusedError(f"an array of {found.nbytes:,} bytes stored by columns: store it by rows")
    raw = np.frombuffer(found.file.read(found.offset, found.nbytes), dtype=np.uint8)
    count = elements(found.shape)
    items = raw.reshape(count, -1) if count else raw.reshape(0, 1)
    turned = items.reshape((*reversed(found.shape), items.shape[1])).transpose(
        *reversed(range(len(found.shape))), len(found.shape)
    )
    return keep(found.name, found.dtype, found.shape, np.ascontiguousarray(turned).tobytes())
