# SPDX-License-Identifier: Apache-2.0
"""Signed notes and checkpoints: c2sp.org/signed-note and c2sp.org/tlog-checkpoint, with Ed25519 keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from evidence import InputError, VerificationError
from signoff._strict import decode_base64, encode_base64
from signoff.merkle import HASH_BYTES, Hash

_ED25519 = b"\x01"  # signature type of c2sp.org/signed-note
_KEY_BYTES = 32
_ID_BYTES = 4
_DASH = "\u2014 "
_LIMIT = 64 << 10
_MAX_SIGNATURES = 64
_MAX_SIZE_DIGITS = 18
_STEP = "checkpoint"


class NoteSignature(NamedTuple):
    """A signature line of a note, as written."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def text(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


def key_id(name: str, public: bytes, kind: bytes = _ED25519) -> bytes:
    """The four bytes by which a note names a key; ``kind`` is the signature type's byte."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:_ID_BYTES]


def check_key_name(name: str) -> str:
    """``name``, if it can name a key.

    Raises:
        InputError: empty, or with a space, a plus or a control character.
    """
    if not name or "+" in name or any(character.isspace() or not character.isprintable() for character in name):
        raise InputError(f"key name {name[:60]!r}: empty, or with a space, a plus or a control character")
    return name


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key that signs notes: its name (a log's is its origin) and 32 bytes of Ed25519."""

    name: str
    public: bytes

    @property
    def vkey(self) -> str:
        """The verifier key text, ``<name>+<id>+<base64>``."""
        return f"{self.name}+{key_id(self.name, self.public).hex()}+{encode_base64(_ED25519 + self.public)}"

    @staticmethod
    def from_vkey(text: str) -> NoteKey:
        """Read a verifier key.

        Raises:
            InputError: not a verifier key, not Ed25519, or an id that is not the key's.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:  # noqa: PLR2004 - name, id, key
            raise InputError("log key: not a verifier key <name>+<id>+<base64>")
        name, identifier, encoded = parts
        material = decode_base64(encoded, "log key")
        if material[:1] != _ED25519 or len(material) != 1 + _KEY_BYTES:
            raise InputError("log key: not an Ed25519 key")
        key = NoteKey(check_key_name(name), material[1:])
        if identifier != key_id(name, key.public).hex():
            raise InputError("log key: its id is not its own")
        return key


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: that its first ``size`` entries hash to ``root``."""

    origin: str
    size: int
    root: Hash

    @property
    def text(self) -> str:
        """The note text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def signature_line(key: NoteKey, signature: bytes) -> str:
    """One line of signature of a note, with its newline."""
    return NoteSignature(key.name, key_id(key.name, key.public), signature).text


def open_note(note: bytes, key: NoteKey) -> str:
    """The text of a note that ``key`` has signed. Signatures of other keys are passed over, as the format asks.

    Raises:
        VerificationError: not a note, no signature by ``key``, or a wrong one.
    """
    text, lines = split_note(note)
    own = (key.name, key_id(key.name, key.public))
    signatures = [line.signature for line in lines if (line.name, line.key_id) == own]
    if len(signatures) != 1:
        raise VerificationError(_STEP, f"{len(signatures)} signatures by the log {key.name}; one is needed")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signatures[0], text.encode())
    except InvalidSignature as error:
        raise VerificationError(_STEP, f"the signature is not by the log {key.name}") from error
    return text


def open_checkpoint(note: bytes, key: NoteKey) -> Checkpoint:
    """The checkpoint in a note that the log's ``key`` has signed.

    What is *not* checked: that others were shown the same one. That takes witnesses.

    Raises:
        VerificationError: as `open_note`; another origin than the key's; not the text of a checkpoint.
    """
    return parse_checkpoint(open_note(note, key), key.name)


def parse_checkpoint(text: str, name: str) -> Checkpoint:
    """The checkpoint in a note's text, of which the signature was verified already.

    Raises:
        VerificationError: of another origin than ``name``, or not the text of a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:  # noqa: PLR2004 - origin, size, root, and nothing after the last newline
        raise VerificationError(_STEP, "not the three lines of a checkpoint; extension lines are not used here")
    origin, size, encoded = lines[:3]
    if origin != name:
        raise VerificationError(_STEP, f"of the log {origin[:100]!r}, not {name!r}")
    if not size.isascii() or not size.isdigit() or len(size) > _MAX_SIZE_DIGITS or str(int(size)) != size:
        raise VerificationError(_STEP, "the size is not a plain number")
    try:
        tree_hash = decode_base64(encoded, "root hash")
    except InputError as error:
        raise VerificationError(_STEP, str(error)) from error
    if len(tree_hash) != HASH_BYTES:
        raise VerificationError(_STEP, "the root hash is not 32 bytes")
    return Checkpoint(origin, int(size), tree_hash)


def split_note(note: bytes) -> tuple[str, tuple[NoteSignature, ...]]:
    """A note's text and its signature lines. None of them is verified.

    Raises:
        VerificationError: not a note.
    """
    try:
        text, lines = _split_note(note)
        return text, tuple(_signature(line) for line in lines)
    except (InputError, UnicodeDecodeError) as error:
        raise VerificationError(_STEP, f"not a signed note: {error}") from error


def _split_note(note: bytes) -> tuple[str, list[str]]:
    if len(note) > _LIMIT:
        raise InputError(f"{len(note)} bytes, over the limit of {_LIMIT}")
    decoded = note.decode("utf-8")
    if any(character < " " and character != "\n" for character in decoded):
        raise InputError("a control character in it")
    text, blank, signatures = decoded.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise InputError("no signatures at its end")
    lines = signatures[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise InputError("too many signatures")
    return text + "\n", lines


def _signature(line: str) -> NoteSignature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:  # noqa: PLR2004 - name and signature
        raise InputError("a signature line that is not '\u2014 <name> <base64>'")
    name, encoded = parts
    check_key_name(name)
    material = decode_base64(encoded, "signature line")
    if len(material) <= _ID_BYTES:
        raise InputError("a signature line without a signature")
    return NoteSignature(name, material[:_ID_BYTES], material[_ID_BYTES:])
