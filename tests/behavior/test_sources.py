# SPDX-License-Identifier: Apache-2.0
"""Labels that come in clusters: what whole sources say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import compare
from behavior._sources import source_column

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = '[[slices]]\nname = "state"\nwhere = "state"\n'
ITEMS = 900


def _panel(panel_folder: Callable[..., Any], outlets: int) -> Any:
    """Items of outlets; the first two outlets are the state's."""
    folder = panel_folder(users=300, items=ITEMS, slices=ONE)
    outlet = np.arange(ITEMS) % outlets
    items = folder.tables["items"].with_columns(
        pl.Series("outlet", [f"o{value}" for value in outlet]), pl.Series("state", outlet < 2)
    )
    return folder.with_table("items", items).read()


def test_two_outlets_are_two_sources_and_their_lift_is_certain_by_items_and_rare_by_sources(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    panel, people = _panel(panel_folder, 60), world(300, ITEMS)
    assert source_column(panel) == "outlet"
    state = panel.items["state"].to_numpy()
    base = people.slates(panel, people.version(1))
    lifted = compare(panel, base, people.slates(panel, people.version(2, lift=state * 1.0))).cells[0]
    assert lifted.sources == pytest.approx(2.0, abs=0.1)
    assert lifted.adjusted_p <= 0.01
    assert lifted.source_p <= 0.02
    same = compare(panel, base, base).cells[0]
    assert same.source_p == 1.0


def test_one_outlet_of_the_slice_moving_alone_is_doubtful_by_sources(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    """Whole outlets move with the seed: labels of items are no evidence then, and the sources say so."""
    panel, people = _panel(panel_folder, 60), world(300, ITEMS)
    outlet = np.arange(ITEMS) % 60
    base = people.slates(panel, people.version(1, churn=0.01))
    p = []
    for seed in range(6):
        moved = np.random.default_rng(seed).normal(size=60)[outlet] * 0.5
        p.append(compare(panel, base, people.slates(panel, people.version(2, churn=0.01, lift=moved))).cells[0])
    assert sum(cell.adjusted_p <= 0.05 for cell in p) > sum(cell.source_p <= 0.05 for cell in p)


def test_without_a_column_of_sources_nothing_is_said(
    panel_folder: Callable[..., Any], world: Callable[..., Any]
) -> None:
    folder = panel_folder(users=100, items=300, slices=ONE)
    panel = folder.with_table("items", folder.tables["items"].drop("outlet")).read()
    people = world(100, 300)
    cell = compare(panel, *(people.slates(panel, people.version(seed)) for seed in (1, 2))).cells[0]
    assert (cell.sources, cell.source_p) == (None, None)
