# SPDX-License-Identifier: Apache-2.0
"""The quality probe: what a change costs in relevance, coverage, diversity and novelty, and how much it replaces.

Definitions are RecTools' (``Recall``, ``NDCG`` over the achievable, ``CatalogCoverage``, ``IntraListDiversity`` with
the Hamming distance, ``MeanInvUserFreq``) and, for overlap, the extrapolated rank-biased overlap of Webber, Moffat and
Zobel (2010, equation 32). ``docs/inference.md`` writes them out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._histories import held_out, told
from behavior._probed import Probed, thinned
from behavior._weights import position_weights
from behavior.audits import ProbeResult
from behavior.cells import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior.cells import Cell
    from behavior.panels import Panel
    from behavior.slates import Rows, Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

PERSISTENCE = 0.9  # of rank-biased overlap: nine tenths of the attention reaches the next item
_NORMAL = 1.959963984540054  # the normal quantile of a 95 % interval
_BLOCK = 4096  # requests whose pairs are compared at once


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure under base and head; the 95 % interval of the difference, where it is a mean over users."""

    name: str
    base: float
    head: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """As it stands under ``searched.measures``."""
        return {
            "base": rounded(self.base),
            "head": rounded(self.head),
            "difference": rounded(self.head - self.base),
            "low": rounded(self.low),
            "high": rounded(self.high),
        }


def quality(panel: Panel, base: Slates, head: Slates, _primary: Sequence[Cell]) -> Probed:
    """Measure both sides at ``k``. Base and head answer the same requests. It adds no cells: quality is no offence.

    Recall and NDCG need histories with rows of the event ``held-out``, which no recommender is told.
    """
    measures = list(_relevance(panel, base, head))
    measures += _catalogue(panel, base, head)
    rows = thinned(base)
    sides = (base.top[rows], head.top[rows])
    user = base.user[rows]
    codes = _codes(panel)
    if codes.shape[1]:
        measures.append(_paired("diversity", user, *(diversity(side, codes) for side in sides)))
    if panel.histories.height:
        surprise = novelty(panel)
        measures.append(_paired("novelty", user, *(surprise[side].mean(axis=1) for side in sides)))
    overlap = float(_by_user(user, rank_biased_overlap(*sides)).mean())
    summary = "; ".join(_words(measure) for measure in measures)
    absent = "" if measures[0].name == "recall" else " Recall and NDCG need history rows of the event held-out."
    return Probed(
        ProbeResult(
            "quality",
            run=True,
            summary=f"{summary}; slates of base and head overlap by {overlap:.3f} (rank-biased).{absent}",
            searched={
                "measures": {measure.name: measure.to_json() for measure in measures},
                "overlap": rounded(overlap),
                "requests": len(base.user),
                "pairs_of_requests": len(rows),
            },
        )
    )


def recall(top: Rows, relevant: Sequence[Codes]) -> Floats:
    """Of each request's relevant items, the share among its slate."""
    return np.array([np.isin(items, wanted).sum() / len(wanted) for items, wanted in zip(top, relevant, strict=True)])


def ndcg(top: Rows, relevant: Sequence[Codes]) -> Floats:
    """Discounted gain of each request's slate over the best that could be had, with ``1/log2(rank + 1)``."""
    discount = 1.0 / np.log2(np.arange(top.shape[1]) + 2.0)
    best = np.cumsum(discount)
    gains = [
        float(discount[np.isin(items, wanted)].sum() / best[min(len(wanted), len(best)) - 1])
        for items, wanted in zip(top, relevant, strict=True)
    ]
    return np.array(gains)


def gini(amounts: Floats) -> float:
    """Gini's coefficient: 0 where all items get the same, near 1 where one gets everything."""
    ordered = np.sort(np.asarray(amounts, dtype=np.float64))
    whole, count = float(ordered.sum()), len(ordered)
    if whole <= 0:
        return 0.0
    return float((2.0 * np.arange(1, count + 1) - count - 1.0) @ ordered) / (count * whole)


def diversity(top: Rows, codes: Codes) -> Floats:
    """Mean share of attributes in which two items of a slate differ. ``codes`` are items x attributes."""
    length, columns = top.shape[1], codes.shape[1]
    if length < 2:  # noqa: PLR2004 - one item has no pair
        return np.zeros(len(top))
    alike = np.zeros(len(top))
    for start in range(0, len(top), _BLOCK):
        for column in range(columns):
            shown = codes[top[start : start + _BLOCK], column]
            same = shown[:, :, None] == shown[:, None, :]
            alike[start : start + _BLOCK] += same.sum(axis=(1, 2)) - length
    return np.asarray(1.0 - alike / (length * (length - 1.0) * columns))


def novelty(panel: Panel) -> Floats:
    """Bits of surprise of every item: minus the logarithm of the share of users with it in their history.

    An item in no history counts as if one user had it.
    """
    histories = told(panel).select("user_id", "item_id").unique()
    users = max(1, histories["user_id"].n_unique())
    of_items = histories.group_by("item_id").len()
    counts = np.zeros(panel.items.height)
    counts[panel.item_numbers.of(of_items["item_id"])] = of_items["len"].to_numpy()
    return np.asarray(-np.log2(np.maximum(counts, 1.0) / users))


def rank_biased_overlap(first: Rows, second: Rows, persistence: float = PERSISTENCE) -> Floats:
    """Extrapolated rank-biased overlap of each pair of slates of one length: 1 where they agree in everything."""
    length = first.shape[1]
    weights = persistence ** np.arange(1, length + 1, dtype=np.float64)
    depth = np.arange(1, length + 1, dtype=np.float64)
    result = np.zeros(len(first))
    for start in range(0, len(first), _BLOCK):
        same = first[start : start + _BLOCK, :, None] == second[start : start + _BLOCK, None, :]
        row, left, right = np.nonzero(same)
        common = np.zeros((len(same), length))
        np.add.at(common, (row, np.maximum(left, right)), 1.0)  # an item is shared from its deeper place on
        agreement = np.cumsum(common, axis=1) / depth
        tail = agreement[:, -1] * weights[-1]
        result[start : start + _BLOCK] = (1.0 - persistence) / persistence * (agreement @ weights) + tail
    return result


def _relevance(panel: Panel, base: Slates, head: Slates) -> list[Measure]:
    kept = held_out(panel)
    wanted = {
        panel.user_rows[user]: np.array([panel.item_rows[item] for item in items], dtype=np.int64)
        for user, items in kept.select("user_id", "item_id").unique().group_by("user_id").agg("item_id").iter_rows()
    }
    rows = np.array([row for row, user in enumerate(base.user) if int(user) in wanted], dtype=np.int64)
    if not len(rows):
        return []
    relevant = [wanted[int(user)] for user in base.user[rows]]
    return [
        _paired(name, base.user[rows], *(function(side.top[rows], relevant) for side in (base, head)))
        for name, function in (("recall", recall), ("NDCG", ndcg))
    ]


def _catalogue(panel: Panel, base: Slates, head: Slates) -> list[Measure]:
    weights = position_weights(panel.toml.exposure.weights, base.top.shape[1])
    covered, unequal = [], []
    for side in (base, head):
        got = np.bincount(
            side.top.ravel(),
            weights=np.broadcast_to(weights, side.top.shape).ravel().astype(np.float64),
            minlength=panel.items.height,
        )
        covered.append(float((got > 0).sum()) / panel.items.height)
        unequal.append(gini(np.asarray(got, dtype=np.float64)))
    return [Measure("coverage", *covered), Measure("Gini of exposure", *unequal)]


def _codes(panel: Panel) -> Codes:
    found = panel.item_attributes.found
    if not found:
        return np.zeros((panel.items.height, 0), dtype=np.int64)
    return np.column_stack([attribute.codes for attribute in found])


def _by_user(user: Rows, values: Floats) -> Floats:
    """Means over each user's requests."""
    _, row = np.unique(user, return_inverse=True)
    return np.asarray(np.bincount(row, weights=values) / np.bincount(row))


def _paired(name: str, user: Rows, base: Floats, head: Floats) -> Measure:
    before, gain = _by_user(user, base), _by_user(user, head - base)
    mean = float(before.mean())
    if len(gain) < 2:  # noqa: PLR2004 - one user has no spread
        return Measure(name, mean, mean + float(gain.mean()))
    half = _NORMAL * float(gain.std(ddof=1)) / math.sqrt(len(gain))
    middle = float(gain.mean())
    return Measure(name, mean, mean + middle, middle - half, middle + half)


def _words(measure: Measure) -> str:
    interval = "" if measure.low is None or measure.high is None else f" ({measure.low:+.3f} to {measure.high:+.3f})"
    return f"{measure.name} {measure.base:.3f} to {measure.head:.3f}{interval}"
