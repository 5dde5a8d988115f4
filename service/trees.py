# SPDX-License-Identifier: Apache-2.0
"""The digest of a plain folder, for an audit of two folders that are in no repository."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from evidence import InputError, file_sha256, sha256_hex

if TYPE_CHECKING:
    from pathlib import Path

    from evidence import Digest

_SKIPPED = frozenset({".git", "__pycache__"})
_MAX_FILES = 1_000_000


def tree_digest(tree: Path) -> Digest:
    """A SHA-256 over the folder's files by path, mode and content, as of a commit with the same files.

    ``.git`` and ``__pycache__`` do not count. Links count by their target's name and are not followed.

    Raises:
        InputError: a device, socket or pipe is in the folder, or more than a million files.
    """
    entries: dict[bytes, tuple[int, str]] = {}
    waiting = [tree]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_dir() and not path.is_symlink():
                if path.name not in _SKIPPED:
                    waiting.append(path)
                continue
            entries[os.fsencode(path.relative_to(tree))] = _entry(path)
        if len(entries) > _MAX_FILES:
            raise InputError(f"{tree}: more than {_MAX_FILES} files")
    running = hashlib.sha256()
    for relative, (mode, content) in sorted(entries.items()):
        running.update(b"%06o %s\t%s\0" % (mode, content.encode(), relative))
    return f"sha256:{running.hexdigest()}"


def _entry(path: Path) -> tuple[int, str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return stat.S_IFLNK, sha256_hex(os.fsencode(path.readlink()))
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: neither file nor folder; nothing like it belongs into a recommender")
    return stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644), file_sha256(path)
