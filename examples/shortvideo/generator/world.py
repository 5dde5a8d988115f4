# SPDX-License-Identifier: Apache-2.0
"""The made-up world: countries, languages, topics, narratives, and what kinds of creators there are.

The countries of viewers are real codes, so that the pages read naturally. The states whose outlets publish here are
not: they have user-assigned codes of ISO 3166 (XA, XB). Every creator is invented.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NOW = 494_112  # hours since 1970: 2026-05-15, midnight UTC; the hour of the catalogue's export
OLDEST = 24 * 28  # hours: how far back the catalogue goes
NEW = 60  # days: people with younger accounts have shorter histories
YEAR = 365

COUNTRIES = ("DE", "FR", "PL", "RO", "GB", "ES")
COUNTRY_SHARE = (0.20, 0.18, 0.16, 0.20, 0.14, 0.12)
LANGUAGES = ("de", "fr", "pl", "ro", "en", "es")
HOME_LANGUAGE = dict(zip(COUNTRIES, LANGUAGES, strict=True))
LANGUAGE_SHARE = (0.17, 0.15, 0.14, 0.16, 0.23, 0.15)  # of creators
FOREIGN_STATES = ("XA", "XB")

TOPICS = (
    "music", "dance", "comedy", "football", "food", "travel", "gaming", "beauty",
    "science", "health", "politics", "elections", "world", "economy",
)  # fmt: skip
CIVIC = ("health", "politics", "elections", "world", "economy")
NARRATIVES = (
    "sanctions-backfire",
    "rigged-vote",
    "west-in-decline",
    "hidden-cure",
    "weather-control",
    "closed-borders",
)


class Kind(NamedTuple):
    """A kind of creator."""

    name: str
    creators: int
    clips: int
    sources: dict[str, float]  # what they register as with the platform, and how often
    topics: dict[str, float]  # share of clips; what is left is spread over all topics
    narratives: dict[str, float]  # share of clips that carry it
    appeal: float  # how much more than usual their clips are watched


KINDS = (
    Kind("personal", 1084, 11_500, {"personal": 0.86, "studio": 0.14}, {}, {}, 1.0),
    Kind("business", 100, 1_400, {"studio": 1.0}, {"food": 0.2, "travel": 0.2, "beauty": 0.3}, {}, 0.8),
    Kind(
        "news", 130, 3_300, {"press": 0.86, "institution": 0.1, "agency": 0.04},
        {"politics": 0.24, "elections": 0.14, "world": 0.22, "economy": 0.15, "football": 0.1, "health": 0.08},
        {"rigged-vote": 0.01, "sanctions-backfire": 0.01, "closed-borders": 0.02}, 1.0,
    ),
    Kind(
        "partisan", 90, 1_700, {"personal": 0.7, "studio": 0.2, "press": 0.1},
        {"politics": 0.45, "elections": 0.25, "economy": 0.12, "world": 0.1},
        {"rigged-vote": 0.12, "closed-borders": 0.28, "west-in-decline": 0.06}, 1.2,
    ),
    Kind(
        "conspiracy", 60, 1_000, {"personal": 0.9, "studio": 0.1},
        {"health": 0.4, "science": 0.15, "politics": 0.2, "elections": 0.1},
        {"hidden-cure": 0.34, "weather-control": 0.22, "rigged-vote": 0.14}, 1.2,
    ),
    Kind(
        "state", 36, 1_100, {"agency": 1.0},
        {"world": 0.38, "politics": 0.22, "economy": 0.18, "elections": 0.12},
        {"sanctions-backfire": 0.26, "west-in-decline": 0.24, "rigged-vote": 0.1}, 1.0,
    ),
)  # fmt: skip
KIND_NAMES = tuple(kind.name for kind in KINDS)


def stream(seed: int, *path: int | str) -> np.random.Generator:
    """A random stream of its own for each part of the world, so that one part never moves another."""
    words = [seed, *(int.from_bytes(str(part).encode(), "little") for part in path)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def pick(rng: np.random.Generator, shares: tuple[float, ...] | list[float], size: int) -> np.ndarray:
    """`size` positions drawn with these shares, which need not add up to one."""
    edges = np.cumsum(shares)
    return np.minimum(np.searchsorted(edges, rng.random(size) * edges[-1], side="right"), len(shares) - 1)
