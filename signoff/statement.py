# SPDX-License-Identifier: Apache-2.0
"""The sign-off statement: what a reviewer puts a name to.

An in-toto Statement v1 about one revision manifest, in canonical JSON: building it twice gives the same bytes, and
reading accepts no others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Digest, InputError, Revision, Severity, Verdict, canonical
from signoff._strict import (
    Count,
    GitId,
    Line,
    Sha256,
    StrictModel,
    Text,
    Time,
    format_time,
    parse_time,
    read_document,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://countersign.dev/review-signoff/v1"
SUBJECT_NAME = "revision"
FACTS_NAME = "facts"  # the evidence entry that binds the facts that policy is judged on
RECIPE_NAME = "recipe"  # the evidence entry by which a recipe for builds is signed
DEFAULT_SCOPE = ("code", "weights", "config", "behavior")
BUILDS_SCOPE = "builds"  # and what stands in the scope then
STATEMENT_LIMIT = 45_000  # bytes; in base64 and in its envelope it still fits a log entry

INDEPENDENCE_DECLARATION = (
    "I had no part in making this change. I am not employed or paid by its author, nor by the platform that it is "
    "for, beyond the fee of this review, which does not depend on its outcome."
)
DECLARATION_DIGEST: Digest = "sha256:" + hashlib.sha256(INDEPENDENCE_DECLARATION.encode()).hexdigest()


class Decision(StrEnum):
    """What a reviewer says of a revision. Only the first two can let it through."""

    APPROVED = "APPROVED"
    APPROVED_WITH_CONDITIONS = "APPROVED_WITH_CONDITIONS"
    REJECTED = "REJECTED"
    REVOKED = "REVOKED"

    @property
    def approves(self) -> bool:
        """Whether this is a vote for the revision."""
        return self in {Decision.APPROVED, Decision.APPROVED_WITH_CONDITIONS}


class Change(StrictModel):
    """Which change, where to, and its exact states."""

    repository: Line
    targetRef: Line  # noqa: N815 - the names in this file are those of the signed document
    baseTree: GitId  # noqa: N815
    headTree: GitId  # noqa: N815
    headCommit: GitId  # noqa: N815


class Waiver(StrictModel):
    """A file that was not viewed, and why."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    reason: Line


class WaivedFinding(StrictModel):
    """A finding that was answered and so left as it is: how, by whom, and why, as far as one line holds it."""

    id: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    rule: Line
    severity: Severity
    answer: Line
    by: Line
    reason: Line


class Coverage(StrictModel):
    """How much of the change was looked at: files viewed or waived, findings answered.

    ``waivedFindings`` names the answered ones, worst first, and ``waivedUnlisted`` counts those that did not fit. A
    statement of before they were named has neither.
    """

    files: Count
    viewed: Count
    waived: tuple[Waiver, ...] = ()
    findings: Count
    answered: Count
    waivedFindings: tuple[WaivedFinding, ...] | None = None  # noqa: N815
    waivedUnlisted: Count | None = None  # noqa: N815


class Reviewer(StrictModel):
    """Who signs, as the roots file knows them."""

    id: Line
    name: Line
    organization: Line
    role: Line


class Independence(StrictModel):
    """The declaration of independence that the reviewer stands by."""

    declarationDigest: Sha256  # noqa: N815


class PolicyReference(StrictModel):
    """The policy that was in force, by the digest of its file."""

    uri: Line
    digest: Sha256


class EvidenceReference(StrictModel):
    """A document that the reviewer relied on."""

    name: Line
    digest: Sha256


class Override(StrictModel):
    """The verdict that the reviewer approves in spite of, and why. Policy says whether that may be."""

    verdict: Verdict
    reason: Line


class Hurry(StrictModel):
    """Why the reviewer approves under the expedited lane. Policy says whether that may be, and for how long."""

    reason: Line


class Predicate(StrictModel):
    """The sign-off itself."""

    change: Change
    decision: Decision
    meaning: Text
    scope: Annotated[tuple[Line, ...], Field(min_length=1)]
    conditions: tuple[Line, ...] = ()
    notInspected: tuple[Line, ...] = ()  # noqa: N815
    coverage: Coverage
    reviewer: Reviewer
    independence: Independence
    policy: PolicyReference
    evidence: tuple[EvidenceReference, ...]
    override: Override | None = None
    expedited: Hurry | None = None
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    signedAt: Time  # noqa: N815
    expiresAt: Time  # noqa: N815


class Subject(StrictModel):
    """The revision manifest, by digest."""

    name: Literal["revision"]
    digest: Sha256


class Statement(StrictModel):
    """A whole statement as read."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject]
    predicateType: Literal["https://countersign.dev/review-signoff/v1"]  # noqa: N815
    predicate: Predicate

    @property
    def revision(self) -> Digest:
        """The digest of the revision manifest that it is about."""
        return f"sha256:{self.subject[0].digest.sha256}"

    @property
    def signed_at(self) -> datetime:
        """When the reviewer says to have signed."""
        return parse_time(self.predicate.signedAt, "signedAt")

    @property
    def expires_at(self) -> datetime:
        """From when on it counts no more."""
        return parse_time(self.predicate.expiresAt, "expiresAt")

    def evidence_digest(self, name: str) -> str | None:
        """The hexadecimal SHA-256 of the evidence of that name, if it is listed."""
        return next((entry.digest.sha256 for entry in self.predicate.evidence if entry.name == name), None)


@dataclass(frozen=True, slots=True)
class Vote:
    """The reviewer's own part of a statement: the decision and its words."""

    decision: Decision
    meaning: str
    scope: tuple[str, ...] = DEFAULT_SCOPE
    conditions: tuple[str, ...] = ()
    not_inspected: tuple[str, ...] = ()
    override: Override | None = None
    expedited: Hurry | None = None


@dataclass(frozen=True, slots=True)
class Validity:
    """The server's nonce and the time for which a statement counts, both given by the caller: no clock is read here."""

    nonce: str
    signed_at: datetime
    expires_at: datetime


def build_statement(  # noqa: PLR0913 - one argument a part of the document, all by name
    *,
    revision: Revision,
    target_ref: str,
    vote: Vote,
    coverage: Coverage,
    reviewer: Reviewer,
    policy: PolicyReference,
    evidence: Mapping[str, Digest],
    validity: Validity,
    declaration: Digest = DECLARATION_DIGEST,
) -> dict[str, Any]:
    """The statement as a JSON document; `canonical` of it is what is signed.

    Args:
        revision: what the statement is about.
        target_ref: where the change is to go, e.g. ``refs/heads/main``.
        vote: decision and words.
        coverage: what was looked at.
        reviewer: the person as in the roots file.
        policy: the policy in force.
        evidence: digests (``sha256:…``) by name; ``facts`` must be among them, see `facts.build_facts`.
        validity: nonce and times.
        declaration: the digest of the declaration of independence.

    Raises:
        InputError: the document would not be accepted by `read_statement`.
    """
    predicate: dict[str, Any] = {
        "change": {
            "repository": revision.repository,
            "targetRef": target_ref,
            "baseTree": revision.base.tree,
            "headTree": revision.head.tree,
            "headCommit": revision.head.commit,
        },
        "decision": vote.decision.value,
        "meaning": vote.meaning,
        "scope": list(vote.scope),
        "conditions": list(vote.conditions),
        "notInspected": list(vote.not_inspected),
        "coverage": coverage.model_dump(mode="json", exclude_none=True),
        "reviewer": reviewer.model_dump(mode="json"),
        "independence": {"declarationDigest": _digest_set(declaration)},
        "policy": policy.model_dump(mode="json"),
        "evidence": evidence_list(evidence),
        "nonce": validity.nonce,
        "signedAt": format_time(validity.signed_at),
        "expiresAt": format_time(validity.expires_at),
    }
    if vote.override is not None:
        predicate["override"] = vote.override.model_dump(mode="json")
    if vote.expedited is not None:
        predicate["expedited"] = vote.expedited.model_dump(mode="json")
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": SUBJECT_NAME, "digest": _digest_set(revision.digest)}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    read_statement(canonical(document))
    return document


def evidence_list(evidence: Mapping[str, Digest]) -> list[dict[str, Any]]:
    """Digests (``sha256:…``) by name, as a statement lists them.

    Raises:
        InputError: a digest of another kind.
    """
    return [{"name": name, "digest": _digest_set(value)} for name, value in sorted(evidence.items())]


def read_statement(payload: bytes) -> Statement:
    """Read a statement, once its signature has been verified.

    What is *not* checked: anything outside the document. The gate does that.

    Raises:
        InputError: not canonical JSON, a field missing, unknown or of another type, evidence listed twice, no facts
            among it, a recipe that does not go with scope and decision, conditions that do not go with the decision,
            coverage that counts more than there is, or an end that is not after the beginning.
    """
    statement = read_document(Statement, payload, "statement", limit=STATEMENT_LIMIT, only_canonical=True)
    predicate = statement.predicate
    names = [entry.name for entry in predicate.evidence]
    if len(set(names)) != len(names):
        raise InputError("statement: evidence of one name listed twice")
    if FACTS_NAME not in names:
        raise InputError("statement: no facts among the evidence")
    if (RECIPE_NAME in names) != (BUILDS_SCOPE in predicate.scope):
        raise InputError("statement: a recipe among the evidence goes with 'builds' in the scope")
    if RECIPE_NAME in names and (predicate.decision is not Decision.APPROVED or predicate.expedited is not None):
        raise InputError("statement: a recipe is signed by a plain approval, without conditions and not in a hurry")
    if (predicate.decision is Decision.APPROVED_WITH_CONDITIONS) != bool(predicate.conditions):
        raise InputError("statement: conditions go with APPROVED_WITH_CONDITIONS, and with nothing else")
    _check_coverage(predicate.coverage)
    if statement.signed_at >= statement.expires_at:
        raise InputError("statement: it expires before it is signed")
    return statement


def _check_coverage(coverage: Coverage) -> None:
    paths = [waiver.path for waiver in coverage.waived]
    if len(set(paths)) != len(paths):
        raise InputError("statement: a file waived twice")
    if (coverage.waivedFindings is None) != (coverage.waivedUnlisted is None):
        raise InputError("statement: waivedFindings and waivedUnlisted go together")
    named = [finding.id for finding in coverage.waivedFindings or ()]
    if len(set(named)) != len(named):
        raise InputError("statement: a finding waived twice")
    if coverage.viewed + len(paths) > coverage.files or coverage.answered > coverage.findings:
        raise InputError("statement: its coverage counts more than there is")


def _digest_set(value: Digest) -> dict[str, str]:
    algorithm, _, hexadecimal = value.partition(":")
    if algorithm != "sha256":
        raise InputError(f"digest {value[:80]!r} is not sha256:<hex>")
    return {"sha256": hexadecimal}
