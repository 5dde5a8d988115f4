# SPDX-License-Identifier: Apache-2.0
"""Findings of a table across a retrain: rows and groups out of line once the axes are turned back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.artifacts.answers import Aligned, Heads, Moved, Tensor

_ROW = 8.0  # robust deviations, of the logarithm of a row's shift, beyond any retrain measured (docs/models.md)
_BEHIND = 1.25  # times the score of the row that comes next
_GROUP = 6.0  # robust deviations of a group's median towards or away from a centre
_GROUP_ROWS = 5
_EXCESS = 1.25  # times what rebuilds vary by
_SHOWN = 10
_LISTED = 50  # outlying rows that an answer holds at most
_SURE = 4.0  # standard errors of the difference over users
_RATIO = 1.1  # of exposure, either way
_MATERIAL = 0.001  # of all exposure


def turned_findings(tensor: Tensor, path: str) -> Iterator[Finding]:
    """Rows beyond what a retrain moves, groups that went somewhere together, and a table that moved too far."""
    aligned = tensor.aligned
    if aligned is None:
        return
    far = far_rows(aligned)
    place = Location(path or "model", symbol=tensor.name)
    beyond = "beyond what a rebuild varies" if aligned.rebuild else "once its axes are turned back"
    if far:
        names = ", ".join(row.id or str(row.row) for row in far[:_SHOWN])
        yield Finding(
            "embedding-outlier", Severity.MEDIUM,
            f"{_counted(len(far))} of {tensor.name} moved out of line {beyond}",
            f"Rows {names}: the first by {far[0].score:.3g} robust deviations of the logarithm of its shift.", place,
            {"name": tensor.name, "rows": [row.model_dump() for row in far[:_SHOWN]], "count": len(far)},
            (path, tensor.name, "turned", *(str(row.row) for row in far[:_SHOWN])),
        )  # fmt: skip
    for group in aligned.groups:
        if group.towards is not None and abs(group.towards) >= _GROUP and group.rows >= _GROUP_ROWS:
            where = "towards" if group.towards > 0 else "away from"
            yield Finding(
                "embedding-outlier", Severity.MEDIUM,
                f"{group.name} moved {abs(group.towards):.1f} robust deviations {where} the users' centroid",
                f"Its {group.rows:,} rows of {tensor.name}, {beyond}.", place,
                {"name": group.name, "tensor": tensor.name, "towards": group.towards, "score": group.score},
                (path, tensor.name, "group", group.name),
            )  # fmt: skip
    if aligned.rebuild is not None and aligned.rebuild.excess >= _EXCESS:
        yield Finding(
            "tensor-changed", Severity.MEDIUM, f"{tensor.name} moved further than training again moves it",
            f"What alignment leaves is {aligned.rebuild.excess:.2f} times what it leaves of a rebuild.", place,
            {"name": tensor.name, "old": aligned.rebuild.residual, "new": aligned.residual},
            (path, tensor.name, "excess"),
        )  # fmt: skip


def head_findings(heads: Heads | None, path: str) -> Iterator[Finding]:
    """Groups whose exposure the weights alone change, beyond what the sampled users vary by."""
    for group in heads.groups if heads else ():
        moved = group.head_share - group.base_share
        factor = group.ratio if group.ratio is not None else math.inf
        if abs(moved) < _SURE * group.error or 1 / _RATIO < factor < _RATIO or abs(moved) < _MATERIAL:
            continue
        ratio = f"{group.ratio:.2f} times" if group.ratio is not None else "from nothing to"
        yield Finding(
            "tensor-changed", Severity.MEDIUM, f"By the weights alone {group.name} gets {ratio} the exposure",
            f"From {group.base_share:.2%} to {group.head_share:.2%} of slates of {heads.k if heads else 0}.",
            Location(path or "model", symbol=group.name),
            {"name": group.name, "old": group.base_share, "new": group.head_share, "ratio": group.ratio},
            (path, "heads", group.name),
        )  # fmt: skip


def _counted(rows: int) -> str:
    """So many rows; at the most that are listed there may be more."""
    if rows >= _LISTED:
        return f"{rows:,} rows or more"
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def far_rows(aligned: Aligned) -> list[Moved]:
    """The rows out of line: so far that no retrain reaches it, and apart from the tail that every retrain has.

    A tail falls off gradually; what was planted leaves a step behind it. Rows above the last such step are meant.
    """
    rows = [row for row in aligned.outlier_rows if row.score >= _ROW]
    scores = [row.score for row in aligned.outlier_rows] + [0.0]
    steps = [at + 1 for at in range(len(rows)) if scores[at] >= _BEHIND * max(scores[at + 1], 1e-9)]
    return rows[: steps[-1]] if steps else []
