# SPDX-License-Identifier: Apache-2.0
"""The log's own key: made, kept in a file that only its owner reads, and used to sign checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence import InputError
from signoff._keyfile import PrivateText, read_private, write_private
from signoff.notes import NoteKey, check_key_name, key_id, signature_line

if TYPE_CHECKING:
    from pathlib import Path

_ED25519 = 1  # signature type of c2sp.org/signed-note
_SEED_BYTES = 32


class LogKey:
    """An Ed25519 key that signs checkpoints under the log's origin. Its text form is that of Go's note package."""

    def __init__(self, origin: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = NoteKey(check_key_name(origin), private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"LogKey({self.public.vkey})"

    @property
    def origin(self) -> str:
        """The log's name, the first line of its checkpoints."""
        return self.public.name

    @property
    def vkey(self) -> str:
        """The verifier key text, for a roots file."""
        return self.public.vkey

    @staticmethod
    def generate(origin: str) -> LogKey:
        """A new key from the system's randomness.

        Raises:
            InputError: ``origin`` cannot name a log.
        """
        return LogKey(origin, Ed25519PrivateKey.generate())

    def save(self, path: Path) -> None:
        """Write the private key to a new file of mode 0600, whole or not at all.

        Raises:
            ConflictError: the file exists; a log's key is never overwritten.
        """
        identifier = key_id(self.origin, self.public.public).hex()
        text = PrivateText(self.origin, identifier, _ED25519, self._private.private_bytes_raw())
        write_private(path, text, "a log's key")

    @staticmethod
    def load(path: Path) -> LogKey:
        """Read a private key.

        Raises:
            InputError: no such file, readable by others, or not a log key.
        """
        text = read_private(path, "the log's key")
        if text.kind != _ED25519 or len(text.seed) != _SEED_BYTES:
            raise InputError(f"{path}: not an Ed25519 log key")
        key = LogKey(text.name, Ed25519PrivateKey.from_private_bytes(text.seed))
        if text.identifier != key_id(key.origin, key.public.public).hex():
            raise InputError(f"{path}: damaged; the key's id is not its own")
        return key

    def sign(self, text: str) -> bytes:
        """The signed note over ``text``, which ends in a newline."""
        return (text + "\n" + signature_line(self.public, self._private.sign(text.encode()))).encode()
