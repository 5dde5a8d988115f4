# SPDX-License-Identifier: Apache-2.0
"""What the service refuses of passkeys: used challenges, other people's keys, counters that go back, old statements."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from house import finished, make_key
from sqlalchemy import update
from webauthn.helpers import encode_cbor

from evidence import ConflictError, InputError, PermissionDeniedError, VerificationError, canonical
from service import passkeys, trust
from service.arrivals import now
from service.database import PasskeyRequest, PasskeyRow, PersonRow, StatementRow
from service.views import Person
from signoff import DEFAULT_POLICY, challenge

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from service.reviews import Reviews

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
OTHER = Person("other", "Other", "elsewhere", "reviewer")
ORIGIN = "http://localhost:8000"
UP, UV, BE, AT = 0x01, 0x04, 0x08, 0x40


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Device:
    """A software authenticator."""

    def __init__(self, identifier: bytes = b"credential-one") -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.id = identifier
        self.counter = 0

    def _client(self, kind: str, asked: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": asked, "origin": origin, "crossOrigin": False}).encode()

    def _data(self, flags: int, rp_id: str) -> bytes:
        self.counter += 1
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + struct.pack(">I", self.counter)

    def create(self, asked: str, *, flags: int = UP | UV, origin: str = ORIGIN, rp_id: str = "localhost") -> Any:
        numbers = self.private.public_key().public_numbers()
        cose = encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        data = self._data(flags | AT, rp_id) + bytes(16) + struct.pack(">H", len(self.id)) + self.id + cose
        return {
            "credential_id": _url(self.id),
            "client_data": _url(self._client("webauthn.create", asked, origin)),
            "attestation_object": _url(encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})),
        }

    def get(self, message: bytes, *, flags: int = UP | UV, origin: str = ORIGIN, rp_id: str = "localhost") -> Any:
        client = self._client("webauthn.get", _url(challenge(message)), origin)
        data = self._data(flags, rp_id)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "credential_id": _url(self.id),
            "authenticator_data": _url(data),
            "client_data": _url(client),
            "signature": _url(signature),
        }


@pytest.fixture
def client(request: pytest.FixtureRequest) -> TestClient:
    """Where nothing is reviewed, nobody needs to work."""
    found: TestClient = request.getfixturevalue("running" if "reviews" in request.fixturenames else "idle")
    return found


@pytest.fixture
def house(house: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COUNTERSIGN_PUBLIC_URL", ORIGIN)
    return house


@pytest.fixture
def context(house: Any, client: TestClient) -> Any:
    public = make_key(house.place).with_suffix(".pub").read_text(encoding="ascii")
    found = client.app.state.context  # type: ignore[attr-defined]
    trust.enrol_key(found, WHO, public, emails=("r@office.example",))
    return found


@pytest.fixture
def device(context: Any) -> Device:
    """Enrolled by the reviewer, and accepted."""
    made = Device()
    enrol(context, made)
    passkeys.accept(context, _url(made.id))
    return made


@pytest.fixture
def reviews(house: Any, client: TestClient, context: Any) -> Reviews:
    assert context.roots.exists()
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(client)
    return client.app.state.reviews  # type: ignore[attr-defined, no-any-return]


def enrol(context: Any, device: Device, who: Person = WHO, **options: Any) -> passkeys.Passkey:
    begun = passkeys.begin(context, who)
    assert begun is not None
    return passkeys.enrol(context, who, device.create(begun.challenge, **options), begun.challenge)


def logged_signoffs(reviews: Reviews) -> list[int]:
    """Where in the log sign-offs stand, the newest first; beside them stands what they rest on."""
    return [line.index for line in reviews.log().lines if line.kind == "signoff"]


def test_an_enrolled_passkey_counts_once_it_is_accepted(context: Any) -> None:
    device = Device()
    assert not enrol(context, device).counts
    assert passkeys.usable(context, WHO.id) == ()
    assert passkeys.accept(context, _url(device.id)).counts
    assert passkeys.usable(context, WHO.id) == (_url(device.id),)
    with pytest.raises(InputError, match="no passkey"):
        passkeys.accept(context, "AAAA")


@pytest.mark.parametrize(
    "options",
    [{"flags": UP}, {"origin": "http://localhost:8001"}, {"origin": "https://localhost:8000"}, {"rp_id": "host"}],
)
def test_what_was_not_asked_for_is_not_enrolled(context: Any, options: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match="cannot be enrolled"):
        enrol(context, Device(), **options)
    assert passkeys.enrolled(context) == ()


def test_a_synced_passkey_is_enrolled_only_where_policy_takes_it(context: Any) -> None:
    with pytest.raises(PermissionDeniedError, match="synced"):
        enrol(context, Device(), flags=UP | UV | BE)
    context.policy.write_text(DEFAULT_POLICY.replace("synced_passkeys = false", "synced_passkeys = true"))
    assert enrol(context, Device(), flags=UP | UV | BE).synced


def test_a_challenge_is_one_persons_and_counts_once_and_not_for_long(context: Any) -> None:
    begun = passkeys.begin(context, WHO)
    assert begun is not None
    answer = Device().create(begun.challenge)
    with pytest.raises(VerificationError, match="one of yours"):
        passkeys.enrol(context, OTHER, answer, begun.challenge)
    passkeys.enrol(context, WHO, answer, begun.challenge)
    with pytest.raises(VerificationError, match="used before"):
        passkeys.enrol(context, WHO, Device(b"another").create(begun.challenge), begun.challenge)
    late = passkeys.begin(context, WHO)
    assert late is not None
    with context.database.write() as session:
        session.execute(update(PasskeyRequest).values(created_at=now() - timedelta(minutes=11)))
    with pytest.raises(VerificationError, match="too old"):
        passkeys.enrol(context, WHO, Device(b"late").create(late.challenge), late.challenge)
    with pytest.raises(ConflictError, match="already"):
        enrol(context, Device())


def test_a_passkey_signs_a_prepared_statement_and_is_not_replayed_for_another(reviews: Reviews, device: Device) -> None:
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    answer = device.get(prepared.pae)
    index = reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=answer)
    assert reviews.revision(1, 1).signoffs[0].log_index == index
    assert all(one.state.met for one in reviews.revision(1, 1).requirements)
    assert reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=answer) == index
    assert logged_signoffs(reviews) == [index]

    second = reviews.prepare_statement(1, 1, WHO, "REJECTED")
    with pytest.raises(VerificationError, match="another statement"):
        reviews.sign_off(1, 1, WHO, nonce=second.nonce, passkey=answer)
    later = reviews.sign_off(1, 1, WHO, nonce=second.nonce, passkey=device.get(second.pae))
    with pytest.raises(ConflictError, match="replaced"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=answer)
    assert logged_signoffs(reviews) == [later, index]


def test_what_does_not_answer_the_question_is_refused(reviews: Reviews, device: Device, context: Any) -> None:
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    for options, reason in (
        ({"flags": UP}, "verify its owner"),
        ({"origin": "https://localhost:8000"}, "origin"),
        ({"rp_id": "evil.example"}, "relying party"),
    ):
        with pytest.raises(VerificationError, match=reason):
            reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=device.get(prepared.pae, **options))
    for missing in ("credential_id", "authenticator_data", "client_data", "signature"):
        with pytest.raises(VerificationError):
            reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey={**device.get(prepared.pae), missing: "\u00e9"})
    with pytest.raises(InputError, match="one of"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey={}, envelope=canonical({}))

    device.counter = 0
    with context.database.write() as session:
        session.execute(update(PasskeyRow).values(counter=5))
    with pytest.raises(VerificationError, match="counter went from 5 to 1"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=device.get(prepared.pae))

    device.counter = 10
    with context.database.write() as session:
        session.execute(update(StatementRow).values(created_at=now() - timedelta(hours=25)))
    with pytest.raises(ConflictError, match="more than a day"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=device.get(prepared.pae))

    with context.database.write() as session:
        session.merge(PersonRow(id="other", name="Other", organization="elsewhere", role="reviewer"))
        session.execute(update(PasskeyRow).values(person_id="other"))
    with pytest.raises(VerificationError, match="by you"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, passkey=device.get(prepared.pae))
    assert logged_signoffs(reviews) == []


def test_an_address_that_is_no_domain_takes_no_passkey(
    house: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_PUBLIC_URL", "http://127.0.0.1:8000")
    context = client.app.state.context  # type: ignore[attr-defined]
    bare = type(context)(house.settings, context.platforms, context.database, context.store)
    assert passkeys.scope(bare) is None
    assert passkeys.begin(bare, WHO) is None
    with pytest.raises(InputError, match="https domain"):
        passkeys.enrol(bare, WHO, {}, "x")
