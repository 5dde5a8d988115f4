# SPDX-License-Identifier: Apache-2.0
"""The layout of a log on disk, c2sp.org/tlog-tiles, and reading it.

``checkpoint``, ``tile/<L>/<N>[.p/<W>]`` and ``tile/entries/<N>[.p/<W>]``: plain files that any static file server
may serve under ``/log/``.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING

from evidence import InputError, VerificationError
from signoff.merkle import HASH_BYTES, Hash, leaf_hash, node_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = (1 << 16) - 1
CHECKPOINT = "checkpoint"

_STEP = "log"
_CACHED_TILES = 64


def tile_path(level: int | str, index: int, width: int) -> str:
    """Where a tile is, relative to the log: ``level`` is a number or ``entries``, ``width`` 1 to 256.

    1234067 becomes ``x001/x234/067``; a tile that is not full ends in ``.p/<width>``.
    """
    parts = [f"{index % 1000:03d}"]
    while index := index // 1000:
        parts.append(f"x{index % 1000:03d}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(parts))}{partial}"


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes the tile has in a log of ``size`` entries: 0 if it is not there, 256 if full."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry with its length in two bytes before it.

    Raises:
        InputError: an entry above 65,535 bytes, which the format cannot hold.
    """
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise InputError(f"a log entry of {len(entry)} bytes; at most {MAX_ENTRY_BYTES} fit")
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def unpack_entries(bundle: bytes) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        VerificationError: it ends within an entry.
    """
    entries = []
    at = 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entry = bundle[at + 2 : at + 2 + length]
        at += 2 + length
        if at > len(bundle):
            raise VerificationError(_STEP, "an entry bundle ends within an entry")
        entries.append(entry)
    return entries


def hash_tree(hashes: Sequence[Hash]) -> Hash:
    """The root over 1, 2, 4 … 256 hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


class TileReader:
    """Node hashes and entries of a log of ``size`` entries, out of its tiles.

    Tiles are read at the width that this size has; a full tile stands in where a narrower one was removed.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self.size = size
        self._tile = functools.lru_cache(_CACHED_TILES)(self._read_tile)

    def node(self, level: int, index: int) -> Hash:
        """The hash of a complete subtree, see `merkle.Nodes`."""
        tile_level, below = divmod(level, TILE_HEIGHT)
        first = index << below
        tile, start = divmod(first, TILE_WIDTH)
        hashes = self._tile(tile_level, tile)
        count = 1 << below
        if start + count > len(hashes):
            raise VerificationError(_STEP, f"no subtree {index} of level {level} in a log of {self.size}")
        return hash_tree(hashes[start : start + count])

    def hashes(self, level: int, index: int) -> tuple[Hash, ...]:
        """All hashes of a tile; empty if the log has not got so far."""
        return self._tile(level, index)

    def entries(self, index: int) -> list[bytes]:
        """The entries of bundle ``index``, checked against the leaf hashes; empty if the log has not got so far.

        Raises:
            VerificationError: the bundle is missing, damaged, or not what the tile says.
        """
        width = tile_width(0, index, self.size)
        if not width:
            return []
        entries = unpack_entries(self._read("entries", index, width))[:width]
        if tuple(map(leaf_hash, entries)) != self._tile(0, index):
            raise VerificationError(_STEP, f"entry bundle {index} is not what its tile says")
        return entries

    def _read_tile(self, level: int, index: int) -> tuple[Hash, ...]:
        width = tile_width(level, index, self.size)
        if not width:
            return ()
        data = self._read(level, index, width)
        if len(data) < width * HASH_BYTES or len(data) % HASH_BYTES:
            raise VerificationError(_STEP, f"{tile_path(level, index, width)} is {len(data)} bytes long")
        return tuple(data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES))

    def _read(self, level: int | str, index: int, width: int) -> bytes:
        for candidate in (width, TILE_WIDTH):
            try:
                return (self.directory / tile_path(level, index, candidate)).read_bytes()
            except FileNotFoundError:
                continue
        raise VerificationError(_STEP, f"{tile_path(level, index, width)} is missing")
