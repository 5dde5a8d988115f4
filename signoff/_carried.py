# SPDX-License-Identifier: Apache-2.0
"""What the gate asks of votes that were carried over, step by step: signatures, people, policy, subject, time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evidence import InputError, PolicyError, sha256_hex
from signoff.carrying import Carry, check_complete, check_same, check_same_facts, read_carry
from signoff.envelope import verify_envelope
from signoff.requirements import CLOCK_SKEW
from signoff.statement import FACTS_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from confine import Repository
    from evidence import Revision
    from signoff._logged import Vote
    from signoff.bundle import Bundle
    from signoff.keys import PublicKey
    from signoff.policy import Policy
    from signoff.roots import PersonKey, Roots


class ServiceCarry(NamedTuple):
    """A carrying over of which the signature holds, and the service's key that made it."""

    carry: Carry
    key: PublicKey
    entry: PersonKey


def read_signed_carry(bundle: Bundle, roots: Roots, now: datetime) -> ServiceCarry | None:
    """Step 2: by a key of the service that counted; without witnesses to date it, to this day. None if there is none.

    Raises:
        PolicyError: the roots name no key of the service.
        InputError: by a key that did not count, or in another service's name.
    """
    if bundle.carry is None:
        return None
    if not roots.service_keys:
        raise PolicyError("the roots name no key of the service, so nothing can be carried over")
    key = verify_envelope(bundle.carry.envelope, [entry.key for entry in roots.service_keys])
    carry = read_carry(bundle.carry.envelope.payload)
    entry = next(entry for entry in roots.service_keys if entry.key.blob == key.blob)
    moments = [carry.carried_at] if roots.dated else [carry.carried_at, now]
    if not all(entry.valid_at(moment) for moment in moments):
        raise InputError(f"the service's key {key.fingerprint} does not count for what was carried over")
    if carry.predicate.service != roots.service_id:
        raise InputError(f"votes were carried over by the service {carry.predicate.service!r}")
    return ServiceCarry(carry, key, entry)


def check_target(found: ServiceCarry, target: str) -> None:
    """Step 3: to the target that the sign-offs speak of. InputError if not."""
    if found.carry.predicate.targetRef != target:
        raise InputError("votes were carried over to another target than the sign-offs'")


def check_allowed(found: ServiceCarry, policy: Policy) -> None:
    """Step 4: under the policy that was signed, which allows it. PolicyError if not."""
    if found.carry.predicate.policy.sha256 != policy.digest:
        raise PolicyError(f"votes were carried over under another policy than sha256:{policy.digest}")
    if not policy.rules.votes.carry_over:
        raise PolicyError("votes were carried over from another revision, which the policy does not allow")


def manifest_of(bundle: Bundle, vote: Vote, found: ServiceCarry | None) -> Revision:
    """Step 5: the manifest that a sign-off is about, if it counts here.

    Raises:
        InputError: it is about another revision and was not carried over from there; that one differs in more than its
            commits; or the sign-off is an expedited one.
    """
    named = vote.statement.revision
    if named == bundle.reviewed.digest:
        return bundle.reviewed
    said = None if found is None else found.carry.find(sha256_hex(vote.signoff.envelope.payload))
    if bundle.carry is None or found is None or said is None or f"sha256:{said.revision.sha256}" != named:
        raise InputError(f"{vote.person} signed {named}, the bundle's manifest is {bundle.revision.digest}")
    old = next((one for one in bundle.carry.revisions if one.digest == named), None)
    if old is None:
        raise InputError(f"the manifest that {vote.person} signed, {named}, is not in the bundle")
    check_same(old, bundle.revision, found.carry)
    if vote.statement.predicate.expedited is not None:
        raise InputError(f"the expedited sign-off by {vote.person} was carried over, which none can be")
    return old


def check_carried(bundle: Bundle, votes: Sequence[Vote], found: ServiceCarry | None) -> set[str]:
    """Step 5: the whole of what was carried over; returns the digests of the facts that it binds.

    Raises:
        InputError: it is for another revision, something of it is left out or in vain, or the new review came to
            something else than those that were signed.
    """
    if found is None or bundle.carry is None:
        return set()
    carry = found.carry
    if carry.revision != bundle.revision.digest:
        raise InputError("votes were carried over to another revision than the bundle's")
    old = [vote for vote in votes if vote.statement.revision != carry.revision]
    given = {sha256_hex(vote.signoff.envelope.payload): vote.person for vote in old}
    check_complete(carry, given, [vote.person for vote in votes if vote not in old])
    if {one.digest for one in bundle.carry.revisions} != {vote.statement.revision for vote in old}:
        raise InputError("the bundle holds the manifest of a revision that no carried vote was given to")
    facts = bundle.facts.get(carry.facts)
    if facts is None or f"sha256:{facts.revision.sha256}" != carry.revision:
        raise InputError("the facts of the revision that votes were carried over to are not in the bundle")
    listed = {entry.name: entry.digest.sha256 for entry in carry.predicate.evidence}
    if any(listed.get(piece.name) != piece.digest.sha256 for piece in facts.evidence):
        raise InputError("the carry-over does not list the evidence that its facts are about")
    for vote in old:
        check_same_facts(bundle.facts[vote.statement.evidence_digest(FACTS_NAME) or ""], facts)
    return {carry.facts}


def check_base(found: ServiceCarry | None, repository: Repository, commit: str) -> None:
    """Step 5: base's content is what it was, by SHA-256, where a repository can tell. InputError if not."""
    if found is not None:
        said = found.carry.predicate.content.baseContent.sha256
        if repository.snapshot(commit).content != said:
            raise InputError("base in the repository has another content than the one votes were carried over with")


def check_times(found: ServiceCarry | None, votes: Sequence[Vote], now: datetime) -> None:
    """Step 8: not from the future, and nothing was carried over that had run out. InputError if not."""
    if found is None:
        return
    at = found.carry.carried_at
    if at > now + CLOCK_SKEW:
        raise InputError(f"votes were carried over in the future, at {at:%Y-%m-%d %H:%M} UTC")
    for vote in votes:
        if vote.statement.revision != found.carry.revision and vote.statement.expires_at <= at:
            raise InputError(f"the sign-off by {vote.person} had expired when it was carried over")
