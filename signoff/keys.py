# SPDX-License-Identifier: Apache-2.0
"""People's public keys, in OpenSSH's form, and what each may verify.

The key decides which algorithms are allowed, never the signature: an RSA key takes SHA-2 signatures only, an ECDSA
key its own curve's hash only. Two keys are the same if their bytes are; one key in two wrappings is found by its
`identity`.

A passkey has a form of its own, in OpenSSH's manner: its public key with the relying party and the origin that it is
used at, so that whoever has the key line needs nothing else to verify an assertion by it (decision 57).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence import InputError, VerificationError
from signoff._strict import decode_base64, encode_base64
from signoff._wire import WireReader, wire_number, wire_string

if TYPE_CHECKING:
    from collections.abc import Mapping

ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
RSA = "ssh-rsa"  # the name of the key type; the SHA-1 signature of the same name is never accepted
WEBAUTHN_ES256 = "webauthn-es256@countersign.dev"
WEBAUTHN_ED25519 = "webauthn-ed25519@countersign.dev"
WEBAUTHN_RS256 = "webauthn-rs256@countersign.dev"
_ECDSA: Mapping[str, tuple[bytes, type[ec.EllipticCurve], type[hashes.HashAlgorithm]]] = {
    "ecdsa-sha2-nistp256": (b"nistp256", ec.SECP256R1, hashes.SHA256),
    "ecdsa-sha2-nistp384": (b"nistp384", ec.SECP384R1, hashes.SHA384),
}
_PASSKEYS = frozenset({WEBAUTHN_ES256, WEBAUTHN_ED25519, WEBAUTHN_RS256})
_RSA_TYPES = frozenset({RSA, WEBAUTHN_RS256})
_ED25519_TYPES = frozenset({ED25519, SK_ED25519, WEBAUTHN_ED25519})
ECDSA_TYPES = frozenset(_ECDSA)
_RSA_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"rsa-sha2-256": hashes.SHA256, "rsa-sha2-512": hashes.SHA512}
_RSA_BITS = range(2048, 8193)
_ED25519_KEY_BYTES = 32
_ED25519_SIGNATURE_BYTES = 64
_USER_PRESENT = 0x01
_BLOB_LIMIT = 4096
_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+)(?::[1-9][0-9]{0,4})?")

_STEP = "signature"


@dataclass(frozen=True, slots=True)
class PasskeyScope:
    """Where a passkey is used: the relying party's domain, and the one origin whose pages ask for it."""

    rp_id: str
    origin: str

    def check(self) -> None:
        """Refuse what no browser would allow.

        Raises:
            InputError: no domain, no origin of http or https, an origin outside the domain, or one without TLS.
        """
        origin = _ORIGIN.fullmatch(self.origin)
        if not _DOMAIN.fullmatch(self.rp_id) or origin is None:
            raise InputError("passkey: its relying party is no domain, or its origin none of http or https")
        if origin[2] != self.rp_id and not origin[2].endswith(f".{self.rp_id}"):
            raise InputError(f"passkey: the origin {self.origin} is not within {self.rp_id}")
        if origin[1] != "https" and origin[2] != "localhost":
            raise InputError("passkey: a browser gives passkeys to https only, or to localhost")


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
    def identity(self) -> str:
        """SHA-256 of the public key alone: the same for one key in two wrappings, as software and as hardware key."""
        fields = WireReader(self.blob, "public key")
        fields.string()
        parts: tuple[bytes, ...]
        if self.algorithm in _RSA_TYPES:
            parts = (b"rsa", fields.string(), fields.string())
        elif self.algorithm in _ED25519_TYPES:
            parts = (b"ed25519", fields.string())
        else:
            parts = (fields.string(), fields.string())  # the curve's name and the point
        return hashlib.sha256(b"".join(wire_string(part) for part in parts)).hexdigest()

    @property
    def passkey(self) -> PasskeyScope | None:
        """Where a passkey is used; None for any other key."""
        return _passkey(self)[1] if self.algorithm in _PASSKEYS else None

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

    @staticmethod
    def for_passkey(public: object, scope: PasskeyScope) -> PublicKey:
        """The form of a passkey: ``public`` is a key of `cryptography`, Ed25519, of the curve P-256, or RSA.

        Raises:
            InputError: none of them, or a scope that no browser would allow.
        """
        fields: tuple[bytes, ...]
        if isinstance(public, Ed25519PublicKey):
            fields = (WEBAUTHN_ED25519.encode(), public.public_bytes_raw())
        elif isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            fields = (WEBAUTHN_RS256.encode(), wire_number(numbers.e), wire_number(numbers.n))
        elif isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == ec.SECP256R1.name:
            point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            fields = (WEBAUTHN_ES256.encode(), b"nistp256", point)
        else:
            raise InputError("passkey: none of ES256, Ed25519 and RS256")
        where = (scope.rp_id.encode(), scope.origin.encode())
        return PublicKey.from_blob(b"".join(wire_string(field) for field in (*fields, *where)), "passkey")

    def verify_passkey(self, signature: bytes, message: bytes) -> None:
        """Check an authenticator's signature over ``message``: DER for ES256, raw for Ed25519, PKCS#1 v1.5 for RS256.

        What is *not* checked: what the authenticator says in the message; see `passkeys.verify_assertion`.

        Raises:
            VerificationError: no passkey, a signature written in another way, or not this key's.
        """
        if self.algorithm not in _PASSKEYS:
            raise VerificationError(_STEP, f"{self.fingerprint} is no passkey")
        public, _ = _passkey(self)
        try:
            if isinstance(public, Ed25519PublicKey):
                public.verify(signature, message)
            elif isinstance(public, rsa.RSAPublicKey):
                public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            else:
                _one_der(signature)
                public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError) as error:
            raise VerificationError(_STEP, f"not made by {self.fingerprint}") from error

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

    def verify_ecdsa(self, signature: bytes, message: bytes) -> None:
        """Check a raw ECDSA signature, in DER and by the hash of the key's curve, over ``message``.

        Raises:
            VerificationError: no software ECDSA key, or not this key's signature.
        """
        if self.algorithm not in ECDSA_TYPES:
            raise VerificationError(_STEP, f"{self.fingerprint} is no ECDSA key")
        public, hashed, _ = _ecdsa(self)
        try:
            _one_der(signature)
            public.verify(signature, message, ec.ECDSA(hashed))
        except (InvalidSignature, ValueError) as error:
            raise VerificationError(_STEP, f"not made by {self.fingerprint}") from error

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


def _one_der(signature: bytes) -> None:
    """Refuse a DER signature that could be written otherwise. ValueError if it is none at all."""
    if encode_dss_signature(*decode_dss_signature(signature)) != signature:
        raise VerificationError(_STEP, "an ECDSA signature that is not in DER")


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
        elif key.algorithm in _PASSKEYS:
            _passkey(key)
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


def _passkey(
    key: PublicKey,
) -> tuple[Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey, PasskeyScope]:
    public: Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    fields: tuple[bytes, ...]
    if key.algorithm == WEBAUTHN_RS256:
        reader = WireReader(key.blob, "passkey")
        reader.string()
        public = _rsa_numbers(reader.positive(), reader.positive())
        fields = (reader.string(), reader.string())
        reader.end()
    elif key.algorithm == WEBAUTHN_ED25519:
        fields = _fields(key, 3)
        if len(fields[1]) != _ED25519_KEY_BYTES:
            raise InputError("passkey: an Ed25519 key has 32 bytes")
        public = Ed25519PublicKey.from_public_bytes(fields[1])
    else:
        fields = _fields(key, 4)
        if fields[1] != b"nistp256" or fields[2][:1] != b"\x04":
            raise InputError("passkey: not a point of P-256 in uncompressed form")
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), fields[2])
    scope = PasskeyScope(fields[-2].decode("ascii"), fields[-1].decode("ascii"))
    scope.check()
    return public, scope


def _rsa(key: PublicKey) -> rsa.RSAPublicKey:
    reader = WireReader(key.blob, "public key")
    reader.string()
    exponent, modulus = reader.positive(), reader.positive()
    reader.end()
    return _rsa_numbers(exponent, modulus)


def _rsa_numbers(exponent: int, modulus: int) -> rsa.RSAPublicKey:
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
    if algorithm != key.algorithm or key.algorithm in _PASSKEYS:
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
