# SPDX-License-Identifier: Apache-2.0
"""Hostile repositories: each payload first works on plain git, so that its silence here proves something."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from confine import Person, Repository, _git, _git_trees
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def origin(new_git: Any) -> Any:
    git = new_git()
    git.write(".gitattributes", "*.py diff=custom filter=custom\n")
    git.write("rank.py", "weight = 8.0\n")
    git.commit("First")
    git.write("rank.py", "weight = 20.0\n")
    git.commit("Second")
    return git


@pytest.fixture
def payload(tmp_path: Path) -> Any:
    """A script that leaves a mark when it is run."""

    class Payload:
        mark = tmp_path / "ran"
        script = tmp_path / "payload"

        def ran(self) -> bool:
            found = self.mark.exists()
            self.mark.unlink(missing_ok=True)
            return found

    made = Payload()
    made.script.write_text(f"#!/bin/sh\ntouch {made.mark}\n")
    made.script.chmod(0o755)
    return made


def use_everything(path: Path, tmp_path: Path) -> None:
    with Repository.open(path) as repository:
        repository.snapshot("HEAD")
        repository.is_ancestor("HEAD~1", "HEAD")
        for entry in repository.tree("HEAD").values():
            repository.blob(entry.object_id, limit=1 << 20)
        repository.diff_entries("HEAD~1", "HEAD")
        repository.commit_people("HEAD~1", "HEAD")
        repository.message("HEAD")
        repository.export("HEAD", tmp_path / "exported")
    for _ in range(2):
        with Repository.mirror(str(path), tmp_path / "mirrored", allow_local=True) as repository:
            repository.snapshot("HEAD")


def fsmonitor(git: Any, script: str) -> None:
    git("config", "core.fsmonitor", script)
    git("status")


def included(git: Any, script: str) -> None:
    git.write(".git/more", f'[core]\n\tfsmonitor = "{script}"\n')
    git("config", "include.path", "more")
    git("status")


def ssh_command(git: Any, script: str) -> None:
    git("config", "core.sshCommand", script)
    git("config", "remote.origin.url", "ssh://host.invalid/x")
    git("fetch", check=False)


def external_diff(git: Any, script: str) -> None:
    git("config", "diff.external", script)
    git("diff", "HEAD~1", "HEAD")


def attribute_diff(git: Any, script: str) -> None:
    git("config", "diff.custom.command", script)
    git("diff", "HEAD~1", "HEAD")


def textconv(git: Any, script: str) -> None:
    git("config", "diff.custom.textconv", script)
    git("diff", "HEAD~1", "HEAD")


def smudge_filter(git: Any, script: str) -> None:
    git("config", "filter.custom.smudge", script)
    git("archive", "--output", str(git.path.parent / "plain.tar"), "HEAD")


def signature_program(git: Any, script: str) -> None:
    git("config", "log.showSignature", "true")
    git("config", "gpg.program", script)
    raw = git("cat-file", "commit", "HEAD")
    head, _, body = raw.partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    git("update-ref", "HEAD", git.object("commit", f"{head}\n{signature}\n\n{body}\n".encode()))
    git("log")


def reference_hook(git: Any, script: str) -> None:
    git.write(".git/hooks/reference-transaction", f"#!/bin/sh\n{script}\n")
    (git.path / ".git/hooks/reference-transaction").chmod(0o755)
    git("update-ref", "refs/heads/another", "HEAD")


def hooks_path(git: Any, script: str) -> None:
    git.write("hooks/post-checkout", f"#!/bin/sh\n{script}\n")
    (git.path / "hooks/post-checkout").chmod(0o755)
    git("config", "core.hooksPath", "hooks")
    git("checkout", "--quiet", "-b", "another")


def lazy_fetch(git: Any, script: str) -> None:
    git("config", "remote.evil.url", f"ext::{script}")
    git("config", "remote.evil.promisor", "true")
    git("config", "extensions.partialClone", "evil")
    git("config", "core.repositoryFormatVersion", "1")
    git("config", "protocol.ext.allow", "always")
    git("cat-file", "-e", "1" * 40, check=False)


def alias(git: Any, script: str) -> None:
    git("config", "alias.verify", f"!{script}")
    git("verify")


@pytest.mark.parametrize(
    "attack",
    [
        fsmonitor,
        included,
        ssh_command,
        external_diff,
        attribute_diff,
        textconv,
        smudge_filter,
        signature_program,
        reference_hook,
        hooks_path,
        lazy_fetch,
        alias,
    ],
)
def test_what_a_configuration_names_is_not_run(
    origin: Any, payload: Any, tmp_path: Path, attack: Callable[[Any, str], None]
) -> None:
    attack(origin, str(payload.script))
    assert payload.ran(), "plain git runs it"
    use_everything(origin.path, tmp_path)
    assert not payload.ran()


def test_a_hook_planted_in_a_mirror_is_not_run(origin: Any, payload: Any, tmp_path: Path) -> None:
    place = tmp_path / "mirrored"
    Repository.mirror(str(origin.path), place, allow_local=True).close()
    (place / "hooks").mkdir()
    (place / "hooks" / "reference-transaction").symlink_to(payload.script)
    origin("update-ref", "refs/heads/planted", "HEAD")
    origin("--git-dir", str(place), "fetch", str(origin.path), "refs/heads/planted:refs/heads/planted")
    assert payload.ran(), "plain git runs it"
    with (place / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "{payload.script}"\n\thooksPath = "{place}/hooks"\n')
    origin.commit("Third")
    with Repository.mirror(str(origin.path), place, allow_local=True) as repository:
        assert repository.resolve("main") == origin("rev-parse", "main")
    assert not payload.ran()


def test_a_partial_clone_fetches_nothing_and_says_what_is_missing(origin: Any, tmp_path: Path) -> None:
    origin("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    origin("clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{origin.path}", str(clone))
    blob = origin("rev-parse", "HEAD:rank.py")
    with Repository.open(clone) as repository:
        with pytest.raises(RepositoryError, match="is missing"):
            repository.blob(blob, limit=100)
        with pytest.raises(RepositoryError, match="is missing"):
            repository.snapshot("HEAD")
    assert origin("-C", str(clone), "cat-file", "blob", blob) == "weight = 20.0", "plain git fetches it"


def test_another_owner_is_no_hindrance(origin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = "GIT_TEST_ASSUME_DIFFERENT_OWNER"
    assert origin("log", check=False, **{switch: "1"}) == "", "plain git refuses"
    monkeypatch.setenv(switch, "1")
    monkeypatch.setattr(_git, "_KEPT", _git._KEPT | {switch})
    with Repository.open(origin.path) as repository:
        assert repository.message("HEAD") == "Second\n"
    if os.geteuid() == 0:
        for place in [origin.path, *origin.path.rglob("*")]:
            os.lchown(place, 4242, 4242)
    monkeypatch.delenv(switch)
    use_everything(origin.path, tmp_path)


def test_replace_refs_are_ignored(origin: Any) -> None:
    origin("replace", origin("rev-parse", "HEAD"), origin("rev-parse", "HEAD~1"))
    assert origin("log", "--format=%s", "-1") == "First", "plain git takes the replacement"
    with Repository.open(origin.path) as repository:
        assert repository.message("HEAD") == "Second\n"


def test_grafts_do_not_rewrite_history(origin: Any) -> None:
    commit = origin("rev-parse", "HEAD")
    origin.write(".git/info/grafts", f"{commit}\n")
    assert origin("rev-list", "--count", "HEAD") == "1", "plain git believes the graft"
    with Repository.open(origin.path) as repository:
        assert repository.is_ancestor("HEAD~1", "HEAD")


def test_a_lying_commit_graph_hides_nobody(new_git: Any) -> None:
    git = new_git()
    base = git.commit("Base")
    git.commit("Hidden", GIT_AUTHOR_NAME="Hidden")
    middle = git.commit("Middle")
    git.commit("Head")
    git("commit-graph", "write", "--reachable")
    graph = git.path / ".git/objects/info/commit-graph"
    data = bytearray(graph.read_bytes())
    place = data.index(bytes.fromhex(git("rev-parse", "HEAD^{tree}")))
    # Commit data is a tree id and two parents by position, for each commit in the order of their ids.
    order = sorted(git("rev-list", "--all").split())
    entry = place + 36 * order.index(middle)
    data[entry + 20 : entry + 24] = struct.pack(">I", 0x70000000)
    graph.chmod(0o644)
    graph.write_bytes(data)
    assert git("rev-list", "--count", f"{base}..main") == "2", "plain git believes the graph"
    with Repository.open(git.path) as repository:
        assert Person("Hidden", "ada@example.org") in repository.commit_people(base, "main")


def lying_pack(folder: Path, content: bytes, claimed: str) -> None:
    """A pack whose index hands out ``content`` under an id that is not its own."""
    header = bytes([0x30 | len(content) & 15 | (0x80 if len(content) > 15 else 0)])
    header += bytes([len(content) >> 4]) if len(content) > 15 else b""
    pack = b"PACK" + struct.pack(">II", 2, 1) + header + zlib.compress(content)
    pack += hashlib.sha1(pack, usedforsecurity=False).digest()
    raw = bytes.fromhex(claimed)
    fanout = b"".join(struct.pack(">I", int(first >= raw[0])) for first in range(256))
    index = b"\xfftOc" + struct.pack(">I", 2) + fanout + raw + struct.pack(">II", zlib.crc32(pack[12:-20]), 12)
    index += pack[-20:]
    index += hashlib.sha1(index, usedforsecurity=False).digest()
    (folder / f"pack-{pack[-20:].hex()}.pack").write_bytes(pack)
    (folder / f"pack-{pack[-20:].hex()}.idx").write_bytes(index)


def test_content_under_a_false_id_is_found_out(origin: Any, tmp_path: Path) -> None:
    blob = origin("rev-parse", "HEAD:rank.py")
    (origin.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    lying_pack(origin.path / ".git/objects/pack", b"weight = 99.0\n", blob)
    assert origin("cat-file", "blob", blob) == "weight = 99.0", "plain git hands it out"
    with Repository.open(origin.path) as repository:
        with pytest.raises(RepositoryError, match="damaged"):
            repository.blob(blob, limit=100)
        with pytest.raises(RepositoryError, match="damaged"):
            repository.snapshot("HEAD")
        with pytest.raises(RepositoryError, match="damaged"):
            repository.export("HEAD", tmp_path / "exported")
        assert repository.message("HEAD") == "Second\n"
    assert not (tmp_path / "exported").exists()
    with pytest.raises(RepositoryError, match="cannot be fetched"):
        Repository.mirror(str(origin.path), tmp_path / "mirrored", allow_local=True)
    assert not (tmp_path / "mirrored").exists()


def test_objects_of_another_repository_are_not_borrowed(origin: Any, new_git: Any, tmp_path: Path) -> None:
    secret = new_git("secret")
    secret.write("key", "secret\n")
    secret.commit()
    blob = secret("rev-parse", "HEAD:key")
    origin.write(".git/objects/info/alternates", f"{secret.path}/.git/objects\n")
    assert origin("cat-file", "blob", blob) == "secret", "plain git borrows"
    with pytest.raises(RepositoryError, match="borrows objects"):
        Repository.open(origin.path)
    with pytest.raises(RepositoryError, match="borrows objects"):
        Repository.mirror(str(origin.path), tmp_path / "mirrored", allow_local=True)


def test_a_few_trees_that_unfold_to_billions_are_refused(new_git: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_git_trees, "MAX_ENTRIES", 20_000)
    git = new_git()
    git.write("a", "boom")
    below, mode = git("hash-object", "-w", "a"), "100644"
    for _ in range(10):
        below, mode = git.tree(*((mode, b"%d" % number, below) for number in range(10))), "40000"
    git.commit_of(below)
    with Repository.open(git.path) as repository:
        for read in (repository.snapshot, repository.tree, lambda ref: repository.diff_entries(ref, ref)):
            with pytest.raises(TooLargeError, match="more than 20000"):
                read("main")


def test_folders_without_end_and_without_files_are_refused(new_git: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_git_trees, "MAX_TREES", 5_000)
    git = new_git()
    below = git.tree()
    for _ in range(10):
        below = git.tree(*(("40000", b"%d" % number, below) for number in range(10)))
    git.commit_of(below)
    with Repository.open(git.path) as repository, pytest.raises(TooLargeError, match="more than 5000 folders"):
        repository.tree("main")


def test_a_path_deeper_than_any_file_system_is_refused(new_git: Any) -> None:
    git = new_git()
    git.write("a", "deep")
    below, mode = git("hash-object", "-w", "a"), "100644"
    for _ in range(25):
        below, mode = git.tree((mode, b"x" * 200, below)), "40000"
    git.commit_of(below)
    with Repository.open(git.path) as repository, pytest.raises(TooLargeError, match="longer than 4095"):
        repository.tree("main")


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([("100644", b"a"), ("100644", b"a")], "twice"),
        ([("100644", b"a/b")], "slash"),
        ([("100644", b"")], "empty"),
        ([("060000", b"device")], "unknown mode"),
        ([("0", b"nothing")], "unknown mode"),
        ([("-0644", b"negative")], "unknown mode"),
    ],
)
def test_a_tree_that_can_be_read_in_two_ways_is_refused(
    new_git: Any, entries: list[tuple[str, bytes]], complaint: str
) -> None:
    git = new_git()
    git.write("a", "1")
    blob = git("hash-object", "-w", "a")
    git.commit_of(git.tree(*((mode, name, blob) for mode, name in entries)))
    with Repository.open(git.path) as repository, pytest.raises(RepositoryError, match=complaint):
        repository.tree("main")


def test_a_mirror_refuses_trees_that_fsck_refuses(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    git.write("a", "1")
    blob = git("hash-object", "-w", "a")
    git.commit_of(git.tree(("100644", b"a", blob), ("100644", b"a", blob)))
    with pytest.raises(RepositoryError, match="duplicate"):
        Repository.mirror(str(git.path), tmp_path / "mirrored", allow_local=True)
    assert not (tmp_path / "mirrored").exists()


def test_damaged_trees_and_commits_are_refused(new_git: Any) -> None:
    git = new_git()
    truncated = git.object("tree", b"100644 a\0" + b"\1" * 19)
    git.commit_of(truncated)
    who = "Ada <ada@example.org> 1767323045 +0000"
    twice = git.object("commit", f"tree {truncated}\ntree {git.tree()}\nauthor {who}\ncommitter {who}\n\nx\n".encode())
    git.write(".git/refs/heads/twice", f"{twice}\n")
    with Repository.open(git.path) as repository:
        for ref in ("main", "twice"):
            with pytest.raises(RepositoryError, match=r"damaged"):
                repository.tree(ref)


@pytest.mark.parametrize("name", ["HEAD", "objects/info/alternates", "config"])
def test_a_fifo_in_place_of_a_file_does_not_hold_us_up(origin: Any, name: str) -> None:
    place = origin.path / ".git" / name
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    with pytest.raises(RepositoryError, match="not a regular file"):
        Repository.open(origin.path)


@pytest.mark.parametrize("head", ["", "ref: ../../../etc/passwd", "x" * 10_000, "\0", "ref: refs/heads/\nmain x"])
def test_a_head_that_is_none_is_refused(origin: Any, head: str) -> None:
    origin.write(".git/HEAD", head)
    with pytest.raises(RepositoryError, match="HEAD"):
        Repository.open(origin.path)


def test_git_that_writes_without_end_is_stopped(origin: Any) -> None:
    with Repository.open(origin.path) as repository:
        with pytest.raises(TooLargeError, match="more than 10 bytes of output"):
            repository._git.run(["rev-list", "--objects", "HEAD"], limit=10)
        assert repository._git.run(["rev-list", "--count", "HEAD"]).stdout == b"2\n"


def test_the_repository_is_not_written_to(origin: Any, tmp_path: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(place): (place.lstat().st_mtime_ns, place.lstat().st_size)
            for place in origin.path.rglob("*")
            if not stat.S_ISDIR(place.lstat().st_mode)
        }

    before = state()
    use_everything(origin.path, tmp_path)
    assert state() == before
