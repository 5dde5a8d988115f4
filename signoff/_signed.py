# SPDX-License-Identifier: Apache-2.0
"""A sign-off of which the signature holds, and what the gate asks of it by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import InputError
from signoff.requirements import Voter, declared
from signoff.roots import READ_ONLY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from evidence import Revision
    from signoff.keys import PublicKey
    from signoff.roots import Person
    from signoff.statement import Statement


@dataclass(frozen=True, slots=True)
class Signed:
    """A sign-off of which the signature holds: who made it, by which key, and what it says."""

    person: Person
    key: PublicKey
    statement: Statement
    synced: bool = False  # by a passkey that may have copies
    carried_from: str | None = None  # the revision it was given to, where that is another than the bundle's


def check_reviewer(statement: Statement, person: Person) -> None:
    """The statement speaks in the name of the person whose key signed it. InputError if not."""
    said = statement.predicate.reviewer
    if (said.id, said.name, said.organization) != (person.id, person.name, person.organization):
        raise InputError(f"signed by the key of {person.id}, in the name of {said.id!r} ({said.name!r})")
    if said.role not in person.roles:
        raise InputError(f"{person.id} signs as {said.role!r}, a role that the roots do not give")
    if said.role in READ_ONLY:
        raise InputError(f"{person.id} signs as {said.role!r}, a role that only reads")


def check_change(one: Signed, revision: Revision) -> None:
    """The statement describes in its words the manifest that is its subject. InputError if not."""
    change = one.statement.predicate.change
    said = (change.repository, change.baseTree, change.headTree, change.headCommit)
    if said != (revision.repository, revision.base.tree, revision.head.tree, revision.head.commit):
        raise InputError(f"the statement of {one.person.id} describes another change than its manifest")


def no_twice(values: Sequence[str], complaint: str) -> None:
    """InputError with that complaint if a value is there twice."""
    if len(set(values)) != len(values):
        raise InputError(complaint)


def voter(one: Signed, now: datetime) -> Voter:
    """A sign-off as policy sees it, its declaration held against a time."""
    predicate = one.statement.predicate
    return Voter(
        person=one.person.id,
        organization=one.person.organization,
        roles=frozenset({predicate.reviewer.role}),
        emails=one.person.emails,
        key=one.key.identity,
        synced=one.synced,
        expedited=predicate.expedited is not None,
        declared=declared(one.person, one.statement, now),
        decision=predicate.decision,
        override=predicate.override,
        signed_at=one.statement.signed_at,
        expires_at=one.statement.expires_at,
    )
