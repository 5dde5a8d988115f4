# SPDX-License-Identifier: Apache-2.0
"""Serving: from requests to slates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shortvideo.catalogue import Catalogue, read_catalogue
from shortvideo.rerank import Reranker, Viewer
from shortvideo.retrieval import BLOCK, Model, Retrieval, read_model
from shortvideo.segments import Segment, read_segments
from shortvideo.settings import Ranking, read_ranking, read_training

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Feed:
    """The recommender: anyone with a history can be served, known to training or not."""

    def __init__(self, catalogue: Catalogue, model: Model, ranking: Ranking, segments: Sequence[Segment]) -> None:
        self._catalogue = catalogue
        self._candidates = ranking.candidates
        self._retrieval = Retrieval(model, catalogue.position, read_training())
        self._reranker = Reranker(catalogue, model.views, ranking, segments)

    def recommend(self, requests: Sequence[Mapping[str, Any]], k: int) -> list[list[str]]:
        """A slate of k clip ids for each request, best first; ValueError if k is more than the candidates."""
        if not 0 < k <= self._candidates:
            raise ValueError(f"k must be from 1 to {self._candidates}, not {k}")
        slates: list[list[str]] = []
        for start in range(0, len(requests), BLOCK):
            block = requests[start : start + BLOCK]
            found = self._retrieval.candidates(block, self._candidates)
            for request, clips, affinity in zip(block, found.clips, found.affinity, strict=True):
                ranked = self._reranker.rank(self._viewer(request), clips, affinity)
                slates.append([self._catalogue.clip_ids[clip] for clip in ranked[:k].tolist()])
        return slates

    def _viewer(self, request: Mapping[str, Any]) -> Viewer:
        context = request.get("context") or {}
        return Viewer(
            country=str(context.get("country") or ""),
            language=str(context.get("language") or ""),
            account_age_days=int(context.get("account_age_days") or 0),
            hour=_hour(context.get("at"), self._catalogue.newest),
        )


def _hour(at: str | float | None, otherwise: int) -> int:
    """Hours since 1970 of an ISO 8601 string (UTC where it names no zone) or a Unix time in seconds."""
    if at is None:
        return otherwise
    if isinstance(at, str):
        moment = datetime.fromisoformat(at)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(at // 3600)


def load(artifacts: Path) -> Feed:
    """The feed, from a folder with `factors.npz`, `clips.csv` and `creators.csv`."""
    catalogue = read_catalogue(artifacts / "clips.csv", artifacts / "creators.csv")
    return Feed(catalogue, read_model(artifacts / "factors.npz"), read_ranking(), read_segments())
