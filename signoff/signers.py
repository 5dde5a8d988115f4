# SPDX-License-Identifier: Apache-2.0
"""Signing with a key that is elsewhere: a PKCS#11 token or a cloud's KMS, by securesystemslib's key URIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, Signer, SSlibKey

from evidence import InputError, SandboxMissingError
from signoff.keys import ECDSA_TYPES, ED25519

if TYPE_CHECKING:
    from collections.abc import Callable

    from signoff.keys import PublicKey


def sign_with_signer(uri: str, key: PublicKey, message: bytes, secret: Callable[[str], str] | None = None) -> bytes:
    """The raw signature over ``message``, by the key that ``uri`` names.

    What is *not* checked: that the signature is ``key``'s; `envelope_from_raw` does.

    Args:
        uri: where the private key is, e.g. ``hsm:2`` or ``file2:/path/to/key.pem``.
        key: its public key.
        message: what to sign.
        secret: asks for what a token wants to be told, as its PIN.

    Raises:
        InputError: a URI of no known kind, a key of another, or the signer does not sign.
        SandboxMissingError: the library for this kind of signer is not installed.
    """
    scheme = uri.partition(":")[0]
    if scheme not in SIGNER_FOR_URI_SCHEME:
        known = ", ".join(sorted(SIGNER_FOR_URI_SCHEME))
        raise InputError(f"--signer {uri[:80]!r}: starts with none of {known}, and a colon")
    if key.algorithm != ED25519 and key.algorithm not in ECDSA_TYPES:
        raise InputError(f"{key.fingerprint} is a {key.algorithm} key; signers here are Ed25519 or ECDSA")
    public = load_ssh_public_key(key.line.encode("ascii"))
    if not isinstance(public, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise InputError(f"{key.fingerprint} is neither Ed25519 nor ECDSA")
    try:
        signer = Signer.from_priv_key_uri(uri, SSlibKey.from_crypto(public), secret)
        return bytes.fromhex(signer.sign(message).signature)
    except UnsupportedLibraryError as error:
        raise SandboxMissingError(f"{scheme}: {error}; install countersign[kms]") from error
    except Exception as error:
        raise InputError(f"--signer {uri[:80]}: does not sign: {type(error).__name__}: {error}") from error
