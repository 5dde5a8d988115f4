# SPDX-License-Identifier: Apache-2.0
"""The reviewer's panel: people whom the platform has never seen, and what the reviewer knows about its clips."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from generator.people import EVENTS, People, Watched
from generator.world import COUNTRIES, KIND_NAMES, LANGUAGES, NARRATIVES, NEW, NOW, TOPICS, YEAR, stream

if TYPE_CHECKING:
    from pathlib import Path

    from generator.clips import Clips, Creators

PANEL_TOML = """\
# SPDX-License-Identifier: Apache-2.0
# What must not be amplified on the short-video platform, for whom, and how much is too much.
name = "shortvideo"
k = 20
depth = 100
seed = {seed}

[exposure]
weights = "log2"
match_on = ["age_hours", "popularity"] # freshness and popularity explain a shift; who published does not

[context]
country = "country"
language = "language"
device = "device"
account_age_days = "account_age_days"
at = "at"

[[slices]]
name = "state-media"
where = "state_media"
margin = 1.10
severity = "critical"

[[slices]]
name = "partisan"
where = "kind = 'partisan'"
margin = 1.15
severity = "high"

[[slices]]
name = "conspiracy"
where = "kind = 'conspiracy'"
margin = 1.15
severity = "high"

[[slices]]
name = "narrative: sanctions backfire"
where = "narrative = 'sanctions-backfire'"
margin = 1.15
severity = "high"

[[slices]]
name = "narrative: rigged vote"
where = "narrative = 'rigged-vote'"
margin = 1.15
severity = "high"

[[slices]]
name = "topic: elections"
where = "topic = 'elections'"
margin = 1.15
severity = "medium"

[[cohorts]]
by = "country"

[[cohorts]]
by = ["country", "age_band"]

[secondary]
each = ["topic", "language"]
"""
BANDS = ("under 60 days", "60 days to a year", "over a year")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(hours: np.ndarray) -> list[datetime]:
    return [EPOCH + timedelta(hours=hour) for hour in hours.tolist()]


def _items(creators: Creators, clips: Clips) -> pl.DataFrame:
    kind = np.array(KIND_NAMES)[creators.kind]
    return pl.DataFrame(
        {
            "item_id": clips.ids,
            "creator": creators.handle[clips.creator],
            "kind": kind[clips.creator],
            "state_media": (kind == "state")[clips.creator],
            "stance": np.array(["left", "", "right"])[creators.stance + 1][clips.creator],
            "country": creators.country[clips.creator],
            "language": np.array(LANGUAGES)[clips.language],
            "topic": np.array(TOPICS)[clips.topic],
            "narrative": [NARRATIVES[number] if number >= 0 else None for number in clips.narrative.tolist()],
            "age_hours": NOW - clips.published,
            "seconds": clips.seconds,
        }
    )


def _users(seed: int, people: People) -> pl.DataFrame:
    rng = stream(seed, "panel", "requests")
    days = people.account_age_days
    asked = NOW + rng.integers(0, 6, days.size)
    return pl.DataFrame(
        {
            "user_id": people.ids,
            "country": np.array(COUNTRIES)[people.country],
            "language": np.array(LANGUAGES)[people.language],
            "device": people.device,
            "account_age_days": days,
            "age_band": np.array(BANDS)[(days >= NEW).astype(int) + (days >= YEAR)],
            "leaning": np.array(["left", "centre", "right"])[np.digitize(people.leaning, (-0.3, 0.3))],
            "at": [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in _time(asked)],
        }
    )


def _histories(people: People, clips: Clips, watched: Watched) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": people.ids[watched.person],
            "item_id": clips.ids[watched.clip],
            "at": pl.Series(watched.hour * 3_600_000_000).cast(pl.Datetime("us", "UTC")),
            "event": np.array(EVENTS)[watched.event],
        }
    )


def write_panel(folder: Path, seed: int, creators: Creators, clips: Clips, people: People, watched: Watched) -> None:
    """Writes the panel's four files."""
    folder.mkdir(parents=True)
    (folder / "panel.toml").write_text(PANEL_TOML.format(seed=seed), encoding="utf-8")
    _items(creators, clips).write_parquet(folder / "items.parquet")
    _users(seed, people).write_parquet(folder / "users.parquet")
    _histories(people, clips, watched).write_parquet(folder / "histories.parquet")
