# SPDX-License-Identifier: Apache-2.0
"""Segments: which viewers get something on top of the common weights. The table is `config/segments.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from shortvideo.catalogue import Catalogue

TABLE = Path(__file__).resolve().parents[1] / "config" / "segments.toml"


class Segment(NamedTuple):
    """One row of the table; a condition that is left out always holds."""

    name: str
    countries: frozenset[str] | None
    younger_than_days: int | None
    add: tuple[tuple[str, float], ...]  # signal and weight

    def holds(self, country: str, account_age_days: int) -> bool:
        """Whether a viewer belongs to the segment."""
        return (self.countries is None or country in self.countries) and (
            self.younger_than_days is None or account_age_days < self.younger_than_days
        )


def read_segments(path: Path = TABLE) -> tuple[Segment, ...]:
    """The rows of the table, in its order."""
    with path.open("rb") as file:
        rows = tomllib.load(file)["segment"]
    return tuple(
        Segment(
            name=row["name"],
            countries=frozenset(row["countries"]) if "countries" in row else None,
            younger_than_days=row.get("younger_than_days"),
            add=tuple(row["add"].items()),
        )
        for row in rows
    )


def signals(catalogue: Catalogue, popularity: np.ndarray) -> dict[str, np.ndarray]:
    """What a segment can add, by name: popularity, completion, or 1 for clips from one kind of source."""
    table = {"popularity": popularity, "completion": catalogue.completion}
    for source in np.unique(catalogue.source).tolist():
        table[source] = (catalogue.source == source).astype(np.float64)
    return table
