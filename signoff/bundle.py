# SPDX-License-Identifier: Apache-2.0
"""The bundle: one file with everything that a gate needs to judge a revision offline, beside policy and roots.

It holds the revision manifest, the sign-offs (envelope and log proof with its checkpoint) and the facts documents that
the statements bind. Canonical JSON, so there is one file for one content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Artifact, InputError, Json, Revision, Snapshot, canonical, sha256_hex
from signoff._strict import Count, GitId, Line, Sha256, Sha256Hex, StrictModel, read_document
from signoff.envelope import Envelope
from signoff.facts import FactsDocument, read_facts
from signoff.leaves import entry_bytes, leaf
from signoff.merkle import Hash, leaf_hash
from signoff.proofs import LogProof

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BUNDLE_SCHEMA = "countersign/bundle/v1"
BUNDLE_LIMIT = 32 << 20  # bytes
SIGNOFF_TYPE = "signoff"  # of the log's leaves


class BaseEntry(StrictModel):
    """The base of a revision manifest."""

    commit: GitId
    tree: GitId


class HeadEntry(StrictModel):
    """The head of a revision manifest."""

    commit: GitId
    tree: GitId
    content: Sha256


class ArtifactEntry(StrictModel):
    """An artifact of a revision manifest."""

    name: Line
    size: Count
    sha256: Sha256Hex


class ManifestDocument(StrictModel):
    """The revision manifest, ``countersign/revision/v1``."""

    schema_name: Literal["countersign/revision/v1"] = Field(alias="schema")
    repository: Line
    base: BaseEntry
    head: HeadEntry
    artifacts: tuple[ArtifactEntry, ...]


class SignoffEntry(StrictModel):
    """A sign-off: its DSSE envelope, and its c2sp.org/tlog-proof with the checkpoint."""

    envelope: dict[str, Any]
    proof: str


class BundleDocument(StrictModel):
    """The bundle as written, ``countersign/bundle/v1``."""

    schema_name: Literal["countersign/bundle/v1"] = Field(alias="schema")
    revision: ManifestDocument
    signoffs: Annotated[tuple[SignoffEntry, ...], Field(min_length=1, max_length=100)]
    facts: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class Signoff:
    """An envelope and the proof that it is logged."""

    envelope: Envelope
    proof: LogProof

    @property
    def leaf_hash(self) -> Hash:
        """The hash of this sign-off's log entry."""
        return leaf_hash(entry_bytes(signoff_leaf(self.envelope)))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as read. ``facts`` are by the hexadecimal SHA-256 of their canonical JSON. Nothing is verified yet."""

    revision: Revision
    signoffs: tuple[Signoff, ...]
    facts: Mapping[str, FactsDocument]


def signoff_leaf(envelope: Envelope) -> dict[str, Json]:
    """The leaf of a sign-off, to be appended to the log."""
    return leaf(SIGNOFF_TYPE, envelope=envelope.to_json())


def build_bundle(revision: Revision, signoffs: Iterable[Signoff], facts: Iterable[Mapping[str, Json]]) -> bytes:
    """The bundle's bytes.

    Args:
        revision: what was signed.
        signoffs: the sign-offs that count now, one a person.
        facts: every facts document that one of their statements binds.

    Raises:
        InputError: the bundle would not be accepted by `read_bundle`.
    """
    by_digest = {sha256_hex(canonical(dict(document))): dict(document) for document in facts}
    data = canonical(
        {
            "schema": BUNDLE_SCHEMA,
            "revision": revision.manifest(),
            "signoffs": [{"envelope": one.envelope.to_json(), "proof": one.proof.text} for one in signoffs],
            "facts": [by_digest[key] for key in sorted(by_digest)],
        }
    )
    read_bundle(data)
    return data


def read_bundle(data: bytes, what: str = "bundle") -> Bundle:
    """Read a bundle, all but the statements: those only after their signatures.

    Raises:
        InputError: not a bundle, not canonical, over 32 MiB, or something stands in it twice.
    """
    document = read_document(BundleDocument, data, what, limit=BUNDLE_LIMIT, only_canonical=True)
    facts = {sha256_hex(canonical(entry)): read_facts(entry) for entry in document.facts}
    if list(facts) != sorted(facts) or len(facts) != len(document.facts):
        raise InputError(f"{what}: its facts are not in the order of their digests, or one is there twice")
    signoffs = tuple(Signoff(Envelope.from_json(one.envelope), LogProof.parse(one.proof)) for one in document.signoffs)
    return Bundle(_revision(document.revision, what), signoffs, facts)


def _revision(manifest: ManifestDocument, what: str) -> Revision:
    names = [artifact.name for artifact in manifest.artifacts]
    if names != sorted(set(names)):
        raise InputError(f"{what}: its artifacts are not in the order of their names, or one is there twice")
    return Revision(
        repository=manifest.repository,
        base=Snapshot(manifest.base.commit, manifest.base.tree, ""),
        head=Snapshot(manifest.head.commit, manifest.head.tree, manifest.head.content.sha256),
        artifacts=tuple(Artifact(artifact.name, artifact.size, artifact.sha256) for artifact in manifest.artifacts),
    )
