# SPDX-License-Identifier: Apache-2.0
"""Sign-offs that a killed process had stored and not logged: checked anew, because a row proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from evidence import CountersignError, VerificationError, digest
from service import trust
from service.database import SignoffRow, StatementRow
from signoff import Envelope, read_statement, verify_by

if TYPE_CHECKING:
    from service.context import Context

_STEP = "database"

log = structlog.get_logger("countersign")


def holds(context: Context, nonce: str) -> bool:
    """Whether a row that waits to be logged says what a person in the roots signed. Why it does not is logged."""
    with context.database.read() as session:
        row, prepared = session.get_one(SignoffRow, nonce), session.get(StatementRow, nonce)
    try:
        _check(context, row, prepared)
    except CountersignError as error:
        log.warning("a sign-off is left unlogged", nonce=nonce, why=str(error))
        return False
    return True


def _check(context: Context, row: SignoffRow, prepared: StatementRow | None) -> None:
    envelope = Envelope.read(context.store.get(row.envelope_digest))
    roots = trust.roots(context)
    key = verify_by(envelope, roots.keys, roots)
    owner, entry = roots.owner(key)
    said = read_statement(envelope.payload).predicate
    same = {
        "statement": prepared is not None and prepared.payload == envelope.payload,
        "revision": prepared is not None and prepared.revision_id == row.revision_id,
        "person": prepared is not None and prepared.person_id == row.person_id == owner.id,
        "nonce": said.nonce == row.nonce,
        "key": key.fingerprint == row.key and entry.valid_at(row.at),
        "decision": said.decision.value == row.decision,
        "bytes": digest(envelope.payload) == row.payload_digest,
    }
    if not all(same.values()):
        wrong = ", ".join(name for name, holds in same.items() if not holds)
        raise VerificationError(_STEP, f"the row is not what was signed: {wrong}")
