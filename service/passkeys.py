# SPDX-License-Identifier: Apache-2.0
"""Passkeys of reviewers: enrolled in the browser, kept with their attestation, and counted once the roots name them."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import select
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import CredentialDeviceType

from evidence import ConflictError, InputError, PermissionDeniedError, VerificationError
from service import trust
from service.arrivals import now
from service.database import PasskeyRequest, PasskeyRow
from signoff import Assertion, PasskeyScope, PublicKey, envelope_from_passkey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from webauthn.registration.verify_registration_response import VerifiedRegistration

    from service.context import Context
    from service.views import Person
    from signoff import Envelope

ALGORITHMS = (-7, -8, -257)  # ES256, EdDSA and RS256, as COSE numbers them
REQUEST_LIFE = timedelta(minutes=10)

_STEP = "passkey"
_MAX_TEXT = 64 << 10


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a browser needs to make a passkey; bytes are base64url."""

    challenge: str
    rp_id: str
    user: str
    name: str
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as it is shown: ``counts`` once the roots name it."""

    credential_id: str
    fingerprint: str
    line: str
    person_id: str
    authenticator: str
    attestation: str
    synced: bool
    created_at: datetime
    counts: bool


def scope(context: Context) -> PasskeyScope | None:
    """Where passkeys of this service are used; None where its address is no https domain, nor localhost."""
    address = urlsplit(context.settings.url)
    host = address.hostname or ""
    found = PasskeyScope(host, f"{address.scheme}://{address.netloc}")
    try:
        found.check()
    except InputError:
        return None
    return found


def begin(context: Context, person: Person) -> Enrolment | None:
    """A challenge for this person to enrol a passkey by; None where the service's address allows none."""
    where = scope(context)
    if where is None:
        return None
    challenge = _text(secrets.token_bytes(32))
    with context.database.write() as session:
        session.add(PasskeyRequest(challenge=challenge, person_id=person.id, created_at=now(), used_at=None))
        known = session.scalars(select(PasskeyRow.credential_id).where(PasskeyRow.person_id == person.id)).all()
    return Enrolment(challenge, where.rp_id, _text(person.id.encode()), person.name, tuple(known))


def enrol(context: Context, person: Person, response: Mapping[str, str], challenge: str) -> Passkey:
    """Keep the passkey that a browser made for ``challenge``, with its attestation.

    What is *not* checked: that the attestation's certificates lead to a maker whom somebody trusts. It is kept, so
    that whoever needs to can; an administrator reads which authenticator it says to be.

    Args:
        context: the data folder.
        person: who is signed in.
        response: ``credential_id``, ``client_data`` and ``attestation_object``, base64url.
        challenge: the challenge it answers.

    Raises:
        VerificationError: unknown or used challenge, another origin or relying party, owner not verified, attestation
            that does not hold.
        PermissionDeniedError: a passkey that is synced, where the policy refuses those.
        ConflictError: it is there already.
    """
    where = scope(context)
    if where is None:
        raise InputError("this service's address allows no passkeys: COUNTERSIGN_PUBLIC_URL must be an https domain")
    _use(context, person, challenge)
    credential_id = response.get("credential_id", "")
    verified = _verified(where, response, challenge)
    synced = verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    if synced and not trust.policy(context).rules.signing.synced_passkeys:
        raise PermissionDeniedError("this passkey is synced to other devices, which the policy refuses: use another")
    public = decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
    key = PublicKey.for_passkey(public, where)
    row = PasskeyRow(
        credential_id=credential_id,
        person_id=person.id,
        public=key.line,
        synced=synced,
        authenticator=verified.aaguid,
        attestation=verified.fmt,
        attestation_digest=context.store.put_json({"schema": "countersign/attestation/v1", **response}),
        counter=verified.sign_count,
        created_at=now(),
    )
    with context.database.write() as session:
        if session.get(PasskeyRow, credential_id) is not None:
            raise ConflictError("this passkey is enrolled already")
        session.add(row)
    return next(one for one in enrolled(context, person.id) if one.credential_id == credential_id)


def enrolled(context: Context, person_id: str | None = None) -> tuple[Passkey, ...]:
    """The passkeys of one person, or of all, oldest first."""
    query = select(PasskeyRow).order_by(PasskeyRow.created_at, PasskeyRow.credential_id)
    if person_id is not None:
        query = query.where(PasskeyRow.person_id == person_id)
    with context.database.read() as session:
        rows = session.scalars(query).all()
    return tuple(_shown(context, row) for row in rows)


def usable(context: Context, person_id: str) -> tuple[str, ...]:
    """The credential ids that this person can sign with here and now."""
    where = scope(context)
    return tuple(
        one.credential_id
        for one in enrolled(context, person_id)
        if one.counts and PublicKey.from_line(one.line).passkey == where
    )


def accept(context: Context, credential_id: str) -> Passkey:
    """Let a passkey count: its key goes into the roots file, under the person who enrolled it.

    Raises:
        InputError: no such passkey.
        PolicyError: the roots are signed by administrators, and only a signed update changes them.
    """
    found = next((one for one in enrolled(context) if one.credential_id == credential_id), None)
    if found is None:
        raise InputError(f"no passkey {credential_id[:80]!r} was enrolled here; countersign keys list shows them")
    trust.add_key(context, found.person_id, PublicKey.from_line(found.line))
    return next(one for one in enrolled(context) if one.credential_id == credential_id)


def envelope(context: Context, person: Person, payload: bytes, response: Mapping[str, str]) -> Envelope:
    """The envelope around ``payload`` and what a browser gave for it.

    ``response`` has ``credential_id``, ``authenticator_data``, ``client_data`` and ``signature``, base64url.

    Raises:
        VerificationError: no passkey of this person, or not an assertion over this payload.
    """
    with context.database.read() as session:
        row = session.get(PasskeyRow, response.get("credential_id", "")[:1400])
    if row is None or row.person_id != person.id:
        raise VerificationError(_STEP, "this passkey was not enrolled here by you")
    assertion = Assertion(_bytes(response, "authenticator_data"), _bytes(response, "client_data"))
    return envelope_from_passkey(payload, assertion, _bytes(response, "signature"), PublicKey.from_line(row.public))


def count(context: Context, key: PublicKey, envelope: Envelope) -> None:
    """Compare a signature's counter with the last, and keep it. Authenticators that do not count say 0 every time.

    Raises:
        VerificationError: the counter did not grow: an older signature, or a second device with the same key.
    """
    if envelope.assertion is None:
        return
    counter = envelope.assertion.counter
    with context.database.write() as session:
        row = session.scalar(select(PasskeyRow).where(PasskeyRow.public == key.line))
        if row is None:
            return
        if (counter or row.counter) and counter <= row.counter:
            raise VerificationError(
                _STEP, f"its counter went from {row.counter} to {counter}: an old signature, or a copy of the passkey"
            )
        row.counter = counter


def _use(context: Context, person: Person, challenge: str) -> None:
    with context.database.write() as session:
        request = session.get(PasskeyRequest, challenge[:64])
        if request is None or request.person_id != person.id:
            raise VerificationError(_STEP, "the challenge is not one of yours: open the page again")
        if request.used_at is not None or request.created_at + REQUEST_LIFE <= now():
            raise VerificationError(_STEP, "the challenge was used before or is too old: open the page again")
        request.used_at = now()


def _verified(where: PasskeyScope, response: Mapping[str, str], challenge: str) -> VerifiedRegistration:
    credential_id = response.get("credential_id", "")
    document = {
        "id": credential_id,
        "rawId": credential_id,
        "type": "public-key",
        "response": {
            "clientDataJSON": response.get("client_data", ""),
            "attestationObject": response.get("attestation_object", ""),
        },
        "clientExtensionResults": {},
    }
    try:
        verified = webauthn.verify_registration_response(
            credential=json.dumps(document),
            expected_challenge=_decoded(challenge),
            expected_rp_id=where.rp_id,
            expected_origin=where.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise VerificationError(_STEP, f"cannot be enrolled: {str(error)[:300] or type(error).__name__}") from error
    if _text(verified.credential_id) != credential_id:
        raise VerificationError(_STEP, "cannot be enrolled: the authenticator made another credential")
    return verified


def _shown(context: Context, row: PasskeyRow) -> Passkey:
    key = PublicKey.from_line(row.public)
    person = trust.roots(context).person(row.person_id)
    counts = person is not None and any(entry.key == key and entry.valid_at(now()) for entry in person.keys)
    return Passkey(
        credential_id=row.credential_id,
        fingerprint=key.fingerprint,
        line=key.line,
        person_id=row.person_id,
        authenticator=row.authenticator,
        attestation=row.attestation,
        synced=row.synced,
        created_at=row.created_at,
        counts=counts,
    )


def _bytes(response: Mapping[str, str], name: str) -> bytes:
    try:
        return _decoded(response.get(name, ""))
    except InputError as error:
        raise VerificationError(_STEP, f"{name}: {error}") from error


def _decoded(text: str) -> bytes:
    if len(text) > _MAX_TEXT:
        raise InputError("longer than anything that a passkey says")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError("not base64url") from error


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
