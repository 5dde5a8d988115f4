# SPDX-License-Identifier: Apache-2.0
"""Labels learnt from text: how good they are is measured out of fold, and what they leave open widens the intervals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from behavior import ExampleColumns, Learning, Slates, compare, label_panel, read_panel
from behavior._label_documents import LabelDocument
from behavior._label_noise import label_noise
from behavior._text_model import Examples, learn
from behavior.exposure import measure
from evidence import CellVerdict, PanelError

if TYPE_CHECKING:
    from collections.abc import Callable

COMMON = [f"word{number}" for number in range(20)]
LOADED = ["traitors", "regime", "puppet", "betrayal", "lies", "outrage", "enemies"]
SOBER = ["report", "percent", "committee", "weather", "schedule", "budget", "minutes"]
SLICE = '[[slices]]\nname = "loaded"\nwhere = "loaded"\nmargin = 1.2\n'


def _texts(count: int, seed: int, clarity: float) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Texts whose kind shows in some of their words: the more, the clearer."""
    generator = np.random.default_rng(seed)
    labels = generator.random(count) < 0.4
    texts = []
    for label in labels:
        words = list(generator.choice(COMMON, size=12))
        for place in range(4):
            shown = label if generator.random() < clarity else generator.random() < 0.5
            words[place] = str(generator.choice(LOADED if shown else SOBER))
        texts.append(" ".join(generator.permutation(words)))
    return texts, labels


def _folder(panel_folder: Callable[..., Any], **options: Any) -> Any:
    folder = panel_folder(users=120, items=200, k=5, depth=20, slices='[[cohorts]]\nby = "country"\n', **options)
    titles, _ = _texts(200, 9, 0.7)
    return folder.with_table("items", folder.tables["items"].with_columns(title=pl.Series(titles)))


def _examples(place: Path, count: int = 300, clarity: float = 0.7, **columns: Any) -> Path:
    texts, labels = _texts(count, 1, clarity)
    path = place / "examples.parquet"
    pl.DataFrame({"title": texts, "label": labels, **columns}).unique("title", maintain_order=True).write_parquet(path)
    return path


def _use(folder: Path, slices: str = SLICE) -> Path:
    """Add a slice that reads the label."""
    path = folder / "panel.toml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{slices}", encoding="utf-8")
    return folder


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_quality_is_what_the_out_of_fold_labels_have() -> None:
    texts, labels = _texts(400, 3, 0.6)
    groups = np.arange(400)
    fresh, truth = _texts(2000, 4, 0.6)
    learnt = learn(Examples(texts, labels, groups), fresh, folds=5, seed=1, prevalence=None)
    assert learnt.quality.average_precision == pytest.approx(average_precision_score(truth, learnt.labels), abs=0.06)
    assert learnt.quality.roc_auc == pytest.approx(roc_auc_score(truth, learnt.labels), abs=0.05)
    assert learnt.quality.brier == pytest.approx(brier_score_loss(truth, learnt.labels), abs=0.03)
    assert abs(learnt.labels.mean() - truth.mean()) < 0.05
    assert sum(one.examples for one in learnt.quality.curve) == 400
    assert learnt.quality.calibration_error < 0.12


def test_examples_that_say_nothing_are_refused_not_used() -> None:
    texts, _ = _texts(300, 3, 0.0)
    labels = np.random.default_rng(8).random(300) < 0.5
    areas = [_area(texts, labels, np.arange(300), seed) for seed in range(4)]
    assert None in areas
    assert all(area is None or area < 0.62 for area in areas)


def _area(texts: list[str], labels: Any, groups: Any, seed: int) -> float | None:
    """The out-of-fold area under the curve; None where learning is refused."""
    try:
        return learn(Examples(texts, labels, groups), texts[:5], folds=5, seed=seed, prevalence=None).quality.roc_auc
    except PanelError as error:
        if "the examples teach nothing" not in str(error):
            raise
        return None


def test_a_group_is_never_on_both_sides() -> None:
    texts, labels = _texts(200, 3, 0.0)
    group = np.arange(200) // 10
    labels = group % 2 == 0
    signed = [f"{text} outlet{number}" for text, number in zip(texts, group, strict=True)]
    assert _area(signed, labels, np.arange(200), 1) > 0.95
    with pytest.raises(PanelError, match="4 groups of examples cannot be put into 5 folds"):
        learn(Examples(signed, labels, group // 5), signed[:5], folds=5, seed=1, prevalence=None)
    with pytest.raises(PanelError, match="cannot be put into 5 folds with both kinds in each"):
        learn(Examples(signed, group == 0, group), signed[:5], folds=5, seed=1, prevalence=None)
    unseen = _area(signed, labels, group, 1)
    assert unseen is None or unseen < 0.65


def test_an_item_that_is_an_example_has_the_label_of_the_model_that_has_not_seen_it() -> None:
    texts, labels = _texts(300, 3, 0.4)
    given = Examples(texts, labels, np.arange(300))
    learnt = learn(given, texts, folds=5, seed=1, prevalence=None)
    assert learnt.among_examples == 300
    assert roc_auc_score(labels, learnt.labels) == pytest.approx(learnt.quality.roc_auc, abs=0.02)
    new, _ = _texts(50, 5, 0.4)
    assert learn(given, new, folds=5, seed=1, prevalence=None).among_examples == 0


def test_a_known_share_of_items_moves_the_labels_there() -> None:
    texts, labels = _texts(400, 3, 0.8)
    fresh, truth = _texts(1500, 4, 0.8)
    rare = np.flatnonzero(~truth | (np.cumsum(truth) % 6 == 0))
    share = float(truth[rare].mean())
    given = Examples(texts, labels, np.arange(400))
    known = learn(given, [fresh[row] for row in rare], folds=4, seed=1, prevalence=share)
    unknown = learn(given, [fresh[row] for row in rare], folds=4, seed=1, prevalence=None)
    assert known.labels.mean() == pytest.approx(share, abs=0.02)
    assert unknown.labels.mean() > known.labels.mean() + 0.02


def test_a_label_is_written_with_its_document_and_the_first_items_are_kept(
    panel_folder: Callable[..., Any], tmp_path: Path, root: Path
) -> None:
    folder = _folder(panel_folder).write()
    before = _bytes(folder)
    document = label_panel(folder, _examples(tmp_path), "loaded", ["title"])
    assert (folder / "items.unlabelled.parquet").read_bytes() == before["items.parquet"]
    assert document.quality.roc_auc > 0.8
    degrees = pl.read_parquet(folder / "items.parquet")["loaded"]
    true = np.average(degrees, weights=degrees)
    assert document.items.discrimination == pytest.approx(true - np.average(degrees, weights=1 - degrees))
    panel = read_panel(_use(folder))
    assert panel.items["loaded"].is_between(0, 1).all()
    assert panel.membership.toarray()[:, 0].tolist() == panel.items["loaded"].to_list()
    written = json.loads((folder / "label-loaded.json").read_bytes())
    path = root / "docs" / "schemas" / "panel-label.schema.json"
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://countersign.dev/schemas/panel-label.schema.json",
        "$comment": "SPDX-License-Identifier: Apache-2.0",
        **LabelDocument.model_json_schema(by_alias=True),
    }
    if os.environ.get("WRITE_SCHEMAS"):
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == schema
    jsonschema.Draft202012Validator(schema).validate(written)
    label_panel(folder, _examples(tmp_path, 200), "loaded", ["title"])
    assert (folder / "items.unlabelled.parquet").read_bytes() == before["items.parquet"]
    assert (folder / "panel.toml").read_text(encoding="utf-8").count("[labels.loaded]") == 1


def test_the_same_input_gives_the_same_bytes_and_another_seed_others(
    panel_folder: Callable[..., Any], tmp_path: Path
) -> None:
    folder, examples = _folder(panel_folder).write(), _examples(tmp_path)
    before = _bytes(folder)
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        label_panel(folder, examples, "loaded", ["title"], learning=Learning(seed=seed), out=tmp_path / name)
    assert _bytes(folder) == before
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    assert read_panel(tmp_path / "one").digest != read_panel(tmp_path / "three").digest
    label_panel(folder, examples, "loaded", ["title"], learning=Learning(seed=1), in_place=True)
    assert _bytes(folder) == _bytes(tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples.parquet", "one", "panel", "three", "two"]


def _compared(folder: Path, *, moved: bool) -> tuple[Any, Any, Slates, Slates]:
    """The panel, its comparison, base and head; ``moved`` puts items of high labels in a quarter of head's slates."""
    panel = read_panel(folder)
    generator = np.random.default_rng(6)
    top = np.array([generator.permutation(200)[:5] for _ in range(120)], dtype=np.int32)
    other = top.copy()
    if moved:
        high = np.argsort(-panel.items["loaded"].to_numpy())[:60]
        for row in range(0, 120, 4):
            other[row] = generator.permutation(high)[:5]
    user = np.arange(120, dtype=np.int32)
    base, head = Slates(user, ("",) * 120, top, None), Slates(user, ("",) * 120, other, None)
    return panel, compare(panel, base, head), base, head


def test_the_labels_uncertainty_widens_the_interval_by_what_other_labels_would_have_said(
    panel_folder: Callable[..., Any], tmp_path: Path
) -> None:
    folder = _use_labelled(panel_folder, tmp_path)
    panel, audit, base, head = _compared(folder, moved=True)
    cell = audit.cells[0]
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    for name, content in _bytes(folder).items():
        (fixed / name).write_bytes(content)
    text = (fixed / "panel.toml").read_text(encoding="utf-8").replace("[labels.loaded]", "").replace("document =", "#")
    (fixed / "panel.toml").write_text(text, encoding="utf-8")
    certain = compare(read_panel(fixed), base, head).cells[0]
    assert cell.ratio == certain.ratio
    assert cell.ratio_low < certain.ratio_low < certain.ratio_high < cell.ratio_high
    noise = label_noise(panel, (found := measure(panel, base, head)).sums, found.users * found.unit)
    deviation = float(noise.log[0, 0])
    sampling = (np.log(certain.ratio_high) - np.log(certain.ratio)) ** 2
    assert np.log(cell.ratio_high) - np.log(cell.ratio) == pytest.approx(
        np.sqrt(sampling + (1.959964 * deviation) ** 2), rel=1e-6
    )
    (label,) = panel.labels
    logit = np.log(panel.items["loaded"] / (1 - panel.items["loaded"])).to_numpy()
    calibrated = [1 / (1 + np.exp(-slope * logit - offset)) for slope, offset in label.document.calibrations]
    weights = 1.0 / np.log2(np.arange(5) + 2)

    def logs(all_degrees: Any) -> Any:
        return [np.log((x[head.top] @ weights).sum() / (x[base.top] @ weights).sum()) for x in all_degrees]

    folds = logs(label.by_fold)
    jackknife = (len(folds) - 1) / len(folds) * np.sum((folds - np.mean(folds)) ** 2)
    assert len(folds) == 5
    assert len(calibrated) == 50
    assert deviation == pytest.approx(np.sqrt(jackknife + np.var(logs(calibrated), ddof=1)), rel=1e-5)
    assert 0.1 < jackknife / deviation**2 < 0.99


def _use_labelled(panel_folder: Callable[..., Any], tmp_path: Path, **options: Any) -> Path:
    folder = _folder(panel_folder, permutations=100).write()
    label_panel(folder, _examples(tmp_path, **options), "loaded", ["title"])
    return _use(folder)


def test_learning_again_from_other_examples_moves_the_ratio_by_about_the_stated_deviation(
    panel_folder: Callable[..., Any], tmp_path: Path
) -> None:
    folder = _folder(panel_folder, permutations=100).write()
    logs, stated = [], []
    for number in range(8):
        texts, labels = _texts(150, 100 + number, 0.5)
        pl.DataFrame({"title": texts, "label": labels}).write_parquet(tmp_path / "e.parquet")
        place = tmp_path / f"again{number}"
        label_panel(folder, tmp_path / "e.parquet", "loaded", ["title"], out=place)
        panel = read_panel(_use(place))
        if number == 0:
            _, _, base, head = _compared(place, moved=True)
        measured = measure(panel, base, head)
        whole = measured.users * measured.unit
        degree = panel.items["loaded"].to_numpy()
        weights = 1.0 / np.log2(np.arange(5) + 2)
        logs.append(float(np.log((degree[head.top] @ weights).sum() / (degree[base.top] @ weights).sum())))
        stated.append(float(label_noise(panel, measured.sums, whole).log[0, 0]))
    assert 0.6 < np.sqrt(np.mean(np.square(stated))) / np.std(logs, ddof=1) < 2.0


def test_a_slice_that_some_labels_leave_empty_has_no_ratio_to_rely_on(
    panel_folder: Callable[..., Any], tmp_path: Path
) -> None:
    folder = _folder(panel_folder, permutations=100).write()
    label_panel(folder, _examples(tmp_path, 150, 0.5), "loaded", ["title"])
    items = read_panel(folder).items["loaded"].sort()
    _use(folder, SLICE.replace('"loaded"\nm', f'"loaded >= {items[-2]}"\nm'))
    panel, audit, base, head = _compared(folder, moved=True)
    noise = label_noise(panel, (found := measure(panel, base, head)).sums, found.users * found.unit)
    assert noise.log[0, 0] == np.inf
    cell = audit.cells[0]
    assert (cell.ratio_low, cell.ratio_high) == (0.0, None)
    assert cell.verdict in {CellVerdict.INCONCLUSIVE, CellVerdict.SHIFTED}
    assert not cell.inside


def test_equal_slates_pass_however_uncertain_the_label(panel_folder: Callable[..., Any], tmp_path: Path) -> None:
    folder = _use_labelled(panel_folder, tmp_path, count=80, clarity=0.5)
    _, audit, _, _ = _compared(folder, moved=False)
    assert {cell.verdict for cell in audit.cells} == {CellVerdict.EQUIVALENT}
    assert (audit.cells[0].ratio_low, audit.cells[0].ratio_high) == (1.0, 1.0)
    assert "label 'loaded': " in audit.probes[0].summary
    assert "one kind" in audit.probes[0].summary


def test_a_poor_label_says_so_and_a_foreign_one_too(panel_folder: Callable[..., Any], tmp_path: Path) -> None:
    folder = _folder(panel_folder)
    foreign = [f"completamente distinto numero {index} palabras" for index in range(200)]
    folder = folder.with_table("items", folder.tables["items"].with_columns(title=pl.Series(foreign))).write()
    document = label_panel(folder, _examples(tmp_path, clarity=0.25), "loaded", ["title"])
    said = " | ".join(document.warnings)
    assert "of low quality" in said
    assert f"shows at about {document.items.discrimination:.0%} of its size, or less" in said
    assert "do not read like the examples" in said
    assert read_panel(folder).labels[0].notes == [f"label 'loaded': {warning}" for warning in document.warnings]
    good = label_panel(_folder(panel_folder, name="good").write(), _examples(tmp_path, 600, 0.9), "loaded", ["title"])
    assert good.warnings == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "label-loaded.json").unlink(), "no label-loaded.json"),
        (lambda folder: (folder / "label-loaded.json").write_text("{}"), "label-loaded.json: schema"),
        (lambda folder: (folder / "label-loaded.json").write_text("{"), "label-loaded.json"),
        (lambda folder: (folder / "label-loaded.parquet").unlink(), "label-loaded.parquet"),
        (lambda folder: _edit(folder / "label-loaded.parquet", fold_0=pl.col("fold_0") / 2), "is not the file that"),
        (lambda folder: _edit(folder / "items.parquet", loaded=pl.col("loaded") / 2), "is not as it was learnt"),
        (lambda folder: _edit(folder / "items.parquet", loaded=None), "no column 'loaded' (labels in panel.toml)"),
    ],
)
def test_a_label_that_was_changed_afterwards_is_refused(
    panel_folder: Callable[..., Any], tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    folder = _folder(panel_folder).write()
    label_panel(folder, _examples(tmp_path, 120), "loaded", ["title"])
    change(folder)
    with pytest.raises(PanelError) as refused:
        read_panel(folder)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def _edit(path: Path, **columns: pl.Expr | None) -> None:
    frame = pl.read_parquet(path).with_columns(**{name: value for name, value in columns.items() if value is not None})
    frame.drop([name for name, value in columns.items() if value is None]).write_parquet(path)


@pytest.mark.parametrize(
    ("column", "options", "columns", "words"),
    [
        ("outlet", {}, ExampleColumns(), "items.parquet: column 'outlet' is there already and was not learnt"),
        ("Bad Name", {}, ExampleColumns(), "--column 'Bad Name'"),
        ("loaded", {}, ExampleColumns(label="truth"), "examples.parquet: no column 'truth' (--label)"),
        ("loaded", {}, ExampleColumns(text=("body",)), "examples.parquet: no column 'body' (--example-text)"),
        ("loaded", {}, ExampleColumns(group="outlet"), "examples.parquet: no column 'outlet' (--group)"),
        ("loaded", {}, ExampleColumns(positive="maybe"), "'maybe' (--positive) is nowhere in it"),
        ("loaded", {"count": 30}, ExampleColumns(), "examples are true; at least 20 are needed"),
        ("loaded", {"label": ["yes"] * 300}, ExampleColumns(), "say which value is true (--positive)"),
        ("loaded", {"label": [2] * 300}, ExampleColumns(), "column 'label': 2 is not 0 or 1 (300 such)"),
        ("loaded", {"label": [None] * 300}, ExampleColumns(), "column 'label': no value in row 1"),
        ("loaded", {"title": [" "] * 300}, ExampleColumns(), "column 'title': no text in row 1 (1 such)"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_and_changes_nothing(
    panel_folder: Callable[..., Any],
    tmp_path: Path,
    column: str,
    options: dict[str, Any],
    columns: ExampleColumns,
    words: str,
) -> None:
    folder = _folder(panel_folder).write()
    before = _bytes(folder)
    texts, labels = _texts(options.pop("count", 300), 1, 0.7)
    frame = pl.DataFrame({"title": texts, "label": labels, **options}).unique("title", maintain_order=True)
    frame.write_parquet(tmp_path / "examples.parquet")
    with pytest.raises(PanelError) as refused:
        label_panel(folder, tmp_path / "examples.parquet", column, ["title"], columns=columns)
    assert words.replace("(300 such)", "") in str(refused.value)
    assert _bytes(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples.parquet", "panel"]


def test_a_panel_is_labelled_from_inside_but_a_new_one_is_not_put_into_it(
    panel_folder: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, examples = _folder(panel_folder).write(), _examples(tmp_path, 120)
    with pytest.raises(PanelError, match="is inside the panel"):
        label_panel(folder, examples, "loaded", ["title"], out=folder / "new")
    monkeypatch.chdir(folder)
    label_panel(Path(), examples, "loaded", ["title"])
    assert "loaded" in read_panel(folder).items.columns
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples.parquet", "panel"]


def test_contradicting_examples_are_named(panel_folder: Callable[..., Any], tmp_path: Path) -> None:
    texts, labels = _texts(200, 1, 0.7)
    frame = pl.DataFrame({"title": [*texts, texts[0]], "label": [*labels.tolist(), not labels[0]]})
    frame.write_csv(tmp_path / "examples.csv")
    with pytest.raises(PanelError, match=r"is true and false \(1 such\)"):
        label_panel(_folder(panel_folder).write("csv"), tmp_path / "examples.csv", "loaded", ["title"])


def test_a_move_that_fails_half_way_is_taken_back(
    panel_folder: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(panel_folder).write()
    before, real = _bytes(folder), Path.replace

    def failing(self: Path, target: Path) -> Path:
        if self.name == "panel.toml":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="No space left"):
        label_panel(folder, _examples(tmp_path, 120), "loaded", ["title"])
    assert _bytes(folder) == before
