# SPDX-License-Identifier: Apache-2.0
"""A reviewer's passkeys: which there are, whether they count yet, and adding one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from evidence import InputError
from service.pages._common import PASSKEY_SCRIPT, Desk, SignedIn, page

if TYPE_CHECKING:
    from service.passkeys import Enrolment, Passkey

router = APIRouter()


@dataclass(frozen=True, slots=True)
class PasskeysPage:
    """The passkeys of who is signed in. ``enrolment`` is None where the service's address allows none."""

    template: ClassVar[str] = "passkeys.html"
    passkeys: tuple[Passkey, ...]
    enrolment: Enrolment | None

    @property
    def title(self) -> str:
        """Always the same."""
        return "Passkeys"


class NewPasskey(BaseModel):
    """What the script fills in: the new credential and its attestation, base64url."""

    challenge: str = Field(default="", max_length=64)
    credential_id: str = Field(default="", max_length=1400)
    client_data: str = Field(default="", max_length=10_000)
    attestation_object: str = Field(default="", max_length=64 << 10)


@router.get("/passkeys", response_model=None)
def show(request: Request, person: SignedIn, reviews: Desk) -> Response:
    """The passkeys there are, and the form to add one."""
    view = PasskeysPage(reviews.passkeys(person), reviews.begin_passkey(person))
    return page(request, view, person, script=PASSKEY_SCRIPT)


@router.post("/passkeys", response_model=None)
def add(person: SignedIn, reviews: Desk, form: Annotated[NewPasskey, Form()]) -> Response:
    """Keep a new passkey."""
    if not form.attestation_object:
        raise InputError("adding a passkey needs JavaScript; an SSH key does not")
    reviews.enrol_passkey(person, form.model_dump(exclude={"challenge"}), form.challenge)
    return RedirectResponse("/passkeys", status_code=303)
