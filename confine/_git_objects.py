# SPDX-License-Identifier: Apache-2.0
"""Git objects by id, read through one long-lived ``git cat-file --batch-command`` and checked against their ids.

Git does not check an object from a pack against its id when it reads it, so the index of a hostile pack can hand
out anything under any name. Here every byte that leaves is hashed first or on its way.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import select
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, NamedTuple

from confine._git import READ_SECONDS, Drain, Git, Result, stop
from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

OBJECT_ID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
COMMIT_BYTES = 4 << 20
TREE_BYTES = 64 << 20
_CHUNK = 1 << 20
_WINDOW = 256  # requests sent ahead of their answers: far less than a pipe holds
_HEADER_BYTES = 4096
_REMEMBERED = 1_000_000
_SHA1_LENGTH = 40


class ObjectInfo(NamedTuple):
    """An object's type ("blob", "tree", "commit", "tag") and size in bytes."""

    kind: str
    size: int


def check_object_id(object_id: str) -> str:
    """``object_id`` itself if it is a full lower-case id.

    Raises:
        RepositoryError: it is anything else.
    """
    if not OBJECT_ID.match(object_id):
        raise RepositoryError(f"{object_id[:80]!r} is not a full object id")
    return object_id


class ObjectReader:
    """Reads objects of one git directory. Safe to share between threads; ``close`` ends its process."""

    def __init__(self, git: Git, *, seconds: float = READ_SECONDS) -> None:
        self._git, self._seconds = git, seconds
        self._lock = threading.Lock()
        self._batch: _Batch | None = None
        self._infos: dict[str, ObjectInfo] = {}  # spares a question for every file of a tree that was listed

    def close(self) -> None:
        """End the process; the next read starts a new one."""
        with self._lock:
            self._drop()

    def infos(self, object_ids: Sequence[str]) -> list[ObjectInfo]:
        """Type and size of each object, in the order asked; sizes are git's word until the object is read.

        Raises:
            RepositoryError: an object is missing, or unreadable.
        """
        ids = [check_object_id(object_id) for object_id in object_ids]
        found: list[ObjectInfo] = []
        with self._lock, self._dropped_on_error():
            batch = self._running()
            for start in range(0, len(ids), _WINDOW):
                window = ids[start : start + _WINDOW]
                batch.send("info", window)
                found += [batch.header(object_id) for object_id in window]
            if len(self._infos) + len(ids) > _REMEMBERED:
                self._infos.clear()
            self._infos.update(zip(ids, found, strict=True))
        return found

    def copy(self, object_id: str, kind: str, sink: Callable[[bytes], object], *, limit: int | None = None) -> int:
        """Hand the object's content to ``sink`` in chunks and return its size.

        What ``sink`` got is to be thrown away if this raises: the id is compared at the end.

        Raises:
            TooLargeError: the object is larger than ``limit``; nothing was handed on.
            RepositoryError: it is missing, of another kind, or its content is not what its id says.
        """
        check_object_id(object_id)
        with self._lock, self._dropped_on_error():
            batch = self._running()
            if limit is not None:
                info = self._infos.get(object_id) or self._ask(batch, object_id)
                if info.kind == kind and info.size > limit:
                    raise TooLargeError(f"object {object_id}: {info.size} bytes, over the limit of {limit}")
            batch.send("contents", [object_id])
            told = batch.header(object_id)
            if told.kind != kind:
                raise RepositoryError(f"object {object_id} is a {told.kind}, not a {kind}")
            if limit is not None and told.size > limit:
                raise RepositoryError(f"object {object_id} changed while it was read")
            running = hashlib.new("sha1" if len(object_id) == _SHA1_LENGTH else "sha256", usedforsecurity=False)
            running.update(f"{kind} {told.size}\0".encode())
            for chunk in batch.body(told.size):
                running.update(chunk)
                sink(chunk)
            if running.hexdigest() != object_id:
                raise RepositoryError(f"object {object_id} is damaged: its content does not have that id")
        return told.size

    def read(self, object_id: str, kind: str, *, limit: int) -> bytes:
        """The object's content; raises as ``copy``."""
        content = bytearray()
        self.copy(object_id, kind, content.extend, limit=limit)
        return bytes(content)

    def sha256(self, object_id: str) -> str:
        """The SHA-256 of a blob's content in hexadecimal, whatever its size, in constant memory."""
        running = hashlib.sha256()
        self.copy(object_id, "blob", running.update)
        return running.hexdigest()

    @staticmethod
    def _ask(batch: _Batch, object_id: str) -> ObjectInfo:
        batch.send("info", [object_id])
        return batch.header(object_id)

    def _running(self) -> _Batch:
        if self._batch is None:
            self._batch = _Batch(self._git, self._seconds)
        return self._batch

    def _drop(self) -> None:
        batch, self._batch = self._batch, None
        if batch:
            batch.close()

    @contextlib.contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # Whatever was left unread would be taken for the answer to the next request.
            self._drop()
            raise


class _Batch:
    """The process and its pipes; every wait ends at a deadline."""

    def __init__(self, git: Git, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = 0.0
        self._buffer = bytearray()
        self._process = git.start(["cat-file", "--batch-command"], stdin=subprocess.PIPE)
        self._stderr = Drain(self._process.stderr, _HEADER_BYTES)
        self._stdin, self._stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        self._readable = select.poll()  # select.select ends at descriptor 1024
        self._readable.register(self._stdout, select.POLLIN)

    def send(self, command: str, object_ids: Sequence[str]) -> None:
        """Ask for objects; the answers come in the same order."""
        self._deadline = time.monotonic() + self._seconds
        try:
            self._stdin.write("".join(f"{command} {object_id}\n" for object_id in object_ids).encode())
            self._stdin.flush()
        except BrokenPipeError as error:
            raise RepositoryError(f"git cat-file ended: {self._complaint()}") from error

    def header(self, object_id: str) -> ObjectInfo:
        """The first line of an answer."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _HEADER_BYTES:
                raise RepositoryError("git cat-file: an answer without end")
            self._fill()
        words = bytes(self._buffer[:end]).decode("ascii", "replace").split(" ")
        del self._buffer[: end + 1]
        match words:
            case [name, kind, size] if name == object_id and size.isdecimal():
                return ObjectInfo(kind, int(size))
            case [name, "missing"] if name == object_id:
                raise RepositoryError(f"object {object_id} is missing: the repository is partial or damaged")
        raise RepositoryError(f"object {object_id} cannot be read")

    def body(self, size: int) -> Iterator[bytes]:
        """The content after a header, in chunks, and the line feed that ends it."""
        while size:
            if not self._buffer:
                self._fill()
            chunk = bytes(self._buffer[:size])
            del self._buffer[: len(chunk)]
            size -= len(chunk)
            yield chunk
        while not self._buffer:
            self._fill()
        del self._buffer[:1]

    def close(self) -> None:
        """Kill the process and close its pipes."""
        stop(self._process)
        self._stderr.join()
        self._stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def _fill(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0 or not self._readable.poll(left * 1000):
            raise RepositoryError(f"git cat-file: no answer within {self._seconds:g} s, stopped")
        chunk = os.read(self._stdout.fileno(), _CHUNK)
        if not chunk:
            raise RepositoryError(f"git cat-file ended: {self._complaint()}")
        self._buffer += chunk

    def _complaint(self) -> str:
        stop(self._process)
        self._stderr.join()
        return Result(self._process.returncode, b"", bytes(self._stderr.data).decode("utf-8", "replace")).complaint


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:  # pragma: no cover - all three were asked for
        raise RepositoryError("git cat-file started without pipes")
    return stream
