# SPDX-License-Identifier: Apache-2.0
"""The searching probes on real people's data: how often retrains alone are "confirmed", and whether planted slices are.

Trains implicit's ALS on NeMig's histories with 21 seeds. Every pair of seeds is a benign change: a confirmed slice is
false. Then a constant is added to the scores of two-way slices with about 2 % of exposure until they get 1.5 times
what head alone gives them, with the same weights and with a retrain on top.

    python benchmarks/discovery.py [--data DIR] [--seeds N] [--slates DIR] [--planted N]

Prints tables. ``--slates`` keeps trained slates between runs. Needs the ``benchmarks`` extra.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from implicit.als import AlternatingLeastSquares
from scipy import sparse, stats

from behavior import Slates, read_panel
from behavior.comparison import SLATE_PROBES
from evidence import CellVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from behavior import Cell, Panel

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "nemig-de"
FACTORS, CANDIDATES, FIRST_SEED = 32, 400, 200
SHARE, LIFT = (0.015, 0.025), 1.5
FAILING = {CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED}

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Trained:
    """A model's best unseen items for each user with their scores, best first: users x candidates."""

    rows: Array
    scores: Array

    def slates(self, panel: Panel, lift: Array | float = 0.0) -> Slates:
        """Slates after ``lift`` (users x candidates) is added to the scores."""
        order = np.argsort(-(self.scores + lift), axis=1, kind="stable")[:, : panel.depth]
        deep = np.take_along_axis(self.rows, order, axis=1).astype(np.int32)
        users = np.arange(len(deep), dtype=np.int32)
        return Slates(users, ("",) * len(users), np.ascontiguousarray(deep[:, : panel.k]), deep)


@dataclass(frozen=True)
class Planted:
    """A two-way slice: items, and users of a group (everyone for a pair of item attributes)."""

    name: str
    items: Array
    users: Array
    share: float


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=21)
    parser.add_argument("--planted", type=int, default=8)
    parser.add_argument("--slates", type=Path)
    options = parser.parse_args()
    panel = read_panel(options.data)
    with tempfile.TemporaryDirectory() as folder:
        models = [train(panel, FIRST_SEED + seed, options.slates or Path(folder)) for seed in range(options.seeds)]
    sides = [model.slates(panel) for model in models]
    pairs = list(itertools.combinations(sides, 2))
    planted(panel, models, options.planted)
    for name in ("discovery", "targeting"):
        benign(panel, name, pairs)


def benign(panel: Panel, name: str, pairs: list[tuple[Slates, Slates]]) -> None:
    """How many benign pairs have a confirmed cell, and a failing one."""
    confirmed = failed = 0
    start = time.process_time()
    for number, (base, head) in enumerate(pairs, start=1):
        cells = SLATE_PROBES[name](panel, base, head, ()).cells
        confirmed += bool(cells)
        failed += any(cell.verdict in FAILING for cell in cells)
        if number % 30 == 0:
            print(
                f"  {name}: {number} of {len(pairs)}, {confirmed} confirmed, {failed} failed",
                file=sys.stderr,
                flush=True,
            )
    seconds = (time.process_time() - start) / max(1, len(pairs))
    for what, count in (("any confirmed cell", confirmed), ("any failing cell", failed)):
        exact = stats.binomtest(count, len(pairs)).proportion_ci()
        rate = f"{count} of {len(pairs)} ({count / len(pairs):.1%}, 95 % {exact.low:.1%} to {exact.high:.1%})"
        print(f"{name}, benign reseeds with {what}: {rate}")
    print(f"{name}: {seconds:.2f} s of processor a pair", flush=True)


def planted(panel: Panel, models: list[Trained], count: int) -> None:
    """Lift two-way slices and see whether discovery confirms them."""
    base = models[0].slates(panel)
    print(
        f"{'planted slice':60} {'share':>6} {'ratio':>6} {'head':>10} {'confirmed':>9} {'verdict':>10} {'seconds':>7}"
    )
    for kind in (item_pairs(panel, base), item_and_user(panel, base)):
        for chosen in itertools.islice(kind, count):
            for head, model in (("same", models[0]), ("retrained", models[1])):
                lifted, ratio = lift(panel, model, chosen)
                start = time.perf_counter()
                cells = SLATE_PROBES["discovery"](panel, base, lifted, ()).cells
                seconds = time.perf_counter() - start
                hits = [cell for cell in cells if cell.direction > 0 and is_about(panel, cell, chosen)]
                verdict = min((cell.verdict.value for cell in hits), default="-")
                print(f"{chosen.name[:60]:60} {chosen.share:6.3f} {ratio:6.2f} {head:>10}", end=" ")
                print(f"{'yes' if hits else 'no':>9} {verdict:>10} {seconds:7.2f}", flush=True)


def train(panel: Panel, seed: int, folder: Path) -> Trained:
    """Train ALS on the histories, or take it from the folder."""
    path = folder / f"{seed}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        users = np.array([panel.user_rows[user] for user in panel.histories["user_id"]])
        items = np.array([panel.item_rows[item] for item in panel.histories["item_id"]])
        shape = (panel.users.height, panel.items.height)
        seen = sparse.coo_matrix((np.ones(len(users), dtype=np.float32), (users, items)), shape=shape).tocsr()
        seen.data[:] = 1.0
        model = AlternatingLeastSquares(factors=FACTORS, random_state=seed, num_threads=1)
        model.fit(seen, show_progress=False)
        scores = np.asarray(model.user_factors @ model.item_factors.T, dtype=np.float32)
        scores[seen.nonzero()] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :CANDIDATES]
        np.savez(path, rows=best.astype(np.int32), scores=np.take_along_axis(scores, best, axis=1))
    with np.load(path) as file:
        return Trained(file["rows"], file["scores"])


def conditions(panel: Panel, side: str) -> list[tuple[str, str, Array]]:
    """Column, words and members of every value of the panel's category columns."""
    frame = panel.items if side == "items" else panel.users
    columns = {"items": ("orientation", "outlet", "sentiment", "topic_label"), "users": ("age_band", "gender", "party")}
    return [
        (column, f"{column}={value}", (frame[column] == value).fill_null(value=False).to_numpy())
        for column in columns[side]
        for value in frame[column].drop_nulls().unique().sort()
    ]


def item_pairs(panel: Panel, base: Slates) -> Iterator[Planted]:
    """Pairs of item conditions with about 2 % of exposure, in an order of their own."""
    everyone = np.ones(panel.users.height, dtype=bool)
    found = []
    for (column, name, one), (other, more, two) in itertools.combinations(conditions(panel, "items"), 2):
        size = share(base, one & two, everyone)
        if (
            column != other
            and SHARE[0] <= size <= SHARE[1]
            and size < 0.9 * min(share(base, one, everyone), share(base, two, everyone))
        ):
            found.append(Planted(f"{name} & {more}", one & two, everyone, size))
    order = np.random.default_rng(7).permutation(len(found))
    return iter([found[number] for number in order])


def item_and_user(panel: Panel, base: Slates) -> Iterator[Planted]:
    """One item condition for one group of users, together about 2 % of everyone's exposure."""
    found = []
    for (_, name, items), (_, group, users) in itertools.product(
        conditions(panel, "items"), conditions(panel, "users")
    ):
        size = share(base, items, users) * float(users.mean())
        if SHARE[0] <= size <= SHARE[1] and share(base, items, users) < 0.3:  # noqa: PLR2004 - room for half more
            found.append(Planted(f"{name} for {group}", items, users, size))
    order = np.random.default_rng(7).permutation(len(found))
    return iter([found[number] for number in order])


def share(slates: Slates, items: Array, users: Array) -> float:
    """The share of exposure of items among users."""
    weights = 1.0 / np.log2(np.arange(slates.top.shape[1]) + 2)
    return float((items[slates.top[users]] @ (weights / weights.sum())).mean())


def lift(panel: Panel, model: Trained, chosen: Planted) -> tuple[Slates, float]:
    """Slates with the constant that brings the slice to 1.5 times its exposure, and the ratio reached."""
    where = (chosen.items[model.rows] & chosen.users[:, None]).astype(np.float32)
    before = share(model.slates(panel), chosen.items, chosen.users)
    low, high = 0.0, 1.0
    for _ in range(16):
        middle = (low + high) / 2
        reached = share(model.slates(panel, where * np.float32(middle)), chosen.items, chosen.users)
        low, high = (middle, high) if reached < LIFT * before else (low, middle)
    lifted = model.slates(panel, where * np.float32(high))
    return lifted, share(lifted, chosen.items, chosen.users) / before


def is_about(panel: Panel, cell: Cell, chosen: Planted) -> bool:
    """Whether a cell's items and users are mostly the planted ones: more than 0.3 in common by Jaccard's index."""
    items = np.ones(panel.items.height, dtype=bool)
    for part in cell.slice.split(" & "):
        column, _, value = part.partition("=")
        if panel.items[column].dtype.is_temporal():
            start, _, end = value.partition(" to ")
            shown = panel.items[column].cast(pl.String)
            items &= ((shown >= start) & (shown <= end)).to_numpy()
        else:
            shown = panel.items[column].cast(pl.String).str.to_lowercase()
            items &= (shown == value.lower()).fill_null(value=False).to_numpy()
    users = np.ones(panel.users.height, dtype=bool)
    for column, value in cell.cohort.items():
        users &= (panel.users[column] == value).fill_null(value=False).to_numpy()
    common = [(a & b).sum() / max(1, (a | b).sum()) for a, b in ((items, chosen.items), (users, chosen.users))]
    return common[0] * common[1] > 0.3  # noqa: PLR2004 - as the docstring says


if __name__ == "__main__":
    main()
