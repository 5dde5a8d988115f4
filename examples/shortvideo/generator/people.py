# SPDX-License-Identifier: Apache-2.0
"""People and what they watch: the platform's own viewers and, from another stream, the panel's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from generator.world import COUNTRY_SHARE, KIND_NAMES, LANGUAGES, NEW, NOW, TOPICS, pick, stream

if TYPE_CHECKING:
    from generator.clips import Clips, Creators

DEVICES = ("android", "ios", "web")
EVENTS = ("view", "like", "share")
WEIGHTS = (1.0, 2.0, 3.0)
FOLLOWED = 6  # creators that someone comes back to
FROM_FOLLOWED = 0.35  # share of views that are theirs
IN_ENGLISH = 0.08  # share of people whose app speaks English wherever they are
YOUNG = 0.40  # share of accounts that are new
STANCES = 3


class People(NamedTuple):
    """One entry a person; tastes are the generator's alone, no recommender sees them."""

    ids: np.ndarray
    country: np.ndarray  # position in COUNTRIES
    language: np.ndarray  # of the app, position in LANGUAGES
    account_age_days: np.ndarray
    device: np.ndarray
    leaning: np.ndarray  # -1 left .. 1 right
    taste: np.ndarray  # (people, topics), rows add up to one
    openness: np.ndarray  # to conspiracy clips, 0..1
    distrust: np.ndarray  # of the country's own press, 0..1


class Watched(NamedTuple):
    """One entry an event, in the order in which each person watched; nobody watches a clip twice."""

    person: np.ndarray
    clip: np.ndarray
    hour: np.ndarray
    event: np.ndarray  # position in EVENTS


def make_people(seed: int, group: str, size: int) -> People:
    """`size` people of a group; groups share no stream, so the panel's never meet the platform's."""
    rng = stream(seed, "people", group)
    country = pick(rng, COUNTRY_SHARE, size)
    language = np.where(rng.random(size) < IN_ENGLISH, LANGUAGES.index("en"), country)
    young = rng.random(size) < YOUNG
    older = NEW + rng.gamma(1.6, 300.0, size).astype(np.int64)
    taste = rng.gamma(0.35, 1.0, (size, len(TOPICS))) + 1e-4
    return People(
        ids=np.array([f"{group[0]}{number}" for number in rng.choice(900_000, size, replace=False) + 100_000]),
        country=country,
        language=language,
        account_age_days=np.where(young, rng.integers(0, NEW, size), np.minimum(older, 2500)),
        device=np.array(DEVICES)[pick(rng, (0.62, 0.3, 0.08), size)],
        leaning=np.round(np.clip(rng.normal(0.0, 0.5, size), -1, 1), 3),
        taste=taste / taste.sum(axis=1, keepdims=True),
        openness=rng.beta(0.7, 4.0, size),
        distrust=rng.beta(1.2, 3.0, size),
    )


def _preference(people: People) -> np.ndarray:
    """How much each person likes each kind and stance, shape (people, kinds, stances)."""
    liking = np.ones((people.country.size, len(KIND_NAMES), STANCES))
    pull = np.exp(-((people.leaning[:, None] - np.array([-0.8, 0.0, 0.8])) ** 2) / 0.18)
    liking[:, KIND_NAMES.index("news")] *= (1.6 - people.distrust)[:, None]
    liking[:, KIND_NAMES.index("partisan")] *= 4.0 * pull
    liking[:, KIND_NAMES.index("conspiracy")] *= (30.0 * people.openness**2)[:, None]
    liking[:, KIND_NAMES.index("state")] *= (0.3 + 9.0 * people.distrust**2)[:, None]
    return liking


def _language_liking(people: People) -> np.ndarray:
    """How much each person watches each language, shape (people, languages)."""
    liking = np.full((people.country.size, len(LANGUAGES)), 0.004)
    rows = np.arange(people.country.size)
    liking[:, LANGUAGES.index("en")] = 0.06
    liking[rows, people.country] = 1.0  # languages stand in the order of countries
    liking[rows, people.language] = 1.0
    return liking


class _Cells(NamedTuple):
    """Clips grouped by language, topic, kind and stance."""

    order: np.ndarray  # clips, cell by cell
    running: np.ndarray  # running sum of appeal over `order`
    start: np.ndarray  # first place of each cell in `order`; one more entry than cells
    mass: np.ndarray  # (languages, topics, kinds, stances): appeal of a cell


def _cells(creators: Creators, clips: Clips) -> _Cells:
    shape = (len(LANGUAGES), len(TOPICS), len(KIND_NAMES), STANCES)
    where = (clips.language, clips.topic, creators.kind[clips.creator], creators.stance[clips.creator] + 1)
    cell = np.ravel_multi_index(where, shape)
    order = np.argsort(cell, kind="stable")
    count = np.bincount(cell, minlength=int(np.prod(shape)))
    mass = np.bincount(cell, weights=clips.appeal, minlength=count.size)
    return _Cells(
        order,
        np.concatenate([[0.0], np.cumsum(clips.appeal[order])]),
        np.concatenate([[0], np.cumsum(count)]),
        mass.reshape(shape),
    )


def _draw(rng: np.random.Generator, cells: _Cells, people: People, person: np.ndarray) -> np.ndarray:
    """One clip for each entry of `person`, by taste."""
    # Shape (people, languages, topics, kinds, stances).
    joint = _language_liking(people)[:, :, None, None, None] * people.taste[:, None, :, None, None]
    joint = (joint * _preference(people)[:, None, None] * cells.mass).reshape(people.country.size, -1)
    running = np.cumsum(joint, axis=1)
    cell = np.empty(person.size, dtype=np.int64)
    level = rng.random(person.size) * running[person, -1]
    first = np.searchsorted(person, np.arange(people.country.size + 1))
    for one in range(people.country.size):
        mine = slice(first[one], first[one + 1])
        cell[mine] = np.searchsorted(running[one], level[mine], side="right")
    low, high = cells.running[cells.start[cell]], cells.running[cells.start[cell + 1]]
    place = np.searchsorted(cells.running, low + rng.random(person.size) * (high - low), side="right") - 1
    return cells.order[np.clip(place, cells.start[cell], cells.start[cell + 1] - 1)]


def watch(seed: int, group: str, people: People, creators: Creators, clips: Clips) -> Watched:
    """What everyone watched in the weeks before NOW."""
    rng = stream(seed, "watched", group)
    cells = _cells(creators, clips)
    mean = np.where(people.account_age_days < NEW, 40.0, 90.0)
    length = np.clip(rng.gamma(4.0, mean / 4.0), 8, 240).astype(np.int64)
    person = np.repeat(np.arange(length.size), length)
    clip = _draw(rng, cells, people, person)

    favourites = clips.creator[_draw(rng, cells, people, np.repeat(np.arange(length.size), FOLLOWED))].reshape(
        -1, FOLLOWED
    )
    returns = np.flatnonzero(rng.random(person.size) < FROM_FOLLOWED)
    creator = favourites[person[returns], rng.integers(0, FOLLOWED, returns.size)]
    by_creator = np.argsort(clips.creator, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(clips.appeal[by_creator])])
    edge = np.searchsorted(clips.creator[by_creator], np.arange(creators.kind.size + 1))
    low, high = running[edge[creator]], running[edge[creator + 1]]
    place = np.searchsorted(running, low + rng.random(returns.size) * (high - low), side="right") - 1
    clip[returns] = by_creator[np.clip(place, edge[creator], edge[creator + 1] - 1)]

    _, once = np.unique(person * clips.ids.size + clip, return_index=True)
    person, clip = person[once], clip[once]
    published = clips.published[clip]
    hour = published + (rng.random(clip.size) * (NOW - published)).astype(np.int64)
    event = pick(rng, (0.76, 0.18, 0.06), clip.size)
    order = np.lexsort((clip, hour, person))
    return Watched(person[order], clip[order], hour[order], event[order])
