# SPDX-License-Identifier: Apache-2.0
"""Breaking the glass: letting a revision out in an emergency, without a review, in everybody's sight.

Narrow on purpose. Each approval names one revision and the reason, is signed by a person of its own with the role
``break-glass``, from two organisations at least, and lasts for hours. None of them made the change. It binds its
signers to a review by a date. The gate records it also where the policy would have let the revision through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Digest, InputError, PolicyError, Revision, canonical, parse_json, sha256_hex
from signoff._build import verify_by
from signoff._strict import Line, Sha256, StrictModel, Text, Time, format_time, parse_time, read_document
from signoff._subject import check_subject
from signoff.bundle import BUNDLE_SCHEMA, read_bundle
from signoff.envelope import Envelope
from signoff.facts import PersonEntry, people_list
from signoff.manifests import ManifestDocument, revision_of
from signoff.policy import parse_policy
from signoff.requirements import CLOCK_SKEW
from signoff.roots import fold_email, fold_name, parse_roots
from signoff.statement import STATEMENT_TYPE, Reviewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from confine import Repository
    from signoff.keys import PublicKey
    from signoff.policy import Policy
    from signoff.roots import Person, Roots

BREAK_GLASS_SCHEMA = "countersign/break-glass/v1"
BREAK_GLASS_TYPE = "https://countersign.dev/break-glass/v1"
BREAK_GLASS_ROLE = "break-glass"
BREAK_GLASS_LIMIT = 4 << 20
_STATEMENT_LIMIT = 45_000
_REVIEW_DAYS = 14


class EmergencySubject(StrictModel):
    """The revision manifest, by digest."""

    name: Literal["revision"]
    digest: Sha256


class EmergencyPredicate(StrictModel):
    """One person's approval. ``reviewBy`` is when the revision will have been reviewed.

    ``people`` are those who had a hand in it beyond what its commits say, as far as the approver knows: who pushed it,
    launched its training, supplied its artifacts. None of them may break the glass for it.
    """

    repository: Line
    targetRef: Line  # noqa: N815 - the names in this file are those of the signed document
    reason: Annotated[Text, Field(min_length=20)]
    approver: Reviewer
    people: Annotated[tuple[PersonEntry, ...], Field(max_length=1000)]
    policy: Sha256
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    signedAt: Time  # noqa: N815
    expiresAt: Time  # noqa: N815
    reviewBy: Time  # noqa: N815


class EmergencyStatement(StrictModel):
    """What one person signs, an in-toto Statement v1."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[EmergencySubject]
    predicateType: Literal["https://countersign.dev/break-glass/v1"]  # noqa: N815
    predicate: EmergencyPredicate


class BreakGlassDocument(StrictModel):
    """The file as written: the revision manifest, and the approvals' envelopes."""

    schema_name: Literal["countersign/break-glass/v1"] = Field(alias="schema")
    revision: ManifestDocument
    approvals: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class Emergency:
    """An approval of which the signature holds."""

    person: Person
    key: PublicKey
    statement: EmergencyStatement

    @property
    def signed_at(self) -> datetime:
        """When it says to have been signed."""
        return parse_time(self.statement.predicate.signedAt, "signedAt")

    @property
    def expires_at(self) -> datetime:
        """From when on it counts no more."""
        return parse_time(self.statement.predicate.expiresAt, "expiresAt")

    @property
    def review_by(self) -> datetime:
        """By when the revision must have been reviewed."""
        return parse_time(self.statement.predicate.reviewBy, "reviewBy")


@dataclass(frozen=True, slots=True)
class EmergencyTimes:
    """When an approval is signed, ends, and when the review is due; all given by the caller."""

    nonce: str
    signed_at: datetime
    expires_at: datetime
    review_by: datetime


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """What came of a break-glass file. ``admits`` is False with the reason in ``detail`` where it does not hold."""

    admits: bool
    detail: str
    file_digest: Digest
    subject: Revision | None
    people: tuple[tuple[str, str], ...]  # (id, organisation)
    reason: str
    review_by: datetime | None

    def to_json(self) -> dict[str, Any]:
        """The outcome as one document, part of the gate's."""
        return {
            "admits": self.admits,
            "detail": self.detail,
            "file": {"sha256": self.file_digest.removeprefix("sha256:")},
            "revision": None if self.subject is None else self.subject.digest,
            "people": [{"id": person, "organization": organization} for person, organization in self.people],
            "reason": self.reason,
            "review_by": None if self.review_by is None else format_time(self.review_by),
        }


def build_emergency(
    *,
    revision: Revision,
    target_ref: str,
    reason: str,
    approver: Reviewer,
    people: Iterable[tuple[str, str]],
    policy: Digest,
    times: EmergencyTimes,
) -> dict[str, Any]:
    """One person's approval as a JSON document; `canonical` of it is what is signed.

    ``people``: (name, address) of those who had a hand in the revision beyond what its commits say.

    Raises:
        InputError: the document would not be accepted by `read_emergency`.
    """
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "revision", "digest": {"sha256": revision.digest.removeprefix("sha256:")}}],
        "predicateType": BREAK_GLASS_TYPE,
        "predicate": {
            "repository": revision.repository,
            "targetRef": target_ref,
            "reason": reason,
            "approver": approver.model_dump(mode="json"),
            "people": people_list(people),
            "policy": {"sha256": policy.removeprefix("sha256:")},
            "nonce": times.nonce,
            "signedAt": format_time(times.signed_at),
            "expiresAt": format_time(times.expires_at),
            "reviewBy": format_time(times.review_by),
        },
    }
    read_emergency(canonical(document))
    return document


def read_emergency(payload: bytes) -> EmergencyStatement:
    """Read one approval, once its signature has been verified.

    Raises:
        InputError: not canonical JSON, another document, or times in another order than signed, expired, reviewed.
    """
    statement = read_document(
        EmergencyStatement, payload, "break-glass statement", limit=_STATEMENT_LIMIT, only_canonical=True
    )
    signed, expires, review = (
        parse_time(text, "break-glass statement")
        for text in (statement.predicate.signedAt, statement.predicate.expiresAt, statement.predicate.reviewBy)
    )
    if not signed < expires or not signed < review:
        raise InputError("break-glass statement: it expires or is reviewed before it is signed")
    if (review - signed).days >= _REVIEW_DAYS:
        raise InputError(f"break-glass statement: the review is due within {_REVIEW_DAYS} days of signing")
    return statement


def build_break_glass(revision: Revision, approvals: Iterable[Envelope]) -> bytes:
    """The file's bytes.

    Raises:
        InputError: the file would not be accepted by the gate's reader.
    """
    data = canonical(
        {
            "schema": BREAK_GLASS_SCHEMA,
            "revision": revision.manifest(),
            "approvals": [approval.to_json() for approval in approvals],
        }
    )
    _read(data)
    return data


def read_bundle_revision(data: bytes) -> tuple[Revision, tuple[Envelope, ...]]:
    """What a file is about, and the approvals in it: of a break-glass file, a bundle, or a revision manifest alone.

    Raises:
        InputError: none of these.
    """
    document = parse_json(data, "file", limit=BREAK_GLASS_LIMIT)
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == BREAK_GLASS_SCHEMA:
        return _read(data)
    held = document.get("revision") if schema == BUNDLE_SCHEMA else document
    manifest = read_document(
        ManifestDocument, canonical(held), "revision manifest", limit=BREAK_GLASS_LIMIT, only_canonical=True
    )
    return revision_of(manifest, "revision manifest"), ()


def read_bundle_people(data: bytes) -> tuple[tuple[str, str], ...]:
    """(name, address) of those who had a hand in it, as such a file says beyond the commits. Nothing is verified.

    Raises:
        InputError: none of the files that `read_bundle_revision` reads.
    """
    _, approvals = read_bundle_revision(data)
    named = {one for approval in approvals for one in read_emergency(approval.payload).predicate.people}
    if parse_json(data, "file", limit=BREAK_GLASS_LIMIT).get("schema") == BUNDLE_SCHEMA:
        named |= {one for facts in read_bundle(data).facts.values() for one in facts.people}
    return tuple(sorted((one.name, one.email) for one in named))


def judge_break_glass(
    data: bytes,
    *,
    roots: bytes,
    policy: bytes,
    open_repository: Callable[[], Repository],
    artifacts: Mapping[str, Path],
    now: datetime,
    people_of: Callable[[Revision], Iterable[tuple[str, str]]] = lambda _: (),
) -> BreakGlass:
    """Judge a break-glass file. Nothing in it raises: what does not hold does not admit, and says why.

    What is *not* checked: that the emergency is one. That is what the later review is for.

    Args:
        data: the file.
        roots: the roots file's content.
        policy: the policy file's content; without its table ``break_glass`` nothing is admitted.
        open_repository: gives the repository or checkout to be deployed.
        artifacts: files by their names in the manifest.
        now: the time to judge at.
        people_of: gives (name, address) of those who are known from elsewhere to have had a hand in a revision.
    """
    revision: Revision | None = None
    approved: list[Emergency] = []
    try:
        revision, envelopes = _read(data)
        known, rules = parse_roots(roots), parse_policy(policy)
        approved += [_approval(envelope, known, now) for envelope in envelopes]
        detail = _judge(revision, approved, rules, now)
        makers = open_repository().commit_people(revision.base.commit, revision.head.commit)
        _independent(approved, known, [*((one.name, one.email) for one in makers), *people_of(revision)])
        detail += "; " + check_subject(revision, open_repository(), artifacts)
    except Exception as error:  # noqa: BLE001 - hostile input must not get past by raising what nobody foresaw
        return _outcome(data, revision, approved, str(error) or type(error).__name__, admits=False)
    return _outcome(data, revision, approved, detail, admits=True)


def _outcome(
    data: bytes, revision: Revision | None, approved: Sequence[Emergency], detail: str, *, admits: bool
) -> BreakGlass:
    return BreakGlass(
        admits,
        detail,
        f"sha256:{sha256_hex(data)}",
        revision,
        tuple((one.person.id, one.person.organization) for one in approved),
        approved[0].statement.predicate.reason if approved else "",
        min((one.review_by for one in approved), default=None),
    )


def _read(data: bytes) -> tuple[Revision, tuple[Envelope, ...]]:
    what = "break-glass file"
    document = read_document(BreakGlassDocument, data, what, limit=BREAK_GLASS_LIMIT, only_canonical=True)
    return revision_of(document.revision, what), tuple(Envelope.from_json(one) for one in document.approvals)


def _approval(envelope: Envelope, roots: Roots, now: datetime) -> Emergency:
    key = verify_by(envelope, roots.keys, roots)
    person, entry = roots.owner(key)
    statement = read_emergency(envelope.payload)
    said = statement.predicate.approver
    if (said.id, said.name, said.organization) != (person.id, person.name, person.organization):
        raise InputError(f"signed by the key of {person.id}, in the name of {said.id!r}")
    if said.role != BREAK_GLASS_ROLE or BREAK_GLASS_ROLE not in person.roles:
        raise InputError(f"{person.id} has or takes no role {BREAK_GLASS_ROLE!r}")
    found = Emergency(person, key, statement)
    if not entry.valid_at(found.signed_at) or not entry.valid_at(now):
        raise InputError(f"the key {key.fingerprint} of {person.id} does not count at this time")
    return found


def _judge(revision: Revision, approved: Sequence[Emergency], policy: Policy, now: datetime) -> str:
    rules = policy.rules.break_glass
    if rules is None:
        raise PolicyError("the policy has no table break_glass: nothing goes out without a review")
    for one in approved:
        _check_words(one, revision, policy)
        _check_hours(one, rules.hours, now)
    if len({one.statement.predicate.targetRef for one in approved}) != 1:
        raise InputError("the approvals are for different targets")
    people = {fold_name(one.person.id) for one in approved}
    if len(people) != len(approved) or len({one.key.blob for one in approved}) != len(approved):
        raise InputError("one person or one key signed twice")
    organizations = {fold_name(one.person.organization) for one in approved}
    if len(people) < rules.people or len(organizations) < rules.organizations:
        raise PolicyError(
            f"{len(people)} of {rules.people} people, {len(organizations)} of {rules.organizations} organisations"
        )
    review = min(one.review_by for one in approved)
    return f"{len(people)} people of {len(organizations)} organisations; review due by {review:%Y-%m-%d %H:%M} UTC"


def _check_words(one: Emergency, revision: Revision, policy: Policy) -> None:
    predicate = one.statement.predicate
    if one.statement.subject[0].digest.sha256 != revision.digest.removeprefix("sha256:"):
        raise InputError(f"{one.person.id} signed for another revision")
    if predicate.repository != revision.repository:
        raise InputError(f"{one.person.id} signed for another repository")
    if predicate.policy.sha256 != policy.digest:
        raise PolicyError(f"{one.person.id} signed under another policy than sha256:{policy.digest}")


def _check_hours(one: Emergency, hours: int, now: datetime) -> None:
    if one.expires_at - one.signed_at > timedelta(hours=hours):
        raise PolicyError(f"the approval by {one.person.id} lasts longer than the {hours} h that the policy allows")
    if one.signed_at > now + CLOCK_SKEW:
        raise InputError(f"{one.person.id} signed in the future")
    if one.expires_at <= now:
        raise InputError(f"the approval by {one.person.id} expired at {one.expires_at:%Y-%m-%d %H:%M} UTC")


def _independent(approved: Sequence[Emergency], roots: Roots, makers: Iterable[tuple[str, str]]) -> None:
    """Nobody breaks the glass for their own change, whoever of the approvers named them, or the commits do."""
    named = {*makers, *((who.name, who.email) for one in approved for who in one.statement.predicate.people)}
    emails = {fold_email(email) for _, email in named if email}
    known = {person.id for name, email in named if (person := roots.named(name, email)) is not None}
    for one in approved:
        if not one.person.emails:
            raise PolicyError(f"{one.person.id} has no address in the roots, so nobody can say who made the change")
        if one.person.id in known or one.person.emails & emails:
            raise PolicyError(f"{one.person.id} breaks the glass for a change that they made themselves")
