# SPDX-License-Identifier: Apache-2.0
"""c2sp.org/tlog-proof: one text that shows, offline, that an entry is in a log."""

from __future__ import annotations

from dataclasses import dataclass

from evidence import InputError
from signoff._strict import decode_base64, encode_base64
from signoff.merkle import HASH_BYTES, Hash, verify_inclusion
from signoff.notes import Checkpoint, NoteKey, open_checkpoint

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 64
_MAX_INDEX_DIGITS = 18
_LIMIT = 128 << 10


@dataclass(frozen=True, slots=True)
class LogProof:
    """An entry's index, its inclusion path and the signed checkpoint that the path leads to."""

    index: int
    path: tuple[Hash, ...]
    checkpoint: bytes

    @property
    def text(self) -> str:
        """The proof in its text form. No extra data: nothing authenticates it."""
        hashes = "".join(f"{encode_base64(sibling)}\n" for sibling in self.path)
        return f"{_FIRST_LINE}\nindex {self.index}\n{hashes}\n{self.checkpoint.decode()}"

    @property
    def origin(self) -> str:
        """The log that the checkpoint claims to be of, for looking up its key. Not verified."""
        return self.checkpoint.decode().split("\n", 1)[0]

    @staticmethod
    def parse(text: str) -> LogProof:
        """Read the text form.

        Raises:
            InputError: not a proof, with extra data, or written in another way than the one.
        """
        if len(text) > _LIMIT:
            raise InputError(f"log proof: {len(text)} characters, over the limit of {_LIMIT}")
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or len(lines) < 2 or lines[0] != _FIRST_LINE:  # noqa: PLR2004 - the name and the index
            raise InputError(f"log proof: does not begin with {_FIRST_LINE}")
        number = lines[1].removeprefix("index ")
        if not (number.isascii() and number.isdigit()) or len(number) > _MAX_INDEX_DIGITS:
            raise InputError("log proof: no index on its second line; extra data is not used here")
        path = tuple(decode_base64(line, "log proof") for line in lines[2:])
        if len(path) > _MAX_HASHES or any(len(sibling) != HASH_BYTES for sibling in path):
            raise InputError("log proof: a hash that is not 32 bytes, or too many")
        try:
            proof = LogProof(int(number), path, checkpoint.encode())
        except UnicodeEncodeError as error:
            raise InputError("log proof: not UTF-8") from error
        if proof.text != text:
            raise InputError("log proof: not in its one spelling")
        return proof

    def verify(self, leaf: Hash, key: NoteKey) -> Checkpoint:
        """Check checkpoint and path for the entry that hashes to ``leaf``.

        Returns:
            The checkpoint, verified.

        Raises:
            VerificationError: the checkpoint is not the log's, or the entry is not in it at this index.
        """
        checkpoint = open_checkpoint(self.checkpoint, key)
        verify_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint
