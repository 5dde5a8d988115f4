# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import read_manifest, read_panel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OUTPUTS = ("panel/panel.toml", "panel/items.parquet", "panel/users.parquet", "panel/histories.parquet", "changes.json")


def digests(platform: Any) -> dict[str, str]:
    return {name: hashlib.sha256((platform.place / name).read_bytes()).hexdigest() for name in OUTPUTS}


def test_the_same_seed_gives_the_same_bytes(platform: Any, build_platform: Callable[..., Any], tmp_path: Path) -> None:
    again = build_platform(tmp_path / "again")
    assert again.git("for-each-ref") == platform.git("for-each-ref")
    assert digests(again) == digests(platform)
    assert read_panel(again.place / "panel").digest == read_panel(platform.place / "panel").digest


def test_catalogue_and_audience_have_the_promised_size(platform: Any) -> None:
    items, users = platform.table("items"), platform.table("users")
    assert items.height == 20_000
    assert items["creator"].n_unique() == 1_500
    assert users.height == 3_000
    assert {"de", "fr", "pl", "ro", "en", "es"} == set(items["language"])
    kinds = {"personal", "business", "news", "partisan", "conspiracy", "state"}
    assert dict(items.group_by("kind").agg(pl.col("creator").n_unique()).iter_rows()).keys() == kinds
    assert items.filter("state_media")["creator"].n_unique() == 36
    with np.load(platform.place / "warehouse" / "views.npz", allow_pickle=False) as views:
        assert views["viewers"] == 5_000
        assert len(np.unique(views["viewer"])) == 5_000


def test_the_platform_has_never_seen_the_panel(platform: Any) -> None:
    viewers = pl.read_csv(platform.place / "warehouse" / "viewers.csv")["viewer_id"]
    assert not set(viewers) & set(platform.table("users")["user_id"])
    for path in platform.tree("main").rglob("*"):
        assert "state_media" not in path.name
        assert not path.is_file() or b"state_media" not in path.read_bytes()


def test_age_of_clips_does_not_depend_on_who_made_them(platform: Any) -> None:
    items = platform.table("items")
    state = items.filter("state_media")["age_hours"].to_numpy()
    others = items.filter(~pl.col("state_media"))["age_hours"].to_numpy()
    for share in (0.1, 0.25, 0.5, 0.75):
        assert np.quantile(state, share) == pytest.approx(np.quantile(others, share), rel=0.15)


def test_main_has_a_history(platform: Any) -> None:
    lines = platform.git("log", "--format=%an|%at|%s", "main").splitlines()
    authors, times, subjects = zip(*(line.split("|") for line in lines), strict=True)
    assert len(lines) >= 10
    assert len(set(authors)) >= 4
    assert len(set(subjects)) == len(subjects)
    assert [int(moment) for moment in times] == sorted(map(int, times), reverse=True)
    assert platform.git("status", "--porcelain") == ""
    platform.git("fsck", "--strict")


def test_changes_are_branches_off_main_by_people_of_the_platform(platform: Any) -> None:
    authors = set(platform.git("log", "--format=%ae", "main").split())
    tip = platform.git("rev-parse", "main").strip()
    assert len(platform.changes) == 3
    for change in platform.changes:
        assert change["base"] == tip
        assert change["head"] == platform.git("rev-parse", change["branch"]).strip()
        assert platform.git("merge-base", change["base"], change["head"]).strip() == tip
        assert change["email"] in authors
        assert change["email"] in platform.git("log", "--format=%ae", f"main..{change['branch']}").split()


def test_every_version_declares_how_to_load_it(platform: Any) -> None:
    for ref in ("main", *(change["branch"] for change in platform.changes)):
        manifest = read_manifest(platform.tree(ref))
        assert set(manifest.artifacts) == {"factors", "clips", "creators"}
        assert all((platform.tree(ref) / path).is_file() for path in manifest.artifacts.values())


def test_another_seed_is_another_platform_with_the_same_story(platform: Any, other_platforms: Any) -> None:
    other = other_platforms(2)
    assert other.git("rev-parse", "main") != platform.git("rev-parse", "main")
    assert other.git("log", "--all", "--format=%an %s") == platform.git("log", "--all", "--format=%an %s")
    assert [change["branch"] for change in other.changes] == [change["branch"] for change in platform.changes]


@pytest.mark.parametrize("options", [[], ["--seed", "-1"], ["--seed", "x"]])
def test_what_cannot_be_built_is_refused_in_one_line(options: list[str], root: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    place = tmp_path / "new" if options else tmp_path
    command = [sys.executable, "-B", root / "examples" / "shortvideo" / "build.py", place, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error:" in done.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
