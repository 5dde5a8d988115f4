# SPDX-License-Identifier: Apache-2.0
"""What the platform has of its own: exports of the catalogue and of views, and the model it trains on them."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from generator.people import WEIGHTS, People, Watched
from generator.world import COUNTRIES, LANGUAGES, TOPICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.clips import Clips, Creators

# One thread and one set of kernels: the order of additions, and with it the trained model, is the same on every run.
ARITHMETIC = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}


class Export(NamedTuple):
    """The catalogue and the views up to an hour, as the platform's jobs write them."""

    clips_csv: bytes
    creators_csv: bytes
    views_npz: bytes


def _csv(columns: Mapping[str, np.ndarray]) -> bytes:
    """A table as CSV: a header, then one line a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


def export(creators: Creators, clips: Clips, people: People, watched: Watched, until: int) -> Export:
    """What was out, and what had been watched, before the hour `until`."""
    out = clips.published < until
    row = np.cumsum(out) - 1
    seen = (watched.hour < until) & out[watched.clip]
    views = io.BytesIO()
    np.savez(
        views,
        viewer=watched.person[seen].astype(np.int32),
        clip=row[watched.clip[seen]].astype(np.int32),
        weight=np.array(WEIGHTS, dtype=np.float32)[watched.event[seen]],
        viewers=people.ids.size,
        clips=int(out.sum()),
    )
    clips_csv = {
        "clip_id": clips.ids[out],
        "creator_id": creators.ids[clips.creator[out]],
        "language": np.array(LANGUAGES)[clips.language[out]],
        "topic": np.array(TOPICS)[clips.topic[out]],
        "published_hour": clips.published[out],
        "seconds": clips.seconds[out],
        "completion": clips.completion[out],
    }
    creators_csv = {
        "creator_id": creators.ids,
        "handle": creators.handle,
        "source": creators.source,
        "country": creators.country,
        "language": np.array(LANGUAGES)[creators.language],
    }
    return Export(_csv(clips_csv), _csv(creators_csv), views.getvalue())


def viewers_csv(people: People) -> bytes:
    """The platform's own viewers, as its warehouse knows them."""
    return _csv(
        {
            "viewer_id": people.ids,
            "country": np.array(COUNTRIES)[people.country],
            "language": np.array(LANGUAGES)[people.language],
            "device": people.device,
            "account_age_days": people.account_age_days,
        }
    )


def train(tree: Mapping[str, bytes], views: bytes) -> bytes:
    """The model that the platform's own code, as it stands in `tree`, trains on an export of views."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for path, content in tree.items():
            if path.startswith(("shortvideo/", "config/")):
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(content)
        (place / "views.npz").write_bytes(views)
        subprocess.run(
            [sys.executable, "-B", "-m", "shortvideo.train", "views.npz", "als.npz"],
            cwd=place,
            check=True,
            env={**os.environ, **ARITHMETIC},
        )
        return (place / "als.npz").read_bytes()
