# SPDX-License-Identifier: Apache-2.0
"""Platforms built once, and the slates of their versions recorded once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "examples" / "shortvideo" / "build.py"


@dataclass
class Platform:
    """A built platform, with what its versions recommend to the panel."""

    place: Path
    recorded: dict[tuple[str, int, int], Any] = field(default_factory=dict)

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The changes up for review."""
        return json.loads((self.place / "changes.json").read_text(encoding="utf-8"))

    def table(self, name: str) -> pl.DataFrame:
        """A table of the panel."""
        return pl.read_parquet(self.place / "panel" / f"{name}.parquet")

    def git(self, *arguments: str) -> str:
        """Output of a git command in the repository."""
        command = ["git", "-C", str(self.place / "repository"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def tree(self, ref: str) -> Path:
        """The files of a version."""
        place = self.place / "trees" / self.git("rev-parse", ref).strip()
        if not place.exists():
            archive = subprocess.run(
                ["git", "-C", str(self.place / "repository"), "archive", ref], check=True, capture_output=True
            ).stdout
            place.mkdir(parents=True)
            subprocess.run(["tar", "-x", "-C", place], check=True, input=archive)
        return place

    def slates(self, ref: str, k: int = 100, batch: int = 10_000) -> Any:
        """What a version recommends, item ids of shape (users, k) in the panel's order of users."""
        key = (self.git("rev-parse", f"{ref}^{{tree}}").strip(), k, batch)
        if key not in self.recorded:
            out = self.place / "slates.npz"
            arguments = [self.tree(ref), self.place / "panel", out, k, batch]
            subprocess.run(
                [sys.executable, "-B", HERE / "record.py", *map(str, arguments)],
                check=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # as in the sandbox
            )
            with np.load(out) as file:
                self.recorded[key] = file["items"]
        return self.recorded[key]


def build(place: Path, *options: str) -> Platform:
    """Runs the build as the demo does."""
    subprocess.run([sys.executable, "-B", BUILD, place, *options], check=True, capture_output=True)
    return Platform(place)


@pytest.fixture(scope="session")
def build_platform() -> Callable[..., Platform]:
    """Builds a platform at a path, with options of the command line."""
    return build


@pytest.fixture(scope="session")
def other_platforms(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Platform]:
    """The platform of another seed, built when first asked for."""

    @cache
    def of(seed: int) -> Platform:
        return build(tmp_path_factory.mktemp("shortvideo") / "platform", "--seed", str(seed))

    return of


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The platform of the default seed."""
    return build(tmp_path_factory.mktemp("shortvideo") / "platform")
