# SPDX-License-Identifier: Apache-2.0
"""Steps 6 and 9 of the gate: what the log says of a bundle, and what the revocation list says of it.

"Logged at" is the time at which the quorum of witnesses had cosigned the checkpoint of an entry's own proof. Where the
roots ask for no witness nobody but the signers has said a time, and only the log's order is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from evidence import InputError, VerificationError, sha256_hex
from signoff._roots_followed import check_roots_logged
from signoff.commitments import EVIDENCE_LEAF, PANEL_EVIDENCE, PANEL_LEAF, panel_commitment
from signoff.leaves import KEY_LEAF, key_sha256
from signoff.merkle import verify_consistency
from signoff.requirements import CLOCK_SKEW
from signoff.revocations import RevokedKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from signoff._build import BuildVote
    from signoff._carried import ServiceCarry
    from signoff._roots_followed import Followed
    from signoff.bundle import Build, Bundle, Logged, Signoff
    from signoff.keys import PublicKey
    from signoff.notes import Checkpoint
    from signoff.proofs import LogProof
    from signoff.revocations import Revocations, Revoked
    from signoff.roots import PersonKey, Roots
    from signoff.statement import EvidenceReference, Statement


class Vote(NamedTuple):
    """A sign-off of which the signature holds."""

    person: str
    key: PublicKey
    entry: PersonKey
    statement: Statement
    signoff: Signoff


class Place(NamedTuple):
    """Which entry of the log it is, and when it was logged at the latest; None where nobody witnessed it."""

    number: int
    at: datetime | None


class LogFindings(NamedTuple):
    """What the log says: where each sign-off stands, the newest checkpoint, and when that was witnessed."""

    places: tuple[Place, ...]
    newest: Checkpoint
    newest_at: datetime | None
    carried: Place | None = None
    build: Place | None = None


_Entries = Mapping[tuple[str, str], "tuple[Logged, Place]"]


def check_logged(
    bundle: Bundle,
    roots: Roots,
    votes: Sequence[Vote],
    revocations: Revocations,
    carry: ServiceCarry | None = None,
    build: BuildVote | None = None,
    followed: Followed | None = None,
) -> LogFindings:
    """Check every proof in a bundle, and that each sign-off follows its evidence and its key in the log.

    What was carried over follows the sign-offs that it names and the evidence of the new review. A build follows the
    approvals of its recipe too, and the revocation list follows the build: it was made when a stop of the lane before
    this build was known.

    Raises:
        VerificationError: a proof, checkpoint, consistency proof or quorum of witnesses does not hold.
        InputError: a key did not count when its sign-off was logged; evidence, key or carried sign-off that was not
            logged before.
    """
    log = _Log(bundle, roots)
    if followed is not None:
        check_roots_logged(followed, bundle.roots, log.lead)
    if log.newest_at is not None and revocations.issued_at > log.newest_at + CLOCK_SKEW:
        raise InputError("the revocation list is dated after the checkpoint that it is logged under")
    logged = {
        (entry.kind, entry.digest): (entry, log.place(entry.proof, entry.leaf_hash, entry.consistency))
        for entry in bundle.logged
    }
    used: set[tuple[str, str]] = set()
    places = []
    for vote in votes:
        place = log.place(vote.signoff.proof, vote.signoff.leaf_hash, vote.signoff.consistency)
        _check_times(vote.person, vote.key, vote.entry, vote.statement.signed_at, place)
        pieces = vote.statement.predicate.evidence
        used |= _check_needed(vote.person, pieces, vote.key, vote.statement.signed_at, place, logged)
        places.append(place)
    carried = None
    if bundle.carry is not None and carry is not None:
        carried = log.place(bundle.carry.proof, bundle.carry.leaf_hash, bundle.carry.consistency)
        used |= _check_carried(carry, carried, votes, places, logged)
    built = None if build is None else _place_build(bundle, log, build, votes, places)
    if build is not None and built is not None:
        said = build.statement
        used |= _check_needed(build.name, said.predicate.evidence, build.key, said.signed_at, built, logged)
    if used != set(logged):
        raise InputError("there is something logged in the bundle that nobody signed")
    return LogFindings(tuple(places), log.newest, log.newest_at, carried, built)


def check_revoked(
    bundle: Bundle,
    votes: Sequence[Vote],
    found: LogFindings,
    revocations: Revocations,
    carry: ServiceCarry | None,
    build: BuildVote | None = None,
) -> None:
    """Check that nothing a sign-off rests on is revoked, nor the revision that it was given to.

    Nor had a lane stopped before its build was logged.

    Raises:
        InputError: the first thing that is, and why.
    """
    for named in sorted({bundle.revision.digest} | {vote.statement.revision for vote in votes}):
        which = "the revision" if named == bundle.revision.digest else f"the revision {named} that votes come from"
        _refuse(revocations.find(RevokedKind.REVISION, named.removeprefix("sha256:")), which)
    if bundle.carry is not None and carry is not None and found.carried is not None:
        payload = sha256_hex(bundle.carry.envelope.payload)
        _refuse(revocations.find(RevokedKind.STATEMENT, payload), "the carrying over of votes")
        _refuse_key(revocations, carry.key, found.carried, "the service")
    if build is not None and bundle.build is not None and found.build is not None:
        _check_build_revoked(bundle.build, build, found.build, revocations)
    for vote, place in zip(votes, found.places, strict=True):
        payload = sha256_hex(vote.signoff.envelope.payload)
        _refuse(revocations.find(RevokedKind.STATEMENT, payload), f"the sign-off by {vote.person}")
        _refuse_key(revocations, vote.key, place, vote.person)


def _check_build_revoked(held: Build, build: BuildVote, place: Place, revocations: Revocations) -> None:
    """Of a stopped lane, the builds that were logged before it stopped still count; of a revoked recipe none does."""
    _refuse(revocations.find(RevokedKind.STATEMENT, sha256_hex(held.envelope.payload)), "the build")
    _refuse_key(revocations, build.key, place, build.name)
    recipe = revocations.find(RevokedKind.RECIPE, held.recipe.digest.removeprefix("sha256:"))
    if recipe is None:
        return
    if recipe.before is None:
        _refuse(recipe, "the recipe")
    elif place.number >= recipe.before:
        raise InputError(f"{build.name} had stopped before this build, at log entry {recipe.before}: {recipe.reason}")


class _Log:
    """The one log that everything in a bundle is in, under its newest checkpoint, which is the revocation list's."""

    def __init__(self, bundle: Bundle, roots: Roots) -> None:
        self._quorum = roots.quorum
        proof = bundle.revocations.proof
        key = roots.log(proof.origin)
        if key is None:
            raise VerificationError("log", f"the log {proof.origin[:100]!r} is not in the roots file")
        self._key = key
        self.newest = proof.verify(bundle.revocations.leaf_hash, key)
        self.newest_at = self._witnessed(proof)

    def place(self, proof: LogProof, leaf: bytes, consistency: Sequence[bytes]) -> Place:
        self.lead(proof, leaf, consistency)
        return Place(proof.index, self._witnessed(proof))

    def lead(self, proof: LogProof, leaf: bytes, consistency: Sequence[bytes]) -> None:
        """The entry is in the log, and its checkpoint leads to the newest; whoever witnessed it."""
        checkpoint = proof.verify(leaf, self._key)
        newest = self.newest
        verify_consistency(checkpoint.size, newest.size, checkpoint.root, newest.root, consistency)

    def _witnessed(self, proof: LogProof) -> datetime | None:
        return None if self._quorum is None else self._quorum.check(proof.checkpoint).at


def _place_build(
    bundle: Bundle, log: _Log, build: BuildVote, votes: Sequence[Vote], places: Sequence[Place]
) -> Place | None:
    if bundle.build is None:
        return None
    place = log.place(bundle.build.proof, bundle.build.leaf_hash, bundle.build.consistency)
    _check_times(build.name, build.key, build.entry, build.statement.signed_at, place)
    for vote, before in zip(votes, places, strict=True):
        if not vote.statement.predicate.decision.approves:
            continue
        if before.number >= place.number or vote.statement.signed_at > build.statement.signed_at + CLOCK_SKEW:
            raise InputError(f"the recipe that {vote.person} signed was not logged before the build")
    if bundle.revocations.proof.index <= place.number:
        raise InputError("the revocation list was logged before the build, so a stop of its lane might not be in it")
    return place


def _check_times(whose: str, key: PublicKey, entry: PersonKey, signed_at: datetime, place: Place) -> None:
    if place.at is None:
        return
    if signed_at > place.at + CLOCK_SKEW:
        raise InputError(f"{whose} says to have signed after the log had the sign-off")
    if not entry.valid_at(place.at):
        raise InputError(f"the key {key.fingerprint} of {whose} did not count when it was logged")


def _check_needed(
    whose: str,
    pieces: Sequence[EvidenceReference],
    key: PublicKey,
    signed_at: datetime,
    place: Place,
    logged: dict[tuple[str, str], tuple[Logged, Place]],
) -> set[tuple[str, str]]:
    """What a statement rests on was logged before it, and seen before it was signed; returns what that is."""
    used: set[tuple[str, str]] = set()
    for name, needed in _needed(pieces, key, logged, place.number):
        if needed is None or logged[needed][1].number >= place.number:
            raise InputError(f"{name} that {whose} signed was not logged before the sign-off")
        at = logged[needed][1].at
        if at is not None and at > signed_at + CLOCK_SKEW:
            raise InputError(f"{whose} signed before {name} was logged, at {at:%Y-%m-%d %H:%M:%S} UTC")
        used.add(needed)
    return used


def _check_carried(
    carry: ServiceCarry, place: Place, votes: Sequence[Vote], places: Sequence[Place], logged: _Entries
) -> set[tuple[str, str]]:
    """What was carried over, held against the log; returns what else of the log it rests on."""
    at = carry.carry.carried_at
    if place.at is not None and (at > place.at + CLOCK_SKEW or not carry.entry.valid_at(place.at)):
        raise InputError("votes were carried over after the log had it, or by a key that did not count then")
    for vote, voted in zip(votes, places, strict=True):
        if vote.statement.revision != carry.carry.revision and voted.number >= place.number:
            raise InputError(f"the sign-off by {vote.person} was logged after it was carried over")
    used = set()
    for name, key in _evidence(carry.carry.predicate.evidence, logged, place.number):
        if key is None or logged[key][1].number >= place.number:
            raise InputError(f"{name} of the new revision was not logged before votes were carried over to it")
        used.add(key)
    return used


def _needed(
    pieces: Sequence[EvidenceReference], signer: PublicKey, logged: _Entries, before: int
) -> list[tuple[str, tuple[str, str] | None]]:
    """What must have been logged before a sign-off: each piece of evidence, and the key; None for what is not there."""
    key = (KEY_LEAF, f"sha256:{key_sha256(signer)}")
    return [*_evidence(pieces, logged, before), ("the key", key if key in logged else None)]


def _evidence(
    pieces: Sequence[EvidenceReference], logged: _Entries, before: int
) -> list[tuple[str, tuple[str, str] | None]]:
    needed: list[tuple[str, tuple[str, str] | None]] = []
    for piece in pieces:
        digest = f"sha256:{piece.digest.sha256}"
        found: tuple[str, str] | None = (EVIDENCE_LEAF, digest)
        if piece.name == PANEL_EVIDENCE:
            found = _commitment(digest, logged, before)
        needed.append((f"the {piece.name}", found if found in logged else None))
    return needed


def _commitment(panel: str, logged: _Entries, before: int) -> tuple[str, str] | None:
    """The commitment that the panel opens; of several, as for a recipe and its build, the last one before an entry."""
    found = [
        (place.number, key)
        for key, (entry, place) in logged.items()
        if entry.kind == PANEL_LEAF
        and entry.salt is not None
        and place.number < before
        and panel_commitment(panel, entry.salt) == entry.digest
    ]
    return max(found)[1] if found else None


def _refuse_key(revocations: Revocations, key: PublicKey, place: Place, whose: str) -> None:
    """Of a revoked key, what witnesses saw in the log before still counts."""
    lost = revocations.find(RevokedKind.KEY, key_sha256(key))
    if lost is not None and (place.at is None or place.at >= lost.since):
        _refuse(lost, f"the key {key.fingerprint} of {whose}")


def _refuse(revoked: Revoked | None, what: str) -> None:
    if revoked is not None:
        raise InputError(f"{what} is revoked since {revoked.since:%Y-%m-%d %H:%M} UTC: {revoked.reason}")
