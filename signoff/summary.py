# SPDX-License-Identifier: Apache-2.0
"""What a gate decided, as a SLSA Verification Summary Attestation (VSA) v1, signed by the gate's own key.

It names the policy, the roots and the bundle by the digests of the files that the deployer supplied, so that the
reviewer can check afterwards that they were the ones agreed on. Fields that SLSA does not have begin with
``countersign_``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import VERSION, Digest, InputError, Revision, canonical, digest
from signoff._strict import Count, Line, Sha256, StrictModel, Text, Time, format_time, parse_time, read_document
from signoff.envelope import Envelope, verify_envelope
from signoff.leaves import leaf
from signoff.statement import STATEMENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from evidence import Json
    from signoff.gate import GateResult
    from signoff.roots import Gate, Roots

SUMMARY_TYPE = "https://slsa.dev/verification_summary/v1"
SUMMARY_LEVEL = "COUNTERSIGN_REVIEWED"
EMERGENCY_LEVEL = "COUNTERSIGN_BREAK_GLASS"
GATE_LEAF = "gate"  # of the log's leaves
_LIMIT = 45_000
_DETAIL = 1000


class SummarySubject(StrictModel):
    """What the decision is about: the revision manifest, the head commit, or an artifact."""

    name: Line
    digest: Annotated[dict[Literal["sha256", "gitCommit"], str], Field(min_length=1, max_length=1)]


class Verifier(StrictModel):
    """The gate and its version."""

    id: Line
    version: dict[Literal["countersign"], Line]


class Resource(StrictModel):
    """A file that the deployer supplied, by its digest."""

    uri: Line
    digest: Sha256


class StepEntry(StrictModel):
    """A step of the gate, as in its result."""

    number: Count
    name: Line
    ok: bool | None
    detail: Text


class EmergencyPerson(StrictModel):
    """Somebody who broke the glass."""

    id: Line
    organization: Line


class EmergencyEntry(StrictModel):
    """What came of a break-glass file. It demands a review by ``review_by``."""

    admits: bool
    detail: Text
    file: Sha256
    revision: str | None
    people: tuple[EmergencyPerson, ...]
    reason: Text
    review_by: Time | None


class SummaryPredicate(StrictModel):
    """The decision."""

    verifier: Verifier
    timeVerified: Time  # noqa: N815 - SLSA's names
    resourceUri: Line  # noqa: N815
    policy: Resource
    inputAttestations: tuple[Resource, ...]  # noqa: N815
    verificationResult: Literal["PASSED", "FAILED"]  # noqa: N815
    verifiedLevels: tuple[Line, ...]  # noqa: N815
    slsaVersion: Line  # noqa: N815
    countersign_roots: Resource
    countersign_rollback: bool
    countersign_break_glass: EmergencyEntry | None
    countersign_steps: tuple[StepEntry, ...]
    countersign_roots_in_force: Resource | None = None  # where the bundle led on to other roots than were given


class SummaryDocument(StrictModel):
    """The statement as written."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[SummarySubject, ...], Field(min_length=1)]
    predicateType: Literal["https://slsa.dev/verification_summary/v1"]  # noqa: N815
    predicate: SummaryPredicate


@dataclass(frozen=True, slots=True)
class Summary:
    """A decision as read: which gate, about what, when, and by which files."""

    gate: str
    at: datetime
    passed: bool
    revision: Digest | None
    policy: Digest
    roots: Digest
    rollback: bool
    break_glass: EmergencyEntry | None
    document: SummaryDocument

    @property
    def roots_in_force(self) -> Digest:
        """The roots that the decision was made by: those that were given, or that the bundle led on to."""
        followed = self.document.predicate.countersign_roots_in_force
        return self.roots if followed is None else f"sha256:{followed.digest.sha256}"


def build_summary(result: GateResult, *, gate_id: str, now: datetime) -> dict[str, Any]:
    """The statement of a decision; `canonical` of it is what the gate signs.

    Args:
        result: what the gate found. Where no file could be read so far as to say what it is about, the files are.
        gate_id: the gate's id, as in the roots file.
        now: when.

    Raises:
        InputError: ``gate_id`` is no line of text; the result was not made with a policy.
    """
    if result.policy_digest is None:
        raise InputError("a summary is of a gate's decision, which takes a policy")
    emergency, revision = result.break_glass, result.subject
    levels = [SUMMARY_LEVEL] if result.reviewed else [EMERGENCY_LEVEL] if result.admitted else ["FAILED"]
    document: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(revision, result),
        "predicateType": SUMMARY_TYPE,
        "predicate": {
            "verifier": {"id": gate_id, "version": {"countersign": VERSION}},
            "timeVerified": format_time(now),
            "resourceUri": revision.repository if revision else "unknown",
            "policy": _resource("policy", result.policy_digest),
            "inputAttestations": [_resource(name, value) for name, value in result.inputs],
            "verificationResult": "PASSED" if result.admitted else "FAILED",
            "verifiedLevels": levels,
            "slsaVersion": "1.1",
            "countersign_roots": _resource("roots", result.roots_digest),
            "countersign_rollback": result.rollback,
            "countersign_break_glass": None if emergency is None else _shortened(emergency.to_json()),
            "countersign_steps": [_shortened(step._asdict()) for step in result.steps],
        },
    }
    if result.roots_in_force not in {None, result.roots_digest}:
        document["predicate"]["countersign_roots_in_force"] = _resource("roots", result.roots_in_force or "")
    read_summary(canonical(document))
    return document


def read_summary(payload: bytes) -> Summary:
    """Read a decision, once its signature has been verified.

    Raises:
        InputError: not canonical JSON, or another document.
    """
    document = read_document(SummaryDocument, payload, "verification summary", limit=_LIMIT, only_canonical=True)
    predicate = document.predicate
    revision = next((one.digest.get("sha256") for one in document.subject if one.name == "revision"), None)
    return Summary(
        predicate.verifier.id,
        parse_time(predicate.timeVerified, "timeVerified"),
        predicate.verificationResult == "PASSED",
        None if revision is None else f"sha256:{revision}",
        f"sha256:{predicate.policy.digest.sha256}",
        f"sha256:{predicate.countersign_roots.digest.sha256}",
        predicate.countersign_rollback,
        predicate.countersign_break_glass,
        document,
    )


def verify_summary(envelope: Envelope, roots: Roots) -> tuple[Gate, Summary]:
    """A decision out of its envelope, signed by a gate that the roots name.

    What is *not* checked: that policy and roots were the right ones. Compare `Summary.policy` and `Summary.roots`.

    Raises:
        VerificationError: signed by no key of a gate.
        InputError: in another gate's name, or by a key that did not count at that time.
    """
    entries = [(gate, entry) for gate in roots.gates for entry in gate.keys]
    key = verify_envelope(envelope, [entry.key for _, entry in entries])
    gate, entry = next((gate, entry) for gate, entry in entries if entry.key.blob == key.blob)
    summary = read_summary(envelope.payload)
    if summary.gate != gate.id:
        raise InputError(f"signed by the key of the gate {gate.id}, in the name of {summary.gate!r}")
    if not entry.valid_at(summary.at):
        raise InputError(f"the key {key.fingerprint} of the gate {gate.id} did not count when it decided")
    return gate, summary


def gate_leaf(envelope: Envelope) -> Mapping[str, Json]:
    """The log's leaf of a decision."""
    return leaf(GATE_LEAF, digest=digest(canonical(envelope.to_json())))


def _subjects(revision: Revision | None, result: GateResult) -> list[dict[str, Any]]:
    if revision is None:
        return [{"name": name, "digest": {"sha256": value.removeprefix("sha256:")}} for name, value in result.inputs]
    return [
        {"name": "revision", "digest": {"sha256": revision.digest.removeprefix("sha256:")}},
        {"name": "head", "digest": {"gitCommit": revision.head.commit}},
        *({"name": f"artifact {one.name}", "digest": {"sha256": one.sha256}} for one in revision.artifacts),
    ]


def _resource(uri: str, value: str) -> dict[str, Any]:
    return {"uri": uri, "digest": {"sha256": value.removeprefix("sha256:")}}


def _shortened(entry: dict[str, Any]) -> dict[str, Any]:
    """A step or an emergency with its words cut to what a decision that is logged has room for."""
    return {**entry, "detail": entry["detail"][:_DETAIL]}
