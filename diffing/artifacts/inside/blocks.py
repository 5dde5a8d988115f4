# SPDX-License-Identifier: Apache-2.0
"""Two tensors side by side, a block at a time: the same memory whatever their size, hashed on the way."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from diffing.artifacts.inside.tensors import BLOCKS, WIDTH
from diffing.artifacts.inside.words import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.artifacts.inside.tensors import Tensor

BLOCK = 1 << 16  # elements compared at once: a few of these fit into a core's cache
_BLOCKS_A_READ = 16
_CHUNK = 4 << 20


class Block(NamedTuple):
    """Elements ``start`` to before ``end`` of both sides as raw bytes; whole rows, or a part of one row."""

    start: int
    end: int
    old: memoryview
    new: memoryview
    equal: bool


@dataclass
class Digests:
    """SHA-256 of both sides' bytes, complete once all blocks have been taken."""

    old: str = ""
    new: str = ""


class Reader:
    """A range of a file, read forward into the caller's buffer."""

    def __init__(self, tensor: Tensor) -> None:
        self._descriptor = os.open(tensor.file.path, os.O_RDONLY | os.O_CLOEXEC)
        self._at = tensor.offset
        self._end = tensor.offset + tensor.nbytes

    def into(self, buffer: memoryview) -> None:
        """Fill the buffer.

        Raises:
            RefusedError: the file has become shorter.
        """
        done = 0
        while done < len(buffer):
            got = os.preadv(self._descriptor, [buffer[done:]], self._at)
            if got <= 0 or self._at + got > self._end:
                raise RefusedError("the file changed while it was read")
            done += got
            self._at += got

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def width(tensor: Tensor) -> tuple[int, int]:
    """Elements and bytes that cannot be divided: 1 and the element's, or a quantised block's."""
    if tensor.dtype in BLOCKS:
        return BLOCKS[tensor.dtype]
    return 1, WIDTH[tensor.dtype]


def blocks(old: Tensor, new: Tensor, rows: int, digests: Digests) -> Iterator[Block]:
    """The first ``rows`` rows of two tensors whose rows have the same length, and both digests at the end.

    Where both are stored alike, digests of equal bytes are made once. What is beyond ``rows`` is only hashed.
    """
    columns = old.columns
    sides = (Reader(old), Reader(new))
    alike = old.dtype == new.dtype
    with ThreadPoolExecutor(1) as pool:
        hashes = _Hashes(pool, alike=alike)
        try:
            for start, count in _stretches(rows, columns):
                sizes = [count // width(one)[0] * width(one)[1] for one in (old, new)]
                buffers = hashes.buffers(sizes)
                for side, buffer in zip(sides, buffers, strict=True):
                    side.into(memoryview(buffer))
                equal = alike and buffers[0] == buffers[1]
                hashes.take(buffers, equal=equal)
                yield from _split(start, count, columns, buffers, sizes, equal=equal)
            _rest(hashes, old, new, rows, sides)
            digests.old, digests.new = hashes.finish()
        finally:
            for side in sides:
                side.close()


def _rest(hashes: _Hashes, old: Tensor, new: Tensor, rows: int, sides: tuple[Reader, Reader]) -> None:
    done = [rows * old.columns // width(one)[0] * width(one)[1] for one in (old, new)]
    hashes.part()
    for number, one in enumerate((old, new)):
        left = one.nbytes - done[number]
        while left > 0:
            buffer = bytearray(min(_CHUNK, left))
            sides[number].into(memoryview(buffer))
            hashes.take_one(number, buffer)
            left -= len(buffer)


def _stretches(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Starts and lengths of what is read at once: whole rows, or a part of one."""
    if columns == 0 or rows == 0:
        return
    if columns <= BLOCK:
        step = BLOCK // columns * columns * _BLOCKS_A_READ
        total = rows * columns
        for start in range(0, total, step):
            yield start, min(step, total - start)
        return
    step = BLOCK * _BLOCKS_A_READ
    for row in range(rows):
        for at in range(0, columns, step):
            yield row * columns + at, min(step, columns - at)


def _split(
    start: int, count: int, columns: int, buffers: tuple[bytearray, bytearray], sizes: list[int], *, equal: bool
) -> Iterator[Block]:
    """Blocks of a stretch; equal ones are told apart from those that differ."""
    old, new = memoryview(buffers[0]), memoryview(buffers[1])
    if equal:
        yield Block(start, start + count, old, new, equal=True)
        return
    step = BLOCK // columns * columns if columns <= BLOCK else BLOCK
    a, b = sizes[0], sizes[1]
    for at in range(0, count, step):
        end = min(at + step, count)
        one, other = old[at * a // count : end * a // count], new[at * b // count : end * b // count]
        yield Block(start + at, start + end, one, other, equal=False)


class _Hashes:
    """Two running digests, fed by another thread while the numbers are compared; one as long as all bytes are equal."""

    def __init__(self, pool: ThreadPoolExecutor, *, alike: bool) -> None:
        self._pool = pool
        self._running = [hashlib.sha256(), hashlib.sha256()]
        self._together = alike
        self._waiting: list[Future[None] | None] = [None, None]
        self._turn = 0
        self._kept: dict[tuple[int, int, int], bytearray] = {}

    def buffers(self, sizes: list[int]) -> tuple[bytearray, bytearray]:
        """Two buffers that no digest is being made of."""
        self._turn = 1 - self._turn
        waiting = self._waiting[self._turn]
        if waiting is not None:
            waiting.result()
        found = []
        for number, size in enumerate(sizes):
            buffer = self._kept.get((self._turn, number, size))
            if buffer is None:
                self._kept = {key: held for key, held in self._kept.items() if key[:2] != (self._turn, number)}
                buffer = self._kept[self._turn, number, size] = bytearray(size)
            found.append(buffer)
        return found[0], found[1]

    def take(self, buffers: tuple[bytearray, bytearray], *, equal: bool) -> None:
        """Hash two buffers, or one where they are equal and all before were."""
        if not equal:
            self.part()
        together = self._together

        def update() -> None:
            self._running[0].update(buffers[0])
            if not together:
                self._running[1].update(buffers[1])

        self._waiting[self._turn] = self._pool.submit(update)

    def take_one(self, number: int, buffer: bytearray) -> None:
        """Hash a buffer of one side."""
        self._running[number].update(buffer)

    def part(self) -> None:
        """From here on the sides differ."""
        if self._together:
            self._settle()
            self._running[1] = self._running[0].copy()
            self._together = False

    def finish(self) -> tuple[str, str]:
        """Both digests."""
        self._settle()
        old = self._running[0].hexdigest()
        return old, old if self._together else self._running[1].hexdigest()

    def _settle(self) -> None:
        for waiting in self._waiting:
            if waiting is not None:
                waiting.result()


def digest(tensor: Tensor) -> str:
    """The SHA-256 of one tensor's bytes."""
    reader, running = Reader(tensor), hashlib.sha256()
    try:
        for at in range(0, tensor.nbytes, _CHUNK):
            buffer = bytearray(min(_CHUNK, tensor.nbytes - at))
            reader.into(memoryview(buffer))
            running.update(buffer)
    finally:
        reader.close()
    return running.hexdigest()
