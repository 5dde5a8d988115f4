# SPDX-License-Identifier: Apache-2.0
"""Votes carried over: sign-offs on one revision that count for a later one of which nothing differs but its commits.

A rebase or an amended message gives a new manifest over the same trees and artifacts. The service says in the log which
statements it carries over, to which revision and under which policy, in an in-toto Statement of its own. That nothing
differs is not taken from it: the manifests of both sides are compared, and so are the facts that each review came to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Digest, InputError, Json, Revision, canonical, sha256_hex
from signoff._strict import GitId, Line, Sha256, StrictModel, Time, format_time, parse_time, read_document
from signoff.leaves import leaf
from signoff.roots import fold_name
from signoff.statement import FACTS_NAME, STATEMENT_LIMIT, STATEMENT_TYPE, EvidenceReference, Subject, evidence_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from signoff.envelope import Envelope
    from signoff.facts import FactsDocument

CARRY_TYPE = "https://countersign.dev/carry-over/v1"
CARRY_LEAF = "carry"  # of the log's leaves
MOST_CARRIED = 100


class CarriedVote(StrictModel):
    """A statement that is carried over: whose, by the SHA-256 of its payload, and the revision it was given to."""

    reviewer: Line
    statement: Sha256
    revision: Sha256


class SameContent(StrictModel):
    """What both revisions have: their trees, the SHA-256 of each side's content, and that of the list of artifacts."""

    baseTree: GitId  # noqa: N815 - the names in this file are those of the signed document
    baseContent: Sha256  # noqa: N815
    headTree: GitId  # noqa: N815
    headContent: Sha256  # noqa: N815
    artifacts: Sha256


class CarryPredicate(StrictModel):
    """The carrying over itself. ``evidence`` is what the review of the new revision came to, its facts among it."""

    service: Line
    targetRef: Line  # noqa: N815
    content: SameContent
    policy: Sha256
    evidence: tuple[EvidenceReference, ...]
    carried: Annotated[tuple[CarriedVote, ...], Field(min_length=1, max_length=MOST_CARRIED)]
    carriedAt: Time  # noqa: N815


class CarryDocument(StrictModel):
    """The statement as written; its subject is the new revision's manifest."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicateType: Literal["https://countersign.dev/carry-over/v1"]  # noqa: N815
    predicate: CarryPredicate


@dataclass(frozen=True, slots=True)
class Carried:
    """A statement to carry over: its owner's id, its payload's SHA-256 in hexadecimal, and the revision it is about."""

    reviewer: str
    statement: str
    revision: Digest


@dataclass(frozen=True, slots=True)
class Carry:
    """A carrying over as read: what it says, and for which revision. Nothing is compared yet."""

    revision: Digest
    predicate: CarryPredicate

    @property
    def carried_at(self) -> datetime:
        """When the service carried over."""
        return parse_time(self.predicate.carriedAt, "carriedAt")

    @property
    def facts(self) -> str:
        """The hexadecimal SHA-256 of the new revision's facts document."""
        return next(entry.digest.sha256 for entry in self.predicate.evidence if entry.name == FACTS_NAME)

    def find(self, statement: str) -> CarriedVote | None:
        """What is said of the statement whose payload has this hexadecimal SHA-256; None if it is not carried over."""
        return next((one for one in self.predicate.carried if one.statement.sha256 == statement), None)


def build_carry(
    *,
    service: str,
    revision: Revision,
    target_ref: str,
    policy: str,
    evidence: Mapping[str, Digest],
    carried: Iterable[Carried],
    at: datetime,
) -> dict[str, Any]:
    """The statement by which a service carries votes over; `canonical` of it is what the service signs.

    Args:
        service: the service's id, as in the roots file.
        revision: the new revision, its base's content included.
        target_ref: where the change is to go, as every carried statement says.
        policy: the hexadecimal SHA-256 of the policy's file, which must allow it.
        evidence: digests by name of what the new revision's review came to; ``facts`` must be among them.
        carried: the statements, one a person.
        at: when.

    Raises:
        InputError: the document would not be accepted by `read_carry`.
    """
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "revision", "digest": {"sha256": revision.digest.removeprefix("sha256:")}}],
        "predicateType": CARRY_TYPE,
        "predicate": {
            "service": service,
            "targetRef": target_ref,
            "content": {
                "baseContent": {"sha256": revision.base.content},
                **_content(revision),
            },
            "policy": {"sha256": policy},
            "evidence": evidence_list(evidence),
            "carried": [
                {
                    "reviewer": one.reviewer,
                    "statement": {"sha256": one.statement},
                    "revision": {"sha256": one.revision.removeprefix("sha256:")},
                }
                for one in sorted(carried, key=lambda one: one.statement)
            ],
            "carriedAt": format_time(at),
        },
    }
    read_carry(canonical(document))
    return document


def read_carry(payload: bytes) -> Carry:
    """Read a carrying over, once its signature has been verified.

    Raises:
        InputError: not canonical JSON, another document, no facts among the evidence, statements out of order, or two
            of one person.
    """
    document = read_document(CarryDocument, payload, "carry-over", limit=STATEMENT_LIMIT, only_canonical=True)
    predicate = document.predicate
    names = [entry.name for entry in predicate.evidence]
    if len(set(names)) != len(names) or FACTS_NAME not in names:
        raise InputError("carry-over: evidence of one name listed twice, or no facts among it")
    statements = [one.statement.sha256 for one in predicate.carried]
    if statements != sorted(set(statements)):
        raise InputError("carry-over: its statements are out of order, or one is there twice")
    if len({fold_name(one.reviewer) for one in predicate.carried}) != len(statements):
        raise InputError("carry-over: two statements of one person")
    revision: Digest = f"sha256:{document.subject[0].digest.sha256}"
    if revision.removeprefix("sha256:") in {one.revision.sha256 for one in predicate.carried}:
        raise InputError("carry-over: a statement that was given to this very revision")
    return Carry(revision, predicate)


def carry_leaf(envelope: Envelope) -> dict[str, Json]:
    """The log's leaf of a carrying over: its whole envelope."""
    return leaf(CARRY_LEAF, envelope=envelope.to_json())


def same_content(old: Revision, new: Revision) -> bool:
    """Whether two revisions differ in their commits alone, as far as their manifests tell."""
    return old.repository == new.repository and _content(old) == _content(new)


def check_same(old: Revision, new: Revision, carry: Carry) -> None:
    """Check that two revisions differ in their commits alone, and that this is what was said of them.

    Trees of one id have one content as far as SHA-1 goes; head's content and the artifacts are compared by SHA-256,
    and base's content by whoever has the repository.

    Raises:
        InputError: repository, trees, content or artifacts differ.
    """
    if not same_content(old, new):
        raise InputError(f"{old.digest} has another repository, tree, content or artifact: its votes do not carry over")
    said = carry.predicate.content.model_dump(mode="json", exclude={"baseContent"})
    if said != _content(new):
        raise InputError("the carry-over names another content than the manifests have")


def check_same_facts(old: FactsDocument, new: FactsDocument) -> None:
    """Check that two reviews came to the same: paths, findings, verdicts. Answers, times and makers may differ.

    Raises:
        InputError: what differs, so that somebody has to look again.
    """
    for what, before, after in (
        ("paths", old.paths, new.paths),
        ("files", old.files.total, new.files.total),
        ("findings", _found(old), _found(new)),
        ("verdicts", _verdicts(old), _verdicts(new)),
    ):
        if before != after:
            raise InputError(f"the review of the new revision came to other {what}: votes do not carry over")


def check_complete(carry: Carry, given: Mapping[str, str], anew: Sequence[str]) -> None:
    """Check that no carried vote was left out, but those of people who voted anew. So a rejection stays with it.

    Args:
        carry: what was carried over.
        given: the carried statements that are there: ids of their people by payload SHA-256.
        anew: ids of the people who voted on the new revision itself.

    Raises:
        InputError: one is missing, is somebody else's, or none is left that counts.
    """
    again = {fold_name(person) for person in anew}
    for one in carry.predicate.carried:
        who = given.get(one.statement.sha256)
        if who is None and fold_name(one.reviewer) not in again:
            raise InputError(f"the carried sign-off by {one.reviewer} was left out")
        if who is not None and who != one.reviewer:
            raise InputError(f"the carry-over names {one.reviewer} for a sign-off by {who}")
    if not given:
        raise InputError("nothing that was carried over is in the bundle")


def _content(revision: Revision) -> dict[str, Any]:
    artifacts = canonical(revision.manifest()["artifacts"])
    return {
        "baseTree": revision.base.tree,
        "headTree": revision.head.tree,
        "headContent": {"sha256": revision.head.content},
        "artifacts": {"sha256": sha256_hex(artifacts)},
    }


def _found(facts: FactsDocument) -> list[tuple[str, str, str]]:
    return sorted((one.id, one.rule, one.severity.value) for one in facts.findings)


def _verdicts(facts: FactsDocument) -> list[tuple[str, str, bool]]:
    return sorted((one.name, one.verdict.value, one.unsafe) for one in facts.evidence)
