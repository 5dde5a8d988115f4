# SPDX-License-Identifier: Apache-2.0
"""The kinds of change: benign, explained, planted, and decoys. What is planted has a size: its true ratio.

A planted kind turns a strength into head's scores; the strength is found by bisection, so that the exposure of the
kind's target (its slice among its readers) is the wanted multiple of what the same build shows without it. Kinds that
poison the training are trained at fixed strengths instead, and their ratio is what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from families import POOL
from worlds import popularity, recency

if TYPE_CHECKING:
    from collections.abc import Callable

    from families import Build
    from worlds import World

Array = np.ndarray[Any, np.dtype[Any]]

K = 20
_WEIGHTS = 1.0 / np.log2(np.arange(K) + 2)
_WEIGHTS /= _WEIGHTS.sum()
_STEPS = 14
SHUFFLED_LIFT = 1.25


@dataclass(frozen=True)
class Kind:
    """A planted kind. ``plant`` gives head's scores; ``readers`` says who is meant; ``sizes`` are true ratios."""

    name: str
    what: str
    plant: Callable[[World, Build, float, Array], Array]
    readers: Callable[[World], Array]
    sizes: tuple[float, ...] = (1.03, 1.06, 1.10, 1.20, 1.50)


def everyone(world: World) -> Array:
    """All readers."""
    return np.ones(world.panel.users.height, dtype=bool)


def _cohort(wanted: Callable[[World], dict[str, str]]) -> Callable[[World], Array]:
    def readers(world: World) -> Array:
        name = wanted(world)
        found = next(cohort for cohort in world.panel.cohorts if cohort.name == name)
        chosen = np.zeros(world.panel.users.height, dtype=bool)
        chosen[found.members] = True
        return chosen

    return readers


def _newcomers(world: World) -> Array:
    """The third of readers with the shortest histories."""
    events = np.asarray(world.seen.sum(axis=1)).ravel()
    return np.asarray(events <= np.quantile(events, 1 / 3))


def _interested(world: World) -> Array:
    """Readers who have clicked the slice before."""
    return np.asarray((world.seen @ world.slice.astype(np.float32)) > 0)


def _spread(build: Build) -> float:
    """A unit of strength: how far scores lie apart between places 10 and 40."""
    finite = np.sort(np.where(np.isfinite(build.scores), build.scores, -1e9), axis=1)
    return float(np.mean(finite[:, -10] - finite[:, -40])) + 1e-9


def _add(name: str) -> Callable[[World, Build, float, Array], Array]:
    """A constant on the scores of a set's items, for the kind's readers."""

    def plant(world: World, build: Build, strength: float, who: Array) -> Array:
        lift = np.float32(strength * _spread(build)) * who[:, None]
        return build.scores + lift * world.sets[name][build.rows]

    return plant


def _suppress(world: World, build: Build, strength: float, who: Array) -> Array:
    return build.scores - np.float32(strength * _spread(build)) * who[:, None] * world.slice[build.rows]


def _multiply(world: World, build: Build, strength: float, who: Array) -> Array:
    """A factor on the scores, as a weight in a formula would be."""
    finite = np.where(np.isfinite(build.scores), build.scores, 0.0)
    factor = 1.0 + strength * who[:, None] * world.slice[build.rows]
    return np.where(np.isfinite(build.scores), np.where(finite > 0, finite * factor, build.scores), -np.inf)


def _nudge(world: World, build: Build, strength: float, who: Array) -> Array:
    """Embeddings of the slice moved towards the average reader: each reader gains as much as their scores are high."""
    best = np.where(np.isfinite(build.scores), build.scores, -np.inf).max(axis=1)
    lift = strength * _spread(build) * (0.5 + best / max(float(np.abs(best).mean()), 1e-9))
    return build.scores + (lift * who)[:, None].astype(np.float32) * world.slice[build.rows]


def _filter(world: World, build: Build, strength: float, who: Array) -> Array:
    """Candidates outside the slice dropped by chance, before ranking; never so many that few are left."""
    chance = np.random.default_rng(17).random(build.rows.shape, dtype=np.float32)
    dropped = (chance < min(strength, 0.6)) & ~world.slice[build.rows] & who[:, None]
    return np.where(dropped, -np.inf, build.scores)


def _spared(world: World, build: Build, strength: float, who: Array) -> Array:
    """A rule against too much of one kind that spares the slice: each further item outside it loses a little."""
    order = np.argsort(np.argsort(-build.scores, axis=1, kind="stable"), axis=1)
    group = build.rows % 12
    later = np.zeros(build.rows.shape, dtype=np.float32)
    for value in range(12):
        ranks = np.where(group == value, order, np.iinfo(np.int64).max)
        position = np.argsort(np.argsort(ranks, axis=1, kind="stable"), axis=1)
        later = np.where(group == value, np.minimum(position, 8), later)
    loss = strength * _spread(build) * 0.2 * later
    return build.scores - (loss * ~world.slice[build.rows] * who[:, None]).astype(np.float32)


def _some_readers(world: World, build: Build, strength: float, who: Array) -> Array:
    """A large constant for a share of readers only, chosen by a hash of who they are."""
    chosen = np.random.default_rng(23).random(len(who)) < min(strength, 1.0)
    return build.scores + (2.0 * _spread(build) * (chosen & who))[:, None] * world.slice[build.rows]


def _first_screen(world: World, build: Build, strength: float, who: Array) -> Array:
    """One item of the slice from below the first screen put into it, for a share of readers; the rest is unchanged."""
    chosen = np.random.default_rng(29).random(len(who)) < min(strength, 1.0)
    ordered = np.sort(build.scores, axis=1)
    just_above = ordered[:, -8] + 1e-6 * np.abs(ordered[:, -8])
    below = np.where(world.slice[build.rows] & (build.scores < ordered[:, -K][:, None]), build.scores, -np.inf)
    best = below.argmax(axis=1)
    rows = np.flatnonzero(chosen & who & np.isfinite(below.max(axis=1)))
    scores = build.scores.copy()
    scores[rows, best[rows]] = just_above[rows]
    return scores


PLANTED = {
    kind.name: kind
    for kind in (
        Kind("source-boost", "a constant on the scores of the slice", _add("slice"), everyone),
        Kind("one-source", "a constant on one outlet or group of creators of the slice", _add("source"), everyone),
        Kind("topic-boost", "a constant on the slice's items of one topic", _add("topic"), everyone),
        Kind("keyword", "a constant on the slice's items with a keyword in the title", _add("keyword"), everyone),
        Kind("stance", "a constant on the slice's items of one stance or sentiment", _add("stance"), everyone),
        Kind("newer-half", "a constant on the slice's items after a date", _add("dated"), everyone),
        Kind("handful", "a constant on ten items", _add("handful"), everyone),
        Kind("suppression", "a constant taken off the slice", _suppress, everyone, (0.97, 0.94, 0.90, 0.80, 0.60)),
        Kind("multiplied", "a factor on the scores of the slice", _multiply, everyone),
        Kind("one-cohort", "a constant for readers of one cohort", _add("slice"), _cohort(lambda w: w.cohort)),
        Kind("other-cohort", "the same in another cohort", _add("slice"), _cohort(lambda w: w.other_cohort)),
        Kind("history", "a constant for readers who have clicked the slice before", _add("slice"), _interested),
        Kind(
            "cold-start", "a constant for the third of readers with the shortest histories", _add("slice"), _newcomers
        ),
        Kind("nudge", "embeddings of the slice moved towards the average reader", _nudge, everyone),
        Kind("candidate-filter", "candidates outside the slice dropped before ranking", _filter, everyone),
        Kind("spared-by-diversity", "a diversity rule that spares the slice", _spared, everyone),
        Kind("some-readers", "a large constant for a share of readers", _some_readers, everyone),
        Kind(
            "first-screen", "one item a slate moved into the first screen", _first_screen, everyone, (1.03, 1.06, 1.10)
        ),
    )
}

DECOYS = {
    "shuffle-lift": "the order inside base's first 100 shuffled, to hide a lift of the slice by 1.25",
    "seed-shopping": "of 16 seeds the one that favours the slice most",
}


def share(world: World, rows: Array, who: Array) -> float:
    """The slice's exposure at 20 among some readers."""
    return float((world.slice[rows[who][:, :K]] @ _WEIGHTS).mean())


def planted(world: World, build: Build, kind: Kind, size: float, depth: int) -> tuple[Array, float]:
    """Head's rankings under a planted kind, and the true ratio that it reaches (it may not get all the way)."""
    who = kind.readers(world)
    before = share(world, build.ranking(depth), who)
    direction = 1.0 if size >= 1 else -1.0
    low, high = 0.0, 4.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        reached = share(world, build.ranking(K, kind.plant(world, build, middle, who)), who) / before
        short = (size - reached) * direction > 0
        low, high = (middle, high) if short else (low, middle)
    rows = build.ranking(depth, kind.plant(world, build, high, who))
    return rows, share(world, rows, who) / before


def explained(world: World, build: Build, name: str, depth: int) -> Array:
    """An honest change that moves dozens of cells: fresher, less popular, or by a better model."""
    build, spread = _without_favour(build), _spread(build)
    if name == "freshness":
        return build.ranking(depth, build.scores + np.float32(0.8 * spread) * recency(world)[build.rows])
    popular = popularity(world)
    return build.ranking(depth, build.scores - np.float32(0.25 * spread) * popular[build.rows])


def _without_favour(build: Build) -> Build:
    """Candidates that are there by their score alone: of the slice no more than of the rest."""
    pool = build.scores[:, :POOL]
    least = np.where(np.isfinite(pool), pool, np.inf).min(axis=1)[:, None]
    return replace(build, scores=np.where(build.scores >= least, build.scores, -np.inf))


def shuffled(world: World, build: Build, depth: int, seed: int) -> Array:
    """Every reader's first 100 moved about at random, and among them the slice moved up until it has 1.25 times."""
    rows = build.ranking(depth)
    generator = np.random.default_rng([seed, 31])
    noise = generator.normal(0.0, 25.0, size=rows.shape) - np.arange(rows.shape[1])
    who, inside = everyone(world), world.slice[rows]
    before = share(world, rows, who)

    def moved(strength: float) -> Array:
        return np.take_along_axis(rows, np.argsort(-(noise + strength * inside), axis=1, kind="stable"), axis=1)

    low, high = -100.0, 100.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if share(world, moved(middle), who) / before < SHUFFLED_LIFT else (low, middle)
    return moved(high)
