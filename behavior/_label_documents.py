# SPDX-License-Identifier: Apache-2.0
"""What stands beside a label that was learnt from text: how good it is, and what else it could have been.

Two files a label, both in the panel's folder: a document (JSON) and what the model of each fold would have said of
every item (Parquet). The document names the label column and the other file by digest, so neither can be changed
without the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from behavior._panel_toml import first_problem
from behavior._tables import read_table, table_digest
from evidence import Digest, InputError, PanelError, document_digest, parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from behavior._panel_toml import PanelToml

LABEL_SCHEMA = "countersign/panel-label/v1"

_LIMIT = 4 << 20

_Share = Annotated[float, Field(ge=0, le=1)]
_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CurveBin(_Strict):
    """Examples with labels alike: their mean label, the share that is true, how many."""

    label: _Share
    share: _Share
    examples: Annotated[int, Field(ge=1)]


class LabelQuality(_Strict):
    """Out-of-fold quality of the calibrated labels."""

    average_precision: _Share
    roc_auc: _Share
    brier: _Share
    calibration_error: _Share
    curve: list[CurveBin]


class LabelExamples(_Strict):
    """What the label was learnt from."""

    digest: _Hex
    text: list[str]
    label: str
    positive: str | None
    group: str | None
    true: Annotated[int, Field(ge=1)]
    false: Annotated[int, Field(ge=1)]
    groups: Annotated[int, Field(ge=2)]
    known_words: _Share


class LabelItems(_Strict):
    """What the label was put on. ``digest`` is over item ids and labels.

    ``discrimination`` is the mean degree of the true items less that of the others, if degrees are chances (Tjur 2009,
    doi:10.1198/tast.2009.08210): about the share of a lift of the true items that shows in the label's ratio.
    """

    digest: _Hex
    text: list[str]
    mean: _Share
    discrimination: _Share
    known_words: _Share
    without_text: Annotated[int, Field(ge=0)]
    among_examples: Annotated[int, Field(ge=0)]


class LabelDocument(_Strict):
    """The document of one label; ``docs/schemas/panel-label.schema.json``."""

    schema_: Annotated[Literal["countersign/panel-label/v1"], Field(alias="schema")]
    column: str
    model: Literal["word and character TF-IDF, logistic regression, Platt calibration"]
    folds: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0)]
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None
    examples: LabelExamples
    items: LabelItems
    quality: LabelQuality
    warnings: list[str]
    calibrations: Annotated[list[tuple[float, float]], Field(min_length=2)]
    by_fold: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.parquet$")]
    by_fold_digest: _Hex
    version: str


@dataclass(frozen=True, eq=False)
class LearntLabel:
    """A label column with its document. ``by_fold`` is folds x items, in the order of the panel's items."""

    column: str
    document: LabelDocument
    by_fold: np.ndarray[Any, np.dtype[np.float64]]
    digest: Digest

    @property
    def notes(self) -> list[str]:
        """What is wrong with the label, a line each; empty where nothing is."""
        return [f"label {self.column!r}: {warning}" for warning in self.document.warnings]


def read_labels(folder: Path, toml: PanelToml, items: pl.DataFrame, items_file: str) -> tuple[LearntLabel, ...]:
    """The learnt labels a panel refers to, held against the items.

    Raises:
        PanelError: a missing or changed file, a document that is not one, labels that are not those of the items.
    """
    found = []
    for column, spec in sorted(toml.labels.items()):
        if column not in items.columns:
            raise PanelError(f"{items_file}: no column {column!r} (labels in panel.toml)")
        document = read_document(folder / spec.document)
        if document.column != column:
            raise PanelError(f"{spec.document}: is of column {document.column!r}, not {column!r}")
        if labels_digest(items, column) != document.items.digest:
            raise PanelError(f"{spec.document}: column {column!r} of {items_file} is not as it was learnt; label anew")
        by_fold = read_table(folder / document.by_fold, ["item_id"])
        if table_digest(by_fold) != document.by_fold_digest:
            raise PanelError(f"{document.by_fold}: is not the file that {spec.document} names; label anew")
        ordered = items.select("item_id").join(by_fold, on="item_id", how="left", maintain_order="left")
        values = ordered.drop("item_id").to_numpy().T
        digest = document_digest(document.model_dump(mode="json", by_alias=True))
        found.append(LearntLabel(column, document, np.ascontiguousarray(values, dtype=np.float64), digest))
    return tuple(found)


def read_document(path: Path) -> LabelDocument:
    """A label's document. PanelError where it is missing, too large or not one."""
    if not path.is_file():
        raise PanelError(f"{path.parent}: no {path.name} (labels in panel.toml)")
    try:
        return LabelDocument.model_validate(parse_json(path.read_bytes(), path.name, limit=_LIMIT))
    except ValidationError as error:
        raise PanelError(f"{path.name}: {first_problem(error)}") from error
    except InputError as error:
        raise PanelError(str(error)) from error


def labels_digest(items: pl.DataFrame, column: str) -> str:
    """The digest of who has which label, whatever the order of items."""
    values = items.select("item_id", pl.col(column).cast(pl.Float64).alias("label"))
    return table_digest(values.sort("item_id"))
