# SPDX-License-Identifier: Apache-2.0
"""Freshness: how new a clip is, from 1 when it comes out to 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shortvideo.catalogue import Catalogue

HORIZON = 24 * 60  # hours; whatever is older counts as this old


class Freshness:
    """Freshness halves with every half-life."""

    def __init__(self, catalogue: Catalogue, half_life_hours: float) -> None:
        self._published = catalogue.published
        self._curve = np.exp2(-np.arange(HORIZON + 1) / half_life_hours)

    def of(self, clips: np.ndarray, hour: int) -> np.ndarray:
        """Freshness of clips (positions, any shape) at an hour; what is not out yet is as fresh as can be."""
        return self._curve[np.clip(hour - self._published[clips], 0, HORIZON)]
