# SPDX-License-Identifier: Apache-2.0
"""The bundle of a build: its recipe's sign-offs, the build, and a revocation list of after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import VerificationError
from service import builds, judgement, ledger, recipes, root_changes, trust
from signoff import (
    FACTS_NAME,
    RECIPE_NAME,
    Build,
    Envelope,
    Logged,
    Signoff,
    assemble_bundle,
    build_leaf,
    read_build,
    read_measures,
    read_statement,
    signoff_leaf,
    verify_envelope,
)

if TYPE_CHECKING:
    from service.context import Context
    from service.judgement import Signature
    from service.recipes import Held


def bundle(context: Context, change_id: int, n: int) -> bytes | None:
    """The bundle of a countersigned build; None for what is none, or what people signed themselves."""
    revision = judgement.find(context, change_id, n)
    row = builds.row_of(context, revision.id)
    if row is None or row.log_index is None or row.envelope_digest is None or row.measures_digest is None:
        return None
    if revision.digest is None or judgement.signatures(context, revision.id):
        return None
    held = recipes.find(context, row.recipe)
    roots = trust.roots(context)
    signoffs: list[Signoff] = []
    logged: dict[tuple[str, str], Logged] = {}
    facts: set[str] = set()
    for one in _signed_before(context, held, row.log_index):
        envelope = Envelope.read(context.store.get(one.envelope_digest))
        signoffs.append(Signoff(envelope, ledger.logged_proof(context, signoff_leaf(envelope))))
        key = verify_envelope(envelope, roots.keys)
        pieces = ledger.logged(context, one.statement, key)
        logged |= {(piece.kind, piece.digest): piece for piece in pieces.values()}
        facts.add(f"sha256:{one.statement.evidence_digest(FACTS_NAME)}")
    envelope = Envelope.read(context.store.get(row.envelope_digest))
    proof = ledger.logged_proof(context, build_leaf(envelope))
    if proof.index != row.log_index:
        raise VerificationError("database", f"the build of revision {n} is not where it was logged")
    lane = verify_envelope(envelope, [entry.key for one in roots.build_lanes for entry in one.keys])
    statement = read_build(envelope.payload)
    pieces = ledger.logged_pieces(context, statement.revision, statement.predicate.evidence, lane)
    logged |= {(piece.kind, piece.digest): piece for piece in pieces.values()}
    anchor, built = (
        judgement.revision_of(context.store.get_json(name)) for name in (held.anchor.digest or "", revision.digest)
    )
    measures = read_measures(context.store.get_json(row.measures_digest))
    return assemble_bundle(
        trust.log_reader(context),
        built,
        signoffs,
        [context.store.get_json(name) for name in sorted(facts)],
        logged.values(),
        ledger.revocation_list(context, after=proof.index),
        build=Build(envelope, proof, held.recipe, anchor, measures),
        roots=root_changes.changes(context),
        policy=trust.signed_policy(context, [read_statement(one.envelope.payload) for one in signoffs]),
    )


def _signed_before(context: Context, held: Held, index: int) -> list[Signature]:
    """The sign-offs that a build at that log entry stands by, and whatever speaks against its recipe now.

    Of who approves the recipe still, the last approval of it from before the build: one who signs it anew does not
    take back what they signed. Who approves the revision alone says nothing of its builds.
    """
    recipe = held.row.digest[7:]
    every = judgement.ever_given_to(context, held.anchor.id)
    found = []
    for one in judgement.given_to(context, held.anchor.id):
        if not one.statement.predicate.decision.approves:
            found.append(one)
        elif one.statement.evidence_digest(RECIPE_NAME) == recipe:
            earlier = [
                other
                for other in every
                if (other.person_id, other.statement.evidence_digest(RECIPE_NAME)) == (one.person_id, recipe)
                and other.log_index < index
            ]
            found += earlier[-1:]
    return found
