# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the confine tests: real git repositories, made with plain git."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class GitFolder:
    """A folder with a repository, and plain git run in it: what the tests compare ours with."""

    path: Path

    def __call__(self, *arguments: str, stdin: bytes | None = None, check: bool = True, **variables: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(self.path)}
        for who in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}
            environment |= {f"GIT_{who}_DATE": "2026-01-02T03:04:05Z"}
        run = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=environment | variables,
            input=stdin or b"",
            capture_output=True,
            check=False,
        )
        assert not check or run.returncode == 0, run.stderr.decode()
        return run.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def write(self, path: str, content: str | bytes) -> None:
        place = self.path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "A change", **variables: str) -> str:
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message", message, **variables)
        return self("rev-parse", "HEAD")

    def object(self, kind: str, content: bytes) -> str:
        """Store any bytes as an object, however wrong."""
        return self("hash-object", "-t", kind, "-w", "--stdin", "--literally", stdin=content)

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        """A tree object of (octal mode, name, id) as given, unsorted and unchecked."""
        return self.object(
            "tree", b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(id_) for mode, name, id_ in entries)
        )

    def commit_of(self, tree: str, branch: str = "main") -> str:
        """A commit of a tree, at the tip of a branch."""
        commit = self("commit-tree", "-m", "Made by hand", tree)
        self("update-ref", f"refs/heads/{branch}", commit)
        return commit


@pytest.fixture
def new_git(tmp_path: Path) -> Callable[..., GitFolder]:
    """Make a repository under the test's own folder."""

    def make(name: str = "origin", *options: str) -> GitFolder:
        folder = GitFolder(tmp_path / name)
        folder.path.mkdir()
        folder("init", "--quiet", "--initial-branch=main", *options)
        return folder

    return make
