# SPDX-License-Identifier: Apache-2.0
"""A process that is held: bubblewrap's namespaces, our filter inside them, a supervisor outside."""

from __future__ import annotations

import base64
import json
import os
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from confine import _bubblewrap, _seccomp
from confine._channel import Channel
from confine._opening import opened_file, opened_tree
from confine._streams import Start, Streams
from confine._supervisor import THREADS_A_PROCESS, Supervisor
from evidence import InputError, RecommenderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confine.limits import Attempt, Limits

_ADDRESS_SPACE_SLACK = 1 << 30  # an interpreter and its libraries reserve more than they touch
_CPU_SLACK_SECONDS = 5  # the supervisor, which can say why, comes first
_OPEN_FILES = 256


@dataclass(frozen=True)
class Job:
    """What to run: an ``entrypoint`` of the tree in Python, or else a ``command`` that speaks the protocol itself."""

    tree: Path
    entrypoint: str | None
    command: tuple[str, ...] | None
    artifacts: Mapping[str, Path]
    packages: tuple[str, ...]


class Sandbox:
    """One held process and its protocol channel. ``start`` before use, ``close`` after; closing twice is fine."""

    def __init__(self, job: Job, limits: Limits, *, unsafe: bool = False) -> None:
        if (job.entrypoint is None) == (not job.command):
            raise InputError("a recommender has an entrypoint or a command, one of the two")
        self._job = job
        self._limits = limits
        self._unsafe = unsafe
        self._streams = Streams()
        self._supervisor: Supervisor | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> Channel:
        """Start and lock in; the code under review may run from here on.

        Raises:
            SandboxMissingError: some layer could not be put in place. Nothing under review has run.
            InputError: a tree, artifact or package that cannot be used.
        """
        if not self._job.tree.is_dir():
            raise InputError(f"no directory {self._job.tree.name!r} to run a recommender from")
        try:
            self._streams.open()
            start = self._unsafe_start() if self._unsafe else self._start()
            self._supervisor = Supervisor(start, self._limits, self._streams)
            self._supervisor.start_and_lock_in()
            return Channel(self._streams.requests, self._streams.answers, self._supervisor.alive)
        except BaseException:
            self.close()
            raise

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What the kernel saw attempted, also after the end."""
        return self._supervisor.attempts.all() if self._supervisor else ()

    @property
    def reported(self) -> tuple[Attempt, ...]:
        """What Python's audit hook says was attempted. Hostile code can forge and silence it."""
        return self._supervisor.reported.all() if self._supervisor else ()

    def explain(self, error: RecommenderError) -> RecommenderError:
        """End the sandbox; the reason the supervisor ended it for, where it had one, else ``error`` with the status."""
        self.close()
        found = self._supervisor and self._supervisor.failure
        if isinstance(found, RecommenderError):
            return found
        if found is not None and error.error_class == "exited":
            return RecommenderError("exited", str(found))
        if error.error_class == "exited" and self._supervisor:
            return RecommenderError("exited", f"it ended with status {self._supervisor.status} before it answered")
        return error

    def printed(self) -> str:
        """The end of what it wrote to standard error. Chosen by hostile code, may hold panel data: reviewer only."""
        return bytes(self._supervisor.printed).decode("utf-8", "replace") if self._supervisor else ""

    def close(self) -> None:
        """Kill everything inside, wait until it is gone, and free what was held."""
        if self._supervisor is not None:
            self._supervisor.stop()
        self._streams.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _start(self) -> Start:
        job, limits, inside = self._job, self._limits, self._streams.inside
        artifacts = _bubblewrap.checked_artifacts(job.tree, job.artifacts)
        program = _seccomp.build()
        config = {
            "user": _bubblewrap.OUTSIDE_USER if _bubblewrap.as_root() else None,
            "limits": _kernel_limits(limits),
            "seccomp": program.system_call,
            "filter": base64.b64encode(program.program).decode("ascii"),
            "command": list(job.command or ()),
            "harness": self._harness(_bubblewrap.TREE, _bubblewrap.ARTIFACTS),
        }
        tree = job.tree.resolve()
        if _bubblewrap.as_root():
            self._folder = tempfile.TemporaryDirectory(prefix="opened-")
            tree = opened_tree(tree, Path(self._folder.name, "tree"))
            artifacts = {
                name: opened_file(path, Path(self._folder.name, f"artifact-{name}")) for name, path in artifacts.items()
            }
        argv = _bubblewrap.command_line(tree, artifacts, job.packages, limits, inside["control"])
        argv[1:1] = ["--info-fd", str(inside["information"])]
        environment = _bubblewrap.environment(limits)
        return Start(argv, environment, "/", json.dumps(config).encode(), program.names)

    def _unsafe_start(self) -> Start:
        """The same harness or command with no walls at all: everything of this process' environment and files."""
        job = self._job
        artifacts = _bubblewrap.checked_artifacts(job.tree, job.artifacts)
        self._folder = tempfile.TemporaryDirectory(prefix="artifacts-")
        for name, path in artifacts.items():
            Path(self._folder.name, name).symlink_to(path)
        site = sysconfig.get_paths()["purelib"]
        harness = json.dumps(self._harness(str(job.tree.resolve()), self._folder.name))
        script = str(Path(__file__).with_name("harness.py"))
        argv = list(job.command or ()) or [*_bubblewrap.python(), script, harness]
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": site}
        return Start(argv, environment, str(job.tree.resolve()), None, {})

    def _harness(self, tree: str, artifacts: str) -> dict[str, object]:
        return {
            "entrypoint": self._job.entrypoint,
            "tree": tree,
            "artifacts": artifacts,
            "reports": self._streams.inside["reports"],
        }


def _kernel_limits(limits: Limits) -> dict[str, int]:
    """Limits of each process, held by the kernel; those over all processes are the supervisor's."""
    held = {
        "RLIMIT_AS": limits.memory_bytes + _ADDRESS_SPACE_SLACK,
        "RLIMIT_CPU": int(limits.cpu_seconds) + _CPU_SLACK_SECONDS,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    if _bubblewrap.as_root():  # a user of the sandbox's own; otherwise an older kernel would count the service's too
        held["RLIMIT_NPROC"] = THREADS_A_PROCESS * limits.processes
    return held
