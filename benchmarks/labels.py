# SPDX-License-Identifier: Apache-2.0
"""Labels by text on real texts: how good they are out of fold, and on whom they fail.

    python benchmarks/labels.py [--data DIR] [--headlines N]

Each row learns a label from examples and puts it on a panel's items, as ``countersign panel label`` does, and prints
the document's figures:

- propaganda articles (SemEval-2020 task 11) against others: articles with marked spans against those without, and
  articles of that collection against leads of AllSides;
- disinformation claims (EUvsDisinfo) against headlines (AllSides), put on German news (NeMig), and judged on claims
  and outlets that were not learnt from;
- state media among German news (NeMig), judged on articles and on outlets that were not learnt from.

Then a lift of 1.25 is planted on the state media of NeMig (ALS, as ``benchmarks/nemig.py`` does) and looked at by the
true label and by the learnt one: what a label misses takes the ratio towards 1, and its doubt widens the interval.

Needs the ``benchmarks`` extra and the real data of COUNTERSIGN_DATA, which is read in place. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nemig
import numpy as np
import polars as pl

from behavior import ExampleColumns, Learning, compare, label_panel, new_panel, read_panel
from evidence import PanelError

if TYPE_CHECKING:
    from behavior._label_documents import LabelDocument

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TITLE_LENGTH = 160  # AllSides' leads are cut here; what stands against them is cut too


class Case(NamedTuple):
    """One row of the table: examples (text, label, group) and the items they are put on."""

    name: str
    examples: pl.DataFrame
    items: pl.DataFrame
    grouped: bool


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--headlines", type=int, default=8000, help="how many of AllSides' headlines are used")
    options = parser.parse_args()
    heads = ["label", "judged on", "true", "false", "average precision", "by chance", "ROC AUC", "Brier", "gap"]
    heads += ["discrimination", "words known", "seconds"]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    curves = []
    for case in cases(options.data, options.headlines):
        start = time.perf_counter()
        judged = "unseen groups" if case.grouped else "unseen texts"
        true = int(case.examples["label"].sum())
        try:
            document = learn(case)
        except PanelError as error:
            print(
                f"| {case.name} | {judged} | {true:,} | {case.examples.height - true:,} | {error} | | | | | | | | |",
                flush=True,
            )
            continue
        print(row(case, judged, document, time.perf_counter() - start), flush=True)
        curves.append((case.name, judged, document))
    for name, judged, document in curves:
        print(f"\n{name}, {judged}: label, share that is true, examples")
        print("; ".join(f"{one.label:.3f} {one.share:.3f} {one.examples}" for one in document.quality.curve))
        for warning in document.warnings:
            print(f"warning: {warning}")
    lift(options.data)
    return 0


def lift(data: Path) -> None:
    """The same planted lift by the true and by the learnt label."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "panel"
        shutil.copytree(data / "nemig-de", folder)
        news = pl.read_parquet(folder / "items.parquet")
        text = pl.concat_str("title", pl.col("summary").fill_null("")).alias("text")
        examples = news.select(text, pl.col("state_media").alias("label")).unique("text", maintain_order=True)
        examples.write_parquet(Path(name) / "examples.parquet")
        news.with_columns(text).write_parquet(folder / "items.parquet")
        columns = ExampleColumns(text=("text",))
        label_panel(folder, Path(name) / "examples.parquet", "learnt", ["text"], columns=columns)
        with (folder / "panel.toml").open("a", encoding="utf-8") as toml:
            toml.write('[[slices]]\nname = "learnt"\nwhere = "learnt"\n')
        panel = read_panel(folder)
        members = panel.items["state_media"].to_numpy()
        base, head = (nemig.train(panel, members, 32, seed) for seed in (11, 12))
        everyone = np.ones(panel.users.height, dtype=np.float32)
        before = base.slates(panel, 0 * everyone)
        wanted = 1.25 * nemig.share(before, members, everyone)
        after, _ = nemig.lift_to(panel, head, everyone, members, wanted)
        cells = {cell.slice: cell for cell in compare(panel, before, after).cells if not cell.cohort}
    print(
        "\n| NeMig, retrained, state media lifted to 1.25 | ratio | by users and label | verdict |\n|---|---|---|---|"
    )
    for shown, slice_ in (("by the true label", "state-media"), ("by the label learnt from text", "learnt")):
        cell = cells[slice_]
        print(f"| {shown} | {cell.ratio:.3f} | {cell.ratio_low:.3f} to {cell.ratio_high:.3f} | {cell.verdict.value} |")


def cases(data: Path, headlines: int) -> list[Case]:
    """What is learnt, and from what."""
    texts = data / "labelled-text"
    articles = pl.read_parquet(texts / "semeval2020-task11.parquet")
    others = pl.read_parquet(texts / "allsides-articles.parquet").sort("id").sample(headlines, seed=7)
    claims = pl.read_parquet(texts / "euvsdisinfo-cases.parquet").unique("title", maintain_order=True)
    news = pl.read_parquet(data / "nemig-de" / "items.parquet")
    german = news.select(pl.col("item_id"), pl.concat_str("title", pl.col("summary").fill_null("")).alias("text"))
    spans = _table(articles["text"], articles["n_spans"] > 0)
    leads = articles["text"].str.replace_all(r"\s+", " ").str.slice(0, TITLE_LENGTH)
    collection = _joined(
        _table(leads, group="article " + articles["article_id"]),
        _table(others["lead"], label=False, group=others["source"]),
    )
    disinformation = _joined(
        _table(claims["title"], group=claims["outlets"].fill_null("")),
        _table(others["title"], label=False, group=others["source"]),
    )
    state = _table(german["text"], news["state_media"], news["outlet"]).unique("text", maintain_order=True)
    english = others.select(pl.col("id").alias("item_id"), pl.col("title").alias("text"))
    return [
        Case("articles with propaganda spans, against articles without", spans, english, grouped=False),
        Case("beginnings of that collection, against AllSides leads", collection, english, grouped=True),
        Case("disinformation claims, against headlines", disinformation, english, grouped=False),
        Case("disinformation claims, against headlines", disinformation, english, grouped=True),
        Case("the same, put on German news", disinformation, german, grouped=True),
        Case("state media, in German news", state, german, grouped=False),
        Case("state media, in German news", state, german, grouped=True),
    ]


def learn(case: Case) -> LabelDocument:
    """The label's document, by the way a user takes: files, a panel, a label."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case.items.write_parquet(folder / "items.parquet")
        pl.DataFrame({"user_id": ["u"]}).write_parquet(folder / "users.parquet")
        case.examples.write_parquet(folder / "examples.parquet")
        new_panel(folder / "items.parquet", folder / "users.parquet", folder / "panel")
        columns = ExampleColumns(text=("text",), group="group" if case.grouped else None)
        return label_panel(
            folder / "panel",
            folder / "examples.parquet",
            "learnt",
            ["text"],
            columns=columns,
            learning=Learning(seed=7),
        )


def row(case: Case, judged: str, document: LabelDocument, seconds: float) -> str:
    """One line of the table."""
    examples, quality = document.examples, document.quality
    figures = [
        f"{quality.average_precision:.3f}",
        f"{examples.true / (examples.true + examples.false):.3f}",
        f"{quality.roc_auc:.3f}",
        f"{quality.brier:.3f}",
        f"{quality.calibration_error:.3f}",
        f"{document.items.discrimination:.2f}",
        f"{document.items.known_words:.0%} of {examples.known_words:.0%}",
        f"{seconds:.0f}",
    ]
    return f"| {case.name} | {judged} | {examples.true:,} | {examples.false:,} | {' | '.join(figures)} |"


def _table(text: pl.Series, label: pl.Series | bool = True, group: pl.Series | None = None) -> pl.DataFrame:  # noqa: FBT001, FBT002 - all of one kind
    labels = label if isinstance(label, pl.Series) else pl.Series([label]).gather([0] * len(text))
    frame = pl.DataFrame([text.alias("text"), labels.alias("label"), (text if group is None else group).alias("group")])
    return frame.filter(pl.col("text").str.strip_chars() != "")


def _joined(*tables: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(tables).unique("text", keep="first", maintain_order=True)


if __name__ == "__main__":
    sys.exit(main())
