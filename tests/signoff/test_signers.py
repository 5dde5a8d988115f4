# SPDX-License-Identifier: Apache-2.0
"""Keys that are elsewhere sign by securesystemslib's URIs, and securesystemslib verifies the envelopes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.signer import SSlibKey

from evidence import InputError, SandboxMissingError, VerificationError
from signoff import Envelope, PublicKey, envelope_from_raw, pae, sign_with_signer, verify_envelope

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
}


def laid(folder: Path, private: Any) -> tuple[str, PublicKey]:
    path = folder / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"file2:{path}", PublicKey.from_line(line)


@pytest.mark.parametrize("kind", KEYS)
def test_a_signers_signature_is_taken_here_and_by_securesystemslib(tmp_path: Path, kind: str) -> None:
    private = KEYS[kind]()
    uri, key = laid(tmp_path, private)
    envelope = envelope_from_raw(b"{}", sign_with_signer(uri, key, pae(b"{}")), key)
    assert Envelope.from_json(envelope.to_json()) == envelope
    assert verify_envelope(envelope, [key]) == key
    document = envelope.to_json()
    del document["signatures"][0]["kind"]
    theirs = SSlibKey.from_crypto(private.public_key(), keyid=envelope.keyid)
    assert list(DsseEnvelope.from_dict(document).verify([theirs], 1)) == [envelope.keyid]
    with pytest.raises(VerificationError):
        verify_envelope(replace(envelope, payload=b"[]"), [key])
    with pytest.raises(VerificationError):
        verify_envelope(replace(envelope, signature=envelope.signature + b"\0"), [key])


def test_a_signature_counts_as_its_own_kind_only(tmp_path: Path) -> None:
    uri, key = laid(tmp_path, KEYS["p256"]())
    envelope = envelope_from_raw(b"{}", sign_with_signer(uri, key, pae(b"{}")), key)
    for kind in type(envelope.kind):
        if kind is not envelope.kind:
            with pytest.raises(VerificationError):
                verify_envelope(replace(envelope, kind=kind), [key])


def test_what_cannot_sign_says_so(tmp_path: Path) -> None:
    uri, key = laid(tmp_path, KEYS["p256"]())
    _, other = laid(tmp_path, KEYS["ed25519"]())
    weak = PublicKey.from_line(
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    )
    for wrong, public in (("nonsense:1", key), ("/key.pem", key), ("file2:/no/such", key), (uri, key), (uri, weak)):
        with pytest.raises(InputError):
            sign_with_signer(wrong, public, b"")
    assert len(sign_with_signer(uri, other, b"")) == 64
    with pytest.raises(SandboxMissingError, match="kms"):
        sign_with_signer("hsm:2?label=x", key, b"", lambda _: "1234")
