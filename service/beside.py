# SPDX-License-Identifier: Apache-2.0
"""Files below a folder that somebody else writes to at any moment: opened part by part, and no link is followed.

What is opened is a plain file that lies below the folder, also where a part is exchanged between two looks at it; size
and content are of that file. Not held here: that its content stays as it is while it is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from evidence import Artifact, ManifestError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BESIDE = 64 << 30  # bytes of one file
_CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # without waiting for a pipe's other end
_GONE = (errno.ENOENT, errno.ENXIO)


def measured(root: Path, relative: str, name: str) -> Artifact | None:
    """Size and SHA-256 of a file below ``root`` as the artifact of that name; None where there is no such file.

    Raises:
        ManifestError: a link on the way or at its end, or no plain file.
        TooLargeError: over ``MAX_BESIDE``.
    """
    found = _opened(root, relative)
    if found is None:
        return None
    with found as file:
        size, running = 0, hashlib.sha256()
        for chunk in _chunks(file, relative, MAX_BESIDE):
            size += len(chunk)
            running.update(chunk)
    return Artifact(name, size, running.hexdigest())


def copied(root: Path, relative: str, into: Path, *, limit: int = MAX_BESIDE) -> bool:
    """Copy a file below ``root`` to ``into``. False where there is no such file.

    Raises:
        ManifestError: a link on the way or at its end, or no plain file.
        TooLargeError: over the limit.
    """
    found = _opened(root, relative)
    if found is None:
        return False
    into.parent.mkdir(parents=True, exist_ok=True)
    with found as file, into.open("wb") as copy:
        try:
            for chunk in _chunks(file, relative, limit):
                copy.write(chunk)
        except TooLargeError:
            into.unlink()
            raise
    return True


def neighbours(root: Path, relative: str) -> list[str]:
    """The paths below ``root`` of what lies in the same folder as a file. ManifestError for a link on the way."""
    *folders, _ = relative.split("/")
    with _folder(root, folders, relative) as folder:
        names = sorted(os.listdir(folder)) if folder is not None else []  # noqa: PTH208 - of a descriptor
    return ["/".join([*folders, name]) for name in names]


def _opened(root: Path, relative: str) -> BinaryIO | None:
    *folders, last = relative.split("/")
    with _folder(root, folders, relative) as folder:
        handle = None if folder is None else _open(last, _FILE, relative, folder)
    if handle is None:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ManifestError(f"artifacts beside the repository: {relative!r} is no plain file")
    return os.fdopen(handle, "rb")


@contextmanager
def _folder(root: Path, parts: list[str], relative: str) -> Iterator[int | None]:
    """A descriptor of the folder at ``parts`` below ``root``; None where there is none."""
    handle = _open(str(root), _FOLDER, relative)
    try:
        for part in parts:
            if handle is None:
                break
            above, handle = handle, None
            try:
                handle = _open(part, _FOLDER, relative, above)
            finally:
                os.close(above)
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _open(name: str, flags: int, relative: str, above: int | None = None) -> int | None:
    try:
        return os.open(name, flags, dir_fd=above)
    except OSError as error:
        if error.errno in _GONE:
            return None
        place = f"artifacts beside the repository: {relative!r}"
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            if _is_link(name, above):
                raise ManifestError(f"{place} goes through a symbolic link; artifacts are plain files") from error
            return None
        raise ManifestError(f"{place} cannot be opened: {error.strerror}") from error


def _is_link(name: str, above: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _chunks(file: BinaryIO, relative: str, limit: int) -> Iterator[bytes]:
    """The content, of which no more than the limit is read: a file may grow while it is."""
    read = 0
    while chunk := file.read(_CHUNK):
        read += len(chunk)
        if read > limit:
            raise TooLargeError(f"artifacts beside the repository: {relative!r}: over the limit of {limit} bytes")
        yield chunk
