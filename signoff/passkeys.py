# SPDX-License-Identifier: Apache-2.0
"""Signing by passkey: the assertion of a WebAuthn authenticator whose challenge is the SHA-256 of the bytes to sign.

The steps are those of https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion, without what only a login needs.
Everything an authenticator may leave open is closed here: the person was verified, no extensions, no frames.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from evidence import InputError, VerificationError, parse_json

if TYPE_CHECKING:
    from signoff.keys import PublicKey

AUTHENTICATOR_DATA_BYTES = 37  # RP ID hash, flags, counter; nothing else without extensions
CLIENT_DATA_LIMIT = 4096

_STEP = "signature"
_RP_ID_HASH_BYTES = 32
_USER_PRESENT = 0x01
_USER_VERIFIED = 0x04
_BACKUP_ELIGIBLE = 0x08
_BACKED_UP = 0x10
_ATTESTED = 0x40
_EXTENSIONS = 0x80


class Assertion(NamedTuple):
    """What an authenticator signed, as bytes: its own data, and the browser's account of what was asked."""

    authenticator_data: bytes
    client_data: bytes

    @property
    def flags(self) -> int:
        """The authenticator's flags; 0 where the data are too short to have any."""
        data = self.authenticator_data
        return data[_RP_ID_HASH_BYTES] if len(data) > _RP_ID_HASH_BYTES else 0

    @property
    def backup_eligible(self) -> bool:
        """Whether the passkey may leave its device, as synced passkeys do."""
        return bool(self.flags & _BACKUP_ELIGIBLE)

    @property
    def counter(self) -> int:
        """How often the authenticator signed; 0 where it does not count."""
        return int.from_bytes(self.authenticator_data[_RP_ID_HASH_BYTES + 1 : AUTHENTICATOR_DATA_BYTES], "big")

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        return self.authenticator_data + hashlib.sha256(self.client_data).digest()


def challenge(message: bytes) -> bytes:
    """What a browser is asked to have signed for ``message``, the PAE of a statement: its SHA-256."""
    return hashlib.sha256(message).digest()


def made_by(key: PublicKey, assertion: Assertion, signature: bytes) -> bool:
    """Whether the signature is this key's; what was signed is not looked at."""
    try:
        key.verify_passkey(signature, assertion.signed)
    except VerificationError:
        return False
    return True


def verify_assertion(key: PublicKey, assertion: Assertion, signature: bytes, message: bytes) -> None:
    """Check that ``key``'s authenticator, having verified its owner, signed ``message`` at the key's own origin.

    What is *not* checked: whose key it is; whether policy takes passkeys that are synced (`Assertion.backup_eligible`);
    the counter, since who verifies offline does not know the one before. The service compares it when it is handed in.

    Raises:
        VerificationError: the first thing that does not hold.
    """
    scope = key.passkey
    if scope is None:
        raise VerificationError(_STEP, f"{key.fingerprint} is no passkey")
    key.verify_passkey(signature, assertion.signed)
    _check_client_data(assertion.client_data, scope.origin, message)
    data = assertion.authenticator_data
    if len(data) != AUTHENTICATOR_DATA_BYTES or assertion.flags & (_ATTESTED | _EXTENSIONS):
        raise VerificationError(_STEP, "the authenticator's data hold more than an assertion does, or less")
    if data[:_RP_ID_HASH_BYTES] != hashlib.sha256(scope.rp_id.encode()).digest():
        raise VerificationError(_STEP, f"the authenticator signed for another relying party than {scope.rp_id}")
    if not assertion.flags & _USER_PRESENT:
        raise VerificationError(_STEP, "nobody touched the authenticator")
    if not assertion.flags & _USER_VERIFIED:
        raise VerificationError(_STEP, "the authenticator did not verify its owner (PIN, finger or face)")
    if assertion.flags & _BACKED_UP and not assertion.flags & _BACKUP_ELIGIBLE:
        raise VerificationError(_STEP, "the authenticator says it is backed up and cannot be")


def _check_client_data(client_data: bytes, origin: str, message: bytes) -> None:
    try:
        said = parse_json(client_data, "clientDataJSON", limit=CLIENT_DATA_LIMIT)
    except InputError as error:
        raise VerificationError(_STEP, str(error)) from error
    if not isinstance(said, dict):
        raise VerificationError(_STEP, "clientDataJSON is no object")
    if said.get("type") != "webauthn.get":
        raise VerificationError(_STEP, "the browser was asked for something else than an assertion")
    asked = base64.urlsafe_b64encode(challenge(message)).rstrip(b"=").decode("ascii")
    if said.get("challenge") != asked:
        raise VerificationError(_STEP, "the passkey signed another statement: its challenge is not these bytes' hash")
    if said.get("origin") != origin:
        raise VerificationError(_STEP, f"the passkey was used at another origin than {origin}")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise VerificationError(_STEP, "the passkey was used within a page of another origin")
