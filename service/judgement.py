# SPDX-License-Identifier: Apache-2.0
"""A revision under the policy: its facts as they stand, its sign-offs as votes, and what is still missing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import literal, select

from evidence import Artifact as RevisionArtifact
from evidence import (
    ConflictError,
    NotFoundError,
    PolicyError,
    Revision,
    Severity,
    Snapshot,
    Verdict,
    document_digest,
    sha256_hex,
)
from service import reading, trust
from service.arrivals import now
from service.database import (
    AnswerRow,
    CarriedRow,
    Change,
    EventRow,
    RevisionRow,
    SignoffRow,
    StatementRow,
    ThreadRow,
    ViewedRow,
)
from service.life import ARTIFACTS_COMPARED, State
from signoff import (
    FACTS_NAME,
    RECIPE_NAME,
    Answer,
    Envelope,
    Evidence,
    Facts,
    Files,
    FindingEntry,
    Threads,
    Voter,
    build_facts,
    declared,
    evaluate,
    evidence_digests,
    policy_facts,
    read_facts,
    read_statement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from evidence import Digest, Json
    from service.context import Context
    from signoff import Policy, Requirement, Roots, Statement

_OPEN = "must-change"


@dataclass(frozen=True, slots=True)
class Signature:
    """A sign-off that counts: its statement, as verified when it came in, and the key that made it.

    ``carried`` is the digest of the envelope by which it was carried over from another revision, if it was.
    """

    nonce: str
    person_id: str
    key: str
    log_index: int
    envelope_digest: str
    statement: Statement
    synced: bool  # by a passkey that may have copies
    carried: Digest | None = None


def revision_of(manifest: Mapping[str, Any]) -> Revision:
    """The revision that a stored manifest describes. Base's content is not in a manifest."""
    base, head = manifest["base"], manifest["head"]
    return Revision(
        repository=manifest["repository"],
        base=Snapshot(base["commit"], base["tree"], ""),
        head=Snapshot(head["commit"], head["tree"], head["content"]["sha256"]),
        artifacts=tuple(RevisionArtifact(**artifact) for artifact in manifest["artifacts"]),
    )


def facts(
    context: Context,
    row: RevisionRow,
    person_id: str | None = None,
    *,
    waived: int = 0,
    earlier: RevisionRow | None = None,
) -> dict[str, Json]:
    """The facts document of a revision as its review stands.

    Args:
        context: the data folder.
        row: the revision, reviewed.
        person_id: whose viewed marks count; everybody's if None.
        waived: how many of the other files that person waives.
        earlier: a revision whose answers and marks are to be taken over, as if they had been; None without any.

    Raises:
        ConflictError: it is not reviewed.
    """
    if row.digest is None or row.diff_digest is None or row.audit_digest is None or row.people_digest is None:
        raise ConflictError(f"revision {row.n} is {row.state}: there is nothing to sign yet")
    diff, audit = (context.store.get_json(name) for name in (row.diff_digest, row.audit_digest))
    with context.database.read() as session:
        looked_at = [row.id] if earlier is None else [earlier.id, row.id]
        given = {
            answer.finding_id: answer
            for revision_id in looked_at
            for answer in session.scalars(select(AnswerRow).where(AnswerRow.revision_id == revision_id))
        }
        answers = {finding: answer for finding, answer in given.items() if answer.kind != _OPEN}
        marks = select(ViewedRow.path).where(ViewedRow.revision_id.in_(looked_at))
        if person_id is not None:
            marks = marks.where(ViewedRow.person_id == person_id)
        viewed = set(session.scalars(marks))
        events = select(EventRow.what, EventRow.at).where(EventRow.revision_id == row.id)
        made = {what: at.replace(microsecond=0) for what, at in session.execute(events)}
    found, more = [*diff["findings"], *audit["findings"]], []
    if row.artifacts_digest is not None:
        artifacts = context.store.get_json(row.artifacts_digest)
        found += artifacts["findings"]
        more = [_evidence("artifacts", row.artifacts_digest, artifacts, made.get(ARTIFACTS_COMPARED))]
    paths = {file["path"] for file in diff["files"]}
    before = {file["old_path"] for file in diff["files"] if file.get("old_path")}
    return build_facts(
        revision=revision_of(context.store.get_json(row.digest)),
        evidence=[
            _evidence("diff", row.diff_digest, diff, made.get(State.DIFFED)),
            _evidence("audit", row.audit_digest, audit, made.get(State.AUDITED)),
            *more,
        ],
        findings=[_finding(finding, answers.get(finding["id"])) for finding in found],
        files=Files(total=len(paths), viewed=len(paths & viewed), waived=waived),
        people=[(entry["name"], entry["email"]) for entry in context.store.get_json(row.people_digest)],
        paths=paths | before,
        threads=_threads(context, row.change_id),
    )


def makers(context: Context, change_id: int) -> frozenset[str]:
    """The ids of those whom the roots know and who had a hand in a change, in any of its revisions."""
    roots = trust.roots(context)
    with context.database.read() as session:
        rows = session.scalars(
            select(RevisionRow.people_digest).where(
                RevisionRow.change_id == change_id, RevisionRow.people_digest.is_not(None)
            )
        ).all()
        named = {(session.get_one(Change, change_id).author, "")}
    for digest in filter(None, rows):
        with suppress(NotFoundError):  # retention removes those of old changes
            named |= {(entry["name"], entry["email"]) for entry in context.store.get_json(digest)}
    known = (roots.named(name, email) for name, email in named)
    return frozenset(person.id for person in known if person is not None)


def evidence(
    context: Context, row: RevisionRow, document: Mapping[str, Json], recipe: Digest = ""
) -> dict[str, Digest]:
    """Digests by name of all that a statement on a revision rests on, its facts document among it, and a recipe.

    Raises:
        ConflictError: it is not reviewed.
    """
    if row.audit_digest is None:
        raise ConflictError("a document of this revision is missing: it was not fully reviewed")
    audit = context.store.get_json(row.audit_digest)
    return {
        **evidence_digests(document),
        "panel": audit["panel"]["digest"],
        FACTS_NAME: document_digest(dict(document)),
        **({RECIPE_NAME: recipe} if recipe else {}),
    }


def requirements(context: Context, row: RevisionRow) -> tuple[Requirement, ...]:
    """What the policy asks and how far it is met; empty while there is nothing to judge."""
    if row.people_digest is None or row.audit_digest is None:
        return ()
    try:
        return judged(context, row, trust.policy(context), now())
    except PolicyError:
        return evaluate(None, Facts(now=now(), votes=(), people=(), evidence=(), findings=()))


def judged(
    context: Context,
    row: RevisionRow,
    policy: Policy,
    moment: datetime,
    *,
    recipe: Digest | None = None,
    paths: Iterable[str] | None = None,
    people: Iterable[tuple[str, str]] = (),
) -> tuple[Requirement, ...]:
    """What ``policy`` says of a reviewed revision at that moment. PolicyError if the roots cannot be used.

    With a ``recipe`` an approval counts if it signed that one under this policy; ``paths`` are touched too, and
    ``people`` made it too.
    """
    roots = trust.roots(context)
    known = policy_facts(
        [read_facts(facts(context, row))],
        votes=[
            _voter(roots, signature)
            for signature in signatures(context, row.id)
            if recipe is None or _speaks_of(signature.statement, recipe, policy)
        ],
        people=people,
        roots=roots,
        now=moment,
        paths=paths,
    )
    return evaluate(policy, known)


def _speaks_of(statement: Statement, recipe: Digest, policy: Policy) -> bool:
    predicate = statement.predicate
    signed = statement.evidence_digest(RECIPE_NAME) == recipe.removeprefix("sha256:")
    return not predicate.decision.approves or (signed and predicate.policy.digest.sha256 == policy.digest)


def signatures(context: Context, revision_id: int) -> list[Signature]:
    """The sign-offs that count for a revision: those given to it, and of who gave none, those carried over to it."""
    given = given_to(context, revision_id)
    people = {one.person_id for one in given}
    rows = (
        select(SignoffRow, StatementRow.payload, CarriedRow.envelope_digest)
        .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
        .join(CarriedRow, CarriedRow.nonce == SignoffRow.nonce)
        .where(CarriedRow.revision_id == revision_id, SignoffRow.superseded.is_(False))
    )
    carried = [one for one in _signatures(context, rows) if one.person_id not in people]
    return sorted((*given, *carried), key=lambda one: one.log_index)


def given_to(context: Context, revision_id: int) -> list[Signature]:
    """The sign-offs on a revision that no later one of the same person replaces, in the log's order."""
    rows = (
        select(SignoffRow, StatementRow.payload, literal(None))
        .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
        .where(
            SignoffRow.revision_id == revision_id,
            SignoffRow.log_index.is_not(None),
            SignoffRow.superseded.is_(False),
        )
    )
    return _signatures(context, rows)


def ever_given_to(context: Context, revision_id: int) -> list[Signature]:
    """Every sign-off on a revision that was logged, replaced since or not, in the log's order."""
    rows = (
        select(SignoffRow, StatementRow.payload, literal(None))
        .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
        .where(SignoffRow.revision_id == revision_id, SignoffRow.log_index.is_not(None))
    )
    return _signatures(context, rows)


def _signatures(context: Context, statement: Select[*tuple[Any, ...]]) -> list[Signature]:
    with context.database.read() as session:
        rows = session.execute(statement.order_by(SignoffRow.log_index)).all()
    return [
        Signature(
            nonce=row.nonce,
            person_id=row.person_id,
            key=row.key,
            log_index=row.log_index or 0,
            envelope_digest=row.envelope_digest,
            statement=read_statement(payload),
            synced=Envelope.read(context.store.get(row.envelope_digest)).synced,
            carried=carried,
        )
        for row, payload, carried in rows
    ]


def find(context: Context, change_id: int, n: int) -> RevisionRow:
    """The row of a revision. NotFoundError if there is none."""
    with context.database.read() as session:
        return reading.find(session, change_id, n)


def _threads(context: Context, change_id: int) -> Threads:
    """The open threads of a change: they stay with it until somebody resolves them, whatever revision comes."""
    published = select(ThreadRow.blocking).where(
        ThreadRow.change_id == change_id, ThreadRow.published_at.is_not(None), ThreadRow.resolved_at.is_(None)
    )
    with context.database.read() as session:
        blocking = list(session.scalars(published))
    return Threads(open=len(blocking), blocking=sum(blocking))


def _evidence(name: str, digest: str, document: Json, made_at: datetime | None) -> Evidence:
    unsafe = bool(document.get("unsafe", False))
    return Evidence.of(name, digest, Verdict(document["verdict"]), unsafe=unsafe, made_at=made_at)


def _finding(finding: Json, answer: AnswerRow | None) -> FindingEntry:
    given = None
    if answer is not None:
        words = {"sha256": sha256_hex(answer.text.encode())}
        given = Answer.model_validate({"kind": answer.kind, "by": answer.person_id, "text": words})
    return FindingEntry(id=finding["id"], rule=finding["rule"], severity=Severity(finding["severity"]), answer=given)


def _voter(roots: Roots, signature: Signature) -> Voter:
    """A sign-off as policy sees it, its person as the roots know them today; unknown, it counts for nothing."""
    person = roots.person(signature.person_id)
    predicate = signature.statement.predicate
    return Voter(
        person=signature.person_id,
        organization=person.organization if person else "",
        roles=frozenset({predicate.reviewer.role}) if person else frozenset(),
        emails=person.emails if person else frozenset(),
        key=signature.key,
        decision=predicate.decision,
        override=predicate.override,
        signed_at=signature.statement.signed_at,
        expires_at=signature.statement.expires_at,
        synced=signature.synced,
        expedited=predicate.expedited is not None,
        declared=declared(person, signature.statement, now()) if person else "unknown",
    )


def target_ref(session: Session, row: RevisionRow) -> str:
    """Where the change of a revision is to go."""
    return session.get_one(Change, row.change_id).target_ref
