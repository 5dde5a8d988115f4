# SPDX-License-Identifier: Apache-2.0
"""Views of the queue that somebody gave a name: their own, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, func, select

from evidence import ConflictError, InputError
from service.database import SavedViewRow

if TYPE_CHECKING:
    from service.attention import Filter
    from service.database import Database
    from service.views import Person

MOST: Final = 20  # views of one person
MAX_NAME: Final = 60


class SavedView(NamedTuple):
    """A named filter, as a query."""

    name: str
    query: str


def listed(database: Database, person: Person) -> tuple[SavedView, ...]:
    """The views of a person, by name."""
    with database.read() as session:
        rows = session.scalars(
            select(SavedViewRow).where(SavedViewRow.person_id == person.id).order_by(SavedViewRow.name)
        )
        return tuple(SavedView(row.name, row.query) for row in rows)


def save(database: Database, person: Person, name: str, wanted: Filter) -> None:
    """Keep a filter under a name; one of that name is replaced.

    Raises:
        InputError: no name, too long a one, or a filter that lets everything through.
        ConflictError: the person has as many as there can be.
    """
    words = " ".join(name.split())
    if not words or len(words) > MAX_NAME or not words.isprintable():
        raise InputError(f"a view has a name of 1 to {MAX_NAME} characters that can be seen")
    if not wanted.query:
        raise InputError("this view shows everything: choose a filter first, then save it")
    with database.write() as session:
        known = session.get(SavedViewRow, (person.id, words))
        number = session.scalar(select(func.count()).where(SavedViewRow.person_id == person.id)) or 0
        if known is None and number >= MOST:
            raise ConflictError(f"you have {MOST} views, which is as many as there can be: remove one")
        session.merge(SavedViewRow(person_id=person.id, name=words, query=wanted.query))


def remove(database: Database, person: Person, name: str) -> None:
    """Take a view of a person's away; nothing happens if there is none of that name."""
    with database.write() as session:
        session.execute(delete(SavedViewRow).where(SavedViewRow.person_id == person.id, SavedViewRow.name == name))
