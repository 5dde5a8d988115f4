# SPDX-License-Identifier: Apache-2.0
"""Retrieval: from the whole catalogue to the candidates worth ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shortvideo import als

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HISTORY = 50  # the latest events a viewer's factors are folded in from
BLOCK = 64  # viewers scored together; blocks are padded, so that no viewer's score depends on the neighbours
EVENTS = {"view": 1.0, "like": 2.0, "share": 3.0}


class Model(NamedTuple):
    """A trained model, one row a clip."""

    factors: np.ndarray
    views: np.ndarray


def read_model(path: Path) -> Model:
    """The model in an .npz file; no pickles."""
    with np.load(path, allow_pickle=False) as file:
        return Model(file["factors"].astype(np.float64), file["views"].astype(np.int64))


class Candidates(NamedTuple):
    """What retrieval found for a block of viewers, both of shape (viewers, candidates)."""

    clips: np.ndarray
    affinity: np.ndarray


class Retrieval:
    """Folds viewers in from their history and finds the clips closest to them."""

    def __init__(self, model: Model, position: Mapping[str, int], settings: als.Settings) -> None:
        self._factors = model.factors
        self._transposed = np.ascontiguousarray(model.factors.T)
        self._gram = model.factors.T @ model.factors + settings.regularisation * np.eye(model.factors.shape[1])
        self._confidence = settings.confidence
        self._position = position
        # Far below any real affinity: it decides only for viewers without a history.
        self._prior = 1e-6 * np.log1p(model.views)

    def candidates(self, requests: Sequence[Mapping[str, Any]], count: int) -> Candidates:
        """The `count` closest clips that each viewer has not seen, in catalogue order.

        Takes at most BLOCK requests.
        """
        clips = np.zeros((BLOCK, HISTORY), dtype=np.int64)
        weight = np.zeros((BLOCK, HISTORY))
        seen: list[list[int]] = []
        for row, request in enumerate(requests):
            known = [event for event in request["history"] if event["item_id"] in self._position]
            seen.append([self._position[event["item_id"]] for event in known])
            latest = known[-HISTORY:]
            clips[row, : len(latest)] = seen[row][-HISTORY:]
            weight[row, : len(latest)] = [EVENTS.get(event.get("event") or "view", 1.0) for event in latest]
        viewers = als.solve(self._factors, self._gram, clips, self._confidence * weight)
        affinity = viewers @ self._transposed
        affinity += self._prior
        for row, watched in enumerate(seen):
            affinity[row, watched] = -np.inf
        affinity = affinity[: len(requests)]
        rest = affinity.shape[1] - count
        found = np.sort(np.argpartition(affinity, rest, axis=1)[:, rest:], axis=1)
        return Candidates(found, np.take_along_axis(affinity, found, axis=1))
