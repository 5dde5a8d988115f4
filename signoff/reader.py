# SPDX-License-Identifier: Apache-2.0
"""Reading a log on disk: entries and proofs, out of tiles that lead to a checkpoint that the log's key signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import InputError, Json, VerificationError
from signoff.leaves import entry_bytes
from signoff.merkle import Hash, consistency_path, inclusion_path, leaf_hash, root, verify_inclusion
from signoff.notes import Checkpoint, NoteKey, open_checkpoint
from signoff.proofs import LogProof
from signoff.tiles import CHECKPOINT, TILE_HEIGHT, TILE_WIDTH, TileReader, hash_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_STEP = "log"


class LogReader:
    """A log's directory, read only. Every answer is out of tiles that lead to a checkpoint signed by ``key``."""

    def __init__(self, directory: Path, key: NoteKey) -> None:
        self.directory = directory
        self.key = key

    def checkpoint(self) -> bytes:
        """The signed checkpoint as it is served.

        Raises:
            VerificationError: missing, or not signed by the log.
        """
        return self.head()[0]

    @property
    def size(self) -> int:
        """How many entries the checkpoint commits to."""
        return self.head()[1].size

    def entry(self, index: int) -> bytes:
        """Entry ``index``, checked against the checkpoint.

        Raises:
            InputError: no such entry.
            VerificationError: the log on disk is damaged.
        """
        _, head = self.head()
        if not 0 <= index < head.size:
            raise InputError(f"no entry {index} in a log of {head.size}")
        reader = TileReader(self.directory, head.size)
        return _bundle(reader, head, index // TILE_WIDTH)[index % TILE_WIDTH]

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[Hash, ...]:
        """The path from entry ``index`` to the root of the first ``size`` entries (by default all).

        Raises:
            InputError: no such entry, or the log is smaller.
            VerificationError: the log on disk is damaged.
        """
        whole = self.size
        size = whole if size is None else size
        if size > whole:
            raise InputError(f"the log has {whole} entries, not {size}")
        return inclusion_path(TileReader(self.directory, whole), index, size)

    def consistency_proof(self, old: int, new: int | None = None) -> tuple[Hash, ...]:
        """That the log of ``new`` entries (by default all) begins with that of ``old``.

        Raises:
            InputError: not 0 <= old <= new <= size.
            VerificationError: the log on disk is damaged.
        """
        whole = self.size
        new = whole if new is None else new
        if new > whole:
            raise InputError(f"the log has {whole} entries, not {new}")
        return consistency_path(TileReader(self.directory, whole), old, new)

    def proof(self, index: int) -> LogProof:
        """The offline proof of entry ``index``, under the checkpoint as it is now. It has been verified.

        Raises:
            InputError: no such entry.
            VerificationError: the log on disk is damaged.
        """
        note, head = self.head()
        if not 0 <= index < head.size:
            raise InputError(f"no entry {index} in a log of {head.size}")
        reader = TileReader(self.directory, head.size)
        proof = LogProof(index, inclusion_path(reader, index, head.size), note)
        proof.verify(reader.hashes(0, index // TILE_WIDTH)[index % TILE_WIDTH], self.key)
        return proof

    def index_of(self, document: Mapping[str, Json], first: int = 0) -> int | None:
        """Where a leaf stands, the first time from the tile of entry ``first`` on; None if nowhere.

        Tiles of hashes are read, no entries.

        Raises:
            VerificationError: the log on disk is damaged.
        """
        wanted = leaf_hash(entry_bytes(document))
        reader = TileReader(self.directory, self.size)
        for tile in range(first // TILE_WIDTH, (reader.size + TILE_WIDTH - 1) // TILE_WIDTH):
            hashes = reader.hashes(0, tile)
            if wanted in hashes:
                return tile * TILE_WIDTH + hashes.index(wanted)
        return None

    def entries(self) -> Iterator[bytes]:
        """All entries in order, each checked against the checkpoint.

        Raises:
            VerificationError: the log on disk is damaged.
        """
        _, head = self.head()
        reader = TileReader(self.directory, head.size)
        for number in range((head.size + TILE_WIDTH - 1) // TILE_WIDTH):
            yield from _bundle(reader, head, number)

    def verify(self) -> Checkpoint:
        """Recompute everything from the entries: every tile, and the root.

        Raises:
            VerificationError: the first thing that does not agree.
        """
        _, head = self.head()
        reader = TileReader(self.directory, head.size)
        for number in range((head.size + TILE_WIDTH - 1) // TILE_WIDTH):
            _bundle(reader, head, number)
        level = 1
        while head.size >> (TILE_HEIGHT * level):
            for index in range(head.size >> (TILE_HEIGHT * level)):
                above = reader.hashes(level, index // TILE_WIDTH)[index % TILE_WIDTH]
                if above != hash_tree(reader.hashes(level - 1, index)):
                    raise VerificationError(_STEP, f"tile {index} of level {level - 1} is not what the one above says")
            level += 1
        check_root(reader, head)
        return head

    def head(self) -> tuple[bytes, Checkpoint]:
        """The signed checkpoint as it is served, and what it says.

        Raises:
            VerificationError: missing, or not signed by the log.
        """
        try:
            note = (self.directory / CHECKPOINT).read_bytes()
        except OSError as error:
            raise VerificationError(_STEP, f"{self.directory}: no checkpoint: {error.strerror}") from error
        return note, open_checkpoint(note, self.key)


def _bundle(reader: TileReader, head: Checkpoint, number: int) -> list[bytes]:
    """An entry bundle, checked: the path of its first entry is made of the hashes of all the others."""
    entries = reader.entries(number)
    first = number * TILE_WIDTH
    path = inclusion_path(reader, first, head.size)
    verify_inclusion(leaf_hash(entries[0]), first, head.size, path, head.root)
    return entries


def check_root(reader: TileReader, head: Checkpoint) -> None:
    """Check that the tiles at the right edge lead to the checkpoint's root.

    Raises:
        VerificationError: they do not.
    """
    if root(reader, head.size) != head.root:
        raise VerificationError(_STEP, f"{reader.directory}: the tiles do not lead to the checkpoint; restore them")
