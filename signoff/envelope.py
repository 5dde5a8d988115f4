# SPDX-License-Identifier: Apache-2.0
"""DSSE v1 envelopes around statements, with one signature each.

A statement names one reviewer, so an envelope holds one signature, raw Ed25519 or SSH, over the pre-authentication
encoding (PAE) of the payload. ``keyid`` is a hint: who signed is decided by trying keys, by their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from securesystemslib.dsse import Envelope as DsseEnvelope

from evidence import InputError, VerificationError, canonical
from signoff._strict import StrictModel, decode_base64, encode_base64, read_document
from signoff.keys import ED25519, PublicKey
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


class SignatureEntry(StrictModel):
    """A signature as written."""

    keyid: Annotated[str, Field(max_length=200)] = ""
    sig: str
    kind: SignatureKind = SignatureKind.ED25519


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
        return {"payload": encode_base64(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}

    @property
    def pae(self) -> bytes:
        """What the signature is over."""
        return pae(self.payload)


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
    for key in keys:
        if key.algorithm != ED25519:
            continue
        try:
            key.verify_ed25519(envelope.signature, envelope.pae)
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


def _from_model(model: EnvelopeDocument) -> Envelope:
    signature = model.signatures[0]
    return Envelope(
        payload=decode_base64(model.payload, "envelope payload"),
        kind=signature.kind,
        signature=decode_base64(signature.sig, "envelope signature"),
        keyid=signature.keyid,
    )
