# SPDX-License-Identifier: Apache-2.0
"""What rebuilds show beside the cells: churn beyond base's own, and a shipped build unlike its rebuilds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from behavior._intervals import normal
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from behavior._overlaps import Overlaps
    from behavior.panels import Panel
    from behavior.rebuilds import Builds

Floats = np.ndarray[Any, np.dtype[np.float64]]

MORE_CHURN = 1.25  # head's own churn over base's own, before it is a finding
MORE_ACROSS = 1.5  # churn between base and head over base's own: an honest change of a model moves some items too
LEAST_CHURN = 0.02  # of a slate: less than this more is nothing to hide a lift in
FEWEST_REBUILDS = 3  # of a side, before a shipped build is held against their range
_CERTAIN = 0.99


def build_findings(panel: Panel, builds: Builds) -> list[Finding]:
    """Findings of rebuilds; each of them forbids a pass."""
    return [*_excess_churn(builds.overlaps), *_unlike(panel, builds)]


def _excess_churn(overlaps: Overlaps) -> Iterable[Finding]:
    """Slates that move more than base's own builds do can hide a lift in noise."""
    if overlaps.base is None:
        return
    own = 1.0 - overlaps.base
    if overlaps.head is not None and _exceeds(own, 1.0 - overlaps.head, MORE_CHURN):
        yield _churn_finding("head's own builds differ", own, 1.0 - overlaps.head)
    elif own.mean() > 0 and _exceeds(own, 1.0 - overlaps.across, MORE_ACROSS):
        yield _churn_finding("builds of base and of head differ", own, 1.0 - overlaps.across)


def _exceeds(own: Floats, other: Floats, factor: float) -> bool:
    """Whether ``other`` is beyond ``factor`` times ``own``, certain over requests, and by a share that matters."""
    excess = other - factor * own
    error = float(excess.std(ddof=1)) / math.sqrt(len(excess)) if len(excess) > 1 else 0.0
    return bool(
        excess.mean() > normal(_CERTAIN) * error and excess.mean() > 0 and other.mean() - own.mean() > LEAST_CHURN
    )


def _churn_finding(what: str, own: Floats, other: Floats) -> Finding:
    return Finding(
        rule="excess-churn",
        severity=Severity.MEDIUM,
        title=f"More churn than base's own: {what} in {other.mean():.1%} of a slate, base's own builds in"
        f" {own.mean():.1%}",
        detail="Slates that are shuffled more than a change of seed shuffles them can hide a lift in noise, so this"
        " cannot pass. Ask what makes head less stable, or for builds without it.",
        evidence={"base_churn": round(float(own.mean()), 6), "churn": round(float(other.mean()), 6), "what": what},
        key=("rebuilds", what),
    )


def _unlike(panel: Panel, builds: Builds) -> Iterable[Finding]:
    """Shipped builds outside the range of their own rebuilds, by more than half the way to the margin."""
    for which, side in enumerate(("base", "head")):
        shipped, others = builds.shares[which][0], builds.shares[which][1:]
        if len(others) < FEWEST_REBUILDS:
            continue
        for index, declared in enumerate(panel.slices):
            if declared.family != "primary":
                continue
            picked = [
                cohort
                for cohort in range(len(panel.cohorts))
                if _outside(float(shipped[index, cohort]), others[:, index, cohort], declared.margin, panel)
            ]
            if picked:
                yield _unlike_finding(panel, side, index, picked, shipped[index], others[:, index])


def _outside(share: float, others: Floats, margin: float, panel: Panel) -> bool:
    if others.min() <= share <= others.max():
        return False
    middle = float(others.mean())
    if abs(share - middle) <= panel.toml.materiality:
        return False
    return share <= 0 or middle <= 0 or abs(math.log(share / middle)) > math.log(margin) / 2.0


def _unlike_finding(panel: Panel, side: str, index: int, picked: list[int], shipped: Floats, others: Floats) -> Finding:
    first = picked[0]
    slice_, cohort = panel.slices[index], panel.cohorts[first]
    whom = ", ".join(f"{column}={value}" for column, value in cohort.name.items()) or "everyone"
    low, high = float(others[:, first].min()), float(others[:, first].max())
    return Finding(
        rule="shipped-build-unlike-rebuilds",
        severity=Severity.MEDIUM,
        title=f"The shipped {side} shows {whom} {slice_.name} in {float(shipped[first]):.3%}, its own rebuilds in"
        f" {low:.3%} to {high:.3%}",
        detail="Of several seeds one can pick the one that happens to favour a slice. Take the seed from the reviewer's"
        " server, a hash of recipe digest and nonce, or ship another build.",
        evidence={
            "side": side,
            "slice": slice_.name,
            "cohorts": [panel.cohorts[cohort].name for cohort in picked],
            "shipped": round(float(shipped[first]), 8),
            "rebuilds": [round(float(share), 8) for share in np.sort(others[:, first])],
        },
        key=(side, slice_.name),
    )
