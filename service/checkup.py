# SPDX-License-Identifier: Apache-2.0
"""What this machine can and cannot do, tried rather than asked, and how to fix what it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from confine import sandbox_report
from evidence import CountersignError
from service.database import Database

if TYPE_CHECKING:
    from evidence import Json
    from service.settings import Settings

_BUILT = datetime(2026, 1, 1, tzinfo=UTC)  # no sane clock is before this
_BEYOND = 2100
_FREE_BYTES = 2 << 30
_GIT = (2, 30)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried. ``needed`` is false for what only some tasks need."""

    name: str
    works: bool
    detail: str
    fix: str | None = None
    needed: bool = True

    def to_json(self) -> Json:
        """The check in the document of ``countersign doctor --format json``."""
        return {
            "name": self.name,
            "works": self.works,
            "needed": self.needed,
            "detail": self.detail,
            "fix": self.fix,
        }


def examine(settings: Settings) -> list[Check]:
    """Try everything; raises nothing."""
    return [
        _sandbox(),
        _git(),
        _ssh_keygen(),
        _database(settings),
        _disk(settings),
        _time(),
        _browser(),
    ]


def table(checks: list[Check]) -> str:
    """The checks as lines of text: what works, what does not, how to fix it."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        word = "ok" if check.works else "MISSING" if check.needed else "absent"
        lines.append(f"{check.name:<{width}}  {word:<7}  {check.detail}")
        if check.fix and not check.works:
            lines.append(f"{'':<{width}}  {'':<7}  fix: {check.fix}")
    return "\n".join(lines) + "\n"


def _sandbox() -> Check:
    report = sandbox_report()
    return Check("sandbox", report.working, report.detail, report.fix)


def _git() -> Check:
    version = _output(["git", "--version"])
    if version is None:
        return Check("git", works=False, detail="not installed", fix="apt-get install git")
    numbers = tuple(int(part) for part in version.split()[2].split(".")[:2] if part.isdigit())
    detail = version.removeprefix("git version ")
    return Check("git", numbers >= _GIT, detail, "install git 2.30 or newer")


def _ssh_keygen() -> Check:
    path = shutil.which("ssh-keygen")
    return Check("ssh-keygen", path is not None, path or "not installed", "apt-get install openssh-client")


def _database(settings: Settings) -> Check:
    """A database beside the real one is migrated and written; the real one is not touched."""
    folder = _existing(settings.data)
    try:
        with tempfile.TemporaryDirectory(prefix=".checkup-", dir=folder) as place:
            database = Database.sqlite(Path(place) / "check.sqlite")
            try:
                database.migrate()
                works = database.current()
            finally:
                database.close()
    except (OSError, CountersignError) as error:
        fix = f"let this user write to {folder}, or choose another --data"
        return Check("database", works=False, detail=f"{folder}: {error}", fix=fix)
    return Check("database", works, f"SQLite with write-ahead log in {settings.data}")


def _disk(settings: Settings) -> Check:
    folder = _existing(settings.data)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 2**30:.1f} GiB free in {folder}"
    return Check("disk", free >= _FREE_BYTES, detail, "free 2 GiB, or choose another --data")


def _time() -> Check:
    """Sane, and running: sign-offs carry times and expire. Whether it is exact is not checked."""
    moment, started = datetime.now(UTC), time.monotonic()
    time.sleep(0.01)
    runs = time.monotonic() > started and datetime.now(UTC) > moment
    sane = moment > _BUILT and moment.year < _BEYOND
    return Check("time", runs and sane, moment.strftime("%Y-%m-%d %H:%M UTC"), "set the clock, best by NTP")


def _browser() -> Check:
    """Only the browser tests need one."""
    for name in _BROWSERS:
        path = shutil.which(name)
        if path is not None and (version := _output([path, "--version"])) is not None:
            return Check("browser", works=True, detail=f"{version} (for the browser tests)", needed=False)
    detail = "no Chromium; only the browser tests need it"
    return Check("browser", works=False, detail=detail, fix="apt-get install chromium", needed=False)


def _output(command: list[str]) -> str | None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": tempfile.gettempdir()}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=True, env=environment, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _existing(path: Path) -> Path:
    """The folder itself, or its nearest parent that is there."""
    path = path.resolve()
    while not path.is_dir():
        path = path.parent
    return path
