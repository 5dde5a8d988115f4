# SPDX-License-Identifier: Apache-2.0
"""The build statement: what a lane's key says of one build under a recipe, and the only thing that it can say.

Also how a lane stops: a statement by the service that is logged at the first build outside of the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Digest, InputError, Json, Revision, Severity, Verdict, canonical
from signoff._strict import Count, Line, Sha256, StrictModel, Text, Time, format_time, parse_time, read_document
from signoff.leaves import leaf
from signoff.measures import Measures, outside
from signoff.statement import (
    RECIPE_NAME,
    STATEMENT_LIMIT,
    STATEMENT_TYPE,
    Change,
    EvidenceReference,
    Statement,
    Subject,
)

if TYPE_CHECKING:
    from datetime import datetime

    from signoff.envelope import Envelope
    from signoff.recipe import Recipe

BUILD_TYPE = "https://countersign.dev/build/v1"
STOP_TYPE = "https://countersign.dev/lane-stopped/v1"
BUILD_LEAF = "build"  # of the log's leaves
STOP_LEAF = "lane-stopped"  # of the log's leaves
BUILD_EVIDENCE = ("artifacts", "audit", "diff", "measures", "panel")


class Measured(StrictModel):
    """The bounds as measured, in the statement itself: all of it follows from the measures."""

    verdict: Verdict
    cells: Count
    lowest: Count | None
    highest: Count | None
    findings: Count
    severity: Severity | None


class PreviousBuild(StrictModel):
    """The build before under the same recipe: the SHA-256 of its statement, and when it was signed."""

    statement: Sha256
    signedAt: Time  # noqa: N815 - the names in this file are those of the signed document


class BuildPredicate(StrictModel):
    """What is said of a build."""

    recipe: Sha256
    lane: Line
    number: Annotated[int, Field(ge=1, le=1_000_000)]
    previous: PreviousBuild | None
    change: Change
    policy: Sha256
    evidence: tuple[EvidenceReference, ...]
    measured: Measured
    signedAt: Time  # noqa: N815


class BuildStatement(StrictModel):
    """The statement as read."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject]
    predicateType: Literal["https://countersign.dev/build/v1"]  # noqa: N815
    predicate: BuildPredicate

    @property
    def revision(self) -> Digest:
        """The digest of the build's revision manifest."""
        return f"sha256:{self.subject[0].digest.sha256}"

    @property
    def signed_at(self) -> datetime:
        """When it says to have been signed."""
        return parse_time(self.predicate.signedAt, "signedAt")

    @property
    def since(self) -> datetime | None:
        """When the build before was signed; None if this is the first."""
        previous = self.predicate.previous
        return None if previous is None else parse_time(previous.signedAt, "signedAt")


class StopPredicate(StrictModel):
    """Which lane stopped at which build, and why: in a word, since the log is public; ``detail`` names the rest."""

    service: Line
    lane: Line
    revision: Sha256 | None
    reason: Text
    stoppedAt: Time  # noqa: N815
    detail: Sha256 | None = None  # of a document that the reviewer keeps; left out where there is none


class StopSubject(StrictModel):
    """The recipe, by digest."""

    name: Literal["recipe"]
    digest: Sha256


class StopStatement(StrictModel):
    """The statement by which a lane stops, an in-toto Statement v1."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[StopSubject]
    predicateType: Literal["https://countersign.dev/lane-stopped/v1"]  # noqa: N815
    predicate: StopPredicate


@dataclass(frozen=True, slots=True)
class BuildPlace:
    """Where a build stands in its lane: its number, and the statement before it with its time."""

    number: int
    previous: tuple[Digest, datetime] | None


def build_countersignature(
    revision: Revision,
    *,
    recipe: Recipe,
    measures: Measures,
    place: BuildPlace,
    policy: str,
    signed_at: datetime,
) -> dict[str, Any]:
    """The statement of a build as a document; `canonical` of it is what the lane's key signs.

    Args:
        revision: the build, its base the revision that the recipe hangs on.
        recipe: the recipe that people signed.
        measures: what was measured.
        place: where it stands in its lane.
        policy: the hexadecimal SHA-256 of the policy in force.
        signed_at: when; no clock is read here.

    Raises:
        InputError: the build is outside of a bound; or the document would not be accepted by `read_build`.
    """
    previous = place.previous
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "revision", "digest": _digest_set(revision.digest)}],
        "predicateType": BUILD_TYPE,
        "predicate": {
            "recipe": _digest_set(recipe.digest),
            "lane": recipe.lane.id,
            "number": place.number,
            "previous": None
            if previous is None
            else {"statement": _digest_set(previous[0]), "signedAt": format_time(previous[1])},
            "change": {
                "repository": revision.repository,
                "targetRef": recipe.target_ref,
                "baseTree": revision.base.tree,
                "headTree": revision.head.tree,
                "headCommit": revision.head.commit,
            },
            "policy": {"sha256": policy},
            "evidence": _evidence(measures),
            "measured": measured(measures).model_dump(mode="json"),
            "signedAt": format_time(signed_at),
        },
    }
    check_build(read_build(canonical(document)), recipe, measures, revision)
    return document


def read_build(payload: bytes) -> BuildStatement:
    """Read a build's statement, once its signature has been verified.

    Raises:
        InputError: not canonical JSON, another document, other evidence, or a first build that has one before it.
    """
    statement = read_document(BuildStatement, payload, "build", limit=STATEMENT_LIMIT, only_canonical=True)
    predicate = statement.predicate
    names = tuple(one.name for one in predicate.evidence)
    if names not in {BUILD_EVIDENCE, BUILD_EVIDENCE[1:]}:  # artifacts were not asked for once
        raise InputError(f"build: its evidence is not {', '.join(BUILD_EVIDENCE)}")
    if (predicate.number == 1) != (predicate.previous is None):
        raise InputError("build: each build but the first names the one before")
    if statement.since is not None and statement.since > statement.signed_at:
        raise InputError("build: signed before the build before it")
    return statement


def check_build(build: BuildStatement, recipe: Recipe, measures: Measures, revision: Revision) -> None:
    """Check that a build's statement, its measures and its recipe are of one another, and the build within its bounds.

    What is *not* checked: that people signed the recipe, that the code is its code, and all of the log.

    Raises:
        InputError: the first thing that does not agree, or the bound that it is outside of.
    """
    predicate = build.predicate
    if _digest_set(recipe.digest) != predicate.recipe.model_dump() or predicate.lane != recipe.lane.id:
        raise InputError("the build is of another recipe, or of another lane")
    if build.revision != revision.digest or f"sha256:{measures.revision.sha256}" != revision.digest:
        raise InputError("the build or its measures are of another revision")
    said = predicate.change
    told = (revision.repository, revision.base.tree, revision.head.tree, revision.head.commit)
    if (said.repository, said.baseTree, said.headTree, said.headCommit) != told:
        raise InputError("the build's statement describes another change than its manifest")
    if (said.repository, said.targetRef) != (recipe.repository, recipe.target_ref):
        raise InputError("the build is for another repository or target than the recipe")
    if [one.model_dump(mode="json") for one in predicate.evidence] != _evidence(measures):
        raise InputError("the build names other evidence than its measures")
    if predicate.measured != measured(measures):
        raise InputError("the build says something else of its measures than follows from them")
    if measures.head.sha256 != revision.head.content:
        raise InputError("what was measured is not the content of the build")
    if predicate.number > recipe.builds:
        raise InputError(f"build {predicate.number} of the {recipe.builds} that the recipe allows")
    beyond = outside(recipe, measures)
    if beyond is not None:
        raise InputError(f"the build is outside of the recipe's bounds: {beyond}")


def check_approves(statement: Statement, recipe: Recipe) -> bool:
    """Whether a sign-off signs the recipe too: approves, and names it."""
    return statement.predicate.decision.approves and f"sha256:{statement.evidence_digest(RECIPE_NAME)}" == (
        recipe.digest
    )


def check_anchored(recipe: Recipe, anchor: Revision, build: Revision, measures: Measures) -> None:
    """Check that a build follows on the revision that its recipe hangs on, and brings only what it may bring.

    Raises:
        InputError: another repository, base or revision; an artifact more, less or other than the recipe allows.
    """
    if f"sha256:{recipe.revision.sha256}" != anchor.digest or recipe.repository != anchor.repository:
        raise InputError("the recipe hangs on another revision than the one that was signed")
    if build.repository != anchor.repository or measures.base.sha256 != anchor.head.content:
        raise InputError("the build was held against something else than the revision that was signed")
    if (build.base.commit, build.base.tree) != (anchor.head.commit, anchor.head.tree):
        raise InputError("the build starts from something else than the revision that was signed")
    before, after = ({one.name: one for one in side.artifacts} for side in (anchor, build))
    if before.keys() != after.keys():
        raise InputError("the build has other artifacts than the revision that was signed")
    changed = sorted(name for name, one in after.items() if before[name] != one and name not in recipe.names)
    if changed:
        raise InputError(f"the build changes artifact {changed[0]!r}, which the recipe does not allow")


def measured(measures: Measures) -> Measured:
    """What a build's statement says of its measures."""
    lowest, highest = measures.ratios
    return Measured(
        verdict=measures.verdict,
        cells=len(measures.cells),
        lowest=lowest,
        highest=highest,
        findings=measures.findings,
        severity=measures.severity,
    )


def build_stop(
    recipe: Recipe,
    *,
    service: str,
    revision: Digest | None,
    reason: str,
    stopped_at: datetime,
    detail: Digest | None = None,
) -> dict[str, Any]:
    """The statement by which a lane stops; the service's own key signs it, since the lane's can sign nothing else.

    It is logged for everybody: ``reason`` is a word, and ``detail`` the digest of a document that says more.

    Raises:
        InputError: the document would not be accepted by `read_stop`.
    """
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "recipe", "digest": _digest_set(recipe.digest)}],
        "predicateType": STOP_TYPE,
        "predicate": {
            "service": service,
            "lane": recipe.lane.id,
            "revision": None if revision is None else _digest_set(revision),
            "reason": reason,
            "stoppedAt": format_time(stopped_at),
            **({} if detail is None else {"detail": _digest_set(detail)}),
        },
    }
    read_stop(canonical(document))
    return document


def read_stop(payload: bytes) -> StopStatement:
    """Read how a lane stopped, once the signature has been verified.

    Raises:
        InputError: not canonical JSON, or another document.
    """
    return read_document(StopStatement, payload, "lane-stopped", limit=STATEMENT_LIMIT, only_canonical=True)


def build_leaf(envelope: Envelope) -> dict[str, Json]:
    """The log's leaf of a build."""
    return leaf(BUILD_LEAF, envelope=envelope.to_json())


def stop_leaf(envelope: Envelope) -> dict[str, Json]:
    """The log's leaf of a lane that stops."""
    return leaf(STOP_LEAF, envelope=envelope.to_json())


def _evidence(measures: Measures) -> list[dict[str, Any]]:
    return [{"name": name, "digest": {"sha256": named}} for name, named in measures.evidence.items()]


def _digest_set(value: Digest) -> dict[str, str]:
    return {"sha256": value.removeprefix("sha256:")}
