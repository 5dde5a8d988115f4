# SPDX-License-Identifier: Apache-2.0
"""Cosignatures of witnesses on checkpoints, c2sp.org/tlog-cosignature: Ed25519 (``cosignature/v1``) and ML-DSA-44.

A cosignature says: at that time, this was the largest tree of the log that the witness had seen, and it began with
every tree that it had seen before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from evidence import InputError, VerificationError
from signoff._keyfile import PrivateText, read_private, write_private
from signoff._strict import decode_base64, encode_base64
from signoff.notes import NoteSignature, check_key_name, key_id, parse_checkpoint, split_note

if TYPE_CHECKING:
    from pathlib import Path

    from signoff.notes import Checkpoint

ED25519_COSIGNATURE = 4  # signature types of c2sp.org/signed-note
ML_DSA_44_COSIGNATURE = 6
_PUBLIC_BYTES = {ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1312}
_SEED_BYTES = 32
_TIME_BYTES = 8
_LARGEST_TIME = 253_402_300_799  # the last second of the year 9999: what a datetime can say
_LABEL = b"subtree/v1\n\x00"
_NAME_BYTES = 255
_STEP = "witness"


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's public key: its name, its kind (a signature type's number) and its bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a note names it."""
        return key_id(self.name, self.public, bytes([self.kind]))

    @property
    def vkey(self) -> str:
        """The verifier key text, ``<name>+<id>+<base64>``."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    @staticmethod
    def from_vkey(text: str) -> CosignerKey:
        """Read a verifier key.

        Raises:
            InputError: not a verifier key of a cosigner, or an id that is not the key's.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:  # noqa: PLR2004 - name, id, key
            raise InputError("witness key: not a verifier key <name>+<id>+<base64>")
        name, identifier, encoded = parts
        material = decode_base64(encoded, "witness key")
        if not material or len(material) - 1 != _PUBLIC_BYTES.get(material[0]):
            raise InputError("witness key: neither an Ed25519 (0x04) nor an ML-DSA-44 (0x06) cosigner's key")
        key = CosignerKey(_cosigner_name(name), material[0], material[1:])
        if identifier != key.key_id.hex():
            raise InputError("witness key: its id is not its own")
        return key

    def verify(self, line: NoteSignature, text: str, checkpoint: Checkpoint) -> datetime:
        """Check this witness's signature line on a checkpoint.

        Returns:
            The time that the witness gives.

        Raises:
            VerificationError: not its cosignature, or none of a time.
        """
        seconds, signature = _timed(line.signature)
        message = _message(self, text, checkpoint, seconds)
        try:
            if self.kind == ED25519_COSIGNATURE:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise VerificationError(_STEP, f"the cosignature is not by {self.name}") from error
        return datetime.fromtimestamp(seconds, UTC)


class Cosigner:
    """A witness's private key. Its file has the text form of Go's note package, with the cosignature's type."""

    def __init__(self, name: str, private: Ed25519PrivateKey | MLDSA44PrivateKey) -> None:
        self._private = private
        kind = ED25519_COSIGNATURE if isinstance(private, Ed25519PrivateKey) else ML_DSA_44_COSIGNATURE
        self.public = CosignerKey(_cosigner_name(name), kind, private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Cosigner({self.public.vkey[:80]})"

    @staticmethod
    def generate(name: str, kind: int = ED25519_COSIGNATURE) -> Cosigner:
        """A new key from the system's randomness.

        Raises:
            InputError: ``name`` cannot name a key, or no such kind.
        """
        if kind not in _PUBLIC_BYTES:
            raise InputError("a witness's key is of type 4 (Ed25519) or 6 (ML-DSA-44)")
        made = Ed25519PrivateKey.generate() if kind == ED25519_COSIGNATURE else MLDSA44PrivateKey.generate()
        return Cosigner(name, made)

    def save(self, path: Path) -> None:
        """Write the private key to a new file of mode 0600, whole or not at all.

        Raises:
            ConflictError: the file exists.
        """
        key = self.public
        text = PrivateText(key.name, key.key_id.hex(), key.kind, self._private.private_bytes_raw())
        write_private(path, text, "a witness's key")

    @staticmethod
    def load(path: Path) -> Cosigner:
        """Read a private key.

        Raises:
            InputError: no such file, readable by others, or not a witness's key.
        """
        text = read_private(path, "the witness's key")
        if text.kind not in _PUBLIC_BYTES or len(text.seed) != _SEED_BYTES:
            raise InputError(f"{path}: neither an Ed25519 nor an ML-DSA-44 witness key")
        cosigner = Cosigner(
            text.name,
            Ed25519PrivateKey.from_private_bytes(text.seed)
            if text.kind == ED25519_COSIGNATURE
            else MLDSA44PrivateKey.from_seed_bytes(text.seed),
        )
        if text.identifier != cosigner.public.key_id.hex():
            raise InputError(f"{path}: damaged; the key's id is not its own")
        return cosigner

    def cosign(self, text: str, at: datetime) -> str:
        """The signature line on a checkpoint's text, with its newline. The caller has checked the checkpoint."""
        key = self.public
        checkpoint = parse_checkpoint(text, text.split("\n", 1)[0])
        seconds = int(at.timestamp())
        signature = self._private.sign(_message(key, text, checkpoint, seconds))
        return NoteSignature(key.name, key.key_id, struct.pack(">Q", seconds) + signature).text


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that holds: whose, and the time it gives."""

    key: CosignerKey
    at: datetime


def open_cosignatures(note: bytes, keys: tuple[CosignerKey, ...]) -> tuple[Cosignature, ...]:
    """The cosignatures of ``keys`` on a checkpoint, each verified. Lines of other keys are passed over.

    What is *not* checked: the log's own signature. `notes.open_checkpoint` does that.

    Raises:
        VerificationError: not a checkpoint, a line of a known key that does not hold, or two of one key.
    """
    text, lines = split_note(note)
    checkpoint = parse_checkpoint(text, text.split("\n", 1)[0])
    found: list[Cosignature] = []
    for key in keys:
        own = [line for line in lines if (line.name, line.key_id) == (key.name, key.key_id)]
        if len(own) > 1:
            raise VerificationError(_STEP, f"{len(own)} cosignatures by {key.name}")
        found += [Cosignature(key, key.verify(line, text, checkpoint)) for line in own]
    return tuple(found)


def _timed(material: bytes) -> tuple[int, bytes]:
    """The time and the signature. A time of zero says nothing about the largest tree, so it is no cosignature here."""
    if len(material) <= _TIME_BYTES:
        raise VerificationError(_STEP, "a cosignature without a time")
    seconds = int.from_bytes(material[:_TIME_BYTES], "big")
    if not 0 < seconds <= _LARGEST_TIME:
        raise VerificationError(_STEP, "a cosignature of no time that there is")
    return seconds, material[_TIME_BYTES:]


def _message(key: CosignerKey, text: str, checkpoint: Checkpoint, seconds: int) -> bytes:
    if key.kind == ED25519_COSIGNATURE:
        return f"cosignature/v1\ntime {seconds}\n{text}".encode()
    who = _short(key.name.encode()) + struct.pack(">Q", seconds)
    return _LABEL + who + _short(checkpoint.origin.encode()) + struct.pack(">QQ", 0, checkpoint.size) + checkpoint.root


def _short(name: bytes) -> bytes:
    if not 0 < len(name) <= _NAME_BYTES:
        raise VerificationError(_STEP, "a name of no or of more than 255 bytes")
    return bytes([len(name)]) + name


def _cosigner_name(name: str) -> str:
    if len(check_key_name(name).encode()) > _NAME_BYTES:
        raise InputError(f"key name {name[:60]!r}: more than 255 bytes")
    return name
