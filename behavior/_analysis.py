# SPDX-License-Identifier: Apache-2.0
"""From two sides' slates to judged cells: measure, sample, permute, judge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._build_findings import build_findings
from behavior._by_user import user_shifts
from behavior._churned import from_builds, from_permutations
from behavior._judge import Evidence, Figures, Range, Rules, judge
from behavior._label_noise import label_noise
from behavior._rebuild_help import help_words
from behavior._sampling import Sampled, sample_exposure, sample_reach
from behavior._sources import Sources, by_source
from behavior.cells import Cell
from behavior.churn import churn
from behavior.exposure import measure
from behavior.rebuilds import measure_builds, within_pairs
from evidence import CellVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior._churned import Churned
    from behavior._sampling import Limits
    from behavior.churn import Churn
    from behavior.exposure import Measured
    from behavior.panels import Panel
    from behavior.rebuilds import Builds, Rebuilds
    from behavior.slates import Slates
    from evidence import Finding

Floats = np.ndarray[Any, np.dtype[np.float64]]

POWER = 0.8416212335729143  # the normal quantile of 80 %


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What rebuilds there were and what more would do. ``base`` and ``head`` count builds, the shipped ones included.

    ``open_cells`` are primary and inconclusive, ``more`` of each side would close those of them that rebuilds can,
    ``hopeless`` counts the others. ``design`` is what each statistic's z was divided by after a look at the rebuilds.
    """

    base: int
    head: int
    open_cells: int
    more: int
    hopeless: int
    design: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The cells of one probe, and what a reader should know of how they came about."""

    cells: tuple[Cell, ...]
    statistics: tuple[str, ...]
    users: int
    changed: int
    strata: int
    moved: int
    depth: int | None
    findings: tuple[Finding, ...] = ()
    rebuilt: Rebuilt | None = None


def analyse(panel: Panel, base: Slates, head: Slates, probe: str, rebuilds: Rebuilds | None = None) -> Analysis:
    """Judge every slice in every cohort. Base and head, and all rebuilds, answer the same requests."""
    measured = measure(panel, base, head)
    labels = label_noise(panel, measured.sums, np.asarray(measured.users * measured.unit, dtype=np.float64))
    exposure = labels.in_exposure(sample_exposure(panel, measured, probe), panel.toml.alpha)
    reach = labels.in_reach(sample_reach(panel, measured), panel.toml.alpha)
    builds = measure_builds(panel, base, head, rebuilds) if rebuilds else None
    if builds is None:
        null = churn(panel, measured, probe, by_user=user_shifts(panel, base, head, measured.sums.items))
        churned = from_permutations(panel, null, exposure, reach)
    else:
        null = churn(panel, builds.pooled, probe, multiple=builds.multiple, within=within_pairs(builds))
        churned = from_builds(panel, builds, probe, labels)
    sources = by_source(panel, measured.sums, probe)
    judged = _Table(panel, measured, null, (exposure, reach), churned, sources, probe)
    cells = tuple(
        judged.cell(slice_, cohort) for slice_ in range(len(panel.slices)) for cohort in range(len(panel.cohorts))
    )
    return Analysis(
        cells=cells,
        statistics=null.statistics,
        users=int(measured.users[0]),
        changed=int(measured.changed[0]),
        strata=null.strata,
        moved=null.moved,
        depth=None if base.deep is None or head.deep is None else min(base.deep.shape[1], head.deep.shape[1]),
        findings=() if builds is None else tuple(build_findings(panel, builds)),
        rebuilt=None if builds is None else judged.rebuilt(cells, builds),
    )


class _Table:
    """All arrays of an analysis, slices x cohorts, from which cells are taken."""

    def __init__(
        self,
        panel: Panel,
        measured: Measured,
        null: Churn,
        sampled: tuple[Sampled, Sampled],
        churned: tuple[Churned, Churned],
        sources: Sources | None,
        probe: str,
    ) -> None:
        self.panel, self.measured, self.null, self.probe = panel, measured, null, probe
        self.exposure, self.reach = sampled
        self.churned, self.sources = churned, sources
        self.adjusted_log = _adjusted_log(churned[0].sampled, null.expected)

    def more_builds(self, at: tuple[int, int]) -> int | None:
        """How many more builds of each side would close a cell, by exposure and by reach; None if none would."""
        more = [quantity.more(self.panel, at) for quantity in self.churned]
        return None if any(count is None for count in more) else max(count for count in more if count is not None)

    def rebuilt(self, cells: Sequence[Cell], builds: Builds) -> Rebuilt:
        """What more rebuilds would do for the cells that are open."""
        wanted = []
        for index, cell in enumerate(cells):
            if cell.family == "primary" and cell.verdict is CellVerdict.INCONCLUSIVE:
                wanted.append(self.more_builds(divmod(index, len(self.panel.cohorts))))
        reachable = [count for count in wanted if count is not None]
        return Rebuilt(
            base=builds.counts[0],
            head=builds.counts[1],
            open_cells=len(wanted),
            more=max(reachable, default=0),
            hopeless=len(wanted) - len(reachable),
            design=self.null.design,
        )

    def cell(self, slice_: int, cohort: int) -> Cell:
        at = (slice_, cohort)
        declared, group = self.panel.slices[slice_], self.panel.cohorts[cohort]
        exposure = self._figures(self.exposure, self.churned[0], at)
        reach = self._figures(self.reach, self.churned[1], at)
        z, p, fail_p = self.null.z[at], self.null.adjusted_p[at], self.null.fail_p[at]
        evidence = Evidence(
            users=int(self.measured.users[cohort]),
            changed=int(self.measured.changed[cohort]),
            exposure=exposure,
            reach=reach,
            adjusted_log=float(self.adjusted_log[at]),
            tests=tuple(zip(map(float, z), map(float, p), map(float, fail_p), strict=True)),
            rebuild_help=lambda: help_words(self.more_builds(at)),
        )
        toml = self.panel.toml
        judged = judge(
            evidence, Rules(declared.margin, declared.severity, toml.materiality, toml.alpha, toml.alpha_fail)
        )
        best = int(np.argmax(np.abs(z)))
        detectable = 1.0 + (self.null.critical[slice_] + POWER) * float(self.null.power_unit[at])
        ratio = exposure.head / exposure.base if exposure.base > 0 else None
        defined = exposure.base > 0 and exposure.head > 0
        return Cell(
            probe=self.probe,
            family=declared.family,
            slice=declared.name,
            cohort=group.name,
            users=evidence.users,
            base_share=exposure.base,
            head_share=exposure.head,
            difference=exposure.difference,
            ratio=ratio,
            ratio_low=_exp(exposure.outer_log.low, defined=defined),
            ratio_high=_exp(exposure.outer_log.high, defined=defined),
            churn_low=_exp(exposure.churned_log.low, defined=defined),
            churn_high=_exp(exposure.churned_log.high, defined=defined),
            adjusted_ratio=_exp(evidence.adjusted_log, defined=exposure.base > 0),
            base_reach=reach.base,
            head_reach=reach.head,
            reach_ratio=reach.head / reach.base if reach.base > 0 else None,
            reach_low=_exp(reach.outer_log.low, defined=reach.base > 0 and reach.head > 0),
            reach_high=_exp(reach.outer_log.high, defined=reach.base > 0 and reach.head > 0),
            p=float(self.null.p[at]),
            adjusted_p=float(p.min()),
            statistic=self.null.statistics[best] if z[best] != 0 else None,
            direction=int(np.sign(exposure.difference) or np.sign(z[best])),
            margin=declared.margin,
            severity=declared.severity,
            public=declared.public,
            minimum_detectable_ratio=detectable,
            sources=None if self.sources is None else float(self.sources.effective[at]),
            source_p=None if self.sources is None else float(self.sources.p[at]),
            inside=judged.inside,
            verdict=judged.verdict,
            reason=judged.reason,
        )

    @staticmethod
    def _figures(sampled: Sampled, churned: Churned, at: tuple[int, int]) -> Figures:
        def log_range(limits: Limits) -> Range:
            return Range(float(limits.log_low[at]), float(limits.log_high[at]))

        def plain_range(limits: Limits) -> Range:
            return Range(float(limits.low[at]), float(limits.high[at]))

        base, difference = float(sampled.base[at]), float(sampled.difference[at])
        return Figures(
            base=base,
            head=base + difference,
            difference=difference,
            log_ratio=float(sampled.spread.log_ratio[at]),
            outer_log=log_range(sampled.outer),
            outer=plain_range(sampled.outer),
            inner_log=log_range(churned.sampled.inner),
            churned_log=log_range(churned.limits),
            churned=plain_range(churned.limits),
        )


def _adjusted_log(exposure: Sampled, expected: Floats) -> Floats:
    """The logarithm of the ratio that strata do not explain; NaN from zero in base.

    ``1 + (T - E*T) / m_B`` where the unexplained shift is upward, and its mirror image, with base and head exchanged,
    where it is downward; both are 1 where everything is explained.
    """
    base, head = exposure.base, exposure.base + exposure.difference
    up = np.divide(head - expected, base, out=np.full_like(base, np.nan), where=base > 0)
    down = np.divide(base + expected, head, out=np.full_like(base, np.inf), where=head > 0)
    unexplained = exposure.difference - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(unexplained >= 0, np.log(up), -np.log(down))
    return np.where(base > 0, log, np.nan)


def _exp(log: float, *, defined: bool) -> float | None:
    if not defined or math.isnan(log) or log == math.inf:
        return None
    return math.exp(min(log, 700.0))
