# SPDX-License-Identifier: Apache-2.0
"""Signing: exact bytes are prepared and kept, a signature over them is verified, logged, and then counts."""

from __future__ import annotations

import contextlib
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC
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
    document_digest,
)
from service import judgement, ledger, progress, trust
from service.arrivals import now
from service.database import PersonRow, RevisionRow, SignoffRow, StatementRow
from service.life import State, move
from service.views import DECISIONS, Prepared
from signoff import (
    FACTS_NAME,
    Decision,
    Envelope,
    Logged,
    Override,
    PolicyReference,
    Reviewer,
    Signoff,
    Validity,
    Vote,
    admits,
    assemble_bundle,
    build_statement,
    coverage,
    envelope_from_ssh,
    evidence_digests,
    pae,
    read_statement,
    signoff_leaf,
    verify_envelope,
)

if TYPE_CHECKING:
    from evidence import Digest
    from service.context import Context
    from service.database import RevisionRow as Row
    from service.views import Person
    from signoff import Person as KnownPerson
    from signoff import PublicKey

_SIGNABLE = frozenset({State.READY, State.SIGNED, State.REJECTED})
_MAX_MEANING = 4000
_MEANINGS = {
    Decision.APPROVED: "I reviewed this revision and approve it.",
    Decision.APPROVED_WITH_CONDITIONS: "I reviewed this revision and approve it under the conditions named here.",
    Decision.REJECTED: "I reviewed this revision and reject it.",
}
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a reviewer decided, in their own words. ``override`` says why a verdict other than pass is overruled."""

    decision: str
    meaning: str = ""
    conditions: tuple[str, ...] = ()
    override: str = ""


def prepare(context: Context, change_id: int, n: int, person: Person, ballot: Ballot) -> Prepared:
    """The statement of this person on this revision as it stands: its exact bytes, kept by nonce.

    Raises:
        ConflictError: there is nothing to sign, or not any more.
        PermissionDeniedError: the roots file does not know the person.
        InputError: a decision that there is not, conditions that do not go with it.
    """
    row = judgement.find(context, change_id, n)
    if State(row.state) not in _SIGNABLE:
        raise ConflictError(f"revision {n} is {row.state}: only a reviewed, latest revision can be signed")
    if ballot.decision not in DECISIONS:
        raise InputError(f"decision {ballot.decision[:40]!r} is none of {', '.join(DECISIONS)}")
    document = judgement.facts(context, row, person.id)
    context.store.put_json(document)
    _record_needed(context, row, person, document)
    payload = canonical(_statement(context, row, _known(context, person), ballot, document))
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

    Signing the same statement again gives the same index: nothing is logged twice.

    Raises:
        VerificationError: the signature, the key, or the statement is not this person's.
        ConflictError: the revision has moved on.
    """
    with _one_at_a_time:
        row = judgement.find(context, change_id, n)
        statement = _prepared_payload(context, row.id, person.id, envelope.payload)
        known = _known(context, person)
        key = _checked_key(context, envelope, known)
        with context.database.read() as session:
            before = session.get(SignoffRow, statement)
        if before is None:
            if State(row.state) not in _SIGNABLE:
                raise ConflictError(f"revision {n} is {row.state}: it cannot be signed any more")
            _keep(context, row, person, envelope, key, statement)
        elif before.log_index is not None:
            return before.log_index
        return _log_and_count(context, statement)


def ssh_envelope(context: Context, change_id: int, n: int, nonce: str, armored: str) -> Envelope:
    """The envelope around a prepared statement and an SSH signature. Raises as ``prepared`` and if it does not fit."""
    return envelope_from_ssh(prepared(context, change_id, n, nonce).payload, armored)


def finish(context: Context) -> None:
    """Log and count the sign-offs that a killed process had verified and stored, but not got further with."""
    with context.database.read() as session:
        waiting = session.scalars(
            select(SignoffRow.nonce).where(SignoffRow.log_index.is_(None)).order_by(SignoffRow.at)
        ).all()
    for nonce in waiting:
        # Where the witnesses are away it waits for the next start, or for the reviewer to hand it in again.
        with _one_at_a_time, contextlib.suppress(SandboxMissingError):
            _log_and_count(context, nonce)
    with context.database.read() as session:
        unsettled = session.scalars(
            select(SignoffRow)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .where(RevisionRow.state == State.READY, SignoffRow.superseded.is_(False))
        ).all()
    for row in unsettled:
        _settle(context, row, row.log_index or 0)


def bundle(context: Context, change_id: int, n: int) -> bytes:
    """The bundle of the sign-offs that count now. NotFoundError if nobody signed."""
    row = judgement.find(context, change_id, n)
    counted = judgement.signatures(context, row.id)
    if not counted or row.digest is None:
        raise NotFoundError(f"nobody has signed revision {n} of change {change_id} yet")
    roots = trust.roots(context)
    signoffs: list[Signoff] = []
    logged: dict[tuple[str, str], Logged] = {}
    for one in counted:
        envelope = Envelope.read(context.store.get(one.envelope_digest))
        proof = ledger.logged_proof(context, signoff_leaf(envelope))
        if proof.index != one.log_index or read_statement(envelope.payload) != one.statement:
            raise VerificationError("database", f"the sign-off of {one.person_id} is not as it was logged")
        signoffs.append(Signoff(envelope, proof))
        key = verify_envelope(envelope, roots.keys)
        logged |= {(piece.kind, piece.digest): piece for piece in ledger.logged(context, one.statement, key)}
    documents = {one.statement.evidence_digest(FACTS_NAME) for one in counted}
    revocations = ledger.revocation_list(context)
    return assemble_bundle(
        trust.log_reader(context),
        judgement.revision_of(context.store.get_json(row.digest)),
        signoffs,
        [context.store.get_json(f"sha256:{name}") for name in sorted(filter(None, documents))],
        logged.values(),
        revocations,
    )


def _statement(
    context: Context, row: Row, known: KnownPerson, ballot: Ballot, document: dict[str, object]
) -> dict[str, object]:
    decision = Decision(ballot.decision)
    policy = trust.policy(context)
    moment = now().replace(microsecond=0).astimezone(UTC)
    role = "reviewer" if "reviewer" in known.roles else min(known.roles)
    with context.database.read() as session:
        target = judgement.target_ref(session, row)
    override = None
    if ballot.override.strip() and decision.approves:
        override = Override(verdict=Verdict(row.verdict or ""), reason=ballot.override.strip())
    return build_statement(
        revision=judgement.revision_of(context.store.get_json(_stored(row.digest))),
        target_ref=target,
        vote=Vote(
            decision=decision,
            meaning=ballot.meaning.strip()[:_MAX_MEANING] or _MEANINGS[decision],
            conditions=tuple(line.strip() for line in ballot.conditions if line.strip()),
            override=override,
        ),
        coverage=coverage(document),
        reviewer=Reviewer(id=known.id, name=known.name, organization=known.organization, role=role),
        policy=PolicyReference.model_validate({"uri": "policy.toml", "digest": {"sha256": policy.digest}}),
        evidence=_evidence(context, row, document),
        validity=Validity(secrets.token_urlsafe(24), moment, moment + policy.max_age),
    )


def _evidence(context: Context, row: Row, document: dict[str, object]) -> dict[str, Digest]:
    """Digests by name of all that a statement rests on."""
    audit = context.store.get_json(_stored(row.audit_digest))
    return {**evidence_digests(document), "panel": audit["panel"]["digest"], FACTS_NAME: document_digest(document)}


def _record_needed(context: Context, row: Row, person: Person, document: dict[str, object]) -> None:
    """Log the evidence and the person's keys. Only then is there a statement to sign."""
    keys = [entry.key for entry in _known(context, person).keys if entry.valid_at(now())]
    ledger.record_needed(context, _evidence(context, row, document), _stored(row.digest), keys)


def _known(context: Context, person: Person) -> KnownPerson:
    known = trust.roots(context).person(person.id)
    if known is None:
        raise PermissionDeniedError(f"{person.id} is not in {context.roots.name}: add them there with their public key")
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
    key = verify_envelope(envelope, roots.keys)
    owner, entry = roots.owner(key)
    if owner.id != known.id:
        raise VerificationError("signature", f"made by the key of {owner.id}, not of {known.id}")
    if not entry.valid_at(now()):
        raise VerificationError("signature", f"the key {key.fingerprint} does not count at this time")
    return key


def _keep(context: Context, row: Row, person: Person, envelope: Envelope, key: PublicKey, nonce: str) -> None:
    stored = context.store.put_json(envelope.to_json())
    with context.database.write() as session:
        session.add(
            SignoffRow(
                nonce=nonce,
                revision_id=row.id,
                person_id=person.id,
                decision=read_statement(envelope.payload).predicate.decision.value,
                key=key.fingerprint,
                payload_digest=digest(envelope.payload),
                envelope_digest=stored,
                log_index=None,
                at=now(),
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
    _settle(context, row, index)
    return index


def _settle(context: Context, signoff: SignoffRow, index: int) -> None:
    """The revision's state after a sign-off: signed only if the policy lets it through."""
    with context.database.read() as session:
        revision = session.get_one(RevisionRow, signoff.revision_id)
        name = session.get_one(PersonRow, signoff.person_id).name
    rejected = any(not one.statement.predicate.decision.approves for one in judgement.signatures(context, revision.id))
    through = admits(judgement.requirements(context, revision))
    to = State.REJECTED if rejected else State.SIGNED if through else State.READY
    with context.database.write() as session:
        revision = session.get_one(RevisionRow, signoff.revision_id)
        if State(revision.state) in _SIGNABLE and State(revision.state) is not to:
            revision.state = move(State(revision.state), to)
            revision.since = now()
        what = f"{signoff.decision} by {name}, log entry {index}"
        progress.happened(session, revision.id, what)


def _stored(name: str | None) -> Digest:
    if name is None:
        raise ConflictError("a document of this revision is missing: it was not fully reviewed")
    return name
