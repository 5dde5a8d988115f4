# SPDX-License-Identifier: Apache-2.0
"""Putting a bundle together out of a log: every proof with how its checkpoint leads to the newest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from signoff.bundle import build_bundle
from signoff.notes import open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evidence import Json, Revision
    from signoff.bundle import Build, CarriedOver, Logged, RevocationList, RootsChange, Signoff
    from signoff.merkle import Hash
    from signoff.proofs import LogProof
    from signoff.reader import LogReader


def assemble_bundle(  # noqa: PLR0913, PLR0917 - one argument a part of the bundle
    log: LogReader,
    revision: Revision,
    signoffs: Iterable[Signoff],
    facts: Iterable[Mapping[str, Json]],
    logged: Iterable[Logged],
    revocations: RevocationList,
    carry: CarriedOver | None = None,
    build: Build | None = None,
    roots: Iterable[RootsChange] = (),
    policy: bytes | None = None,
) -> bytes:
    """The bundle's bytes, see `build_bundle`, with the consistency proofs out of ``log``.

    Raises:
        InputError: a proof of a larger tree than the revocation list's proof.
        VerificationError: the log on disk is damaged, or a proof is not of it.
    """
    newest = open_checkpoint(revocations.proof.checkpoint, log.key).size

    def leads(proof: LogProof) -> tuple[Hash, ...]:
        return log.consistency_proof(open_checkpoint(proof.checkpoint, log.key).size, newest)

    return build_bundle(
        revision,
        [replace(one, consistency=leads(one.proof)) for one in signoffs],
        facts,
        [replace(one, consistency=leads(one.proof)) for one in logged],
        revocations,
        None if carry is None else replace(carry, consistency=leads(carry.proof)),
        None if build is None else replace(build, consistency=leads(build.proof)),
        [replace(one, consistency=leads(one.proof)) for one in roots],
        policy,
    )
