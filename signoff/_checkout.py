# SPDX-License-Identifier: Apache-2.0
"""Comparing a checkout's files with the revision that was signed.

The folder is as hostile as the repository: links are not followed, other kinds of files are refused, and a file that
the commit does not have is refused too, since a recommender may load it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from confine import TreeEntry

_CHUNK = 1 << 20
_MAX_FILES = 2_000_000
_SHA1_DIGITS = 40


def is_checkout(path: Path) -> bool:
    """Whether the folder has a work tree: a ``.git`` of any kind."""
    return os.path.lexists(path / ".git")


def check_checkout(top: Path, tree: Mapping[str, TreeEntry], content: str, allowed: Iterable[Path]) -> None:
    """Check that the files under ``top`` are those of ``tree``, and no others.

    Args:
        top: the checkout's top folder.
        tree: the signed commit's entries by path.
        content: the hexadecimal digest that the entries' content must have, see `confine.Repository.content_digest`.
        allowed: files that may be there without being in the tree, since their own digests were checked.

    Raises:
        InputError: the first file that is missing, changed, of another kind or mode, or not in the commit.
    """
    found = _walk(os.fsencode(top))
    running = hashlib.sha256()
    for entry in tree.values():
        path = entry.path_bytes
        if entry.kind == "submodule":
            digest = hashlib.sha256(entry.object_id.encode()).hexdigest()
        else:
            details = found.pop(path, None)
            if details is None or _mode(details) != entry.mode:
                raise InputError(f"{entry.path!r} in the checkout is missing, or of another kind or mode than signed")
            digest = _digest(_join(os.fsencode(top), path), details, hashlib.sha256())
        running.update(b"%06o %s\t%s\0" % (entry.mode, digest.encode(), path))
    _refuse_others(os.fsencode(top.resolve()), found, allowed)
    if running.hexdigest() != content:
        raise InputError(f"{_first_changed(os.fsencode(top), tree)!r} in the checkout is not what was signed")


def _walk(top: bytes) -> dict[bytes, os.stat_result]:
    """Every file below ``top`` but its ``.git``, by relative path, with what lstat says of it. Folders do not count."""
    found: dict[bytes, os.stat_result] = {}
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(_join(top, folder)), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"{os.fsdecode(folder)!r} in the checkout cannot be read: {error.strerror}") from error
        for entry in entries:
            path = _join(folder, entry.name)
            if path == b".git":
                continue
            details = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(details.st_mode):
                waiting.append(path)
            else:
                found[path] = details
        if len(found) + len(waiting) > _MAX_FILES:
            raise InputError(f"more than {_MAX_FILES} files in the checkout")
    return found


def _join(folder: bytes, name: bytes) -> bytes:
    """One path of bytes: git's paths are bytes, and pathlib's are not."""
    return folder + b"/" + name if folder else name


def _mode(details: os.stat_result) -> int:
    """The mode as git would store it; 0 for what git has no mode for."""
    if stat.S_ISLNK(details.st_mode):
        return stat.S_IFLNK
    if stat.S_ISREG(details.st_mode):
        return stat.S_IFREG | (0o755 if details.st_mode & stat.S_IXUSR else 0o644)
    return 0


def _digest(path: bytes, details: os.stat_result, running: hashlib._Hash) -> str:
    try:
        if stat.S_ISLNK(details.st_mode):
            running.update(os.readlink(path))  # noqa: PTH115 - a path of bytes, which pathlib does not take
            return running.hexdigest()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - pathlib cannot open a descriptor
            while chunk := file.read(_CHUNK):
                running.update(chunk)
    except OSError as error:
        raise InputError(f"{os.fsdecode(path)!r} in the checkout cannot be read: {error.strerror}") from error
    return running.hexdigest()


def _refuse_others(top: bytes, others: Mapping[bytes, os.stat_result], allowed: Iterable[Path]) -> None:
    known = {os.fsencode(path.resolve()) for path in allowed}
    for path, details in others.items():
        if not stat.S_ISREG(details.st_mode) or _join(top, path) not in known:
            raise InputError(
                f"{os.fsdecode(path)!r} in the checkout is not in the signed commit; give a clean checkout, "
                "or name it with --artifact if it is one"
            )


def _first_changed(top: bytes, tree: Mapping[str, TreeEntry]) -> str:
    """The first file whose git id is not the tree's, for the message; the judgement is by SHA-256."""
    for entry in tree.values():
        path = _join(top, entry.path_bytes)
        if entry.kind == "submodule":
            continue
        details = os.lstat(path)
        running = hashlib.new("sha1" if len(entry.object_id) == _SHA1_DIGITS else "sha256", usedforsecurity=False)
        running.update(b"blob %d\0" % details.st_size)
        if _digest(path, details, running) != entry.object_id:
            return entry.path
    return "a file"
