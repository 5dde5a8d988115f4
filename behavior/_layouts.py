# SPDX-License-Identifier: Apache-2.0
"""The public layouts of data that a panel can be made from, and the files that tell them apart."""

from __future__ import annotations

from typing import Literal

Layout = Literal["ml-100k", "ml-1m", "ml-latest", "mind", "interactions"]

# A folder that holds these files is of this layout.
MARKS: tuple[tuple[Layout, tuple[str, ...]], ...] = (
    ("ml-100k", ("u.data", "u.item", "u.user")),
    ("ml-1m", ("ratings.dat", "movies.dat")),
    ("ml-latest", ("ratings.csv", "movies.csv")),
    ("mind", ("behaviors.tsv", "news.tsv")),
)
LAYOUTS: tuple[Layout, ...] = (*(layout for layout, _ in MARKS), "interactions")
