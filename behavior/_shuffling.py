# SPDX-License-Identifier: Apache-2.0
"""Fisher and Yates's shuffle of many sets of places side by side, ended once those that are wanted are drawn.

Where few of many places are wanted, hardly one is chosen twice. Then nothing is moved: what was chosen is what is
drawn, and only where a place was chosen before is it followed back to what had come to stand there. Both ways draw the
same places from the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Moved = np.ndarray[Any, np.dtype[np.int16]]
Chosen = np.ndarray[Any, np.dtype[np.uint16]]

MOST = 8192  # places: 32 bits are even to two in a million up to here
_SELDOM = 4  # times as many places as the square of the wanted ones: about two of them are chosen again


def shuffled(generator: np.random.Generator, size: int, wanted: int, rows: int) -> Moved | Chosen:
    """The first ``wanted`` of ``size`` places, at most ``MOST``, in each of ``rows`` shuffles: wanted x rows."""
    words = _words(generator, wanted * rows).reshape(wanted, rows)
    left = np.arange(size, size - wanted, -1)
    beyond = words * (left / (1 << 32))[:, None]
    return _followed(beyond) if wanted * wanted <= _SELDOM * size else _moved(beyond, size)


def _moved(beyond: np.ndarray[Any, np.dtype[np.float64]], size: int) -> Moved:
    """Every step carried out. ``beyond`` says how far after its own place each step chooses one: steps x rows."""
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


def _followed(beyond: np.ndarray[Any, np.dtype[np.float64]]) -> Chosen:
    """The same, at most 255 steps: a step that chose a place which step ``i`` had chosen gets what stood at ``i`` then.

    That is place ``i`` itself, unless a step before had chosen that one, and so on backwards.
    """
    wanted = len(beyond)
    chosen = beyond.astype(np.uint16)
    chosen += np.arange(wanted, dtype=np.uint16)[:, None]
    again = np.zeros(chosen.shape, dtype=np.bool_)
    for step in range(1, wanted):
        np.equal(chosen[:step], chosen[step]).any(axis=0, out=again[step])
    at, row = np.nonzero(again)
    numbers = np.arange(1, wanted + 1, dtype=np.uint8)[:, None]
    now, place, columns = at.astype(np.uint8), chosen[at, row], chosen.take(row, axis=1)
    stood, left = place.copy(), np.arange(len(at))
    while len(left):
        stood[left] = place
        earlier = (columns == place) & (numbers <= now)
        last = (earlier.view(np.uint8) * numbers).max(axis=0)  # the last such step's number, from 1; 0 is none
        there = np.flatnonzero(last)
        left, columns = left[there], columns.take(there, axis=1)
        now = last[there] - np.uint8(1)
        place = now.astype(np.uint16)
    chosen[at, row] = stood
    return chosen


def _words(generator: np.random.Generator, count: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Numbers of 32 bits, as ``integers`` gives them; the halves of numbers of 64 come three times as fast."""
    if count % 2 or generator.bit_generator.state["has_uint32"]:
        return generator.integers(0, 1 << 32, size=count, dtype=np.uint32)
    return generator.integers(0, 1 << 64, size=count // 2, dtype=np.uint64).astype("<u8").view("<u4")
