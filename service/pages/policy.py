# SPDX-License-Identifier: Apache-2.0
"""The policy in force, in words and as it is written; and what another would have said of past revisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Form, Request, Response

from evidence import PolicyError
from service import simulation
from service.pages._common import SignedIn, page
from signoff import parse_policy

if TYPE_CHECKING:
    from service.simulation import Simulated
    from service.views import Person
    from signoff import Policy

router = APIRouter()

_LISTED = 200  # revisions; those that are judged otherwise come first


@dataclass(frozen=True, slots=True)
class PolicyPage:
    """The policy. ``asks`` are pairs of what and in which words; ``text`` is the file.

    ``tried`` is what was written to be tried, the file itself at first, and ``complaint`` why it is no policy.
    ``simulated`` are the past revisions under both, None where nothing was tried; ``changed`` counts those that are
    judged otherwise, ``judged`` all of them.
    """

    template: ClassVar[str] = "policy.html"
    digest: str
    asks: tuple[tuple[str, str], ...]
    text: str
    tried: str
    complaint: str = ""
    simulated: tuple[Simulated, ...] | None = None
    changed: int = 0
    judged: int = 0

    @property
    def title(self) -> str:
        """Always the same."""
        return "Policy"


@router.get("/policy", response_model=None)
def policy(request: Request, person: SignedIn) -> Response:
    """What a revision has to meet."""
    return _page(request, person)


@router.post("/policy", response_model=None)
def simulate(request: Request, person: SignedIn, text: Annotated[str, Form()] = "") -> Response:
    """What every past revision comes to under this text. Nothing is changed by it."""
    return _page(request, person, text.replace("\r\n", "\n"))


def _page(request: Request, person: Person, tried: str | None = None) -> Response:
    context = request.app.state.context
    written = context.policy.read_bytes()
    current = parse_policy(written, str(context.policy.name))
    text = written.decode("utf-8")
    if tried is None:
        return page(request, PolicyPage(current.digest, asks(current), text, text), person)
    try:
        other = parse_policy(tried.encode("utf-8", "surrogateescape"), "this text")
    except PolicyError as error:
        view = PolicyPage(current.digest, asks(current), text, tried, complaint=str(error))
        return page(request, view, person, status=400)
    rows = sorted(simulation.simulate(context, other), key=lambda row: (row.now == row.then, -row.change, -row.n))
    changed = sum(row.now != row.then for row in rows)
    view = PolicyPage(
        current.digest, asks(current), text, tried, "", tuple(rows[:_LISTED]), changed=changed, judged=len(rows)
    )
    return page(request, view, person)


def asks(policy: Policy) -> tuple[tuple[str, str], ...]:
    """What a policy asks for, as pairs of what and how much of it, in its own order."""
    rules = policy.rules
    approvals, evidence = rules.approvals, rules.evidence
    found = [
        (
            "Approvals",
            f"{_people(approvals.people, approvals.organizations)}, as {' or '.join(approvals.roles)}; "
            + ("with conditions counts" if approvals.with_conditions else "with conditions does not count"),
        ),
        *(
            (f"Lane {lane.name}", f"{_people(lane.people, lane.organizations)}, when {lane.when}")
            for lane in rules.lanes
        ),
        ("Findings", f"answered from {rules.findings.answer_severity.value} up"),
        (
            "Evidence",
            f"{', '.join(evidence.required)}; verdicts that may go out: "
            + ", ".join(verdict.value for verdict in evidence.admit_verdicts),
        ),
        *((f"Requirement {one.name}", one.met_if) for one in rules.requirements),
        ("Declarations of independence", "asked for" if rules.independence.declarations else "not asked for"),
        ("Synced passkeys", "count" if rules.signing.synced_passkeys else "do not count"),
        ("Votes for the same content", "are carried over" if rules.votes.carry_over else "are not carried over"),
        ("A sign-off counts", f"{rules.time.max_age_days} days at most"),
        (
            "The log's checkpoint and revocations",
            f"{rules.log.checkpoint_hours} and {rules.log.revocations_hours} hours old at most",
        ),
    ]
    if (hurry := rules.expedited) is not None:
        lasts = f"for {hurry.hours} hours, a full review within {hurry.review_within_hours}"
        said = f"{hurry.organizations} organisations, when {hurry.when}; {lasts}; sets aside "
        found.append(("Expedited", said + ", ".join(hurry.sets_aside)))
    if (glass := rules.break_glass) is not None:
        found.append(("Breaking the glass", f"{_people(glass.people, glass.organizations)}; for {glass.hours} hours"))
    return tuple(found)


def _people(people: int, organizations: int) -> str:
    return f"{people} {'person' if people == 1 else 'people'} of {organizations} organisation{'s'[: organizations - 1]}"
