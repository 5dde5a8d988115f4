# SPDX-License-Identifier: Apache-2.0
"""The revocation list: what counts no more. Signed by the service, logged at intervals, and in every bundle.

An in-toto Statement about the list itself. The log holds its envelope's digest, so that a list of any length fits. A
list that is too old is refused by the gate: who withholds the new one gains no more time than policy allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import InputError, Json, canonical, digest, sha256_hex
from signoff._strict import Count, Line, Sha256, StrictModel, Text, Time, format_time, parse_time, read_document
from signoff.leaves import leaf
from signoff.statement import STATEMENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from signoff.envelope import Envelope

REVOCATIONS_TYPE = "https://countersign.dev/revocations/v1"
REVOCATIONS_LEAF = "revocations"  # of the log's leaves
REVOCATIONS_LIMIT = 8 << 20  # bytes of the envelope


class RevokedKind(StrEnum):
    """What is revoked, by its SHA-256."""

    STATEMENT = "statement"  # of a sign-off's payload
    KEY = "key"  # of a key's OpenSSH blob, whose base64 is its fingerprint
    REVISION = "revision"  # of a revision manifest
    RECIPE = "recipe"  # of a recipe for builds


class RevokedEntry(StrictModel):
    """One revocation. A key's signatures count no more if they were made ``since`` then or later.

    ``before`` goes with a recipe whose lane was stopped: builds logged before that entry of the log still count.
    """

    kind: RevokedKind
    digest: Sha256
    since: Time
    reason: Text
    before: Count | None = None


class RevocationsPredicate(StrictModel):
    """The list itself."""

    service: Line
    number: Count
    issuedAt: Time  # noqa: N815 - the names in this file are those of the signed document
    revoked: tuple[RevokedEntry, ...]


class ListSubject(StrictModel):
    """The list, by the digest of its canonical JSON."""

    name: Literal["revocations"]
    digest: Sha256


class RevocationsDocument(StrictModel):
    """The statement as written."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[ListSubject, ...], Field(min_length=1, max_length=1)]
    predicateType: Literal["https://countersign.dev/revocations/v1"]  # noqa: N815
    predicate: RevocationsPredicate


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revocation: what, since when, and why. ``sha256`` is in lower-case hexadecimal."""

    kind: RevokedKind
    sha256: str
    since: datetime
    reason: str
    before: int | None = None  # of a stopped lane: what was logged before that entry still counts


@dataclass(frozen=True, slots=True)
class Revocations:
    """A list as read."""

    service: str
    number: int
    issued_at: datetime
    revoked: tuple[Revoked, ...]

    def find(self, kind: RevokedKind, sha256: str) -> Revoked | None:
        """What the list says of a thing; None if nothing."""
        return next((one for one in self.revoked if one.kind is kind and one.sha256 == sha256), None)


def build_revocations(service: str, number: int, issued_at: datetime, revoked: Iterable[Revoked]) -> dict[str, Any]:
    """The statement of a list; `canonical` of it is what the service signs.

    Args:
        service: the service's id, as in the roots file.
        number: one more than the last list's.
        issued_at: when.
        revoked: all that is revoked, not only what is new.

    Raises:
        InputError: the document would not be accepted by `read_revocations`.
    """
    entries = [
        {
            "kind": one.kind.value,
            "digest": {"sha256": one.sha256},
            "since": format_time(one.since),
            "reason": one.reason,
            **({} if one.before is None else {"before": one.before}),
        }
        for one in sorted(revoked, key=lambda one: (one.kind.value, one.sha256))
    ]
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "revocations", "digest": {"sha256": sha256_hex(canonical(entries))}}],
        "predicateType": REVOCATIONS_TYPE,
        "predicate": {
            "service": service,
            "number": number,
            "issuedAt": format_time(issued_at),
            "revoked": entries,
        },
    }
    read_revocations(canonical(document))
    return document


def read_revocations(payload: bytes) -> Revocations:
    """Read a list, once its signature has been verified.

    Raises:
        InputError: not canonical JSON, another document, a subject that is not the list, or entries out of order or
            there twice.
    """
    document = read_document(
        RevocationsDocument, payload, "revocation list", limit=REVOCATIONS_LIMIT, only_canonical=True
    )
    predicate = document.predicate
    entries = [entry.model_dump(mode="json", exclude_unset=True) for entry in predicate.revoked]
    if document.subject[0].digest.sha256 != sha256_hex(canonical(entries)):
        raise InputError("revocation list: its subject is not its list")
    order = [(entry.kind.value, entry.digest.sha256) for entry in predicate.revoked]
    if order != sorted(set(order)):
        raise InputError("revocation list: its entries are out of order, or one is there twice")
    if any(entry.before is not None and entry.kind is not RevokedKind.RECIPE for entry in predicate.revoked):
        raise InputError("revocation list: an entry of the log goes with a recipe, and with nothing else")
    return Revocations(
        predicate.service,
        predicate.number,
        parse_time(predicate.issuedAt, "issuedAt"),
        tuple(
            Revoked(entry.kind, entry.digest.sha256, parse_time(entry.since, "since"), entry.reason, entry.before)
            for entry in predicate.revoked
        ),
    )


def revocations_leaf(envelope: Envelope) -> Mapping[str, Json]:
    """The log's leaf of a list: the digest of its envelope."""
    return leaf(REVOCATIONS_LEAF, digest=digest(canonical(envelope.to_json())))
