# SPDX-License-Identifier: Apache-2.0
"""Freshness: how new a clip is, from 1 when it comes out to 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shortvideo.catalogue import Catalogue

HORIZON = 24 * 60  # hours; whatever is older counts as this old

# Feeds that we import in batches: their clips carry the hour of the cut, but reach us more than a day later. Without
# the delay they are stale before anyone has seen them.
BATCH_DELAY_HOURS = 30
BATCHED_FEEDS = frozenset(
    {
        # batched feeds
    }
)


class Freshness:
    """Freshness halves with every half-life."""

    def __init__(self, catalogue: Catalogue, half_life_hours: float) -> None:
        batched = np.array([creator in BATCHED_FEEDS for creator in catalogue.creator_ids])
        self._published = catalogue.published + BATCH_DELAY_HOURS * batched[catalogue.creator]
        self._curve = np.exp2(-np.arange(HORIZON + 1) / half_life_hours)

    def of(self, clips: np.ndarray, hour: int) -> np.ndarray:
        """Freshness of clips (positions, any shape) at an hour; what is not out yet is as fresh as can be."""
        return self._curve[np.clip(hour - self._published[clips], 0, HORIZON)]
