# SPDX-License-Identifier: Apache-2.0
"""Fisher and Yates's shuffle of many sets of places side by side, ended once those that are wanted are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

Places = np.ndarray[Any, np.dtype[np.int16]]

MOST = 8192  # places: 32 bits are even to two in a million up to here


def shuffled(generator: np.random.Generator, size: int, wanted: int, rows: int) -> Places:
    """The first ``wanted`` of ``size`` places, at most ``MOST``, in each of ``rows`` shuffles: wanted x rows."""
    words = _words(generator, wanted * rows).reshape(wanted, rows)
    return moved(words * (np.arange(size, size - wanted, -1) / (1 << 32))[:, None], size)


def moved(beyond: np.ndarray[Any, np.dtype[np.float64]], size: int) -> Places:
    """What the shuffle draws where ``beyond`` says how far after its own place each step chooses one: steps x rows."""
    wanted, rows = beyond.shape
    places = np.repeat(np.arange(size, dtype=np.int16), rows)
    chosen = beyond.astype(np.int64)
    chosen *= rows
    chosen += np.arange(wanted * rows).reshape(wanted, rows)
    for step, cells in enumerate(chosen):
        here = places[step * rows : (step + 1) * rows]
        taken = places.take(cells)
        places[cells] = here
        here[:] = taken
    return places[: wanted * rows].reshape(wanted, rows)


def _words(generator: np.random.Generator, count: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Numbers of 32 bits, as ``integers`` gives them; the halves of numbers of 64 come three times as fast."""
    if count % 2 or generator.bit_generator.state["has_uint32"]:
        return generator.integers(0, 1 << 32, size=count, dtype=np.uint32)
    return generator.integers(0, 1 << 64, size=count // 2, dtype=np.uint64).astype("<u8").view("<u4")
