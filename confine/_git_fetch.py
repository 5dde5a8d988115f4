# SPDX-License-Identifier: Apache-2.0
"""Mirrors: fetching a repository whole or not at all, within limits, over few protocols."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from confine._git import Git, Result
from confine._git_objects import OBJECT_ID
from confine._git_url import Remote, parse_url
from confine._git_view import View, config_text, locate, write_whole
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BRANCHES_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\@{]+(?:/\*(?:/[^\x00-\x20\x7f~^:?*\[\\@{]+)?)?\Z")
_OPTIONS = (
    "--quiet",
    "--no-tags",
    "--prune",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-show-forced-updates",
)
_LOCK_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The most that a mirror may take: bytes on disk, and seconds for the whole fetch."""

    bytes: int = 4 << 30
    seconds: float = 900.0


def mirror(url: str, into: Path, limits: FetchLimits, extra_refs: Sequence[str], *, allow_local: bool) -> None:
    """Make ``into`` a mirror of ``url`` as ``Repository.mirror`` describes."""
    deadline = time.monotonic() + limits.seconds
    remote = parse_url(url, allow_local=allow_local)
    wanted = [_checked_ref(ref) for ref in extra_refs]
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(into, deadline))
            if remote.local is not None:
                remote = _through_view(remote, remote.local, stack)
            if os.path.lexists(into):
                _update(remote, into, limits, deadline, wanted)
            else:
                _create(remote, into, limits, deadline, wanted)
    except OSError as error:
        raise RepositoryError(f"{into}: cannot be written: {error.strerror}: {error.filename}") from error


def _through_view(remote: Remote, local: Path, stack: contextlib.ExitStack) -> Remote:
    """A local repository is served from behind a view: git would run its upload-pack with its own configuration."""
    located = locate(local)
    if located.shallow:
        raise RepositoryError(f"{local} is a shallow clone, its history cut off: run git fetch --unshallow")
    view = View(located)
    stack.callback(view.close)
    return replace(remote, address=f"file://{view.git_dir}", object_format=located.object_format)


def _create(remote: Remote, into: Path, limits: FetchLimits, deadline: float, wanted: Sequence[str]) -> None:
    unfinished = into.parent / f".{into.name}.partial"
    # We hold the lock, so that one already there is what a killed process left.
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    try:
        for name in ("objects/pack", "objects/info", "refs/heads", "refs/tags"):
            (unfinished / name).mkdir(parents=True)
        write_whole(unfinished / "HEAD", "ref: refs/heads/main\n")
        _fetch(remote, unfinished, limits, deadline, wanted)
        if not _has_refs(unfinished):
            raise RepositoryError(f"{remote.shown}: the repository is empty, it has no branch or tag")
        unfinished.chmod(0o755)
        unfinished.rename(into)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _update(remote: Remote, into: Path, limits: FetchLimits, deadline: float, wanted: Sequence[str]) -> None:
    located = locate(into)
    if located.git_dir != into.resolve() or located.common_dir != located.git_dir:
        raise RepositoryError(f"{into}: exists and is not a mirror; nothing was changed")
    remote = replace(remote, object_format=located.object_format)
    try:
        _fetch(remote, into, limits, deadline, wanted)
    except BaseException:
        # The refs did not move; what a killed fetch left of its pack is only weight.
        for leftover in (into / "objects").glob("**/tmp_*"):
            leftover.unlink(missing_ok=True)
        raise


def _fetch(remote: Remote, git_dir: Path, limits: FetchLimits, deadline: float, wanted: Sequence[str]) -> None:
    write_whole(git_dir / "config", config_text(remote.object_format))
    git = Git(git_dir, protocols=(remote.protocol,), config=remote.config)
    head = _remote_head(git, remote, deadline)
    _run(
        git,
        remote,
        [*_BRANCHES_AND_TAGS, *(f"+{ref}:{ref}" for ref in wanted if ref.startswith("refs/"))],
        limits,
        deadline,
    )
    for object_id in wanted:
        if OBJECT_ID.match(object_id) and not _present(git, object_id):
            _run(git, remote, [f"+{object_id}:refs/countersign/{object_id}"], limits, deadline)
    if head:
        write_whole(git_dir / "HEAD", f"ref: {head}\n")


def _run(git: Git, remote: Remote, refspecs: Sequence[str], limits: FetchLimits, deadline: float) -> None:
    def within_size() -> None:
        if _size(git.git_dir) > limits.bytes:
            raise TooLargeError(f"{remote.shown}: over the limit of {limits.bytes} bytes, stopped")

    def attempt(*atomic: str) -> Result:
        return git.run(
            ["fetch", *_OPTIONS, *atomic, "--", remote.address, *refspecs],
            seconds=max(0.0, deadline - time.monotonic()),
            check=within_size,
        )

    result = attempt("--atomic")
    if result.status and "cannot lock ref" in result.stderr:
        # No one transaction can make a branch a/b where it drops the branch a. The objects are here by now, so that
        # what is left to go wrong one by one is little, and the next update puts it right.
        result = attempt()
    if result.status:
        raise RepositoryError(f"{remote.shown} cannot be fetched: {remote.redact(result.complaint)}")


def _remote_head(git: Git, remote: Remote, deadline: float) -> str | None:
    """The branch that HEAD of the other side names, if it names one."""
    result = git.run(
        ["ls-remote", "--quiet", "--symref", "--", remote.address, "HEAD"],
        seconds=max(0.0, deadline - time.monotonic()),
        limit=1 << 20,
    )
    if result.status:
        raise RepositoryError(f"{remote.shown} cannot be fetched: {remote.redact(result.complaint)}")
    found = re.match(r"ref: (refs/heads/\S+)\tHEAD\n", result.stdout.decode("utf-8", "surrogateescape"))
    return found[1] if found and _REF.match(found[1]) and "*" not in found[1] else None


def _present(git: Git, object_id: str) -> bool:
    return git.run(["cat-file", "-e", f"{object_id}^{{commit}}"]).status == 0


def _has_refs(git_dir: Path) -> bool:
    return bool(Git(git_dir).run(["for-each-ref", "--count=1"]).stdout)


def _checked_ref(ref: str) -> str:
    if OBJECT_ID.match(ref) or (_REF.match(ref) and ".." not in ref and not ref.endswith((".lock", "/", "."))):
        return ref
    raise RepositoryError(f"{ref[:80]!r} is neither a full ref (refs/…) nor a full commit id")


def _size(folder: Path) -> int:
    """Bytes of all files below, whatever vanishes meanwhile."""
    total = 0
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


@contextlib.contextmanager
def _locked(into: Path, deadline: float) -> Iterator[None]:
    """Hold the lock file beside ``into``; it is left there, as removing it would let two holders in."""
    with (into.parent / f".{into.name}.lock").open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RepositoryError(f"{into}: another process is still updating this mirror") from None
                time.sleep(_LOCK_POLL_SECONDS)
        yield
