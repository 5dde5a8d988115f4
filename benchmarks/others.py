# SPDX-License-Identifier: Apache-2.0
"""RecTools, ranx and SciPy on the slates of ``inference.py``: one JSON line each. Stands alone, for any environment.

python benchmarks/others.py SLATES.npz
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, np.dtype[Any]]

K = 20
PERMUTATIONS = 10_000


def main() -> int:
    """Run every tool that is there."""
    arrays = dict(np.load(sys.argv[1]))
    for tool, run in (("RecTools", rectools), ("ranx", ranx), ("SciPy", scipy_items), ("SciPy", scipy_users)):
        try:
            line = run(arrays)
        except ImportError as error:
            line = {"skipped": str(error)}
        print(json.dumps({"tool": tool, **line}), flush=True)
    return 0


def rectools(arrays: dict[str, Any]) -> dict[str, Any]:
    """NDCG by RecTools, whose ideal is a full slate: with the slice's items as relevant it is the log2 share."""
    import pandas as pd  # noqa: PLC0415 - may not be there
    from rectools import Columns  # noqa: PLC0415
    from rectools.metrics import NDCG  # noqa: PLC0415

    users = len(arrays["base"])

    def frame(slates: Array) -> pd.DataFrame:
        ranks = np.tile(np.arange(1, K + 1), users)
        return pd.DataFrame(
            {Columns.User: np.repeat(np.arange(users), K), Columns.Item: slates.ravel(), Columns.Rank: ranks}
        )

    def shares() -> list[float]:
        sides = [frame(arrays[side]) for side in ("base", "head")]
        both = pd.concat([side[arrays["members"][side[Columns.Item]]] for side in sides])
        relevant = both[[Columns.User, Columns.Item]].drop_duplicates()
        return [float(NDCG(k=K).calc_per_user(side, relevant).sum() / users) for side in sides]

    seconds, found = least(shares)
    return {"what": "NDCG per user, frames built from the same arrays", **seconds, "shares": found}


def ranx(arrays: dict[str, Any]) -> dict[str, Any]:
    """DCG by ranx over the sum of the weights: with the slice's items as relevant it is the log2 share."""
    from ranx import Qrels, Run, evaluate  # noqa: PLC0415

    weights = 1.0 / np.log2(np.arange(K) + 2)
    users = [str(user) for user in range(len(arrays["base"]))]
    sides = [arrays[side] for side in ("base", "head")]
    relevant: dict[str, dict[str, int]] = {user: {"none": 1} for user in users}
    for side in sides:
        for user, slate in zip(users, side, strict=True):
            relevant[user].update((str(item), 1) for item in slate if arrays["members"][item])
    qrels = Qrels(relevant)
    runs = [
        {
            user: {str(item): float(K - place) for place, item in enumerate(slate)}
            for user, slate in zip(users, side, strict=True)
        }
        for side in sides
    ]

    def shares() -> list[float]:
        return [float(evaluate(qrels, Run(run), "dcg@20")) / weights.sum() for run in runs]

    shares()  # compiled on the first call, which is not counted
    seconds, found = least(shares)
    return {"what": "DCG, runs built from dictionaries", **seconds, "shares": found}


def scipy_items(arrays: dict[str, Any]) -> dict[str, Any]:
    """SciPy's permutation test of the items' shifts, those of the slice against the others: one stratum."""
    from scipy import stats  # noqa: PLC0415

    samples = (arrays["shift"][arrays["member"]], arrays["shift"][~arrays["member"]])

    def test() -> float:
        return float(
            stats.permutation_test(
                samples,
                lambda inside, _, axis: inside.sum(axis=axis),
                permutation_type="independent",
                vectorized=True,
                n_resamples=PERMUTATIONS,
                batch=200,
                rng=np.random.default_rng(1),
            ).pvalue
        )

    seconds, p = least(test, 1)
    return {"what": "of items, one statistic, without strata", **seconds, "p": p}


def scipy_users(arrays: dict[str, Any]) -> dict[str, Any]:
    """SciPy's permutation test of users' pairs, which leaves churn out: the test that a platform would use."""
    from scipy import stats  # noqa: PLC0415

    weights = 1.0 / np.log2(np.arange(K) + 2)
    shares = [arrays["members"][arrays[side]] @ (weights / weights.sum()) for side in ("base", "head")]

    def test() -> float:
        return float(
            stats.permutation_test(
                shares,
                lambda base, head, axis: (head - base).mean(axis=axis),
                permutation_type="samples",
                vectorized=True,
                n_resamples=PERMUTATIONS,
                batch=200,
                rng=np.random.default_rng(1),
            ).pvalue
        )

    seconds, p = least(test, 1)
    return {"what": "of users' pairs, which leaves churn out", **seconds, "p": p, "same": False}


def least(run: Callable[[], Any], runs: int = 3) -> tuple[dict[str, float], Any]:
    """The least times of several runs, by the clock and of the processor, and what the last one gave."""
    clock, processor, result = [], [], None
    for _ in range(runs):
        start, ours = time.perf_counter(), time.process_time()
        result = run()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - ours)
    return {"seconds": min(clock), "processor": min(processor)}, result


if __name__ == "__main__":
    sys.exit(main())
