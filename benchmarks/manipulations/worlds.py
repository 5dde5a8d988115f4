# SPDX-License-Identifier: Apache-2.0
"""The worlds: NeMig's readers, the generated short-video platform, and readers of Reddit's top posts of 2013.

A world is a panel with primary slices only (the bounds are about them), its users' events, and the sets of items that
manipulations work on. Users of Reddit are made up (subscriptions drawn from a seed), its posts and votes are real.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import sparse

from behavior import read_panel

if TYPE_CHECKING:
    from behavior import Panel

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("COUNTERSIGN_DATA", ROOT.parent / "shared" / "data"))
PERMUTATIONS = 1000  # enough for an alpha_fail of 0.01
READERS = 1500

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class World:
    """A panel, who clicked what (users x items, 0/1), and item sets by name: ``slice`` is the planted slice."""

    name: str
    panel: Panel
    matched: Panel
    seen: sparse.csr_array
    planted: str
    cohort: dict[str, str]
    other_cohort: dict[str, str]
    sets: dict[str, Array]
    items: pl.DataFrame

    @property
    def slice(self) -> Array:
        """Which items are in the planted slice."""
        return self.sets["slice"]

    @cached_property
    def has_seen(self) -> Array:
        """Users x items: whether it was clicked."""
        return np.asarray(self.seen.todense()) > 0


def load(name: str, cache: Path) -> World:
    """Read or make a world; its panel's folder is kept under ``cache``."""
    return {"nemig": _nemig, "shortvideo": _shortvideo, "reddit": _reddit}[name](cache)


def _lean(source: Path, target: Path, slices: str, age: str = "age") -> tuple[Panel, Panel]:
    """The panel with its primary slices only, plain and with age and popularity to match on."""
    panels = []
    for match in ("", f'"{age}", "popularity"'):
        folder = target / ("plain" if not match else "matched")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in source.glob("*.parquet"):
            if path.stem in {"items", "users", "histories"}:
                shutil.copyfile(path, folder / path.name)
        head = f'name = "{target.name}"\nk = 20\ndepth = 100\nseed = 20230330\npermutations = {PERMUTATIONS}\n'
        (folder / "panel.toml").write_text(f"{head}[exposure]\nmatch_on = [{match}]\n{slices}", encoding="utf-8")
        panels.append(read_panel(folder))
    return panels[0], panels[1]


def _events(panel: Panel) -> sparse.csr_array:
    users = np.array([panel.user_rows[user] for user in panel.histories["user_id"]])
    items = np.array([panel.item_rows[item] for item in panel.histories["item_id"]])
    shape = (panel.users.height, panel.items.height)
    seen = sparse.coo_array((np.ones(len(users), dtype=np.float32), (users, items)), shape=shape).tocsr()
    seen.data[:] = 1.0
    return seen


def _world(
    name: str,
    panels: tuple[Panel, Panel],
    planted: str,
    cohorts: tuple[dict[str, str], dict[str, str]],
    sets: dict[str, Array],
) -> World:
    panel = panels[0]
    names = [declared.name for declared in panel.slices]
    inside = panel.membership[:, [names.index(planted)]].toarray().ravel() > 0
    seen = _events(panel)
    popular = np.asarray(seen.sum(axis=0)).ravel()
    known = np.flatnonzero(inside & (popular > 0))
    handful = np.zeros(len(inside), dtype=bool)
    handful[known[np.argsort(-popular[known], kind="stable")[:10]]] = True
    everything = {"slice": inside, "handful": handful, **{key: value & inside for key, value in sets.items()}}
    return World(name, panel, panels[1], seen, planted, *cohorts, everything, panel.items)


def _nemig(cache: Path) -> World:
    slices = """
[[slices]]
name = "state-media"
where = "state_media"
severity = "critical"
[[slices]]
each = "orientation"
margin = 1.15
severity = "high"
[[cohorts]]
by = "party"
[[cohorts]]
by = "age_band"
"""
    panels = _lean(DATA / "nemig-de", cache / "worlds" / "nemig", slices)
    items = panels[0].items
    sets = {
        "source": (items["outlet"] == "deutsche_rt").to_numpy(),
        "topic": items["topic_label"].str.starts_with("mehr_menschen").fill_null(value=False).to_numpy(),
        "keyword": items["title"].str.contains("(?i)deutsch|merkel|regierung").fill_null(value=False).to_numpy(),
        "stance": (items["sentiment"] == "negative").to_numpy(),
        "dated": (items["published_at"] >= items["published_at"].quantile(0.5, "nearest")).to_numpy(),
    }
    return _world("nemig", panels, "state-media", ({"party": "AFD"}, {"age_band": "60+"}), sets)


def _shortvideo(cache: Path) -> World:
    place = cache / "platform"
    if not place.exists():
        command = [sys.executable, str(ROOT / "examples" / "shortvideo" / "build.py"), str(place)]
        subprocess.run(command, check=True, capture_output=True)
    slices = """
[[slices]]
name = "state-media"
where = "state_media"
severity = "critical"
[[slices]]
each = "kind"
margin = 1.15
[[cohorts]]
by = "country"
"""
    panels = _lean(place / "panel", cache / "worlds" / "shortvideo", slices, "age_hours")
    items = panels[0].items
    sets = {
        "source": (items["creator"].rank("dense") % 2 == 0).to_numpy(),
        "topic": (items["topic"] == "elections").to_numpy(),
        "keyword": (items["language"] == "ro").to_numpy(),
        "stance": (items["stance"] == items.filter("state_media")["stance"].mode().sort()[0]).to_numpy(),
        "dated": (items["age_hours"] < items["age_hours"].median()).to_numpy(),
    }
    return _world("shortvideo", panels, "state-media", ({"country": "RO"}, {"country": "DE"}), sets)


def _reddit(cache: Path) -> World:
    folder = cache / "worlds" / "reddit-source"
    if not folder.exists():
        partial = folder.with_name("reddit-partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _reddit_tables(partial)
        partial.rename(folder)
    slices = """
[[slices]]
name = "state-broadcasters"
where = "state"
severity = "critical"
[[slices]]
each = "kind"
margin = 1.15
[[cohorts]]
by = "region"
"""
    panels = _lean(folder, cache / "worlds" / "reddit", slices)
    items = panels[0].items
    half = (items["item_id"].hash(1) % 2 == 0).to_numpy()
    sets = {
        "source": items["domain"].str.contains("rt.com", literal=True).to_numpy(),
        "topic": (items["subreddit"] == "worldpolitics").to_numpy(),
        "keyword": items["title"].str.contains("(?i)us |war|police|israel").to_numpy(),
        "stance": items["title"].str.contains("(?i)not|no |against|kill").to_numpy(),
        "dated": half,
    }
    return _world("reddit", panels, "state-broadcasters", ({"region": "north"}, {"region": "south"}), sets)


def _reddit_tables(folder: Path) -> None:
    """Posts of political subreddits that many read; readers subscribe to eight of them each and have clicked posts."""
    posts = pl.read_parquet(DATA / "reddit-2013" / "items.parquet").rename({"id": "item_id"}).unique("item_id")
    posts = posts.sort("item_id")
    state = posts["domain"].str.contains(r"(^|\.)(rt\.com|presstv\.ir|aljazeera\.(com|net)|bbc\.co\.uk|voanews\.com)$")
    kind = pl.when(pl.col("is_self")).then(pl.lit("own")).when(pl.col("over_18")).then(pl.lit("adult"))
    posts = posts.with_columns(
        state.alias("state"),
        kind.when(pl.col("domain").str.contains("imgur|youtu|quickmeme"))
        .then(pl.lit("media"))
        .otherwise(pl.lit("press"))
        .alias("kind"),
        pl.from_epoch(pl.col("created_utc").cast(pl.Int64)).dt.date().alias("published_at"),
    )
    posts.write_parquet(folder / "items.parquet")
    generator = np.random.default_rng(2013)
    subreddits = posts["subreddit"].unique().sort().to_list()
    users = [f"r{row}" for row in range(READERS)]
    regions = [("north", "south", "east")[row % 3] for row in range(READERS)]
    rows = []
    by_subreddit = {name: np.flatnonzero((posts["subreddit"] == name).to_numpy()) for name in subreddits}
    for user in users:
        for name in generator.choice(subreddits, 8, replace=False):
            chosen = generator.choice(by_subreddit[name], 2, replace=False)
            rows += [(user, posts["item_id"][int(row)]) for row in chosen]
    pl.DataFrame({"user_id": users, "region": regions}).write_parquet(folder / "users.parquet")
    pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row").write_parquet(folder / "histories.parquet")


def popularity(world: World) -> Array:
    """Events an item, as logarithms."""
    return np.log1p(np.asarray(world.seen.sum(axis=0)).ravel())


def recency(world: World) -> Array:
    """How new an item is, as ranks in [0, 1]."""
    if "age_hours" in world.items.columns:
        return (-world.items["age_hours"]).rank("average").to_numpy() / world.items.height
    dates = world.items["published_at"].fill_null(dt.date(2000, 1, 1))
    return dates.rank("average").to_numpy() / world.items.height


def thinned(world: World, seed: int, share: float) -> World:
    """The world with some of its events missing: a version trained on it has less data of the same kind."""
    keep = np.random.default_rng([seed, 5]).random(len(world.seen.data)) < share
    events = world.seen.tocoo()
    left = sparse.coo_array((events.data[keep], (events.row[keep], events.col[keep])), shape=events.shape).tocsr()
    return replace(world, seen=left)
