# SPDX-License-Identifier: Apache-2.0
"""The log's own key: made, kept in a file that only its owner reads, and used to sign checkpoints."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence import ConflictError, InputError
from signoff._strict import decode_base64, encode_base64
from signoff.notes import NoteKey, check_key_name, key_id, signature_line

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = "PRIVATE+KEY+"
_ED25519 = b"\x01"
_SEED_BYTES = 32
_FILE_LIMIT = 4096


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
        seed = encode_base64(_ED25519 + self._private.private_bytes_raw())
        text = f"{_PREFIX}{self.origin}+{key_id(self.origin, self.public.public).hex()}+{seed}\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(fresh, path)
        except FileExistsError as error:
            raise ConflictError(f"{path}: exists; a log's key is never overwritten") from error
        finally:
            fresh.unlink(missing_ok=True)

    @staticmethod
    def load(path: Path) -> LogKey:
        """Read a private key.

        Raises:
            InputError: no such file, readable by others, or not a log key.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                raw = file.read(_FILE_LIMIT)
        except OSError as error:
            raise InputError(f"{path}: the log's key cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InputError(f"{path}: the log's key is open to others; chmod 600 it, and replace it if it was read")
        return _parse(raw, path)

    def sign(self, text: str) -> bytes:
        """The signed note over ``text``, which ends in a newline."""
        return (text + "\n" + signature_line(self.public, self._private.sign(text.encode()))).encode()


def _parse(raw: bytes, path: Path) -> LogKey:
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a log key") from error
    parts = text.removeprefix(_PREFIX).split("+", 2)
    if not text.startswith(_PREFIX) or len(parts) != 3:  # noqa: PLR2004 - origin, id, seed
        raise InputError(f"{path}: not a log key")
    material = decode_base64(parts[2], str(path))
    if material[:1] != _ED25519 or len(material) != 1 + _SEED_BYTES:
        raise InputError(f"{path}: not an Ed25519 log key")
    key = LogKey(parts[0], Ed25519PrivateKey.from_private_bytes(material[1:]))
    if parts[1] != key_id(key.origin, key.public.public).hex():
        raise InputError(f"{path}: damaged; the key's id is not its own")
    return key
