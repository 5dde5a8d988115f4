# SPDX-License-Identifier: Apache-2.0
"""``panel label``: a soft label for a panel's items, learnt from examples the panel's owner supplies."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from behavior._drafts import require_absent
from behavior._label_documents import LABEL_SCHEMA, LabelDocument, labels_digest
from behavior._tables import find_table, read_any_table, table_digest, write_table
from behavior._text_model import Examples, learn
from behavior.cells import rounded
from behavior.panels import read_panel
from evidence import VERSION, PanelError, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior._text_model import Learnt

Flags = np.ndarray[Any, np.dtype[np.bool_]]

KEPT = "items.unlabelled"  # the stem under which the items stay as they were before the first label

_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,59}")
_FEWEST = 20  # examples of each kind, below which nothing is learnt
_FEW = 100
_POOR_AREA, _POOR_GAIN, _POOR_ERROR, _BLURRED, _FOREIGN = 0.8, 0.5, 0.1, 0.5, 0.7
_MODEL: Literal["word and character TF-IDF, logistic regression, Platt calibration"] = (
    "word and character TF-IDF, logistic regression, Platt calibration"
)


@dataclass(frozen=True, slots=True)
class ExampleColumns:
    """Columns of the table of examples. ``text`` empty: as the items' if they are there, else ``text``.

    ``positive`` is the value of ``label`` that counts as true; None takes true and false, or 1 and 0. Examples of one
    ``group`` are never used to judge what was learnt from others of it; None groups the same texts.
    """

    text: Sequence[str] = ()
    label: str = "label"
    positive: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Learning:
    """How a label is learnt: folds, seed, and the share of items that is true, where it is known."""

    folds: int = 5
    seed: int = 0
    prevalence: float | None = None


def label_panel(
    folder: Path,
    examples_file: Path,
    column: str,
    text: Sequence[str],
    *,
    columns: ExampleColumns | None = None,
    learning: Learning | None = None,
    out: Path | None = None,
    in_place: bool = False,
) -> LabelDocument:
    """Learn ``column`` from the examples and write it, its document and its folds into a panel.

    The panel is built anew beside the old one and read back before anything is replaced. With ``out`` the old one
    stays as it is; with ``in_place`` it is replaced; else it is too, and its first items stay in ``items.unlabelled``.

    Raises:
        PanelError: not a panel, examples that cannot be used or teach nothing, a column that is there and was not
            learnt. Nothing is changed then.
    """
    columns, learning = columns or ExampleColumns(), learning or Learning()
    if out is not None:
        require_absent(out)
        if out.resolve().is_relative_to(folder.resolve()):
            raise PanelError(f"{out}: is inside the panel; name a folder beside it")
    panel, folder = read_panel(folder), folder.resolve()
    items_path = find_table(folder, "items")
    if items_path is None:  # read_panel has found one
        raise PanelError(f"{folder}: no items")
    if not _COLUMN.fullmatch(column):
        raise PanelError(f"--column {column[:60]!r}: a label's name is small letters, digits and underscores")
    if column in panel.items.columns and column not in panel.toml.labels:
        raise PanelError(f"{items_path.name}: column {column!r} is there already and was not learnt; name another")
    if column in text:
        raise PanelError(f"--text {column!r}: a label is not learnt from itself")
    texts = _texts(panel.items, text, items_path.name, "--text")
    frame, given = _examples(examples_file, columns, text)
    learnt = learn(given, texts, folds=learning.folds, seed=learning.seed, prevalence=learning.prevalence)
    items = panel.items.with_columns(pl.Series(column, learnt.labels))
    folds = pl.DataFrame(
        {"item_id": panel.items["item_id"], **{f"fold_{n}": values for n, values in enumerate(learnt.by_fold)}}
    )
    document = _document(column, text, texts, columns, learning, frame, given, learnt, items, folds)
    with tempfile.TemporaryDirectory(prefix=".panel-", dir=(out or folder).parent) as place:
        made = Path(place) / "panel"
        shutil.copytree(folder, made)
        (made / _document_name(column)).write_bytes(canonical(document.model_dump(mode="json", by_alias=True)) + b"\n")
        write_table(folds, made / document.by_fold)
        write_table(items, made / items_path.name)
        if column not in panel.toml.labels:
            _refer(made / "panel.toml", column)
        read_panel(made)
        if out is not None:
            require_absent(out)
            made.rename(out)
        else:
            kept = f"{KEPT}{items_path.suffix}"
            if not in_place and not (folder / kept).exists():
                shutil.copy2(folder / items_path.name, made / kept)
            changed = [_document_name(column), document.by_fold, items_path.name, "panel.toml"]
            _replace(made, folder, [*([kept] if (made / kept).is_file() else []), *changed])
    return document


def _texts(frame: pl.DataFrame, columns: Sequence[str], file: str, option: str) -> list[str]:
    if not columns:
        raise PanelError(f"{file}: no column of text is named ({option}); it has {', '.join(frame.columns)}")
    for column in columns:
        if column not in frame.columns:
            raise PanelError(f"{file}: no column {column!r} ({option}); it has {', '.join(frame.columns)}")
        if frame[column].dtype != pl.String:
            raise PanelError(f"{file}: column {column!r} is {frame[column].dtype}; a label is learnt from text")
    joined = pl.concat_str([pl.col(column).fill_null("") for column in columns], separator="\n")
    return frame.select(joined.alias("text"))["text"].to_list()


def _examples(path: Path, columns: ExampleColumns, text: Sequence[str]) -> tuple[pl.DataFrame, Examples]:
    frame, file = read_any_table(path), path.name
    wanted = list(columns.text) or (list(text) if set(text) <= set(frame.columns) else ["text"])
    texts = _texts(frame, wanted, file, "--example-text")
    labels = _truths(frame, columns, file)
    if columns.group is not None and columns.group not in frame.columns:
        raise PanelError(f"{file}: no column {columns.group!r} (--group); it has {', '.join(frame.columns)}")
    blank = [row for row, value in enumerate(texts) if not value.strip()]
    if blank:
        raise PanelError(f"{file}: column {wanted[0]!r}: no text in row {blank[0] + 1} ({len(blank)} such)")
    grouped = pl.Series(texts) if columns.group is None else frame[columns.group].cast(pl.String).fill_null("")
    groups = grouped.rank("dense").to_numpy().astype(np.int64)
    for kind, name in ((True, "true"), (False, "false")):
        count = int((labels == kind).sum())
        if count < _FEWEST:
            raise PanelError(
                f"{file}: column {columns.label!r}: {count} examples are {name}; at least {_FEWEST} are needed"
            )
    used = pl.DataFrame({"text": texts, "label": labels, "group": groups})
    both = used.group_by("text").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1).sort("text")
    if both.height:
        raise PanelError(f"{file}: text {both['text'][0][:60]!r} is true and false ({both.height} such)")
    return used, Examples(texts, labels, groups)


def _truths(frame: pl.DataFrame, columns: ExampleColumns, file: str) -> Flags:
    if columns.label not in frame.columns:
        raise PanelError(f"{file}: no column {columns.label!r} (--label); it has {', '.join(frame.columns)}")
    values = frame[columns.label]
    if values.null_count():
        raise PanelError(f"{file}: column {values.name!r}: no value in row {int(values.is_null().arg_true()[0]) + 1}")
    if columns.positive is not None:
        true = values.cast(pl.String) == columns.positive
        if not true.any():
            raise PanelError(f"{file}: column {values.name!r}: {columns.positive!r} (--positive) is nowhere in it")
        return true.to_numpy()
    if values.dtype == pl.Boolean:
        return values.to_numpy()
    if not values.dtype.is_numeric():
        raise PanelError(f"{file}: column {values.name!r} is {values.dtype}; say which value is true (--positive)")
    wrong = ~values.is_in([0, 1])
    if wrong.any():
        raise PanelError(
            f"{file}: column {values.name!r}: {values.filter(wrong)[0]} is not 0 or 1 ({wrong.sum()} such)"
        )
    return (values == 1).to_numpy()


def _document(  # noqa: PLR0913, PLR0917 - everything that a document says
    column: str,
    text: Sequence[str],
    texts: Sequence[str],
    columns: ExampleColumns,
    learning: Learning,
    frame: pl.DataFrame,
    given: Examples,
    learnt: Learnt,
    items: pl.DataFrame,
    folds: pl.DataFrame,
) -> LabelDocument:
    quality = learnt.quality
    return LabelDocument.model_validate(
        {
            "schema": LABEL_SCHEMA,
            "column": column,
            "model": _MODEL,
            "folds": learning.folds,
            "seed": learning.seed,
            "prevalence": learning.prevalence,
            "examples": {
                "digest": table_digest(frame),
                "text": list(columns.text) or list(text),
                "label": columns.label,
                "positive": columns.positive,
                "group": columns.group,
                "true": int(given.labels.sum()),
                "false": int((~given.labels).sum()),
                "groups": len(np.unique(given.groups)),
                "known_words": rounded(learnt.known[1]),
            },
            "items": {
                "digest": labels_digest(items, column),
                "text": list(text),
                "mean": rounded(float(learnt.labels.mean())),
                "discrimination": rounded(_discrimination(learnt)),
                "known_words": rounded(learnt.known[0]),
                "without_text": sum(not value.strip() for value in texts),
                "among_examples": learnt.among_examples,
            },
            "quality": {
                "average_precision": rounded(quality.average_precision),
                "roc_auc": rounded(quality.roc_auc),
                "brier": rounded(quality.brier),
                "calibration_error": rounded(quality.calibration_error),
                "curve": [
                    {"label": rounded(one.label), "share": rounded(one.share), "examples": one.examples}
                    for one in quality.curve
                ],
            },
            "warnings": _warnings(given, learnt),
            "calibrations": [[rounded(slope), rounded(offset)] for slope, offset in learnt.calibrations],
            "by_fold": f"label-{column}.parquet",
            "by_fold_digest": table_digest(folds),
            "version": VERSION,
        }
    )


def _discrimination(learnt: Learnt) -> float:
    """The mean degree of true items less that of others, each item true with the chance that is its degree."""
    chance = learnt.labels
    true, other = (chance * chance).sum() / chance.sum(), (chance * (1.0 - chance)).sum() / (1.0 - chance).sum()
    return float(min(max(true - other, 0.0), 1.0))


def _warnings(given: Examples, learnt: Learnt) -> list[str]:
    """What a reader must know before trusting the label."""
    quality, share = learnt.quality, float(given.labels.mean())
    gain = (quality.average_precision - share) / (1.0 - share)
    fewest = int(min(given.labels.sum(), (~given.labels).sum()))
    found = []
    if quality.roc_auc < _POOR_AREA or gain < _POOR_GAIN:
        found.append(
            f"of low quality: out of fold its average precision is {quality.average_precision:.2f}"
            f" ({share:.2f} by chance) and its ROC AUC {quality.roc_auc:.2f}"
        )
    if (shown := _discrimination(learnt)) < _BLURRED:
        found.append(f"a lift of what it stands for shows at about {shown:.0%} of its size, or less")
    if quality.calibration_error > _POOR_ERROR:
        found.append(f"labels and shares differ by {quality.calibration_error:.2f} on average")
    if fewest < _FEW:
        found.append(f"learnt from {fewest} examples of one kind; {_FEW} or more say more")
    if learnt.known[0] < _FOREIGN * learnt.known[1]:
        found.append(
            f"the items do not read like the examples: {learnt.known[0]:.0%} of their words were met in training,"
            f" of the examples' {learnt.known[1]:.0%}"
        )
    return found


def _document_name(column: str) -> str:
    return f"label-{column}.json"


def _refer(toml: Path, column: str) -> None:
    """Add the reference at the end of ``panel.toml``, where a new table may always stand."""
    text = toml.read_text(encoding="utf-8")
    text += "" if text.endswith("\n") else "\n"
    text += f'\n[labels.{column}]  # learnt from text; a slice uses it by where = "{column}"\n'
    toml.write_text(f'{text}document = "{_document_name(column)}"\n', encoding="utf-8")


def _replace(made: Path, folder: Path, names: Sequence[str]) -> None:
    """Move files over those in ``folder``, each whole; where one cannot be moved those before it are put back."""
    with tempfile.TemporaryDirectory(prefix=".before-", dir=folder.parent) as place:
        before = Path(place)
        done: list[str] = []
        try:
            for name in names:
                if (folder / name).exists():
                    shutil.copy2(folder / name, before / name)
                (made / name).replace(folder / name)
                done.append(name)
        except BaseException:
            for name in done:
                if (before / name).exists():
                    (before / name).replace(folder / name)
                else:
                    (folder / name).unlink()
            raise
