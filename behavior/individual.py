# SPDX-License-Identifier: Apache-2.0
"""Individual amplification: how the ratio of a slice is spread over its sources (Huszár et al. 2022).

A slice's own ratio is the group's: one large source can hide what befalls the small ones, or be all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from behavior._probed import Probed
from behavior._weights import position_weights
from behavior.audits import ProbeResult
from behavior.cells import rounded
from behavior.exposure import REACH_DEGREE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior.cells import Cell
    from behavior.panels import Panel
    from behavior.slates import Slates

Floats = np.ndarray[Any, np.dtype[np.float64]]

PROBE = "individual"
_MOST = 20  # sources that are named, those that moved most


def individual(panel: Panel, base: Slates, head: Slates, _primary: Sequence[Cell]) -> Probed | None:
    """For each primary slice the quartiles of its sources' ratios beside its own, over all users; descriptive.

    A source is a value of ``[exposure] source``; None without one. It counts where base and head show it.
    """
    column = panel.toml.exposure.source
    if column is None:
        return None
    names = panel.items[column].cast(pl.String)
    weights = position_weights(panel.toml.exposure.weights, base.top.shape[1])
    got = [_exposure(side, weights, panel.items.height) for side in (base, head)]
    found: dict[str, Any] = {}
    for number, declared in enumerate(panel.slices):
        if declared.family != "primary":
            continue
        degrees = panel.membership[:, [number]].toarray().ravel()
        inside = (degrees >= REACH_DEGREE) & names.is_not_null().to_numpy()
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        sources, code = np.unique(names.gather(rows).to_numpy().astype(str), return_inverse=True)
        before, after = (np.asarray(np.bincount(code, side[rows] * degrees[rows]), dtype=np.float64) for side in got)
        found[declared.name] = _spread(sources, before, after)
    words = [
        f"{name}: group {each['group']:.2f}, median {each['median']:.2f} of {each['sources']} sources"
        f" ({each['lowest']:.2f} to {each['highest']:.2f})"
        for name, each in found.items()
        if each["median"] is not None
    ]
    summary = "; ".join(words) or "no source of a slice is shown by both sides"
    return Probed(ProbeResult(PROBE, run=True, summary=f"{summary}.", searched={"source": column, "slices": found}))


def _exposure(side: Slates, weights: Any, items: int) -> Floats:  # noqa: ANN401 - whole numbers, as positions weigh
    """What each item gets from all requests."""
    spread = np.broadcast_to(weights, side.top.shape).ravel().astype(np.float64)
    return np.asarray(np.bincount(side.top.ravel(), weights=spread, minlength=items) / weights.sum())


def _spread(sources: Any, before: Floats, after: Floats) -> dict[str, Any]:  # noqa: ANN401 - an array of names
    both = (before > 0) & (after > 0)
    ratios = after[both] / before[both]
    quartiles = np.quantile(ratios, [0.0, 0.25, 0.5, 0.75, 1.0]) if len(ratios) else [None] * 5
    order = np.argsort(-np.abs(np.log(ratios)), kind="stable")[:_MOST]
    named = sources[both]
    whole = float(before.sum())
    return {
        "group": rounded(float(after.sum()) / whole) if whole > 0 else None,
        "sources": int(both.sum()),
        **{
            name: rounded(None if value is None else float(value))
            for name, value in zip(("lowest", "lower", "median", "upper", "highest"), quartiles, strict=True)
        },
        "amplified": int((ratios > 1).sum()),
        "only_in_base": int(((before > 0) & (after <= 0)).sum()),
        "only_in_head": int(((before <= 0) & (after > 0)).sum()),
        "largest": [{"source": str(named[row]), "ratio": rounded(float(ratios[row]))} for row in order],
    }
