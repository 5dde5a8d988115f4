# SPDX-License-Identifier: Apache-2.0
"""The bundle of a revision as its votes stand: each held against the log before it goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import NotFoundError, VerificationError
from service import judgement, ledger, root_changes, trust
from signoff import (
    FACTS_NAME,
    CarriedOver,
    Envelope,
    Signoff,
    assemble_bundle,
    carry_leaf,
    read_carry,
    read_statement,
    signoff_leaf,
    verify_envelope,
)

if TYPE_CHECKING:
    from service.context import Context
    from signoff import Logged


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
        _add(logged, ledger.logged(context, one.statement, key))
    documents = {one.statement.evidence_digest(FACTS_NAME) for one in counted}
    carry = _carried_over(context, counted)
    if carry is not None:
        said = read_carry(carry.envelope.payload)
        documents.add(said.facts)
        _add(logged, ledger.logged_evidence(context, said.predicate.evidence, said.revision))
    revocations = ledger.revocation_list(context)
    return assemble_bundle(
        trust.log_reader(context),
        judgement.revision_of(context.store.get_json(row.digest)),
        signoffs,
        [context.store.get_json(f"sha256:{name}") for name in sorted(filter(None, documents))],
        logged.values(),
        revocations,
        carry,
        roots=root_changes.changes(context),
        policy=trust.signed_policy(context, [one.statement for one in counted]),
    )


def _add(logged: dict[tuple[str, str], Logged], more: dict[tuple[str, str], Logged]) -> None:
    """Of two commitments to one panel, by the reviews of two revisions, the first in the log says enough."""
    for key, piece in more.items():
        if key not in logged or piece.proof.index < logged[key].proof.index:
            logged[key] = piece


def _carried_over(context: Context, counted: list[judgement.Signature]) -> CarriedOver | None:
    """What votes were carried over by, with its proof and the manifests they were given to; None if none were."""
    envelopes = {one.carried for one in counted if one.carried is not None}
    if not envelopes:
        return None
    envelope = Envelope.read(context.store.get(envelopes.pop()))
    earlier = {one.statement.revision for one in counted if one.carried is not None}
    revisions = [judgement.revision_of(context.store.get_json(name)) for name in sorted(earlier)]
    return CarriedOver(envelope, ledger.logged_proof(context, carry_leaf(envelope)), tuple(revisions))
