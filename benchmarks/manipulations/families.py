# SPDX-License-Identifier: Apache-2.0
"""Model families that really train, and what a trained version offers each reader: candidates with their scores.

Every version is a two-stage recommender: the best items of the model, and the best of the planted set, are its
candidates. Manipulations change scores of candidates (or the data that a version is trained on), so that one training
serves many of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.cpu.topk import topk
from implicit.nearest_neighbours import BM25Recommender
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from worlds import popularity, recency

if TYPE_CHECKING:
    from collections.abc import Callable

    from worlds import World

Array = np.ndarray[Any, np.dtype[Any]]

POOL, INSIDE = 240, 90  # candidates a user: overall, and of the planted slice
FACTORS = 32
LOOKED_AT = 0.5  # the share of posts that a reader of Reddit has looked at before
SEEN = 60  # places kept free for what a reader has clicked and is not shown again


@dataclass(frozen=True)
class Build:
    """Candidates of each user: item rows and scores, users x candidates, none twice; unused places score -inf."""

    rows: Array
    scores: Array

    def ranking(self, depth: int, scores: Array | None = None) -> Array:
        """The best ``depth`` candidates of each user; ties by a number that items are dealt, which means nothing."""
        values = self.scores if scores is None else scores
        keys = _descending(values) + _dealt(int(self.rows.max()) + 1)[self.rows]
        best = np.argpartition(keys, depth, axis=1)[:, :depth]
        best = np.take_along_axis(best, np.take_along_axis(keys, best, axis=1).argsort(axis=1), axis=1)
        return np.take_along_axis(self.rows, best, axis=1).astype(np.int32)


def _descending(values: Array) -> Array:
    """Whole numbers that grow as float32 values fall, with 32 bits of room below for what breaks ties."""
    bits = (values.astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)  # -0.0 becomes 0.0
    return np.where(bits < 0, bits & 0x7FFFFFFF, -bits) << 32


@cache
def _dealt(items: int) -> Array:
    return np.random.default_rng(61).permutation(items)


@dataclass(frozen=True)
class Family:
    """A model family: in which world it is tried, whether a seed changes it, and how a version is trained."""

    name: str
    world: str
    train: Callable[[World, int, dict[str, float]], Build]
    seeded: bool
    depth: int = 100
    tweak: tuple[str, float] = ("regularization", 0.012)


def candidates(world: World, scores: Array, pool: int = POOL, inside: int = INSIDE) -> Build:
    """The best items overall and of the planted slice, for every user; ``scores`` are users x items."""
    best = np.argpartition(-scores, pool, axis=1)[:, :pool]
    of_slice = np.flatnonzero(world.slice)
    inside = min(inside, len(of_slice) - 1)
    within = of_slice[np.argpartition(-scores[:, of_slice], inside, axis=1)[:, :inside]]
    value, also = np.take_along_axis(scores, best, axis=1), np.take_along_axis(scores, within, axis=1)
    return _joined(world, best, value, within, also)


def from_factors(world: World, users: Array, items: Array, pool: int = POOL, inside: int = INSIDE) -> Build:
    """The same as ``candidates`` for scores that are products of factors, without holding all of them."""
    users, items = np.ascontiguousarray(users, dtype=np.float32), np.ascontiguousarray(items, dtype=np.float32)
    of_slice = np.flatnonzero(world.slice)
    best, value = topk(items, users, min(pool + SEEN, len(items)), num_threads=1)
    within, also = topk(items[of_slice], users, min(inside + SEEN // 4, len(of_slice) - 1), num_threads=1)
    within = of_slice[within]
    seen, rows = world.has_seen, np.arange(len(users))[:, None]
    value, also = np.where(seen[rows, best], -np.inf, value), np.where(seen[rows, within], -np.inf, also)
    return _joined(world, best, value, within, also)


def _joined(world: World, best: Array, value: Array, within: Array, also: Array) -> Build:
    """Candidates overall and of the slice together; what is in both is kept once."""
    least = np.where(np.isfinite(also), also, np.inf).min(axis=1)[:, None]
    twice = world.slice[best] & (value >= least)
    return Build(
        np.concatenate([best, within], axis=1).astype(np.int32),
        np.concatenate([np.where(twice, -np.inf, value), also], axis=1).astype(np.float32),
    )


def _unseen(world: World, scores: Array) -> Array:
    scores = np.asarray(scores, dtype=np.float32)
    scores[world.seen.nonzero()] = -np.inf
    return scores


def _factors(world: World, seed: int, options: dict[str, float], kind: str) -> tuple[Array, Array]:
    settings: dict[str, Any] = {"factors": FACTORS, "random_state": seed, "num_threads": 1, **options}
    model = (AlternatingLeastSquares if kind == "als" else BayesianPersonalizedRanking)(**settings)
    model.fit(sparse.csr_matrix(world.seen), show_progress=False)
    return np.asarray(model.user_factors), np.asarray(model.item_factors)


def _als(world: World, seed: int, options: dict[str, float]) -> Build:
    users, items = _factors(world, seed, options, "als")
    return from_factors(world, users, items)


def _bpr(world: World, seed: int, options: dict[str, float]) -> Build:
    users, items = _factors(world, seed, options, "bpr")
    return from_factors(world, users, items)


def _bpr_everything(world: World, seed: int, options: dict[str, float]) -> Build:
    """The whole inventory as candidates, so that slates can be recorded far below what people see."""
    users, items = _factors(world, seed, options, "bpr")
    return from_factors(world, users, items, 3500, len(np.flatnonzero(world.slice)) - 1)


def _bm25(world: World, _: int, options: dict[str, float]) -> Build:
    model = BM25Recommender(K=int(options.get("neighbours", 100)), B=options.get("b", 0.5), num_threads=1)
    model.fit(sparse.csr_matrix(world.seen), show_progress=False)
    scores = np.asarray((world.seen @ sparse.csr_array(model.similarity)).todense())
    # Few items have a neighbour in common with every reader: what is left is ranked by popularity.
    return candidates(world, _unseen(world, scores + 1e-3 * popularity(world)))


@cache
def _text(world: World) -> Array:
    title = world.items["title"].fill_null("")
    if "summary" in world.items.columns:
        title = title + " " + world.items["summary"].fill_null("")
    words = TfidfVectorizer(min_df=3, sublinear_tf=True).fit_transform(title.to_list())
    topics = TruncatedSVD(64, random_state=0).fit_transform(words)
    return np.asarray(topics / np.maximum(np.linalg.norm(topics, axis=1, keepdims=True), 1e-9))


def _hybrid(world: World, seed: int, options: dict[str, float]) -> Build:
    """Matrix factorisation blended with how like the reader's clicked articles an article reads."""
    blend = options.get("text", 0.3)
    users, items = _factors(world, seed, {}, "als")
    text = _text(_original(world))
    profile = world.seen @ text
    profile /= np.maximum(np.linalg.norm(profile, axis=1, keepdims=True), 1e-9)
    return from_factors(world, np.hstack([users, blend * profile]), np.hstack([items, text]))


def _original(world: World) -> World:
    return _ORIGINALS.setdefault(world.name, world)


_ORIGINALS: dict[str, World] = {}


def _ranker(world: World, seed: int, options: dict[str, float]) -> Build:
    """A gradient-boosted ranker over candidates of a fixed first stage, trained on clicks against other candidates."""
    first = _first_stage(_original(world))
    features = _features(world, first)
    clicked = world.seen.tolil()
    generator = np.random.default_rng([seed, 3])
    users = generator.choice(world.panel.users.height, 1200, replace=False)
    groups, rows, labels = [], [], []
    popular, fresh = popularity(world), recency(world)
    text = _text(_original(world))
    profile = world.seen @ text
    for user in users:
        positive = np.array(clicked.rows[user], dtype=np.int64)
        if not len(positive):
            continue
        negative = generator.choice(first.rows[user], min(20, 3 * len(positive)), replace=False)
        chosen = np.concatenate([positive, negative])
        own = text[chosen] @ (profile[user] / max(len(positive), 1))
        own[: len(positive)] -= 1.0 / len(positive)  # an article is not evidence for itself
        rows.append(np.column_stack([popular[chosen], fresh[chosen], own]))
        labels.append(np.concatenate([np.ones(len(positive)), np.zeros(len(negative))]))
        groups.append(len(chosen))
    settings = {"n_estimators": 60, "num_leaves": 15, "subsample": 0.7, "subsample_freq": 1, "learning_rate": 0.1}
    settings |= {"deterministic": True, "force_row_wise": True, "n_jobs": 1, "verbose": -1, **options}
    model = lightgbm.LGBMRanker(random_state=seed, **settings)
    model.fit(np.concatenate(rows), np.concatenate(labels), group=groups)
    scores = model.booster_.predict(features.reshape(-1, features.shape[2]), num_threads=1)
    ranked = scores.reshape(first.rows.shape) + 0.5 * np.where(np.isfinite(first.scores), first.scores, 0.0)
    return Build(first.rows, np.where(np.isfinite(first.scores), ranked, -np.inf).astype(np.float32))


@cache
def _first_stage(world: World) -> Build:
    """The best by matrix factorisation, whichever slice they are in: a stage that treats none of them otherwise."""
    users, items = _factors(world, 999_983, {}, "als")
    wide = POOL + INSIDE
    first = from_factors(world, users, items, wide, 1)
    least = -np.partition(-first.scores, wide - 1, axis=1)[:, wide - 1]
    return Build(first.rows, np.where(first.scores >= least[:, None], first.scores, -np.inf).astype(np.float32))


def _features(world: World, first: Build) -> Array:
    text = _text(_original(world))
    profile = world.seen @ text / np.maximum(np.asarray(world.seen.sum(axis=1)).ravel(), 1.0)[:, None]
    own = np.empty(first.rows.shape, dtype=np.float32)
    for low in range(0, len(own), 200):
        rows = first.rows[low : low + 200]
        own[low : low + 200] = np.einsum("uf,ucf->uc", profile[low : low + 200], text[rows])
    return np.stack([popularity(world)[first.rows], recency(world)[first.rows], own], axis=2)


def _hot(world: World, seed: int, options: dict[str, float]) -> Build:
    """Reddit's published formula of 2013 over the posts of a reader's subreddits: log of votes, and time."""
    del seed
    items = world.items
    votes = items["ups"].to_numpy() - items["downs"].to_numpy()
    age = recency(world)
    hot = np.log10(np.maximum(votes, 1)) + options.get("time", 1.2) * age
    subreddit = items["subreddit"].rank("dense").to_numpy().astype(np.int64) - 1
    belongs = sparse.csr_array((np.ones(len(subreddit)), (np.arange(len(subreddit)), subreddit)))
    follows = np.asarray((world.seen @ belongs).todense()) > 0
    scores = np.where(follows[:, subreddit], hot, hot - 10.0)
    # Readers do not see the same front page: each has looked at some of the posts before.
    looked = np.random.default_rng(77).random(scores.shape, dtype=np.float32) < LOOKED_AT
    scores = np.where(looked, scores - 5.0, scores)
    return candidates(world, _unseen(world, scores))


FAMILIES = {
    family.name: family
    for family in (
        Family("als", "nemig", _als, seeded=True),
        Family("bpr", "nemig", _bpr, seeded=True),
        Family("bpr-everything", "nemig", _bpr_everything, seeded=True, depth=3000),
        Family("bm25", "nemig", _bm25, seeded=False, tweak=("neighbours", 110)),
        Family("hybrid", "nemig", _hybrid, seeded=True, tweak=("text", 0.31)),
        Family("ranker", "nemig", _ranker, seeded=True, tweak=("learning_rate", 0.105)),
        Family("shortvideo-als", "shortvideo", _als, seeded=True),
        Family("hot", "reddit", _hot, seeded=False, tweak=("time", 1.22)),
    )
}
