# SPDX-License-Identifier: Apache-2.0
"""The minimum detectable ratio is what it says: a lift of that size is found about four times in five."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import polars as pl
import pytest

from behavior import Slates, power
from behavior._analysis import analyse
from evidence import SlatesError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE = '[[slices]]\nname = "state"\nwhere = "state"\nmargin = 1.10\n'
ITEMS = 200


def _panel(panel_folder: Callable[..., Any], users: int, **options: Any) -> Any:
    folder = panel_folder(users=users, items=ITEMS, slices=ONE, **options)
    return folder.with_table(
        "items", folder.tables["items"].with_columns(state=pl.int_range(pl.len()) < ITEMS // 2)
    ).read()


def _drawn(panel: Any, chance: np.ndarray[Any, Any], generator: np.random.Generator) -> Slates:
    """Slates in which each place shows the slice with the user's chance, items otherwise at random."""
    users, k = len(chance), panel.k
    inside = generator.random((users, k)) < chance[:, None]
    half = ITEMS // 2
    of, out = (generator.permuted(np.tile(np.arange(half), (users, 1)), axis=1)[:, :k] for _ in range(2))
    top = np.where(inside, of, out + half).astype(np.int32)
    return Slates(np.arange(users, dtype=np.int32), ("",) * users, top, None)


def _found_by_users(panel: Any, chance: np.ndarray[Any, Any], rounds: int) -> tuple[float, float]:
    """How often the interval lies above 1 when the slice is lifted to the ratio that base alone promised."""
    generator = np.random.default_rng(5)
    promised = power(panel, _drawn(panel, chance, generator)).cells[0].minimum_detectable_ratio
    found = 0
    for _ in range(rounds):
        base, head = _drawn(panel, chance, generator), _drawn(panel, chance * promised, generator)
        found += (analyse(panel, base, head, "exposure").cells[0].ratio_low or 0.0) > 1.0
    return found / rounds, promised


def test_from_base_alone_a_lift_of_the_printed_size_is_found_four_times_in_five(
    panel_folder: Callable[..., Any],
) -> None:
    panel = _panel(panel_folder, 300, permutations=100)
    found, promised = _found_by_users(panel, np.full(300, 0.3), 80)
    assert 1.08 < promised < 1.2
    assert 0.70 <= found <= 0.90


def test_users_who_differ_among_themselves_are_found_more_often_not_less(panel_folder: Callable[..., Any]) -> None:
    panel = _panel(panel_folder, 300, permutations=100)
    found, _ = _found_by_users(panel, np.random.default_rng(1).beta(2, 6, size=300), 40)
    assert found >= 0.80


def test_as_many_users_as_are_asked_for_bring_the_ratio_to_the_margin(panel_folder: Callable[..., Any]) -> None:
    chance = np.random.default_rng(2).beta(2, 6, size=4000)
    few = power(panel := _panel(panel_folder, 400), _drawn(panel, chance[:400], np.random.default_rng(3))).cells[0]
    assert few.minimum_detectable_ratio > few.margin
    needed = few.users_for_margin
    assert 400 < needed < 4000
    panel = _panel(panel_folder, needed, name="enough")
    enough = power(panel, _drawn(panel, chance[:needed], np.random.default_rng(4))).cells[0]
    assert enough.minimum_detectable_ratio == pytest.approx(enough.margin, rel=0.015)


def _lifted(world: Any, panel: Any, seed: int, ratio: float) -> Slates:
    """A retrain, with the lift of the slice's scores that multiplies its exposure by ``ratio``."""
    state = panel.items["state"].to_numpy()
    weights = 1.0 / np.log2(np.arange(panel.k) + 2)

    def share(slates: Slates) -> float:
        return float((state[slates.top] @ weights).mean())

    plain = share(world.slates(panel, world.version(seed)))
    low, high = 0.0, 3.0
    for _ in range(14):
        middle = (low + high) / 2
        reached = share(world.slates(panel, world.version(seed, lift=middle * state)))
        low, high = (middle, high) if reached < ratio * plain else (low, middle)
    return world.slates(panel, world.version(seed, lift=high * state))  # type: ignore[no-any-return]


def test_with_rebuilds_a_lift_of_the_printed_size_on_a_retrain_is_flagged_four_times_in_five(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    made = world(users=150, items=ITEMS)
    folder = panel_folder(users=150, items=ITEMS, slices=ONE, permutations=200)
    rank = np.random.default_rng(11).permutation(ITEMS)
    panel = folder.with_table("items", folder.tables["items"].with_columns(state=pl.Series(rank < 40))).read()
    base = made.slates(panel, made.version(0))
    cell = power(panel, base, [made.slates(panel, made.version(seed)) for seed in (1, 2, 3)]).cells[0]
    assert cell.churn > cell.sampling > 1.0
    assert cell.minimum_detectable_ratio == cell.churn
    tries = [
        analyse(panel, base, _lifted(made, panel, seed, cell.churn), "exposure").cells[0] for seed in range(10, 40)
    ]
    assert 0.6 <= np.mean([tried.adjusted_p <= 0.05 for tried in tries]) <= 0.97


def test_rebuilds_that_keep_to_base_leave_less_noise_of_users(panel_folder: Callable[..., Any]) -> None:
    panel = _panel(panel_folder, 200, permutations=100)
    base = _drawn(panel, np.full(200, 0.3), np.random.default_rng(1))
    close = base.top.copy()
    close[:20] = close[:20, ::-1]
    alone = power(panel, base).cells[0]
    near = power(panel, base, [Slates(base.user, base.context, close, None)]).cells[0]
    assert near.sampling < 1 + (alone.sampling - 1) / 2
    assert (alone.churn, alone.builds_for_margin) == (None, None)
    assert near.builds_for_margin >= 1


def test_where_there_is_nothing_to_see_a_ratio_by_it_says_why(panel_folder: Callable[..., Any]) -> None:
    slices = ONE + '[[slices]]\nname = "rare"\nwhere = "outlet = \'o6\' AND views > 100"\n[[cohorts]]\nby = "age"\n'
    folder = panel_folder(users=200, items=60, slices=slices, depth=10)
    panel = folder.read()
    top = np.tile(np.arange(10, dtype=np.int32), (200, 1))
    cells = power(panel, Slates(np.arange(200, dtype=np.int32), ("",) * 200, top, None)).cells
    everyone, old, rare = cells[0], cells[1], cells[len(panel.cohorts)]
    assert everyone.minimum_detectable_ratio == 1.0
    assert old.users == 4
    assert "at least 10" in old.reason
    assert rare.minimum_detectable_ratio is None
    assert "base shows none of it" in rare.reason
    assert rare.to_json()["users_for_margin"] is None


def test_a_rebuild_that_is_base_or_answers_others_is_refused(panel_folder: Callable[..., Any]) -> None:
    panel = _panel(panel_folder, 40)
    base = _drawn(panel, np.full(40, 0.3), np.random.default_rng(1))
    with pytest.raises(SlatesError, match="rebuild 1: the same slates as base's"):
        power(panel, base, [base])
    fewer = Slates(base.user[:39], base.context[:39], base.top[:39], None)
    with pytest.raises(SlatesError, match="not in the rebuild 1 slates"):
        power(panel, base, [fewer])


def test_the_document_holds_to_its_schema_and_is_the_same_every_time(
    panel_folder: Callable[..., Any], world: Callable[..., Any], root: Path
) -> None:
    panel = panel_folder(users=60, items=100, permutations=100).read()
    made = world(users=60, items=100)
    slates = [made.slates(panel, made.version(seed)) for seed in range(3)]
    schema = json.loads((root / "docs" / "schemas" / "panel-power.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    for rebuilds in ([], slates[1:]):
        document = power(panel, slates[0], rebuilds).to_json()
        validator.validate(document)
        assert json.dumps(document) == json.dumps(power(panel, slates[0], rebuilds).to_json())
        assert len(document["cells"]) == len(panel.slices) * len(panel.cohorts)
        assert all(math.isfinite(cell["base_share"]) for cell in document["cells"])
    for wrong in ({"power": "80 %"}, {"cells": [{**document["cells"][0], "churn_ratio": 0.9}]}, {"extra": 1}):
        assert not validator.is_valid({**document, **wrong})
