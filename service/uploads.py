# SPDX-License-Identifier: Apache-2.0
"""Artifacts handed in over HTTP: appended to a file that nobody sees, hashed on the way, put in place whole.

Each platform and repository has a place of its own, and nothing is found by its digest: that somebody else has the same
bytes can neither be asked nor used. What is in place is not changed any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy import delete, func, select

from evidence import ConflictError, InputError, NotFoundError, SandboxMissingError, TooLargeError, file_sha256
from service.arrivals import commit_id, now
from service.database import UploadRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.context import Context
    from service.settings import Platform

UNFINISHED = timedelta(days=1)
MOST_UNFINISHED = 32
MAX_PATH = 400
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_RUNNING = 256

_running: dict[str, tuple[int, hashlib._Hash]] = {}
_running_lock = threading.Lock()


class DiskError(SandboxMissingError):
    """The disk does not take it."""

    problem = "disk"


@dataclass(frozen=True, slots=True)
class Target:
    """Whose artifact, of which commit, at which path of its manifest."""

    platform: str
    repository: str
    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it is: ``offset`` bytes are here, of ``size`` where that was said; ``done`` once it is in place."""

    id: str
    offset: int
    size: int | None
    done: bool
    sha256: str | None


def target(platform: Platform, repository: str, commit: str, path: str) -> Target:
    """Where an artifact goes.

    Raises:
        InputError: a repository that is not the platform's, no commit id, or a path that leads out of a folder.
        ConflictError: the operator has a folder for this platform's artifacts: they are put there.
    """
    if platform.artifacts is not None:
        raise ConflictError(
            f"artifacts of platform {platform.name} are taken from the operator's folder: put them there"
        )
    configured = platform.find(repository)
    if configured is None:
        raise InputError(f"repository {repository[:200]} is not configured for platform {platform.name}")
    return Target(platform.name, configured.name, commit_id(commit, "commit"), artifact_path(path))


def artifact_path(path: str) -> str:
    """``path``, if it is one below a folder, by names alone; raises InputError."""
    shown = f"path {path[:80]!r}"
    if not path or len(path.encode("utf-8", "surrogateescape")) > MAX_PATH or not path.isprintable() or "\\" in path:
        raise InputError(f"{shown}: give 1 to {MAX_PATH} printable bytes without a backslash")
    if any(part in {"", ".", ".."} or len(part.encode()) > 200 for part in path.split("/")):  # noqa: PLR2004 - of a name
        raise InputError(f"{shown}: give a path of names below the commit's folder, without . and ..")
    return path


def begin(context: Context, where: Target, *, size: int | None, sha256: str | None) -> Upload:
    """A new upload, with nothing in it yet. ``sha256`` is what the whole has to have, where the sender knows it.

    Raises:
        TooLargeError: over the limit of a file, or of all that a platform may have here.
        ConflictError: too many of this platform are unfinished.
        InputError: ``sha256`` is none.
    """
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise InputError("the digest is no SHA-256 of 64 hexadecimal digits")
    _expire(context)
    _room(context, where.platform, size or 0)
    identifier = secrets.token_hex(16)
    moment = now()
    with context.database.write() as session:
        mine = (UploadRow.platform == where.platform) & UploadRow.done_at.is_(None)
        if (session.scalar(select(func.count()).where(mine)) or 0) >= MOST_UNFINISHED:
            raise ConflictError(f"{MOST_UNFINISHED} uploads are unfinished: finish or delete one, or wait a day")
        session.add(
            UploadRow(
                id=identifier,
                platform=where.platform,
                repository=where.repository,
                commit=where.commit,
                path=where.path,
                size=size,
                sha256=sha256,
                created_at=moment,
            )
        )
    _part(context, identifier).touch(mode=0o600)
    return Upload(identifier, 0, size, done=False, sha256=None)


def look(context: Context, platform: str, identifier: str, sees: Callable[[str], bool]) -> Upload:
    """An upload of this platform. NotFoundError if there is none, or it is of another platform or repository."""
    row = _row(context, platform, identifier, sees)
    if row.done_at is not None:
        return Upload(row.id, row.size or 0, row.size, done=True, sha256=row.sha256)
    try:
        here = _part(context, row.id).stat().st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no upload {identifier[:64]}") from error
    return Upload(row.id, here, row.size, done=False, sha256=None)


class Appending:
    """A part file, locked and open at its end. ``close`` makes what was written durable."""

    def __init__(self, context: Context, upload: Upload, offset: int) -> None:
        self._upload, self._limit = upload, context.settings.artifact_bytes
        self._path = _part(context, upload.id)
        try:
            self._file: BinaryIO = self._path.open("r+b", buffering=0)
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no upload {upload.id}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(self._file.fileno())
            _check_offset(offset, status.st_size)
            self.size = self._file.seek(0, os.SEEK_END)
            self._hash = _resumed(upload.id, self._path, self.size)
            self._whole = status.st_nlink != 1  # in place already, by a process that was killed then
        except BlockingIOError as error:
            self._file.close()
            raise ConflictError("another request is sending to this upload: wait for its end") from error
        except BaseException:
            self._file.close()
            raise

    def write(self, chunk: bytes) -> None:
        """Append.

        Raises:
            TooLargeError: over the size that was said, or the limit of a file; nothing more is taken.
            DiskError: the disk does not take it.
        """
        limit = self._limit if self._upload.size is None else min(self._limit, self._upload.size)
        if self._whole or self.size + len(chunk) > limit:
            raise TooLargeError(f"more than {limit} bytes were sent")
        try:
            rest = memoryview(chunk)
            while rest:
                written = self._file.write(rest) or 0
                self._hash.update(rest[:written])
                self.size += written
                rest = rest[written:]
        except OSError as error:
            raise DiskError(f"the disk here does not take it: {error.strerror}; send the rest later") from error

    def close(self) -> None:
        """Make durable what was written, and let the next request have it."""
        try:
            os.fsync(self._file.fileno())
            with _running_lock:
                while len(_running) >= _MOST_RUNNING:
                    _running.pop(next(iter(_running)))
                _running[self._upload.id] = (self.size, self._hash)
        finally:
            self._file.close()


def _check_offset(offset: int, here: int) -> None:
    if offset != here:
        raise ConflictError(f"Upload-Offset is {offset}, and {here} bytes are here: go on from there")


def finish(context: Context, platform: str, identifier: str, sees: Callable[[str], bool]) -> Upload:
    """Put an upload in its place, whole; once it is there, it is not changed any more.

    Raises:
        InputError: fewer bytes than was said; they can still be sent. Or not the digest that was said: it is gone.
        ConflictError: another file is there already.
        TooLargeError: over what the platform may have here.
    """
    row = _row(context, platform, identifier, sees)
    part = _part(context, identifier)
    if row.done_at is not None:
        return look(context, platform, identifier, sees)
    size = part.stat().st_size
    if row.size is not None and size < row.size:
        raise InputError(f"{size} of {row.size} bytes are here: send the rest")
    digest = _resumed(identifier, part, size).hexdigest()
    if row.sha256 not in {None, digest}:
        drop(context, platform, identifier, sees)
        raise InputError(f"the content's SHA-256 is {digest}, not what was said: send it again from the start")
    _room(context, platform, 0)
    try:
        _place(context.uploaded(row.platform, row.repository, row.commit), row.path, part, digest)
    except ConflictError:
        drop(context, platform, identifier, sees)
        raise
    with context.database.write() as session:
        done = session.get_one(UploadRow, identifier)
        done.size, done.sha256, done.done_at = size, digest, now()
    _forget(part, identifier)
    return Upload(identifier, size, size, done=True, sha256=digest)


def drop(context: Context, platform: str, identifier: str, sees: Callable[[str], bool]) -> None:
    """End an upload that is not in place. What is in place stays. NotFoundError as `look`."""
    row = _row(context, platform, identifier, sees)
    if row.done_at is not None:
        raise ConflictError("the upload is complete: what is in place stays")
    with context.database.write() as session:
        session.execute(delete(UploadRow).where(UploadRow.id == identifier))
    _forget(_part(context, identifier), identifier)


def gone(context: Context, identifier: str) -> bool:
    """Whether an upload was dropped, or is in place."""
    with context.database.read() as session:
        row = session.get(UploadRow, identifier)
    return row is None or row.done_at is not None


def _place(folder: Path, path: str, part: Path, digest: str) -> None:
    """Link the file to its place: it is there whole, or not at all, and never instead of another one."""
    into = folder / path
    try:
        into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.link(part, into)
    except (FileExistsError, NotADirectoryError) as error:
        if not into.is_file() or into.is_symlink() or file_sha256(into) != digest:
            raise ConflictError(
                f"{path} of this commit is there already, and another: artifacts of a commit do not change"
            ) from error
    for place in (into.parent, folder):
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _row(context: Context, platform: str, identifier: str, sees: Callable[[str], bool]) -> UploadRow:
    with context.database.read() as session:
        row = session.get(UploadRow, identifier[:64])
    if row is None or row.platform != platform or not sees(row.repository):
        raise NotFoundError(f"there is no upload {identifier[:64]}")
    return row


def _part(context: Context, identifier: str) -> Path:
    return context.settings.data / "uploads" / identifier


def _forget(part: Path, identifier: str) -> None:
    part.unlink(missing_ok=True)
    with _running_lock:
        _running.pop(identifier, None)


def _resumed(identifier: str, part: Path, size: int) -> hashlib._Hash:
    """The running SHA-256 of what is here; read again where another process, or one before, has written it."""
    with _running_lock:
        known = _running.get(identifier)
    if known is not None and known[0] == size:
        return known[1].copy()
    running = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return running


def _room(context: Context, platform: str, more: int) -> None:
    settings = context.settings
    if more > settings.artifact_bytes:
        raise TooLargeError(f"{more} bytes, over the limit of {settings.artifact_bytes} for an artifact")
    with context.database.read() as session:
        rows = session.scalars(select(UploadRow).where(UploadRow.platform == platform)).all()
    used = sum((row.size or 0) if row.done_at is not None else _here(context, row.id) for row in rows)
    if used + more > settings.artifacts_bytes:
        raise TooLargeError(
            f"platform {platform} has {used} of the {settings.artifacts_bytes} bytes that it may have here"
        )


def _here(context: Context, identifier: str) -> int:
    try:
        return _part(context, identifier).stat().st_size
    except FileNotFoundError:
        return 0


def _expire(context: Context) -> None:
    """Remove what nobody has finished for a day."""
    with context.database.write() as session:
        old = (UploadRow.created_at < now() - UNFINISHED) & UploadRow.done_at.is_(None)
        gone = session.scalars(select(UploadRow.id).where(old)).all()
        session.execute(delete(UploadRow).where(UploadRow.id.in_(gone)))
    for identifier in gone:
        _forget(_part(context, identifier), identifier)
