# SPDX-License-Identifier: Apache-2.0
"""Writing that survives a kill at any point: a file is whole under its name, or not there.

Each operation is a method, so that a test can stop the process before, within and after every one of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = ".unfinished"


class Disk:
    """The operations that change a log's directory."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Make what was written last through a power cut."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its name, in place of any file of that name."""
        source.replace(target)

    def make_directory(self, path: Path) -> None:
        """Make one directory."""
        path.mkdir(exist_ok=True)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def publish(self, path: Path, data: bytes, unfinished: Path) -> None:
        """Put ``data`` under ``path``: written to ``unfinished``, synced, renamed, and the directory synced."""
        self._directory(path.parent)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self.write(descriptor, data)
            self.sync(descriptor)
        finally:
            os.close(descriptor)
        self.rename(unfinished, path)
        self._sync_directory(path.parent)

    def _directory(self, path: Path) -> None:
        if path.is_dir():
            return
        self._directory(path.parent)
        self.make_directory(path)
        self._sync_directory(path.parent)

    def _sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)
