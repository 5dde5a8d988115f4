# SPDX-License-Identifier: Apache-2.0
"""The thread outside a sandbox: starts it, locks it in, answers its filter, holds its limits, ends it.

It is a thread of its own because the kernel ends the sandbox with the thread that started it. Whatever goes wrong,
the first process of the pid namespace is killed, and the kernel kills all others with it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from confine._handshake import first_process, lock_in
from confine._notifications import Attempts, Notifications
from confine._processes import proportional_memory, usage
from evidence import RecommenderError, SandboxMissingError, parse_json

if TYPE_CHECKING:
    from confine._streams import Start, Streams
    from confine.limits import Limits

_END_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_MAX_QUESTIONS = 20_000  # each costs the supervisor time: whoever asks without end is ended
_MAX_REFUSED_PROCESSES = 500
THREADS_A_PROCESS = 16  # on average, over all processes allowed
_CHUNK = 1 << 16
_REPORT_BYTES = 256 << 10  # more than the harness ever writes; a writer beyond it waits, and runs into its deadline


class Supervisor(threading.Thread):
    """Runs one ``Start`` until it ends, breaks a limit, or ``stop`` is called; ``ready`` says it runs or failed."""

    def __init__(self, start: Start, limits: Limits, streams: Streams) -> None:
        super().__init__(name="sandbox", daemon=True)
        self.ready = threading.Event()
        self.failure: RecommenderError | SandboxMissingError | None = None
        self.attempts = Attempts()
        self.reported = Attempts()
        self.printed = bytearray()
        self.status: int | None = None
        self.alive = -1
        self._start_with = start
        self._limits = limits
        self._streams = streams
        self._init = -1
        self._init_handle = -1
        self._report_bytes = 0
        self._printed_bytes = 0
        self._stop_reader, self._stop_writer = os.pipe()

    def start_and_lock_in(self) -> None:
        """Start the thread and wait until the code under review may run.

        Raises:
            SandboxMissingError: it may not, because some layer could not be put in place.
        """
        self.start()
        self.ready.wait()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the sandbox and wait until nothing of it is left."""
        if self.ident is not None:
            with suppress(OSError):
                os.write(self._stop_writer, b"x")
            self.join()
        for name in ("_stop_reader", "_stop_writer", "alive", "_init_handle"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                setattr(self, name, -1)
                os.close(descriptor)

    def run(self) -> None:
        """Start, supervise, end."""
        listener = -1
        try:
            process = self._spawn()
        except OSError as error:
            unsafe = self._start_with.config is None
            words = f"{self._start_with.argv[0]}: {error.strerror}"
            self.failure = RecommenderError("module-missing", words) if unsafe else SandboxMissingError(words)
            self.ready.set()
            return
        try:
            if self._start_with.config is not None:
                listener = self._lock_in(self._start_with.config)
            self.ready.set()
            self._watch(listener)
        except SandboxMissingError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 - a supervisor that fails must end what it supervises, and say so
            self.failure = SandboxMissingError(f"the sandbox's supervisor failed: {type(error).__name__}: {error}")
        finally:
            self._end(process)
            if listener >= 0:
                os.close(listener)
            self.ready.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        start, inside = self._start_with, self._streams.inside
        process = subprocess.Popen(  # noqa: S603, RUF100 - a list, never a shell
            list(start.argv),
            env=dict(start.environment),
            cwd=start.folder,
            stdin=inside["requests"],
            stdout=inside["answers"],
            stderr=inside["printed"],
            pass_fds=(inside["reports"], inside["information"], inside["control"]),
            start_new_session=True,
        )
        self._streams.close_inside()
        self.alive = os.pidfd_open(process.pid)
        return process

    def _lock_in(self, config: bytes) -> int:
        """The launcher's steps seen from outside; returns the filter's listener. Nothing under review has run yet."""
        try:
            self._init = first_process(self._streams.information)
            self._init_handle = os.pidfd_open(self._init)
            return lock_in(self._streams, self._init, config)
        except (SandboxMissingError, OSError) as error:
            said = self._said()
            raise SandboxMissingError(f"the sandbox does not start: {error}{said and f' ({said})'}") from error

    def _said(self) -> str:
        """What was printed up to now, in one line."""
        with suppress(OSError):
            os.set_blocking(self._streams.printed, False)
            self._collect(self._streams.printed)
        return " ".join(bytes(self.printed[-2000:]).decode("utf-8", "replace").split())

    def _watch(self, listener: int) -> None:
        """Until the end: answer, collect, look."""
        notifications = Notifications(listener, self._start_with.names, self.attempts, self._may_fork)
        poll = select.poll()
        watched = [self.alive, self._stop_reader, self._streams.printed, self._streams.reports]
        for descriptor in (*watched, *([listener] if listener >= 0 else [])):
            poll.register(descriptor, select.POLLIN)
        looked = time.monotonic()
        while self.failure is None:
            events = dict(poll.poll(_LOOK_SECONDS * 1000))
            for descriptor, event in events.items():
                if not event & select.POLLIN or (descriptor != listener and not self._collect(descriptor)):
                    if descriptor not in (self.alive, self._stop_reader):
                        poll.unregister(descriptor)
                elif descriptor == listener:
                    notifications.answer_one()
            if self.alive in events or self._stop_reader in events:
                return
            if listener >= 0 and time.monotonic() - looked >= _LOOK_SECONDS:
                self._look(notifications)
                looked = time.monotonic()

    def _collect(self, descriptor: int) -> bool:
        """Take in what was printed or reported; False at the end of the stream."""
        if descriptor not in (self._streams.printed, self._streams.reports):
            return True
        part = os.read(descriptor, _CHUNK)
        if descriptor == self._streams.printed:
            self.printed += part
            self._printed_bytes += len(part)
            del self.printed[: -self._limits.stderr_bytes]
        else:
            self._take_reports(part)
            self._report_bytes += len(part)
            return bool(part) and self._report_bytes < _REPORT_BYTES
        return bool(part)

    def _take_reports(self, part: bytes) -> None:
        for line in part.split(b"\n"):
            with suppress(Exception):
                told = parse_json(line, "report")
                self.reported.add(str(told["event"])[:40], ascii(told["detail"])[1:-1][:200])

    def _may_fork(self) -> bool:
        return usage(self._init).processes < self._limits.processes

    def _look(self, notifications: Notifications) -> None:
        """Set ``failure`` where a limit over all processes together is broken."""
        limits, used = self._limits, usage(self._init)
        if used.resident > limits.memory_bytes:
            exact = proportional_memory(used.tasks) or used.resident
            if exact > limits.memory_bytes:
                self.failure = RecommenderError("memory", f"over {limits.memory_bytes} bytes of memory")
        if used.cpu_seconds > limits.cpu_seconds:
            self.failure = RecommenderError("timeout", f"over {limits.cpu_seconds:g} s of processor time")
        if used.threads > THREADS_A_PROCESS * limits.processes:
            self.failure = RecommenderError("processes", f"{used.threads} threads")
        if notifications.refused_processes > _MAX_REFUSED_PROCESSES:
            self.failure = RecommenderError("processes", f"over {limits.processes} processes, again and again")
        if notifications.answered > _MAX_QUESTIONS:
            self.failure = RecommenderError("processes", "too many supervised system calls")
        if self._printed_bytes > limits.output_bytes:
            self.failure = RecommenderError("output-limit", f"over {limits.output_bytes} bytes printed")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill and reap; when this returns no process of the sandbox exists."""
        with suppress(ProcessLookupError):
            if self._init_handle >= 0:
                signal.pidfd_send_signal(self._init_handle, signal.SIGKILL)
                select.select([self._init_handle], [], [], _END_SECONDS)  # it ends after all others of its namespace
            else:
                os.killpg(process.pid, signal.SIGKILL)
        try:
            self.status = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            self.status = process.wait()
        self._said()
