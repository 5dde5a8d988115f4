# SPDX-License-Identifier: Apache-2.0
"""What sign-offs are held to: policy, roots and the log, as files of the data folder that the reviewer owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import ConflictError, canonical, parse_json
from service.arrivals import now
from service.store import write_durably
from signoff import (
    DEFAULT_POLICY,
    ROOTS_SCHEMA,
    Log,
    LogKey,
    LogReader,
    MachineKey,
    PublicKey,
    parse_roots,
    read_policy,
    read_roots,
)

if TYPE_CHECKING:
    from service.context import Context
    from service.views import Person
    from signoff import Policy, Roots

SERVICE_ID = "countersign"


def prepare(context: Context) -> None:
    """Make what is missing: the log's key, a policy, and a roots file that trusts this log and nobody yet.

    Raises:
        PolicyError: a policy or roots file is there that cannot be used; the service does not start on it.
    """
    if not context.log_key.exists():
        LogKey.generate(context.settings.log_origin).save(context.log_key)
    if not context.service_key.exists():
        MachineKey.generate().save(context.service_key)
    if not context.policy.exists():
        write_durably(context.policy, DEFAULT_POLICY.encode(), mode=0o644)
    if not context.roots.exists():
        _write_roots(context, [])
    policy(context)
    if not roots(context).service_keys:
        _write_roots(context, _people(context))  # a file of before there were revocation lists


def policy(context: Context) -> Policy:
    """The policy as it is now. PolicyError if it cannot be used."""
    return read_policy(context.policy)


def roots(context: Context) -> Roots:
    """The people and keys as they are now. PolicyError if they cannot be used."""
    return read_roots(context.roots)


def service_key(context: Context) -> MachineKey:
    """The key that signs revocation lists."""
    return MachineKey.load(context.service_key)


def log(context: Context) -> Log:
    """The transparency log, for appending."""
    return Log(context.log, LogKey.load(context.log_key))


def log_reader(context: Context) -> LogReader:
    """The transparency log, for reading."""
    return LogReader(context.log, LogKey.load(context.log_key).public)


def enrol_key(context: Context, person: Person, public: str, *, emails: tuple[str, ...] = ()) -> None:
    """Add a person with an SSH public key to a roots file that knows nobody of that id.

    ``emails`` are all the addresses that the person commits under, so that their own changes are recognised; without
    one the policy cannot say that they are independent, and admits nothing.

    Raises:
        InputError: not a key that can sign here.
        ConflictError: the person is there with another key.
    """
    known = roots(context)
    key = PublicKey.from_line(public)
    existing = known.person(person.id)
    if existing is not None:
        if all(entry.key.blob != key.blob for entry in existing.keys):
            raise ConflictError(f"{context.roots}: {person.id} is there with another key; edit the file")
        return
    entry = {
        "id": person.id,
        "name": person.name,
        "organization": person.organization,
        "roles": [person.role],
        "emails": list(emails),
        "keys": [{"public": key.line, "valid_from": now().strftime("%Y-%m-%dT00:00:00Z"), "valid_until": None}],
    }
    _write_roots(context, [*_people(context), entry])


def _people(context: Context) -> list[Any]:
    return list(parse_json(context.roots.read_bytes(), str(context.roots))["people"])


def _write_roots(context: Context, people: list[Any]) -> None:
    key = LogKey.load(context.log_key)
    known = parse_json(context.roots.read_bytes(), str(context.roots)) if context.roots.exists() else {}
    service = {"public": service_key(context).public.line, "valid_from": "2000-01-01T00:00:00Z", "valid_until": None}
    document = {
        "schema": ROOTS_SCHEMA,
        "service": {"id": SERVICE_ID, "name": "Countersign", "keys": [service]},
        "logs": [{"origin": key.origin, "vkey": key.vkey}],
        "people": people,
        **{name: known[name] for name in ("gates", "quorum") if name in known},
    }
    data = canonical(document)
    parse_roots(data, str(context.roots))
    write_durably(context.roots, data, mode=0o644)
