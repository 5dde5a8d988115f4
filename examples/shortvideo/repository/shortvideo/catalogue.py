# SPDX-License-Identifier: Apache-2.0
"""The catalogue: clips and their creators, as the nightly export writes them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Catalogue:
    """Clips in the order of the export; every array has one entry a clip, unless it says otherwise."""

    clip_ids: tuple[str, ...]
    position: dict[str, int]  # clip id -> position in the arrays
    creator_ids: tuple[str, ...]  # one a creator
    creator: np.ndarray  # position in creator_ids
    source: np.ndarray  # what the creator registered as: personal, studio, press, institution, agency
    country: np.ndarray  # the creator's, ISO 3166 code
    language: np.ndarray  # ISO 639 code
    published: np.ndarray  # hour of publication, hours since 1970
    completion: np.ndarray  # share of starts that were watched to the end, 0..1

    @property
    def newest(self) -> int:
        """The hour in which the newest clip came out."""
        return int(self.published.max())


def read_catalogue(clips: Path, creators: Path) -> Catalogue:
    """The catalogue in two CSV files; KeyError if a clip names a creator who is not in the second."""
    with creators.open(newline="", encoding="utf-8") as file:
        people = list(csv.DictReader(file))
    with clips.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    creator_ids = tuple(person["creator_id"] for person in people)
    place = {creator: index for index, creator in enumerate(creator_ids)}
    creator = np.array([place[row["creator_id"]] for row in rows], dtype=np.int32)
    clip_ids = tuple(row["clip_id"] for row in rows)
    return Catalogue(
        clip_ids=clip_ids,
        position={clip: index for index, clip in enumerate(clip_ids)},
        creator_ids=creator_ids,
        creator=creator,
        source=np.array([person["source"] for person in people])[creator],
        country=np.array([person["country"] for person in people])[creator],
        language=np.array([row["language"] for row in rows]),
        published=np.array([int(row["published_hour"]) for row in rows], dtype=np.int64),
        completion=np.array([float(row["completion"]) for row in rows]),
    )
