# SPDX-License-Identifier: Apache-2.0
"""The evidence store: content-addressed files. What is read is what was written, or an error."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from evidence import CountersignError, InputError, NotFoundError, canonical, digest, parse_json

if TYPE_CHECKING:
    from evidence import Digest, Json

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class EvidenceDamagedError(CountersignError):
    """A file of the store no longer has the content that its name promises."""

    problem = "evidence-damaged"


class EvidenceStore:
    """A folder of files named by the SHA-256 of their content.

    Writing is atomic and durable (temporary file, fsync, rename, fsync of the folder) and idempotent, so that a step
    that is run again after a crash leaves one file. Reading verifies. Does not check who may read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, content: bytes) -> Digest:
        """Store ``content``; returns its digest."""
        name = digest(content)
        path = self._path(name)
        if path.exists():
            return name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_durably(path, content)
        return name

    def put_json(self, document: Json) -> Digest:
        """Store a document as canonical JSON; returns its digest."""
        return self.put(canonical(document))

    def get(self, name: Digest) -> bytes:
        """The content under ``name``.

        Raises:
            NotFoundError: there is none.
            EvidenceDamagedError: the file was changed since it was written.
        """
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"no evidence {name} in the store") from error
        if digest(content) != name:
            raise EvidenceDamagedError(f"evidence {name} is damaged on disk: restore {self._path(name)} from a backup")
        return content

    def remove(self, name: Digest) -> None:
        """Take ``name`` out of the store; nothing happens if it is not there. Who may is for the caller to know."""
        self._path(name).unlink(missing_ok=True)

    def get_json(self, name: Digest) -> Json:
        """The document under ``name``; raises as ``get`` does."""
        return parse_json(self.get(name), f"evidence {name}", limit=1 << 30)

    def _path(self, name: Digest) -> Path:
        if not _DIGEST.fullmatch(name):
            raise InputError(f"{name!r} is not a digest: it should be sha256: and 64 hexadecimal digits")
        hexadecimal = name.removeprefix("sha256:")
        return self.root / hexadecimal[:2] / hexadecimal


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file whole or not at all: a crash leaves the old file or the new one, never half of one."""
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
