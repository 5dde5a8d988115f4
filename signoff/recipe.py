# SPDX-License-Identifier: Apache-2.0
"""The recipe: what people sign once, so that machines may countersign the builds of a recommender that retrains.

It names the code and the artifacts that may differ from the revision it hangs on, and the bounds that each build is
held to. Reviewers sign it with a sign-off of that revision: its digest stands in the statement's evidence under
``recipe``, and ``builds`` in its scope. So all that the policy asks of a sign-off, it asks of a recipe.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evidence import Digest, InputError, Json, Severity, canonical, sha256_hex
from signoff._strict import Line, Sha256, StrictModel, Time, format_time, parse_time, read_document
from signoff.leaves import key_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from evidence import Revision
    from signoff.keys import PublicKey

RECIPE_SCHEMA = "countersign/recipe/v1"
RECIPE_LIMIT = 64 << 10  # bytes
SUMMARY_LIMIT = 64 << 10  # bytes of a build's summary of its data
WHOLE_RATIO = 1000  # ratios are in thousandths: no reader rounds them
_MANIFEST = "countersign.toml"
_LONGEST = timedelta(days=366)

Whole = Annotated[int, Field(ge=-(1 << 53) + 1, le=(1 << 53) - 1)]
_Path = Annotated[str, Field(min_length=1, max_length=1000)]


class AllowedArtifact(StrictModel):
    """An artifact that builds may bring anew: its name, and its path where it is in the repository."""

    name: Line
    path: _Path | None


class DataBound(StrictModel):
    """A figure of a build's own summary of its data, and what it must lie between."""

    name: Line
    least: Whole
    most: Whole


class DataContract(StrictModel):
    """What builds are trained on: a contract that is part of the code, and bounds on what a build says of its data.

    ``summary`` is the path of one of the artifacts that may differ: a JSON object of names to whole numbers. It is the
    platform's own word.
    """

    contract: Sha256 | None
    path: _Path | None
    summary: _Path | None
    bounds: Annotated[tuple[DataBound, ...], Field(max_length=100)]


class LaneReference(StrictModel):
    """The lane whose key may countersign, and the SHA-256 of that key's OpenSSH blob."""

    id: Line
    key: Sha256


class Recipe(StrictModel):
    """The recipe as written, ``countersign/recipe/v1``. A build outside of any bound stops the lane."""

    schema_name: Literal["countersign/recipe/v1"] = Field(alias="schema")
    revision: Sha256
    repository: Line
    target_ref: Line
    code: Sha256
    artifacts: Annotated[tuple[AllowedArtifact, ...], Field(min_length=1, max_length=100)]
    data: DataContract
    panel: Sha256
    ratio: Annotated[int, Field(ge=WHOLE_RATIO, le=10 * WHOLE_RATIO)]
    severity: Severity
    builds: Annotated[int, Field(ge=1, le=1_000_000)]
    interval_hours: Annotated[int, Field(ge=1, le=8784)]
    lane: LaneReference
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    issued_at: Time
    expires_at: Time

    @property
    def paths(self) -> frozenset[str]:
        """The paths in the repository at which builds may differ."""
        return frozenset(one.path for one in self.artifacts if one.path is not None)

    @property
    def names(self) -> frozenset[str]:
        """The names of the artifacts that builds may bring anew."""
        return frozenset(one.name for one in self.artifacts)

    @property
    def ends(self) -> datetime:
        """From when on nothing is countersigned under it, and nothing that was counts."""
        return parse_time(self.expires_at, "expires_at")

    @property
    def begins(self) -> datetime:
        """When it was written."""
        return parse_time(self.issued_at, "issued_at")

    @property
    def interval(self) -> timedelta:
        """For how long a lane may lie still; after that people sign the recipe anew."""
        return timedelta(hours=self.interval_hours)

    @property
    def words(self) -> str:
        """The recipe in a sentence."""
        names = ", ".join(one.name if one.path is None else f"{one.name} ({one.path})" for one in self.artifacts)
        data = "".join(f", {one.name} of the data {one.least} to {one.most}" for one in self.data.bounds)
        return (
            f"{self.builds} builds by the lane {self.lane.id} that change {names} and nothing else, every primary cell "
            f"within {self.ratio / WHOLE_RATIO:g}, no finding above {self.severity}{data}, at most "
            f"{self.interval_hours} h apart, until {self.ends:%Y-%m-%d %H:%M} UTC"
        )

    @property
    def document(self) -> dict[str, Any]:
        """The document itself."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> Digest:
        """The digest by which statements, builds and the log name it."""
        return f"sha256:{sha256_hex(canonical(self.document))}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reviewer decides of a recipe. ``ratio`` is in thousandths, ``life`` from ``issued_at`` on."""

    artifacts: Mapping[str, str | None]  # path by name; None where it is not in the repository
    ratio: int
    severity: Severity
    builds: int
    interval_hours: int
    life: timedelta
    contract: tuple[str, str] | None = None  # path, and hexadecimal SHA-256 of its content
    summary: str | None = None
    bounds: tuple[tuple[str, int, int], ...] = ()


def build_recipe(
    revision: Revision,
    *,
    target_ref: str,
    code: str,
    panel: Digest,
    terms: Terms,
    lane: tuple[str, PublicKey],
    nonce: str,
    issued_at: datetime,
) -> dict[str, Any]:
    """The recipe as a document.

    Args:
        revision: what builds are held against: its code, and what it does.
        target_ref: where builds go.
        code: the hexadecimal content digest of head without the artifacts that may differ.
        panel: the digest of the panel that builds are audited with.
        terms: the reviewer's bounds.
        lane: the lane's id and the key that may countersign.
        nonce: another one each time, so that a recipe that is signed anew is another one.
        issued_at: when; no clock is read here.

    Raises:
        InputError: the document would not be accepted by `read_recipe`.
    """
    contract = terms.contract
    document = {
        "schema": RECIPE_SCHEMA,
        "revision": _sha256(revision.digest),
        "repository": revision.repository,
        "target_ref": target_ref,
        "code": {"sha256": code},
        "artifacts": [{"name": name, "path": terms.artifacts[name]} for name in sorted(terms.artifacts)],
        "data": {
            "contract": None if contract is None else {"sha256": contract[1]},
            "path": None if contract is None else contract[0],
            "summary": terms.summary,
            "bounds": [{"name": name, "least": least, "most": most} for name, least, most in sorted(terms.bounds)],
        },
        "panel": _sha256(panel),
        "ratio": terms.ratio,
        "severity": terms.severity.value,
        "builds": terms.builds,
        "interval_hours": terms.interval_hours,
        "lane": {"id": lane[0], "key": {"sha256": key_sha256(lane[1])}},
        "nonce": nonce,
        "issued_at": format_time(issued_at),
        "expires_at": format_time(issued_at + terms.life),
    }
    read_recipe(document)
    return document


def read_recipe(document: Mapping[str, Json]) -> Recipe:
    """Read a recipe that was parsed already.

    What is *not* checked: that anybody signed it, and that revision, code and panel are as it says.

    Raises:
        InputError: not a recipe; an artifact, path or bound twice or out of order; a path that is none, or that of the
            manifest; bounds without a summary, or a summary that is no artifact; it ends before it begins, or after
            more than a year.
    """
    recipe = read_document(Recipe, canonical(dict(document)), "recipe", limit=RECIPE_LIMIT, only_canonical=True)
    _in_order([one.name for one in recipe.artifacts], "artifacts")
    _in_order([one.name for one in recipe.data.bounds], "bounds")
    paths = [one.path for one in recipe.artifacts if one.path is not None]
    if len(set(paths)) != len(paths):
        raise InputError("recipe: two artifacts at one path")
    for path in [*paths, *filter(None, [recipe.data.path])]:
        if not _is_path(path):
            raise InputError(f"recipe: {path[:80]!r} is no path of a file in a repository")
    if _MANIFEST in paths or recipe.data.path in paths:
        raise InputError("recipe: builds may change neither countersign.toml nor the data contract")
    if recipe.data.summary is not None and recipe.data.summary not in paths:
        raise InputError("recipe: the summary of the data is not among the artifacts that builds bring")
    if recipe.data.bounds and recipe.data.summary is None:
        raise InputError("recipe: there are bounds on data, and no summary to hold to them")
    if any(one.least > one.most for one in recipe.data.bounds):
        raise InputError("recipe: a bound on data that nothing could meet")
    if (recipe.data.contract is None) != (recipe.data.path is None):
        raise InputError("recipe: a data contract has a path and a digest")
    if not recipe.begins < recipe.ends <= recipe.begins + _LONGEST:
        raise InputError(f"recipe: it ends within {_LONGEST.days} days of its beginning, and not before")
    return recipe


def _is_path(path: str) -> bool:
    return (
        path.isprintable()
        and posixpath.normpath(path) == path
        and not path.startswith(("/", "../"))
        and path not in {".", ".."}
    )


def _in_order(names: Iterable[str], what: str) -> None:
    listed = list(names)
    if listed != sorted(set(listed)):
        raise InputError(f"recipe: its {what} are not in the order of their names, or one is there twice")


def _sha256(value: Digest) -> dict[str, str]:
    return {"sha256": value.removeprefix("sha256:")}
