# SPDX-License-Identifier: Apache-2.0
"""A clean git directory in front of a hostile one.

Git runs what a repository's configuration names: ``core.fsmonitor``, ``core.sshCommand``, ``diff.*.command``,
filters, aliases, ``include.path``. A list of keys to override is never complete, so the configuration is not read
at all: the view is a directory with our own ``config`` and no hooks, whose ``objects``, ``refs``, ``packed-refs``
and ``shallow`` are links to the originals. Git needs no ownership exception for it either (``safe.directory``),
since nothing that another user wrote is executed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from evidence import RepositoryError

_SMALL = 4096
_CONFIG_BYTES = 1 << 20
_HEAD = re.compile(r"(?:ref: refs/[^\x00-\x20\x7f~^:?*\[\\]+|[0-9a-f]{40}|[0-9a-f]{64})\Z")
_GITFILE = "gitdir: "

CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tbare = true
\tcommitGraph = false
\tmultiPackIndex = false
[extensions]
\tobjectFormat = {object_format}
[pack]
\tuseBitmaps = false
\tthreads = 1
[uploadpack]
\tallowAnySHA1InWant = true
[gc]
\tauto = 0
"""


@dataclass(frozen=True, slots=True)
class Located:
    """Where a repository keeps its parts.

    ``git_dir`` has HEAD, ``common_dir`` objects and refs (they differ only in a linked worktree); ``object_format``
    is "sha1" or "sha256"; ``shallow``: its history is cut off.
    """

    git_dir: Path
    common_dir: Path
    object_format: str
    shallow: bool

    def head(self) -> str:
        """The content of HEAD, ``ref: refs/…`` or an object id.

        Raises:
            RepositoryError: it is anything else.
        """
        text = _read_small(self.git_dir / "HEAD", _SMALL).strip()
        if not _HEAD.match(text):
            raise RepositoryError(f"{self.git_dir}: HEAD is neither a ref nor an object id")
        return text


def locate(path: Path) -> Located:
    """Find the git directory at ``path``: bare, or the top folder of a worktree, linked or not.

    Folders above are not searched: what is reviewed is what was named.

    Raises:
        RepositoryError: there is none, it borrows objects from elsewhere, or it is of a format we cannot read.
    """
    inner = path / ".git"
    git_dir = path
    if inner.is_dir():
        git_dir = inner
    elif inner.is_file():
        text = _read_small(inner, _SMALL).strip()
        if not text.startswith(_GITFILE):
            raise RepositoryError(f"{inner}: neither a folder nor a 'gitdir:' file")
        git_dir = path / text.removeprefix(_GITFILE)
    common_dir = git_dir
    if (git_dir / "commondir").is_file():
        common_dir = git_dir / _read_small(git_dir / "commondir", _SMALL).strip()
    if not ((git_dir / "HEAD").exists() and (common_dir / "objects").is_dir()):
        raise RepositoryError(f"{path}: no git repository here; give its top folder or a bare repository")
    if (common_dir / "reftable").exists():
        raise RepositoryError(f"{path}: stores its refs as reftable; run git refs migrate --ref-format=files")
    if not (common_dir / "refs").is_dir():
        raise RepositoryError(f"{path}: no git repository here; its refs are missing")
    _refuse_alternates(path, common_dir / "objects" / "info" / "alternates")
    return Located(
        git_dir.resolve(),
        common_dir.resolve(),
        _object_format(common_dir / "config"),
        (common_dir / "shallow").exists(),
    )


def _refuse_alternates(path: Path, alternates: Path) -> None:
    # Objects of another repository on this machine would become readable as if they were this one's.
    if os.path.lexists(alternates) and (named := _read_small(alternates, _CONFIG_BYTES).split()):
        raise RepositoryError(
            f"{path}: borrows objects from {named[0]}; make it whole with 'git repack -a -d' and remove {alternates}"
        )


def _object_format(config: Path) -> str:
    # The one setting that the objects cannot be read without. It is looked for, not parsed: a wrong answer can only
    # make objects unreadable.
    if not config.exists():
        return "sha1"
    found = re.search(r"(?im)^\s*objectformat\s*=\s*\"?(\w+)", _read_small(config, _CONFIG_BYTES))
    return "sha256" if found and found[1].lower() == "sha256" else "sha1"


def _read_small(path: Path, limit: int) -> str:
    """A regular file's text; never waits on a fifo, never reads a device or more than ``limit`` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RepositoryError(f"{path}: {error.strerror}") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - pathlib cannot open a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RepositoryError(f"{path}: not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise RepositoryError(f"{path}: more than {limit} bytes")
    return data.decode("utf-8", "surrogateescape")


class View:
    """The clean directory; ``close`` removes it. ``refresh`` takes over HEAD, the one part that is copied."""

    def __init__(self, located: Located) -> None:
        self._located = located
        located.head()
        self.git_dir = Path(tempfile.mkdtemp(prefix="countersign-git-"))
        try:
            self._build()
        except OSError as error:
            self.close()
            raise RepositoryError(f"{self.git_dir}: no view of the repository: {error}") from error

    def refresh(self) -> None:
        """Copy HEAD as it now is."""
        self._write("HEAD", self._located.head() + "\n")

    def close(self) -> None:
        """Remove the directory; the repository behind it is not touched."""
        shutil.rmtree(self.git_dir, ignore_errors=True)

    def _build(self) -> None:
        for name in ("objects", "refs", "packed-refs", "shallow"):
            (self.git_dir / name).symlink_to(self._located.common_dir / name)
        self._write("config", config_text(self._located.object_format))
        self.refresh()

    def _write(self, name: str, text: str) -> None:
        write_whole(self.git_dir / name, text)


def config_text(object_format: str) -> str:
    """The whole configuration of a git directory of ours."""
    return CONFIG.format(version=1, object_format=object_format)


def write_whole(path: Path, text: str) -> None:
    """Write a file by renaming a finished one over it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    unfinished.write_text(text, encoding="utf-8", errors="surrogateescape")
    unfinished.replace(path)
