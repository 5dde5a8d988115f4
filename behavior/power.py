# SPDX-License-Identifier: Apache-2.0
"""What a panel could see, before anything is compared: the minimum detectable ratio of every cell at 80 % power.

**Sampling of users**, from base alone. Whatever head will be, its exposures are taken to be spread over users as
base's are and to have nothing else in common with them, so the variance of ``ln rho`` is at most
``2 var(e) / (m² N)``: a head that keeps to base's slates, as a change of code over the same weights does, is seen at
much less. Where rebuilds of base are given, what base and a rebuild do have in common is measured instead:
``mean((e_R/m_R - e_B/m_B)²) / N``. The ratio ``exp((t + z) se)`` is found with probability 80 %: ``t`` is the quantile
of the interval at ``alpha`` that ``compare`` prints, ``z`` the normal quantile of 80 %.

**Churn of items**, from rebuilds: base is compared with each as if it were head, and the ratio is the one that the
family's largest permuted statistic would not hide. More users do not help against churn; more builds do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from behavior._analysis import POWER, analyse
from behavior._intervals import normal, student
from behavior._judge import FEWEST_USERS
from behavior._sampling import SOME_EXPOSED
from behavior._weights import position_weights
from behavior.cells import rounded
from behavior.slates import require_same_requests
from evidence import VERSION, Digest, SlatesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior._labels import Family
    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]

POWER_SCHEMA = "countersign/panel-power/v1"

_NEGLIGIBLE = 1e-12
_MOST = 1e12  # users or builds: beyond it the number says nothing


@dataclass(frozen=True, slots=True)
class PowerCell:
    """What could be seen of one slice in one cohort. Ratios are None where there is nothing to see one by.

    ``sampling`` and ``churn`` are the smallest ratios each kind of noise would let through, ``churn`` only with
    rebuilds; ``minimum_detectable_ratio`` is the larger. ``users_for_margin`` is how many users of the cohort would
    bring ``sampling`` down to the margin; ``builds_for_margin`` how many builds, of base and of head each, ``churn``.
    ``reason`` says why a ratio is None, or why the cell cannot be settled all the same.
    """

    family: Family
    slice: str
    cohort: dict[str, str | int | bool]
    users: int
    base_share: float
    margin: float
    sampling: float | None
    churn: float | None
    users_for_margin: int | None
    builds_for_margin: int | None
    reason: str | None

    @property
    def minimum_detectable_ratio(self) -> float | None:
        """The larger of the two; None where the sampling of users alone hides everything."""
        if self.sampling is None:
            return None
        return self.sampling if self.churn is None else max(self.sampling, self.churn)

    def to_json(self) -> dict[str, Any]:
        """The cell as it stands in ``docs/schemas/panel-power.schema.json``."""
        return {
            "family": self.family,
            "slice": self.slice,
            "cohort": self.cohort,
            "users": self.users,
            "base_share": rounded(self.base_share),
            "margin": rounded(self.margin),
            "sampling_ratio": rounded(self.sampling),
            "churn_ratio": rounded(self.churn),
            "minimum_detectable_ratio": rounded(self.minimum_detectable_ratio),
            "users_for_margin": self.users_for_margin,
            "builds_for_margin": self.builds_for_margin,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Power:
    """The power of a panel for one base. ``to_json`` is the document."""

    panel: dict[str, Any]
    alpha: float
    base: Digest
    rebuilds: tuple[Digest, ...]
    cells: tuple[PowerCell, ...]

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``docs/schemas/panel-power.schema.json``."""
        return {
            "schema": POWER_SCHEMA,
            "panel": self.panel,
            "alpha": self.alpha,
            "power": 0.8,
            "base": {"digest": self.base},
            "rebuilds": [{"digest": digest} for digest in self.rebuilds],
            "cells": [cell.to_json() for cell in self.cells],
            "version": VERSION,
        }


def power(panel: Panel, base: Slates, rebuilds: Sequence[Slates] = ()) -> Power:
    """The minimum detectable ratio of every slice in every cohort.

    Args:
        panel: whose users, slices, cohorts and margins.
        base: what base recommended.
        rebuilds: what other builds of base, that differ in seed only, recommended to the same requests.

    Raises:
        SlatesError: a rebuild does not answer base's requests, or is base itself.
    """
    for number, rebuild in enumerate(rebuilds, start=1):
        require_same_requests(base, rebuild, panel, ("base", f"rebuild {number}"))
        if rebuild.digest == base.digest:
            raise SlatesError(f"rebuild {number}: the same slates as base's; a rebuild has another seed")
    members = _members(panel, base)
    sides = [_exposures(panel, side) for side in (base, *rebuilds)]
    users = np.asarray(members.sum(axis=1), dtype=np.float64)
    share = members @ sides[0] / np.maximum(users, 1.0)[:, None]
    variance, exposed = _variance(members, sides, users)
    churn = _churn_ratios(panel, base, rebuilds)
    cells = []
    for slice_, declared in enumerate(panel.slices):
        for cohort, group in enumerate(panel.cohorts):
            at = (cohort, slice_)
            noise = _Noise(int(users[cohort]), float(variance[at]), int(exposed[at]), churn.get((slice_, cohort)))
            cells.append(
                PowerCell(
                    family=declared.family,
                    slice=declared.name,
                    cohort=group.name,
                    users=noise.users,
                    base_share=float(share[at]),
                    margin=declared.margin,
                    sampling=noise.sampling(panel.toml.alpha),
                    churn=noise.churn,
                    users_for_margin=noise.users_for(declared.margin, panel.toml.alpha),
                    builds_for_margin=noise.builds_for(declared.margin),
                    reason=noise.reason(declared.margin),
                )
            )
    digests = tuple(rebuild.digest for rebuild in rebuilds)
    return Power(panel.summary(), panel.toml.alpha, base.digest, digests, tuple(cells))


@dataclass(frozen=True, slots=True)
class _Noise:
    """``variance`` is one user's share in the variance of ``ln rho``."""

    users: int
    variance: float
    exposed: int
    churn: float | None

    def sampling(self, alpha: float) -> float | None:
        if self.exposed < SOME_EXPOSED or not math.isfinite(self.variance):
            return None
        quantile = float(student(1.0 - alpha, np.asarray(self.exposed - 1.0)))
        return math.exp(min((quantile + POWER) * math.sqrt(self.variance / self.users), 700.0))

    def users_for(self, margin: float, alpha: float) -> int | None:
        if self.exposed < SOME_EXPOSED or not math.isfinite(self.variance):
            return None
        needed = self.variance * ((normal(1.0 - alpha) + POWER) / math.log(margin)) ** 2
        return max(FEWEST_USERS, math.ceil(float(f"{needed:.6g}"))) if needed < _MOST else None

    def builds_for(self, margin: float) -> int | None:
        if self.churn is None:
            return None
        needed = ((self.churn - 1.0) / (margin - 1.0)) ** 2
        return max(1, math.ceil(float(f"{needed:.6g}"))) if needed < _MOST else None

    def reason(self, margin: float) -> str | None:
        if self.users == 0:
            return "no user of this cohort has slates"
        if self.exposed == 0:
            return "base shows none of it: no ratio, the difference of shares is judged"
        if self.exposed < SOME_EXPOSED:
            return f"base shows it to {self.exposed} users; a ratio needs at least {SOME_EXPOSED}"
        if self.users < FEWEST_USERS:
            return f"{self.users} users; a cohort needs at least {FEWEST_USERS} to settle anything"
        if self.churn is not None and self.churn > margin:
            return "churn of items hides the margin: more users do not help, more builds of base and head do"
        return None


def _variance(members: sparse.csr_array, sides: Sequence[Floats], users: Floats) -> tuple[Floats, Floats]:
    """A user's share in the variance of ``ln rho``, cohorts x slices (infinite where undefined), and users exposed."""
    n = np.maximum(users, 1.0)[:, None]
    base = sides[0]
    mean, square = members @ base / n, members @ (base * base) / n
    exposed = members @ (base > 0).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = square / mean**2
        if len(sides) == 1:
            spread = (relative - 1.0) * n / np.maximum(n - 1.0, 1.0)
            return np.where(mean > 0, 2.0 * _rounded_off(spread), np.inf), exposed
        apart = []
        for other in sides[1:]:
            other_mean = members @ other / n
            cross = members @ (base * other) / n / (mean * other_mean)
            apart.append(relative - 2.0 * cross + members @ (other * other) / n / other_mean**2)
        paired = np.mean(apart, axis=0)
    return np.where(np.isfinite(paired), _rounded_off(paired), np.inf), exposed


def _rounded_off(variance: Floats) -> Floats:
    """Variances, with what rounding alone leaves taken for zero."""
    return np.where(variance < _NEGLIGIBLE, 0.0, variance)


def _churn_ratios(panel: Panel, base: Slates, rebuilds: Sequence[Slates]) -> dict[tuple[int, int], float]:
    """The root mean square, over rebuilds, of the relative lift that churn would not hide, plus 1, by cell."""
    found: dict[tuple[int, int], list[float]] = {}
    for rebuild in rebuilds if panel.slices else ():
        cells = analyse(panel, base, rebuild, "power").cells
        for index, cell in enumerate(cells):
            ratio = cell.minimum_detectable_ratio
            lift = math.inf if ratio is None else ratio - 1.0
            found.setdefault(divmod(index, len(panel.cohorts)), []).append(lift)
    roots = {at: math.sqrt(sum(lift**2 for lift in lifts) / len(lifts)) for at, lifts in found.items()}
    return {at: 1.0 + root for at, root in roots.items() if math.isfinite(root)}


def _members(panel: Panel, base: Slates) -> sparse.csr_array:
    """Cohorts x users that have slates, in order of their rows in the panel."""
    covered = np.unique(base.user.astype(np.int64))
    there = [np.flatnonzero(np.isin(covered, cohort.members)) for cohort in panel.cohorts]
    starts = np.concatenate([[0], np.cumsum([len(rows) for rows in there])])
    columns = np.concatenate(there)
    shape = (len(there), len(covered))
    return sparse.csr_array((np.ones(len(columns), dtype=np.int64), columns, starts), shape=shape)


def _exposures(panel: Panel, slates: Slates) -> Floats:
    """Each user's exposure to each slice at ``k``: users that have slates x slices; a user's requests count alike."""
    weights = position_weights(panel.toml.exposure.weights, slates.top.shape[1]).astype(np.float64)
    _, row = np.unique(slates.user.astype(np.int64), return_inverse=True)
    requests = np.bincount(row)
    shares = weights[None, :] / weights.sum() / requests[row][:, None]
    place = (np.repeat(row, slates.top.shape[1]), slates.top.ravel())
    shown = sparse.coo_array((shares.ravel(), place), shape=(len(requests), panel.items.height)).tocsr()
    return np.asarray((shown @ panel.membership).todense(), dtype=np.float64)
