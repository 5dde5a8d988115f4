# SPDX-License-Identifier: Apache-2.0
"""Creators and their clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generator.names import handles
from generator.world import (
    COUNTRIES,
    FOREIGN_STATES,
    KIND_NAMES,
    KINDS,
    LANGUAGE_SHARE,
    LANGUAGES,
    NARRATIVES,
    NOW,
    OLDEST,
    TOPICS,
    pick,
    stream,
)

FAITHFUL = 0.7  # share of free choices of topic that are the creator's usual one
IN_ENGLISH = 0.06  # share of clips in English whatever their creator speaks


class Creators(NamedTuple):
    """One entry a creator."""

    ids: np.ndarray
    handle: np.ndarray
    kind: np.ndarray  # position in KINDS
    source: np.ndarray  # what the platform knows instead of the kind
    country: np.ndarray
    language: np.ndarray  # position in LANGUAGES
    stance: np.ndarray  # -1 left, 0 none, 1 right; of partisan creators


class Clips(NamedTuple):
    """One entry a clip."""

    ids: np.ndarray
    creator: np.ndarray  # position in Creators
    language: np.ndarray  # position in LANGUAGES
    topic: np.ndarray  # position in TOPICS
    narrative: np.ndarray  # position in NARRATIVES, -1 for none
    published: np.ndarray  # hours since 1970
    seconds: np.ndarray
    completion: np.ndarray  # share of starts watched to the end
    appeal: np.ndarray  # how readily it is watched; nobody but the generator knows it


def _identifiers(prefix: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Unlike numbers of seven digits, so that an id says nothing about what it names."""
    return np.array([f"{prefix}{number}" for number in rng.choice(9_000_000, size, replace=False) + 1_000_000])


def make_creators(seed: int) -> Creators:
    """The creators, shuffled: their order and ids say nothing about their kind."""
    rng = stream(seed, "creators")
    kind = rng.permutation(np.repeat(np.arange(len(KINDS)), [each.creators for each in KINDS]))
    language = pick(rng, LANGUAGE_SHARE, kind.size)
    country = np.array(COUNTRIES)[language]
    source = np.empty(kind.size, dtype="U12")
    for number, each in enumerate(KINDS):
        mine = np.flatnonzero(kind == number)
        source[mine] = np.array(list(each.sources))[pick(rng, list(each.sources.values()), mine.size)]
    state = np.flatnonzero(kind == KIND_NAMES.index("state"))
    # Outlets of both states in every language: none is left out by chance.
    language[state] = np.arange(state.size) % len(LANGUAGES)
    country[state] = np.array(FOREIGN_STATES)[np.arange(state.size) // len(LANGUAGES) % len(FOREIGN_STATES)]
    stance = np.where(kind == KIND_NAMES.index("partisan"), rng.choice([-1, 1], kind.size), 0)
    return Creators(
        ids=_identifiers("c", rng, kind.size),
        handle=handles(rng, [KIND_NAMES[each] for each in kind]),
        kind=kind, source=source, country=country, language=language, stance=stance,
    )  # fmt: skip


def _shares(over: tuple[str, ...], table: dict[str, float]) -> np.ndarray:
    """A kind's shares over all topics or narratives."""
    return np.array([table.get(name, 0.0) for name in over])


def make_clips(seed: int, creators: Creators) -> Clips:
    """The catalogue. Ages of clips do not depend on the kind of creator: freshness by itself favours nobody."""
    rng = stream(seed, "clips")
    activity = rng.lognormal(0.0, 0.6, creators.kind.size)
    activity[creators.kind == KIND_NAMES.index("state")] = 1.0  # newsrooms on a schedule
    topic_of_creator = rng.integers(0, len(TOPICS), creators.kind.size)
    owner, topic, narrative = [], [], []
    for number, kind in enumerate(KINDS):
        mine = np.flatnonzero(creators.kind == number)
        who = np.concatenate([mine, mine[pick(rng, list(activity[mine]), kind.clips - mine.size)]])
        shares = _shares(TOPICS, kind.topics)
        named = np.append(shares, max(0.0, 1.0 - shares.sum()))
        drawn = pick(rng, list(named), who.size)
        own = np.where(rng.random(who.size) < FAITHFUL, topic_of_creator[who], rng.integers(0, len(TOPICS), who.size))
        told = _shares(NARRATIVES, kind.narratives)
        story = pick(rng, list(np.append(told, 1.0 - told.sum())), who.size)
        owner.append(who)
        topic.append(np.where(drawn == len(TOPICS), own, drawn))
        narrative.append(np.where(story == len(NARRATIVES), -1, story))
    order = rng.permutation(sum(each.size for each in owner))
    creator = np.concatenate(owner)[order]
    size = creator.size
    in_english = rng.random(size) < IN_ENGLISH
    hours = np.minimum(rng.exponential(24 * 9, size), OLDEST - 1) + rng.random(size)
    appeal = rng.lognormal(0.0, 0.5, size) * np.array([kind.appeal for kind in KINDS])[creators.kind[creator]]
    return Clips(
        ids=_identifiers("v", rng, size),
        creator=creator,
        language=np.where(in_english, LANGUAGES.index("en"), creators.language[creator]),
        topic=np.concatenate(topic)[order],
        narrative=np.concatenate(narrative)[order],
        published=NOW - 1 - hours.astype(np.int64),
        seconds=np.clip(rng.lognormal(3.4, 0.5, size), 6, 180).astype(np.int64),
        completion=np.round(np.clip(rng.beta(5, 5, size) + 0.05 * np.log(appeal), 0.02, 0.98), 3),
        appeal=appeal,
    )
