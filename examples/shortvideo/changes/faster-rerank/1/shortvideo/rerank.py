# SPDX-License-Identifier: Apache-2.0
"""Re-ranking: the order in which viewers get their candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shortvideo.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortvideo.catalogue import Catalogue
    from shortvideo.settings import Ranking

NEW_ACCOUNT_DAYS = 14
NEW_ACCOUNT_POPULARITY = 0.10  # we know little about them yet: lean on what others like


class Viewer(NamedTuple):
    """Who asks, and when."""

    country: str
    language: str
    account_age_days: int
    hour: int  # hours since 1970


class Reranker:
    """Scores candidates and spreads creators out, for a block of viewers at a time."""

    def __init__(self, catalogue: Catalogue, views: np.ndarray, ranking: Ranking) -> None:
        self._catalogue = catalogue
        self._popularity = np.log1p(views) / np.log1p(max(int(views.max()), 1))
        self._freshness = Freshness(catalogue, ranking.half_life_hours)
        self._ranking = ranking

    def rank(self, viewers: Sequence[Viewer], clips: np.ndarray, affinity: np.ndarray) -> np.ndarray:
        """The candidates of each viewer, best first; equal scores keep the order they came in.

        Both arrays have one row a viewer. Terms are added in the order in which they always were, so that scores stay
        the same to the last bit.
        """
        catalogue, weights = self._catalogue, self._ranking.weights
        country = np.array([viewer.country for viewer in viewers])[:, None]
        language = np.array([viewer.language for viewer in viewers])[:, None]
        hour = np.array([viewer.hour for viewer in viewers])[:, None]
        new = np.array([viewer.account_age_days < NEW_ACCOUNT_DAYS for viewer in viewers])
        popularity = self._popularity[clips]
        score = weights.affinity * affinity
        score += weights.freshness * self._freshness.of(clips, hour)
        score += weights.completion * catalogue.completion[clips]
        score += weights.popularity * popularity
        score += weights.language * (catalogue.language[clips] == language)
        score += weights.country * (catalogue.country[clips] == country)
        score[new] += NEW_ACCOUNT_POPULARITY * popularity[new]
        score = self._spread(catalogue.creator[clips], score)
        return np.take_along_axis(clips, np.argsort(-score, axis=1, kind="stable"), axis=1)

    def _spread(self, creators: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Scores less `same_creator` for every better clip by the same creator."""
        order = np.argsort(-score, axis=1, kind="stable")
        ranked = np.take_along_axis(creators, order, axis=1)
        # Sorted by creator, and within one by rank: the place inside a creator's run is the number of better clips.
        grouped = np.argsort(ranked, axis=1, kind="stable")
        runs = np.take_along_axis(ranked, grouped, axis=1)
        place = np.arange(score.shape[1])
        starts = np.zeros(score.shape, dtype=np.int64)
        starts[:, 1:] = np.where(runs[:, 1:] != runs[:, :-1], place[1:], 0)
        better = place - np.maximum.accumulate(starts, axis=1)
        count = np.zeros(score.shape, dtype=np.int64)
        np.put_along_axis(count, np.take_along_axis(order, grouped, axis=1), better, axis=1)
        return score - self._ranking.same_creator * count
