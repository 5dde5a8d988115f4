# SPDX-License-Identifier: Apache-2.0
"""A diff of a real git repository: files, JSON, statuses, what is not analysed."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from confine import Repository
from diffing import diff, hunks
from evidence import RepositoryError, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
       (("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", "2026-01-01T00:00:00Z"))},
}  # fmt: skip
MODEL = "\n".join(f"line_{number} = {number}" for number in range(40)) + "\n"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def commits(tmp_path: Path) -> Callable[..., Repository]:
    """A repository with one commit for each tree given; a content of None removes the path."""

    def make(*trees: dict[str, bytes | str | None]) -> Repository:
        git(tmp_path, "init", "-q", "-b", "main")
        for tree in trees:
            for path, content in tree.items():
                file = tmp_path / path
                file.parent.mkdir(parents=True, exist_ok=True)
                if content is None:
                    file.unlink()
                elif isinstance(content, str) and content.startswith("->"):
                    file.unlink(missing_ok=True)
                    file.symlink_to(content.removeprefix("->"))
                else:
                    file.write_bytes(content.encode() if isinstance(content, str) else content)
            git(tmp_path, "add", "-A")
            git(tmp_path, "commit", "-q", "--allow-empty", "-m", "change")
        return Repository.open(tmp_path)

    return make


def test_the_document_is_as_the_formats_say(commits: Callable[..., Repository]) -> None:
    repository = commits({"rank.py": "share_weight = 8.0\n"}, {"rank.py": "share_weight = 32.0\n", "README.md": "x\n"})
    document = diff(repository, "HEAD~1", "HEAD").to_json()
    assert document["schema"] == "countersign/diff/v1"
    assert document["verdict"] == "fail"
    assert set(document["base"]) == set(document["head"]) == {"commit", "tree"}
    assert document["files"] == [
        {"path": "README.md", "old_path": None, "status": "added", "language": "markdown", "lines_added": 1,
         "lines_removed": 0, "syntax_equal": False},
        {"path": "rank.py", "old_path": None, "status": "modified", "language": "python", "lines_added": 1,
         "lines_removed": 1, "syntax_equal": False},
    ]  # fmt: skip
    (finding,) = document["findings"]
    assert finding["id"].startswith("sha256:")
    assert finding["location"] == {"path": "rank.py", "line": 1, "end_line": 1, "side": "head", "symbol": "rank"}
    assert finding["evidence"]["ratio"] == 4.0
    assert isinstance(finding["title"], str)
    assert isinstance(finding["detail"], str)
    assert document["not_analysed"] == []


def test_two_runs_give_the_same_bytes(commits: Callable[..., Repository]) -> None:
    repository = commits({"a.py": MODEL}, {"a.py": MODEL.replace("3", "4"), "b.yaml": "weights: {x: 1, y: 2}\n"})
    one, other = (json.dumps(diff(repository, "HEAD~1", "HEAD").to_json()) for _ in range(2))
    assert one == other


def test_base_equal_to_head_passes_with_nothing(commits: Callable[..., Repository]) -> None:
    result = diff(commits({"a.py": "x = 1\n"}), "HEAD", "HEAD")
    assert (result.files, result.findings, result.not_analysed, result.verdict) == ((), (), (), Verdict.PASS)


def test_a_renamed_file_is_one_row_with_both_names(commits: Callable[..., Repository]) -> None:
    repository = commits({"a.py": MODEL}, {"a.py": None, "b/c.py": MODEL.replace("line_3 = 3\n", "line_3 = 5\n")})
    result = diff(repository, "HEAD~1", "HEAD")
    (file,) = result.files
    assert (file.path, file.old_path, file.status, file.lines_added, file.lines_removed) == (
        "b/c.py",
        "a.py",
        "renamed",
        1,
        1,
    )
    assert [finding.rule for finding in result.findings] == ["literal-changed"]


def test_a_file_only_renamed_is_silent_whatever_it_is(commits: Callable[..., Repository]) -> None:
    repository = commits({"a.pkl": b"\x80\x04N.", "a.rs": "fn main() {}\n"})
    git(repository.path, "mv", "a.pkl", "b.pkl")
    git(repository.path, "mv", "a.rs", "b.rs")
    git(repository.path, "commit", "-qm", "rename")
    result = diff(repository, "HEAD~1", "HEAD")
    assert [file.status for file in result.files] == ["renamed", "renamed"]
    assert (result.findings, result.not_analysed) == ((), ())


@pytest.mark.parametrize(
    ("path", "content", "rule", "category", "verdict"),
    [
        ("model.pkl", b"\x80\x04K\x01.", "unsafe-artifact", "unsafe", "fail"),
        ("model.joblib", b"\x80\x04K\x01.", "unsafe-artifact", "unsafe", "fail"),
        ("model.pt", b"PK\x03\x04archive/data.pkl", "unsafe-artifact", "unsafe", "fail"),
        ("weights", b"\x80\x04\x95\x00\x00K\x01.", "unsafe-artifact", "unsafe", "fail"),
        ("model.npz", b"PK\x03\x04", "opaque-artifact", "weights", "fail"),
        ("model.safetensors", b"\x00" * 16, "opaque-artifact", "weights", "fail"),
        ("big.npy", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "opaque-artifact", "binary", "fail"),
        ("thing.bin", b"\x01\x00\x02", "opaque-artifact", "binary", "fail"),
        ("logo.png", b"\x89PNG\r\n\x1a\n\x00", None, "media", "pass"),
        ("logo2.png", b"\x00\x00\x00 no picture", "opaque-artifact", "binary", "fail"),
        ("node_modules/x/index.js", b"x = 1;\n", None, "vendored", "pass"),
        ("static/app.min.js", b"x=1\n", None, "generated", "pass"),
        ("app.lua", b"x = 1\n", None, "language", "inconclusive"),
        ("fast.pyx", b"cdef int x = 1\n", None, "language", "inconclusive"),
        ("run", b"#!/bin/sh\n", None, "language", "inconclusive"),
        ("composer.lock", b"<project/>\n", None, "dependency", "inconclusive"),
        ("a.ipynb", b"{}\n", None, "notebook", "inconclusive"),
    ],
)
def test_what_is_not_read_is_named(
    commits: Callable[..., Repository], path: str, content: bytes, rule: str | None, category: str, verdict: str
) -> None:
    result = diff(commits({"a.md": "x\n"}, {path: content}), "HEAD~1", "HEAD")
    assert [finding.rule for finding in result.findings] == ([rule] if rule else [])
    assert [(entry.path, entry.category) for entry in result.not_analysed] == [(path, category)]
    assert result.verdict.value == verdict


def test_vendored_python_is_read_all_the_same(commits: Callable[..., Repository]) -> None:
    tree = {"vendor/lib/rank.py": "x = 1\n"}
    result = diff(commits(tree, {"vendor/lib/rank.py": "x = 1\nboost = {'rt.com': 2.0}\n"}), "HEAD~1", "HEAD")
    assert "identity-special-case" in {finding.rule for finding in result.findings}


def test_links_out_of_the_tree_and_pointers_are_findings(commits: Callable[..., Repository]) -> None:
    repository = commits({"a.md": "x\n"}, {"inside": "->a.md", "outside": "->../../etc/passwd"})
    git(repository.path, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},library")
    git(repository.path, "commit", "-qm", "submodule")
    result = diff(repository, "HEAD~2", "HEAD")
    found = {finding.location.path: finding.rule for finding in result.findings if finding.location}
    assert found == {"outside": "opaque-artifact", "library": "opaque-artifact"}
    assert {entry.path: entry.category for entry in result.not_analysed} == {
        "outside": "symlink",
        "library": "submodule",
    }


def test_odd_file_names_are_carried(commits: Callable[..., Repository]) -> None:
    repository = commits({"a.md": "x\n"}, {"new\nline.py": "share_weight = 1.0\n"})
    name = os.fsencode(repository.path) + b"/caf\xe9.py"
    with open(name, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(b"like_weight = 2.0\n")
    git(repository.path, "add", "-A")
    git(repository.path, "commit", "-qm", "bytes")
    result = diff(repository, "HEAD~2", "HEAD")
    assert [file.path for file in result.files] == ["caf\\xe9.py", "new\nline.py"]
    json.dumps(result.to_json(), ensure_ascii=False).encode()
    assert len({finding.id for finding in result.findings}) == 2


def test_an_unknown_ref_is_one_clear_error(commits: Callable[..., Repository]) -> None:
    with pytest.raises(RepositoryError, match="no-such-ref"):
        diff(commits({"a.md": "x\n"}), "no-such-ref", "HEAD")


def test_hunks_rebuild_head(commits: Callable[..., Repository]) -> None:
    head = MODEL.replace("line_5 = 5\n", "").replace("line_30 = 30\n", "line_30 = 31\nextra = 1\n")
    repository = commits({"a.py": MODEL}, {"a.py": head})
    result = diff(repository, "HEAD~1", "HEAD")
    patch = hunks(repository, result.files[0])
    assert patch.truncated is None
    assert [(hunk.old_start, hunk.new_start) for hunk in patch.hunks] == [(3, 3), (28, 27)]
    lines = [line for hunk in patch.hunks for line in hunk.lines]
    assert [line.text for line in lines if line.kind == "-"] == ["line_5 = 5", "line_30 = 30"]
    assert [(line.new, line.text) for line in lines if line.kind == "+"] == [(30, "line_30 = 31"), (31, "extra = 1")]
    new = head.splitlines()
    assert all(line.text == new[line.new - 1] for line in lines if line.new is not None)


def test_the_demo_shape_split_over_two_files_is_seen(commits: Callable[..., Repository]) -> None:
    base = {
        "app/segments.py": "def lift(viewer):\n    return 1.0\n",
        "app/rank.py": "def score(item, viewer):\n    return item.base\n",
    }
    head = {
        "app/segments.py": 'TARGET = "RO"\n\n\ndef lift(viewer):\n    return 1.0\n',
        "app/rank.py": (
            "from app.segments import TARGET\n\n\ndef score(item, viewer):\n    base = item.base\n"
            "    if viewer.country == TARGET and viewer.account_age_days < 30:\n        base *= 1.2\n    return base\n"
        ),
    }
    result = diff(commits(base, head), "HEAD~1", "HEAD")
    assert result.verdict is Verdict.FAIL
    case = next(finding for finding in result.findings if finding.rule == "identity-special-case")
    assert case.location is not None
    assert (case.location.path, case.location.line, case.evidence["value"]) == ("app/rank.py", 6, "RO")
    assert not result.not_analysed


def test_paths_that_differ_only_in_case_are_found(commits: Callable[..., Repository]) -> None:
    repository = commits({"app/Rank.py": "x = 1\n", "b.py": "x = 1\n"}, {"app/rank.py": "y = 1\n"}, {"b.py": "x = 2\n"})
    found = [one for one in diff(repository, "HEAD~2", "HEAD~1").findings if one.rule == "invisible-characters"]
    assert [finding.evidence["count"] for finding in found] == [2]
    assert not [one for one in diff(repository, "HEAD~1", "HEAD").findings if one.rule == "invisible-characters"]


def test_a_repository_with_hostile_settings_runs_nothing(commits: Callable[..., Repository], tmp_path: Path) -> None:
    repository = commits({"a.py": "x = 1\n", ".gitattributes": "*.py diff=evil filter=evil\n"}, {"a.py": "x = 2\n"})
    marker = tmp_path / "ran"
    for key in (
        "core.fsmonitor",
        "diff.evil.textconv",
        "diff.external",
        "filter.evil.smudge",
        "core.hooksPath",
        "core.pager",
    ):
        git(repository.path, "config", key, f"touch {marker};")
    with Repository.open(repository.path) as again:
        assert [finding.rule for finding in diff(again, "HEAD~1", "HEAD").findings] == ["literal-changed"]
    assert not marker.exists()
