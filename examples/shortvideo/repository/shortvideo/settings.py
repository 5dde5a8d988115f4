# SPDX-License-Identifier: Apache-2.0
"""What `config/*.toml` says, with types."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from shortvideo import als

CONFIG = Path(__file__).resolve().parents[1] / "config"


class Weights(NamedTuple):
    """What each signal counts for in the score of a clip."""

    affinity: float
    freshness: float
    completion: float
    popularity: float
    language: float
    country: float


class Ranking(NamedTuple):
    """Everything about retrieval and ranking that is a number."""

    weights: Weights
    candidates: int  # clips that retrieval hands to the re-ranker
    half_life_hours: float  # of freshness
    same_creator: float  # taken off for every better clip by the same creator


def read_ranking(path: Path = CONFIG / "ranking.toml") -> Ranking:
    """The ranking settings; KeyError or TypeError if one is missing or unknown."""
    with path.open("rb") as file:
        table = tomllib.load(file)
    return Ranking(
        weights=Weights(**table["weights"]),
        candidates=table["retrieval"]["candidates"],
        half_life_hours=table["freshness"]["half_life_hours"],
        same_creator=table["spread"]["same_creator"],
    )


def read_training(path: Path = CONFIG / "training.toml") -> als.Settings:
    """The training settings; KeyError or TypeError if one is missing or unknown."""
    with path.open("rb") as file:
        return als.Settings(**tomllib.load(file)["als"])
