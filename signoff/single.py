# SPDX-License-Identifier: Apache-2.0
"""One sign-off by itself: an envelope and its proof, held against the roots. For readers, not for gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import InputError, VerificationError
from signoff._build import verify_by
from signoff._signed import check_reviewer
from signoff.bundle import Signoff
from signoff.requirements import CLOCK_SKEW
from signoff.statement import read_statement

if TYPE_CHECKING:
    from datetime import datetime

    from signoff.envelope import Envelope
    from signoff.keys import PublicKey
    from signoff.proofs import LogProof
    from signoff.roots import Person, Roots
    from signoff.statement import Statement


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sign-off that is what it says: who signed it by which key, and which entry of which log it is.

    ``logged_at`` is when the quorum of witnesses had seen it, None where the roots ask for none.
    """

    person: Person
    key: PublicKey
    statement: Statement
    origin: str
    index: int
    size: int
    logged_at: datetime | None


def check_recorded(envelope: Envelope, proof: LogProof, roots: Roots, now: datetime) -> Recorded:
    """Check that a sign-off was signed by whom it names, with a key that counted, and is in a log of the roots.

    That is all: whether it still counts, whether policy is met, and whether something is what was signed, is the gate's
    to say, which has the whole bundle, a revocation list in it.

    Raises:
        VerificationError: signature, proof, checkpoint or quorum does not hold.
        InputError: not a sign-off's statement; in another's name; or the key did not count at the time.
    """
    key = verify_by(envelope, roots.keys, roots)
    person, entry = roots.owner(key)
    statement = read_statement(envelope.payload)
    check_reviewer(statement, person)
    log_key = roots.log(proof.origin)
    if log_key is None:
        raise VerificationError("log", f"the log {proof.origin[:100]!r} is not in the roots file")
    checkpoint = proof.verify(Signoff(envelope, proof).leaf_hash, log_key)
    at = None if roots.quorum is None else roots.quorum.check(proof.checkpoint).at
    if at is not None and statement.signed_at > at + CLOCK_SKEW:
        raise InputError(f"{person.id} says to have signed after the log had the sign-off")
    seen = (now, "now") if at is None else (at, "when it was logged")
    for moment, when in ((statement.signed_at, "when it signed"), seen):
        if not entry.valid_at(moment):
            raise InputError(f"the key {key.fingerprint} of {person.id} did not count {when}")
    return Recorded(person, key, statement, proof.origin, proof.index, checkpoint.size, at)
