# SPDX-License-Identifier: Apache-2.0
"""Who is asking: one-time sign-in links and server-side sessions.

Tokens are 256 random bits; the database has only their SHA-256, so that who reads it cannot sign in.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from sqlalchemy import delete, select, update

from evidence import AuthenticationError, PermissionDeniedError, sha256_hex
from service import trust
from service.arrivals import now
from service.database import PersonRow, Session, SignInLink
from service.views import Person

if TYPE_CHECKING:
    from service.database import Database

COOKIE = "countersign-session"
LINK_LIFE = timedelta(hours=24)
SESSION_LIFE = timedelta(hours=12)
_MAX_TOKEN = 200
_READING = frozenset({"GET", "HEAD"})


class Accounts:
    """People, their one-time links and their sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enrol(self, person: Person) -> None:
        """Add a person, or bring name, organisation and role up to date."""
        with self._database.write() as session:
            session.merge(PersonRow(id=person.id, name=person.name, organization=person.organization, role=person.role))

    def link(self, person_id: str) -> str:
        """A new one-time token for this person; their unused older ones stop working."""
        token = secrets.token_urlsafe(32)
        moment = now()
        with self._database.write() as session:
            session.execute(delete(SignInLink).where(SignInLink.person_id == person_id, SignInLink.used_at.is_(None)))
            session.add(
                SignInLink(
                    token_sha256=sha256_hex(token.encode()),
                    person_id=person_id,
                    created_at=moment,
                    expires_at=moment + LINK_LIFE,
                )
            )
        return token

    def sign_in(self, token: str) -> str:
        """Use up a one-time token; returns the token of a new session.

        Raises:
            AuthenticationError: unknown, used before, or too old.
        """
        moment = now()
        cookie = secrets.token_urlsafe(32)
        with self._database.write() as session:
            link = session.get(SignInLink, sha256_hex(token[:_MAX_TOKEN].encode()))
            if link is None or link.used_at is not None or link.expires_at <= moment:
                raise AuthenticationError(
                    "this sign-in link was used before or is too old: restart the service for a new one"
                )
            link.used_at = moment
            session.execute(delete(Session).where(Session.expires_at <= moment))
            session.add(
                Session(
                    token_sha256=sha256_hex(cookie.encode()),
                    person_id=link.person_id,
                    created_at=moment,
                    expires_at=moment + SESSION_LIFE,
                )
            )
        return cookie

    def person(self, cookie: str) -> Person | None:
        """Whose session this is, or None."""
        if not cookie:
            return None
        with self._database.read() as session:
            row = session.scalar(
                select(PersonRow)
                .join(Session, Session.person_id == PersonRow.id)
                .where(Session.token_sha256 == sha256_hex(cookie[:_MAX_TOKEN].encode()), Session.expires_at > now())
            )
        return Person(row.id, row.name, row.organization, row.role) if row else None

    def sign_out(self, cookie: str) -> None:
        """End a session; nothing happens if there is none."""
        with self._database.write() as session:
            session.execute(
                update(Session)
                .where(Session.token_sha256 == sha256_hex(cookie[:_MAX_TOKEN].encode()))
                .values(expires_at=now())
            )


def session_person(request: Request) -> Person | None:
    """The person of this request's session, or None."""
    accounts: Accounts = request.app.state.accounts
    return accounts.person(request.cookies.get(COOKIE, ""))


def check_role(request: Request, person: Person) -> None:
    """Let a person whose roles only read do nothing else, and one who only submits nothing, whatever route it is.

    Raises:
        PermissionDeniedError: the request would change something, or show what no submitter may see.
    """
    if trust.only_submits(request.app.state.context, person):
        raise PermissionDeniedError(
            f"{person.id} is a submitter: the code host shows their results, and the API with the platform's token"
        )
    if request.method not in _READING and trust.only_reads(request.app.state.context, person):
        raise PermissionDeniedError(f"{person.id} has a role that only reads: nothing is changed by it")


def signed_in(request: Request) -> Person:
    """The person of this request's session. AuthenticationError if there is none, and as `check_role`."""
    person = session_person(request)
    if person is None:
        raise AuthenticationError("sign in first: the service prints a one-time link when it starts")
    check_role(request, person)
    return person


SignedIn = Annotated[Person, Depends(signed_in)]
