# SPDX-License-Identifier: Apache-2.0
"""Labels come in clusters: a slice may be two outlets, whatever the number of their items.

Beside each cell stands how many sources its slice effectively has, and the p-value when whole sources, not items, trade
labels. Few sources make it a weak test (two of forty sources can be picked in 780 ways), so it never decides; a cell
that is certain by items and doubtful by sources rests on items of the same sources having moved together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from scipy import sparse

from behavior._random import keyed
from behavior._strata import strata
from behavior.churn import item_shifts

if TYPE_CHECKING:
    from behavior.exposure import ItemSums
    from behavior.panels import Panel

Floats = np.ndarray[Any, np.dtype[np.float64]]

COLUMNS = ("source", "outlet", "creator", "creator_id", "author", "channel", "publisher", "domain", "subreddit")
FEWEST, MOST, SHARE = 5, 1000, 3  # sources, at least and at most; and items a source, on average, at least
DRAWS = 499
_TIE = 1e-9


class Sources(NamedTuple):
    """Per cell, slices x cohorts: effective number of sources, and the p-value of sources trading labels."""

    column: str
    effective: Floats
    p: Floats


def by_source(panel: Panel, sums: ItemSums, probe: str) -> Sources | None:
    """The source-level permutation of every cell; None where items have no column that names their source.

    The column is the first of a few usual names whose values are shared by several items. A source's label is its
    items' label, weighted by their exposure; its shift is the sum of its items' shifts, less what their strata explain,
    in the deepest statistic there is. Sources trade labels within halves of exposure.
    """
    column = source_column(panel)
    if column is None:
        return None
    names = panel.items[column][sums.items.astype(np.uint32)].cast(pl.String).fill_null("")
    _, group = np.unique(names.to_numpy(), return_inverse=True)
    codes = strata(sums, panel.match)
    statistics, shifts = item_shifts(sums, codes)
    index = statistics.index("deep" if "deep" in statistics else "near")
    cohorts = sums.top[0].shape[0]
    moved = shifts[:, index * cohorts : (index + 1) * cohorts]
    count = np.bincount(codes)
    means = np.array([np.bincount(codes, column_) / np.maximum(count, 1) for column_ in moved.T]).T
    moved = moved - means[codes]
    inside = sparse.csr_array((np.ones(len(group)), (group, np.arange(len(group)))))
    sides = sums.top if sums.deep is None else sums.deep
    exposure = (sides[0][0] + sides[1][0]).astype(np.float64)
    labels = sparse.csr_array(panel.membership[sums.items])
    weight = inside @ exposure
    shown = np.asarray((inside @ labels.multiply(exposure[:, None]).tocsr()).todense())
    degree = np.divide(shown, weight[:, None], out=np.zeros_like(shown), where=weight[:, None] > 0)
    p = _permuted(degree, inside @ moved, weight, keyed(panel.toml.seed, probe, "sources"))
    return Sources(column, _effective(shown, cohorts), p)


def source_column(panel: Panel) -> str | None:
    """The item column that names sources, if there is one."""
    for name in COLUMNS:
        if name in panel.items.columns and panel.items[name].dtype in {pl.String, pl.Categorical}:
            distinct = panel.items[name].n_unique()
            if FEWEST <= distinct <= min(MOST, panel.items.height // SHARE):
                return name
    return None


def _effective(shown: Floats, cohorts: int) -> Floats:
    """``(Σ w)² / Σ w²`` over the exposure of a slice's sources, the same for every cohort."""
    squares = (shown**2).sum(axis=0)
    number = np.divide(shown.sum(axis=0) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
    return np.tile(number[:, None], (1, cohorts))


def _permuted(degree: Floats, moved: Floats, weight: Floats, generator: np.random.Generator) -> Floats:
    """The share of permutations of sources in which a cell moves as much as it did, slices x cohorts."""
    order = np.lexsort((np.arange(len(weight)), weight))
    degree, moved = degree[order], moved[order]
    half = len(order) // 2
    observed = np.abs(degree.T @ moved - _expected(degree, moved, half))
    reached = np.ones(observed.shape)
    for _ in range(DRAWS):
        place = np.concatenate([generator.permutation(half), half + generator.permutation(len(order) - half)])
        drawn = np.abs(degree[place].T @ moved - _expected(degree, moved, half))
        reached += drawn >= observed * (1.0 - _TIE)
    return np.asarray(reached / (DRAWS + 1.0))


def _expected(degree: Floats, moved: Floats, half: int) -> Floats:
    parts = [slice(0, half), slice(half, len(degree))]
    return np.asarray(
        sum(
            (np.outer(degree[part].mean(axis=0), moved[part].sum(axis=0)) for part in parts if len(degree[part])),
            start=np.zeros((degree.shape[1], moved.shape[1])),
        )
    )
