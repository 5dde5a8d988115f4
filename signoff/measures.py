# SPDX-License-Identifier: Apache-2.0
"""What was measured of a build, small enough to travel in a bundle, and whether it lies within a recipe's bounds.

Slices, cohorts and users stay with the reviewer: of an audit's primary cells there are verdict and ratio alone, the
ratio rounded away from 1 to thousandths, in the order of their size, so that nobody learns which is which.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import CellVerdict, InputError, Json, Severity, Verdict, canonical, sha256_hex
from signoff._strict import Count, Line, Sha256, StrictModel, read_document
from signoff.facts import PersonEntry, people_list
from signoff.recipe import WHOLE_RATIO, Whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evidence import Digest, Revision
    from signoff.recipe import Recipe

MEASURES_SCHEMA = "countersign/measures/v1"
MEASURES_LIMIT = 4 << 20  # bytes
_MOST = (1 << 53) - 1
_UNKNOWN = -1  # sorts a ratio that is not known before all others


class CellMeasure(StrictModel):
    """A primary cell of the audit: its verdict and its ratio in thousandths, None where there is none."""

    verdict: CellVerdict
    ratio: Count | None


class DataMeasure(StrictModel):
    """A figure that the build gives of its data."""

    name: Line
    value: Whole


class ArtifactsMeasure(StrictModel):
    """What comparing the models and data inside the artifacts came to: the document's digest, and its verdict."""

    digest: Sha256
    verdict: Verdict


class Measures(StrictModel):
    """The document, ``countersign/measures/v1``. ``base`` and ``head`` are contents as in a revision manifest.

    ``people`` are all who had a hand in the build: commits, pusher, launcher of its training, supplier of artifacts.
    """

    schema_name: Literal["countersign/measures/v1"] = Field(alias="schema")
    revision: Sha256
    audit: Sha256
    diff: Sha256
    panel: Sha256
    base: Sha256
    head: Sha256
    verdict: Verdict
    analysed: bool
    unsafe: bool
    cells: Annotated[tuple[CellMeasure, ...], Field(max_length=100_000)]
    findings: Count
    severity: Severity | None
    data: Annotated[tuple[DataMeasure, ...], Field(max_length=100)]
    artifacts: ArtifactsMeasure | None = None  # left out, as is the next, by who measured before they were asked for
    people: Annotated[tuple[PersonEntry, ...], Field(min_length=1, max_length=10_000)] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The document itself."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def evidence(self) -> dict[str, str]:
        """The hexadecimal SHA-256 by name of what a build's statement rests on, these measures among it."""
        named = {"audit": self.audit, "diff": self.diff, "panel": self.panel}
        if self.artifacts is not None:
            named["artifacts"] = self.artifacts.digest
        own = sha256_hex(canonical(self.document))
        return dict(sorted({**{name: one.sha256 for name, one in named.items()}, "measures": own}.items()))

    @property
    def ratios(self) -> tuple[int | None, int | None]:
        """The lowest and the highest ratio; None where one is not known, or there is no cell."""
        known = [cell.ratio for cell in self.cells if cell.ratio is not None]
        if not known or len(known) != len(self.cells):
            return None, None
        return min(known), max(known)


def build_measures(
    revision: Revision,
    *,
    audit: tuple[Digest, Json],
    diff: tuple[Digest, Json],
    artifacts: tuple[Digest, Json],
    people: Iterable[tuple[str, str]],
    data: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The measures of a build out of its evidence.

    Args:
        revision: the build.
        audit: digest and document of the audit, of the build against the recipe's revision.
        diff: digest and document of the diff.
        artifacts: digest and document of what changed inside the artifacts.
        people: (name, address) of everybody who had a hand in the build.
        data: the figures of its summary of data that the recipe bounds.

    Raises:
        InputError: the document would not be accepted by `read_measures`; an audit that is none.
    """
    try:
        found = [*audit[1]["findings"], *diff[1]["findings"], *artifacts[1]["findings"]]
        severities = [Severity(one["severity"]) for one in found]
        cells = [_cell(one) for one in audit[1]["cells"] if one["family"] == "primary"]
        document: dict[str, Any] = {
            "schema": MEASURES_SCHEMA,
            "revision": _sha256(revision.digest),
            "audit": _sha256(audit[0]),
            "diff": _sha256(diff[0]),
            "panel": _sha256(audit[1]["panel"]["digest"]),
            "base": _sha256(audit[1]["base"]["digest"]),
            "head": _sha256(audit[1]["head"]["digest"]),
            "verdict": audit[1]["verdict"],
            "analysed": diff[1]["verdict"] != Verdict.INCONCLUSIVE,
            "unsafe": bool(audit[1].get("unsafe", False)),
            "cells": sorted(cells, key=_order),
            "findings": len(found),
            "severity": max(severities, key=lambda one: one.rank).value if severities else None,
            "data": [{"name": name, "value": value} for name, value in sorted((data or {}).items())],
            "artifacts": {"digest": _sha256(artifacts[0]), "verdict": artifacts[1]["verdict"]},
            "people": people_list(people),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"measures: the evidence is not that of an audit and a diff: {error}") from error
    read_measures(document)
    return document


def read_measures(document: Mapping[str, Json]) -> Measures:
    """Read measures that were parsed already.

    Raises:
        InputError: not measures, or cells or data out of order.
    """
    found = read_document(Measures, canonical(dict(document)), "measures", limit=MEASURES_LIMIT, only_canonical=True)
    cells = [cell.model_dump(mode="json") for cell in found.cells]
    if cells != sorted(cells, key=_order):
        raise InputError("measures: the cells are not in order")
    names = [one.name for one in found.data]
    if names != sorted(set(names)):
        raise InputError("measures: the figures of data are not in the order of their names, or one is there twice")
    people = [(one.name, one.email) for one in found.people or ()]
    if people != sorted(set(people)):
        raise InputError("measures: the people are not in order, or one is there twice")
    if {"artifacts", "people"} & {name for name in found.model_fields_set if getattr(found, name) is None}:
        raise InputError("measures: artifacts or people are null; they are left out where they are not known")
    return found


def outside(recipe: Recipe, measures: Measures) -> str | None:
    """The first bound of a recipe that a build is outside of; None if it is within all. What is not known is outside.

    What is *not* checked: that the measures are of this build; `signoff.builds.check_build` does.
    """
    return next(filter(None, _reasons(recipe, measures)), None)


def _reasons(recipe: Recipe, measures: Measures) -> Iterable[str | None]:
    yield "the audit ran without a sandbox" if measures.unsafe else None
    yield "audited with another panel than the recipe's" if measures.panel != recipe.panel else None
    yield f"the audit's verdict is {measures.verdict}" if measures.verdict is not Verdict.PASS else None
    yield "who had a hand in it is not known" if measures.people is None else None
    changed = None if measures.artifacts is None else measures.artifacts.verdict
    yield "what changed inside the artifacts is not known" if changed is None else None
    yield f"what changed inside the artifacts: {changed}" if changed is Verdict.FAIL else None
    yield "the audit has no primary cell" if not measures.cells else None
    beyond = sum(not _within(recipe.ratio, cell.ratio) for cell in measures.cells)
    yield f"{beyond} of {len(measures.cells)} primary cells beyond the recipe's ratio" if beyond else None
    yield "something in it was not analysed" if not measures.analysed else None
    worst = measures.severity
    above = worst is not None and worst.rank > recipe.severity.rank
    yield f"a finding of severity {worst}, above {recipe.severity}" if above else None
    said = {one.name: one.value for one in measures.data}
    for bound in recipe.data.bounds:
        value = said.get(bound.name)
        if value is None or not bound.least <= value <= bound.most:
            yield f"the data's {bound.name} is {'not known' if value is None else 'beyond its bounds'}"


def _within(limit: int, ratio: int | None) -> bool:
    """Whether a ratio lies between 1 / limit and limit."""
    return ratio is not None and ratio <= limit and ratio * limit >= WHOLE_RATIO * WHOLE_RATIO


def _cell(cell: Mapping[str, Json]) -> dict[str, Json]:
    ratio = cell["ratio"]
    if ratio is None:
        nothing = cell["base_share"] == cell["head_share"] == 0
        return {"verdict": cell["verdict"], "ratio": WHOLE_RATIO if nothing else None}
    exact = float(ratio) * WHOLE_RATIO
    if not math.isfinite(exact) or not 0 <= exact < _MOST:
        return {"verdict": cell["verdict"], "ratio": None}
    return {"verdict": cell["verdict"], "ratio": math.ceil(exact) if exact > WHOLE_RATIO else math.floor(exact)}


def _order(cell: Mapping[str, Json]) -> tuple[int, str]:
    return (_UNKNOWN if cell["ratio"] is None else cell["ratio"], cell["verdict"])


def _sha256(value: Digest) -> dict[str, str]:
    return {"sha256": value.removeprefix("sha256:")}
