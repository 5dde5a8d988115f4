# SPDX-License-Identifier: Apache-2.0
"""Who works on a data folder, and what only one of them may do at a time: locks that end with their process.

Locks are flock(2)'s, on files of the data folder that every worker shares: no clock is compared and nobody has to be
declared dead by a timeout. A shared file system has to hand them on (local disks and volumes do, NFS from version 4).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evidence import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALONE = "local"  # the one worker of a data folder with SQLite


class _Mutex:
    """A lock file's share in this process: which thread holds it, and how often."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0


_here: dict[Path, _Mutex] = {}
_here_lock = threading.Lock()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at ``path``, against other threads and other processes; waits for it.

    Who holds it may take it again.
    """
    with _here_lock:
        mutex = _here.setdefault(path, _Mutex())
    with mutex.lock, contextlib.ExitStack() as held:
        if mutex.depth == 0:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        mutex.depth += 1
        try:
            yield
        finally:
            mutex.depth -= 1


class Lease:
    """A name among the workers of a data folder, held for as long as the process lives.

    Args:
        folder: where every worker of the data folder has its lock file.
        name: the name to hold; by default one that nobody ever had.

    Raises:
        ConflictError: another process holds the name.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.name = name or f"worker-{uuid.uuid4().hex}"
        held = _take(folder / self.name, create=True)
        if held is None:
            raise ConflictError(
                f"{folder.parent}: another process works on this data folder; stop it, or see COUNTERSIGN_DATABASE_URL"
            )
        self._descriptor = held
        self._leading: int | None = None

    def names(self) -> set[str]:
        """Every name that is held, or was by a process that has ended and was not seen to."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    def dead(self) -> Iterator[str]:
        """The names whose process has ended. Each is forgotten once the loop goes on, so that it is seen to once."""
        for path in sorted(self.folder.iterdir()):
            if path.name == self.name or path.name.startswith("."):
                continue
            descriptor = _take(path, create=False)
            if descriptor is None:
                continue
            try:
                yield path.name
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def leads(self) -> bool:
        """Whether this worker sees to what one of them has to; the first to ask does, for as long as it lives."""
        if self._leading is None:
            self._leading = _take(self.folder / ".leader", create=True)
        return self._leading is not None

    def close(self) -> None:
        """Give the name up."""
        with contextlib.suppress(OSError):
            (self.folder / self.name).unlink(missing_ok=True)
        for descriptor in (self._descriptor, self._leading):
            if descriptor is not None:
                os.close(descriptor)
        self._leading = None


def _take(path: Path, *, create: bool) -> int | None:
    """A descriptor that holds the lock of the file at ``path``; None if somebody holds it, or the file is gone."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0) | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass  # whoever held it forgot the file in between
        os.close(descriptor)
        if not create:
            return None
