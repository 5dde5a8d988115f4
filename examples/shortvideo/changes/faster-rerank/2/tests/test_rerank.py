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


def rank(reranker: Reranker, viewer: Viewer, affinity: np.ndarray) -> np.ndarray:
    """All clips for one viewer, in a block with someone else."""
    other = viewer._replace(country="FR", language="fr")
    return reranker.rank([viewer, other], np.array([ALL, ALL]), np.array([affinity, FLAT]))[0]


def test_fresher_clips_come_first(catalogue: Catalogue) -> None:
    assert rank(reranker(catalogue, freshness=1.0), SETTLED, FLAT).tolist() == [5, 4, 3, 2, 1, 0]


def test_clips_in_the_language_of_the_app_come_first(catalogue: Catalogue) -> None:
    assert rank(reranker(catalogue, language=1.0), SETTLED, FLAT).tolist() == [0, 1, 2, 5, 3, 4]


def test_one_creator_does_not_fill_the_top(catalogue: Catalogue) -> None:
    affinity = np.array([0.9, 0.8, 0.7, 0.75, 0.1, 0.6])
    ranked = rank(reranker(catalogue, same_creator=0.2, affinity=1.0), SETTLED, affinity)
    assert ranked[:3].tolist() == [0, 3, 1]


@pytest.mark.parametrize(("days", "first"), [(3, 5), (400, 0)])
def test_new_accounts_lean_on_what_is_popular(catalogue: Catalogue, days: int, first: int) -> None:
    affinity = np.array([0.55, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert rank(reranker(catalogue, affinity=1.0), SETTLED._replace(account_age_days=days), affinity)[0] == first


def test_spreading_agrees_with_counting_one_by_one(catalogue: Catalogue) -> None:
    rng = np.random.default_rng(11)
    creators = rng.integers(0, 40, (7, 300))
    score = np.round(rng.random((7, 300)), 2)  # rounded, so that there are ties
    expected = score.copy()
    for row in range(7):
        better: dict[int, int] = {}
        for place in np.argsort(-score[row], kind="stable").tolist():
            creator = int(creators[row, place])
            expected[row, place] -= 0.06 * better.get(creator, 0)
            better[creator] = better.get(creator, 0) + 1
    np.testing.assert_array_equal(reranker(catalogue, same_creator=0.06)._spread(creators, score), expected)
