# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL of Debian's, in a folder of its own, on a Unix socket, for as long as the tests run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWNER = "countersign"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=200")


class Server:
    """A running server. ``stop`` and ``start`` take it away and bring it back, with what it holds."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self._made = 0

    def make(self) -> None:
        self._run("initdb", "-A", "trust", "-U", _OWNER, "-E", "UTF8", "--locale=C", "-D", "cluster", "--no-sync")
        settings = "\n".join([*_FAST, "listen_addresses=''", f"unix_socket_directories='{self.place}'"])
        with (self.place / "cluster" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"\n{settings}\n")

    def start(self) -> None:
        self._run("pg_ctl", "-D", "cluster", "-w", "-t", "60", "-l", "log", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "cluster", "-w", "-t", "60", "-m", "immediate", "stop")

    def database(self) -> str:
        """A new, empty database; returns its URL."""
        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(f"postgresql://{_OWNER}@/postgres?host={self.place}", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://{_OWNER}@/{name}?host={self.place}"

    def _run(self, program: str, *arguments: str) -> None:
        """As somebody other than root, whom PostgreSQL refuses."""
        command = [str(self._binaries / program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        # pg_ctl's server would keep a pipe open: what it says goes to a file
        with (self.place / "said").open("ab") as said:
            done = subprocess.run(command, cwd=self.place, stdout=said, stderr=said, check=False, timeout=120)
        assert done.returncode == 0, (self.place / "said").read_text(encoding="utf-8", errors="replace")


@contextmanager
def started() -> Iterator[Server]:
    """A server that ends, and whose folder goes, with the block."""
    place = Path(tempfile.mkdtemp(prefix="countersign-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)
    server = Server(place)
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)
