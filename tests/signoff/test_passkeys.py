# SPDX-License-Identifier: Apache-2.0
"""An assertion counts only as what it was asked for: these bytes, this origin, this relying party, a verified owner."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import webauthn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from webauthn.helpers import encode_cbor

from evidence import CountersignError, InputError, PolicyError, VerificationError, canonical
from signoff import (
    Assertion,
    Envelope,
    PasskeyScope,
    PublicKey,
    SignatureKind,
    challenge,
    envelope_from_passkey,
    pae,
    parse_roots,
    verify_assertion,
    verify_envelope,
)
from signoff._wire import wire_string

if TYPE_CHECKING:
    from world import World

SCOPE = PasskeyScope("review.example", "https://sign.review.example")
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
MESSAGE = pae(b"a statement")


@dataclass
class Authenticator:
    """A software authenticator that does as it is told, also what it must not."""

    private: Any = None
    scope: PasskeyScope = SCOPE
    counter: int = 0

    def __post_init__(self) -> None:
        self.private = self.private or ec.derive_private_key(7, ec.SECP256R1())

    @property
    def public(self) -> Any:
        return self.private.public_key()

    @property
    def key(self) -> PublicKey:
        return PublicKey.for_passkey(self.public, self.scope)

    @property
    def cose(self) -> bytes:
        """The key as an authenticator hands it over (RFC 9053), for software that is not ours."""
        if isinstance(self.private, Ed25519PrivateKey):
            return encode_cbor({1: 1, 3: -8, -1: 6, -2: self.public.public_bytes_raw()})
        numbers = self.public.public_numbers()
        if isinstance(self.private, rsa.RSAPrivateKey):
            return encode_cbor({1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\1\0\1"})
        return encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def sign(self, assertion: Assertion) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(assertion.signed)
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(assertion.signed, padding.PKCS1v15(), hashes.SHA256())
        signature: bytes = self.private.sign(assertion.signed, ec.ECDSA(hashes.SHA256()))
        return signature

    def asked(
        self, message: bytes = MESSAGE, *, flags: int = UP | UV, rp_id: str = "", tail: bytes = b"", **said: Any
    ) -> tuple[Assertion, bytes]:
        """An assertion and its signature; ``said`` replaces members of the client data."""
        self.counter += 1
        asked = base64.urlsafe_b64encode(challenge(message)).decode().rstrip("=")
        client = {"type": "webauthn.get", "challenge": asked, "origin": self.scope.origin, "crossOrigin": False, **said}
        rp_hash = hashlib.sha256((rp_id or self.scope.rp_id).encode()).digest()
        data = rp_hash + bytes([flags]) + struct.pack(">I", self.counter) + tail
        assertion = Assertion(data, json.dumps(client, separators=(",", ":")).encode())
        return assertion, self.sign(assertion)


ES256 = Authenticator()
ED25519 = Authenticator(Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
ASKED = ES256.asked()
RS256 = Authenticator(rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize("authenticator", [ES256, ED25519, RS256], ids=["es256", "ed25519", "rs256"])
def test_an_assertion_over_the_bytes_is_taken_here_and_by_py_webauthn(authenticator: Authenticator) -> None:
    assertion, signature = authenticator.asked()
    verify_assertion(authenticator.key, assertion, signature, MESSAGE)
    assert PublicKey.from_line(authenticator.key.line) == authenticator.key
    text = {
        "authenticatorData": _url(assertion.authenticator_data),
        "clientDataJSON": _url(assertion.client_data),
        "signature": _url(signature),
    }
    verified = webauthn.verify_authentication_response(
        credential={"id": "AA", "rawId": "AA", "type": "public-key", "response": text, "clientExtensionResults": {}},
        expected_challenge=challenge(MESSAGE),
        expected_rp_id=SCOPE.rp_id,
        expected_origin=SCOPE.origin,
        credential_public_key=authenticator.cose,
        credential_current_sign_count=0,
        require_user_verification=True,
    )
    assert verified.new_sign_count == assertion.counter


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flags": UP}, "verify its owner"),
        ({"flags": UV}, "touched"),
        ({"flags": UP | UV | BS}, "backed up"),
        ({"flags": UP | UV | ED}, "more than"),
        ({"flags": UP | UV | AT}, "more than"),
        ({"tail": b"\xa0"}, "more than"),
        ({"rp_id": "sign.review.example"}, "relying party"),
        ({"origin": "https://sign.review.example:8443"}, "origin"),
        ({"origin": "https://review.example"}, "origin"),
        ({"origin": "http://sign.review.example"}, "origin"),
        ({"origin": None}, "origin"),
        ({"challenge": "AAAA"}, "another statement"),
        ({"challenge": base64.urlsafe_b64encode(challenge(MESSAGE)).decode()}, "another statement"),  # padded
        ({"message": pae(b"another statement")}, "another statement"),
        ({"type": "webauthn.create"}, "something else"),
        ({"type": "payment.get"}, "something else"),
        ({"crossOrigin": True}, "another origin"),
        ({"crossOrigin": 0}, "another origin"),
        ({"topOrigin": "https://evil.example"}, "another origin"),
    ],
)
def test_an_assertion_of_anything_else_is_refused_though_its_signature_holds(
    changes: dict[str, Any], reason: str
) -> None:
    assertion, signature = ES256.asked(**changes)
    ES256.key.verify_passkey(signature, assertion.signed)
    with pytest.raises(VerificationError, match=reason):
        verify_assertion(ES256.key, assertion, signature, MESSAGE)


@pytest.mark.parametrize(
    "client_data",
    [
        b"",
        b"[]",
        b'{"type":"webauthn.get","type":"webauthn.get"}',
        b'{"type":"webauthn.get","challenge":"' + b"A" * 5000 + b'"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_client_data_that_two_readers_could_understand_differently_are_refused(client_data: bytes) -> None:
    assertion = Assertion(ES256.asked()[0].authenticator_data, client_data)
    with pytest.raises(VerificationError):
        verify_assertion(ES256.key, assertion, ES256.sign(assertion), MESSAGE)


def test_a_signature_has_one_spelling() -> None:
    assertion, signature = ES256.asked()
    # DER allows no padding of integers; some libraries take it.
    padded = signature[:1] + bytes([signature[1] + 1]) + signature[2:3] + bytes([signature[3] + 1, 0]) + signature[4:]
    for other in (padded, signature + b"\0", signature[:-1], b""):
        with pytest.raises(VerificationError):
            verify_assertion(ES256.key, assertion, other, MESSAGE)


@given(st.data())
def test_no_byte_of_an_assertion_can_be_another(data: st.DataObject) -> None:
    assertion, signature = ASKED
    parts = [bytearray(assertion.authenticator_data), bytearray(assertion.client_data), bytearray(signature)]
    part = data.draw(st.sampled_from(parts))
    at = data.draw(st.integers(0, len(part) - 1))
    part[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        verify_assertion(ES256.key, Assertion(bytes(parts[0]), bytes(parts[1])), bytes(parts[2]), MESSAGE)


@settings(max_examples=50)
@given(st.binary(max_size=300), st.binary(max_size=60), st.binary(max_size=100))
def test_garbage_is_refused_and_nothing_else_is_raised(client: bytes, data: bytes, signature: bytes) -> None:
    assertion = Assertion(data, client)
    with pytest.raises(CountersignError):
        verify_assertion(ES256.key, assertion, signature, MESSAGE)
    with pytest.raises(CountersignError):
        verify_assertion(ES256.key, assertion, ES256.sign(assertion), MESSAGE)


def test_an_envelope_keeps_what_the_signature_is_over() -> None:
    assertion, signature = ES256.asked(pae(b"{}"), flags=UP | UV | BE | BS)
    envelope = envelope_from_passkey(b"{}", assertion, signature, ES256.key)
    document = envelope.to_json()
    assert base64.b64decode(document["signatures"][0]["clientDataJSON"]) == assertion.client_data
    assert base64.b64decode(document["signatures"][0]["authenticatorData"]) == assertion.authenticator_data
    assert Envelope.from_json(document) == envelope
    assert envelope.synced
    assert verify_envelope(envelope, [ED25519.key, ES256.key]) == ES256.key
    with pytest.raises(VerificationError, match="none of the passkeys"):
        verify_envelope(envelope, [ED25519.key])
    with pytest.raises(VerificationError, match="another statement"):
        verify_envelope(replace(envelope, payload=b"[]"), [ES256.key])


@pytest.mark.parametrize("kind", ["ed25519", "ssh"])
def test_a_passkeys_signature_is_taken_for_no_other_kind(kind: str) -> None:
    assertion, signature = ED25519.asked(pae(b"{}"))
    document = envelope_from_passkey(b"{}", assertion, signature, ED25519.key).to_json()
    document["signatures"][0]["kind"] = kind
    with pytest.raises(InputError, match="webauthn"):
        Envelope.read(canonical(document))
    for name in ("authenticatorData", "clientDataJSON"):
        del document["signatures"][0][name]
    with pytest.raises(VerificationError):
        verify_envelope(Envelope.read(canonical(document)), [ED25519.key])
    document["signatures"][0]["kind"] = "webauthn"
    with pytest.raises(InputError, match="webauthn"):
        Envelope.read(canonical(document))


def test_a_software_signature_by_a_passkeys_own_key_is_refused() -> None:
    """Whoever gets at the private key of a passkey still cannot leave the verification of its owner out."""
    signature = ED25519.private.sign(pae(b"{}"))
    envelope = Envelope.read(
        canonical(
            {
                "payload": base64.b64encode(b"{}").decode(),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": base64.b64encode(signature).decode()}],
            }
        )
    )
    with pytest.raises(VerificationError):
        verify_envelope(envelope, [ED25519.key])
    with pytest.raises(VerificationError):
        ED25519.key.verify_ssh(wire_string(ED25519.key.algorithm.encode()) + wire_string(signature), pae(b"{}"))


@pytest.mark.parametrize(
    ("rp_id", "origin"),
    [
        ("review.example", "https://notreview.example"),
        ("review.example", "http://review.example"),
        ("review.example", "https://review.example/"),
        ("review.example", "https://review.example:0"),
        ("Review.example", "https://Review.example"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("", "https://review.example"),
        ("review.example", ""),
        ("r\u00e9view.example", "https://r\u00e9view.example"),
    ],
)
def test_a_scope_that_no_browser_allows_is_no_passkey(rp_id: str, origin: str) -> None:
    with pytest.raises(InputError):
        PublicKey.for_passkey(ES256.public, PasskeyScope(rp_id, origin))


def test_one_key_in_two_wrappings_stands_in_the_roots_once(world: World) -> None:
    raw = ED25519.public.public_bytes_raw()
    hardware = PublicKey.from_blob(wire_string(b"sk-ssh-ed25519@openssh.com") + wire_string(raw) + wire_string(b"ssh:"))
    elsewhere = PublicKey.for_passkey(ED25519.public, PasskeyScope("other.example", "https://other.example"))
    keys = [PublicKey.from_ed25519(raw), hardware, ED25519.key, elsewhere]
    assert len({key.identity for key in keys}) == 1
    assert len({key.fingerprint for key in keys}) == len(keys)
    for first in keys:
        for second in keys:
            world.people[0]["keys"] = [world.key_entry(first.line)]
            world.people[1]["keys"] = [world.key_entry(second.line)]
            world.write_roots()
            with pytest.raises(PolicyError, match="one key in two places"):
                parse_roots(world.roots.read_bytes())


def sign_by_passkey(world: World, flags: int = UP | UV, **scope: str) -> None:
    authenticator = Authenticator(scope=replace(SCOPE, **scope) if scope else SCOPE)
    world.people[0]["keys"] = [world.key_entry(ES256.key.line)]
    payload = world.payload()
    assertion, signature = authenticator.asked(pae(payload), flags=flags)
    envelope = envelope_from_passkey(payload, assertion, signature, authenticator.key)
    world.write([world.log_signoff(envelope)])


def test_the_gate_admits_what_a_passkey_signed(world: World) -> None:
    sign_by_passkey(world)
    result = world.gate()
    assert result.admitted, result.steps


def test_the_gate_refuses_a_synced_passkey_unless_policy_takes_it(world: World) -> None:
    sign_by_passkey(world, UP | UV | BE | BS)
    refused = world.gate().refused
    assert refused is not None
    assert (refused.name, "synced" in refused.detail) == ("requirements", True)
    world.policy_text = world.policy_text.replace("synced_passkeys = false", "synced_passkeys = true")
    sign_by_passkey(world, UP | UV | BE | BS)
    assert world.gate().admitted


def test_the_gate_refuses_a_passkey_used_at_another_origin(world: World) -> None:
    """The page of another host under the same domain gets a good signature; it is not taken for the reviewer's."""
    sign_by_passkey(world, origin="https://phish.review.example")
    refused = world.gate().refused
    assert refused is not None
    assert (refused.name, "origin" in refused.detail) == ("signatures", True)


def test_the_gate_refuses_an_assertion_replayed_beside_another_statement(world: World) -> None:
    """The assertion is real, its owner was verified, and its signature holds: of the statement it was made for."""
    sign_by_passkey(world)
    first = json.loads(world.bundle.read_bytes())["signoffs"][0]["envelope"]
    assertion = Envelope.from_json(first).assertion
    payload = world.payload(validity=replace(world.validity(), nonce="nonce-9876543210-again"))
    replayed = replace(Envelope.from_json(first), payload=payload)
    assert assertion is not None
    ES256.key.verify_passkey(replayed.signature, assertion.signed)
    world.write([world.log_signoff(replayed)])
    assert_refused_at_two(world, "the passkey signed another statement")


@pytest.mark.parametrize(
    ("flags", "words"),
    [(UP, "did not verify its owner (PIN, finger or face)"), (UV, "nobody touched"), (UP | UV | BS, "backed up")],
)
def test_the_gate_refuses_a_passkey_that_did_not_verify_its_owner(world: World, flags: int, words: str) -> None:
    """Signed by the enrolled key over these very bytes, and logged; only the owner was not there, or not verified."""
    world.people[0]["keys"] = [world.key_entry(ES256.key.line)]
    payload = world.payload()
    for given_flags in (UP | UV, flags):
        assertion, signature = ES256.asked(pae(payload), flags=given_flags)
        envelope = Envelope(payload, SignatureKind.WEBAUTHN, signature, ES256.key.fingerprint, assertion)
        world.write([world.log_signoff(envelope)])
        if given_flags == UP | UV:
            assert world.gate().admitted  # so it is the flag, and nothing else
    assert_refused_at_two(world, words)


def assert_refused_at_two(world: World, words: str) -> None:
    refused = world.gate().refused
    assert refused is not None
    assert (refused.number, refused.name) == (2, "signatures")
    assert words in refused.detail
    assert world.verified() == (2, 2)


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
