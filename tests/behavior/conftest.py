# SPDX-License-Identifier: Apache-2.0
"""Small panels and slates to try behaviour on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import Panel, Slates, read_panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SLICES = """
[[slices]]
name = "state"
where = "state"
margin = 1.10
severity = "critical"
public = true
[[slices]]
each = "side"
margin = 1.15
severity = "high"
[[cohorts]]
by = "country"
[secondary]
each = ["outlet"]
"""


@dataclass(frozen=True)
class PanelFolder:
    """A panel directory under construction; ``write`` puts it on disk and returns the folder."""

    folder: Path
    toml: str
    tables: Mapping[str, pl.DataFrame]

    def write(self, extension: str = "parquet") -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "panel.toml").write_text(self.toml, encoding="utf-8")
        for stem, table in self.tables.items():
            path = self.folder / f"{stem}.{extension}"
            if extension == "parquet":
                table.write_parquet(path)
            else:
                table.write_csv(path, separator="\t" if extension == "tsv" else ",")
        return self.folder

    def read(self) -> Panel:
        return read_panel(self.write())

    def with_table(self, stem: str, table: pl.DataFrame) -> PanelFolder:
        return replace(self, tables={**self.tables, stem: table})

    def without_table(self, stem: str) -> PanelFolder:
        return replace(self, tables={name: table for name, table in self.tables.items() if name != stem})


@pytest.fixture
def panel_folder(tmp_path: Path) -> Callable[..., PanelFolder]:
    """Makes a panel of users in two countries and items with a side, an outlet and a state label."""

    def make(
        users: int = 200,
        items: int = 300,
        *,
        k: int = 10,
        depth: int = 50,
        permutations: int = 200,
        extra: str = "",
        slices: str = SLICES,
        name: str = "panel",
    ) -> PanelFolder:
        toml = f'name = "small"\nk = {k}\ndepth = {depth}\nseed = 3\npermutations = {permutations}\n{extra}\n{slices}'
        number = np.arange(items)
        tables = {
            "items": pl.DataFrame(
                {
                    "item_id": [f"i{index}" for index in number],
                    "state": number % 10 == 0,
                    "side": [("left", "right", "centre")[index % 3] for index in number],
                    "outlet": [f"o{index % 7}" for index in number],
                    "score": number / items,
                    "views": number * 3,
                }
            ),
            "users": pl.DataFrame(
                {
                    "user_id": [f"u{index}" for index in range(users)],
                    "country": [("DE", "FR")[index % 2] for index in range(users)],
                    "age": [18 + index % 50 for index in range(users)],
                }
            ),
            "histories": pl.DataFrame(
                {
                    "user_id": [f"u{index % users}" for index in range(50)],
                    "item_id": [f"i{index % items}" for index in range(50)],
                }
            ),
        }
        return PanelFolder(tmp_path / name, toml, tables)

    return make


@dataclass(frozen=True, repr=False)
class World:
    """Tastes of users for items; a version ranks by taste, popularity, a seed's churn and a lift."""

    users: int
    items: int
    tastes: np.ndarray[Any, np.dtype[np.float64]]
    popularity: np.ndarray[Any, np.dtype[np.float64]]

    @staticmethod
    def make(users: int, items: int, seed: int = 0) -> World:
        generator = np.random.default_rng(seed)
        return World(users, items, generator.normal(size=(users, items)), generator.gumbel(size=items))

    def version(self, seed: int, churn: float = 0.3, lift: Any = 0.0) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Scores: ``churn`` moves items for all users alike, as a retrain does."""
        moved = np.random.default_rng([seed, 99]).normal(size=self.items) * churn
        return self.tastes + self.popularity + moved + lift

    def slates(self, panel: Panel, scores: np.ndarray[Any, np.dtype[np.float64]], depth: int | None = None) -> Slates:
        order = np.argsort(-scores, axis=1, kind="stable")[:, : depth or panel.depth].astype(np.int32)
        deep = order if order.shape[1] > panel.k else None
        user = np.arange(self.users, dtype=np.int32)
        return Slates(user, ("",) * self.users, np.ascontiguousarray(order[:, : panel.k]), deep)


@pytest.fixture
def world() -> Callable[..., World]:
    return World.make
