# SPDX-License-Identifier: Apache-2.0
"""From the roots that a deployer holds to those that a bundle was signed under, by the updates that come with it.

Step 2 of the gate follows the chain: each version is signed by enough administrators of the one before and of its own.
Step 6 holds it against the log: an update counts as of when the witnesses of the roots before it had seen it, so that
nobody dates one into a time at which a lost key still counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evidence import InputError, PolicyError, VerificationError, sha256_hex
from signoff.requirements import CLOCK_SKEW
from signoff.rootchain import accept_update
from signoff.roots import parse_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from signoff.bundle import RootsChange
    from signoff.proofs import LogProof
    from signoff.roots import Roots


class Followed(NamedTuple):
    """The roots in force, and each update that led to them with the roots before it; none where none was needed."""

    roots: Roots
    led: tuple[tuple[bytes, RootsChange], ...] = ()

    @property
    def words(self) -> str:
        """How many updates were followed, for the step's detail."""
        return f"roots followed by {len(self.led)} updates to sha256:{self.roots.digest}; " if self.led else ""


def follow_roots(given: bytes, changes: Sequence[RootsChange], now: datetime) -> Followed:
    """Step 2: the roots that a bundle is judged by.

    Args:
        given: the roots that the deployer holds.
        changes: the updates of the bundle in their order.
        now: the time to judge at.

    Raises:
        PolicyError: the roots cannot be used; the updates are no chain, do not lead on from them, or an update is not
            signed by enough administrators of both versions.
        VerificationError: a signature in an update does not hold.
    """
    held = parse_roots(given)
    contents = [given, *(one.update.roots for one in changes)]
    for number, one in enumerate(changes[1:], 2):
        if _previous(one) != sha256_hex(contents[number - 1]):
            raise PolicyError("the updates of the roots in the bundle do not follow on one another")
    at = _place(held, changes)
    led = []
    for number in range(at, len(changes)):
        before, one = (given if number == at else contents[number]), changes[number]
        held = _accepted(before, one, now)
        led.append((before, one))
    return Followed(held, tuple(led))


def check_roots_logged(
    followed: Followed, changes: Sequence[RootsChange], place: Callable[[LogProof, bytes, Sequence[bytes]], object]
) -> None:
    """Step 6: every update is in the log in its order, and those that were followed counted when they were seen there.

    Raises:
        VerificationError: a proof does not hold, or the witnesses of the roots before did not see it.
        PolicyError: too few of its administrators counted then.
    """
    last = -1
    for one in changes:
        place(one.proof, one.leaf_hash, one.consistency)
        if one.proof.index <= last:
            raise VerificationError("log", "the updates of the roots were logged in another order")
        last = one.proof.index
    for before, one in followed.led:
        old = parse_roots(before)
        if old.quorum is not None and old.dated:
            seen = old.quorum.check(one.proof.checkpoint).at
            if seen is not None:
                accept_update(before, one.update, seen + CLOCK_SKEW)


def _place(held: Roots, changes: Sequence[RootsChange]) -> int:
    """Which update is the first that the deployer's roots do not have yet."""
    for number, one in enumerate(changes, 1):
        if sha256_hex(one.update.roots) == held.digest:
            return number
    if not changes:
        return 0
    if _previous(changes[0]) == held.digest:
        if held.administration is None:
            raise PolicyError("the roots name no administrators, so no update of them is followed; get the new ones")
        return 0
    newest = parse_roots(changes[-1].update.roots, "roots update").administration
    if held.administration is not None and newest is not None and held.administration.version > newest.version:
        return len(changes)  # a bundle of before the roots that are held
    raise PolicyError("the updates of the roots in the bundle do not lead on from the roots that were given")


def _previous(one: RootsChange) -> str | None:
    plan = parse_roots(one.update.roots, "roots update").administration
    return plan.previous.sha256 if plan is not None and plan.previous is not None else None


def _accepted(before: bytes, one: RootsChange, now: datetime) -> Roots:
    """As of when the update says it was issued, and, where no witness dates it, to this day."""
    plan = parse_roots(one.update.roots, "roots update").administration
    if plan is None:
        raise PolicyError("an update to roots without administrators")
    if plan.issued_at > now + CLOCK_SKEW:
        raise InputError("an update of the roots is from the future")
    if not parse_roots(before).dated:
        accept_update(before, one.update, now + CLOCK_SKEW)
    return accept_update(before, one.update, plan.issued_at)
