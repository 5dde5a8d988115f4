# SPDX-License-Identifier: Apache-2.0
"""DSSE v1 envelopes around statements, with one signature each.

A statement names one reviewer, so an envelope holds one signature, raw Ed25519 or ECDSA, SSH or WebAuthn, over the
pre-authentication encoding (PAE) of the payload. ``keyid`` is a hint: who signed is decided by trying keys, by their
bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from securesystemslib.dsse import Envelope as DsseEnvelope

from evidence import InputError, VerificationError, canonical
from signoff._strict import StrictModel, decode_base64, encode_base64, read_document
from signoff.keys import ECDSA_TYPES, ED25519, PublicKey
from signoff.passkeys import Assertion, made_by, verify_assertion
from signoff.sshsig import dearmor, parse_sshsig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE_LIMIT = 64 << 10

_STEP = "signature"


class SignatureKind(StrEnum):
    """How a signature over the PAE is made."""

    ED25519 = "ed25519"  # RFC 8032 over the PAE itself
    SSH = "ssh"  # SSHSIG in namespace countersign over the PAE; `sig` is its binary form
    ECDSA = "ecdsa"  # DER, by the hash of the key's curve, over the PAE itself
    WEBAUTHN = "webauthn"  # an assertion whose challenge is the SHA-256 of the PAE


class SignatureEntry(StrictModel):
    """A signature as written."""

    keyid: Annotated[str, Field(max_length=200)] = ""
    sig: str
    kind: SignatureKind = SignatureKind.ED25519
    authenticatorData: str | None = None  # noqa: N815 - WebAuthn's names; these two go with its kind only
    clientDataJSON: str | None = None  # noqa: N815


class EnvelopeDocument(StrictModel):
    """A DSSE envelope as written."""

    payload: str
    payloadType: Literal["application/vnd.in-toto+json"]  # noqa: N815 - DSSE's name
    signatures: tuple[SignatureEntry]


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """DSSE v1's pre-authentication encoding: the exact bytes that are signed."""
    encoded: bytes = DsseEnvelope(payload, payload_type, {}).pae()
    return encoded


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload and its one signature. Nothing in it is believed until `verify_envelope` has returned."""

    payload: bytes
    kind: SignatureKind
    signature: bytes
    keyid: str = ""
    assertion: Assertion | None = None  # what else a passkey's signature is over

    @staticmethod
    def read(data: bytes, *, limit: int = ENVELOPE_LIMIT) -> Envelope:
        """Read a DSSE envelope of at most ``limit`` bytes.

        A signature without ``kind`` is raw Ed25519, as other DSSE tools make it.

        Raises:
            InputError: not an envelope, of another payload type, or with none or several signatures.
        """
        return _from_model(read_document(EnvelopeDocument, data, "envelope", limit=limit, only_canonical=False))

    @staticmethod
    def from_json(document: dict[str, Any], *, limit: int = ENVELOPE_LIMIT) -> Envelope:
        """The envelope in a document that was parsed already; only what `to_json` writes is accepted.

        Raises:
            InputError: as `read`, or written in another way.
        """
        envelope = Envelope.read(canonical(document), limit=limit)
        if envelope.to_json() != document:
            raise InputError("envelope: not in its one spelling")
        return envelope

    def to_json(self) -> dict[str, Any]:
        """The envelope as DSSE's JSON, with the signature's ``kind`` beside it."""
        signature = {"keyid": self.keyid, "sig": encode_base64(self.signature), "kind": self.kind.value}
        if self.assertion is not None:
            signature["authenticatorData"] = encode_base64(self.assertion.authenticator_data)
            signature["clientDataJSON"] = encode_base64(self.assertion.client_data)
        return {"payload": encode_base64(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}

    @property
    def pae(self) -> bytes:
        """What the signature is over."""
        return pae(self.payload)

    @property
    def synced(self) -> bool:
        """Whether a passkey signed that may have copies in a cloud. Only to be believed once verified."""
        return self.assertion is not None and self.assertion.backup_eligible


def verify_envelope(envelope: Envelope, keys: Iterable[PublicKey]) -> PublicKey:
    """Find the key that made the signature.

    What is *not* checked: what the payload says, and whether the key was valid when it was signed.

    Returns:
        The one of ``keys`` whose bytes verify the signature; ``keyid`` is not looked at.

    Raises:
        VerificationError: none of them does.
    """
    if envelope.kind is SignatureKind.SSH:
        return _verify_ssh(envelope, keys)
    if envelope.kind is SignatureKind.WEBAUTHN:
        return _verify_passkey(envelope, keys)
    ecdsa = envelope.kind is SignatureKind.ECDSA
    for key in keys:
        if key.algorithm not in (ECDSA_TYPES if ecdsa else {ED25519}):
            continue
        verify = key.verify_ecdsa if ecdsa else key.verify_ed25519
        try:
            verify(envelope.signature, envelope.pae)
        except VerificationError:
            continue
        return key
    raise VerificationError(_STEP, "made by none of the keys in the roots file")


def envelope_from_ssh(payload: bytes, armored: str) -> Envelope:
    """The envelope around ``payload`` and what ``ssh-keygen -Y sign`` wrote for its PAE. The signature is checked.

    Raises:
        InputError: not an SSH signature that is accepted here.
        VerificationError: not a signature over this payload.
    """
    blob = dearmor(armored)
    signature = parse_sshsig(blob)
    signature.verify(pae(payload))
    return Envelope(payload, SignatureKind.SSH, blob, signature.key.fingerprint)


def envelope_from_passkey(payload: bytes, assertion: Assertion, signature: bytes, key: PublicKey) -> Envelope:
    """The envelope around ``payload`` and what a browser's ``navigator.credentials.get`` gave for it.

    Raises:
        VerificationError: not an assertion by ``key`` over this payload.
    """
    verify_assertion(key, assertion, signature, pae(payload))
    return Envelope(payload, SignatureKind.WEBAUTHN, signature, key.fingerprint, assertion)


def envelope_from_raw(payload: bytes, signature: bytes, key: PublicKey) -> Envelope:
    """The envelope around ``payload`` and a raw signature over its PAE, Ed25519 or ECDSA, as DSSE tools make it.

    Raises:
        VerificationError: not a signature by ``key`` over this payload.
    """
    kind = SignatureKind.ECDSA if key.algorithm in ECDSA_TYPES else SignatureKind.ED25519
    envelope = Envelope(payload, kind, signature, key.fingerprint)
    verify_envelope(envelope, [key])
    return envelope


def sign_envelope(payload: bytes, private: Ed25519PrivateKey) -> Envelope:
    """Sign ``payload`` by a raw Ed25519 key."""
    key = PublicKey.from_ed25519(private.public_key().public_bytes_raw())
    return Envelope(payload, SignatureKind.ED25519, private.sign(pae(payload)), key.fingerprint)


def _verify_ssh(envelope: Envelope, keys: Iterable[PublicKey]) -> PublicKey:
    try:
        signature = parse_sshsig(envelope.signature)
    except InputError as error:
        raise VerificationError(_STEP, str(error)) from error
    trusted = next((key for key in keys if key.blob == signature.key.blob), None)
    if trusted is None:
        raise VerificationError(_STEP, f"made by {signature.key.fingerprint}, which is not in the roots file")
    signature.verify(envelope.pae)
    return trusted


def _verify_passkey(envelope: Envelope, keys: Iterable[PublicKey]) -> PublicKey:
    """By the first passkey whose bytes verify the signature; only then is looked at what the authenticator says."""
    if envelope.assertion is None:
        raise VerificationError(_STEP, "a passkey's signature without authenticatorData and clientDataJSON")
    for key in keys:
        if key.passkey is not None and made_by(key, envelope.assertion, envelope.signature):
            verify_assertion(key, envelope.assertion, envelope.signature, envelope.pae)
            return key
    raise VerificationError(_STEP, "made by none of the passkeys in the roots file")


def _from_model(model: EnvelopeDocument) -> Envelope:
    signature = model.signatures[0]
    beside = (signature.authenticatorData, signature.clientDataJSON)
    if [part is not None for part in beside] != [signature.kind is SignatureKind.WEBAUTHN] * 2:
        raise InputError("envelope: authenticatorData and clientDataJSON go with a signature of kind webauthn")
    return Envelope(
        payload=decode_base64(model.payload, "envelope payload"),
        kind=signature.kind,
        signature=decode_base64(signature.sig, "envelope signature"),
        keyid=signature.keyid,
        assertion=_assertion(*beside),
    )


def _assertion(authenticator_data: str | None, client_data: str | None) -> Assertion | None:
    if authenticator_data is None or client_data is None:
        return None
    return Assertion(
        decode_base64(authenticator_data, "envelope authenticatorData"),
        decode_base64(client_data, "envelope clientDataJSON"),
    )
