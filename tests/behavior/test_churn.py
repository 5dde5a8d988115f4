# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse, stats

from behavior import Slates
from behavior import churn as null
from behavior._strata import strata
from behavior.churn import item_shifts, null_moments
from behavior.exposure import ItemSums, measure

if TYPE_CHECKING:
    from collections.abc import Callable


def test_moments_agree_with_every_permutation_there_is() -> None:
    generator = np.random.default_rng(1)
    codes = np.array([0, 0, 0, 0, 1, 1, 1])
    labels, shifts = generator.random((7, 2)), generator.integers(-9, 9, size=(7, 3)).astype(float)
    everything = np.array(
        [
            labels[[*first, *second]].T @ shifts
            for first in itertools.permutations(range(4))
            for second in itertools.permutations(range(4, 7))
        ]
    )
    mean, spread = null_moments(sparse.csr_array(labels), shifts, codes)
    assert mean == pytest.approx(everything.mean(axis=0))
    assert spread == pytest.approx(everything.std(axis=0))


def _sums(base: Any, head: Any) -> ItemSums:
    base, head = np.atleast_2d(base), np.atleast_2d(head)
    return ItemSums(np.arange(base.shape[1]), (base, head), None, ((base > 0) * 1, (head > 0) * 1))


def test_strata_are_the_same_for_both_directions_and_keep_equal_items_together() -> None:
    generator = np.random.default_rng(2)
    base, head = generator.integers(0, 20, 400), generator.integers(0, 20, 400)
    match = np.zeros(400, dtype=np.int64)
    codes = strata(_sums(base, head), match)
    assert (codes == strata(_sums(head, base), match)).all()
    total = base + head
    assert len({(int(code), int(value)) for code, value in zip(codes, total, strict=True)}) == len(set(total.tolist()))
    assert codes.max() + 1 <= 8


def test_items_that_differ_in_what_is_matched_on_are_never_exchanged() -> None:
    generator = np.random.default_rng(3)
    match = generator.integers(0, 3, 600)
    codes = strata(_sums(generator.integers(0, 99, 600), generator.integers(0, 99, 600)), match)
    for code in np.unique(codes):
        assert len(set(match[codes == code].tolist())) == 1


def test_shifts_are_whole_numbers() -> None:
    names, shifts = item_shifts(
        replace(_sums([5, 0, 9], [1, 4, 9]), deep=(np.array([[5, 0, 9]]), np.array([[1, 16, 9]]))),
        np.zeros(3, dtype=np.int64),
    )
    assert names == ("top", "near", "deep", "reach")
    assert shifts[:, 0].tolist() == [-4, 4, 0]
    assert (shifts == np.rint(shifts)).all()
    rooted = np.array([-4 / math.sqrt(6), 2, 0])
    assert shifts[:, 1].tolist() == np.rint(1024 * rooted / np.sqrt((rooted**2).mean())).tolist()


def test_no_item_counts_for_more_than_three_root_mean_squares_of_its_stratum() -> None:
    base, head = np.full(400, 100), np.full(400, 100)
    head[:2] = 10_000
    head[200] = 101
    codes = np.repeat([0, 1], 200)
    names, shifts = item_shifts(_sums(base, head), codes)
    near = shifts[:, names.index("near")]
    assert near[:2].tolist() == [3072, 3072]
    assert near[200] == 3072
    assert shifts[0, 0] == 9900


def test_a_cell_of_one_stratum_has_the_p_of_full_enumeration(panel_folder: Callable[..., Any]) -> None:
    panel = panel_folder(
        users=40, items=12, k=3, depth=3, permutations=5000, slices='[[slices]]\nname = "s"\nwhere = "views < 9"\n'
    ).read()
    generator = np.random.default_rng(4)

    def slates() -> Slates:
        top = np.array([generator.permutation(12)[:3] for _ in range(40)], dtype=np.int32)
        return Slates(np.arange(40, dtype=np.int32), ("",) * 40, top, None)

    measured = measure(panel, slates(), slates())
    found = null.churn(panel, measured, "exposure")
    assert found.strata == 1
    _, shifts = item_shifts(measured.sums, strata(measured.sums, panel.match))
    everything = np.array([shifts[list(chosen)].sum(axis=0) for chosen in itertools.combinations(range(12), 3)])
    centred = np.abs(everything - everything.mean(axis=0)) / everything.std(axis=0)
    mine = np.abs(shifts[:3].sum(axis=0) - everything.mean(axis=0)) / everything.std(axis=0)
    exact = (centred.max(axis=1) >= mine.max() - 1e-9).mean()
    assert found.p[0, 0] == pytest.approx(exact, abs=0.03)
    assert np.abs(found.z[0, 0]) == pytest.approx(mine / null.DESIGN, rel=1e-6)


def test_adjusting_never_lowers_a_p_and_p_is_never_zero(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    panel, people = panel_folder().read(), world(200, 300)
    lift = np.where(np.arange(300) % 10 == 0, 3.0, 0.0)
    base, head = (people.slates(panel, people.version(1, lift=each)) for each in (0.0, lift))
    found = null.churn(panel, measure(panel, base, head), "exposure")
    assert (found.adjusted_p.min(axis=2) >= found.p - 1e-12).all()
    assert found.p.min() == pytest.approx(1 / 201)


def test_a_slice_that_fills_its_strata_has_no_evidence_but_a_spread(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    everything = '[[slices]]\nname = "all"\nwhere = "views >= 0"\n'
    panel, people = panel_folder(slices=everything).read(), world(200, 300)
    base, head = (people.slates(panel, people.version(seed)) for seed in (1, 2))
    found = null.churn(panel, measure(panel, base, head), "exposure")
    assert (found.z == 0).all()
    assert (found.adjusted_p == 1).all()
    assert (found.spread > 0).all()


def test_p_is_even_under_shuffled_labels(panel_folder: Callable[..., Any], world: Callable[..., Any]) -> None:
    one = '[[slices]]\nname = "s"\nwhere = "state"\n'
    panel, people = panel_folder(slices=one, permutations=100).read(), world(200, 300)
    base, head = (people.slates(panel, people.version(seed)) for seed in (1, 2))
    measured = measure(panel, base, head)
    generator = np.random.default_rng(5)
    found = []
    for _ in range(200):
        shuffled = sparse.csr_array(panel.membership.toarray()[generator.permutation(300)])
        found.append(null.churn(replace(panel, membership=shuffled), measured, "exposure").p[0, 0])
    share = [float(np.mean(np.array(found) <= level)) for level in (0.05, 0.25, 0.5, 0.75)]
    assert share == pytest.approx([0.05, 0.25, 0.5, 0.75], abs=0.12)
    assert share[0] <= 0.1


@pytest.mark.parametrize("freedom", [5, 12, 200])
def test_a_spread_that_few_builds_tell_is_read_as_a_students(freedom: int) -> None:
    """What is a Student's becomes a normal, and far out, where nothing can be told apart any more, stays what it is."""
    drawn = np.random.default_rng(freedom).standard_t(freedom, 20_000)
    turned = null._as_normal(drawn, freedom)
    assert stats.kstest(turned, "norm").pvalue > 0.001
    assert (np.sign(turned) == np.sign(drawn)).all()
    assert (np.abs(turned) <= np.abs(drawn)).all()
    assert np.isfinite(null._as_normal(np.array([-1e300, 0.0, 1e300]), freedom)).all()
