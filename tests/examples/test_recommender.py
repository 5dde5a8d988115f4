# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

VERSIONS = ("main", "faster-rerank", "fresher-feeds", "segments-table")


@pytest.mark.parametrize("version", VERSIONS)
def test_slates_hold_known_clips_once_and_none_that_was_watched(platform: Any, version: str) -> None:
    slates = platform.slates(version)
    assert slates.shape == (3_000, 100)
    assert set(slates.ravel().tolist()) <= set(platform.table("items")["item_id"])
    ordered = np.sort(slates, axis=1)
    assert (ordered[:, 1:] != ordered[:, :-1]).all()
    histories = platform.table("histories")
    watched = set(zip(histories["user_id"], histories["item_id"], strict=True))
    users = platform.table("users")["user_id"]
    assert not any(
        (user, item) in watched for user, slate in zip(users, slates.tolist(), strict=True) for item in slate
    )


@pytest.mark.parametrize("version", ["main", "faster-rerank"])
def test_a_short_slate_is_the_top_of_a_long_one_however_requests_are_batched(platform: Any, version: str) -> None:
    np.testing.assert_array_equal(platform.slates(version, k=20, batch=700), platform.slates(version)[:, :20])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_platforms_own_tests_pass(platform: Any, version: str) -> None:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=platform.tree(version), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_model_is_what_the_platforms_code_trains(platform: Any) -> None:
    tree = platform.tree("main")
    out = platform.place / "trained.npz"
    views = platform.place / "warehouse" / "views.npz"
    subprocess.run(
        [sys.executable, "-B", "-m", "shortvideo.train", views, out],
        cwd=tree,
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"},
    )
    with np.load(tree / "models" / "als.npz", allow_pickle=False) as shipped, np.load(out) as trained:
        np.testing.assert_array_equal(trained["factors"], shipped["factors"])
        np.testing.assert_array_equal(trained["views"], shipped["views"])


def test_the_model_knows_what_people_watch(platform: Any) -> None:
    """Slates are in the viewer's language and from topics of the history far more often than by chance."""
    items, users, slates = platform.table("items"), platform.table("users"), platform.slates("main")[:, :20]
    row = {item: number for number, item in enumerate(items["item_id"])}
    shown = np.array([[row[item] for item in slate] for slate in slates.tolist()])
    language, topic = items["language"].to_numpy(), items["topic"].to_numpy()
    assert (language[shown] == users["language"].to_numpy()[:, None]).mean() > 0.8
    histories = platform.table("histories").join(items.select("item_id", "topic"), on="item_id")
    favourite = histories.group_by("user_id").agg(pl.col("topic").mode().sort().first().alias("usual"))
    usual = users.join(favourite, on="user_id", how="left", maintain_order="left")["usual"].to_numpy()
    hit = (topic[shown] == usual[:, None]).mean()
    assert hit > 2.5 * (topic[shown] == np.roll(usual, 1)[:, None]).mean()
