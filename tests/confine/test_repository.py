# SPDX-License-Identifier: Apache-2.0
"""Reading a repository: commits, trees, content, people and changes, compared with plain git."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from confine import Person, Repository, _git_changes
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from pathlib import Path

ODD_NAME = b"line\nbreak \xff\t.py"


@pytest.fixture
def origin(new_git: Any) -> Any:
    """Two commits with one of everything: nested, executable, symlink, submodule, a name no text has."""
    git = new_git()
    git.write("README", "words\n")
    git.write("src/rank.py", "weight = 8.0\n" * 20)
    git.write("run.sh", "#!/bin/sh\n")
    (git.path / "run.sh").chmod(0o755)
    (git.path / "link").symlink_to("src/rank.py")
    git.write(os.fsdecode(ODD_NAME), "odd\n")
    git.write("empty", "")
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    git("add", "README", "src", "run.sh", "link", "empty", os.fsdecode(ODD_NAME))
    git("commit", "--quiet", "--message", "First")
    return git


def test_a_snapshot_has_the_ids_of_git_and_the_content_by_sha256(origin: Any) -> None:
    content = hashlib.sha256()
    files = {
        b"README": ("100644", b"words\n"),
        b"empty": ("100644", b""),
        ODD_NAME: ("100644", b"odd\n"),
        b"link": ("120000", b"src/rank.py"),
        b"run.sh": ("100755", b"#!/bin/sh\n"),
        b"src/rank.py": ("100644", b"weight = 8.0\n" * 20),
        b"vendored": ("160000", b"1" * 40),
    }
    for path, (mode, data) in sorted(files.items()):
        content.update(f"{mode} {hashlib.sha256(data).hexdigest()}\t".encode() + path + b"\0")

    with Repository.open(origin.path) as repository:
        snapshot = repository.snapshot("main")

    assert snapshot.commit == origin("rev-parse", "main")
    assert snapshot.tree == origin("rev-parse", "main^{tree}")
    assert snapshot.content == content.hexdigest()


def test_a_tree_lists_what_git_lists(origin: Any) -> None:
    with Repository.open(origin.path) as repository:
        entries = repository.tree("HEAD")

    listed = origin("ls-tree", "-r", "-l", "-z", "HEAD").rstrip("\0").split("\0")
    ours = {
        f"{entry.mode:06o} {'commit' if entry.kind == 'submodule' else 'blob'} {entry.object_id}"
        f" {'-' if entry.kind == 'submodule' else entry.size:>7}\t{entry.path}"
        for entry in entries.values()
    }
    assert ours == set(listed)
    assert list(entries) == sorted(entries, key=os.fsencode)
    assert (entries["link"].kind, entries["run.sh"].mode) == ("symlink", 0o100755)


def test_the_content_digest_is_blind_to_history_and_sees_modes_and_names(new_git: Any) -> None:
    git = new_git()
    git.write("a", "1")
    first = git.commit()
    same = git.commit("Nothing changed")
    (git.path / "a").chmod(0o755)
    executable = git.commit()
    git("mv", "a", "b")
    renamed = git.commit()
    with Repository.open(git.path) as repository:
        digests = [repository.content_digest(commit) for commit in (first, same, executable, renamed)]
    assert digests[0] == digests[1]
    assert len(set(digests[1:])) == 3


def test_a_bare_repository_a_worktree_and_a_linked_one_read_the_same(origin: Any, tmp_path: Path) -> None:
    origin("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    origin("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    places = [origin.path, tmp_path / "bare", tmp_path / "linked"]
    snapshots = set()
    for place in places:
        with Repository.open(place) as repository:
            snapshots.add(repository.snapshot("HEAD"))
    assert len(snapshots) == 1


def test_a_repository_with_sha256_ids_is_read(new_git: Any) -> None:
    git = new_git("origin", "--object-format=sha256")
    git.write("a", "1")
    commit = git.commit()
    with Repository.open(git.path) as repository:
        assert repository.snapshot("main").commit == commit
        assert len(commit) == 64
        assert repository.blob(repository.tree("main")["a"].object_id, limit=10) == b"1"


def test_head_is_what_it_is_now(origin: Any) -> None:
    with Repository.open(origin.path) as repository:
        origin("checkout", "--quiet", "-b", "other")
        commit = origin.commit("On another branch")
        assert repository.resolve("HEAD") == commit


@pytest.mark.parametrize(
    "ref",
    ["nope", "main:README", "HEAD^{tree}", "main..main", "0" * 40, "HEAD~9", "main@{upstream}", "HEAD main", "^main"],
)
def test_a_ref_that_names_no_commit_is_named(origin: Any, ref: str) -> None:
    with Repository.open(origin.path) as repository, pytest.raises(RepositoryError) as caught:
        repository.snapshot(ref)
    assert repr(ref) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("ref", ["--upload-pack=touch /tmp/x", "-h", "--all", "--", "", "a\nb", "\0", "x" * 5000])
def test_a_ref_that_could_be_an_option_or_is_no_ref_is_refused_in_one_line(origin: Any, ref: str) -> None:
    with Repository.open(origin.path) as repository:
        for read in (repository.snapshot, repository.tree, repository.message, repository.content_digest):
            with pytest.raises(RepositoryError) as caught:
                read(ref)
            assert "\n" not in str(caught.value)
            assert str(caught.value).startswith("ref ")


def test_a_tag_does_not_stand_in_for_a_branch_of_the_same_name(origin: Any) -> None:
    first = origin("rev-parse", "HEAD")
    second = origin.commit("Second")
    origin("tag", "main", first)
    assert origin("rev-parse", "main") == first, "plain git takes the tag"
    with Repository.open(origin.path) as repository:
        with pytest.raises(RepositoryError, match="ambiguous"):
            repository.resolve("main")
        assert repository.resolve("refs/heads/main") == second


def test_a_branch_named_like_an_option_is_reached_by_its_full_name(origin: Any) -> None:
    commit = origin("rev-parse", "HEAD")
    origin("update-ref", "refs/heads/--upload-pack=x", commit)
    with Repository.open(origin.path) as repository:
        assert repository.resolve("refs/heads/--upload-pack=x") == commit


def test_an_empty_repository_and_no_repository_are_refused(new_git: Any, tmp_path: Path) -> None:
    new_git("empty")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RepositoryError, match="empty"):
        Repository.open(tmp_path / "empty")
    for place in ("folder", "absent"):
        with pytest.raises(RepositoryError, match="no git repository here"):
            Repository.open(tmp_path / place)


def test_a_folder_inside_a_repository_is_not_taken_for_it(origin: Any) -> None:
    with pytest.raises(RepositoryError, match="top folder"):
        Repository.open(origin.path / "src")


def test_the_environment_does_not_lead_elsewhere(origin: Any, new_git: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = new_git("other")
    other.commit("Elsewhere")
    commit = origin("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.path / ".git/objects"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_NAMESPACE", "x")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "broken")
    with Repository.open(origin.path) as repository:
        assert repository.snapshot("main").commit == commit
        assert "README" in repository.tree("main")


def test_a_blob_over_the_limit_is_refused_before_it_is_read(origin: Any) -> None:
    with Repository.open(origin.path) as repository:
        blob = repository.tree("main")["README"].object_id
        assert repository.blob(blob, limit=6) == b"words\n"
        with pytest.raises(TooLargeError, match="6 bytes, over the limit of 5"):
            repository.blob(blob, limit=5)
        assert repository.blob(blob, limit=6) == b"words\n"
        for wrong in (repository.resolve("main"), "1" * 40, "main:README", "-x", ""):
            with pytest.raises(RepositoryError):
                repository.blob(wrong, limit=100)


def test_threads_share_a_repository(new_git: Any) -> None:
    git = new_git()
    for number in range(40):
        git.write(f"{number}", f"{number}" * 5000)
    git.commit()
    with Repository.open(git.path) as repository, ThreadPoolExecutor(8) as pool:
        entries = list(repository.tree("main").values()) * 5
        contents = list(pool.map(lambda entry: repository.blob(entry.object_id, limit=1 << 20), entries))
    assert contents == [entry.path.encode() * 5000 for entry in entries]


def test_ancestry(new_git: Any) -> None:
    git = new_git()
    first, second = git.commit("1"), git.commit("2")
    git("checkout", "--quiet", "--orphan", "apart")
    apart = git.commit("apart")
    with Repository.open(git.path) as repository:
        assert repository.is_ancestor(first, second)
        assert repository.is_ancestor(second, second)
        assert not repository.is_ancestor(second, first)
        assert not repository.is_ancestor(first, apart)


def test_a_shallow_clone_answers_only_what_it_knows(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    for number in range(4):
        git.commit(f"{number}")
    git("clone", "--quiet", "--depth=2", f"file://{git.path}", str(tmp_path / "shallow"))
    old, base, head = (git("rev-parse", f"main~{back}") for back in (2, 1, 0))
    with Repository.open(tmp_path / "shallow") as repository:
        assert repository.is_ancestor(base, head)
        assert repository.commit_people(base, head) == (Person("Ada", "ada@example.org"),)
        with pytest.raises(RepositoryError, match="unshallow"):
            repository.is_ancestor(head, base)
        with pytest.raises(RepositoryError, match="names no commit"):
            repository.is_ancestor(old, head)
        assert repository.merge_base(base, head) == base


def test_a_merge_base_is_gits(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    fork = git.commit("Fork")
    git("checkout", "--quiet", "-b", "topic")
    git.commit("Topic")
    git("checkout", "--quiet", "main")
    git.commit("Main")
    git("checkout", "--quiet", "--orphan", "apart")
    git.commit("Apart")
    git("clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{git.path}", str(tmp_path / "shallow"))
    with Repository.open(git.path) as repository:
        assert repository.merge_base("main", "topic") == repository.merge_base("topic", "main") == fork
        with pytest.raises(RepositoryError, match="no common ancestor"):
            repository.merge_base("main", "apart")
    with Repository.open(tmp_path / "shallow") as repository, pytest.raises(RepositoryError, match="unshallow"):
        repository.merge_base("refs/remotes/origin/main", "refs/remotes/origin/topic")


def test_people_hidden_behind_a_shallow_boundary_are_not_passed_over(new_git: Any, tmp_path: Path) -> None:
    git = new_git()
    git.commit("Root")
    git("checkout", "--quiet", "-b", "side")
    git.commit("Side 1", GIT_AUTHOR_NAME="Hidden")
    git.commit("Side 2")
    base = git("rev-parse", "main")
    git("clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{git.path}", str(tmp_path / "shallow"))
    with Repository.open(tmp_path / "shallow") as repository, pytest.raises(RepositoryError, match="unshallow"):
        repository.commit_people(base, "refs/remotes/origin/side")


def test_everyone_named_in_the_commits_between_is_found(new_git: Any) -> None:
    git = new_git()
    git.commit("Before", GIT_AUTHOR_NAME="Earlier", GIT_AUTHOR_EMAIL="earlier@example.org")
    git("branch", "base")
    git("checkout", "--quiet", "-b", "topic")
    git.commit("Topic", GIT_AUTHOR_NAME="Björn", GIT_AUTHOR_EMAIL="bjorn@example.org")
    git("checkout", "--quiet", "main")
    message = """Work

CO-AUTHORED-BY:   Cleo  <cleo@example.org>\x20\x20

Co-authored-by: Dov dov@example.org
> co-developed-by: Eve <eve@example.org>

No paragraph of trailers.
"""
    git.commit(message, GIT_COMMITTER_NAME="Merger", GIT_COMMITTER_EMAIL="merger@example.org")
    git("merge", "--quiet", "--no-edit", "topic")
    with Repository.open(git.path) as repository:
        people = repository.commit_people("base", "main")
        assert repository.commit_people("main", "main") == ()
    assert people == (
        Person("Ada", "ada@example.org"),
        Person("Björn", "bjorn@example.org"),
        Person("Cleo", "cleo@example.org"),
        Person("Dov", "dov@example.org"),
        Person("Eve", "eve@example.org"),
        Person("Merger", "merger@example.org"),
    )


def test_names_are_read_from_the_commit_and_not_from_a_mailmap(new_git: Any) -> None:
    git = new_git()
    base = git.commit("Base")
    git.write(".mailmap", "Someone Else <else@example.org> <ada@example.org>\n")
    git("config", "log.mailmap", "true")
    git.commit("Head")
    with Repository.open(git.path) as repository:
        assert repository.commit_people(base, "main") == (Person("Ada", "ada@example.org"),)


def test_a_message_is_decoded_as_its_commit_says(new_git: Any) -> None:
    git = new_git()
    tree = git("write-tree")
    who = "Ada <ada@example.org> 1767323045 +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\nencoding ISO-8859-1\n\nGrüße\n\nzweite Zeile\n"
    git("update-ref", "refs/heads/main", git.object("commit", text.encode("iso-8859-1")))
    with Repository.open(git.path) as repository:
        assert repository.message("main") == "Grüße\n\nzweite Zeile\n"


def test_changes_are_listed_with_renames(origin: Any) -> None:
    base = origin("rev-parse", "HEAD")
    origin("mv", "src/rank.py", "src/order.py")
    origin.write("src/order.py", "weight = 8.0\n" * 19 + "weight = 20.0\n")
    origin.write("added", "new\n")
    origin.write("README", "other words\n")
    (origin.path / "empty").unlink()
    (origin.path / "link").unlink()
    origin.write("link", "no link now\n")
    origin("update-index", "--cacheinfo", f"160000,{'2' * 40},vendored")
    origin("add", "README", "src", "added", "empty", "link")
    origin("commit", "--quiet", "--message", "Second")
    with Repository.open(origin.path) as repository:
        changes = repository.diff_entries(base, "HEAD")
        tree = repository.tree("HEAD")
    assert [(change.status, change.old_path, change.new_path) for change in changes] == [
        ("modified", "README", "README"),
        ("added", None, "added"),
        ("removed", "empty", None),
        ("type-changed", "link", "link"),
        ("renamed", "src/rank.py", "src/order.py"),
        ("modified", "vendored", "vendored"),
    ]
    by_path = {change.path: change for change in changes}
    assert by_path["added"].old_object is None
    assert by_path["added"].new_object == tree["added"].object_id
    assert by_path["empty"].new_mode is None
    assert (by_path["link"].old_mode, by_path["link"].new_mode) == (0o120000, 0o100644)
    assert (by_path["vendored"].old_object, by_path["vendored"].new_object) == ("1" * 40, "2" * 40)
    assert 50 < (by_path["src/order.py"].similarity or 0) < 100


def test_past_the_rename_limit_nothing_is_left_out(new_git: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    git = new_git()
    git.write("moved", "same\n" * 10)
    git.write("edited", "".join(f"line {number}\n" for number in range(40)))
    base = git.commit()
    git("mv", "moved", "moved2")
    git("mv", "edited", "edited2")
    git.write("edited2", "".join(f"line {number}\n" for number in range(41)))
    git.commit()
    with Repository.open(git.path) as repository:
        assert [change.status for change in repository.diff_entries(base, "main")] == ["renamed", "renamed"]
        monkeypatch.setattr(_git_changes, "MAX_RENAME_PAIRS", 3)
        found = [(change.status, change.path) for change in repository.diff_entries(base, "main")]
    assert found == [("removed", "edited"), ("added", "edited2"), ("renamed", "moved2")]


def test_nothing_is_left_running_or_lying_about(origin: Any) -> None:
    repository = Repository.open(origin.path)
    repository.snapshot("main")
    view = repository._view.git_dir
    assert repository._objects._batch is not None
    process = repository._objects._batch._process
    assert view.is_dir()
    repository.close()
    assert process.returncode is not None
    assert not view.exists()
    repository = Repository.open(origin.path)
    view = repository._view.git_dir
    del repository
    assert not view.exists()
