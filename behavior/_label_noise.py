# SPDX-License-Identifier: Apache-2.0
"""The third noise: labels that were learnt could have been learnt otherwise.

A learnt label is what one model said after one calibration. How far a cell's ``ln rho`` moves when the label is
replaced by what other models and calibrations would have said is added to its intervals, in quadrature:

- other calibrations (the examples' groups drawn with replacement): the variance over them;
- other examples (the model of each fold, which has not seen that fold): the delete-a-group jackknife
  ``(K - 1)/K Σ (θ_k - θ̄)²`` (Efron and Stein 1981, doi:10.1214/aos/1176345462).

Labels of several columns vary one at a time. Reach follows degrees of a half or more; its logarithm is taken to be as
uncertain as exposure's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import special

from behavior._expressions import label_expression
from behavior._intervals import normal

if TYPE_CHECKING:
    from behavior._label_documents import LearntLabel
    from behavior._sampling import Sampled
    from behavior.exposure import ItemSums
    from behavior.panels import Panel

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """The labels' standard deviation of ``ln rho`` and of the difference of shares, slices x cohorts."""

    log: Floats
    difference: Floats

    def in_exposure(self, sampled: Sampled, alpha: float) -> Sampled:
        """The intervals of exposure, widened; as they are where no learnt label is read."""
        return self._widened(sampled, self.difference, alpha)

    def in_reach(self, sampled: Sampled, alpha: float) -> Sampled:
        """The intervals of reach, widened."""
        larger = sampled.base + np.maximum(sampled.difference, 0.0)
        seen = larger > 0
        return self._widened(sampled, np.where(seen, self.log, 0.0) * larger, alpha)

    def _widened(self, sampled: Sampled, difference: Floats, alpha: float) -> Sampled:
        if not self.log.any() and not difference.any():
            return sampled
        log, difference = (np.where(sampled.unmoved, 0.0, extra) for extra in (self.log, difference))
        outer, inner = normal(1.0 - alpha), normal(1.0 - 2.0 * alpha)
        return replace(
            sampled,
            outer=sampled.outer.widened(sampled.spread, sampled.difference, outer * log, outer * difference),
            inner=sampled.inner.widened(sampled.spread, sampled.difference, inner * log, inner * difference),
        )


def label_noise(panel: Panel, sums: ItemSums, whole: Floats) -> LabelNoise:
    """How uncertain the labels make every cell.

    Args:
        panel: whose slices read which labels.
        sums: item sums of base and head.
        whole: for each cohort, what whole slates for all its users add up to in those sums.
    """
    shape = (len(panel.slices), len(panel.cohorts))
    log, difference = np.zeros(shape), np.zeros(shape)
    if not panel.labels:
        return LabelNoise(log, difference)
    shown = panel.items[sums.items.astype(np.uint32)]
    base, head = (np.asarray(side, dtype=np.float64).T / np.maximum(whole, 1.0) for side in sums.top)
    wheres = {spec.name: spec.where for spec in panel.toml.slices if spec.where is not None}
    for row, declared in enumerate(panel.slices):
        where = wheres.get(declared.name)
        if declared.family != "primary" or where is None:
            continue
        parsed, columns = label_expression(where, panel.items.columns, "items", f"slice {declared.name!r}")
        for label in panel.labels:
            if label.column in columns:
                folds, calibrations = _degrees(label, parsed, shown, sums)
                for degrees, factor in ((folds, _jackknife(len(folds))), (calibrations, 1.0)):
                    log_variance, variance = _variances(degrees @ base, degrees @ head)
                    log[row] += factor * log_variance
                    difference[row] += factor * variance
    return LabelNoise(np.sqrt(log), np.sqrt(difference))


def label_notes(panel: Panel) -> list[str]:
    """What is wrong with the learnt labels that slices read, a line each."""
    wheres = [spec.where for spec in panel.toml.slices if spec.where is not None]
    read = {column for where in wheres for column in label_expression(where, panel.items.columns, "items", "slice")[1]}
    return [note for label in panel.labels if label.column in read for note in label.notes]


def _degrees(label: LearntLabel, parsed: pl.Expr, shown: pl.DataFrame, sums: ItemSums) -> tuple[Floats, Floats]:
    """The slice's degrees of shown items by the model of each fold, and by each calibration: both x items."""
    logit = special.logit(shown[label.column].cast(pl.Float64).to_numpy())
    calibrated = [special.expit(slope * logit + offset) for slope, offset in label.document.calibrations]

    def by(values: Floats) -> Floats:
        given = shown.with_columns(pl.Series(label.column, values))
        degrees = given.select(parsed.alias("label"))["label"].cast(pl.Float64).fill_null(0.0)
        return np.asarray(np.clip(degrees.to_numpy(), 0.0, 1.0))

    return np.array([by(values) for values in label.by_fold[:, sums.items]]), np.array([by(v) for v in calibrated])


def _jackknife(folds: int) -> float:
    """What the sample variance over folds is multiplied by."""
    return (folds - 1.0) ** 2 / folds


def _variances(base: Floats, head: Floats) -> tuple[Floats, Floats]:
    """Sample variances, over rows, of the logarithm of the ratio and of the difference.

    A ratio that some rows have and others do not (a slice that some labels leave empty) is of infinite variance.
    """
    both = (base > 0) & (head > 0)
    log = np.log(np.where(both, head, 1.0)) - np.log(np.where(both, base, 1.0))
    undecided = both.any(axis=0) & ~both.all(axis=0)
    variance = np.where(undecided, np.inf, np.var(log, axis=0, ddof=1))
    return variance, np.asarray(np.var(head - base, axis=0, ddof=1))
