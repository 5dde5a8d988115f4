# SPDX-License-Identifier: Apache-2.0
"""The bubblewrap command line: what a sandbox sees of the machine, and nothing else.

Everything is read-only but a private /tmp (and /dev/shm) of limited size. /proc is remounted read-only too: as far as
the kernel's settings go, a process of root's is root even in a user namespace, and bubblewrap leaves them writable.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from confine._opening import is_open
from evidence import InputError, SandboxMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confine.limits import Limits

TREE, ARTIFACTS, RUNTIME = "/tree", "/artifacts", "/runtime"
SITE = f"{RUNTIME}/site-packages"
INSIDE_USER = 65534  # nobody, as the sandbox sees itself
OUTSIDE_USER = 65533  # who that is outside where the service runs as root: an id that owns nothing
FIX_MISSING = "install bubblewrap 0.8 or newer (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"

_HERE = Path(__file__).resolve().parent
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_]{1,16})?")
_MERGED = ("lib", "lib64", "lib32", "bin", "sbin")
_SHARED_MEMORY_BYTES = 64 << 20


def artifact_name(name: str, path: Path) -> str:
    """How an artifact is called in the directory given to ``load``: its declared name and its file's suffix.

    Raises:
        InputError: a name or suffix that is no plain file name.
    """
    if not _NAME.fullmatch(name) or not _SUFFIX.fullmatch(path.suffix):
        raise InputError(f"artifact {name!r}: {path.name!r}: use letters, digits, '-' and '_' and one short suffix")
    return f"{name}{path.suffix}"


def checked_artifacts(tree: Path, artifacts: Mapping[str, Path]) -> dict[str, Path]:
    """Real paths of the artifacts by the name they get inside.

    Raises:
        InputError: not a regular file, or a path inside the tree that a symbolic link leads out of it.
    """
    checked: dict[str, Path] = {}
    root = tree.resolve()
    for name, path in sorted(artifacts.items()):
        real = path.resolve()
        inside = path.absolute().is_relative_to(tree.absolute())
        if inside and not real.is_relative_to(root):
            raise InputError(f"artifact {name!r}: {path.name!r} is a link that leads out of the tree")
        if not real.is_file():
            raise InputError(f"artifact {name!r}: no regular file {path.name!r}")
        checked[artifact_name(name, path)] = real
    return checked


def environment(limits: Limits) -> dict[str, str]:
    """All of the environment inside."""
    threads = str(limits.threads)
    return {
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "PATH": f"{Path(_interpreter()).parent}:/usr/local/bin:/usr/bin:/bin",
        "TZ": "UTC",
        "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": SITE,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "NUMBA_NUM_THREADS": threads,
    }


def python() -> list[str]:
    """The interpreter, without site, user site and the script's folder on its path; the environment is ours alone."""
    return [_interpreter(), "-s", "-S", "-P", "-B"]


def command_line(
    tree: Path, artifacts: Mapping[str, Path], packages: tuple[str, ...], limits: Limits, control: int
) -> list[str]:
    """The whole command: bubblewrap, the namespaces, the mounts, and the launcher with its control descriptor.

    As root, everything below ``tree`` and all artifacts must be open to other users already (``_opening``).

    Raises:
        SandboxMissingError: no bubblewrap on PATH.
        InputError: a package that is not installed.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxMissingError(f"bubblewrap is missing; {FIX_MISSING}")
    view = _View()
    _runtime(view)
    for source, inside in _packages(packages):
        view.bind(source, f"{SITE}/{inside}")
    for script in ("launcher.py", "harness.py"):
        view.bind(_HERE / script, f"{RUNTIME}/{script}")
    _tree(view, tree.resolve())
    view.make(Path(ARTIFACTS))
    for name, path in artifacts.items():
        view.bind(path, f"{ARTIFACTS}/{name}")
    return [
        bwrap,
        *_NAMESPACES,
        *_user(),
        *view.options,
        *_private(limits),
        *("--remount-ro", "/", "--chdir", TREE, "--"),
        *python(),
        f"{RUNTIME}/launcher.py",
        str(control),
    ]


_NAMESPACES = (
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup"),
    *("--hostname", "localhost", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)


@dataclass
class _View:
    """The mounts so far."""

    options: list[str] = field(default_factory=list)
    bound: list[Path] = field(default_factory=list)
    made: set[Path] = field(default_factory=set)

    def bind(self, source: Path, inside: str) -> None:
        self.make(Path(inside).parent)
        self.options += ["--ro-bind", str(source), inside]

    def make(self, folder: Path) -> None:
        """Folders that anyone may enter: those bubblewrap makes by itself only their owner may."""
        for path in (*reversed(folder.parents), folder):
            if (
                path not in self.made
                and path != Path("/")
                and not any(path.is_relative_to(done) for done in self.bound)
            ):
                self.made.add(path)
                self.options += ["--dir", str(path)]

    def bind_same(self, path: Path) -> None:
        if not any(path.is_relative_to(done) for done in self.bound):
            self.bind(path, str(path))
            self.bound.append(path)

    def hide(self, path: Path) -> None:
        """Cover a folder that lies inside something bound."""
        if path.is_dir() and any(path.is_relative_to(done) and path != done for done in self.bound):
            self.options += ["--size", "4096", "--tmpfs", str(path), "--remount-ro", str(path)]


def as_root() -> bool:
    """Whether this process is root: the sandbox is then set up without, and run in, a user namespace."""
    return os.geteuid() == 0


def _user() -> list[str]:
    if as_root():  # the launcher changes to OUTSIDE_USER and makes its user namespace itself
        return ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    user = str(INSIDE_USER)
    return ["--unshare-user", "--disable-userns", "--uid", user, "--gid", user]


def _private(limits: Limits) -> list[str]:
    shared = str(min(limits.file_bytes, _SHARED_MEMORY_BYTES))
    return [
        *("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--size", shared, "--tmpfs", "/dev/shm"),  # noqa: S108 - the sandbox's own
        *("--remount-ro", "/dev"),
        *("--perms", "1777", "--size", str(limits.file_bytes), "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
    ]


def _interpreter() -> str:
    return os.path.realpath(sys.executable)


def _runtime(view: _View) -> None:
    """System libraries, the interpreter with its standard library, and no third-party package, ours included."""
    view.bind_same(Path("/usr"))
    for name in _MERGED:
        path = Path("/") / name
        if path.is_symlink():
            view.options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            view.bind_same(path)
    if Path("/etc/ld.so.cache").is_file():
        view.bind(Path("/etc/ld.so.cache"), "/etc/ld.so.cache")
    prefix = Path(sys.base_prefix).resolve()
    for path in (prefix, Path(_interpreter())):
        view.bind_same(path)
    for path in _third_party(prefix):
        view.hide(path)
    view.hide(_HERE.parent)


def _third_party(prefix: Path) -> Iterable[Path]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = {Path(sysconfig.get_paths()["purelib"]).resolve(), Path(sysconfig.get_paths()["platlib"]).resolve()}
    for root in (prefix, Path("/usr"), Path("/usr/local")):
        for library in ("lib", "lib64"):
            folders |= {root / library / version / "site-packages", root / library / version / "dist-packages"}
            folders.add(root / library / "python3" / "dist-packages")
    return sorted(folders)


def _packages(names: tuple[str, ...]) -> Iterable[tuple[Path, str]]:
    """Each top-level file or folder of the named distributions, and its name in the sandbox's site-packages."""
    for name in names:
        try:
            found: Distribution = distribution(name)
        except PackageNotFoundError as error:
            raise InputError(f"package {name!r} is not installed beside the service") from error
        tops = sorted({file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")})
        for top in tops:
            source = Path(str(found.locate_file(top)))
            if source.exists():
                yield source.resolve(), top


def _tree(view: _View, tree: Path) -> None:
    """The tree; where root's own folder is closed to others, its entries one by one into an open one."""
    if not as_root() or is_open(tree):
        view.bind(tree, TREE)
        return
    view.make(Path(TREE))
    for entry in sorted(tree.iterdir()):
        inside = f"{TREE}/{entry.name}"
        if entry.is_symlink():
            view.options += ["--symlink", str(entry.readlink()), inside]
        else:
            view.bind(entry, inside)
