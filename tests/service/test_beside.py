# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else may exchange at any moment are opened without following a link."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from evidence import Artifact, ManifestError, TooLargeError
from service import beside

if TYPE_CHECKING:
    from pathlib import Path

PATH = "models/deep/m.npz"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one file, and what links could lead to."""
    for name, content in (("root", b"weights"), ("other", b"a secret")):
        (tmp_path / name / "models" / "deep").mkdir(parents=True)
        (tmp_path / name / PATH).write_bytes(content)
    return tmp_path / "root"


def test_a_plain_file_is_measured_and_copied_with_what_lies_near(root: Path, tmp_path: Path) -> None:
    assert beside.measured(root, PATH, "model") == Artifact("model", 7, sha256(b"weights").hexdigest())
    assert beside.copied(root, PATH, tmp_path / "into" / PATH)
    assert (tmp_path / "into" / PATH).read_bytes() == b"weights"
    (root / "models" / "deep" / "a.json").touch()
    assert beside.neighbours(root, PATH) == ["models/deep/a.json", PATH]


@pytest.mark.parametrize("path", ["none", "none/m.npz", f"{PATH}/m"])
def test_what_is_not_there_is_none(root: Path, tmp_path: Path, path: str) -> None:
    assert beside.measured(root, path, "model") is None
    assert not beside.copied(root / "none", PATH, tmp_path / "copy")


@pytest.mark.parametrize("linked", ["", "models", "models/deep", PATH])
def test_a_link_at_any_part_is_refused_in_one_line(root: Path, tmp_path: Path, linked: str) -> None:
    place = root / linked if linked else root
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "other" / linked if linked else tmp_path / "other")
    for look in (
        lambda: beside.measured(root, PATH, "model"),
        lambda: beside.copied(root, PATH, tmp_path / "copy"),
    ):
        with pytest.raises(ManifestError, match="goes through a symbolic link") as refused:
            look()
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "copy").exists()


def test_a_pipe_or_a_folder_is_no_plain_file_and_nothing_waits_for_it(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for path in ("pipe", "models"):
        with pytest.raises(ManifestError, match="is no plain file"):
            beside.measured(root, path, "model")


def test_over_the_limit_nothing_is_left_behind(root: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="over the limit of 6 bytes"):
        beside.copied(root, PATH, tmp_path / "copy", limit=6)
    assert not (tmp_path / "copy").exists()
