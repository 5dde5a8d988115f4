# SPDX-License-Identifier: Apache-2.0
"""Intervals with churn in them: from permuted labels where there is one build of each side, from rebuilds where not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._intervals import normal, student
from behavior._rebuild_help import Quantity, more_builds
from behavior._sampling import sample_exposure, sample_reach
from behavior.rebuilds import variation

if TYPE_CHECKING:
    from behavior._label_noise import LabelNoise
    from behavior._sampling import Limits, Sampled
    from behavior.churn import Churn
    from behavior.panels import Panel
    from behavior.rebuilds import Builds

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Churned:
    """One quantity (exposure or reach) of all cells with churn included.

    ``sampled`` are the means that the interval is about: over builds where there are rebuilds, else the shipped pair.
    ``limits`` hold at 1 - 2 alpha. ``single`` is the standard deviation of ``ln mean`` that one build has from churn.
    """

    sampled: Sampled
    limits: Limits
    single: Floats
    counts: tuple[int, int]
    freedom: int | None

    def more(self, panel: Panel, at: tuple[int, int]) -> int | None:
        """How many more builds of each side would bring this cell's interval inside its margin."""
        spread, inner = self.sampled.spread, self.sampled.inner
        log = float(spread.log_ratio[at])
        half = max(float(inner.log_high[at]) - log, log - float(inner.log_low[at]))
        room = math.log(panel.slices[at[0]].margin)
        quantity = Quantity(log, half, float(self.single[at]), room, self.counts, self.freedom)
        return more_builds(quantity, 1 - 2 * panel.toml.alpha)


def from_permutations(panel: Panel, null: Churn, exposure: Sampled, reach: Sampled) -> tuple[Churned, Churned]:
    """Exposure and reach with the churn that permuted labels suggest."""
    quantile = normal(1 - 2 * panel.toml.alpha)
    relative = _relative_spread(null.spread, exposure)
    limits = exposure.inner.widened(exposure.spread, exposure.difference, quantile * relative, quantile * null.spread)
    # Reach saturates: it moves no more, relatively or absolutely, than how many of the items a user sees.
    larger = reach.base + np.maximum(reach.difference, 0.0)
    moved = np.where(null.seen_relative > 0, null.seen_relative * larger, null.seen_spread)
    reached = reach.inner.widened(reach.spread, reach.difference, quantile * null.seen_relative, quantile * moved)
    half = math.sqrt(0.5)  # the spread is that of a difference of two builds
    return (
        Churned(exposure, limits, relative * half, (1, 1), None),
        Churned(reach, reached, null.seen_relative * half, (1, 1), None),
    )


def from_builds(panel: Panel, builds: Builds, probe: str, labels: LabelNoise) -> tuple[Churned, Churned]:
    """Exposure and reach as means over builds, with what builds of one side differ by."""
    quantile = float(student(1 - 2 * panel.toml.alpha, np.array(float(builds.freedom))))
    factor = quantile * math.sqrt(sum(1.0 / count for count in builds.counts))
    found = []
    for sampled, sides in (
        (labels.in_exposure(sample_exposure(panel, builds.pooled, probe), panel.toml.alpha), builds.shares),
        (labels.in_reach(sample_reach(panel, builds.pooled), panel.toml.alpha), builds.reaches),
    ):
        differ = variation(sides)
        limits = sampled.inner.widened(
            sampled.spread, sampled.difference, factor * differ.relative, factor * differ.absolute
        )
        found.append(Churned(sampled, limits, differ.relative, builds.counts, builds.freedom))
    return found[0], found[1]


def _relative_spread(spread: Floats, exposure: Sampled) -> Floats:
    """The churn's standard deviation of ``ln rho``: the shift's over the geometric mean of both sides' exposure."""
    middle = np.sqrt(np.maximum(exposure.base * (exposure.base + exposure.difference), 0.0))
    return np.divide(spread, middle, out=np.zeros_like(spread), where=middle > 0)
