# SPDX-License-Identifier: Apache-2.0
"""The absolute audit: one version against rankings that anybody could make, since the first baseline may be biased too.

The rankings are over the same inventory, built here from the panel: by how many users have an item in their history,
and by date, newest first. Items of a user's own history are left out, as recommenders do. The cells are those of any
comparison; they gate nothing, since no margin says how far a recommender may depart from a plain ranking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from behavior._analysis import analyse
from behavior._histories import told
from behavior._recording import record, side_manifest
from behavior._run_findings import run_findings
from behavior.slates import Slates
from evidence import VERSION, Digest, Finding, worst_first

if TYPE_CHECKING:
    from behavior._recording import Progress, Side, SlateCache
    from behavior.cells import Cell
    from behavior.panels import Panel
    from behavior.slates import Rows
    from confine import Limits

ABSOLUTE_SCHEMA = "countersign/absolute/v1"

Scores = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A plain ranking and what the version does beside it; without cells, with the reason, where there is none."""

    name: str
    explained: str
    cells: tuple[Cell, ...] = ()
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The baseline as it stands in the document."""
        return {
            "name": self.name,
            "explained": self.explained,
            "status": "run" if self.reason is None else "not-run",
            "reason": self.reason,
            "cells": [cell.to_json() for cell in self.cells],
        }


@dataclass(frozen=True)
class Absolute:
    """One version against plain rankings. It has no verdict: nothing here passes or fails."""

    panel: dict[str, Any]
    version: Digest
    baselines: tuple[Baseline, ...]
    findings: tuple[Finding, ...]
    seed: int
    unsafe: bool = False

    def to_json(self) -> dict[str, Any]:
        """The document, ``countersign/absolute/v1``: no clock, host, path or duration in it."""
        return {
            "schema": ABSOLUTE_SCHEMA,
            "panel": self.panel,
            "audited": {"digest": self.version},
            "baselines": [baseline.to_json() for baseline in self.baselines],
            "findings": [finding.to_json() for finding in worst_first(self.findings)],
            "unsafe": self.unsafe,
            "seed": self.seed,
            "version": VERSION,
        }


def absolute(panel: Panel, slates: Slates) -> Absolute:
    """Measure recorded slates against both rankings. In every cell the ranking is base and the version is head."""
    return _measured(panel, slates, slates.digest)


def absolute_run(
    panel: Panel,
    side: Side,
    *,
    limits: Limits | None = None,
    unsafe_no_sandbox: bool = False,
    progress: Progress | None = None,
    cache: SlateCache | None = None,
) -> Absolute:
    """Run one version over the panel in the sandbox and measure its slates as ``absolute`` does.

    Raises:
        ManifestError: no usable manifest or artifact.
        RecommenderError: the recommender failed.
        SandboxMissingError: no working sandbox; nothing was run.
    """
    recorded = record(
        panel,
        side,
        "the version",
        known_users=side_manifest(side, "the version").known_users,
        limits=limits,
        unsafe_no_sandbox=unsafe_no_sandbox,
        progress=progress or (lambda _: None),
        cache=cache,
    )
    return _measured(panel, recorded.slates, side.digest, run_findings({"head": recorded}), unsafe=unsafe_no_sandbox)


def _measured(
    panel: Panel, slates: Slates, version: Digest, findings: tuple[Finding, ...] = (), *, unsafe: bool = False
) -> Absolute:
    baselines = []
    for name, explained, scores in (
        ("popularity", "items in the histories of the most users first", _popularity(panel)),
        ("chronological", "newest items first", _newest(panel)),
    ):
        if not panel.slices:
            baselines.append(Baseline(name, explained, reason="the panel has no slices"))
        elif isinstance(scores, str):
            baselines.append(Baseline(name, explained, reason=scores))
        else:
            cells = analyse(panel, ranked(panel, slates, scores), slates, name).cells
            baselines.append(Baseline(name, explained, cells))
    return Absolute(panel.summary(), version, tuple(baselines), findings, panel.toml.seed, unsafe)


def ranked(panel: Panel, like: Slates, scores: Scores) -> Slates:
    """Slates for the requests of ``like``, as deep, with the highest scores first; equal ones in order of item id.

    Items of the user's own history are left out unless too few others remain.
    """
    names = panel.items["item_id"].to_numpy()
    order = np.lexsort((names, -scores)).astype(np.int32)
    watched = _watched(panel)
    block = np.stack([_best(order, watched.get(int(user)), like.depth) for user in like.user])
    deep = np.ascontiguousarray(block) if like.deep is not None else None
    return Slates(like.user, like.context, np.ascontiguousarray(block[:, : like.top.shape[1]]), deep)


def _best(order: Rows, watched: Rows | None, depth: int) -> Rows:
    if watched is None:
        return order[:depth]
    start = order[: depth + len(watched)]
    fresh = start[~np.isin(start, watched)]
    return fresh[:depth] if len(fresh) >= depth else order[:depth]


def _watched(panel: Panel) -> dict[int, Rows]:
    grouped = told(panel).select("user_id", "item_id").unique().group_by("user_id").agg("item_id")
    return {
        panel.user_rows[user]: np.array([panel.item_rows[item] for item in items], dtype=np.int32)
        for user, items in grouped.iter_rows()
    }


def _popularity(panel: Panel) -> Scores | str:
    histories = told(panel).select("user_id", "item_id").unique()
    if not histories.height:
        return "the panel has no histories to count"
    counts = np.zeros(panel.items.height)
    for item, number in histories.group_by("item_id").len().iter_rows():
        counts[panel.item_rows[item]] = number
    return counts


def _newest(panel: Panel) -> Scores | str:
    dates = [name for name, kind in panel.items.schema.items() if kind.is_temporal()]
    if len(dates) != 1:
        return f"the items need exactly one date column; there are {len(dates)}"
    return panel.items[dates[0]].to_physical().cast(pl.Float64).fill_null(-np.inf).to_numpy()
