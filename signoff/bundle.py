# SPDX-License-Identifier: Apache-2.0
"""The bundle: one file with everything that a gate needs to judge a revision offline, beside policy and roots.

It holds the revision manifest, the sign-offs (envelope and log proof with its checkpoint), the facts documents that
the statements bind, what else was logged (evidence, commitments to panels, keys) and the revocation list, whose
checkpoint is the newest: every other proof comes with the consistency proof that leads to it. Where votes on an earlier
revision were carried over, it holds what the service said of that, and those revisions' manifests. Canonical JSON, so
there is one file for one content.

In the bundle of a build the sign-offs are of the revision that its recipe hangs on, which is in it as ``anchor``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import InputError, Json, Revision, canonical, sha256_hex
from signoff._strict import StrictModel, decode_base64, encode_base64, read_document
from signoff.builds import build_leaf
from signoff.carrying import MOST_CARRIED, carry_leaf
from signoff.envelope import Envelope
from signoff.facts import FactsDocument, read_facts
from signoff.leaves import entry_bytes, leaf
from signoff.manifests import ManifestDocument, revision_of
from signoff.measures import Measures, read_measures
from signoff.merkle import HASH_BYTES, Hash, leaf_hash
from signoff.policy import POLICY_LIMIT
from signoff.proofs import LogProof
from signoff.recipe import Recipe, read_recipe
from signoff.revocations import REVOCATIONS_LIMIT, revocations_leaf
from signoff.rootchain import RootsUpdate, roots_leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BUNDLE_SCHEMA = "countersign/bundle/v1"
BUNDLE_LIMIT = 32 << 20  # bytes
SIGNOFF_TYPE = "signoff"  # of the log's leaves

_Hashes = Annotated[tuple[Annotated[str, Field(min_length=44, max_length=44)], ...], Field(max_length=64)]


class SignoffEntry(StrictModel):
    """A sign-off: its DSSE envelope, its c2sp.org/tlog-proof, and the consistency proof to the newest checkpoint."""

    envelope: dict[str, Any]
    proof: str
    consistency: _Hashes


class LeafEntry(StrictModel):
    """A leaf of the log that holds a digest."""

    type: Literal["evidence", "key", "panel"]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class LoggedEntry(StrictModel):
    """What else was logged: its leaf, its proofs, and the salt if it is a commitment to a panel."""

    leaf: LeafEntry
    proof: str
    consistency: _Hashes
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


class RevocationsEntry(StrictModel):
    """The revocation list: its DSSE envelope and its proof, whose checkpoint is the newest in the bundle."""

    envelope: dict[str, Any]
    proof: str


class CarryEntry(StrictModel):
    """What was carried over: the service's envelope, its proofs, and the manifests of the revisions it came from."""

    envelope: dict[str, Any]
    proof: str
    consistency: _Hashes
    revisions: Annotated[tuple[ManifestDocument, ...], Field(min_length=1, max_length=MOST_CARRIED)]


class BuildEntry(StrictModel):
    """A build: its statement's envelope with its proofs, its recipe, the recipe's revision, and what was measured."""

    envelope: dict[str, Any]
    proof: str
    consistency: _Hashes
    recipe: dict[str, Any]
    anchor: ManifestDocument
    measures: dict[str, Any]


class RootsEntry(StrictModel):
    """An update of the roots as administrators signed it, and its proofs."""

    update: dict[str, Any]
    proof: str
    consistency: _Hashes


class BundleDocument(StrictModel):
    """The bundle as written, ``countersign/bundle/v1``. ``build`` is there for a build under a recipe alone."""

    schema_name: Literal["countersign/bundle/v1"] = Field(alias="schema")
    revision: ManifestDocument
    signoffs: Annotated[tuple[SignoffEntry, ...], Field(min_length=1, max_length=100)]
    facts: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=100)]
    logged: Annotated[tuple[LoggedEntry, ...], Field(max_length=1000)]
    revocations: RevocationsEntry
    carry: CarryEntry | None = None  # left out, never null, where nothing was carried over
    build: BuildEntry | None = None
    roots: Annotated[tuple[RootsEntry, ...], Field(min_length=1, max_length=1000)] | None = None  # left out, never null
    policy: Annotated[str, Field(max_length=POLICY_LIMIT)] | None = None  # the file's text; left out, never null


@dataclass(frozen=True, slots=True)
class Signoff:
    """An envelope, the proof that it is logged, and how the proof's checkpoint leads to the bundle's newest."""

    envelope: Envelope
    proof: LogProof
    consistency: tuple[Hash, ...] = ()

    @property
    def leaf_hash(self) -> Hash:
        """The hash of this sign-off's log entry."""
        return leaf_hash(entry_bytes(signoff_leaf(self.envelope)))


@dataclass(frozen=True, slots=True)
class Logged:
    """Something else in the log. ``salt`` opens a commitment to a panel."""

    kind: str
    digest: str  # sha256:<hex>
    proof: LogProof
    consistency: tuple[Hash, ...] = ()
    salt: bytes | None = None

    @property
    def leaf_hash(self) -> Hash:
        """The hash of its log entry."""
        return leaf_hash(entry_bytes(leaf(self.kind, digest=self.digest)))


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The revocation list's envelope and the proof that it is logged."""

    envelope: Envelope
    proof: LogProof

    @property
    def leaf_hash(self) -> Hash:
        """The hash of its log entry."""
        return leaf_hash(entry_bytes(revocations_leaf(self.envelope)))


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """The envelope by which votes were carried over, its proofs, and the revisions that they were given to."""

    envelope: Envelope
    proof: LogProof
    revisions: tuple[Revision, ...]
    consistency: tuple[Hash, ...] = ()

    @property
    def leaf_hash(self) -> Hash:
        """The hash of its log entry."""
        return leaf_hash(entry_bytes(carry_leaf(self.envelope)))


@dataclass(frozen=True, slots=True)
class Build:
    """A build under a recipe. ``anchor`` is the revision that the recipe hangs on, which people signed."""

    envelope: Envelope
    proof: LogProof
    recipe: Recipe
    anchor: Revision
    measures: Measures
    consistency: tuple[Hash, ...] = ()

    @property
    def leaf_hash(self) -> Hash:
        """The hash of its log entry."""
        return leaf_hash(entry_bytes(build_leaf(self.envelope)))


@dataclass(frozen=True, slots=True)
class RootsChange:
    """An update of the roots with its proofs, for who holds roots of before it."""

    update: RootsUpdate
    proof: LogProof
    consistency: tuple[Hash, ...] = ()

    @property
    def leaf_hash(self) -> Hash:
        """The hash of its log entry."""
        return leaf_hash(entry_bytes(roots_leaf(self.update)))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as read. ``facts`` are by the hexadecimal SHA-256 of their canonical JSON. Nothing is verified yet."""

    revision: Revision
    signoffs: tuple[Signoff, ...]
    facts: Mapping[str, FactsDocument]
    logged: tuple[Logged, ...]
    revocations: RevocationList
    carry: CarriedOver | None = None
    build: Build | None = None
    roots: tuple[RootsChange, ...] = ()
    policy: bytes | None = None  # the policy's file as it was signed; a bundle of before it was carried has none

    @property
    def reviewed(self) -> Revision:
        """The revision that people signed: the one to go out, or of a build the one that its recipe hangs on."""
        return self.revision if self.build is None else self.build.anchor


def signoff_leaf(envelope: Envelope) -> dict[str, Json]:
    """The leaf of a sign-off, to be appended to the log."""
    return leaf(SIGNOFF_TYPE, envelope=envelope.to_json())


def build_bundle(  # noqa: PLR0913, PLR0917 - one argument a part of the bundle
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
    """The bundle's bytes.

    Args:
        revision: what was signed.
        signoffs: the sign-offs that count now, one a person.
        facts: every facts document that one of their statements binds.
        logged: all evidence that the statements name, and their signers' keys, as logged.
        revocations: the newest revocation list.
        carry: by what votes on earlier revisions count for this one, if some do.
        build: what makes ``revision`` a build under a recipe; the sign-offs are then of its anchor.
        roots: every update by which the roots changed, in order, for who holds earlier ones.
        policy: the policy's file as the sign-offs name it by digest, for who has it no more.

    Raises:
        InputError: the bundle would not be accepted by `read_bundle`.
    """
    by_digest = {sha256_hex(canonical(dict(document))): dict(document) for document in facts}
    document: dict[str, Any] = {
        "schema": BUNDLE_SCHEMA,
        "revision": revision.manifest(),
        "signoffs": [{"envelope": one.envelope.to_json(), **_proofs(one)} for one in signoffs],
        "facts": [by_digest[key] for key in sorted(by_digest)],
        "logged": [
            {
                "leaf": leaf(one.kind, digest=one.digest),
                **_proofs(one),
                "salt": None if one.salt is None else one.salt.hex(),
            }
            for one in sorted(logged, key=lambda one: (one.kind, one.digest))
        ],
        "revocations": {"envelope": revocations.envelope.to_json(), "proof": revocations.proof.text},
    }
    if build is not None:
        document["build"] = _build_document(build)
    if carry is not None:
        document["carry"] = {
            "envelope": carry.envelope.to_json(),
            **_proofs(carry),
            "revisions": [one.manifest() for one in sorted(carry.revisions, key=lambda one: one.digest)],
        }
    changes = [{"update": one.update.document, **_proofs(one)} for one in roots]
    if changes:
        document["roots"] = changes
    if policy is not None:
        document["policy"] = policy.decode("utf-8")
    data = canonical(document)
    read_bundle(data)
    return data


def read_bundle(data: bytes, what: str = "bundle") -> Bundle:
    """Read a bundle, all but the statements and the revocation list: those only after their signatures.

    Raises:
        InputError: not a bundle, not canonical, over 32 MiB, or something stands in it twice.
    """
    document = read_document(BundleDocument, data, what, limit=BUNDLE_LIMIT, only_canonical=True)
    facts = {sha256_hex(canonical(entry)): read_facts(entry) for entry in document.facts}
    if list(facts) != sorted(facts) or len(facts) != len(document.facts):
        raise InputError(f"{what}: its facts are not in the order of their digests, or one is there twice")
    if "build" in document.model_fields_set and (document.build is None or document.carry is not None):
        raise InputError(f"{what}: a build that is none, or one with votes that were carried over")
    if "roots" in document.model_fields_set and document.roots is None:
        raise InputError(f"{what}: roots is null; it is left out where no update comes with it")
    if "policy" in document.model_fields_set and document.policy is None:
        raise InputError(f"{what}: policy is null; it is left out where it does not come with it")
    order = [(entry.leaf.type, entry.leaf.digest) for entry in document.logged]
    if order != sorted(set(order)):
        raise InputError(f"{what}: what else was logged is out of order, or there twice")
    return Bundle(
        revision_of(document.revision, what),
        tuple(
            Signoff(Envelope.from_json(one.envelope), LogProof.parse(one.proof), _hashes(one.consistency))
            for one in document.signoffs
        ),
        facts,
        tuple(_logged(one) for one in document.logged),
        RevocationList(
            Envelope.from_json(document.revocations.envelope, limit=REVOCATIONS_LIMIT),
            LogProof.parse(document.revocations.proof),
        ),
        _carry(document, what),
        None if document.build is None else _build(document.build, what),
        tuple(_roots(one, what) for one in document.roots or ()),
        None if document.policy is None else document.policy.encode("utf-8"),
    )


def _proofs(one: Signoff | Logged | CarriedOver | Build | RootsChange) -> dict[str, Json]:
    return {"proof": one.proof.text, "consistency": [encode_base64(sibling) for sibling in one.consistency]}


def _build_document(build: Build) -> dict[str, Json]:
    return {
        "envelope": build.envelope.to_json(),
        **_proofs(build),
        "recipe": build.recipe.document,
        "anchor": build.anchor.manifest(),
        "measures": build.measures.document,
    }


def _build(entry: BuildEntry, what: str) -> Build:
    return Build(
        Envelope.from_json(entry.envelope),
        LogProof.parse(entry.proof),
        read_recipe(entry.recipe),
        revision_of(entry.anchor, what),
        read_measures(entry.measures),
        _hashes(entry.consistency),
    )


def _roots(entry: RootsEntry, what: str) -> RootsChange:
    update = RootsUpdate.read(canonical(entry.update), f"{what}: roots update")
    return RootsChange(update, LogProof.parse(entry.proof), _hashes(entry.consistency))


def _carry(document: BundleDocument, what: str) -> CarriedOver | None:
    entry = document.carry
    if entry is None:
        if "carry" in document.model_fields_set:
            raise InputError(f"{what}: carry is null; it is left out where nothing was carried over")
        return None
    revisions = tuple(revision_of(one, what) for one in entry.revisions)
    digests = [one.digest for one in revisions]
    if digests != sorted(set(digests)):
        raise InputError(f"{what}: the revisions that votes come from are not in the order of their digests")
    proof = LogProof.parse(entry.proof)
    return CarriedOver(Envelope.from_json(entry.envelope), proof, revisions, _hashes(entry.consistency))


def _logged(entry: LoggedEntry) -> Logged:
    if (entry.salt is not None) != (entry.leaf.type == "panel"):
        raise InputError("bundle: a salt goes with a commitment to a panel, and with nothing else")
    salt = None if entry.salt is None else bytes.fromhex(entry.salt)
    proof = LogProof.parse(entry.proof)
    return Logged(entry.leaf.type, entry.leaf.digest, proof, _hashes(entry.consistency), salt)


def _hashes(written: Sequence[str]) -> tuple[Hash, ...]:
    hashes = tuple(decode_base64(one, "consistency proof") for one in written)
    if any(len(one) != HASH_BYTES for one in hashes):
        raise InputError("consistency proof: a hash that is not 32 bytes")
    return hashes
