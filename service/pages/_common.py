# SPDX-License-Identifier: Apache-2.0
"""What every page shares: who is asking, the templates, the frame, and how times and links are written."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from evidence import sha256_hex
from reports import environment, stylesheet
from service.accounts import session_person, signed_in
from service.context import Context
from service.guards import SCRIPTED
from service.keys import KEYS
from service.reviews import Reviews
from service.trust import only_reads
from service.views import Person

if TYPE_CHECKING:
    from jinja2 import Environment

    from service.keys import Keys

_SERVICE = Path(__file__).parents[1]
TEMPLATES = _SERVICE / "templates"
STYLES = _SERVICE / "static"
_STYLESHEETS = ("pages.css", "threads.css")
PASSKEY_SCRIPT = "passkeys.js"  # in `STYLES`, as ``keys.js`` is, which runs for everybody who is signed in

SignedIn = Annotated[Person, Depends(signed_in)]


def _reviews(request: Request) -> Reviews:
    reviews: Reviews = request.app.state.reviews
    return reviews


Desk = Annotated[Reviews, Depends(_reviews)]


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Room = Annotated[Context, Depends(_context)]


class View(Protocol):
    """What a template is given as ``view``: a frozen dataclass of one page, made ready to print."""

    template: ClassVar[str]

    @property
    def title(self) -> str:
        """The page's title, without the service's name."""


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame around a page, given to each template as ``shell``.

    ``acts`` is false for who only reads: they are shown no form but sign-out. ``published`` is whether there are public
    pages to lead to. ``keys`` are those of the keyboard; empty for who is not signed in.
    """

    style: str
    here: str
    person: Person | None
    script: str = ""
    acts: bool = True
    published: bool = False
    keys: tuple[Keys, ...] = ()


def page(request: Request, view: View, person: Person | None, *, status: int = 200, script: str = "") -> HTMLResponse:
    """The view as a page in the frame. ``script`` names a file of `STYLES` that it runs beside that of the keys.

    Who is not signed in gets no keys; without either, the page's policy lets no script run.
    """
    context = request.app.state.context
    acts = person is None or not only_reads(context, person)
    keys = KEYS if person is not None else ()
    shell = Shell(style_url(), request.url.path, person, script, acts, context.settings.publish, keys)
    headers = {"Content-Security-Policy": SCRIPTED} if script or keys else None
    content = render(view, shell)
    return HTMLResponse(content, status_code=status, headers=headers)


def person_of(request: Request) -> Person | None:
    """Who is signed in, or None; for pages that are there for everybody."""
    return session_person(request)


def render(view: View, shell: Shell) -> str:
    """The view's template with nothing but ``view`` and ``shell``."""
    return _environment().get_template(view.template).render(view=view, shell=shell)


@functools.cache
def style() -> str:
    """The stylesheet of the pages: that of the reports and the frame's own."""
    return stylesheet() + "".join((STYLES / name).read_text(encoding="utf-8") for name in _STYLESHEETS)


@functools.cache
def style_url() -> str:
    """Where the stylesheet is: named by its content, so that it can be kept for ever."""
    return f"/style/{sha256_hex(style().encode())[:16]}.css"


@functools.cache
def _environment() -> Environment:
    result = environment(TEMPLATES)
    result.filters |= {"moment": moment, "age": age}
    return result


def moment(at: datetime) -> Markup:
    """A time as an element: to the minute, in UTC, which is what evidence is dated in."""
    utc = _utc(at)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{utc.day} {utc.strftime('%b %Y, %H:%M')} UTC"
    )


def age(at: datetime) -> str:
    """How long ago, in one unit."""
    seconds = max(0.0, (datetime.now(UTC) - _utc(at)).total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "less than a minute"


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def outside_link(url: str | None) -> str:
    """``url`` if a reviewer may follow it, http or https, else an empty string: a link can be code."""
    return url if url and url.startswith(("https://", "http://")) and url.isprintable() else ""
