# SPDX-License-Identifier: Apache-2.0
"""What everybody may see without signing in, where the operator publishes: signed revisions, and how to check them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from evidence import NotFoundError, canonical
from service import published
from service.context import Context
from service.pages._common import page, person_of

if TYPE_CHECKING:
    from service.published import Published, PublishedLine

router = APIRouter()

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _opened(request: Request) -> Context:
    """The data folder, if its operator publishes."""
    context: Context = request.app.state.context
    if not context.settings.publish:
        raise NotFoundError("this service has no public pages: its operator publishes elsewhere, or not at all")
    return context


_Open = Annotated[Context, Depends(_opened)]


def _named(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise NotFoundError("a signed revision is named by the SHA-256 of its manifest: 64 hexadecimal digits")
    return sha256


@dataclass(frozen=True, slots=True)
class PublicPage:
    """The signed revisions, newest first."""

    template: ClassVar[str] = "public.html"
    lines: tuple[PublishedLine, ...]

    @property
    def title(self) -> str:
        """Always the same."""
        return "Signed revisions"


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """One signed revision. ``commands`` check one sign-off each without this server's word for it."""

    template: ClassVar[str] = "published.html"
    revision: Published
    commands: tuple[tuple[int, str], ...]

    @property
    def title(self) -> str:
        """Which revision, by the first digits of its digest."""
        return f"Signed revision {self.revision.sha256[:12]}"


@router.get("/public", response_model=None)
def public(request: Request, context: _Open) -> Response:
    """What was signed."""
    return page(request, PublicPage(published.listed(context)), person_of(request))


@router.get("/public/roots.json", response_model=None)
def roots(context: _Open) -> Response:
    """The roots file in force: who may sign, and by which keys."""
    return Response(context.roots.read_bytes(), media_type="application/json")


@router.get("/public/{sha256}", response_model=None)
def revision(request: Request, context: _Open, sha256: str) -> Response:
    """One signed revision, and how to check it."""
    found = published.one(context, _named(sha256))
    commands = tuple((one.index, _commands(context.settings.url, sha256, one.index)) for one in found.signoffs)
    return page(request, PublishedPage(found, commands), person_of(request))


@router.get("/public/{sha256}/{index}.dsse.json", response_model=None)
def envelope(context: _Open, sha256: str, index: int) -> Response:
    """The envelope of one sign-off, as it is in the log."""
    content = canonical(published.envelope(context, _named(sha256), index).to_json())
    return Response(content, media_type="application/json")


@router.get("/public/{sha256}/{index}.tlog-proof", response_model=None)
def proof(context: _Open, sha256: str, index: int) -> Response:
    """The proof that it is in the log (c2sp.org/tlog-proof)."""
    return PlainTextResponse(published.proof(context, _named(sha256), index))


def _commands(url: str, sha256: str, index: int) -> str:
    """Three commands: fetch, hold the roots against what is known from elsewhere, check."""
    place = f"{url}/public"
    return (
        f"curl -fsS -O {place}/{sha256}/{index}.dsse.json -O {place}/{sha256}/{index}.tlog-proof"
        f" -O {place}/roots.json\n"
        "sha256sum roots.json\n"
        f"countersign log check {index}.dsse.json --proof {index}.tlog-proof --roots roots.json"
    )
