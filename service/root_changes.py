# SPDX-License-Identifier: Apache-2.0
"""Putting signed roots in force, and the chain of them that goes into bundles, for deployers who hold earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from evidence import SandboxMissingError, sha256_hex
from service import ledger, trust
from service.arrivals import now
from signoff import RootsChange, accept_update, roots_leaf

if TYPE_CHECKING:
    from evidence import Digest
    from service.context import Context
    from signoff import LogProof, Roots, RootsUpdate

log = structlog.get_logger("countersign")


def apply_update(context: Context, update: RootsUpdate) -> tuple[Roots, int]:
    """Put signed roots in the place of those in force, and log that first; returns them and the log's index.

    The witnesses of the roots so far see the update before it is in force: by that a deployer who holds those roots
    follows it. Where not enough of them can be reached it comes into force all the same, since new roots may be needed
    for just that, and is dated later.

    Raises:
        PolicyError: not the next version, something taken away or backdated, or too few administrators signed.
        VerificationError: a signature does not hold.
    """
    new = accept_update(context.roots.read_bytes(), update, now())
    try:
        index = ledger.record(context, roots_leaf(update)).index
    except SandboxMissingError as error:
        log.warning("new roots were not witnessed: who holds the roots so far cannot follow", why=str(error))
        found = trust.log_reader(context).index_of(roots_leaf(update))
        if found is None:
            raise
        index = found
    trust.put_in_force(context, update)
    return new, index


def changes(context: Context) -> list[RootsChange]:
    """Every update of the roots with its proof as it was when it was logged. Raises as `ledger.logged_proof`."""
    return [RootsChange(update, _proof(context, update)) for update in trust.updates(context)]


def digests(context: Context) -> frozenset[Digest]:
    """The digests of all roots that administrators signed: a gate may have followed from each of them."""
    return frozenset(f"sha256:{sha256_hex(update.roots)}" for update in trust.updates(context))


def _proof(context: Context, update: RootsUpdate) -> LogProof:
    leaf = roots_leaf(update)
    return ledger.kept_proof(context, leaf) or ledger.logged_proof(context, leaf)
