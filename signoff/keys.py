# SPDX-License-Identifier: Apache-2.0
"""People's public keys, in OpenSSH's form, and what each may verify.

The key decides which algorithms are allowed, never the signature: an RSA key takes SHA-2 signatures only, an ECDSA
key its own curve's hash only. Two keys are the same if their bytes are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from evidence import InputError, VerificationError
from signoff._strict import decode_base64, encode_base64
from signoff._wire import WireReader, wire_string

if TYPE_CHECKING:
    from collections.abc import Mapping

ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
RSA = "ssh-rsa"  # the name of the key type; the SHA-1 signature of the same name is never accepted
_ECDSA: Mapping[str, tuple[bytes, type[ec.EllipticCurve], type[hashes.HashAlgorithm]]] = {
    "ecdsa-sha2-nistp256": (b"nistp256", ec.SECP256R1, hashes.SHA256),
    "ecdsa-sha2-nistp384": (b"nistp384", ec.SECP384R1, hashes.SHA384),
}
_RSA_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"rsa-sha2-256": hashes.SHA256, "rsa-sha2-512": hashes.SHA512}
_RSA_BITS = range(2048, 8193)
_ED25519_KEY_BYTES = 32
_ED25519_SIGNATURE_BYTES = 64
_USER_PRESENT = 0x01
_BLOB_LIMIT = 4096

_STEP = "signature"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of a person: its OpenSSH type and wire form, which are compared byte by byte."""

    algorithm: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """OpenSSH's ``SHA256:…`` fingerprint. A name to show and a hint to look up by; keys are compared by bytes."""
        return "SHA256:" + encode_base64(hashlib.sha256(self.blob).digest()).rstrip("=")

    @property
    def line(self) -> str:
        """The key as in an ``authorized_keys`` or ``.pub`` file, without comment."""
        return f"{self.algorithm} {encode_base64(self.blob)}"

    @staticmethod
    def from_blob(blob: bytes, what: str = "public key") -> PublicKey:
        """Read the wire form of a public key.

        Raises:
            InputError: damaged, of a type that is not accepted, or too weak.
        """
        if len(blob) > _BLOB_LIMIT:
            raise InputError(f"{what}: larger than any key")
        algorithm = WireReader(blob, what).name()
        key = PublicKey(algorithm, blob)
        _load(key, what)
        return key

    @staticmethod
    def from_line(line: str, what: str = "public key") -> PublicKey:
        """Read ``type base64 [comment]``.

        Raises:
            InputError: as `from_blob`, or the type before the key is not the key's own.
        """
        parts = line.strip().split(None, 2)
        if len(parts) < 2 or "\n" in line.strip():  # noqa: PLR2004 - a type and a key
            raise InputError(f"{what}: not an OpenSSH public key line")
        key = PublicKey.from_blob(decode_base64(parts[1], what), what)
        if key.algorithm != parts[0]:
            raise InputError(f"{what}: says {parts[0][:40]!r} and holds {key.algorithm!r}")
        return key

    @staticmethod
    def from_ed25519(raw: bytes) -> PublicKey:
        """The OpenSSH form of a raw Ed25519 public key of 32 bytes."""
        return PublicKey.from_blob(wire_string(ED25519.encode()) + wire_string(raw))

    def verify_ssh(self, signature: bytes, message: bytes) -> None:
        """Check SSH's signature blob over ``message``.

        What is *not* checked: what the message says; that the key is anybody's.

        Raises:
            VerificationError: damaged, of another algorithm than the key's, or not this key's signature.
        """
        try:
            _verify(self, WireReader(signature, "SSH signature"), message)
        except (InputError, InvalidSignature, ValueError) as error:
            reason = str(error) or f"not made by {self.fingerprint}"
            raise VerificationError(_STEP, reason) from error

    def verify_ed25519(self, signature: bytes, message: bytes) -> None:
        """Check a raw Ed25519 signature (RFC 8032) over ``message``.

        Raises:
            VerificationError: not an Ed25519 key, or not this key's signature.
        """
        if self.algorithm != ED25519:
            raise VerificationError(_STEP, f"{self.fingerprint} is no Ed25519 key")
        _, raw = _fields(self, 1)
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
        except InvalidSignature as error:
            raise VerificationError(_STEP, f"not made by {self.fingerprint}") from error


def _fields(key: PublicKey, count: int) -> tuple[bytes, ...]:
    reader = WireReader(key.blob, "public key")
    fields = tuple(reader.string() for _ in range(count + 1))
    reader.end()
    return fields


def _load(key: PublicKey, what: str) -> None:
    """Refuse a key that is damaged, weak or of an unknown type, before anybody relies on it."""
    try:
        if key.algorithm in {ED25519, SK_ED25519}:
            _ed25519(key)
        elif key.algorithm in _ECDSA or key.algorithm == SK_ECDSA:
            _ecdsa(key)
        elif key.algorithm == RSA:
            _rsa(key)
        else:
            raise InputError(f"{what}: keys of type {key.algorithm[:40]!r} are not accepted")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{what}: damaged {key.algorithm} key") from error


def _ed25519(key: PublicKey) -> tuple[Ed25519PublicKey, bytes]:
    """The key and, of a hardware key, its application."""
    fields = _fields(key, 1 if key.algorithm == ED25519 else 2)
    if len(fields[1]) != _ED25519_KEY_BYTES:
        raise InputError("public key: an Ed25519 key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(fields[1]), fields[-1]


def _ecdsa(key: PublicKey) -> tuple[ec.EllipticCurvePublicKey, hashes.HashAlgorithm, bytes]:
    hardware = key.algorithm == SK_ECDSA
    curve_name, curve, digest = _ECDSA["ecdsa-sha2-nistp256" if hardware else key.algorithm]
    fields = _fields(key, 3 if hardware else 2)
    if fields[1] != curve_name:
        raise InputError("public key: the curve is not the key type's")
    if fields[2][:1] != b"\x04":
        raise InputError("public key: the point is not in uncompressed form")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve(), fields[2]), digest(), fields[-1]


def _rsa(key: PublicKey) -> rsa.RSAPublicKey:
    reader = WireReader(key.blob, "public key")
    reader.string()
    exponent, modulus = reader.positive(), reader.positive()
    reader.end()
    if modulus.bit_length() not in _RSA_BITS:
        raise InputError(f"public key: an RSA key of {modulus.bit_length()} bits; 2048 to 8192 are accepted")
    if exponent.bit_length() > 32 or exponent < 65537:  # noqa: PLR2004 - F4, the customary exponent, or larger
        raise InputError("public key: an RSA exponent below 65537 or above 32 bits")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _verify(key: PublicKey, reader: WireReader, message: bytes) -> None:
    algorithm, value = reader.name(), reader.string()
    if key.algorithm == RSA:
        reader.end()
        _verify_rsa(key, algorithm, value, message)
        return
    if algorithm != key.algorithm:
        raise InputError(f"a {algorithm[:40]!r} signature by a {key.algorithm!r} key")
    if key.algorithm in {SK_ED25519, SK_ECDSA}:
        flags, counter = reader.byte(), reader.take(4)
        reader.end()
        _verify_hardware(key, value, bytes([flags]) + counter, message)
    elif key.algorithm == ED25519:
        reader.end()
        _ed25519(key)[0].verify(value, message)
    else:
        reader.end()
        public, digest, _ = _ecdsa(key)
        public.verify(_dss(value), message, ec.ECDSA(digest))


def _verify_rsa(key: PublicKey, algorithm: str, value: bytes, message: bytes) -> None:
    if algorithm not in _RSA_HASHES:
        raise InputError(f"a {algorithm[:40]!r} signature; RSA keys sign by rsa-sha2-256 or rsa-sha2-512")
    public = _rsa(key)
    if len(value) != (public.key_size + 7) // 8:
        raise InputError("an RSA signature that is not as long as its key")
    public.verify(value, message, padding.PKCS1v15(), _RSA_HASHES[algorithm]())


def _verify_hardware(key: PublicKey, value: bytes, tail: bytes, message: bytes) -> None:
    """U2F's message (PROTOCOL.u2f of OpenSSH): hashes of application and message around flags and counter."""
    if not tail[0] & _USER_PRESENT:
        raise InputError("the hardware key was not touched")
    hashed = hashlib.sha256(message).digest()
    if key.algorithm == SK_ED25519:
        public, application = _ed25519(key)
        public.verify(value, hashlib.sha256(application).digest() + tail + hashed)
    else:
        point, digest, application = _ecdsa(key)
        point.verify(_dss(value), hashlib.sha256(application).digest() + tail + hashed, ec.ECDSA(digest))


def _dss(value: bytes) -> bytes:
    reader = WireReader(value, "ECDSA signature")
    r, s = reader.positive(), reader.positive()
    reader.end()
    return encode_dss_signature(r, s)
