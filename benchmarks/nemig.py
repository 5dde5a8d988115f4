# SPDX-License-Identifier: Apache-2.0
"""Retrain, lift and compare on real people's data: NeMig, German news readers, Russian state media among the outlets.

Trains implicit's ALS on the histories with two seeds, so that base and head differ by churn. Adds a constant to the
scores of state media in head until their exposure is a chosen multiple of base's (a ratio of 1.25) or of head's own
(a lift of 1.05), and checks what ``compare`` says of each pair. Slates go through files, as they do for a user.

    python benchmarks/nemig.py [--data DIR] [--factors N] [--seeds BASE HEAD] [--seconds LIMIT]

Prints a table; exit status 1 if a check fails. Needs the ``benchmarks`` extra. NeMig's user data is for
non-commercial research only and is read in place.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit has threads of its own; two pools slow each other down

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import sparse

from behavior import Slates, compare, read_panel, read_slates, write_slates
from evidence import CellVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior import Audit, Cell, Panel

DATA = Path(os.environ.get("COUNTERSIGN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "nemig-de"
SLICE, PARTY = "state-media", "AFD"
SECONDS = 10.0
NOTICED = {CellVerdict.AMPLIFIED, CellVerdict.SHIFTED}

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Candidates:
    """A version's best items for each user, the slice's apart from the others: rows and scores, users x depth."""

    inside: tuple[Array, Array]
    outside: tuple[Array, Array]

    def slates(self, panel: Panel, lift: Array) -> Slates:
        """Slates after ``lift`` (one value a user) is added to the scores of the slice's items."""
        rows = np.concatenate([self.inside[0], self.outside[0]], axis=1)
        scores = np.concatenate([self.inside[1] + lift[:, None], self.outside[1]], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : panel.depth]
        deep = np.take_along_axis(rows, order, axis=1).astype(np.int32)
        users = np.arange(panel.users.height, dtype=np.int32)
        return Slates(users, ("",) * len(users), np.ascontiguousarray(deep[:, : panel.k]), deep)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    lift: float
    cell: Cell
    audit: Audit
    seconds: float
    ok: bool


def main() -> int:
    """Run the checks; 0 if all hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs=2, default=(11, 12), metavar=("BASE", "HEAD"))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the longest that one comparison may take")
    options = parser.parse_args()
    rows = run(options.data, options.factors, tuple(options.seeds))
    print(f"{'head':34} {'lift':>6} {'ratio':>6} {'users only':>14} {'with churn':>14} {'adj. p':>7}", end=" ")
    print(f"{'cell':>12} {'audit':>12} {'seconds':>7}  check")
    for row in rows:
        cell = row.cell
        users, churn = (
            f"{low:.3f}-{high:.3f}"
            for low, high in (_limits(cell.ratio_low, cell.ratio_high), _limits(cell.churn_low, cell.churn_high))
        )
        print(f"{row.name:34} {row.lift:6.3f} {cell.ratio or 0:6.3f} {users:>14} {churn:>14}", end=" ")
        print(f"{cell.adjusted_p:7.4f} {cell.verdict.value:>12} {row.audit.verdict.value:>12}", end=" ")
        print(f"{row.seconds:7.2f}  {_said(row, options.seconds)}")
    return 0 if all(_said(row, options.seconds) == "ok" for row in rows) else 1


def _said(row: Row, limit: float) -> str:
    if not row.ok:
        return "FAILED"
    return "ok" if row.seconds < limit else "TOO SLOW"


def run(data: Path, factors: int, seeds: tuple[int, int]) -> list[Row]:
    """Train both versions, make the heads, compare each with base."""
    panel = read_panel(data)
    members = panel.membership[:, [names(panel).index(SLICE)]].toarray().ravel() > 0
    base, head = (train(panel, members, factors, seed) for seed in seeds)
    nothing = np.zeros(panel.users.height, dtype=np.float32)
    everyone = nothing + 1
    party = (panel.users["party"] == PARTY).fill_null(value=False).to_numpy().astype(np.float32)
    before, after = base.slates(panel, nothing), head.slates(panel, nothing)
    rows = [
        _row("same weights, nothing changed", panel, before, before, 1.0, {}, _is(Verdict.PASS)),
        _row("retrained with another seed", panel, before, after, 1.0, {}, _not_failed),
    ]
    for name, version, who, cohort, target, reference, check in (
        ("retrained, lifted to 1.25", head, everyone, {}, 1.25, before, _amplified),
        (f"the same for {PARTY} voters only", head, party, {"party": PARTY}, 1.25, before, _amplified),
        ("retrained, a lift of 1.05", head, everyone, {}, 1.05, after, _noticed),
        ("same weights, a lift of 1.05", base, everyone, {}, 1.05, before, _noticed),
    ):
        lifted, lift = lift_to(panel, version, who, members, target * share(reference, members, who))
        rows.append(_row(name, panel, before, lifted, lift, cohort, check))
    return rows


def names(panel: Panel) -> list[str]:
    """The panel's slice names in order."""
    return [declared.name for declared in panel.slices]


def train(panel: Panel, members: Array, factors: int, seed: int) -> Candidates:
    """Train ALS on the histories and keep each user's best unseen items."""
    users = np.array([panel.user_rows[user] for user in panel.histories["user_id"]])
    items = np.array([panel.item_rows[item] for item in panel.histories["item_id"]])
    shape = (panel.users.height, panel.items.height)
    seen = sparse.coo_matrix((np.ones(len(users), dtype=np.float32), (users, items)), shape=shape).tocsr()
    seen.data[:] = 1.0
    model = AlternatingLeastSquares(factors=factors, random_state=seed, num_threads=2)
    model.fit(seen, show_progress=False)
    scores = np.asarray(model.user_factors @ model.item_factors.T, dtype=np.float32)
    scores[seen.nonzero()] = -np.inf
    return Candidates(*(_best(scores, np.flatnonzero(group), panel.depth) for group in (members, ~members)))


def lift_to(panel: Panel, version: Candidates, who: Array, members: Array, wanted: float) -> tuple[Slates, float]:
    """Slates with the lift that brings the slice's exposure among ``who`` to ``wanted``, and the lift it took."""
    before = share(version.slates(panel, np.zeros_like(who)), members, who)
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        reached = share(version.slates(panel, who * np.float32(middle)), members, who)
        low, high = (middle, high) if reached < wanted else (low, middle)
    lifted = version.slates(panel, who * np.float32(high))
    return lifted, share(lifted, members, who) / before


def _best(scores: Array, group: Array, depth: int) -> tuple[Array, Array]:
    of_group = scores[:, group]
    rows = np.argpartition(-of_group, depth - 1, axis=1)[:, :depth]
    return group[rows], np.take_along_axis(of_group, rows, axis=1)


def share(slates: Slates, members: Array, who: Array) -> float:
    """The mean exposure of ``members`` among ``who``."""
    weights = 1.0 / np.log2(np.arange(slates.top.shape[1]) + 2)
    return float((members[slates.top[who > 0]] @ (weights / weights.sum())).mean())


def _row(
    name: str,
    panel: Panel,
    base: Slates,
    head: Slates,
    lift: float,
    cohort: dict[str, str],
    check: Callable[[Audit, Cell], bool],
) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        for side, slates in (("base", base), ("head", head)):
            write_slates(slates, Path(folder) / f"{side}.parquet", panel)
        start = time.perf_counter()
        sides = (read_slates(Path(folder) / f"{side}.parquet", panel) for side in ("base", "head"))
        audit = compare(panel, *sides)
        seconds = time.perf_counter() - start
    cell = next(cell for cell in audit.cells if cell.slice == SLICE and cell.cohort == cohort)
    return Row(name, lift, cell, audit, seconds, check(audit, cell))


def _is(verdict: Verdict) -> Callable[[Audit, Cell], bool]:
    return lambda audit, _: audit.verdict is verdict


def _not_failed(audit: Audit, _: Cell) -> bool:
    return audit.verdict is not Verdict.FAIL


def _amplified(audit: Audit, cell: Cell) -> bool:
    return audit.verdict is Verdict.FAIL and cell.verdict is CellVerdict.AMPLIFIED


def _noticed(_: Audit, cell: Cell) -> bool:
    return cell.verdict in NOTICED


def _limits(low: float | None, high: float | None) -> tuple[float, float]:
    return (float("nan") if low is None else low, float("nan") if high is None else high)


if __name__ == "__main__":
    sys.exit(main())
