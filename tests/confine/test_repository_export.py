# SPDX-License-Identifier: Apache-2.0
"""Export: a commit's files, exactly, and nothing outside the folder."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from confine import Repository, Skipped, repository
from confine._git_export import refuse_unsafe
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def export(git: Any, into: Path, ref: str = "main") -> tuple[Skipped, ...]:
    with Repository.open(git.path) as opened:
        return opened.export(ref, into)


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("narrow_umask")
def test_files_have_exactly_the_stored_bytes_and_one_of_two_modes(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    git.write(".gitattributes", "*.txt text eol=crlf ident\nhidden export-ignore\n")
    git.write("a.txt", "$Id$\nline\n")
    git.write("hidden", "still here")
    git.write("deep/er/run.sh", "#!/bin/sh\n")
    (git.path / "deep/er/run.sh").chmod(0o755)
    git.write(os.fsdecode(b"\xff\n"), "odd")
    git.commit()
    assert export(git, tmp_path / "made" / "here") == ()
    found = {
        os.fsencode(str(place.relative_to(tmp_path / "made/here"))): (
            stat.S_IMODE(place.stat().st_mode),
            place.read_bytes() if place.is_file() else None,
        )
        for place in (tmp_path / "made/here").rglob("*")
    }
    assert found == {
        b".gitattributes": (0o644, b"*.txt text eol=crlf ident\nhidden export-ignore\n"),
        b"a.txt": (0o644, b"$Id$\nline\n"),
        b"hidden": (0o644, b"still here"),
        b"deep": (0o755, None),
        b"deep/er": (0o755, None),
        b"deep/er/run.sh": (0o755, b"#!/bin/sh\n"),
        b"\xff\n": (0o644, b"odd"),
    }
    assert stat.S_IMODE((tmp_path / "made/here").stat().st_mode) == 0o755


EVIL_NAMES = [
    "..",
    ".",
    ".git",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~2",
    ".git ",
    ".git...",
    ".git . .",
    ".git::$INDEX_ALLOCATION",
    ".git:stream",
    ".g\u200cit",
    "\ufeff.git",
    ".gi\u206at",
    "..\\x",
    "a\\.git\\config",
    ".git\\config",
]


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("path", ["{}", "a/{}", "{}/a", "a/{}/b"])
def test_a_name_that_some_file_system_takes_for_gits_own_is_refused(name: str, path: str) -> None:
    with pytest.raises(RepositoryError, match="is not written"):
        refuse_unsafe(path.format(name))


@pytest.mark.parametrize("name", ["..", ".GIT"])
@pytest.mark.parametrize("kind", ["file", "folder", "below"])
def test_a_path_that_could_be_gits_own_or_lead_out_is_refused_whole(
    new_git: Any, tmp_path: Path, name: str, kind: str
) -> None:
    git = new_git()
    git.write("file", "1")
    blob = git("hash-object", "-w", "file")
    inner = git.tree(("100644", b"config", blob))
    entry = ("100644", name.encode(), blob) if kind == "file" else ("40000", name.encode(), inner)
    tree = git.tree(("100644", b"a", blob), entry)
    git.commit_of(git.tree(("40000", b"sub", tree)) if kind == "below" else tree)
    with pytest.raises(RepositoryError, match="is not written"):
        export(git, tmp_path / "out" / "inner")
    assert not any((tmp_path / "out").glob("**/*"))


@pytest.mark.parametrize(
    "name", [".gitignore", ".github/x", "git", ".git1", "a..b", "...", "x.git", "git~x", "back\\slash", "a:b", "..a"]
)
def test_an_ordinary_name_is_written(name: str) -> None:
    refuse_unsafe(name)


def test_symlinks_stay_inside_and_the_others_are_told(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    inside = {
        "plain": "a/b/file",
        "a/up": "../a/b/../b/file",
        "a/b/dangling": "no/such",
        "folder": "a/b",
        "a/b/root": "../..",
        "through": "folder/file",
    }
    outside = {
        "absolute": "/etc/passwd",
        "parent": "..",
        "a/b/three": "../../../x",
        "beyond": "a/../../etc",
        # By its letters a/b/root/../x stays inside; a/b/root is the top folder, and its parent is outside.
        "chained": "a/b/root/../x",
        "indirect": "absolute",
        "loop": "loop",
    }
    git.write("a/b/file", "content")
    for path, target in (inside | outside).items():
        (git.path / path).symlink_to(target)
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git("add", *inside, *outside, "a")
    git("commit", "--quiet", "--message", "Links")

    skipped = export(git, tmp_path / "out")

    assert skipped == tuple(
        sorted(
            [*(Skipped(path, "symlink-outside") for path in outside), Skipped("module", "submodule")],
            key=lambda item: item.path,
        )
    )
    for path, target in inside.items():
        assert str((tmp_path / "out" / path).readlink()) == target
    assert not any(os.path.lexists(tmp_path / "out" / path) for path in [*outside, "module"])
    assert (tmp_path / "out" / "through").read_text() == "content"


def test_a_file_is_not_written_through_a_symlink_of_the_same_name(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    (tmp_path / "victim").mkdir()
    git.write("file", "1")
    blob = git("hash-object", "-w", "file")
    link = git("hash-object", "-w", "--stdin", stdin=str(tmp_path / "victim").encode())
    git.commit_of(git.tree(("120000", b"x", link), ("40000", b"x", git.tree(("100644", b"owned", blob)))))
    with pytest.raises(RepositoryError):
        export(git, tmp_path / "out")
    assert not any((tmp_path / "victim").iterdir())
    assert not (tmp_path / "out").exists()


def test_names_that_differ_in_case_only_are_two_files(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    git.write("a", "1")
    git.write("A", "2")
    git.commit()
    export(git, tmp_path / "out")
    assert ((tmp_path / "out/a").read_text(), (tmp_path / "out/A").read_text()) == ("1", "2")


def test_a_folder_with_something_in_it_is_left_alone(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    git.write("a", "1")
    git.commit()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    for into in (tmp_path / "full", tmp_path / "full/mine", tmp_path / "link"):
        with pytest.raises(RepositoryError, match="nothing was written"):
            export(git, into)
    assert [place.name for place in (tmp_path / "full").iterdir()] == ["mine"]
    export(git, tmp_path / "empty")
    assert (tmp_path / "empty/a").read_text() == "1"


def test_nothing_is_left_when_an_object_is_missing(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    git.write("a", "1")
    git.write("b", "2")
    git.commit()
    blob = git("rev-parse", "HEAD:b")
    with Repository.open(git.path) as opened:
        opened.tree("HEAD")
        (git.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(RepositoryError, match="missing"):
            opened.export("HEAD", tmp_path / "out" / "inner")
    assert not any((tmp_path / "out").iterdir())


def test_more_content_than_the_limit_is_not_unpacked(
    new_git: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = new_git()
    git.write("a", "x" * 100)
    git.write("b", "x" * 100)
    git.commit()
    monkeypatch.setattr(repository, "MAX_TREE_BYTES", 199)
    with Repository.open(git.path) as opened:
        for read in (opened.content_digest, lambda ref: opened.export(ref, tmp_path / "out")):
            with pytest.raises(TooLargeError, match="200 bytes"):
                read("main")
    assert not (tmp_path / "out").exists()
