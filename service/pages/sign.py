# SPDX-License-Identifier: Apache-2.0
"""Signing off: what has not been looked at, the exact bytes, and three steps: decide, sign, hand in."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from evidence import InputError, TooLargeError, Verdict, parse_json, sha256_hex
from reports import UnknownGroup, cell_rows, file_anchor, grouped, unknowns
from service.inspected import MOST_NAMED
from service.life import State
from service.pages._common import PASSKEY_SCRIPT, Desk, SignedIn, page
from service.pages._heading import Heading, heading, read, root
from service.pages.change import AnsweredFinding, FileLine, answered, file_lines
from signoff import INDEPENDENCE_DECLARATION, RECIPE_NAME, challenge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports import CellRow
    from service.views import Person, Prepared, RecipeView, RevisionView, SignoffView, ThreadCounts
    from signoff import Requirement

router: APIRouter = APIRouter()

MAX_UPLOAD = 256 << 10
_SHOWN_CELLS = 12

DECISIONS: Mapping[str, str] = {
    "APPROVED": "Approve: this revision may go out as it is",
    "APPROVED_WITH_CONDITIONS": "Approve with conditions: it may go out if the conditions below are kept",
    "REJECTED": "Reject: this revision must not go out",
    "REVOKED": "Revoke: my approval of this revision counts no more",
}


class PasskeyForm(BaseModel):
    """What the script fills in: a passkey's assertion, base64url."""

    nonce: str = Field(default="", max_length=200)
    credential_id: str = Field(default="", max_length=1400)
    authenticator_data: str = Field(default="", max_length=1000)
    client_data: str = Field(default="", max_length=10_000)
    signature: str = Field(default="", max_length=1000)


class Line(NamedTuple):
    """One line of the statement in words."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class StatementView:
    """A prepared statement: its exact text, what it says, and what the signature will cover."""

    nonce: str
    text: str
    size: int
    digest: str
    pae_digest: str
    lines: tuple[Line, ...]
    download: str


class PasskeyAsked(NamedTuple):
    """What the browser is to ask a passkey for; bytes are base64url."""

    challenge: str
    rp_id: str
    credentials: str


@dataclass(frozen=True, slots=True)
class SignPage:
    """The sign-off page. ``statement`` is None until a decision is prepared; ``closed`` says why none can be.

    ``since`` is the last earlier revision of the change that the person signed.
    ``passkey`` is None where there is nothing to sign, or the person has no passkey that counts here.

    ``unviewed`` are the files that this person has not marked; ``waivable`` those of them that can be waived by name;
    ``threads`` how many of the change are open.

    ``overrides`` is true where the verdict is no pass, so that an approval has to say why it goes against it;
    ``expedites`` where the policy has an expedited lane. ``recipes`` for builds can be signed with an approval.
    """

    template: ClassVar[str] = "sign.html"
    heading: Heading
    unviewed: tuple[FileLine, ...]
    waivable: tuple[FileLine, ...]
    unanswered: tuple[AnsweredFinding, ...]
    must_change: tuple[AnsweredFinding, ...]
    threads: ThreadCounts
    beyond: tuple[CellRow, ...]
    beyond_total: int
    unknown: tuple[UnknownGroup, ...]
    unknowns: int
    requirements: tuple[Requirement, ...]
    signoffs: tuple[SignoffView, ...]
    has_bundle: bool
    overrides: bool
    expedites: bool
    recipes: tuple[RecipeView, ...]
    closed: str
    decisions: Mapping[str, str]
    declaration: str
    statement: StatementView | None
    passkey: PasskeyAsked | None
    since: int | None

    @property
    def title(self) -> str:
        """Sign-off of which change."""
        return f"Sign-off: {self.heading.name}"


_CLOSED: Mapping[State, str] = {
    State.OUTSIDE: "The revision touches nothing that is under review, so there is nothing to sign.",
    State.HELD: "The revision waits to be let through. It can be signed once it is reviewed.",
    State.RECEIVED: "The revision is still being compared. It can be signed once the review is ready.",
    State.DIFFED: "The audit is still running. The revision can be signed once the review is ready.",
    State.AUDITED: "The review is still being put together. It can be signed in a moment.",
    State.SUPERSEDED: "A newer revision took this one's place. Sign-offs go to the newest.",
    State.FAILED: "This revision could not be reviewed, so there is nothing to sign. The overview says why.",
}


@router.get("/changes/{change_id}/revisions/{n}/sign", response_model=None)
def sign(
    request: Request,
    person: SignedIn,
    reviews: Desk,
    change_id: int,
    n: int,
    nonce: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """What a sign-off would stand for; with a nonce, the statement prepared under it."""
    reading = read(reviews, change_id, n)
    revision = reading.revision
    findings = answered(revision)
    missing = unknowns(revision.diff, revision.audit, revision.artifacts)
    beyond = _beyond(revision)
    viewed = reviews.viewed_by(change_id, n, person)
    unviewed = tuple(file for file in file_lines(revision) if file.path not in viewed)
    prepared = reviews.prepared(change_id, n, nonce) if nonce else None
    own = [item.decision for item in revision.signoffs if item.reviewer_id == person.id]
    revocable = bool(own) and own[-1].startswith("APPROVED")
    late = revision.state is State.SUPERSEDED and reviews.owes_review(change_id, n)
    view = SignPage(
        heading=heading(reading, "sign"),
        unviewed=unviewed,
        waivable=unviewed[:MOST_NAMED],
        unanswered=tuple(item for item in findings if item.answer is None),
        must_change=tuple(item for item in findings if item.answer is not None and item.answer.kind == "must-change"),
        threads=revision.threads,
        beyond=beyond[:_SHOWN_CELLS],
        beyond_total=len(beyond),
        unknown=grouped(missing),
        unknowns=len(missing),
        requirements=revision.requirements,
        signoffs=revision.signoffs,
        has_bundle=any(item.decision.startswith("APPROVED") and not item.superseded for item in revision.signoffs),
        overrides=revision.verdict not in {Verdict.PASS, None},
        expedites=reviews.may_expedite(),
        recipes=reviews.recipes(change_id, n),
        closed="" if late or (revocable and revision.state is State.SUPERSEDED) else _CLOSED.get(revision.state, ""),
        decisions=_decisions(revision, revocable=revocable, late=late),
        declaration=INDEPENDENCE_DECLARATION,
        statement=_statement(prepared, root(change_id, n)) if prepared else None,
        passkey=_passkey(reviews, person, prepared) if prepared else None,
        since=reviews.signed_before(change_id, n, person),
    )
    return page(request, view, person, script=PASSKEY_SCRIPT)


@router.post("/changes/{change_id}/revisions/{n}/sign", response_model=None)
def prepare(  # noqa: PLR0913, PLR0917 - the fields of the form
    person: SignedIn,
    reviews: Desk,
    change_id: int,
    n: int,
    decision: Annotated[str, Form()] = "",
    meaning: Annotated[str, Form()] = "",
    conditions: Annotated[str, Form()] = "",
    override: Annotated[str, Form()] = "",
    expedited: Annotated[str, Form(max_length=1000)] = "",
    recipe: Annotated[str, Form(max_length=71)] = "",
    waive_file: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    waive_reason: Annotated[list[str], Form()] = [],  # noqa: B006
) -> Response:
    """Prepare the statement of a decision, and show it. Conditions are one a line.

    ``waive_file`` and ``waive_reason`` go in pairs: a file's anchor, since a path may not survive a form, and why it
    needs no look; empty where it is not waived.
    """
    if decision not in DECISIONS:
        raise InputError("choose a decision: approve, approve with conditions, reject, or revoke")
    lines = tuple(line.strip() for line in conditions.splitlines() if line.strip())
    if decision == "APPROVED_WITH_CONDITIONS" and not lines:
        raise InputError("an approval with conditions needs at least one condition, one a line")
    prepared = reviews.prepare_statement(
        change_id,
        n,
        person,
        decision,
        meaning=meaning.strip(),
        conditions=lines if decision == "APPROVED_WITH_CONDITIONS" else (),
        override=override.strip(),
        expedited=expedited.strip(),
        waive=_waived(read(reviews, change_id, n).revision, waive_file, waive_reason),
        recipe=recipe,
    )
    return RedirectResponse(f"{root(change_id, n)}/sign?nonce={quote(prepared.nonce)}#statement", status_code=303)


@router.get("/changes/{change_id}/revisions/{n}/statement", response_model=None)
def statement(
    _person: SignedIn,
    reviews: Desk,
    change_id: int,
    n: int,
    nonce: Annotated[str, Query(max_length=200)],
    part: Literal["pae", "payload"] = "pae",
) -> Response:
    """The bytes to sign (``part=pae``, the default) or the statement alone."""
    prepared = reviews.prepared(change_id, n, nonce)
    content, name = (prepared.pae, "statement.pae") if part == "pae" else (prepared.payload, "statement.json")
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.post("/changes/{change_id}/revisions/{n}/signoffs", response_model=None)
def hand_in(
    person: SignedIn,
    reviews: Desk,
    change_id: int,
    n: int,
    nonce: Annotated[str, Form()] = "",
    signature: UploadFile | None = None,
    signature_text: Annotated[str, Form()] = "",
    envelope: UploadFile | None = None,
) -> Response:
    """Take a signature: an SSH signature by file or text, or a whole DSSE envelope."""
    whole, signed = _content(envelope), _content(signature) or signature_text.strip().encode()
    if whole:
        reviews.sign_off(change_id, n, person, envelope=whole)
    elif signed:
        reviews.sign_off(change_id, n, person, nonce=nonce, ssh_signature=_armored(signed))
    else:
        raise InputError("hand in a signature: the file statement.pae.sig, or its text, or a DSSE envelope")
    return RedirectResponse(f"{root(change_id, n)}/sign#signoffs", status_code=303)


@router.post("/changes/{change_id}/revisions/{n}/passkey-signoffs", response_model=None)
def hand_in_passkey(
    person: SignedIn, reviews: Desk, change_id: int, n: int, form: Annotated[PasskeyForm, Form()]
) -> Response:
    """Take a passkey's assertion over a prepared statement."""
    if not form.signature:
        raise InputError("signing by passkey needs JavaScript; an SSH key does not")
    reviews.sign_off(change_id, n, person, nonce=form.nonce, passkey=form.model_dump(exclude={"nonce"}))
    return RedirectResponse(f"{root(change_id, n)}/sign#signoffs", status_code=303)


def _decisions(revision: RevisionView, *, revocable: bool, late: bool) -> Mapping[str, str]:
    """What can be decided: of a superseded revision only to revoke one's own, unless broken glass owes it a review."""
    return {
        name: words
        for name, words in DECISIONS.items()
        if (revocable if name == "REVOKED" else late or revision.state is not State.SUPERSEDED)
    }


def _waived(revision: RevisionView, files: list[str], reasons: list[str]) -> tuple[tuple[str, str], ...]:
    if len(files) != len(reasons):
        raise InputError("every file to waive goes with its reason: reload the page")
    paths = {file_anchor(file["path"]): file["path"] for file in (revision.diff or {}).get("files", ())}
    given = [(anchor, reason.strip()) for anchor, reason in zip(files, reasons, strict=True) if reason.strip()]
    unknown = [anchor for anchor, _ in given if anchor not in paths]
    if unknown:
        raise InputError("the change does not touch a file that you waive: reload the page")
    return tuple((paths[anchor], reason) for anchor, reason in given)


def _passkey(reviews: Desk, person: Person, prepared: Prepared) -> PasskeyAsked | None:
    scope, credentials = reviews.passkey_scope(), reviews.signing_passkeys(person)
    if scope is None or not credentials:
        return None
    asked = base64.urlsafe_b64encode(challenge(prepared.pae)).decode("ascii").rstrip("=")
    return PasskeyAsked(asked, scope.rp_id, " ".join(credentials))


def _content(upload: UploadFile | None) -> bytes:
    """The bytes of an uploaded file; empty where none was chosen."""
    if upload is None:
        return b""
    content = upload.file.read(MAX_UPLOAD + 1)
    if len(content) > MAX_UPLOAD:
        raise TooLargeError(f"the uploaded file is over {MAX_UPLOAD >> 10} KiB: a signature is far smaller")
    return content


def _armored(signature: bytes) -> str:
    """The signature's text, with the line ends that a form changed put right."""
    try:
        return signature.decode("ascii").replace("\r\n", "\n") + "\n"
    except UnicodeDecodeError as error:
        raise InputError("the signature is not text: hand in the .sig file that ssh-keygen wrote") from error


def _beyond(revision: RevisionView) -> tuple[CellRow, ...]:
    rows = cell_rows(revision.audit or {}, "primary")
    return tuple(row for row in rows if row.verdict in {"amplified", "suppressed", "shifted"})


def _statement(prepared: Prepared, at: str) -> StatementView:
    document = parse_json(prepared.payload, "the prepared statement")
    return StatementView(
        nonce=prepared.nonce,
        text=prepared.payload.decode("utf-8"),
        size=len(prepared.payload),
        digest=prepared.digest,
        pae_digest=sha256_hex(prepared.pae),
        lines=tuple(_lines(document["predicate"], document["subject"][0]["digest"]["sha256"])),
        download=f"{at}/statement?nonce={quote(prepared.nonce)}",
    )


def _lines(predicate: Mapping[str, Any], subject: str) -> list[Line]:
    """What the statement says, read back from its own bytes."""
    lines = [Line("revision", f"sha256:{subject}")]
    told = (
        "decision",
        "meaning",
        "scope",
        "conditions",
        "notInspected",
        "coverage",
        "override",
        "expedited",
        "reviewer",
    )
    recipe = [one for one in predicate["evidence"] if one["name"] == RECIPE_NAME]
    lines += [Line("recipe", f"sha256:{one['digest']['sha256']}") for one in recipe]
    return lines + [
        Line(_spaced(name), _said(predicate[name])) for name in (*told, "signedAt", "expiresAt") if predicate.get(name)
    ]


def _said(value: object) -> str:
    if isinstance(value, dict):
        if "viewed" in value:
            return _coverage(value)
        return ", ".join(f"{_spaced(name)} {_said(part)}" for name, part in value.items() if part not in ([], None))
    if isinstance(value, list):
        return "; ".join(_said(part) for part in value)
    return str(value)


def _coverage(said: Mapping[str, Any]) -> str:
    parts = ["{viewed} of {files} files viewed, {answered} of {findings} findings answered".format_map(said)]
    parts += [f"{one['path']} waived: {one['reason']}" for one in said.get("waived", ())]
    parts += [
        f"{one['rule']} ({one['severity']}) {one['answer']} by {one['by']}: {one['reason']}"
        for one in said.get("waivedFindings", ())
    ]
    more = said.get("waivedUnlisted", 0)
    return "; ".join([*parts, f"{more} more findings answered"] if more else parts)


def _spaced(name: str) -> str:
    """``notInspected`` as ``not inspected``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
