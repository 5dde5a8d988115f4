# SPDX-License-Identifier: Apache-2.0
"""What sign-offs are held to: policy, roots and the log, as files of the data folder that the reviewer owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import ConflictError, NotFoundError, PolicyError, canonical, parse_json, sha256_hex
from service.arrivals import now
from service.store import write_durably
from signoff import (
    DEFAULT_POLICY,
    READ_ONLY,
    ROOTS_SCHEMA,
    Log,
    LogKey,
    LogReader,
    MachineKey,
    PublicKey,
    RootsUpdate,
    accept_update,
    format_time,
    parse_roots,
    read_policy,
    read_roots,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from service.context import Context
    from service.views import Person
    from signoff import Policy, Roots, Statement

SERVICE_ID = "countersign"


def prepare(context: Context) -> None:
    """Make what is missing: the log's key, a policy, and a roots file that trusts this log and nobody yet.

    Raises:
        PolicyError: a policy or roots file is there that cannot be used; the service does not start on it.
    """
    with context.exclusive("trust"):
        _prepare(context)


def _prepare(context: Context) -> None:
    if not context.log_key.exists():
        LogKey.generate(context.settings.log_origin).save(context.log_key)
    if not context.service_key.exists():
        MachineKey.generate().save(context.service_key)
    if not context.policy.exists():
        write_durably(context.policy, DEFAULT_POLICY.encode(), mode=0o644)
    if not context.roots.exists():
        _write_roots(context, [])
    policy(context)
    check_history(context)
    if not roots(context).service_keys:
        _write_roots(context, _people(context))  # a file of before there were revocation lists


def policy(context: Context) -> Policy:
    """The policy as it is now. PolicyError if it cannot be used."""
    return read_policy(context.policy)


def keep_policy(context: Context) -> Policy:
    """The policy as it is now, kept for the bundles of what is signed under it. PolicyError if it cannot be used."""
    found = policy(context)
    data = context.policy.read_bytes()
    if sha256_hex(data) == found.digest:  # else it is being written: what is kept is what was read
        context.store.put(data)
    return found


def signed_policy(context: Context, statements: Iterable[Statement]) -> bytes | None:
    """The file of the policy that all of these were signed under; None where it was not kept, or is not one."""
    named = {one.predicate.policy.digest.sha256 for one in statements}
    if len(named) != 1:
        return None
    (name,) = named
    try:
        return context.store.get(f"sha256:{name}")
    except NotFoundError:  # signed before policies were kept
        data = context.policy.read_bytes()
        return data if sha256_hex(data) == name else None


def roots(context: Context) -> Roots:
    """The people and keys as they are now.

    Raises:
        PolicyError: they cannot be used, or are not the ones that the administrators signed last.
    """
    found = read_roots(context.roots)
    latest = _updates(context)[-1:]
    if latest and sha256_hex(RootsUpdate.read(latest[0].read_bytes()).roots) != found.digest:
        raise PolicyError(f"{context.roots}: not the roots that the administrators signed last; put those back")
    if found.administration is not None and not latest:
        raise PolicyError(f"{context.roots}: names administrators, and the update that they signed is missing")
    return found


def only_reads(context: Context, person: Person) -> bool:
    """Whether a person's roles only read: those in the roots, or the session's for who is not in them."""
    return _roles(context, person) <= READ_ONLY


def only_submits(context: Context, person: Person) -> bool:
    """Whether a person is on the platform's side alone, and sees no page: they are full of the panel."""
    return _roles(context, person) <= {"submitter"}


def _roles(context: Context, person: Person) -> frozenset[str]:
    known = roots(context).person(person.id) if context.roots.exists() else None
    return known.roles if known is not None else frozenset({person.role})


def check_history(context: Context) -> None:
    """Check every update of the roots from the first on, each as of when it was issued.

    An update that a killed process kept and did not put in force is put in force.

    Raises:
        PolicyError: one is missing, or does not follow on the one before it.
        VerificationError: a signature in one does not hold.
    """
    before: bytes | None = None
    for number, path in enumerate(_updates(context), start=1):
        update = RootsUpdate.read(path.read_bytes(), str(path))
        plan = parse_roots(update.roots, str(path)).administration
        if plan is None or path.name != f"{number:06d}.json":
            raise PolicyError(f"{path}: not update {number} of the roots; restore it")
        if before is not None:
            accept_update(before, update, plan.issued_at)
        before = update.roots
        if previous := plan.previous:
            _finish(context, update, previous.sha256)


def _finish(context: Context, update: RootsUpdate, previous: str) -> None:
    if sha256_hex(context.roots.read_bytes()) == previous:
        write_durably(context.roots, update.roots, mode=0o644)


def put_in_force(context: Context, update: RootsUpdate) -> None:
    """Keep an update that was accepted and logged, and put its roots in the place of those in force."""
    plan = parse_roots(update.roots).administration
    context.root_updates.mkdir(mode=0o700, exist_ok=True)
    write_durably(context.root_updates / f"{plan.version if plan else 0:06d}.json", update.to_bytes(), mode=0o644)
    write_durably(context.roots, update.roots, mode=0o644)


def updates(context: Context) -> list[RootsUpdate]:
    """The updates that the roots came by, from the first on. InputError if one cannot be read."""
    return [RootsUpdate.read(path.read_bytes(), str(path)) for path in _updates(context)]


def _updates(context: Context) -> list[Path]:
    return sorted(context.root_updates.glob("*.json")) if context.root_updates.is_dir() else []


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


def add_key(context: Context, person_id: str, key: PublicKey) -> None:
    """Add a key, valid from now on, to somebody whom the roots file knows; nothing happens if it is there.

    Raises:
        ConflictError: the roots do not know the person.
        PolicyError: the key is there under somebody else.
    """
    people = _people(context)
    entry = next((entry for entry in people if entry["id"] == person_id), None)
    if entry is None:
        raise ConflictError(f"{context.roots}: does not know {person_id}; add them with name, organisation and roles")
    if all(PublicKey.from_line(known["public"]).blob != key.blob for known in entry["keys"]):
        entry["keys"].append({"public": key.line, "valid_from": format_time(now()), "valid_until": None})
        _write_roots(context, people)


def _people(context: Context) -> list[Any]:
    return list(parse_json(context.roots.read_bytes(), str(context.roots))["people"])


def _write_roots(context: Context, people: list[Any]) -> None:
    if _updates(context):
        raise PolicyError(
            f"{context.roots}: signed by administrators; countersign keys propose, sign and apply change it"
        )
    key = LogKey.load(context.log_key)
    known = parse_json(context.roots.read_bytes(), str(context.roots)) if context.roots.exists() else {}
    service = {"public": service_key(context).public.line, "valid_from": "2000-01-01T00:00:00Z", "valid_until": None}
    document = {
        "schema": ROOTS_SCHEMA,
        "service": {"id": SERVICE_ID, "name": "Countersign", "keys": [service]},
        "logs": [{"origin": key.origin, "vkey": key.vkey}],
        "people": people,
        **{name: known[name] for name in ("gates", "build_lanes", "quorum") if name in known},
    }
    data = canonical(document)
    parse_roots(data, str(context.roots))
    write_durably(context.roots, data, mode=0o644)
