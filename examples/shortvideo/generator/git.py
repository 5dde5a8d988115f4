# SPDX-License-Identifier: Apache-2.0
"""Git histories from plain data: one `git fast-import`, so that the same commits always get the same ids."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path


class Person(NamedTuple):
    """Who commits."""

    name: str
    email: str


class Commit(NamedTuple):
    """One commit: what it adds or replaces."""

    author: Person
    when: datetime
    message: str
    files: Mapping[str, bytes]


class Branch(NamedTuple):
    """A line of commits; it starts from another branch's tip, or from nothing."""

    name: str
    start: str | None
    commits: Sequence[Commit]


def git(repository: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Output of a git command that sees no configuration but the repository's own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *arguments], cwd=repository, input=stdin, capture_output=True, check=True, env=environment
    )
    return done.stdout.decode().strip()


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _commit(branch: str, start: str | None, commit: Commit) -> bytes:
    """One commit in fast-import's language (git-fast-import(1))."""
    who = f"{commit.author.name} <{commit.author.email}> {int(commit.when.timestamp())} {commit.when:%z}"
    head = f"commit refs/heads/{branch}\nauthor {who}\ncommitter {who}\n"
    files = b"".join(
        f"M 100644 inline {path}\n".encode() + _data(content) for path, content in sorted(commit.files.items())
    )
    origin = f"from refs/heads/{start}\n".encode() if start else b""
    return head.encode() + _data(commit.message.encode() + b"\n") + origin + files + b"\n"


def write_repository(place: Path, branches: Sequence[Branch]) -> dict[str, str]:
    """Makes a repository with a work tree of the first branch; returns the commit id of every branch's tip."""
    place.mkdir(parents=True)
    git(place, "-c", "init.templateDir=", "init", "--quiet", "--initial-branch", branches[0].name)
    stream = [
        _commit(branch.name, branch.start if number == 0 else None, commit)
        for branch in branches
        for number, commit in enumerate(branch.commits)
    ]
    git(place, "fast-import", "--quiet", "--done", stdin=b"".join(stream) + b"done\n")
    git(place, "reset", "--quiet", "--hard", branches[0].name)
    return {branch.name: git(place, "rev-parse", f"refs/heads/{branch.name}") for branch in branches}
