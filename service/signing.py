# SPDX-License-Identifier: Apache-2.0
"""Signing: exact bytes are prepared and kept, a signature over them is verified, logged, and then counts."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from evidence import (
    ConflictError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    SandboxMissingError,
    Verdict,
    VerificationError,
    canonical,
    digest,
)
from service import (
    carrying,
    expiry,
    inspected,
    judgement,
    later_reviews,
    ledger,
    left_unlogged,
    passkeys,
    progress,
    recipes,
    trust,
)
from service.arrivals import now
from service.database import PersonRow, RevisionRow, SignoffRow, StatementRow
from service.life import SIGNABLE, State, move
from service.views import DECISIONS, Prepared
from signoff import (
    BUILDS_SCOPE,
    DECLARATION_DIGEST,
    DEFAULT_SCOPE,
    READ_ONLY,
    Decision,
    Envelope,
    Hurry,
    Override,
    PolicyReference,
    Reviewer,
    Validity,
    Vote,
    admits,
    build_statement,
    envelope_from_ssh,
    pae,
    read_statement,
    signoff_leaf,
    verify_by,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evidence import Digest
    from service.context import Context
    from service.database import RevisionRow as Row
    from service.views import Person
    from signoff import Person as KnownPerson
    from signoff import PublicKey

_MAX_MEANING = 4000
_MEANINGS = {
    Decision.APPROVED: "I reviewed this revision and approve it.",
    Decision.APPROVED_WITH_CONDITIONS: "I reviewed this revision and approve it under the conditions named here.",
    Decision.REJECTED: "I reviewed this revision and reject it.",
    Decision.REVOKED: "I revoke my approval of this revision.",
}
_SIGNING = "signing"
PREPARED_LIFE = timedelta(hours=24)  # how long a statement waits for its signature


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a reviewer decided, in their own words.

    ``override`` says why a verdict other than pass is overruled, ``expedited`` why the expedited lane is taken.
    ``waive`` names files that need no look, each with why. ``recipe`` is the digest of the recipe for builds that is
    signed too.
    """

    decision: str
    meaning: str = ""
    conditions: tuple[str, ...] = ()
    override: str = ""
    expedited: str = ""
    waive: tuple[tuple[str, str], ...] = ()
    recipe: str = ""


def prepare(context: Context, change_id: int, n: int, person: Person, ballot: Ballot) -> Prepared:
    """The statement of this person on this revision as it stands: its exact bytes, kept by nonce.

    Raises:
        ConflictError: there is nothing to sign, or not any more, or a review that is overdue has to come first.
        PermissionDeniedError: the roots file does not know the person.
        InputError: a decision that there is not, conditions that do not go with it.
    """
    row = judgement.find(context, change_id, n)
    if ballot.decision not in DECISIONS:
        raise InputError(f"decision {ballot.decision[:40]!r} is none of {', '.join(DECISIONS)}")
    _check_open(context, row, person, Decision(ballot.decision), expedited=bool(ballot.expedited.strip()))
    if ballot.recipe and ballot.recipe not in {one.digest for one in recipes.of_revision(context, row.id)}:
        raise InputError(f"revision {n} has no recipe {ballot.recipe[:80]} to be signed")
    looked = inspected.inspected(context, row, person.id, ballot.waive)
    context.store.put_json(looked.document)
    _record_needed(context, row, person, looked.document, ballot.recipe)
    payload = canonical(_statement(context, row, _known(context, person), ballot, looked))
    statement = read_statement(payload)
    with context.database.write() as session:
        session.add(
            StatementRow(
                nonce=statement.predicate.nonce,
                revision_id=row.id,
                person_id=person.id,
                payload=payload,
                created_at=now(),
            )
        )
    return Prepared(payload, digest(payload), pae(payload), statement.predicate.nonce)


def prepared(context: Context, change_id: int, n: int, nonce: str) -> Prepared:
    """A statement prepared earlier. NotFoundError if there is none under this nonce."""
    row = judgement.find(context, change_id, n)
    with context.database.read() as session:
        statement = session.get(StatementRow, nonce[:64])
    if statement is None or statement.revision_id != row.id:
        raise NotFoundError("no statement was prepared under this nonce: open the sign-off page again")
    return Prepared(statement.payload, digest(statement.payload), pae(statement.payload), statement.nonce)


def sign_off(context: Context, change_id: int, n: int, person: Person, envelope: Envelope) -> int:
    """Verify an envelope over a statement prepared for this person, log it, count it; returns its index in the log.

    A nonce counts once: signing the same statement again gives the same index, and nothing is logged twice.

    Raises:
        VerificationError: the signature, the key, or the statement is not this person's.
        ConflictError: the revision has moved on, or the person replaced this statement by a later one, or it was
            prepared too long ago, or a review that is overdue has to come first.
    """
    with context.exclusive(_SIGNING):
        row = judgement.find(context, change_id, n)
        statement = _prepared_payload(context, row.id, person.id, envelope.payload)
        known = _known(context, person)
        key = _checked_key(context, envelope, known)
        with context.database.read() as session:
            before = session.get(SignoffRow, statement)
        if before is None:
            said = read_statement(envelope.payload).predicate
            _check_open(context, row, person, said.decision, expedited=said.expedited is not None)
            _check_age(context, statement)
            passkeys.count(context, key, envelope)
            _keep(context, row, person, envelope, key, statement)
        elif before.superseded:
            raise ConflictError("this statement was signed before, and you replaced it since: prepare a new one")
        elif before.log_index is not None:
            return before.log_index
        return _log_and_count(context, statement)


def ssh_envelope(context: Context, change_id: int, n: int, nonce: str, armored: str) -> Envelope:
    """The envelope around a prepared statement and an SSH signature. Raises as ``prepared`` and if it does not fit."""
    return envelope_from_ssh(prepared(context, change_id, n, nonce).payload, armored)


def passkey_envelope(
    context: Context, change_id: int, n: int, person: Person, nonce: str, response: Mapping[str, str]
) -> Envelope:
    """The envelope around a prepared statement and a passkey's answer. Raises as ``prepared``, and if it misfits."""
    return passkeys.envelope(context, person, prepared(context, change_id, n, nonce).payload, response)


def finish(context: Context) -> None:
    """Log and count the sign-offs that a killed process had verified and stored, but not got further with."""
    with context.database.read() as session:
        waiting = session.scalars(
            select(SignoffRow.nonce).where(SignoffRow.log_index.is_(None)).order_by(SignoffRow.at)
        ).all()
    for nonce in waiting:
        # Where the witnesses are away it waits for the next start, or for the reviewer to hand it in again.
        with context.exclusive(_SIGNING), contextlib.suppress(SandboxMissingError):
            if left_unlogged.holds(context, nonce):
                _log_and_count(context, nonce)
    with context.database.read() as session:
        unsettled = session.scalars(
            select(SignoffRow)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .where(RevisionRow.state == State.READY, SignoffRow.superseded.is_(False))
        ).all()
    for row in unsettled:
        _settle_after(context, row, row.log_index or 0)
    for revision_id in carrying.waiting(context):
        carry_over(context, revision_id)


def _statement(
    context: Context, row: Row, known: KnownPerson, ballot: Ballot, looked: inspected.Inspected
) -> dict[str, object]:
    decision = Decision(ballot.decision)
    policy = trust.keep_policy(context)
    moment = now().replace(microsecond=0).astimezone(UTC)
    role = "reviewer" if "reviewer" in known.roles else min(known.roles - READ_ONLY)
    with context.database.read() as session:
        target = judgement.target_ref(session, row)
    life = expiry.life(policy, expedited=bool(ballot.expedited.strip()))
    override = None
    if ballot.override.strip() and decision.approves:
        override = Override(verdict=Verdict(row.verdict or ""), reason=ballot.override.strip())
    return build_statement(
        revision=judgement.revision_of(context.store.get_json(_stored(row.digest))),
        target_ref=target,
        vote=Vote(
            decision=decision,
            meaning=ballot.meaning.strip()[:_MAX_MEANING] or _MEANINGS[decision],
            scope=(*DEFAULT_SCOPE, *((BUILDS_SCOPE,) if ballot.recipe else ())),
            conditions=tuple(line.strip() for line in ballot.conditions if line.strip()),
            not_inspected=looked.not_inspected,
            override=override,
            expedited=Hurry(reason=ballot.expedited.strip())
            if ballot.expedited.strip() and decision.approves
            else None,
        ),
        coverage=looked.coverage,
        reviewer=Reviewer(id=known.id, name=known.name, organization=known.organization, role=role),
        policy=PolicyReference.model_validate({"uri": "policy.toml", "digest": {"sha256": policy.digest}}),
        evidence=judgement.evidence(context, row, looked.document, ballot.recipe),
        declaration=known.independence.digest_for(known.id) if known.independence else DECLARATION_DIGEST,
        validity=Validity(secrets.token_urlsafe(24), moment, moment + life),
    )


def _record_needed(context: Context, row: Row, person: Person, document: dict[str, object], recipe: str) -> None:
    """Log the evidence and the person's keys. Only then is there a statement to sign."""
    keys = [entry.key for entry in _known(context, person).keys if entry.valid_at(now())]
    ledger.record_needed(context, judgement.evidence(context, row, document, recipe), _stored(row.digest), keys)


def _check_open(context: Context, row: Row, person: Person, decision: Decision, *, expedited: bool) -> None:
    """A reviewed, latest revision is signed, and nothing approved while a review is overdue that has to come first.

    An approval is revoked for as long as it is there, superseded or not, and what went out by broken glass is reviewed.
    """
    revoking = decision is Decision.REVOKED
    late = State(row.state) is State.SUPERSEDED and (revoking or later_reviews.owes(context, row.digest))
    if State(row.state) not in SIGNABLE and not late:
        raise ConflictError(f"revision {row.n} is {row.state}: only a reviewed, latest revision can be signed")
    if revoking and not any(
        one.person_id == person.id and one.statement.predicate.decision.approves
        for one in judgement.signatures(context, row.id)
    ):
        raise ConflictError(f"you have approved nothing in revision {row.n} that could be revoked")
    if decision.approves:
        later_reviews.check(context, row.change_id, expedited=expedited, moment=now())


def _check_age(context: Context, nonce: str) -> None:
    """A nonce that lies around is one that somebody may find."""
    with context.database.read() as session:
        prepared_at = session.get_one(StatementRow, nonce).created_at
    if prepared_at + PREPARED_LIFE <= now():
        raise ConflictError("this statement was prepared more than a day ago: prepare it anew, and sign that")


def _known(context: Context, person: Person) -> KnownPerson:
    known = trust.roots(context).person(person.id)
    if known is None:
        raise PermissionDeniedError(f"{person.id} is not in {context.roots.name}: add them there with their public key")
    if known.roles <= READ_ONLY:
        raise PermissionDeniedError(f"{person.id} is {', '.join(sorted(known.roles))}: a role that signs nothing off")
    return known


def _prepared_payload(context: Context, revision_id: int, person_id: str, payload: bytes) -> str:
    """The nonce of the prepared statement with exactly these bytes."""
    with context.database.read() as session:
        rows = session.scalars(
            select(StatementRow).where(StatementRow.revision_id == revision_id, StatementRow.person_id == person_id)
        )
        for row in rows:
            if row.payload == payload:
                return row.nonce
    raise VerificationError("statement", "these are not the bytes of a statement prepared for you on this revision")


def _checked_key(context: Context, envelope: Envelope, known: KnownPerson) -> PublicKey:
    roots = trust.roots(context)
    key = verify_by(envelope, roots.keys, roots)
    owner, entry = roots.owner(key)
    if owner.id != known.id:
        raise VerificationError("signature", f"made by the key of {owner.id}, not of {known.id}")
    if not entry.valid_at(now()):
        raise VerificationError("signature", f"the key {key.fingerprint} does not count at this time")
    return key


def _keep(context: Context, row: Row, person: Person, envelope: Envelope, key: PublicKey, nonce: str) -> None:
    stored = context.store.put_json(envelope.to_json())
    said = read_statement(envelope.payload).predicate
    with context.database.write() as session:
        session.add(
            SignoffRow(
                nonce=nonce,
                revision_id=row.id,
                person_id=person.id,
                decision=said.decision.value,
                key=key.fingerprint,
                payload_digest=digest(envelope.payload),
                envelope_digest=stored,
                log_index=None,
                at=now(),
                expedited=said.expedited is not None,
            )
        )


def _log_and_count(context: Context, nonce: str) -> int:
    """Append to the log unless a killed process had done so, then let the sign-off count."""
    with context.database.read() as session:
        row = session.get_one(SignoffRow, nonce)
    entry = signoff_leaf(Envelope.read(context.store.get(row.envelope_digest)))
    index = ledger.record(context, entry).index
    with context.database.write() as session:
        earlier = session.scalars(
            select(SignoffRow).where(
                SignoffRow.revision_id == row.revision_id,
                SignoffRow.person_id == row.person_id,
                SignoffRow.nonce != nonce,
                SignoffRow.log_index.is_not(None),
            )
        )
        for other in earlier:
            other.superseded = True
        session.get_one(SignoffRow, nonce).log_index = index
    _settle_after(context, row, index)
    return index


def carry_over(context: Context, revision_id: int) -> None:
    """Let votes on an earlier revision of the same content count for this one, where the policy says so."""
    with context.exclusive(_SIGNING):
        if carrying.carry(context, revision_id):
            _settle(context, revision_id)


def _settle_after(context: Context, signoff: SignoffRow, index: int) -> None:
    """After a sign-off, on its revision and on those that its votes are carried over to."""
    with context.database.read() as session:
        name = session.get_one(PersonRow, signoff.person_id).name
    with context.database.write() as session:
        progress.happened(session, signoff.revision_id, f"{signoff.decision} by {name}, log entry {index}")
    _settle(context, signoff.revision_id)
    for other in carrying.depending(context, signoff.revision_id):
        if carrying.carry(context, other):
            _settle(context, other)


def _settle(context: Context, revision_id: int) -> None:
    """The revision's state by the votes that count: signed only if the policy lets it through."""
    with context.database.read() as session:
        revision = session.get_one(RevisionRow, revision_id)
    decisions = {one.statement.predicate.decision for one in judgement.signatures(context, revision.id)}
    if Decision.REVOKED in decisions:
        to = State.REVOKED
    elif not all(decision.approves for decision in decisions):
        to = State.REJECTED
    else:
        to = State.SIGNED if admits(judgement.requirements(context, revision)) else State.READY
    with context.database.write() as session:
        revision = session.get_one(RevisionRow, revision_id)
        if State(revision.state) in SIGNABLE and State(revision.state) is not to:
            revision.state = move(State(revision.state), to)
            revision.since = now()
        if to is State.SIGNED:  # remembered when a later push supersedes it: it is what later changes are held against
            progress.happened(session, revision.id, State.SIGNED.value)


def _stored(name: str | None) -> Digest:
    if name is None:
        raise ConflictError("a document of this revision is missing: it was not fully reviewed")
    return name
