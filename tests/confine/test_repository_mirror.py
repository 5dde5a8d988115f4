# SPDX-License-Identifier: Apache-2.0
"""Mirrors: whole or nothing, within limits, over few protocols, and up to date."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from confine import FetchLimits, Repository
from confine._git_url import parse_url
from evidence import RepositoryError, TooLargeError

SHORT = FetchLimits(seconds=0.5)


@pytest.fixture
def origin(new_git: Any) -> Any:
    git = new_git()
    git.write("rank.py", "weight = 8.0\n")
    git.commit("First")
    git("tag", "v1")
    git("checkout", "--quiet", "-b", "topic")
    git.commit("Second")
    return git


def mirror(git: Any, into: Path, **options: Any) -> Repository:
    return Repository.mirror(str(git.path), into, allow_local=True, **options)


def refs(git: Any, place: Path) -> set[str]:
    return set(git("--git-dir", str(place), "for-each-ref", "--format=%(refname) %(objectname)").split("\n"))


@pytest.fixture
def over_ssh(origin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand in for ssh: a script that gets the host and the command; by default it serves ``origin``."""

    def become(script: str = 'exec git upload-pack "$ORIGIN/.git"') -> None:
        place = tmp_path / "ssh"
        place.write_text(f'#!/bin/sh\nORIGIN="{origin.path}"\necho "$@" >> "{tmp_path}/asked"\n{script}\n')
        place.chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", str(place))

    return become


def test_a_mirror_may_be_named_from_the_current_folder(
    origin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in ("made", "brought up to date"):
        with mirror(origin, Path("mirrors/one")) as repository:
            assert repository.resolve("HEAD") == origin("rev-parse", "topic")


def test_a_mirror_has_the_branches_tags_and_head_and_nothing_else(origin: Any, tmp_path: Path) -> None:
    origin("update-ref", "refs/notes/secret", "HEAD")
    with mirror(origin, tmp_path / "mirrors" / "one") as repository:
        assert repository.resolve("HEAD") == origin("rev-parse", "topic")
        assert repository.snapshot("v1").commit == origin("rev-parse", "main")
    kept = {ref for ref in refs(origin, origin.path / ".git") if "secret" not in ref}
    assert refs(origin, tmp_path / "mirrors" / "one") == kept
    assert {place.name for place in (tmp_path / "mirrors").iterdir()} == {"one", ".one.lock"}


def test_an_update_follows_and_keeps_what_was_dropped_readable(origin: Any, tmp_path: Path) -> None:
    dropped = origin("rev-parse", "topic")
    mirror(origin, tmp_path / "one").close()
    origin("checkout", "--quiet", "main")
    origin("branch", "-D", "topic")
    origin("update-ref", "refs/heads/topic/deeper", "main")
    rewritten = origin.commit("Rewritten", GIT_AUTHOR_NAME="Other")
    with mirror(origin, tmp_path / "one") as repository:
        assert repository.resolve("HEAD") == repository.resolve("main") == rewritten
        assert repository.message(dropped) == "Second\n"
        with pytest.raises(RepositoryError):
            repository.resolve("refs/heads/topic")
    assert refs(origin, tmp_path / "one") == refs(origin, origin.path / ".git")


def test_an_open_mirror_sees_its_update(origin: Any, tmp_path: Path) -> None:
    with mirror(origin, tmp_path / "one") as repository:
        commit = origin.commit("Third")
        mirror(origin, tmp_path / "one").close()
        assert repository.resolve("topic") == commit


def test_pull_request_refs_and_commit_ids_come_on_request(origin: Any, tmp_path: Path) -> None:
    tree = origin("rev-parse", "HEAD^{tree}")
    pulls = [origin("commit-tree", "-m", f"Pull {number}", tree) for number in range(3)]
    loose = origin("commit-tree", "-m", "On no branch", tree)
    for number, commit in enumerate(pulls):
        origin("update-ref", f"refs/pull/{number}/head", commit)
    with mirror(origin, tmp_path / "one", extra_refs=["refs/pull/1/head", loose]) as repository:
        assert repository.resolve("refs/pull/1/head") == pulls[1]
        assert repository.message(loose) == "On no branch\n"
        with pytest.raises(RepositoryError):
            repository.resolve(pulls[2])
    with mirror(origin, tmp_path / "one", extra_refs=["refs/pull/*/head"]) as repository:
        assert [repository.resolve(f"refs/pull/{number}/head") for number in range(3)] == pulls
        assert repository.resolve(loose) == loose


@pytest.mark.parametrize("wanted", ["refs/pull/9/head", "1" * 40])
def test_a_wanted_ref_that_is_not_there_is_named_and_nothing_is_left(origin: Any, tmp_path: Path, wanted: str) -> None:
    with pytest.raises(RepositoryError, match=wanted):
        mirror(origin, tmp_path / "mirrors" / "one", extra_refs=[wanted])
    assert [place.name for place in (tmp_path / "mirrors").iterdir()] == [".one.lock"]


@pytest.mark.parametrize(
    "wanted", ["main", "--upload-pack=x", "refs/heads/a:refs/heads/b", "^refs/heads/x", "", "refs/../x", "refs/a b"]
)
def test_a_wanted_ref_of_another_form_is_refused(origin: Any, tmp_path: Path, wanted: str) -> None:
    with pytest.raises(RepositoryError, match="neither a full ref"):
        mirror(origin, tmp_path / "one", extra_refs=[wanted])


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch ran'",
        "ext::touch%20ran",
        "ext://touch%20ran",
        "fd::17",
        "http://host.invalid/x",
        "git://host.invalid/x",
        "ftp://host.invalid/x",
        "file://host.invalid/x",
        "--upload-pack=touch ran",
        "-oProxyCommand=touch",
        "ssh://-oProxyCommand=touch/x",
        "ssh://host.invalid/-x",
        "ssh://user:secret@host.invalid/x",
        "-oProxyCommand=touch@host.invalid:x",
        "git@-oProxyCommand=touch:x",
        "git@host.invalid:-x",
        "https://host.invalid:port/x",
        "https://host.invalid/x?query=1",
        "https:///x",
        "https://host.invalid/\nx",
        "",
        ".",
        "/etc",
        "file:///etc",
    ],
)
def test_an_address_that_is_not_allowed_is_refused_in_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(RepositoryError, match="repository address") as caught:
        Repository.mirror(url, tmp_path / "one")
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.glob("**/ran"))
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(
    ("url", "address", "protocol"),
    [
        ("https://host.invalid/a/b.git", "https://host.invalid/a/b.git", "https"),
        ("https://host.invalid:8443/a", "https://host.invalid:8443/a", "https"),
        ("ssh://git@host.invalid:22/a", "ssh://git@host.invalid:22/a", "ssh"),
        ("git@host.invalid:a/b.git", "git@host.invalid:a/b.git", "ssh"),
        ("https://[::1]:1/a", "https://[::1]:1/a", "https"),
    ],
)
def test_addresses_that_are_allowed(url: str, address: str, protocol: str) -> None:
    remote = parse_url(url, allow_local=False)
    assert (remote.address, remote.protocol) == (address, protocol)


def test_a_credential_is_sent_to_its_host_only_and_shown_nowhere() -> None:
    remote = parse_url("https://robot:s3cr%2Ft@host.invalid/a", allow_local=False)
    assert remote.address == remote.shown == "https://host.invalid/a"
    assert remote.config == {
        "http.https://host.invalid/.extraHeader": "Authorization: Basic cm9ib3Q6czNjci90",
    }
    assert "s3cr" not in remote.redact("remote: you sent s3cr/t")
    assert "cm9ib" not in remote.redact("remote: you sent cm9ib3Q6czNjci90")


@pytest.mark.loopback
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError) as caught:
        Repository.mirror("https://robot:s3cret@127.0.0.1:9/a", tmp_path / "mirrors" / "one")
    assert str(caught.value).startswith("https://127.0.0.1:9/a cannot be fetched: ")
    assert "s3cret" not in str(caught.value)
    assert [place.name for place in (tmp_path / "mirrors").iterdir()] == [".one.lock"]


@pytest.mark.parametrize("url", ["ssh://git@host.invalid/x.git", "git@host.invalid:x.git"])
def test_a_repository_comes_over_ssh(origin: Any, tmp_path: Path, over_ssh: Any, url: str) -> None:
    over_ssh()
    with Repository.mirror(url, tmp_path / "one") as repository:
        assert repository.resolve("topic") == origin("rev-parse", "topic")
    assert "git@host.invalid git-upload-pack" in (tmp_path / "asked").read_text()


def test_what_another_repository_holds_is_fetched_whole_or_refused(origin: Any, tmp_path: Path, new_git: Any) -> None:
    new_git("empty")
    with pytest.raises(RepositoryError, match="empty"):
        Repository.mirror(str(tmp_path / "empty"), tmp_path / "mirrors" / "one", allow_local=True)
    origin("clone", "--quiet", "--depth=1", f"file://{origin.path}", str(tmp_path / "shallow"))
    with pytest.raises(RepositoryError, match="shallow"):
        Repository.mirror(str(tmp_path / "shallow"), tmp_path / "mirrors" / "one", allow_local=True)
    blob = origin("rev-parse", "HEAD:rank.py")
    (origin.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(RepositoryError, match="cannot be fetched"):
        mirror(origin, tmp_path / "mirrors" / "one")
    assert [place.name for place in (tmp_path / "mirrors").iterdir()] == [".one.lock"]


def test_a_repository_over_the_size_limit_leaves_nothing(origin: Any, tmp_path: Path) -> None:
    origin.write("big", hashlib.shake_256(b"big").digest(1 << 20))
    origin.commit("Big")
    with pytest.raises(TooLargeError, match="over the limit of 500000 bytes"):
        mirror(origin, tmp_path / "mirrors" / "one", limits=FetchLimits(bytes=500_000))
    assert [place.name for place in (tmp_path / "mirrors").iterdir()] == [".one.lock"]
    mirror(origin, tmp_path / "mirrors" / "one", limits=FetchLimits(bytes=1_200_000)).close()


def test_an_update_over_the_size_limit_leaves_the_mirror_as_it_was(origin: Any, tmp_path: Path, over_ssh: Any) -> None:
    over_ssh()
    Repository.mirror("git@host.invalid:x", tmp_path / "one").close()
    before = refs(origin, tmp_path / "one")
    origin.write("big", hashlib.shake_256(b"big").digest(1 << 20))
    origin.commit("Big")
    # The other side hangs once all is sent, so only watching while it runs can end this one.
    (tmp_path / "asked").unlink()
    over_ssh(f'git upload-pack "$ORIGIN/.git"\n[ $(wc -l < "{tmp_path}/asked") -lt 2 ] || exec sleep 1000')
    with pytest.raises(TooLargeError, match="over the limit"):
        Repository.mirror("git@host.invalid:x", tmp_path / "one", limits=FetchLimits(bytes=500_000))
    assert refs(origin, tmp_path / "one") == before
    assert not list((tmp_path / "one" / "objects").glob("**/tmp_*"))
    with Repository.open(tmp_path / "one") as repository:
        assert repository.message("topic") == "Second\n"


def test_a_side_that_never_answers_is_given_up_with_all_its_processes(tmp_path: Path, over_ssh: Any) -> None:
    over_ssh(f'sleep 1000 &\necho $! > "{tmp_path}/child"\necho $$ > "{tmp_path}/leader"\nwait')
    for seconds in (1, 4, 16):  # longer only if the machine is too busy to start the script by then
        with pytest.raises(RepositoryError, match="not done after"):
            Repository.mirror("git@host.invalid:x", tmp_path / "mirrors" / "one", limits=FetchLimits(seconds=seconds))
        if (tmp_path / "leader").exists():
            break
    for name in ("child", "leader"):
        process = int((tmp_path / name).read_text())
        status = Path(f"/proc/{process}/stat")
        assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"
    assert [place.name for place in (tmp_path / "mirrors").iterdir()] == [".one.lock"]


def test_a_flood_of_messages_from_the_other_side_is_cut(tmp_path: Path, over_ssh: Any) -> None:
    over_ssh("head -c 20000000 /dev/zero | tr '\\0' x >&2\nprintf '\\nfatal: \\033[31mno\\n' >&2\nexit 1")
    with pytest.raises(RepositoryError) as caught:
        Repository.mirror("git@host.invalid:x", tmp_path / "one")
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


def test_a_folder_that_is_no_mirror_is_left_alone(origin: Any, new_git: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("mine")
    work = new_git("work")
    work.commit()
    (tmp_path / "file").write_text("mine")
    for name in ("folder", "work", "file"):
        with pytest.raises(RepositoryError):
            mirror(origin, tmp_path / name)
    assert [place.name for place in (tmp_path / "folder").iterdir()] == ["mine"]
    assert work("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert (tmp_path / "file").read_text() == "mine"


def test_two_that_update_at_once_take_turns(origin: Any, tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415

    with (tmp_path / ".one.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RepositoryError, match="another process"):
            mirror(origin, tmp_path / "one", limits=SHORT)
    mirror(origin, tmp_path / "one").close()


def test_a_mirror_is_finished_after_a_killed_one(origin: Any, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:  # the first worker: dies with the lock held and half a clone on disk
        try:
            (tmp_path / ".one.partial").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    with mirror(origin, tmp_path / "one") as repository:
        assert repository.resolve("topic") == origin("rev-parse", "topic")
    assert {place.name for place in tmp_path.iterdir()} == {"one", ".one.lock", "origin"}
