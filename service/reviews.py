# SPDX-License-Identifier: Apache-2.0
"""Reviews: what pages, API and command line ask about changes, and what a reviewer does to them.

The pages find an instance at ``request.app.state.reviews`` and the person at the dependency
``service.accounts.SignedIn`` (``person: SignedIn``), which sends who is not signed in to ``/sign-in``. All methods are
synchronous: endpoints that call them are plain ``def`` and run in FastAPI's thread pool. Everything that goes wrong
is a ``CountersignError``; ``service.app`` renders it through ``service.pages.error_page`` for a browser, or as
problem+json. POSTs are held to the same origin by middleware. ``service.app`` itself answers ``/sign-in``,
``/sign-out`` (POST), ``/log/checkpoint``, ``/log/tile/…``, ``/livez``, ``/readyz`` and ``/static``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from confine import Repository
from diffing import diff, hunks
from evidence import CountersignError, InputError, NotFoundError, Severity
from service import (
    arrivals,
    attention,
    build_bundles,
    builds,
    bundling,
    discussion,
    incidents,
    inspected,
    judgement,
    later_reviews,
    log_lines,
    marks,
    passkeys,
    progress,
    reading,
    recipes,
    signing,
    trust,
)
from service.life import State
from service.signing import Ballot
from service.views import (
    ANSWER_KINDS,
    DECISIONS,
    Answer,
    AnswerKind,
    ChangeView,
    Decision,
    Event,
    LogLine,
    LogView,
    Person,
    Prepared,
    QueueRow,
    RecipeView,
    ReviewError,
    RevisionLine,
    RevisionView,
    SignoffView,
)
from signoff import Envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from diffing import FileChange, FilePatch
    from evidence import Json
    from service.context import Context
    from service.passkeys import Enrolment, Passkey
    from service.views import IncidentView, OwedReview
    from signoff import PasskeyScope

EvidenceKind = Literal["diff", "audit", "artifacts", "report"]

__all__ = [
    "ANSWER_KINDS",
    "DECISIONS",
    "Answer",
    "AnswerKind",
    "ChangeView",
    "Decision",
    "Event",
    "LogLine",
    "LogView",
    "Person",
    "Prepared",
    "QueueRow",
    "ReviewError",
    "Reviews",
    "RevisionLine",
    "RevisionView",
    "SignoffView",
    "State",
]


class Reviews:
    """The seam between storage and what is shown. ``on_change`` is told that there may be something to do."""

    def __init__(self, context: Context, *, on_change: Callable[[], None]) -> None:
        self._context = context
        self._on_change = on_change

    def queue(self, person: Person | None = None) -> list[QueueRow]:
        """Every change by its latest revision, as a person has it: their turn first, then oldest first."""
        return attention.queue(self._context.database, person=person)

    def change(self, change_id: int) -> ChangeView:
        """A change and the list of its revisions. NotFoundError if there is none."""
        return reading.change(self._context.database, change_id)

    def revision(self, change_id: int, n: int) -> RevisionView:
        """One revision with its evidence. NotFoundError if there is none."""
        view = reading.revision(self._context.database, self._context.store, change_id, n)
        row = judgement.find(self._context, change_id, n)
        asked = judgement.requirements(self._context, row)
        said = discussion.counts(self._context, change_id)
        return replace(view, requirements=asked, build=builds.view(self._context, row.id), threads=said)

    def evidence(self, change_id: int, n: int, kind: EvidenceKind, *, public: bool) -> Json | None:
        """One document of a revision, None until it exists; of an audit, the public part if asked for."""
        row = judgement.find(self._context, change_id, n)
        name = {
            "diff": row.diff_digest,
            "audit": row.public_digest if public else row.audit_digest,
            "artifacts": row.artifacts_digest,
            "report": row.report_digest,
        }[kind]
        return self._context.store.get_json(name) if name else None

    def patches(self, change_id: int, n: int) -> Iterator[tuple[FileChange, FilePatch]]:
        """Each changed file with its hunks, in the diff's order; one at a time, since a change can be large."""
        row = judgement.find(self._context, change_id, n)
        if row.base_commit is None or row.diff_digest is None:
            return
        job = progress.job(self._context.database, row.id)
        with self._repository(job) as repository:
            for change in diff(repository, row.base_commit, row.head_commit).files:
                yield change, hunks(repository, change)

    def signed_before(self, change_id: int, n: int, person: Person) -> int | None:
        """The last revision of a change before ``n`` that this person signed, if there is one."""
        return reading.signed_before(self._context.database, change_id, n, person.id)

    def patches_since(self, change_id: int, n: int, earlier: int) -> Iterator[tuple[FileChange, FilePatch]]:
        """What changed from the head of an earlier revision of a change to the head of this one, file by file."""
        old, new = judgement.find(self._context, change_id, earlier), judgement.find(self._context, change_id, n)
        if earlier >= n:
            raise NotFoundError(f"revision {earlier} is not before revision {n}")
        with self._repository(progress.job(self._context.database, new.id)) as repository:
            for change in diff(repository, old.head_commit, new.head_commit).files:
                yield change, hunks(repository, change)

    def answer(self, change_id: int, n: int, finding_id: str, *, kind: str, text: str, person: Person) -> None:
        """Record a reviewer's answer to a finding; a later one replaces it. InputError if kind or text is bad."""
        view = reading.revision(self._context.database, self._context.store, change_id, n)
        found = next((finding for finding in view.findings if finding["id"] == finding_id), None)
        if found is None:
            raise NotFoundError(f"revision {n} has no finding {finding_id[:80]}")
        row = judgement.find(self._context, change_id, n)
        serious = Severity(found["severity"]).at_least(Severity.HIGH)
        marks.answer(self._context.database, row.id, finding_id, kind=kind, text=text, person=person, serious=serious)

    def review_again(self, change_id: int, n: int) -> int:
        """Review the latest revision once more, as a new one: what failed may work now, panel or policy be other ones.

        Returns the new revision's number. ConflictError if it is not the latest, or still under review.
        """
        return arrivals.again(self._context.database, change_id, n)

    def let_through(self, change_id: int, n: int, person: Person) -> None:
        """Have a revision from a fork reviewed. NotFoundError, or ConflictError if it does not wait for that."""
        arrivals.approve(self._context.database, change_id, n, person.id)
        self._on_change()

    def mark_viewed(self, change_id: int, n: int, path: str, *, person: Person, viewed: bool) -> None:
        """Mark a file as viewed by this person, or not. NotFoundError if the change does not touch it."""
        view = reading.revision(self._context.database, self._context.store, change_id, n)
        if path not in {file["path"] for file in (view.diff or {}).get("files", ())}:
            raise NotFoundError(f"revision {n} does not touch {path[:200]}")
        row = judgement.find(self._context, change_id, n)
        marks.mark_viewed(self._context.database, row.id, path, person=person, viewed=viewed)

    def viewed_by(self, change_id: int, n: int, person: Person) -> frozenset[str]:
        """The files of a revision that this person marked as viewed: those that their statement counts."""
        return inspected.viewed_by(self._context, judgement.find(self._context, change_id, n).id, person.id)

    def prepare_statement(  # noqa: PLR0913 - one argument a field of the form
        self,
        change_id: int,
        n: int,
        person: Person,
        decision: str,
        *,
        meaning: str = "",
        conditions: tuple[str, ...] = (),
        override: str = "",
        expedited: str = "",
        waive: tuple[tuple[str, str], ...] = (),
        recipe: str = "",
    ) -> Prepared:
        """The exact bytes to sign, kept by nonce. ``override`` is the reason to approve in spite of the verdict.

        ``expedited`` is the reason to approve under the policy's expedited lane; ``waive`` are paths that need no
        look, each with why. What is neither viewed by this person nor waived is said to be not inspected. ``recipe`` is
        the digest of a recipe for builds to sign with it.

        Raises:
            ConflictError: the revision is not ready, or is superseded.
            PermissionDeniedError: the roots file does not know the person.
            InputError: a decision that there is not, or conditions that do not go with it.
        """
        ballot = Ballot(decision, meaning, conditions, override, expedited, waive, recipe)
        return signing.prepare(self._context, change_id, n, person, ballot)

    def recipes(self, change_id: int, n: int) -> tuple[RecipeView, ...]:
        """The recipes for builds that hang on a revision and can be signed."""
        row = judgement.find(self._context, change_id, n)
        return tuple(RecipeView(one.digest, one.words) for one in recipes.of_revision(self._context, row.id))

    def may_expedite(self) -> bool:
        """Whether the policy has an expedited lane."""
        return trust.policy(self._context).rules.expedited is not None

    def prepared(self, change_id: int, n: int, nonce: str) -> Prepared:
        """A statement prepared earlier. NotFoundError if there is none under this nonce."""
        return signing.prepared(self._context, change_id, n, nonce)

    def sign_off(
        self,
        change_id: int,
        n: int,
        person: Person,
        *,
        nonce: str | None = None,
        envelope: bytes | None = None,
        ssh_signature: str | None = None,
        passkey: Mapping[str, str] | None = None,
    ) -> int:
        """Verify the signature over a prepared statement, append it to the log; returns the log index.

        Either ``ssh_signature`` (armored, with ``nonce``), or what a browser gave for a ``passkey`` (with ``nonce``, as
        `service.passkeys.envelope` takes it), or a whole DSSE ``envelope``.

        Raises:
            VerificationError: it does not verify, or is not this person's.
            ConflictError: the revision has moved on.
            InputError: none of them, several, or not a signature.
        """
        if [envelope, ssh_signature, passkey].count(None) != 2:  # noqa: PLR2004 - all but one
            raise InputError("give one of a DSSE envelope, an SSH signature and a passkey's answer")
        if envelope is not None:
            given = Envelope.read(envelope)
        elif nonce is None:
            raise InputError("a signature goes with the nonce of its statement")
        elif ssh_signature is not None:
            given = signing.ssh_envelope(self._context, change_id, n, nonce, ssh_signature)
        else:
            given = signing.passkey_envelope(self._context, change_id, n, person, nonce, passkey or {})
        index = signing.sign_off(self._context, change_id, n, person, given)
        self._on_change()
        return index

    def passkey_scope(self) -> PasskeyScope | None:
        """Where passkeys of this service are used; None where its address allows none."""
        return passkeys.scope(self._context)

    def passkeys(self, person: Person) -> tuple[Passkey, ...]:
        """The passkeys that this person enrolled, oldest first."""
        return passkeys.enrolled(self._context, person.id)

    def signing_passkeys(self, person: Person) -> tuple[str, ...]:
        """The credential ids that this person can sign with here and now."""
        return passkeys.usable(self._context, person.id)

    def begin_passkey(self, person: Person) -> Enrolment | None:
        """A challenge to enrol a passkey by; None where the service's address allows none."""
        return passkeys.begin(self._context, person)

    def enrol_passkey(self, person: Person, response: Mapping[str, str], challenge: str) -> Passkey:
        """Keep a new passkey with its attestation; it counts once the roots name it. Raises as `passkeys.enrol`."""
        return passkeys.enrol(self._context, person, response, challenge)

    def bundle(self, change_id: int, n: int) -> bytes:
        """The bundle of the sign-offs that count, for the gate. NotFoundError if nobody signed."""
        return build_bundles.bundle(self._context, change_id, n) or bundling.bundle(self._context, change_id, n)

    def owed(self) -> tuple[OwedReview, ...]:
        """The full reviews that are owed for what went ahead without one, those that are due first."""
        return later_reviews.owed(self._context)

    def owes_review(self, change_id: int, n: int) -> bool:
        """Whether broken glass owes a review of this revision: it is signed whatever came after it."""
        return later_reviews.owes(self._context, judgement.find(self._context, change_id, n).digest)

    def incidents(self) -> tuple[IncidentView, ...]:
        """What must not be: rollouts without a decision, reviews that are overdue, …; those that are open first."""
        return incidents.listed(self._context)

    def log(self, *, before: int | None = None, limit: int = 100, sought: str = "") -> LogView:
        """Up to ``limit`` log entries with an index below ``before`` (default: the newest), newest first.

        With ``sought``, those of them whose kind, digest or words hold it; see `log_lines.view`.
        """
        return log_lines.view(self._context, before=before, limit=limit, sought=sought)

    def _repository(self, job: progress.Job) -> Repository:
        configured = self._context.platform(job.platform).find(job.repository)
        if configured is None:
            raise NotFoundError(f"repository {job.repository} is no longer configured")
        try:
            return Repository.open(self._context.mirror(job.platform, configured.url))
        except CountersignError as error:
            raise NotFoundError(f"the mirror of {job.repository} cannot be read: {error}") from error
