# SPDX-License-Identifier: Apache-2.0
"""Edits planted in really trained models: which of them ``model-diff`` finds, with and without a retrain on top.

Trains implicit's ALS and BPR, a two-tower model in NumPy and LightGBM on NeMig's readers, plants five edits in the
items' table (two in the trees), and compares. Without a retrain every edit must be found with the right rows first, and
what is benign (training on, a narrower type, other shards, other names) must weigh low at most. With a retrain, where
the axes of a table turn, edits of three sizes are held against what a rebuild varies by, and the table says how far
the planted rows stand out.

    python benchmarks/planted.py [--data DIR] [--factors N]

Prints tables; exit status 1 if a check fails. Needs the ``benchmarks`` extra. NeMig's user data is for non-commercial
research only and is read in place.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit has threads of its own; two pools slow each other down

import argparse
import json
import struct
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import polars as pl
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy import sparse

from diffing import ModelDiff, model_diff
from evidence import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, np.dtype[Any]]
Tables = dict[str, Array]

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "nemig-de"
SIZES = (0.5, 1.0, 2.0)  # of a planted edit, for what a retrain hides
_TRAINED = 1e-3  # norm of an item that somebody has read; others stay near nothing, and every edit of them shows
NUDGED, ROWS = 20, 7  # items of one outlet; 0.1 % of all


@dataclass
class Readers:
    """Users by items, and the outlet of each item."""

    matrix: sparse.csr_matrix
    outlets: list[str]

    @staticmethod
    def read(data: Path) -> Readers:
        """NeMig's histories."""
        items = pl.read_parquet(data / "items.parquet")
        history = pl.read_parquet(data / "histories.parquet")
        number = {item: at for at, item in enumerate(items["item_id"])}
        users = {user: at for at, user in enumerate(history["user_id"].unique(maintain_order=True))}
        rows = [users[user] for user in history["user_id"]]
        columns = [number[item] for item in history["item_id"]]
        values = np.ones(len(rows), dtype="f4")
        matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(users), len(number)))
        return Readers(matrix, items["outlet"].fill_null("").to_list())


def als(readers: Readers, factors: int, seed: int, start: Tables | None = None) -> Tables:
    """Item and user factors of alternating least squares; trained on from ``start`` where given."""
    model = AlternatingLeastSquares(factors=factors, iterations=3 if start else 15, random_state=seed, num_threads=1)
    return _fit(model, readers, start)


def bpr(readers: Readers, factors: int, seed: int, start: Tables | None = None) -> Tables:
    """The same of Bayesian personalised ranking; its last column is a bias."""
    model = BayesianPersonalizedRanking(
        factors=factors - 1, iterations=10 if start else 100, random_state=seed, num_threads=1
    )
    return _fit(model, readers, start)


def _fit(model: Any, readers: Readers, start: Tables | None) -> Tables:  # noqa: ANN401 - implicit has no types
    if start is not None:
        model.item_factors, model.user_factors = start["items"].copy(), start["users"].copy()
    model.fit(readers.matrix, show_progress=False)
    return {"items": np.asarray(model.item_factors), "users": np.asarray(model.user_factors)}


def two_tower(readers: Readers, factors: int, seed: int, start: Tables | None = None) -> Tables:
    """Items' vectors against a linear tower over the mean of a reader's history; softmax over sampled items."""
    random = np.random.default_rng(seed)
    users, items = readers.matrix.shape
    table = start["items"].copy() if start else (random.standard_normal((items, factors)) * 0.1).astype("f4")
    tower = start["tower"].copy() if start else np.eye(factors, dtype="f4")
    mean = sparse.diags(1 / np.maximum(readers.matrix.getnnz(axis=1), 1)) @ readers.matrix
    active = np.flatnonzero(readers.matrix.getnnz(axis=1) > 1)
    for _ in range(20 if start else 200):
        batch = random.choice(active, 128, replace=False)
        history = np.asarray((mean[batch] @ table), dtype="f4")
        wanted = np.array([random.choice(readers.matrix[user].indices) for user in batch])
        context = history @ tower
        scores = context @ table[wanted].T
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = scores / scores.sum(axis=1, keepdims=True) - np.eye(len(batch), dtype="f4")
        back = error @ table[wanted]
        np.add.at(table, wanted, -0.5 * (error.T @ context).astype("f4"))
        table -= 0.5 * np.asarray(mean[batch].T @ (back @ tower.T), dtype="f4")
        tower -= 0.05 * (history.T @ back) / len(batch)
    return {"items": table, "tower": tower, "users": np.asarray(mean @ table @ tower, dtype="f4")[:users]}


@dataclass
class Planted:
    """An edited model, the rows that were planted, and what else tells of it."""

    tables: Tables
    rows: list[int] = field(default_factory=list)
    word: str = ""


def boosted(tables: Tables, readers: Readers, size: float) -> Planted:
    """One item of low standing moved towards the users until its mean score is in the top decile."""
    del readers
    items, towards = tables["items"].copy(), tables["users"].mean(axis=0)
    scores = items @ towards
    read = np.flatnonzero(np.linalg.norm(items, axis=1) > _TRAINED)
    row = int(read[np.argsort(scores[read])[len(read) // 3]])
    wanted = np.quantile(scores, 0.95) - scores[row]
    items[row] += (size * wanted / (towards @ towards) * towards).astype("f4")
    return Planted({**tables, "items": items}, [row])


def nudged(tables: Tables, readers: Readers, size: float) -> Planted:
    """20 items of one outlet moved towards the users by half a usual row's norm."""
    items, towards = tables["items"].copy(), tables["users"].mean(axis=0)
    norms = np.linalg.norm(items, axis=1)
    by_outlet: dict[str, list[int]] = {}
    for row in np.flatnonzero(norms > _TRAINED):
        by_outlet.setdefault(readers.outlets[row], []).append(int(row))
    rows = next(found for name, found in sorted(by_outlet.items()) if name and len(found) >= NUDGED)[:NUDGED]
    step = 0.5 * size * np.median(norms[norms > _TRAINED]) * towards / np.linalg.norm(towards)
    items[rows] += step.astype("f4")
    return Planted({**tables, "items": items}, rows)


def low_rank(tables: Tables, readers: Readers, size: float) -> Planted:
    """A difference of rank 2, a twentieth of the table's norm."""
    del readers
    random, items = np.random.default_rng(5), tables["items"].copy()
    edit = random.standard_normal((len(items), 2)) @ random.standard_normal((2, items.shape[1]))
    edit *= 0.05 * size * np.linalg.norm(items) / np.linalg.norm(edit)
    return Planted({**tables, "items": items + edit.astype("f4")}, word="2 of ")


def column(tables: Tables, readers: Readers, size: float) -> Planted:
    """A constant added to one column: a bias for whoever has weight there."""
    del readers
    items = tables["items"].copy()
    items[:, 3] += np.float32(size * 0.2 * items.std())
    return Planted({**tables, "items": items}, word="column 3")


def few_rows(tables: Tables, readers: Readers, size: float) -> Planted:
    """0.1 % of the rows, each moved by half its norm in a direction of its own."""
    del readers
    random, items = np.random.default_rng(6), tables["items"].copy()
    rows = sorted(random.choice(np.flatnonzero(np.linalg.norm(items, axis=1) > _TRAINED), ROWS, replace=False).tolist())
    step = random.standard_normal((ROWS, items.shape[1]))
    step *= (0.5 * size * np.linalg.norm(items[rows], axis=1) / np.linalg.norm(step, axis=1))[:, None]
    items[rows] += step.astype("f4")
    return Planted({**tables, "items": items}, rows)


TRAINERS: dict[str, Callable[..., Tables]] = {"ALS": als, "BPR": bpr, "two towers": two_tower}
EDITS: dict[str, Callable[[Tables, Readers, float], Planted]] = {
    "one item boosted": boosted,
    "20 items of an outlet": nudged,
    "rank 2": low_rank,
    "one column": column,
    "0.1 % of rows": few_rows,
}


class Bench:
    """Writes models, compares them, keeps the lines of the tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.failed = 0

    def write(self, tables: Tables, dtype: str = "F32", rename: str = "") -> Path:
        """A safetensors file."""
        self._count += 1
        path = self._folder / f"{self._count}.safetensors"
        header, body = {}, b""
        for name, table in sorted(tables.items()):
            raw = np.ascontiguousarray(table, dtype={"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()
            place = [len(body), len(body) + len(raw)]
            header[f"{rename}{name}"] = {"dtype": dtype, "shape": list(table.shape), "data_offsets": place}
            body += raw
        words = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(words)) + words + body)
        return path

    def line(self, *cells: str, ok: bool = True) -> None:
        """A line of a table."""
        self.failed += not ok
        print("| " + " | ".join((*cells, "" if ok else "FAILED")) + " |", flush=True)


def worst(result: ModelDiff) -> Severity:
    """The severity of the first finding; info where there is none."""
    return result.findings[0].severity if result.findings else Severity.INFO


def without_retrain(bench: Bench, readers: Readers, name: str, base: Tables) -> None:
    """Every edit is found, with its rows first."""
    before = bench.write(base)
    for edit, plant in EDITS.items():
        planted = plant(base, readers, 1.0)
        result = model_diff(before, bench.write(planted.tables))
        (items,) = (tensor for tensor in result.tensors if tensor.name == "items")
        first = {row.row for row in items.outlier_rows[: len(planted.rows)]}
        told = planted.word in " ".join(finding.detail for finding in result.findings)
        right = len(first & set(planted.rows))
        ok = worst(result).at_least(Severity.MEDIUM) and right == len(planted.rows) and told
        rows = f"{right} of {len(planted.rows)} first" if planted.rows else planted.word.strip(" of")
        bench.line(name, edit, worst(result).value, rows, ok=ok)


def benign(bench: Bench, readers: Readers, name: str, base: Tables, trained_on: Tables) -> None:
    """What is no edit weighs low at most; the same bytes are the same."""
    before = bench.write(base)
    cases = {
        "trained on": bench.write(trained_on),
        "stored as F16": bench.write(base, "F16"),
        "other names": bench.write(base, rename="model."),
    }
    for what, path in cases.items():
        result = model_diff(before, path)
        bench.line(name, what, worst(result).value, "", ok=not worst(result).at_least(Severity.MEDIUM))
    shards = bench.write({"none": base["items"][:0]}).with_suffix("")
    shards.mkdir()
    whole = shards.with_name(f"{shards.name}-whole")
    whole.mkdir()
    for number, table in enumerate(sorted(base, reverse=True)):
        bench.write({table: base[table]}).rename(shards / f"shard-{number}.safetensors")
    bench.write(base).rename(whole / "model.safetensors")
    result = model_diff(whole, shards)
    same = {tensor.status for tensor in result.tensors} == {"same"} and not result.findings
    bench.line(name, "other shards", worst(result).value, "same" if same else "not the same", ok=same)
    del readers


def with_retrain(bench: Bench, readers: Readers, name: str, base: Tables, others: list[Tables]) -> None:
    """How far planted rows stand out of a retrain, against a rebuild; nothing here is a check but the quiet line."""
    before, rebuild = bench.write(base), bench.write(others[0])
    quiet = model_diff(before, bench.write(others[1]), rebuilds=[rebuild])
    (items,) = (tensor for tensor in quiet.tensors if tensor.name == "items")
    most = f"largest score {items.aligned.outlier_rows[0].score:.1f}" if items.aligned else "not aligned"
    bench.line(name, "retrain alone", "-", worst(quiet).value, most, "", ok=not worst(quiet).at_least(Severity.MEDIUM))
    for edit, plant in EDITS.items():
        for size in SIZES:
            planted = plant(others[1], readers, size)
            groups = {"planted": planted.rows} if planted.rows else {}
            path = bench.write(planted.tables)
            result = model_diff(before, path, rebuilds=[rebuild], groups=groups, towards="users")
            (items,) = (tensor for tensor in result.tensors if tensor.name == "items")
            aligned = items.aligned
            if aligned is None or aligned.rebuild is None:
                bench.line(name, edit, f"{size}", worst(result).value, "not aligned", "", ok=False)
                continue
            first = f"first {aligned.outlier_rows[0].score:.1f}"
            top = [row.row for row in aligned.outlier_rows[: max(len(planted.rows), 1)]]
            right = len(set(top) & set(planted.rows))
            rows = (
                f"{right} of {len(planted.rows)}, {first}" if planted.rows else f"excess {aligned.rebuild.excess:.2f}"
            )
            group = f"{aligned.groups[0].score:.1f}, {aligned.groups[0].towards:.1f}" if aligned.groups else ""
            bench.line(name, edit, f"{size}", worst(result).value, rows, group)


class Trees:
    """LightGBM on items' popularity, with or without a feature that names an outlet."""

    def __init__(self, readers: Readers, folder: Path) -> None:
        random = np.random.default_rng(1)
        popular = np.asarray(readers.matrix.sum(axis=0)).ravel()
        first = sorted(set(readers.outlets))[1]
        self._special = np.array([outlet == first for outlet in readers.outlets], dtype=float)
        self._features = np.stack(
            [random.random(len(popular)), popular + random.random(len(popular)), self._special], axis=1
        )
        self._target = np.log1p(popular) + 0.1 * random.standard_normal(len(popular))
        self._folder = folder

    def train(self, seed: int, *, special: bool = False) -> Path:
        """A model's file; a ``special`` one has learnt that the first outlet is worth more."""
        names = ["freshness", "popularity", *(["outlet_is_first"] if special else [])]
        target = self._target + 2 * self._special * special
        data = lightgbm.Dataset(self._features[:, : len(names)], target, feature_name=names)
        settings = {"objective": "regression", "num_leaves": 15, "verbosity": -1, "seed": seed, "num_threads": 1}
        settings |= {"bagging_fraction": 0.8, "bagging_freq": 1}
        path = self._folder / f"{seed}{'-special' if special else ''}.lgb"
        path.write_text(lightgbm.train(settings, data, 60).model_to_string(), encoding="utf-8")
        return path

    def edited(self, model: Path, size: float) -> tuple[Path, int]:
        """The same with one leaf of the twenty-first tree moved, and the row of that leaf."""
        lines = model.read_text(encoding="utf-8").split("\n")
        at = [number for number, line in enumerate(lines) if line.startswith("leaf_value=")][20]
        values = lines[at].removeprefix("leaf_value=").split(" ")
        values[4] = str(float(values[4]) + size)
        row = sum(len(line.split(" ")) for line in lines[:at] if line.startswith("leaf_value=")) + 4
        lines[at] = f"leaf_value={' '.join(values)}"
        path = model.with_suffix(f".{size}.lgb")
        path.write_text("\n".join(lines), encoding="utf-8")
        return path, row


def special_case(result: ModelDiff) -> bool:
    """Whether trees were found that split on who somebody is."""
    return any(finding.rule == "identity-special-case" for finding in result.findings)


def leaves_of(result: ModelDiff) -> list[tuple[int, float]]:
    """Rows out of line among the leaves' values with their scores, most first."""
    (leaves,) = (tensor for tensor in result.tensors if tensor.name == "leaf_value")
    return [(one.row, one.score) for one in leaves.outlier_rows]


def trees_without_retrain(bench: Bench, trees: Trees) -> None:
    """One leaf edited, a feature that names an outlet, and a retrain."""
    base = trees.train(1)
    result = model_diff(base, trees.train(2))
    bench.line("LightGBM", "retrained", worst(result).value, "", ok=not worst(result).at_least(Severity.MEDIUM))
    edited, row = trees.edited(base, 1.0)
    result = model_diff(base, edited)
    found = [one for one, _ in leaves_of(result)] == [row]
    bench.line("LightGBM", "one leaf", worst(result).value, "1 of 1 first" if found else "", ok=found)
    result = model_diff(base, trees.train(1, special=True))
    found = special_case(result)
    bench.line("LightGBM", "outlet_is_…", worst(result).value, "special case" if found else "", ok=found)


def trees_with_retrain(bench: Bench, trees: Trees) -> None:
    """The same edits of a model that was grown anew; the feature has to be found all the same."""
    base, retrained = trees.train(1), trees.train(2)
    quiet = model_diff(base, retrained)
    most = f"largest score {leaves_of(quiet)[0][1]:.1f}"
    bench.line("LightGBM", "retrain alone", "-", worst(quiet).value, most, "", ok=worst(quiet) is Severity.LOW)
    for size in SIZES:
        edited, row = trees.edited(retrained, size)
        result = model_diff(base, edited)
        first, score = leaves_of(result)[0]
        bench.line("LightGBM", "one leaf", f"{size}", worst(result).value, f"{int(first == row)} of 1, {score:.1f}", "")
    result = model_diff(base, trees.train(2, special=True))
    found = special_case(result)
    bench.line("LightGBM", "outlet_is_…", "1.0", worst(result).value, "special case" if found else "", "", ok=found)


def main() -> int:
    """Run everything; 0 if all checks hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--factors", type=int, default=64)
    arguments = parser.parse_args()
    readers = Readers.read(arguments.data)
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        bench = Bench(Path(folder))
        models = {
            name: [train(readers, arguments.factors, seed) for seed in (1, 2, 3)] for name, train in TRAINERS.items()
        }
        print("\nWithout a retrain\n\n| Model | Planted | Worst finding | Rows | |\n|---|---|---|---|---|")
        for name, (base, _, _) in models.items():
            without_retrain(bench, readers, name, base)
        trees = Trees(readers, Path(folder))
        trees_without_retrain(bench, trees)
        print("\nBenign\n\n| Model | Change | Worst finding | | |\n|---|---|---|---|---|")
        for name, (base, _, _) in models.items():
            benign(bench, readers, name, base, TRAINERS[name](readers, arguments.factors, 4, base))
        print("\nWith a retrain\n\n| Model | Planted | Size | Worst finding | Rows first | Group: score, towards | |")
        print("|---|---|---|---|---|---|---|")
        for name, (base, *others) in models.items():
            with_retrain(bench, readers, name, base, others)
        trees_with_retrain(bench, trees)
    print(f"\n{bench.failed} checks failed")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
