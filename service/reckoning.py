# SPDX-License-Identifier: Apache-2.0
"""The database held against the log: an edit by SQL is found, because the log cannot be edited in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from evidence import Digest, VerificationError, canonical, digest, parse_json
from service import trust
from service.database import BuildRow, CarriedRow, RevisionRow, SignoffRow, StatementRow
from signoff import CARRY_LEAF, BuildChains, Envelope, read_carry, read_statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.context import Context
    from signoff import BuildStatement, Carry, Statement

_STEP = "database"
MEASURES = "measures"
_Row = tuple[SignoffRow, bytes, Digest | None]


def compare(context: Context) -> int:
    """Check that the database says of sign-offs and builds what the log says: none more, none less, none otherwise.

    Returns:
        How many there are.

    Raises:
        VerificationError: the first that differs, or a log that is damaged.
    """
    rows = _rows(context)
    carried: dict[str, tuple[int, Carry, Digest]] = {}
    newest: dict[tuple[str, str], int] = {}
    seen: dict[str, tuple[int, Statement]] = {}
    chains, builds = BuildChains(trust.roots(context)), _builds(context)
    for index, entry in enumerate(trust.log_reader(context).entries()):
        document = parse_json(entry, f"log entry {index}")
        built = chains.take(index, document)
        if built is not None:
            made = Envelope.from_json(document["envelope"])
            _check_build(index, made, built, builds.pop(digest(made.payload), None))
        if document["type"] == CARRY_LEAF:
            made = Envelope.from_json(document["envelope"])
            carry = read_carry(made.payload)
            carried[carry.revision] = (index, carry, digest(canonical(made.to_json())))
        if document["type"] != "signoff":
            continue
        envelope = Envelope.from_json(document["envelope"])
        statement = read_statement(envelope.payload)
        nonce = statement.predicate.nonce
        if nonce in seen:
            continue  # one statement, signed and logged again
        _check(index, envelope, statement, rows.get(nonce))
        seen[nonce] = (index, statement)
        newest[statement.revision, statement.predicate.reviewer.id] = index
    for nonce, (row, _, _) in rows.items():
        if nonce not in seen:
            raise VerificationError(_STEP, f"a sign-off of {row.person_id} that is not in the log")
        index, statement = seen[nonce]
        counts = newest[statement.revision, statement.predicate.reviewer.id] == index
        if row.superseded is counts:
            raise VerificationError(_STEP, f"the sign-off at log entry {index} is marked as if it counted otherwise")
    if builds:
        raise VerificationError(_STEP, f"{len(builds)} builds of the database that are not in the log")
    _compare_carried(context, carried)
    return len(rows) + chains.count


def _compare_carried(context: Context, logged: Mapping[str, tuple[int, Carry, Digest]]) -> None:
    """Each vote that counts for another revision than its own is in the newest entry that carried over to that one."""
    with context.database.read() as session:
        found = session.execute(
            select(CarriedRow, SignoffRow.payload_digest, RevisionRow.digest)
            .join(SignoffRow, SignoffRow.nonce == CarriedRow.nonce)
            .join(RevisionRow, RevisionRow.id == CarriedRow.revision_id)
        ).all()
    for row, payload, revision in found:
        index, carry, envelope = logged.get(revision or "", (None, None, None))
        named = carry is not None and carry.find(payload.removeprefix("sha256:")) is not None
        if not named or (row.log_index, row.envelope_digest) != (index, envelope):
            raise VerificationError(_STEP, f"a vote counts for {revision} that the log does not carry over to it")


def _rows(context: Context) -> dict[str, _Row]:
    with context.database.read() as session:
        found = session.execute(
            select(SignoffRow, StatementRow.payload, RevisionRow.digest)
            .join(StatementRow, StatementRow.nonce == SignoffRow.nonce)
            .join(RevisionRow, RevisionRow.id == SignoffRow.revision_id)
            .where(SignoffRow.log_index.is_not(None))
        ).all()
    return {row.nonce: (row, payload, revision) for row, payload, revision in found}


def _builds(context: Context) -> dict[str | None, tuple[BuildRow, Digest | None]]:
    """The builds that count by the digest of their statement, with the digest of their revision."""
    with context.database.read() as session:
        found = session.execute(
            select(BuildRow, RevisionRow.digest)
            .join(RevisionRow, RevisionRow.id == BuildRow.revision_id)
            .where(BuildRow.log_index.is_not(None))
        ).all()
    return {row.payload_digest: (row, revision) for row, revision in found}


def _check_build(
    index: int, envelope: Envelope, statement: BuildStatement, known: tuple[BuildRow, Digest | None] | None
) -> None:
    if known is None:
        raise VerificationError(_STEP, f"the build at log entry {index} is gone from the database")
    row, revision = known
    predicate = statement.predicate
    measures = next(one.digest.sha256 for one in predicate.evidence if one.name == MEASURES)
    same = {
        "place": row.log_index == index,
        "envelope": row.envelope_digest == digest(canonical(envelope.to_json())),
        "recipe": row.recipe == f"sha256:{predicate.recipe.sha256}",
        "number": row.number == predicate.number,
        "time": row.signed_at == statement.signed_at,
        "measures": row.measures_digest == f"sha256:{measures}",
        "revision": revision == statement.revision,
    }
    for name, holds in same.items():
        if not holds:
            raise VerificationError(_STEP, f"the {name} of the build at log entry {index} was changed")


def _check(index: int, envelope: Envelope, statement: Statement, known: _Row | None) -> None:
    if known is None:
        raise VerificationError(_STEP, f"the sign-off at log entry {index} is gone from the database")
    row, payload, revision = known
    predicate = statement.predicate
    same = {
        "place": row.log_index == index,
        "bytes": payload == envelope.payload and row.payload_digest == digest(payload),
        "envelope": row.envelope_digest == digest(canonical(envelope.to_json())),
        "decision": row.decision == predicate.decision.value,
        "person": row.person_id == predicate.reviewer.id,
        "revision": revision == statement.revision,
    }
    for name, holds in same.items():
        if not holds:
            raise VerificationError(_STEP, f"the {name} of the sign-off at log entry {index} was changed")
