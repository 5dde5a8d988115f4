# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from behavior._dealt import Dealt
from behavior._permutation import SHARD, Draws, Studentised, _row_hash, coarse, landings, permute
from behavior._random import keyed
from behavior._shuffling import _words, moved

Array = np.ndarray[Any, np.dtype[Any]]


def _places(codes: Array, labelled: list[int], draws: Draws, width: int = 1) -> Array:
    return np.concatenate(list(landings(codes, np.array(labelled), draws, width)), axis=1)


@pytest.mark.parametrize("size", [4, 9000])  # side by side, and one at a time
def test_places_stay_within_strata_are_even_and_nobody_shares_one(size: int) -> None:
    codes = np.repeat([0, 1, 2], [3, 1, size])
    places = _places(codes, [2, 1, 4], Draws(3000, 1, "test"))
    assert places.shape == (7, 3000)
    assert (codes[places] == np.array([0, 0, 1, 2, 2, 2, 2])[:, None]).all()
    assert all(len(set(column)) == 7 for column in places.T.tolist())
    for item in range(2):
        assert np.bincount(places[item], minlength=3) == pytest.approx(1000, abs=120)
    for item in range(3, 7):
        quarter = (places[item] - 4) * 4 // size
        assert np.bincount(quarter, minlength=4) == pytest.approx(750, abs=120)


def test_a_stratum_that_begins_far_down_keeps_its_places() -> None:
    codes = np.repeat([0, 1], [40_000, 100])
    places = _places(codes, [2, 90], Draws(200, 1, "test"))
    assert (codes[places] == np.repeat([0, 1], [2, 90])[:, None]).all()
    assert all(len(set(column)) == 92 for column in places.T.tolist())


def test_words_are_the_whole_numbers_of_32_bits_that_the_generator_gives() -> None:
    ours, plain = keyed(1, "words"), keyed(1, "words")
    for count in (6, 7, 4, 1, 8):  # an odd count leaves half a number of 64 bits for the next
        assert (_words(ours, count) == plain.integers(0, 1 << 32, size=count, dtype=np.uint32)).all()
    assert ours.random() == plain.random()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 60), share=st.floats(0, 1))
def test_side_by_side_is_shuffled_as_one_by_one(seed: int, size: int, share: float) -> None:
    wanted = int(size * share)
    beyond = np.random.default_rng(seed).random((wanted, 50)) * np.arange(size, size - wanted, -1)[:, None]
    drawn = moved(beyond, size)
    for row in range(50):
        places = list(range(size))
        for step in range(wanted):
            other = step + int(beyond[step, row])
            places[step], places[other] = places[other], places[step]
        assert drawn[:, row].tolist() == places[:wanted]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_dealt_labels_are_summed_as_a_dense_product_sums_them(*, soft: bool, kind: type) -> None:
    generator = np.random.default_rng(1)
    degrees = np.where(generator.random((30, 7)) < 0.3, generator.random((30, 7)) if soft else 1.0, 0.0)
    degrees[:3] = 0.0  # things without a label
    rows = np.stack([generator.permutation(30)[:20] for _ in range(21)])
    values = np.rint(generator.normal(size=(20, 5)) * 100).astype(kind)
    dealt = Dealt(sparse.csr_array(degrees))
    expected = np.stack([degrees[row].T @ values for row in rows], axis=1)
    assert dealt.sums(rows, values) == pytest.approx(expected, abs=1e-9)
    assert np.concatenate(list(dealt.each(rows, values)), axis=1) == pytest.approx(expected, abs=1e-9)


def test_every_order_of_a_stratum_comes_up_alike() -> None:
    places = _places(np.zeros(4, dtype=np.int64), [4], Draws(24_000, 2, "test"))
    orders, counts = np.unique(places.T, axis=0, return_counts=True)
    assert len(orders) == 24
    assert ((counts - 1000.0) ** 2 / 1000.0).sum() < 60  # chi-squared with 23 degrees: 1 in 40,000 beyond


def test_places_are_keyed_by_seed_probe_and_shard_and_not_by_blocks() -> None:
    codes = np.zeros(50, dtype=np.int64)

    def draw(count: int, seed: int = 1, probe: str = "exposure", width: int = 1) -> Array:
        return _places(codes, [50], Draws(count, seed, probe), width)

    assert (draw(150) == draw(150)).all()
    assert (draw(150) == draw(150, width=1 << 21)).all()
    assert (draw(3 * SHARD)[:, : 2 * SHARD] == draw(2 * SHARD)).all()
    assert not (draw(2 * SHARD)[:, :SHARD] == draw(2 * SHARD)[:, SHARD:]).all()
    assert not (draw(100) == draw(100, seed=2)).all()
    assert not (draw(100) == draw(100, probe="anchor")).all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    soft=st.booleans(),
    cohorts=st.integers(1, 4),
    slices=st.integers(1, 12),
    moved=st.sampled_from([0.1, 1.0]),
    share=st.sampled_from([0.3, 0.1]),  # of the items, in each slice: summed by a dense and by a sparse product
)
def test_drawn_sums_are_those_of_labels_put_where_they_land(
    seed: int, *, soft: bool, cohorts: int, slices: int, moved: float, share: float
) -> None:
    """The largest of each permutation, against labels moved one permutation at a time."""
    generator = np.random.default_rng(seed)
    items = 60
    degrees = generator.random((items, slices)) if soft else np.ones((items, slices))
    degrees[generator.random((items, slices)) >= share] = 0.0
    shifts = coarse(np.rint(generator.standard_t(2, (items, 2 * cohorts)) * 1e9))
    shifts[generator.random(items) > moved] = 0.0
    codes = generator.integers(0, 3, items)
    shape = (slices, cohorts, 2)
    null = Studentised(np.full(shape, 1.0), np.zeros(shape), np.full(shape, 1e-9))
    draws = Draws(40, seed, "test")
    maxima, _ = permute(sparse.csr_array(degrees), shifts, codes, null, ["primary"] * slices, draws)

    signature = sparse.csr_array(degrees) @ _label_order(slices)
    turned = _turned(shifts, codes)
    has, moves = (degrees > 0).any(axis=1), turned.any(axis=1)
    if moves.sum() < has.sum():  # places that moved are given items
        labels = degrees[np.lexsort((signature, codes))]
        turned = turned[np.lexsort((_row_hash(turned), ~moves, codes))]
        turned = turned[turned.any(axis=1)]
        wanted = np.bincount(codes, weights=moves, minlength=3).astype(int)
    else:  # items that have labels are given places
        labels = degrees[np.lexsort((signature, ~has, codes))]
        labels = labels[(labels > 0).any(axis=1)]
        turned = turned[np.lexsort((_row_hash(turned), codes))]
        wanted = np.bincount(codes, weights=has, minlength=3).astype(int)
    drawn = _places(np.sort(codes), list(wanted[np.unique(codes)]), draws) if shifts.any() else np.zeros((0, 40), int)
    given_items = moves.sum() < has.sum()
    sums = [labels[one].T @ turned if given_items else labels.T @ turned[one] for one in drawn.T]
    expected = [np.abs(each).max(initial=0.0) * 1e-9 for each in sums]
    assert maxima["primary"] == pytest.approx(expected, rel=1e-12)


def _label_order(slices: int) -> Array:
    return keyed(0, "label order").random(slices)


def _turned(shifts: Array, codes: Array) -> Array:
    from behavior._permutation import _orientation  # noqa: PLC0415 - the way the kernel turns shifts

    return shifts * _orientation(shifts, codes)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1.0, 1e3, 1e9, 1e13]), items=st.integers(1, 2000))
def test_coarse_shifts_add_up_exactly_in_float32_in_any_order(seed: int, scale: float, items: int) -> None:
    generator = np.random.default_rng(seed)
    shifts = np.rint(generator.standard_t(2, (items, 3)) * scale)
    rounded = coarse(shifts)
    assert (rounded.astype(np.float32) == rounded).all()
    forward = np.cumsum(rounded.astype(np.float32), axis=0, dtype=np.float32)[-1]
    order = generator.permutation(items)
    turned = np.cumsum(rounded[order].astype(np.float32), axis=0, dtype=np.float32)[-1]
    assert (forward == rounded.sum(axis=0)).all()
    assert (turned == forward).all()
    assert (np.abs(rounded - shifts).max(axis=0) <= np.abs(shifts).sum(axis=0) / (1 << 22)).all()
    assert (coarse(-shifts) == -rounded).all()


def test_coarse_shifts_are_the_shifts_themselves_where_they_are_small() -> None:
    shifts = np.array([[3.0, -4000.0], [0.0, 12.0]])
    assert (coarse(shifts) == shifts).all()


def test_p_of_a_small_stratum_counts_ties_as_full_enumeration_does() -> None:
    """Two labelled of four items, large shifts: 1 of the 6 ways is the one observed, and its mirror is as far out."""
    shifts = coarse(np.array([[900_000_007.0], [500_000_001.0], [-400_000_003.0], [-1_000_000_005.0]]))
    labels = np.array([[1.0], [1.0], [0.0], [0.0]])
    ways = [shifts[list(two)].sum() for two in itertools.combinations(range(4), 2)]
    mean, spread = np.mean(ways), np.std(ways)
    z = np.array([[[(shifts[:2].sum() - mean) / spread]]])
    null = Studentised(z, np.full((1, 1, 1), mean), np.full((1, 1, 1), 1 / spread))
    draws = Draws(20_000, 3, "test")
    _, count = permute(sparse.csr_array(labels), shifts, np.zeros(4, dtype=np.int64), null, ["primary"], draws)
    exact = np.mean([abs(way - mean) >= abs(z[0, 0, 0]) * spread * (1 - 1e-9) for way in ways])
    assert count[0, 0] / 20_000 == pytest.approx(exact, abs=0.015)
