# SPDX-License-Identifier: Apache-2.0
"""Running git on hostile repositories: one place that decides environment, configuration, limits and how it ends.

Nothing here reads a hostile repository's own configuration: ``GIT_DIR`` is always a directory that we wrote
(``_git_view``, or a mirror whose ``config`` we wrote), system and user configuration are off, and the process
group is killed when its time, output or watched directory runs over.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import git

from evidence import RepositoryError, TooLargeError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

READ_SECONDS = 300.0
READ_BYTES = 512 << 20
MEMORY_BYTES = 4 << 30
_STDERR_BYTES = 64 << 10
_POLL_SECONDS = 0.05
_CHUNK = 1 << 16

# Variables of the operator's environment that may reach git: how to get out, never where to read or what to run
# on a repository. Every other GIT_* variable is taken away (a hook or alias that calls us sets GIT_DIR, for one).
_KEPT = frozenset({"GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_EXEC_PATH"})

# The configuration read is our own already; these hold even so, and commit-graph and multi-pack-index files, which
# come with a hostile object store and can contradict its objects, are not believed.
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.commitGraph=false",
    "core.multiPackIndex=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "credential.helper=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.fsckObjects=true",
    # Old but harmless commits and trees of well-known projects have these three; all other fsck messages refuse.
    "fetch.fsck.zeroPaddedFilemode=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "fetch.fsck.badTimezone=ignore",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.followRedirects=false",
    "protocol.allow=never",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a git process left: exit status (negative: the signal), standard output, decoded standard error."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def complaint(self) -> str:
        """The line of standard error that tells the cause: the first fatal or error one, without control characters."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        text = told[0] if told else f"git ended with status {self.status}"
        return "".join(letter if letter.isprintable() else " " for letter in text)[:300]


@dataclass(frozen=True, slots=True)
class Git:
    """A git directory of our own making, and how git is run on it.

    ``protocols`` are the transports allowed, none by default. ``config`` are further settings; they travel in the
    environment, so that a credential among them shows in no process list.
    """

    git_dir: Path
    protocols: tuple[str, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)

    def start(self, arguments: Sequence[str], *, stdin: int | None = None) -> subprocess.Popen[bytes]:
        """Start git with ``arguments`` in a session of its own, its memory limited. ``stop`` ends it."""
        environment = self._environment()
        leftovers = [
            name for name in os.environ if name.startswith("GIT_") and name not in _KEPT and name not in environment
        ]
        command = ["env", *(f"--unset={name}" for name in leftovers)] if leftovers else []
        command += ["git", "--no-pager", "--literal-pathspecs"]
        for setting in _CONFIG:
            command += ["-c", setting]
        for protocol in self.protocols:
            command += ["-c", f"protocol.{protocol}.allow=always"]
        try:
            started = git.Git(str(self.git_dir)).execute(
                [*command, *arguments], stdin, as_process=True, env=environment, start_new_session=True
            )
        except git.GitCommandNotFound as error:
            raise RepositoryError("git is not installed, or not on PATH: install it") from error
        # Its own end (terminate, without the processes git started, then wait for ever) is not enough here.
        process, started.proc = started.proc, None
        if process is None:  # pragma: no cover - execute returned a running process
            raise RepositoryError("git did not start")
        _limit_memory(process.pid)
        return process

    def run(
        self,
        arguments: Sequence[str],
        *,
        seconds: float = READ_SECONDS,
        limit: int = READ_BYTES,
        check: Callable[[], None] | None = None,
    ) -> Result:
        """Run git to its end and return what it left; a failing exit status is the caller's to judge.

        Args:
            arguments: the git command; values that come from outside are validated by the caller.
            seconds: wall time after which the process group is killed.
            limit: bytes of standard output after which it is killed.
            check: called twenty times a second while git runs; an exception from it ends git and is raised.

        Raises:
            RepositoryError: out of time.
            TooLargeError: more output than ``limit``.
        """
        deadline = time.monotonic() + seconds
        process = self.start(arguments)
        out, err = Drain(process.stdout, limit), Drain(process.stderr, _STDERR_BYTES)
        try:
            while out.alive() or err.alive() or not _ended(process):
                if out.overflow:
                    break
                if time.monotonic() > deadline:
                    raise RepositoryError(f"git {arguments[0]}: not done after {seconds:g} s, stopped")
                if check:
                    check()
                out.join(_POLL_SECONDS)
                err.join(0 if out.alive() else _POLL_SECONDS)
            if check:
                check()
        finally:
            status = stop(process)
            out.join()
            err.join()
        if out.overflow:
            raise TooLargeError(f"git {arguments[0]}: more than {limit} bytes of output")
        return Result(status, bytes(out.data), bytes(err.data).decode("utf-8", "replace"))

    def _environment(self) -> dict[str, str]:
        settings = dict(self.config)
        environment = {
            "GIT_DIR": str(self.git_dir),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            # Unlike the configuration this also binds the processes that git starts; "none" is no protocol's name.
            "GIT_ALLOW_PROTOCOL": ":".join(self.protocols) or "none",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        if "ssh" in self.protocols and "GIT_SSH_COMMAND" not in os.environ:
            environment["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
        for index, (key, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        return environment


def stop(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of the process's group, reap it, and return its exit status. Its pipes stay their readers'."""
    # Before it is reaped, so that its id, which is the group's, can not have become another's.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; it is not reaped, so that its group can still be killed by its id."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _limit_memory(pid: int) -> None:
    # A few bytes of delta can describe an object of gigabytes. Set on the running child: between fork and exec
    # no Python may run in a process with threads.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        hard = resource.prlimit(pid, resource.RLIMIT_DATA)[1]
        most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, MEMORY_BYTES)
        resource.prlimit(pid, resource.RLIMIT_DATA, (most, hard))


class Drain:
    """Reads a pipe to its end in a thread, keeps the first ``limit`` bytes and remembers whether there were more."""

    def __init__(self, stream: IO[bytes] | None, limit: int) -> None:
        self.data = bytearray()
        self.overflow = False
        self._limit = limit
        self._thread = threading.Thread(target=self._drain, args=(stream,), daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Whether the pipe is still open."""
        return self._thread.is_alive()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the pipe to close, at most ``seconds``."""
        self._thread.join(seconds)

    def _drain(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            return
        with stream:
            while chunk := os.read(stream.fileno(), _CHUNK):
                room = self._limit - len(self.data)
                self.data += chunk[:room]
                self.overflow = self.overflow or len(chunk) > room
