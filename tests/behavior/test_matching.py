# SPDX-License-Identifier: Apache-2.0
"""The normal that matches, held against permuting every item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from behavior import _permutation
from behavior._matching import Matching
from behavior._permutation import Draws, Studentised, coarse, permute
from behavior.churn import null_moments

Array = np.ndarray[Any, np.dtype[Any]]
ITEMS, SLICES, COHORTS, STATISTICS = 6000, 5, 2, 2


def _problem(tail: float) -> tuple[sparse.csr_array, Array, Array, Studentised]:
    """Overlapping slices, a soft one among them, and shifts of one tail, larger in later strata."""
    generator = np.random.default_rng(8)
    codes = np.repeat([0, 1, 2], [3000, 2000, 1000])
    labels = (generator.random((ITEMS, SLICES)) < [0.1, 0.2, 0.3, 0.05, 0.5]).astype(float)
    labels[:, 1] = np.maximum(labels[:, 0], labels[:, 1])
    labels[:, 4] *= generator.random(ITEMS)
    shared = generator.standard_t(tail, (ITEMS, 1))
    shifts = (shared + generator.standard_t(tail, (ITEMS, COHORTS * STATISTICS))) * 10.0 ** codes[:, None]
    shifts = coarse(np.rint(shifts * 1000))
    order = generator.permutation(ITEMS)
    labels, shifts, codes = sparse.csr_array(labels[order]), shifts[order], codes[order]

    def cells(values: Array) -> Array:
        return values.reshape(SLICES, STATISTICS, COHORTS).transpose(0, 2, 1)

    mean, spread = map(cells, null_moments(labels, shifts, codes))
    z = (cells(labels.T @ shifts) - mean) / spread
    return labels, shifts, codes, Studentised(z, mean, 1.0 / spread)


@pytest.mark.parametrize("tail", [2.5, 50.0])
def test_the_largest_statistic_is_distributed_as_when_every_item_is_permuted(
    tail: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, shifts, codes, null = _problem(tail)
    families = ["primary"] * 3 + ["secondary"] * 2
    exact, _ = permute(labels, shifts, codes, null, families, Draws(2000, 1, "test"))
    monkeypatch.setattr(_permutation, "_WORK", 0.0)
    monkeypatch.setattr(_permutation, "_FEW_ITEMS", 700)
    matched, _ = permute(labels, shifts, codes, null, families, Draws(2000, 1, "test"))
    for family in ("primary", "secondary"):
        assert not (exact[family] == matched[family]).all()
        for level in (0.5, 0.9, 0.95, 0.99):
            at = np.quantile(exact[family], level)
            assert (matched[family] > at).mean() == pytest.approx(
                1 - level, abs=4 * np.sqrt(level * (1 - level) / 2000)
            )


@pytest.mark.parametrize(("tail", "heavy"), [(2.5, 300), (50.0, 0)])
def test_matched_sums_have_the_moments_of_permuted_ones(tail: float, heavy: int) -> None:
    labels, shifts, codes, _ = _problem(tail)
    mean, spread = null_moments(labels, shifts, codes)
    matching = Matching(labels, shifts, codes, spread)
    assert matching.heavy >= heavy
    assert matching.heavy < ITEMS / 2
    drawn = matching.drawn(np.random.default_rng(3), 2000, _permutation._landing)
    z = (drawn - mean[:, None]) / spread[:, None]
    assert np.abs(z.mean(axis=1)).max() < 5 / np.sqrt(2000)
    assert z.std(axis=1) == pytest.approx(np.ones_like(mean), abs=0.08)


def test_cells_depend_on_one_another_as_under_permutation() -> None:
    """Nested slices and columns with a shared part are correlated; the joint covariance is a product per stratum."""
    labels, shifts, codes, _ = _problem(50.0)
    matching = Matching(labels, shifts, codes, null_moments(labels, shifts, codes)[1])
    drawn = matching.drawn(np.random.default_rng(4), 3000, _permutation._landing)
    dense = labels.toarray()
    expected = np.zeros((SLICES, SLICES, shifts.shape[1], shifts.shape[1]))
    for code in range(3):
        x, a = dense[codes == code], shifts[codes == code]
        expected += np.multiply.outer(np.cov(x.T), np.cov(a.T)) * (len(x) - 1)
    centred = drawn - drawn.mean(axis=1, keepdims=True)
    found = np.einsum("srk,trl->stkl", centred, centred) / 2999
    unit = np.sqrt(np.einsum("sskk->sk", expected))
    scale = np.einsum("sk,tl->stkl", unit, unit)
    assert found / scale == pytest.approx(expected / scale, abs=0.1)
    assert (expected / scale)[0, 1, 0, 1] > 0.2


def test_a_slice_that_fills_its_strata_never_varies() -> None:
    _, shifts, codes, _ = _problem(5.0)
    labels = sparse.csr_array(np.ones((ITEMS, 1)))
    matching = Matching(labels, shifts, codes, np.zeros((1, shifts.shape[1])))
    drawn = matching.drawn(np.random.default_rng(5), 50, _permutation._landing)
    assert drawn - shifts.sum(axis=0) == pytest.approx(np.zeros_like(drawn), abs=1e-6 * np.abs(shifts).sum())
