# SPDX-License-Identifier: Apache-2.0
"""The quality probe's measures, against RecTools' numbers and plain definitions.

RecTools is no dependency: it brings a second build of ``implicit`` under the same name. ``RECTOOLS`` is what version
0.19.0 gave each user for the slates below: ``Recall(k=4)``, ``NDCG(k=4, divide_by_achievable=True)``,
``CatalogCoverage(k=4, normalize=True)``, ``MeanInvUserFreq(k=4)`` and ``IntraListDiversity(k=4)`` with
``PairwiseHammingDistanceCalculator``, which counts attributes where we take their share.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import compare
from behavior._histories import held_out
from behavior._requests import panel_requests
from behavior.quality import diversity, gini, ndcg, novelty, rank_biased_overlap, recall

if TYPE_CHECKING:
    from collections.abc import Callable

    from behavior import Audit

TOP = np.array([[0, 1, 2, 3], [4, 0, 5, 1], [2, 6, 7, 0]], dtype=np.int32)
RELEVANT = [np.array([1, 3, 9]), np.array([5]), np.array([2, 6, 7, 0, 8])]
HISTORY = [(0, 4), (0, 5), (1, 2), (1, 4), (2, 4), (2, 1), (0, 1)]  # user, item
CODES = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [2, 0], [0, 1], [1, 1], [2, 2]])
RECTOOLS = {
    "recall": [0.6666666666666666, 1.0, 0.8],
    "ndcg": [0.49818925746641285, 0.5, 1.0],
    "coverage": 0.8,
    "novelty": [1.3349625007211563, 0.9387218755408673, 1.5849625007211563],
    "diversity": [1.3333333333333333, 1.1666666666666667, 1.3333333333333333],
}


def _measures(audit: Audit) -> dict[str, Any]:
    probe = next(probe for probe in audit.probes if probe.name == "quality")
    measures: dict[str, Any] = probe.searched["measures"]
    return measures


def test_recall_ndcg_and_diversity_are_rectools() -> None:
    assert recall(TOP, RELEVANT) == pytest.approx(RECTOOLS["recall"])
    assert ndcg(TOP, RELEVANT) == pytest.approx(RECTOOLS["ndcg"])
    assert diversity(TOP, CODES) * CODES.shape[1] == pytest.approx(RECTOOLS["diversity"])


def test_novelty_and_coverage_are_rectools(panel_folder: Callable[..., Any], world: Callable[..., Any]) -> None:
    folder = panel_folder(users=3, items=10, k=4, depth=4)
    history = pl.DataFrame(
        {"user_id": [f"u{user}" for user, _ in HISTORY], "item_id": [f"i{item}" for _, item in HISTORY]}
    )
    panel = folder.with_table("histories", history).read()
    assert novelty(panel)[TOP].mean(axis=1) == pytest.approx(RECTOOLS["novelty"])
    scores = np.zeros((3, 10))
    np.put_along_axis(scores, TOP, np.array([[4.0, 3.0, 2.0, 1.0]]), axis=1)
    slates = world(3, 10).slates(panel, scores)
    measured = _measures(compare(panel, slates, slates))
    assert measured["coverage"]["base"] == pytest.approx(RECTOOLS["coverage"])
    assert measured["novelty"]["base"] == pytest.approx(np.mean(RECTOOLS["novelty"]))
    assert measured["novelty"]["difference"] == 0


def test_gini_is_half_the_mean_absolute_difference_over_the_mean() -> None:
    amounts = np.array([0.0, 3.0, 1.0, 1.0, 7.0, 0.5])
    plain = np.abs(amounts[:, None] - amounts[None, :]).mean() / (2 * amounts.mean())
    assert gini(amounts) == pytest.approx(plain)
    assert gini(np.ones(5)) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 0, 1])) == pytest.approx(0.75)
    assert gini(np.zeros(3)) == 0


def test_rank_biased_overlap_is_the_extrapolated_one_written_out() -> None:
    def plain(first: list[int], second: list[int], p: float) -> float:
        length = len(first)
        common = [len(set(first[:depth]) & set(second[:depth])) for depth in range(1, length + 1)]
        total = sum(common[depth - 1] / depth * p**depth for depth in range(1, length + 1))
        return common[-1] / length * p**length + (1 - p) / p * total

    pairs = list(itertools.product(TOP.tolist(), TOP.tolist()))
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    expected = [plain(one, other, 0.9) for one, other in pairs]
    assert rank_biased_overlap(first, second) == pytest.approx(expected)
    assert rank_biased_overlap(TOP, TOP) == pytest.approx(1)
    assert rank_biased_overlap(TOP[:1], TOP[:1] + 100) == pytest.approx(0)


def test_held_out_rows_are_told_to_no_recommender_and_judge_recall(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    folder = panel_folder(users=40, items=60)
    people = world(40, 60)
    scores = people.version(1)
    best = np.argsort(-scores, axis=1)
    kept = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(40) for _ in range(2)],
            "item_id": [f"i{item}" for user in range(40) for item in (best[user, 0], best[user, 30])],
            "event": ["held-out"] * 80,
        }
    )
    told = pl.DataFrame({"user_id": ["u1"], "item_id": ["i3"], "event": ["click"]})
    panel = folder.with_table("histories", pl.concat([kept, told])).read()
    assert held_out(panel).height == 80
    assert [len(asked.request.history) for asked in panel_requests(panel, known_users=True)] == [0, 1, *[0] * 38]
    base, head = people.slates(panel, scores), people.slates(panel, -scores)
    measured = _measures(compare(panel, base, head))
    assert measured["recall"]["base"] == 0.5  # of each user's two items one is first, the other below the fold
    assert measured["NDCG"]["base"] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert measured["recall"]["head"] < 0.5
    assert measured["recall"]["high"] < 0


def test_without_held_out_rows_recall_is_left_out_and_it_says_so(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    panel = panel_folder(users=40, items=60).read()
    people = world(40, 60)
    audit = compare(panel, people.slates(panel, people.version(1)), people.slates(panel, people.version(2)))
    assert "recall" not in _measures(audit)
    probe = next(probe for probe in audit.probes if probe.name == "quality")
    assert "held-out" in probe.summary
    assert 0 < probe.searched["overlap"] < 1
