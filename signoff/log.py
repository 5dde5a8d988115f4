# SPDX-License-Identifier: Apache-2.0
"""The transparency log: append-only, in C2SP tiles on disk, with a checkpoint that the log's key signs.

An append writes entries, then tiles, then what it signed, then the checkpoint, each whole or not at all. What a kill
leaves behind before the signature is cleared away: nobody was shown it. After the signature the append is finished on
opening, so that a log never signs two histories, also where an older checkpoint was put back. A directory whose tiles
do not lead to its checkpoint is refused, never served. One writer at a time, by a lock that dies with its process.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evidence import InputError, Json, VerificationError
from signoff._disk import UNFINISHED, Disk
from signoff.leaves import entry_bytes
from signoff.merkle import EMPTY_ROOT, leaf_hash, root
from signoff.notes import Checkpoint, key_id, open_checkpoint, split_note
from signoff.reader import LogReader, check_root
from signoff.tiles import CHECKPOINT, TILE_HEIGHT, TILE_WIDTH, TileReader, hash_tree, pack_entries, tile_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from signoff.logkey import LogKey

_STEP = "log"
_LOCK = ".lock"
_SIGNED = ".signed"  # the last checkpoint that was signed, written before it is shown


class Log(LogReader):
    """A log that can be written. Opening one makes it if the directory is empty, and repairs what a kill left."""

    def __init__(self, directory: Path, signer: LogKey, *, disk: Disk | None = None) -> None:
        super().__init__(directory, signer.public)
        self._signer = signer
        self._disk = disk or Disk()
        directory.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if not (directory / CHECKPOINT).exists():
                self._create()
            self._clear_beyond(self._recover())

    def append(self, document: Mapping[str, Json]) -> int:
        """Add one leaf, see `leaf`. When this returns, it is on disk and under the checkpoint.

        Returns:
            Its index.

        Raises:
            TooLargeError: larger than an entry may be.
            VerificationError: the log on disk is damaged; nothing was added.
        """
        return self.append_entries([entry_bytes(document)])

    def append_entries(self, entries: Sequence[bytes]) -> int:
        """Add entries under one checkpoint: all of them, or after a kill none.

        Returns:
            The index of the first.

        Raises:
            InputError: no entries, or one larger than it may be.
            VerificationError: the log on disk is damaged; nothing was added.
        """
        if not entries:
            raise InputError("nothing to add to the log")
        pack_entries(entries)
        with self._locked():
            reader = self._recover()
            full = self._write_tiles(reader, entries)
            size = reader.size + len(entries)
            self._sign(Checkpoint(self.key.name, size, root(TileReader(self.directory, size), size)))
            self._drop_partials(full)
        return reader.size

    def add_cosignatures(self, note: bytes) -> bool:
        """Serve the checkpoint with the witnesses' lines of ``note`` too. What was there of the same key is replaced.

        What is *not* checked: that they hold. `witness.ask` has done that.

        Returns:
            Whether they were added; False if the log has signed another checkpoint since.

        Raises:
            VerificationError: not a note, or the log on disk is damaged.
        """
        text, added = split_note(note)
        with self._locked():
            self._recover()
            served, _ = self.head()
            known_text, known = split_note(served)
            if known_text != text:
                return False
            own = (self.key.name, key_id(self.key.name, self.key.public))
            lines = {(line.name, line.key_id): line for line in known}
            lines |= {(line.name, line.key_id): line for line in added if (line.name, line.key_id) != own}
            self._publish(CHECKPOINT, (text + "\n" + "".join(line.text for line in lines.values())).encode())
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody appends meanwhile, in this process or another: for who reads all of it at one moment."""
        with self._locked():
            yield

    def _write_tiles(self, reader: TileReader, added: Sequence[bytes]) -> list[tuple[int | str, int]]:
        """Write entry bundles and tiles, bottom up. Returns the tiles that are now full."""
        full: list[tuple[int | str, int]] = []
        first = reader.size // TILE_WIDTH
        entries = [*reader.entries(first), *added]
        for at in range(0, len(entries), TILE_WIDTH):
            bundle = entries[at : at + TILE_WIDTH]
            self._write("entries", first + at // TILE_WIDTH, len(bundle), pack_entries(bundle), full)
        level, hashes = 0, [leaf_hash(entry) for entry in added]
        start = reader.size
        while hashes:
            first = start // TILE_WIDTH
            hashes = [*reader.hashes(level, first), *hashes]
            above = []
            for at in range(0, len(hashes), TILE_WIDTH):
                tile = hashes[at : at + TILE_WIDTH]
                self._write(level, first + at // TILE_WIDTH, len(tile), b"".join(tile), full)
                if len(tile) == TILE_WIDTH:
                    above.append(hash_tree(tile))
            level, hashes, start = level + 1, above, start >> TILE_HEIGHT
        return full

    def _write(self, level: int | str, index: int, width: int, data: bytes, full: list[tuple[int | str, int]]) -> None:
        self._publish(tile_path(level, index, width), data)
        if width == TILE_WIDTH:
            full.append((level, index))

    def _publish(self, name: str, data: bytes) -> None:
        self._disk.publish(self.directory / name, data, self.directory / UNFINISHED)

    def _drop_partials(self, full: Sequence[tuple[int | str, int]]) -> None:
        """Remove the partial forms of full tiles, which the specification allows once the full one is there."""
        for level, index in full:
            partials = self._partials(level, index)
            if partials.is_dir():
                for partial in sorted(partials.iterdir()):
                    self._disk.remove(partial)
                partials.rmdir()

    def _create(self) -> None:
        if (self.directory / "tile").exists():
            raise VerificationError(_STEP, f"{self.directory}: tiles without a checkpoint; restore the checkpoint")
        self._sign(Checkpoint(self.key.name, 0, EMPTY_ROOT))

    def _sign(self, head: Checkpoint) -> None:
        note = self._signer.sign(head.text)
        self._publish(_SIGNED, note)
        self._publish(CHECKPOINT, note)

    def _recover(self) -> TileReader:
        """The log as it was last signed. A checkpoint that was signed and not shown yet is shown now.

        Raises:
            VerificationError: the tiles do not lead to the checkpoint, or not to one that was signed after it.
        """
        _, head = self.head()
        reader = TileReader(self.directory, head.size)
        check_root(reader, head)
        if (self.directory / _SIGNED).exists():
            note = (self.directory / _SIGNED).read_bytes()
            signed = open_checkpoint(note, self.key)
            if signed.size >= head.size and signed != head:
                reader = TileReader(self.directory, signed.size)
                check_root(reader, signed)
                if root(reader, head.size) != head.root:
                    raise VerificationError(_STEP, f"{self.directory}: signed two histories; restore the checkpoint")
                self._publish(CHECKPOINT, note)
        reader.entries(reader.size // TILE_WIDTH)
        return reader

    def _clear_beyond(self, reader: TileReader) -> None:
        """Clear away what lies beyond the checkpoint: an append that was killed before it was signed."""
        self._disk.remove(self.directory / UNFINISHED)
        for level in ("entries", *range(reader.size.bit_length() // TILE_HEIGHT + 2)):
            size = reader.size >> (TILE_HEIGHT * (level if isinstance(level, int) else 0))
            index = size // TILE_WIDTH
            last = index
            while self._partials(level, last + 1).is_dir() or self._full(level, last + 1).exists():
                last += 1
            for beyond in range(last, index, -1):  # from the far end, so that a kill in here leaves no gap
                self._clear(level, beyond, 0)
            self._clear(level, index, size % TILE_WIDTH)

    def _clear(self, level: int | str, index: int, width: int) -> None:
        """Remove every form of a tile that is wider than ``width``."""
        full, partials = self._full(level, index), self._partials(level, index)
        if partials.is_dir():
            for partial in sorted(partials.iterdir()):
                if partial.name.isdigit() and int(partial.name) > width:
                    self._disk.remove(partial)
            if not any(partials.iterdir()):
                partials.rmdir()
        self._disk.remove(full)

    def _full(self, level: int | str, index: int) -> Path:
        return self.directory / tile_path(level, index, TILE_WIDTH)

    def _partials(self, level: int | str, index: int) -> Path:
        return (self.directory / tile_path(level, index, 1)).parent

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
