# SPDX-License-Identifier: Apache-2.0
"""Files that root alone may read, opened to the sandbox's user.

Where the service runs as root the sandbox runs as somebody else, who cannot read what is closed to others: a file
written under a strict umask, or by way of a temporary file. Such files are copied, with open modes, into a private
folder that lives as long as the sandbox; nothing of the original is changed.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from evidence import InputError

_FOLDER, _FILE, _PROGRAM = 0o755, 0o644, 0o755


def is_open(path: Path) -> bool:
    """Whether anyone may read a file, or enter and list a folder."""
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & wanted == wanted


def opened_tree(tree: Path, into: Path) -> Path:
    """``tree``, or a copy at ``into`` where something below it is closed. The mode of ``tree`` itself does not matter.

    Raises:
        InputError: it cannot be copied.
    """
    if all(path.is_symlink() or is_open(path) for path in _below(tree)):
        return tree
    try:
        shutil.copytree(tree, into, symlinks=True, ignore=_special, copy_function=shutil.copyfile)
    except OSError as error:
        raise InputError(f"{tree.name!r} cannot be copied for the sandbox's user: {error}") from error
    into.chmod(_FOLDER)
    for path in _below(into):
        if not path.is_symlink():
            original = tree / path.relative_to(into)
            program = path.is_file() and original.stat().st_mode & stat.S_IXUSR
            path.chmod(_FOLDER if path.is_dir() else _PROGRAM if program else _FILE)
    return into


def opened_file(path: Path, into: Path) -> Path:
    """``path``, or a copy at ``into`` where it is closed."""
    if is_open(path):
        return path
    shutil.copyfile(path, into)
    into.chmod(_FILE)
    return into


def _below(tree: Path) -> list[Path]:
    return [Path(folder, name) for folder, folders, files in os.walk(tree) for name in (*folders, *files)]


def _special(folder: str, names: list[str]) -> list[str]:
    """What is neither a file nor a folder nor a link: not copied."""
    kept = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    modes = {name: os.lstat(Path(folder, name)).st_mode for name in names}
    return [name for name, mode in modes.items() if not any(kind(mode) for kind in kept)]
