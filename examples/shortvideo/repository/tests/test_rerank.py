# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shortvideo.catalogue import Catalogue
from shortvideo.rerank import Reranker, Viewer
from shortvideo.settings import Ranking, Weights

ALL = np.arange(6)
FLAT = np.full(6, 0.5)
ONLY = Weights(affinity=0.0, freshness=0.0, completion=0.0, popularity=0.0, language=0.0, country=0.0)
SETTLED = Viewer(country="DE", language="de", account_age_days=400, hour=1000)


def reranker(catalogue: Catalogue, same_creator: float = 0.0, **weights: float) -> Reranker:
    ranking = Ranking(ONLY._replace(**weights), candidates=6, half_life_hours=50.0, same_creator=same_creator)
    return Reranker(catalogue, np.array([1, 2, 3, 4, 5, 60]), ranking)


def test_fresher_clips_come_first(catalogue: Catalogue) -> None:
    assert reranker(catalogue, freshness=1.0).rank(SETTLED, ALL, FLAT).tolist() == [5, 4, 3, 2, 1, 0]


def test_clips_in_the_language_of_the_app_come_first(catalogue: Catalogue) -> None:
    assert reranker(catalogue, language=1.0).rank(SETTLED, ALL, FLAT).tolist() == [0, 1, 2, 5, 3, 4]


def test_one_creator_does_not_fill_the_top(catalogue: Catalogue) -> None:
    affinity = np.array([0.9, 0.8, 0.7, 0.75, 0.1, 0.6])
    ranked = reranker(catalogue, same_creator=0.2, affinity=1.0).rank(SETTLED, ALL, affinity)
    assert ranked[:3].tolist() == [0, 3, 1]


@pytest.mark.parametrize(("days", "first"), [(3, 5), (400, 0)])
def test_new_accounts_lean_on_what_is_popular(catalogue: Catalogue, days: int, first: int) -> None:
    affinity = np.array([0.55, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert reranker(catalogue, affinity=1.0).rank(SETTLED._replace(account_age_days=days), ALL, affinity)[0] == first
