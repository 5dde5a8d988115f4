# SPDX-License-Identifier: Apache-2.0
"""Keys by which machines sign DSSE envelopes: the service its revocation lists, a gate what it decided.

Ed25519 in PEM (PKCS#8) or OpenSSH's form, without a passphrase, in a file that only its owner reads. A log's or a
witness's key is not one of these: what they sign is of another kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from evidence import InputError
from signoff._keyfile import read_secret, write_secret
from signoff.envelope import Envelope, sign_envelope
from signoff.keys import PublicKey

if TYPE_CHECKING:
    from pathlib import Path

_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_WHAT = "the signing key"


class MachineKey:
    """An Ed25519 key of a machine."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey.from_ed25519(private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"MachineKey({self.public.fingerprint})"

    @staticmethod
    def generate() -> MachineKey:
        """A new key from the system's randomness."""
        return MachineKey(Ed25519PrivateKey.generate())

    @property
    def secret(self) -> bytes:
        """The key's seed, for deriving what only its owner can (see `commitments.derive_salt`)."""
        return self._private.private_bytes_raw()

    def save(self, path: Path) -> None:
        """Write the private key as PEM to a new file of mode 0600, whole or not at all.

        Raises:
            ConflictError: the file exists.
        """
        pem = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_secret(path, pem, "a signing key")

    @staticmethod
    def load(path: Path) -> MachineKey:
        """Read a private key.

        Raises:
            InputError: no such file, readable by others, with a passphrase, or not Ed25519.
        """
        raw = read_secret(path, _WHAT)
        try:
            load = load_ssh_private_key if raw.startswith(_OPENSSH) else load_pem_private_key
            private = load(raw, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InputError(f"{path}: not a private key in PEM or OpenSSH form without a passphrase") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise InputError(f"{path}: not an Ed25519 key")
        return MachineKey(private)

    def sign(self, payload: bytes) -> Envelope:
        """The DSSE envelope around ``payload``."""
        return sign_envelope(payload, self._private)
