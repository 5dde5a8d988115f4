# SPDX-License-Identifier: Apache-2.0
"""Histories: what a recommender is told, and what is held out to judge it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from behavior.panels import Panel

HELD_OUT = "held-out"  # the event of history rows that no recommender is told


def told(panel: Panel) -> pl.DataFrame:
    """The rows of the histories that requests carry."""
    if "event" not in panel.histories.columns:
        return panel.histories
    return panel.histories.filter(pl.col("event").cast(pl.String).ne_missing(HELD_OUT))


def held_out(panel: Panel) -> pl.DataFrame:
    """The rows that are kept back: what the users went on to watch. None unless the panel marks them."""
    if "event" not in panel.histories.columns:
        return panel.histories.clear()
    return panel.histories.filter(pl.col("event").cast(pl.String).eq_missing(HELD_OUT))
