# SPDX-License-Identifier: Apache-2.0
"""Re-ranking: the order in which a viewer gets the candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shortvideo.freshness import Freshness

if TYPE_CHECKING:
    from shortvideo.catalogue import Catalogue
    from shortvideo.settings import Ranking


class Viewer(NamedTuple):
    """Who asks, and when."""

    country: str
    language: str
    account_age_days: int
    hour: int  # hours since 1970


class Reranker:
    """Scores candidates and spreads creators out."""

    def __init__(self, catalogue: Catalogue, views: np.ndarray, ranking: Ranking) -> None:
        self._catalogue = catalogue
        self._popularity = np.log1p(views) / np.log1p(max(int(views.max()), 1))
        self._freshness = Freshness(catalogue, ranking.half_life_hours)
        self._ranking = ranking

    def rank(self, viewer: Viewer, clips: np.ndarray, affinity: np.ndarray) -> np.ndarray:
        """The candidates, best first; equal scores keep the order they came in."""
        catalogue, weights = self._catalogue, self._ranking.weights
        score = weights.affinity * affinity
        score += weights.freshness * self._freshness.of(clips, viewer.hour)
        score += weights.completion * catalogue.completion[clips]
        score += weights.popularity * self._popularity[clips]
        score += weights.language * (catalogue.language[clips] == viewer.language)
        score += weights.country * (catalogue.country[clips] == viewer.country)
        score = self._spread(catalogue.creator[clips], score)
        return clips[np.argsort(-score, kind="stable")]

    def _spread(self, creators: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Scores less `same_creator` for every better clip by the same creator."""
        better: dict[int, int] = {}
        count = [0] * score.size
        names = creators.tolist()
        for place in np.argsort(-score, kind="stable").tolist():
            earlier = count[place] = better.get(names[place], 0)
            better[names[place]] = earlier + 1
        return score - self._ranking.same_creator * np.array(count)
