# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from behavior import locate_artifacts, read_manifest
from behavior.manifest import DotProduct
from evidence import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[recommender]
entrypoint = "shortvideo.serve:load"
requirements = "requirements.lock"
[artifacts]
model = "models/als.npz"
"""


def _tree(folder: Path, text: str) -> Path:
    (folder / "countersign.toml").write_text(text, encoding="utf-8")
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "als.npz").write_bytes(b"weights")
    return folder


def test_a_manifest_says_how_to_load_and_which_artifacts(tmp_path: Path) -> None:
    manifest = read_manifest(_tree(tmp_path, GOOD))
    assert manifest.entrypoint == "shortvideo.serve:load"
    assert manifest.command is None
    assert manifest.artifacts == {"model": "models/als.npz"}
    assert not manifest.known_users
    assert locate_artifacts(tmp_path, manifest) == {"model": tmp_path / "models" / "als.npz"}


def test_a_command_and_known_users_are_accepted(tmp_path: Path) -> None:
    text = '[recommender]\ncommand = ["./ranker", "--stdio"]\nknown_users = true\n'
    manifest = read_manifest(_tree(tmp_path, text))
    assert manifest.command == ("./ranker", "--stdio")
    assert manifest.known_users


def test_tables_that_make_a_score_are_declared_by_artifact(tmp_path: Path) -> None:
    assert read_manifest(_tree(tmp_path, GOOD)).heads == {}
    declared = read_manifest(_tree(tmp_path, GOOD + '[heads.model]\nusers = "user_factors"\nitems = "item_factors"\n'))
    assert declared.heads == {"model": DotProduct("user_factors", "item_factors")}


def test_the_digest_is_over_the_bytes(tmp_path: Path) -> None:
    first = read_manifest(_tree(tmp_path, GOOD)).digest
    assert first != read_manifest(_tree(tmp_path, GOOD + "# a comment\n")).digest


def test_an_artifact_beside_the_tree_is_found_and_a_missing_one_is_named(tmp_path: Path) -> None:
    manifest = read_manifest(_tree(tmp_path, GOOD))
    (tmp_path / "models" / "als.npz").unlink()
    beside = tmp_path / "beside"
    with pytest.raises(ManifestError, match=r"artifacts\.model: no file 'models/als\.npz'"):
        locate_artifacts(tmp_path, manifest, beside)
    (beside / "models").mkdir(parents=True)
    (beside / "models" / "als.npz").write_bytes(b"weights")
    assert locate_artifacts(tmp_path, manifest, beside)["model"].parent.parent == beside


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[recommender]\n", "either entrypoint or command"),
        ('[recommender]\nentrypoint = "a:b"\ncommand = ["a"]\n', "either entrypoint or command"),
        ('[recommender]\nentrypoint = "os.system"\n', "recommender.entrypoint"),
        ('[recommender]\nentrypoint = "a:b"\nmargin = 2\n', "unknown key 'recommender.margin'"),
        ('[recommender]\nentrypoint = "a:b"\n[panel]\nname = "x"\n', "unknown key 'panel'"),
        ("[artifacts]\n", "recommender"),
        ("recommender = ", "not valid TOML"),
        ('[recommender]\nentrypoint = "a:b"\nrequirements = "../lock"\n', "leaves the tree"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "../model"\n', "leaves the tree"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "models/../../m"\n', "leaves the tree"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "/etc/passwd"\n', "not a relative path"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "a\\\\b"\n', "not a relative path"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "link/als.npz"\n', "symbolic link"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "file-link"\n', "symbolic link"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = "models"\n', "no plain file"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\n"../m" = "models/als.npz"\n', "is no name"),
        ('[recommender]\nentrypoint = "a:b"\n[artifacts]\nm = 3\n', "artifacts.m"),
        (GOOD + '[heads.other]\nusers = "u"\nitems = "i"\n', "heads: 'other' is none of the artifacts"),
        (GOOD + '[heads.model]\nusers = "u"\n', "heads.model.items"),
        (GOOD + '[heads.model]\nusers = "u"\nitems = "i"\nk = 3\n', "unknown key 'heads.model.k'"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    tree = _tree(tmp_path, text)
    (tree / "link").symlink_to(tree / "models")
    (tree / "file-link").symlink_to("/etc/passwd")
    with pytest.raises(ManifestError) as refused:
        read_manifest(tree)
    assert "countersign.toml" in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_manifest_a_linked_one_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no countersign\.toml"):
        read_manifest(tmp_path)
    outside = tmp_path / "outside.toml"
    outside.write_text(GOOD, encoding="utf-8")
    (tmp_path / "countersign.toml").symlink_to(outside)
    with pytest.raises(ManifestError, match=r"no countersign\.toml"):
        read_manifest(tmp_path)
    (tmp_path / "countersign.toml").unlink()
    with pytest.raises(ManifestError, match="over the limit"):
        read_manifest(_tree(tmp_path, GOOD + "#" * (64 << 10)))
