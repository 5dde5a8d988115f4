# SPDX-License-Identifier: Apache-2.0
"""How roots change hands: version N+1 is signed by enough administrators of N, and by enough of N+1.

An update holds the new roots' exact bytes and SSH signatures over their PAE, of a payload type of its own, so that
nothing else that an administrator signs can be taken for one. What was valid stays readable: people and keys are ended,
never removed, and a new key does not begin before the update, so nobody signs in a past that was not theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from evidence import Digest, InputError, Json, PolicyError, canonical, digest, sha256_hex
from signoff._strict import StrictModel, decode_base64, encode_base64, read_document
from signoff.envelope import pae
from signoff.leaves import leaf
from signoff.roots import Roots, fold_name, parse_roots
from signoff.sshsig import dearmor, parse_sshsig

if TYPE_CHECKING:
    from datetime import datetime

    from signoff.keys import PublicKey
    from signoff.roots import PersonKey

UPDATE_SCHEMA = "countersign/roots-update/v1"
ROOTS_TYPE = "application/vnd.countersign.roots+json"
ADMINISTRATOR = "administrator"
ROOTS_LEAF = "roots"  # of the log's leaves

_LIMIT = 8 << 20


class UpdateDocument(StrictModel):
    """An update as written: the new roots in base64, and armoured SSH signatures over their PAE."""

    schema_name: Literal["countersign/roots-update/v1"] = Field(alias="schema")
    roots: str
    signatures: Annotated[tuple[Annotated[str, Field(max_length=20_000)], ...], Field(max_length=100)] = ()


@dataclass(frozen=True, slots=True)
class RootsUpdate:
    """New roots and the signatures collected for them. Nothing is verified yet; `accept_update` does that."""

    roots: bytes
    signatures: tuple[str, ...] = ()

    @staticmethod
    def read(data: bytes, what: str = "roots update") -> RootsUpdate:
        """Read an update.

        Raises:
            InputError: not one.
        """
        document = read_document(UpdateDocument, data, what, limit=_LIMIT, only_canonical=True)
        return RootsUpdate(decode_base64(document.roots, what), document.signatures)

    def to_bytes(self) -> bytes:
        """The update as written."""
        return canonical(self.document)

    @property
    def document(self) -> dict[str, Json]:
        """The update as a document."""
        return {"schema": UPDATE_SCHEMA, "roots": encode_base64(self.roots), "signatures": list(self.signatures)}

    @property
    def message(self) -> bytes:
        """The exact bytes that administrators sign, in the namespace ``countersign``."""
        return pae(self.roots, ROOTS_TYPE)

    @property
    def digest(self) -> Digest:
        """The digest that the log holds of it."""
        return digest(self.to_bytes())

    def signed(self, armored: str) -> RootsUpdate:
        """This update with one signature more.

        Raises:
            InputError: not an SSH signature.
            VerificationError: not over these roots.
        """
        parse_sshsig(dearmor(armored)).verify(self.message)
        return RootsUpdate(self.roots, (*self.signatures, armored.strip() + "\n"))

    def signers(self) -> tuple[PublicKey, ...]:
        """The keys that signed, each signature verified.

        Raises:
            InputError: a signature that is none.
            VerificationError: one that is not over these roots.
        """
        keys = []
        for armored in self.signatures:
            signature = parse_sshsig(dearmor(armored))
            signature.verify(self.message)
            keys.append(signature.key)
        return tuple(keys)


def roots_leaf(update: RootsUpdate) -> dict[str, Json]:
    """The log's leaf of an update of the roots: its digest."""
    return leaf(ROOTS_LEAF, digest=update.digest)


def accept_update(before: bytes | None, update: RootsUpdate, now: datetime) -> Roots:
    """Check that an update follows on the roots as they were, by enough administrators of both.

    Args:
        before: the bytes of the roots in force, or None to begin with: then the new administrators alone sign.
        update: the new roots and their signatures.
        now: the time to judge at, with its zone.

    Returns:
        The new roots.

    Raises:
        PolicyError: not the next version, not on these roots, something taken away or backdated, or too few signed.
        VerificationError: a signature that does not hold.
    """
    new = parse_roots(update.roots, "new roots")
    plan = new.administration
    if plan is None:
        raise PolicyError("new roots: they name no administration, so nobody could change them after")
    old = None if before is None else parse_roots(before, "roots in force")
    expected = 1 if old is None or old.administration is None else old.administration.version + 1
    if plan.version != expected:
        raise PolicyError(f"new roots: version {plan.version}, where {expected} is next")
    if (plan.previous.sha256 if plan.previous else None) != (None if before is None else sha256_hex(before)):
        raise PolicyError("new roots: they do not follow on the roots in force; propose the update again")
    if plan.issued_at > now:
        raise PolicyError("new roots: they are issued in the future")
    if old is not None:
        _check_kept(old, new)
        if old.administration is not None and plan.issued_at < old.administration.issued_at:
            raise PolicyError("new roots: issued before those in force")
    signers = update.signers()
    _enough(new, signers, now, "the new roots")
    if old is not None and old.administration is not None:
        _enough(old, signers, now, "the roots in force")
    return new


def _check_kept(old: Roots, new: Roots) -> None:
    """What was said of the past stays said: people and keys are ended, not removed, and none begins in the past."""
    if old.service_id != new.service_id:
        raise PolicyError("new roots: of another service")
    missing = [log.name for log in old.logs if log not in new.logs]
    if missing:
        raise PolicyError(f"new roots: the log {missing[0]} is left out; nobody could verify what it holds any more")
    for person in old.people:
        kept = new.person(person.id)
        if kept is None:
            raise PolicyError(f"new roots: {person.id} is left out; end their keys instead")
        for entry in person.keys:
            _check_key(entry, next((one for one in kept.keys if one.key == entry.key), None), person.id)
    for lane in old.build_lanes:
        there = next((one.keys for one in new.build_lanes if one.id == lane.id), ())
        for entry in lane.keys:
            _check_key(entry, next((one for one in there if one.key == entry.key), None), f"the lane {lane.id}")
    known = {key.identity for key in old.keys} | {one.key.identity for lane in old.build_lanes for one in lane.keys}
    issued = new.administration.issued_at if new.administration else None
    held = [(person.id, entry) for person in new.people for entry in person.keys]
    for owner, entry in held + [(f"the lane {lane.id}", entry) for lane in new.build_lanes for entry in lane.keys]:
        if issued is not None and entry.key.identity not in known and entry.valid_from < issued:
            raise PolicyError(f"new roots: a new key of {owner} begins before the roots are issued")


def _check_key(before: PersonKey, after: PersonKey | None, who: str) -> None:
    if after is None or after.valid_from != before.valid_from:
        raise PolicyError(f"new roots: a key of {who} is left out or begins at another time; end it instead")
    if before.valid_until is not None and (after.valid_until is None or after.valid_until > before.valid_until):
        raise PolicyError(f"new roots: a key of {who} that was ended counts for longer; add a new one instead")


def _enough(roots: Roots, signers: tuple[PublicKey, ...], now: datetime, which: str) -> None:
    """Distinct administrators, by distinct keys that count now, as many as the threshold of these roots."""
    people: set[str] = set()
    keys: set[str] = set()
    for key in signers:
        try:
            person, entry = roots.owner(key)
        except InputError:
            continue
        if ADMINISTRATOR in person.roles and entry.valid_at(now):
            people.add(fold_name(person.id))
            keys.add(key.identity)
    plan = roots.administration
    needed = plan.threshold if plan is not None else 0
    if not needed or min(len(people), len(keys)) < needed:
        raise PolicyError(f"{which} ask for {needed} administrators; {min(len(people), len(keys))} of them signed")
