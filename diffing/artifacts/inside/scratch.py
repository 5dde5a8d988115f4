# SPDX-License-Identifier: Apache-2.0
"""Values that no file holds as they are, unpacked or turned, as ranges of files in the sandbox's private /tmp."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from diffing.artifacts.inside.tensors import tensor
from diffing.artifacts.inside.words import File, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diffing.artifacts.inside.tensors import Tensor

MOST = 256 << 20  # bytes unpacked for one side; /tmp holds two sides
_used: dict[str, int] = {"side": 0}


def begin_side() -> None:
    """Start counting for the next side."""
    _used["side"] = 0


def used() -> int:
    """Bytes unpacked for this side so far."""
    return _used["side"]


def add_used(count: int) -> None:
    """Count what was unpacked before an archive was opened as a side of its own."""
    _used["side"] += count


def spool(name: str, chunks: Iterable[bytes]) -> File:
    """A file of these chunks.

    Raises:
        RefusedError: it is more than is unpacked.
    """
    with tempfile.NamedTemporaryFile(delete=False) as file:
        for chunk in chunks:
            _used["side"] += len(chunk)
            if _used["side"] > MOST:
                raise RefusedError(f"more than {MOST:,} bytes when unpacked: store it uncompressed")
            file.write(chunk)
    return File(name, str(Path(file.name)))


def keep(name: str, dtype: str, shape: tuple[int, ...], raw: bytes) -> Tensor:
    """A tensor of bytes that are in memory."""
    return tensor(name, dtype, shape, spool(name, [raw]), 0, len(raw))
