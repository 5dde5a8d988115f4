# SPDX-License-Identifier: Apache-2.0
"""Votes carried over to a revision that differs from an earlier one of its change in its commits alone.

Only where the policy says so, all of them or none but approvals, and with an entry in the log that names them. Answers
and viewed marks come along: they belong to findings and files that are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import delete, select

from evidence import CountersignError, InputError, canonical, digest
from service import judgement, ledger, progress, steps, trust
from service.arrivals import now
from service.database import AnswerRow, CarriedRow, EventRow, RevisionRow, SignoffRow, ViewedRow
from service.life import FINAL, State
from signoff import (
    FACTS_NAME,
    Carried,
    Envelope,
    RevokedKind,
    build_carry,
    carry_leaf,
    check_same_facts,
    key_sha256,
    read_facts,
    same_content,
    verify_envelope,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from evidence import Revision
    from service.context import Context
    from service.judgement import Signature
    from signoff import FactsDocument, Policy

log = structlog.get_logger("countersign")


class _Earlier(NamedTuple):
    """A vote on an earlier revision of the same content."""

    row: RevisionRow
    revision: Revision
    vote: Signature


def carry(context: Context, revision_id: int) -> bool:
    """Carry over to a revision what votes there are on earlier ones of the same content; what was carried is replaced.

    Whether or not anything is, the revision's votes are as they should be after it. What cannot be told, as while
    witnesses are away, is said in the service's log, and nothing is carried over.

    Returns:
        Whether its votes changed.
    """
    with context.database.read() as session:
        row = session.get_one(RevisionRow, revision_id)
        before = set(session.scalars(select(CarriedRow.nonce).where(CarriedRow.revision_id == revision_id)))
    try:
        found = _votes(context, row)
        if not found:
            return _forget(context, revision_id) if before else False
        return _carry(context, row, found)
    except CountersignError as error:
        log.warning("votes could not be carried over", change=row.change_id, revision=row.n, why=str(error))
        return _forget(context, revision_id) if before else False


def depending(context: Context, revision_id: int) -> list[int]:
    """The revisions to which votes on this one were carried over."""
    with context.database.read() as session:
        return list(
            session.scalars(
                select(CarriedRow.revision_id)
                .join(SignoffRow, SignoffRow.nonce == CarriedRow.nonce)
                .where(SignoffRow.revision_id == revision_id)
                .distinct()
            )
        )


def waiting(context: Context) -> list[int]:
    """Revisions without a vote of their own that earlier ones may carry votes over to."""
    voted = select(SignoffRow.revision_id)
    carried = select(CarriedRow.revision_id)
    with context.database.read() as session:
        return list(
            session.scalars(
                select(RevisionRow.id).where(
                    RevisionRow.state == State.READY,
                    RevisionRow.n > 1,
                    RevisionRow.id.not_in(voted),
                    RevisionRow.id.not_in(carried),
                )
            )
        )


def _votes(context: Context, row: RevisionRow) -> list[_Earlier]:
    """The newest vote of each person on earlier revisions of the same content, in the log's order; none if not all.

    An approval that counts no more is left behind. Where anything else would be, nothing is carried over: a rejection
    must not get lost on the way.
    """
    policy = trust.policy(context)
    if not policy.rules.votes.carry_over or State(row.state) not in FINAL or row.digest is None:
        return []
    new = judgement.revision_of(context.store.get_json(row.digest))
    with context.database.read() as session:
        older = session.scalars(
            select(RevisionRow).where(
                RevisionRow.change_id == row.change_id, RevisionRow.n < row.n, RevisionRow.digest.is_not(None)
            )
        ).all()
    newest: dict[str, _Earlier] = {}
    for one in older:
        old = judgement.revision_of(context.store.get_json(one.digest or ""))
        if old.digest == new.digest or not same_content(old, new):
            continue
        for vote in judgement.given_to(context, one.id):
            known = newest.get(vote.person_id)
            if known is None or known.vote.log_index < vote.log_index:
                newest[vote.person_id] = _Earlier(one, old, vote)
    found = []
    for earlier in sorted(newest.values(), key=lambda one: one.vote.log_index):
        problem = _problem(context, row, earlier, policy, now())
        if problem is None:
            found.append(earlier)
        elif not earlier.vote.statement.predicate.decision.approves:
            raise InputError(f"the vote of {earlier.vote.person_id} against it: {problem}")
    return found


def _problem(context: Context, row: RevisionRow, earlier: _Earlier, policy: Policy, moment: datetime) -> str | None:
    """Why a vote is not carried over; None if it is."""
    statement = earlier.vote.statement
    with context.database.read() as session:
        target = judgement.target_ref(session, row)
    if statement.predicate.expedited is not None:
        return "it is an expedited one"
    if statement.predicate.policy.digest.sha256 != policy.digest:
        return "it was given under another policy"
    if statement.predicate.change.targetRef != target:
        return "it was given for another target"
    if min(statement.expires_at, statement.signed_at + policy.max_age) <= moment:
        return "it has run out"
    return _lost(context, earlier, moment)


def _lost(context: Context, earlier: _Earlier, moment: datetime) -> str | None:
    """Why the key or the statement of a vote counts no more; None if both do."""
    envelope = Envelope.read(context.store.get(earlier.vote.envelope_digest))
    roots = trust.roots(context)
    key = verify_envelope(envelope, roots.keys)
    if not roots.dated and not roots.owner(key)[1].valid_at(moment):
        return "its key counts no more"
    named = {
        (RevokedKind.STATEMENT, digest(envelope.payload)),
        (RevokedKind.REVISION, earlier.revision.digest),
        (RevokedKind.KEY, f"sha256:{key_sha256(key)}"),
    }
    if named & {(one.kind, f"sha256:{one.sha256}") for one in ledger.read_revoked(context)}:
        return "it is revoked, or its key or revision is"
    return None


def _taken_over(old: RevisionRow) -> str:
    return f"answers and marks of revision {old.n} taken over"


def _brings(context: Context, row: RevisionRow, old: RevisionRow) -> bool:
    """Whether answers and marks come along, which they do once: what is taken back here later stays so."""
    with context.database.read() as session:
        known = select(EventRow.id).where(EventRow.revision_id == row.id, EventRow.what == _taken_over(old))
        return session.scalar(known) is None


def _bring_marks(session: Session, row: RevisionRow, old: RevisionRow) -> None:
    """Answers and viewed marks of the earlier revision, where there is no answer yet."""
    answered = set(session.scalars(select(AnswerRow.finding_id).where(AnswerRow.revision_id == row.id)))
    for answer in session.scalars(select(AnswerRow).where(AnswerRow.revision_id == old.id)).all():
        if answer.finding_id not in answered:
            session.add(
                AnswerRow(
                    revision_id=row.id,
                    finding_id=answer.finding_id,
                    kind=answer.kind,
                    text=answer.text,
                    person_id=answer.person_id,
                    at=answer.at,
                    serious=answer.serious,
                )
            )
    for mark in session.scalars(select(ViewedRow).where(ViewedRow.revision_id == old.id)).all():
        session.merge(ViewedRow(revision_id=row.id, path=mark.path, person_id=mark.person_id, at=mark.at))
    progress.happened(session, row.id, _taken_over(old))


def _carry(context: Context, row: RevisionRow, found: list[_Earlier]) -> bool:
    """All is checked and logged before anything is kept, and then kept at once: votes, answers and marks."""
    old = found[-1].row if _brings(context, row, found[-1].row) else None
    document = judgement.facts(context, row, earlier=old)
    facts = read_facts(document)
    for one in found:
        check_same_facts(_facts(context, one.vote), facts)
    revision = _with_base(context, row, found)
    context.store.put_json(document)
    evidence = judgement.evidence(context, row, document)
    ledger.record_needed(context, evidence, revision.digest, ())
    with context.database.read() as session:
        target = judgement.target_ref(session, row)
    carried = [
        Carried(one.vote.person_id, digest(_payload(context, one.vote)).removeprefix("sha256:"), one.revision.digest)
        for one in found
    ]
    statement = build_carry(
        service=trust.SERVICE_ID,
        revision=revision,
        target_ref=target,
        policy=trust.policy(context).digest,
        evidence=evidence,
        carried=carried,
        at=now(),
    )
    envelope = trust.service_key(context).sign(canonical(statement))
    stored = context.store.put_json(envelope.to_json())
    index = ledger.record(context, carry_leaf(envelope)).index
    who = ", ".join(f"{one.vote.person_id} from revision {one.row.n}" for one in found)
    with context.database.write() as session:
        if old is not None:
            _bring_marks(session, row, old)
        session.execute(delete(CarriedRow).where(CarriedRow.revision_id == row.id))
        for one in found:
            session.add(CarriedRow(revision_id=row.id, nonce=one.vote.nonce, envelope_digest=stored, log_index=index))
        progress.happened(session, row.id, f"votes carried over: {who}, log entry {index}")
    return True


def _with_base(context: Context, row: RevisionRow, found: list[_Earlier]) -> Revision:
    """The revision with its base's content, which is that of every earlier base by SHA-256 too.

    Raises:
        InputError: it is not.
        RepositoryError: an earlier base cannot be read any more.
    """
    with steps.open_mirror(context, progress.job(context.database, row.id)) as repository:
        base = repository.snapshot(row.base_commit or "")
        for one in found:
            if repository.snapshot(one.revision.base.commit).content != base.content:
                raise InputError(f"the base of revision {one.row.n} has another content under the same tree id")
    new = judgement.revision_of(context.store.get_json(row.digest or ""))
    return type(new)(new.repository, base, new.head, new.artifacts)


def _facts(context: Context, vote: Signature) -> FactsDocument:
    return read_facts(context.store.get_json(f"sha256:{vote.statement.evidence_digest(FACTS_NAME)}"))


def _payload(context: Context, vote: Signature) -> bytes:
    return Envelope.read(context.store.get(vote.envelope_digest)).payload


def _forget(context: Context, revision_id: int) -> bool:
    with context.database.write() as session:
        session.execute(delete(CarriedRow).where(CarriedRow.revision_id == revision_id))
        progress.happened(session, revision_id, f"the votes carried over count no more, {now():%Y-%m-%d %H:%M} UTC")
    return True
