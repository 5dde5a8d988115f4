# SPDX-License-Identifier: Apache-2.0
"""The overview of a revision: verdicts, findings worst first with their answers, what is missing before sign-off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from evidence import Severity
from reports import (
    CellRow,
    FindingView,
    UnknownGroup,
    behavior_sentence,
    cell_rows,
    code_sentence,
    file_anchor,
    finding_anchor,
    finding_views,
    grouped,
    unknowns,
    verdict_counts,
    verdict_of,
)
from service.life import FINAL, State
from service.pages._common import Desk, SignedIn, page
from service.pages._heading import Heading, Reading, heading, read, root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.views import Answer, BuildView, Event, ReviewError, RevisionView, SignoffView
    from signoff import Requirement

router = APIRouter()

_WORST_CELLS = 5

ANSWERS: Mapping[str, str] = {
    "acknowledged": "Accept: seen, and it may go out",
    "not-an-issue": "Not an issue: the finding does not apply here",
    "must-change": "Must change: the author has to act, and the finding stays open",
}


class AnsweredFinding(NamedTuple):
    """A finding with its answer, if it has one, where to send one, and the page that shows what it is about."""

    finding: FindingView
    answer: Answer | None
    said: str
    action: str
    asks: bool
    page: str


class FileLine(NamedTuple):
    """A changed file in a line: what happened to it, and how many findings name it."""

    path: str
    url: str
    anchor: str
    status: str
    churn: str
    syntax_equal: bool
    findings: int
    viewed: bool


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """One revision at a glance. ``code`` and ``behavior`` are the verdicts of diff and audit.

    ``build`` says what became of it as a build under a recipe, None where it is none.
    ``held`` is true where a change from a fork waits to be let through.
    ``again`` is true where the revision can be reviewed once more: the latest, once its review has ended.
    """

    template: ClassVar[str] = "change.html"
    heading: Heading
    description: str
    error: ReviewError | None
    code: str
    behavior: str
    code_sentence: str
    behavior_sentence: str
    findings: tuple[AnsweredFinding, ...]
    answers: Mapping[str, str]
    files: tuple[FileLine, ...]
    worst_cells: tuple[CellRow, ...]
    tally: tuple[tuple[str, int], ...]
    unknown: tuple[UnknownGroup, ...]
    unknowns: int
    requirements: tuple[Requirement, ...]
    missing: int
    signoffs: tuple[SignoffView, ...]
    build: BuildView | None
    timeline: tuple[Event, ...]
    again: bool
    held: bool
    manifest: Mapping[str, object] | None

    @property
    def title(self) -> str:
        """The change's own title."""
        return self.heading.name


@router.get("/changes/{change_id}", response_model=None)
def latest(request: Request, person: SignedIn, reviews: Desk, change_id: int) -> Response:
    """The overview of the latest revision."""
    return page(request, _overview(read(reviews, change_id, None)), person)


@router.get("/changes/{change_id}/revisions/{n}", response_model=None)
def overview(request: Request, person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """The overview of one revision."""
    return page(request, _overview(read(reviews, change_id, n)), person)


@router.post("/changes/{change_id}/revisions/{n}/findings/{finding_id}/answer", response_model=None)
def answer(
    person: SignedIn,
    reviews: Desk,
    change_id: int,
    n: int,
    finding_id: str,
    kind: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
) -> Response:
    """Keep an answer to a finding, and go back to it."""
    reviews.answer(change_id, n, finding_id, kind=kind, text=text, person=person)
    return RedirectResponse(f"{root(change_id, n)}#{finding_anchor(finding_id)}", status_code=303)


@router.post("/changes/{change_id}/revisions/{n}/again", response_model=None)
def again(_person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """Have the latest revision reviewed once more, and show the new one."""
    return RedirectResponse(root(change_id, reviews.review_again(change_id, n)), status_code=303)


@router.post("/changes/{change_id}/revisions/{n}/let-through", response_model=None)
def let_through(person: SignedIn, reviews: Desk, change_id: int, n: int) -> Response:
    """Have a change from a fork reviewed, and go back to it."""
    reviews.let_through(change_id, n, person)
    return RedirectResponse(root(change_id, n), status_code=303)


def answered(revision: RevisionView) -> tuple[AnsweredFinding, ...]:
    """The findings of a revision, worst first, each with its answer."""
    at = root(revision.change_id, revision.n)
    files = {file["path"] for file in (revision.diff or {}).get("files", ())}
    beside = {
        finding["id"]
        for finding in (revision.artifacts or {}).get("findings", ())
        if (finding["location"] or {}).get("path") not in files
    }
    result = []
    for finding in finding_views(revision.findings):
        given = revision.answers.get(finding.id)
        said = ANSWERS[given.kind].split(":", maxsplit=1)[0] if given else ""
        asks = Severity(finding.severity).at_least(Severity.HIGH)
        where = f"{at}/models" if finding.id in beside else f"{at}/files"
        result.append(AnsweredFinding(finding, given, said, f"{at}/findings/{finding.id}/answer", asks, where))
    return tuple(result)


def _overview(reading: Reading) -> OverviewPage:
    change, revision = reading
    missing = unknowns(revision.diff, revision.audit, revision.artifacts)
    cells = cell_rows(revision.audit or {}, "primary")
    return OverviewPage(
        heading=heading(reading, "overview"),
        description=change.description.strip(),
        error=revision.error,
        code=verdict_of(revision.diff),
        behavior=verdict_of(revision.audit),
        code_sentence=code_sentence(revision.diff),
        behavior_sentence=behavior_sentence(revision.audit),
        findings=answered(revision),
        answers=ANSWERS,
        files=file_lines(revision),
        worst_cells=tuple(cell for cell in cells[:_WORST_CELLS] if cell.verdict != "equivalent"),
        tally=verdict_counts(cells),
        unknown=grouped(missing),
        unknowns=len(missing),
        requirements=revision.requirements,
        missing=sum(not requirement.state.met for requirement in revision.requirements),
        signoffs=revision.signoffs,
        build=revision.build,
        timeline=revision.timeline,
        again=revision.n == change.latest.n and revision.state in FINAL - {State.SUPERSEDED},
        held=revision.state is State.HELD,
        manifest=revision.manifest,
    )


def file_lines(revision: RevisionView) -> tuple[FileLine, ...]:
    """The changed files of a revision, a line each."""
    counts: dict[str, int] = {}
    for finding in revision.findings:
        path = (finding.get("location") or {}).get("path")
        if path:
            counts[path] = counts.get(path, 0) + 1
    at = root(revision.change_id, revision.n)
    return tuple(
        FileLine(
            path=file["path"],
            url=f"{at}/files#{file_anchor(file['path'])}",
            anchor=file_anchor(file["path"]),
            status=file["status"],
            churn=f"+{file.get('lines_added') or 0} \N{MINUS SIGN}{file.get('lines_removed') or 0}",
            syntax_equal=bool(file.get("syntax_equal")),
            findings=counts.get(file["path"], 0),
            viewed=file["path"] in revision.viewed,
        )
        for file in (revision.diff or {}).get("files", ())
    )
