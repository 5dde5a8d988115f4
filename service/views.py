# SPDX-License-Identifier: Apache-2.0
"""What the pages, the API and the command line are shown of a change: frozen values, no database behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reports import all_findings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from evidence import Digest, Verdict
    from service.life import State
    from signoff import Requirement

AnswerKind = Literal["acknowledged", "not-an-issue", "must-change"]
ANSWER_KINDS: tuple[AnswerKind, ...] = ("acknowledged", "not-an-issue", "must-change")

Decision = Literal["APPROVED", "APPROVED_WITH_CONDITIONS", "REJECTED", "REVOKED"]
DECISIONS: tuple[Decision, ...] = ("APPROVED", "APPROVED_WITH_CONDITIONS", "REJECTED", "REVOKED")

Turn = Literal["service", "reviewer", "others", "author", "nobody"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in. ``id`` is the name that the roots file knows them by."""

    id: str
    name: str
    organization: str
    role: str


@dataclass(frozen=True, slots=True)
class ReviewError:
    """Why a revision could not be reviewed.

    ``error_class`` and ``public`` are one word and one line that a submitter may see. ``detail`` may hold what hostile
    code printed, panel data included: it is for the reviewer only.
    """

    error_class: str
    public: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer answered to a finding. ``must-change`` leaves it open: the author is to act."""

    kind: AnswerKind
    text: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a revision's timeline, oldest first."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class SignoffView:
    """A sign-off as it stands in the log. ``superseded`` is true once a later sign-off or revision outdates it."""

    log_index: int
    decision: str
    reviewer_id: str
    reviewer_name: str
    organization: str
    at: datetime
    payload_digest: Digest
    superseded: bool
    carried_from: int | None = None  # the revision it was given to, where that is another


@dataclass(frozen=True, slots=True)
class ThreadCounts:
    """How many published threads of a change are open, how many of those block it, and how many there are."""

    total: int = 0
    open: int = 0
    blocking: int = 0


@dataclass(frozen=True, slots=True)
class BuildView:
    """A revision as a build under a recipe. ``counts`` once it is countersigned; ``words`` say what became of it."""

    recipe: Digest
    counts: bool
    words: str


@dataclass(frozen=True, slots=True)
class RecipeView:
    """A recipe that can be signed, in words."""

    digest: Digest
    words: str


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One revision with its evidence, as the reviewer may see it.

    ``manifest``, ``diff``, ``audit`` and ``artifacts`` are the documents of ``formats.md``, None until they exist
    (``artifacts``: and where none is declared). ``answers`` are by finding id (``sha256:…``), ``viewed`` are head paths
    (base paths of removed files).
    """

    change_id: int
    n: int
    digest: Digest | None
    base_commit: str | None
    head_commit: str
    state: State
    verdict: Verdict | None
    manifest: Mapping[str, Any] | None
    diff: Mapping[str, Any] | None
    audit: Mapping[str, Any] | None
    artifacts: Mapping[str, Any] | None
    error: ReviewError | None
    answers: Mapping[str, Answer]
    viewed: frozenset[str]
    signoffs: tuple[SignoffView, ...]
    timeline: tuple[Event, ...]
    requirements: tuple[Requirement, ...]
    build: BuildView | None = None
    threads: ThreadCounts = ThreadCounts()

    @property
    def findings(self) -> tuple[Mapping[str, Any], ...]:
        """The findings of diff, audit and artifacts together, worst first, once an id."""
        return all_findings(self.diff, self.audit, self.artifacts)


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """One revision in a change's list: what a page needs to link to it."""

    n: int
    head_commit: str
    digest: Digest | None
    state: State
    verdict: Verdict | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change and the list of its revisions, oldest first. ``url`` is the code host's page, if it named one."""

    id: int
    title: str
    description: str
    repository: str
    number: int | None
    url: str | None
    author: str
    target_ref: str
    revisions: tuple[RevisionLine, ...] = field(default=())

    @property
    def latest(self) -> RevisionLine:
        """The newest revision; a change always has one."""
        return self.revisions[-1]


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One change in the queue, by its latest revision. ``why`` says in a few words what it waits for."""

    change_id: int
    title: str
    repository: str
    number: int | None
    author: str
    target_ref: str
    state: State
    verdict: Verdict | None
    since: datetime
    revision: int
    open_findings: int
    whose_turn: Turn
    why: str


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Something that must not be, see ``service.incidents``. ``settled_at`` is None while it is open.

    ``log_index`` is None until it is logged: while witnesses are away.
    """

    kind: str
    subject: Digest
    detail: str
    log_index: int | None
    opened_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class OwedReview:
    """A full review that is owed: after an ``expedited`` approval, or since glass was broken (``break-glass``).

    ``subject`` is what owes it, by digest: the expedited statement, or the gate's decision. ``change_id`` and ``n``
    lead to the revision where this server has it.
    """

    kind: Literal["expedited", "break-glass"]
    subject: Digest
    platform: str
    repository: str
    revision: Digest | None
    change_id: int | None
    n: int | None
    by: datetime
    overdue: bool
    detail: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry of the log. ``digest`` is of its envelope's payload, or the digest that the entry holds.

    ``what`` says in a few words what it is about, from the entry alone; ``change_id`` and ``n`` lead to the revision
    where this server has it.
    """

    index: int
    kind: str
    digest: Digest
    what: str
    change_id: int | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class WitnessView:
    """A witness of the roots' quorum, and when it cosigned the checkpoint; None if it has not."""

    name: str
    cosigned_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogView:
    """A stretch of the log, newest first, and the signed checkpoint over ``size`` entries; empty before the first.

    ``older`` is the index that the next stretch ends below, None at the end. Of a search, ``searched`` is how many
    entries were looked through.
    """

    size: int
    checkpoint: str
    lines: tuple[LogLine, ...]
    older: int | None = None
    searched: int = 0
    witnesses: tuple[WitnessView, ...] = ()
    quorum: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement ready to be signed: ``payload`` are its exact bytes, ``digest`` their SHA-256.

    ``pae`` are the bytes that the signature covers (DSSE v1 pre-authentication encoding). Kept under ``nonce``.
    """

    payload: bytes
    digest: Digest
    pae: bytes
    nonce: str
