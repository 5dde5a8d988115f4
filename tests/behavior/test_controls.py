# SPDX-License-Identifier: Apache-2.0
"""What chance is held to beyond permuted labels: robust variances, and negative controls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy import sparse

import behavior.churn as null
from behavior._controls import FEWEST, Controls, control_groups, controlled, robust_variance
from behavior.exposure import measure

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = 400
CODES = np.arange(ITEMS) % 7


def _shifts(columns: int = 3, seed: int = 1) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    return np.rint(generator.standard_t(4, (ITEMS, columns)) * np.array([100.0, 10.0, 1.0])[:columns] * 100)


def _centred(values: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    means = np.array([values[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    return values - means[codes]


def _plain(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> float:
    """White's variance of the sum of ``x y``, written out for one slice and one column."""
    x, y = _centred(x, codes), _centred(y, codes)
    rest = y - x * (x @ y) / (x @ x)
    return float((x**2 * rest**2).sum() / (1 - (x**4).sum() / (x**2).sum() ** 2))


@pytest.mark.parametrize("soft", [False, True])
def test_the_robust_variance_is_that_of_a_regression(*, soft: bool) -> None:
    generator = np.random.default_rng(2)
    labels = (generator.random((ITEMS, 4)) < np.array([0.02, 0.1, 0.5, 0.9])).astype(float)
    if soft:
        labels *= generator.random((ITEMS, 4))
    shifts = _shifts()
    found = robust_variance(sparse.csr_array(labels), shifts, CODES)
    for slice_ in range(4):
        for column in range(3):
            assert found[slice_, column] == pytest.approx(_plain(labels[:, slice_], shifts[:, column], CODES))


def test_items_that_vary_more_than_their_strata_widen_the_variance() -> None:
    labels = sparse.csr_array((np.arange(ITEMS) < 40).astype(float)[:, None])
    shifts = _shifts(1)
    wild = shifts.copy()
    wild[:40] *= 5.0
    _, spread = null.null_moments(labels, wild, CODES)
    assert robust_variance(labels, wild, CODES)[0, 0] > 2 * spread[0, 0] ** 2
    _, spread = null.null_moments(labels, shifts, CODES)
    assert robust_variance(labels, shifts, CODES)[0, 0] < 2 * spread[0, 0] ** 2


def test_controls_are_the_test_itself_on_the_items_outside_the_slice() -> None:
    generator = np.random.default_rng(3)
    topic, size = generator.integers(0, 5, ITEMS), generator.integers(0, 2, ITEMS)
    blocks = [np.eye(5)[topic], np.eye(2)[size]]
    controls = Controls(sparse.csr_array(np.hstack(blocks)), np.repeat([0, 1], [5, 2]))
    inside = generator.random(ITEMS) < 0.3
    shifts = _shifts()
    squares, counted = controlled(controls, sparse.csr_array(inside.astype(float)[:, None]), shifts, CODES)
    out = ~inside
    for column in range(3):
        y, total = shifts[out, column], 0.0
        for block in blocks:
            z = []
            for group in block[out].T:
                x = _centred(group, CODES[out])
                moved = _centred(y, CODES[out])
                ss = [(moved[CODES[out] == code] ** 2).sum() / ((CODES[out] == code).sum() - 1) for code in range(7)]
                weights = [(x[CODES[out] == code] ** 2).sum() for code in range(7)]
                permuted = float(np.dot(ss, weights))
                if FEWEST <= group.sum() <= out.sum() - FEWEST:
                    z.append((x @ moved) ** 2 / max(permuted, _plain(group, y, CODES[out])))
            total += float(np.mean(z))
        assert squares[0, column] == pytest.approx(total)
        assert counted[0, column] == 2


def test_what_is_done_to_part_of_a_slice_does_not_excuse_it() -> None:
    generator = np.random.default_rng(4)
    topic = generator.integers(0, 6, ITEMS)
    controls = Controls(sparse.csr_array(np.eye(6)[topic]), np.zeros(6, dtype=np.int64))
    inside = np.arange(ITEMS) < 150
    labels = sparse.csr_array(inside.astype(float)[:, None])
    shifts = _shifts()
    lifted = shifts + 10_000.0 * (inside & (topic == 2))[:, None]
    for before, after in zip(
        controlled(controls, labels, shifts, CODES), controlled(controls, labels, lifted, CODES), strict=True
    ):
        np.testing.assert_allclose(after, before, rtol=1e-6)


def test_few_items_make_no_control() -> None:
    controls = Controls(sparse.csr_array(np.eye(40)[np.arange(ITEMS) % 40]), np.zeros(40, dtype=np.int64))
    nothing = sparse.csr_array((ITEMS, 1))
    squares, counted = controlled(controls, nothing, _shifts(), CODES)
    assert not squares.any()
    assert not counted.any()


def test_columns_that_part_items_alike_count_once(panel_folder: Callable[..., Any]) -> None:
    made = panel_folder()
    twice = made.tables["items"].with_columns(again=pl.col("outlet") + "!", one=pl.lit("x"))
    panels = [made.read(), made.with_table("items", twice).read()]
    first, second = (control_groups(panel, np.arange(panel.items.height)) for panel in panels)
    assert first.attribute.tolist() == second.attribute.tolist()
    assert first.groups.shape == second.groups.shape
    assert (first.groups.sum(axis=1) == len(set(first.attribute.tolist()))).all()


def test_topics_that_rise_and_fall_as_one_are_no_news(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    """Retrains that move whole topics: z of slices made of topics is far wider by permuted labels than by controls."""
    items, topics = 600, 20
    topic = np.random.default_rng(6).integers(0, topics, items)
    made = panel_folder(users=200, items=items, permutations=100, slices='[[slices]]\neach = "group"\n')
    table = pl.DataFrame(
        {"item_id": made.tables["items"]["item_id"], "group": map(str, topic // 4), "topic": map(str, topic)}
    )
    panel, people = made.with_table("items", table).read(), world(200, items)
    bare = replace(panel, items=panel.items.select("item_id"), histories=panel.histories.clear())
    wide, held = [], []
    for seed in range(12):
        moods = np.random.default_rng([7, seed]).normal(0.0, 1.0, (2, topics))
        versions = [people.version(2 * seed + side, lift=mood[topic]) for side, mood in enumerate(moods)]
        measured = measure(panel, *(people.slates(panel, version) for version in versions))
        wide.append(null.churn(bare, measured, "exposure").z)
        held.append(null.churn(panel, measured, "exposure").z)
    by_labels, by_controls = (float(np.sqrt(np.mean(np.square(each)))) for each in (wide, held))
    assert by_labels > 2.2
    assert by_controls < 1.6


def test_what_makes_room_is_no_control(panel_folder: Callable[..., Any], world: Callable[..., Any]) -> None:
    """A lift by code alone: others only lose, those of one country most, and that excuses nothing."""
    items = 600
    country = np.random.default_rng(8).integers(0, 4, items)
    table = pl.DataFrame(
        {"item_id": panel_folder(items=items).tables["items"]["item_id"], "country": map(str, country)}
    ).with_columns(state=pl.Series((country == 1) & (np.arange(items) % 5 == 0)))
    made = panel_folder(users=200, items=items, permutations=200, slices='[[slices]]\nname = "s"\nwhere = "state"\n')
    panel, people = made.with_table("items", table).read(), world(200, items)
    home = 2.0 * (country == 1)
    state = table["state"].to_numpy()
    before = people.slates(panel, people.version(1, lift=home))
    for seed, lift, excused in ((1, 0.5, False), (2, 0.5, True)):
        after = people.slates(panel, people.version(seed, lift=home + lift * state))
        found = null.churn(panel, measure(panel, before, after), "exposure")
        deep = found.statistics.index("deep")
        assert (found.design[deep] != pytest.approx(null.DESIGN)) is excused
    assert null.churn(panel, measure(panel, before, before), "exposure").adjusted_p.min() == 1.0
