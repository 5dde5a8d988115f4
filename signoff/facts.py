# SPDX-License-Identifier: Apache-2.0
"""The facts document: what policy needs to know of a review, small enough to travel in a bundle.

Its digest stands in the statement's evidence under ``facts``, so the reviewer signs it and nobody edits it later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Digest, InputError, Json, Revision, Severity, Verdict, canonical, sha256_hex
from signoff._strict import Count, Line, Sha256, StrictModel, Time, format_time, parse_time, read_document
from signoff.requirements import ChangePerson, EvidenceFact, Facts, FindingFact
from signoff.statement import Coverage, Statement, WaivedFinding, Waiver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from signoff.requirements import Voter
    from signoff.roots import Roots

FACTS_SCHEMA = "countersign/facts/v1"
_LIMIT = 8 << 20

_ADDRESS_LETTERS = 1000

Address = Annotated[str, Field(max_length=_ADDRESS_LETTERS)]  # as in a commit: may be empty or odd


class Evidence(StrictModel):
    """A piece of evidence that carries a verdict."""

    name: Line
    digest: Sha256
    verdict: Verdict
    unsafe: bool = False
    made_at: Time | None = None

    @staticmethod
    def of(
        name: str, digest: Digest, verdict: Verdict, *, unsafe: bool = False, made_at: datetime | None = None
    ) -> Evidence:
        """The evidence of that name, by the digest (``sha256:…``) of its document, and when it was made."""
        return Evidence(
            name=name,
            digest=Sha256(sha256=digest.removeprefix("sha256:")),
            verdict=verdict,
            unsafe=unsafe,
            made_at=None if made_at is None else format_time(made_at),
        )


class Answer(StrictModel):
    """An answer to a finding: its kind, who gave it, and the digest of its words."""

    kind: Line
    by: Line
    text: Sha256

    @staticmethod
    def of(kind: str, by: str, text: str) -> Answer:
        """An answer of that kind by the person of that id, in these words."""
        return Answer(kind=kind, by=by, text=Sha256(sha256=sha256_hex(text.encode("utf-8", "replace"))))


class FindingEntry(StrictModel):
    """A finding by its fingerprint, and its answer."""

    id: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    rule: Line
    severity: Severity
    answer: Answer | None = None


class PersonEntry(StrictModel):
    """Somebody who made the change, as found when it was reviewed."""

    name: Address
    email: Address


class Files(StrictModel):
    """How many files the change touches and how many of them were viewed or waived."""

    total: Count
    viewed: Count
    waived: Count


class Threads(StrictModel):
    """How many threads about the change nobody has resolved, and how many of those block it."""

    open: Count
    blocking: Count


class FactsDocument(StrictModel):
    """The facts document, ``countersign/facts/v1``."""

    schema_name: Literal["countersign/facts/v1"] = Field(alias="schema")
    revision: Sha256
    evidence: tuple[Evidence, ...]
    findings: tuple[FindingEntry, ...]
    files: Files
    people: tuple[PersonEntry, ...]
    paths: tuple[Address, ...] | None = None
    threads: Threads | None = None


def build_facts(
    *,
    revision: Revision,
    evidence: Sequence[Evidence],
    findings: Iterable[FindingEntry],
    files: Files,
    people: Iterable[tuple[str, str]],
    paths: Iterable[str] | None = None,
    threads: Threads | None = None,
) -> dict[str, Any]:
    """The facts document of a review; `evidence.document_digest` of it goes into the statement under ``facts``.

    Args:
        revision: what was reviewed.
        evidence: each document that came to a verdict (``diff``, ``audit``).
        findings: every finding of the review, answered or not; of one fingerprint the worst is kept.
        files: how many were seen.
        people: (name, address) of everybody who made the change, the pusher included.
        paths: every path that the change touches, old ones of renamed files too; None where they are not known.
        threads: how many are open; None where it is not known.

    Raises:
        InputError: the document would not be accepted by `read_facts`.
    """
    document = {
        "schema": FACTS_SCHEMA,
        "revision": {"sha256": revision.digest.removeprefix("sha256:")},
        "evidence": [
            piece.model_dump(mode="json", exclude_none=True) for piece in sorted(evidence, key=lambda piece: piece.name)
        ],
        "findings": [finding.model_dump(mode="json") for finding in _merged(findings)],
        "files": files.model_dump(mode="json"),
        "people": people_list(people),
    }
    if paths is not None:
        document["paths"] = sorted({_plain(path) for path in paths})
    if threads is not None:
        document["threads"] = threads.model_dump(mode="json")
    read_facts(document)
    return document


def people_list(people: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """(name, address) of people as documents list them: each once, in order, as far as JSON can carry them."""
    seen = {(_plain(name), _plain(email)) for name, email in people}
    return [{"name": name, "email": email} for name, email in sorted(seen)]


def read_facts(document: Mapping[str, Json]) -> FactsDocument:
    """Read a facts document that was parsed already.

    Raises:
        InputError: not a facts document, or evidence or a finding stands in it twice.
    """
    facts = read_document(FactsDocument, canonical(dict(document)), "facts", limit=_LIMIT, only_canonical=True)
    for kind, names in (
        ("evidence", [piece.name for piece in facts.evidence]),
        ("finding", [finding.id for finding in facts.findings]),
    ):
        if len(set(names)) != len(names):
            raise InputError(f"facts: the same {kind} twice")
    return facts


def policy_facts(
    documents: Sequence[FactsDocument],
    *,
    votes: Iterable[Voter],
    people: Iterable[tuple[str, str]],
    roots: Roots,
    now: datetime,
    paths: Iterable[str] | None = None,
) -> Facts:
    """What `evaluate` judges, out of every facts document that was signed, the worse where they differ.

    Args:
        documents: the facts documents, one for each state of the review that somebody signed.
        votes: the sign-offs.
        people: (name, address) of those who made the change, beyond those in the documents.
        roots: to know people by their addresses.
        now: the time to judge at.
        paths: the paths that the repository says the change touches, beyond those in the documents.
    """
    touched = [document.paths for document in documents] + ([tuple(paths)] if paths is not None else [])
    known = [one for one in touched if one is not None]
    named = {(entry.name, entry.email) for document in documents for entry in document.people} | set(people)
    return Facts(
        now=now,
        votes=tuple(votes),
        people=tuple(_change_person(name, email, roots) for name, email in sorted(named)),
        evidence=tuple(
            EvidenceFact(piece.name, piece.verdict, piece.unsafe, _moment(piece.made_at))
            for document in documents
            for piece in document.evidence
        ),
        findings=tuple(
            FindingFact(finding.id, finding.rule, finding.severity, finding.answer.by if finding.answer else None)
            for document in documents
            for finding in document.findings
        ),
        paths=tuple(sorted({path for one in known for path in one})) if known else None,
        files=min(
            ((one.files.total, one.files.viewed, one.files.waived) for one in documents),
            key=lambda counts: counts[1] - counts[0],
            default=None,
        ),
        threads=_most_open([document.threads for document in documents]),
    )


def coverage(
    document: Mapping[str, Json],
    waived: Iterable[Waiver] = (),
    findings: Iterable[WaivedFinding] | None = None,
) -> Coverage:
    """The coverage for a statement about the review that a facts document describes.

    Args:
        document: the facts document.
        waived: the files that were waived by name.
        findings: those of the answered findings that are named, worst first; None where none are to be.

    Raises:
        InputError: other files are waived than the document counts.
    """
    facts = read_facts(document)
    waivers = tuple(sorted(waived, key=lambda waiver: waiver.path))
    if len(waivers) != facts.files.waived:
        raise InputError(f"facts: {facts.files.waived} files waived, and {len(waivers)} named")
    counts = _answered(facts)
    named = None if findings is None else tuple(findings)
    return Coverage(
        files=facts.files.total,
        viewed=facts.files.viewed,
        waived=waivers,
        waivedFindings=named,
        waivedUnlisted=None if named is None else counts["answered"] - len(named),
        **counts,
    )


def check_bound(facts: FactsDocument, statement: Statement) -> None:
    """Check that a facts document says what the statement that binds it says.

    Raises:
        InputError: of another revision; evidence that the statement does not list; another coverage, or a finding
            named as waived that was not answered so.
    """
    if f"sha256:{facts.revision.sha256}" != statement.revision:
        raise InputError("the facts are of another revision")
    for piece in facts.evidence:
        if statement.evidence_digest(piece.name) != piece.digest.sha256:
            raise InputError(f"the statement does not list the {piece.name} that the facts are about")
    said = statement.predicate.coverage
    known = said.model_copy(update={"files": facts.files.total, "viewed": facts.files.viewed, **_answered(facts)})
    if said != known or len(said.waived) != facts.files.waived:
        raise InputError("the statement's coverage is not that of the facts")
    if said.waivedFindings is None:
        return
    if len(said.waivedFindings) + (said.waivedUnlisted or 0) != said.answered:
        raise InputError("the statement does not account for every finding that was answered")
    answered = {
        (one.id, one.rule, one.severity, one.answer.kind, one.answer.by) for one in facts.findings if one.answer
    }
    for one in said.waivedFindings:
        if (one.id, one.rule, one.severity, one.answer, one.by) not in answered:
            raise InputError(f"the statement names {one.id} as waived, which was not answered so")


def _answered(facts: FactsDocument) -> dict[str, int]:
    answered = sum(finding.answer is not None for finding in facts.findings)
    return {"findings": len(facts.findings), "answered": answered}


def _most_open(counted: Sequence[Threads | None]) -> tuple[int, int] | None:
    """The most open and the most blocking threads; not known where one of the documents does not say."""
    known = [(one.open, one.blocking) for one in counted if one is not None]
    if not known or len(known) != len(counted):
        return None
    return max(one for one, _ in known), max(one for _, one in known)


def _merged(findings: Iterable[FindingEntry]) -> list[FindingEntry]:
    """One entry a fingerprint: the most severe, and unanswered before answered."""
    worst: dict[str, FindingEntry] = {}
    for finding in findings:
        known = worst.get(finding.id)
        if known is None or _weight(finding) > _weight(known):
            worst[finding.id] = finding
    return [worst[key] for key in sorted(worst)]


def _weight(finding: FindingEntry) -> tuple[int, bool]:
    return finding.severity.rank, finding.answer is None


def _plain(text: str) -> str:
    """Text out of a commit, as far as JSON can carry it."""
    return text.encode("utf-8", "replace").decode("utf-8")[:_ADDRESS_LETTERS]


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text, "made_at")


def _change_person(name: str, email: str, roots: Roots) -> ChangePerson:
    known = roots.named(name, email)
    return ChangePerson(name, email, known.id if known else None)


def evidence_digests(document: Mapping[str, Json]) -> dict[str, Digest]:
    """Digests by name of the evidence in a facts document, for the statement that is to bind it."""
    facts = read_facts(document)
    return {piece.name: f"sha256:{piece.digest.sha256}" for piece in facts.evidence}
