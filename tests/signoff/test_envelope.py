# SPDX-License-Identifier: Apache-2.0
"""DSSE envelopes, both ways with securesystemslib, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from evidence import InputError, VerificationError, canonical
from signoff import PAYLOAD_TYPE, Envelope, PublicKey, pae, sign_envelope, verify_envelope

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
KEY = PublicKey.from_ed25519(PRIVATE.public_key().public_bytes_raw())
OTHER = PublicKey.from_ed25519(Ed25519PrivateKey.from_private_bytes(b"\x06" * 32).public_key().public_bytes_raw())


def test_the_pae_is_the_dsse_specifications_example() -> None:
    # github.com/secure-systems-lab/dsse, protocol.md
    assert pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_securesystemslib_verifies_ours() -> None:
    document = sign_envelope(b"payload", PRIVATE).to_json()
    keyid = document["signatures"][0]["keyid"]
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": PRIVATE.public_key().public_bytes_raw().hex()})
    envelope = DsseEnvelope.from_dict(document)
    assert envelope.verify([key], 1) == {keyid: key}


def test_we_verify_securesystemslibs() -> None:
    envelope = DsseEnvelope(b"payload", PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(PRIVATE))
    read = Envelope.read(json.dumps(envelope.to_dict()).encode())
    assert verify_envelope(read, [OTHER, KEY]) == KEY
    assert read.payload == b"payload"


def test_a_signature_by_nobody_we_know_is_refused() -> None:
    with pytest.raises(VerificationError, match="none of the keys"):
        verify_envelope(sign_envelope(b"payload", PRIVATE), [OTHER])
    with pytest.raises(VerificationError):
        verify_envelope(sign_envelope(b"payload", PRIVATE), [])


def test_the_keyid_is_a_hint_only() -> None:
    signed = sign_envelope(b"payload", PRIVATE)
    hinted = Envelope(signed.payload, signed.kind, signed.signature, OTHER.fingerprint)
    assert verify_envelope(hinted, [OTHER, KEY]) == KEY


def document(**changes: Any) -> dict[str, Any]:
    return {**sign_envelope(b"payload", PRIVATE).to_json(), **changes}


SIGNATURE = document()["signatures"][0]


@pytest.mark.parametrize(
    "changed",
    [
        document(payloadType="application/json"),
        document(payload="cGF5bG9hZA"),
        document(payload="cGF5bG9hZB=="),
        document(payload="cGF5bG9h\nZA=="),
        document(payload=7),
        document(signatures=[]),
        document(signatures=[SIGNATURE, SIGNATURE]),
        document(signatures=[{**SIGNATURE, "kind": "webauthn"}]),
        document(signatures=[{**SIGNATURE, "extra": 1}]),
        document(signatures=[{"kind": "ed25519"}]),
        document(extra=1),
        {},
        [],
        None,
    ],
)
def test_any_other_envelope_is_refused(changed: Any) -> None:
    with pytest.raises(InputError, match="envelope"):
        Envelope.read(json.dumps(changed).encode())


def test_duplicate_keys_are_refused() -> None:
    data = canonical(document()).replace(b'{"payload":', b'{"payload":"","payload":', 1)
    with pytest.raises(InputError, match="duplicate key"):
        Envelope.read(data)


def test_one_kind_of_signature_does_not_pass_for_another() -> None:
    with pytest.raises(VerificationError, match="signature"):
        verify_envelope(Envelope.read(canonical(document(signatures=[{**SIGNATURE, "kind": "ssh"}]))), [KEY])


def test_in_a_bundle_an_envelope_has_one_spelling() -> None:
    assert Envelope.from_json(document()).to_json() == document()
    for changed in ({"sig": SIGNATURE["sig"]}, {"sig": SIGNATURE["sig"], "keyid": ""}):
        with pytest.raises(InputError, match="one spelling"):
            Envelope.from_json(document(signatures=[changed]))


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(InputError):
        Envelope.read(data)
