# SPDX-License-Identifier: Apache-2.0
"""The roots file: whose keys count, and for what. The deployer and the reviewer each hold a copy."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from evidence import InputError, PolicyError, sha256_hex
from signoff._strict import Line, Sha256, StrictModel, Time, parse_time, read_document
from signoff.cosignatures import ED25519_COSIGNATURE
from signoff.independence import Declaration  # noqa: TC001 - pydantic reads it when it builds the model
from signoff.keys import PublicKey
from signoff.notes import NoteKey
from signoff.quorum import NO_WITNESS, QUORUM_LIMIT, Quorum, parse_quorum
from signoff.statement import Reviewer

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

ROOTS_SCHEMA = "countersign/roots/v1"
READ_ONLY = frozenset({"submitter", "auditor", "regulator", "administrator"})  # roles in which nobody signs off
_LIMIT = 4 << 20


class KeyEntry(StrictModel):
    """A person's key as written: OpenSSH's public line, and from when until when it counts."""

    public: Annotated[str, Field(max_length=8192)]
    valid_from: Time
    valid_until: Time | None = None


class AdministrationEntry(StrictModel):
    """How these roots are changed: their number, what they follow on, and how many administrators sign the next."""

    version: Annotated[int, Field(ge=1, le=1 << 31)]
    issued: Time
    previous: Sha256 | None = None
    threshold: Annotated[int, Field(ge=2, le=100)]

    @property
    def issued_at(self) -> datetime:
        """When these roots were issued."""
        return parse_time(self.issued, "issued")


class PersonEntry(StrictModel):
    """A person as written."""

    id: Line
    name: Line
    organization: Line
    roles: Annotated[tuple[Line, ...], Field(min_length=1)]
    emails: tuple[Line, ...] = ()
    accounts: tuple[Line, ...] = ()
    independence: Declaration | None = None
    keys: tuple[KeyEntry, ...] = ()


class LogEntry(StrictModel):
    """A log whose checkpoints count: its origin and verifier key."""

    origin: Line
    vkey: Line


class ServiceEntry(StrictModel):
    """The review service that the roots are of, and the keys by which it signs revocation lists."""

    id: Line
    name: Line
    keys: tuple[KeyEntry, ...] = ()


class GateEntry(StrictModel):
    """A gate of the deployer's, and the keys by which it signs what it decided."""

    id: Line
    keys: Annotated[tuple[KeyEntry, ...], Field(min_length=1)]


class BuildLaneEntry(StrictModel):
    """A lane for builds of retraining machines, and the keys by which the service countersigns them, nothing else."""

    id: Line
    keys: Annotated[tuple[KeyEntry, ...], Field(min_length=1)]


class RootsDocument(StrictModel):
    """The roots file as written, ``countersign/roots/v1``."""

    schema_name: Literal["countersign/roots/v1"] = Field(alias="schema")
    service: ServiceEntry
    logs: tuple[LogEntry, ...] = ()
    people: tuple[PersonEntry, ...] = ()
    gates: tuple[GateEntry, ...] = ()
    build_lanes: tuple[BuildLaneEntry, ...] = ()
    quorum: Annotated[str, Field(max_length=QUORUM_LIMIT)] | None = None  # a c2sp.org/tlog-policy
    administration: AdministrationEntry | None = None


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A key and the time for which it counts: from ``valid_from`` until, not including, ``valid_until``."""

    key: PublicKey
    valid_from: datetime
    valid_until: datetime | None

    def valid_at(self, moment: datetime) -> bool:
        """Whether the key counts at that time."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody we know. ``emails`` are folded, as `fold_email` does, and so are ``accounts`` on code hosts."""

    id: str
    name: str
    organization: str
    roles: frozenset[str]
    emails: frozenset[str]
    keys: tuple[PersonKey, ...]
    accounts: frozenset[str] = frozenset()
    independence: Declaration | None = None

    def reviewer(self, role: str = "reviewer") -> Reviewer:
        """How a statement names this person, signing in ``role``.

        Raises:
            InputError: it is none of their roles.
        """
        if role not in self.roles:
            raise InputError(f"{self.id} has no role {role!r}")
        return Reviewer(id=self.id, name=self.name, organization=self.organization, role=role)


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate whose decisions count."""

    id: str
    keys: tuple[PersonKey, ...]


@dataclass(frozen=True, slots=True)
class BuildLane:
    """A lane whose keys sign builds under a recipe that names it, and are good for nothing else."""

    id: str
    keys: tuple[PersonKey, ...]


@dataclass(frozen=True, slots=True)
class Roots:
    """The roots file, read and found to be without contradictions. ``digest`` is the file's, hexadecimal SHA-256."""

    service_id: str
    people: tuple[Person, ...]
    logs: tuple[NoteKey, ...]
    digest: str
    service_keys: tuple[PersonKey, ...] = ()
    gates: tuple[Gate, ...] = ()
    quorum: Quorum | None = None  # None: no witness is asked for
    administration: AdministrationEntry | None = None
    build_lanes: tuple[BuildLane, ...] = ()

    @property
    def dated(self) -> bool:
        """Whether witnesses date what is logged. Where none are asked for, only keys that count to this day do."""
        return self.quorum is not None and self.quorum.rule != NO_WITNESS

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Every person's keys, valid now or not."""
        return tuple(entry.key for person in self.people for entry in person.keys)

    def owner(self, key: PublicKey) -> tuple[Person, PersonKey]:
        """Whose key it is, by its bytes.

        Raises:
            InputError: nobody's.
        """
        for person in self.people:
            for entry in person.keys:
                if entry.key.blob == key.blob:
                    return person, entry
        raise InputError(f"{key.fingerprint} is not in the roots file")

    def person(self, identifier: str) -> Person | None:
        """The person of that id, if there is one."""
        return next((person for person in self.people if person.id == identifier), None)

    def by_email(self, email: str) -> Person | None:
        """The person with that address, if there is one."""
        folded = fold_email(email)
        return next((person for person in self.people if folded in person.emails), None)

    def by_account(self, account: str) -> Person | None:
        """The person who goes by that name on a code host, or has it as their id, if there is one."""
        folded = fold_name(account)
        return next(
            (person for person in self.people if folded in person.accounts or folded == fold_name(person.id)), None
        )

    def named(self, name: str, email: str) -> Person | None:
        """Who is meant by a name and an address as a change names its makers; an account has no address."""
        return self.by_email(email) if email else self.by_account(name)

    def log(self, origin: str) -> NoteKey | None:
        """The key of the log of that origin, if it counts."""
        return next((key for key in self.logs if key.name == origin), None)


def read_roots(path: Path) -> Roots:
    """Read a roots file.

    Raises:
        PolicyError: it cannot be read, or contradicts itself.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"{path}: the roots file cannot be read: {error.strerror}") from error
    return parse_roots(data, str(path))


def parse_roots(data: bytes, what: str = "roots") -> Roots:
    """Read the content of a roots file.

    Raises:
        PolicyError: not a roots file; or one id, address, key or log stands in it twice.
    """
    try:
        document = read_document(RootsDocument, data, what, limit=_LIMIT, only_canonical=False)
        people = tuple(_person(entry, what) for entry in document.people)
        logs = tuple(_log(entry, what) for entry in document.logs)
        service = tuple(_key(key, f"{what}: service") for key in document.service.keys)
        gates = tuple(
            Gate(gate.id, tuple(_key(key, f"{what}: {gate.id}") for key in gate.keys)) for gate in document.gates
        )
        lanes = tuple(
            BuildLane(lane.id, tuple(_key(key, f"{what}: {lane.id}") for key in lane.keys))
            for lane in document.build_lanes
        )
    except InputError as error:
        raise PolicyError(str(error)) from error
    _no_twice([fold_name(person.id) for person in people], f"{what}: two people with the id")
    _no_twice([email for person in people for email in sorted(person.emails)], f"{what}: two people with the address")
    _no_twice([log.name for log in logs], f"{what}: two keys for the log")
    _no_twice([fold_name(gate.id) for gate in gates], f"{what}: two gates with the id")
    _no_twice([fold_name(lane.id) for lane in lanes], f"{what}: two lanes with the id")
    keys = [entry.key for person in people for entry in person.keys]
    machines = (
        *service,
        *(entry for gate in gates for entry in gate.keys),
        *(entry for lane in lanes for entry in lane.keys),
    )
    keys += [entry.key for entry in machines]
    keys += [PublicKey.from_ed25519(log.public) for log in logs]
    quorum = None if document.quorum is None else _quorum(document.quorum, logs, what)
    if quorum is not None:
        witnesses = [key for key in quorum.witnesses.values() if key.kind == ED25519_COSIGNATURE]
        keys += [PublicKey.from_ed25519(key.public) for key in witnesses]
    _no_key_twice(keys, f"{what}: one key in two places:")
    called = [sorted(person.accounts | {fold_name(person.id)}) for person in people]  # `Roots.by_account` takes both
    _no_twice([one for names in called for one in names], f"{what}: two people with the account or id")
    plan = document.administration
    if plan is not None and plan.threshold > sum("administrator" in one.roles and bool(one.keys) for one in people):
        raise PolicyError(f"{what}: fewer administrators than its threshold; nobody could change it")
    return Roots(document.service.id, people, logs, sha256_hex(data), service, gates, quorum, plan, lanes)


def fold_email(email: str) -> str:
    """An address for comparing: without outer space and case, and without a ``+tag`` before the ``@``."""
    local, at, domain = fold_name(email).rpartition("@")
    return f"{local.split('+', 1)[0] or local}{at}{domain}"


def fold_name(name: str) -> str:
    """A name for comparing: without case, compatibility forms and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _person(entry: PersonEntry, what: str) -> Person:
    keys = tuple(_key(key, f"{what}: {entry.id}") for key in entry.keys)
    emails = [fold_email(email) for email in entry.emails]
    if entry.independence is not None:
        entry.independence.check()
    return Person(
        id=entry.id,
        name=entry.name,
        organization=entry.organization,
        roles=frozenset(entry.roles),
        emails=frozenset(emails),
        keys=keys,
        accounts=frozenset(fold_name(account) for account in entry.accounts),
        independence=entry.independence,
    )


def _key(entry: KeyEntry, what: str) -> PersonKey:
    start = parse_time(entry.valid_from, f"{what}: valid_from")
    end = None if entry.valid_until is None else parse_time(entry.valid_until, f"{what}: valid_until")
    if end is not None and end <= start:
        raise InputError(f"{what}: a key that ends before it begins")
    return PersonKey(PublicKey.from_line(entry.public, what), start, end)


def _log(entry: LogEntry, what: str) -> NoteKey:
    key = NoteKey.from_vkey(entry.vkey)
    if key.name != entry.origin:
        raise InputError(f"{what}: the log {entry.origin!r} has the key of {key.name!r}")
    return key


def _quorum(text: str, logs: tuple[NoteKey, ...], what: str) -> Quorum:
    """The witness policy. A log that it names is one of the roots' own: no other is let in by it."""
    quorum = parse_quorum(text.encode(), f"{what}: quorum")
    others = [key.name for key in quorum.logs if key not in logs]
    if others:
        raise PolicyError(f"{what}: quorum: the log {others[0]!r} is not among the roots' logs, or with another key")
    return quorum


def _no_twice(values: list[str], complaint: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise PolicyError(f"{complaint} {value}")
        seen.add(value)


def _no_key_twice(keys: list[PublicKey], complaint: str) -> None:
    """Of one key in two wrappings, as software and as hardware key or passkey, the second is refused too."""
    seen: set[str] = set()
    for key in keys:
        if key.identity in seen:
            raise PolicyError(f"{complaint} {key.fingerprint}")
        seen.add(key.identity)
