# SPDX-License-Identifier: Apache-2.0
"""``panel.toml`` as data: every key is known, every value is checked, nothing is guessed."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from evidence import PanelError, Severity

if TYPE_CHECKING:
    from pathlib import Path

PROBES = (
    "exposure",
    "targeting",
    "discovery",
    "counterfactual",
    "trigger",
    "disguise",
    "rollout",
    "brigade",
    "quality",
    "determinism",
    "attribution",
)

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Margin = Annotated[float, Field(gt=1.0, le=100.0, allow_inf_nan=False)]
_LIMIT = 1 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class SliceSpec(_Strict):
    """One ``[[slices]]`` table: ``name`` and ``where``, or ``each`` column."""

    name: Name | None = None
    where: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] | None = None
    each: Column | None = None
    margin: Margin = 1.10
    severity: Severity = Severity.MEDIUM
    public: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> SliceSpec:
        if (self.where is None) == (self.each is None):
            raise ValueError("a slice has either where (with name) or each")
        if (self.where is None) != (self.name is None):
            raise ValueError("name goes with where; slices by each are named after their values")
        return self


class CohortSpec(_Strict):
    """One ``[[cohorts]]`` table: a user column, or several for every combination of their values."""

    by: Column | Annotated[list[Column], Field(min_length=1, max_length=5)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The user columns, one or more."""
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)


class SecondarySpec(_Strict):
    """``[secondary]``: item columns each value of which is looked at in a family of its own."""

    each: list[Column] = []
    margin: Margin = 1.10


class ExposureSpec(_Strict):
    """``[exposure]``: position weights, what the churn null's strata are crossed with, and the column of sources."""

    weights: Annotated[str, StringConstraints(pattern=r"^(log2|uniform|reciprocal|cascade:0?\.\d+)$")] = "log2"
    match_on: list[Column] = []
    source: Column | None = None


class ProbesSpec(_Strict):
    """``[probes]``: what must have run for an audit to pass."""

    required: list[Literal[PROBES]] = ["exposure"]  # type: ignore[valid-type] # the tuple is the single list of names


class LabelSpec(_Strict):
    """One ``[labels.COLUMN]`` table: the document of a label learnt from text, a file beside ``panel.toml``."""

    document: Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.json$")]


class PanelToml(_Strict):
    """The whole of ``panel.toml``."""

    name: Name
    k: Annotated[int, Field(ge=1, le=1000)]
    depth: Annotated[int, Field(ge=1, le=10_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    alpha_fail: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    permutations: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    materiality: Annotated[float, Field(ge=0, le=1)] = 0.001
    edition: Annotated[int, Field(ge=0)] = 0
    exposure: ExposureSpec = ExposureSpec()
    context: dict[Name, Column] = {}
    probes: ProbesSpec = ProbesSpec()
    slices: list[SliceSpec] = []
    cohorts: list[CohortSpec] = []
    secondary: SecondarySpec = SecondarySpec()
    labels: dict[Column, LabelSpec] = {}

    @model_validator(mode="after")
    def _consistent(self) -> PanelToml:
        if self.depth is not None and self.depth < self.k:
            raise ValueError(f"depth = {self.depth} is less than k = {self.k}")
        if self.alpha_fail > self.alpha:
            raise ValueError(f"alpha_fail = {self.alpha_fail} is more than alpha = {self.alpha}")
        if 1.0 / (self.permutations + 1) > self.alpha_fail:
            raise ValueError(f"permutations = {self.permutations} can never reach alpha_fail = {self.alpha_fail}")
        return self


def read_panel_toml(path: Path) -> PanelToml:
    """Parse and check ``panel.toml``.

    Raises:
        PanelError: no such file, over 1 MiB, not TOML, an unknown key or a value out of range.
    """
    if not path.is_file():
        raise PanelError(f"{path.parent}: no panel.toml; a panel is a directory with panel.toml, items and users")
    data = path.read_bytes()
    if len(data) > _LIMIT:
        raise PanelError(f"{path.name}: {len(data)} bytes, over the limit of {_LIMIT}")
    try:
        return PanelToml.model_validate(tomllib.loads(data.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PanelError(f"{path.name}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise PanelError(f"{path.name}: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """One line for the first problem pydantic found: where, what, and the value where it is short."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place!r}"
    words = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    shown = f" (got {value!r})" if isinstance(value, str | int | float) and len(repr(value)) < 100 else ""  # noqa: PLR2004 - a line, not a page
    return f"{place or 'top level'}: {words}{shown}"
