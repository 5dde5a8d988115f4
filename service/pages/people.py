# SPDX-License-Identifier: Apache-2.0
"""Who may sign, and by which keys: the roots file in force, to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fastapi import APIRouter, Request, Response

from service import trust
from service.arrivals import now
from service.pages._common import SignedIn, page

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from signoff import Person, PersonKey, Roots

router = APIRouter()


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key: its fingerprint and kind, from when until when it counts, and whether it does today."""

    fingerprint: str
    kind: str
    valid_from: datetime
    valid_until: datetime | None
    counts: bool


@dataclass(frozen=True, slots=True)
class PersonLine:
    """A person of the roots, or a machine that signs. ``declared`` says how their independence stands."""

    id: str
    name: str
    organization: str
    roles: str
    declared: str
    keys: tuple[KeyLine, ...]


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """The roots: people, and machines that sign, each with its keys. ``changed`` says how they can be changed."""

    template: ClassVar[str] = "people.html"
    people: tuple[PersonLine, ...]
    machines: tuple[PersonLine, ...]
    logs: tuple[str, ...]
    digest: str
    changed: str

    @property
    def title(self) -> str:
        """Always the same."""
        return "People and keys"


@router.get("/people", response_model=None)
def people(request: Request, person: SignedIn) -> Response:
    """Whose signatures count."""
    return page(request, people_page(trust.roots(request.app.state.context), now()), person)


def people_page(roots: Roots, moment: datetime) -> PeoplePage:
    """The page of these roots at a time."""
    lines = tuple(
        PersonLine(
            id=one.id,
            name=one.name,
            organization=one.organization,
            roles=", ".join(sorted(one.roles)),
            declared=_declared(one, moment),
            keys=_keys(one.keys, moment),
        )
        for one in roots.people
    )
    machines = [("service", roots.service_id, roots.service_keys)]
    machines += [("gate", gate.id, gate.keys) for gate in roots.gates]
    machines += [("lane for builds", lane.id, lane.keys) for lane in roots.build_lanes]
    return PeoplePage(
        people=lines,
        machines=tuple(PersonLine(name, name, "", role, "", _keys(keys, moment)) for role, name, keys in machines),
        logs=tuple(key.vkey for key in roots.logs),
        digest=roots.digest,
        changed=_changed(roots),
    )


def _changed(roots: Roots) -> str:
    plan = roots.administration
    if plan is None:
        return "Nobody administers these roots yet: who can write the file decides. countersign keys propose begins it."
    asked = f"{plan.threshold} administrators sign each new version, of this one and of the new one"
    return f"Version {plan.version} of {plan.issued_at:%Y-%m-%d}: {asked}."


def _declared(person: Person, moment: datetime) -> str:
    declaration = person.independence
    if declaration is None:
        return "no declaration of independence"
    conflict = declaration.conflict(person.organization, moment)
    return (
        f"declared independent until {declaration.expires_at}" if conflict is None else f"not independent: {conflict}"
    )


def _keys(keys: Iterable[PersonKey], moment: datetime) -> tuple[KeyLine, ...]:
    return tuple(
        KeyLine(one.key.fingerprint, one.key.algorithm, one.valid_from, one.valid_until, one.valid_at(moment))
        for one in keys
    )
