# SPDX-License-Identifier: Apache-2.0
"""What the processes of a sandbox use together, read from /proc outside it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat counted after the command's closing parenthesis (proc_pid_stat(5)).
_UTIME, _CSTIME, _THREADS, _RESIDENT = 11, 14, 17, 21


@dataclass(frozen=True)
class Usage:
    """Sums over a process tree. ``resident`` (bytes) counts shared pages once a process: an upper bound.

    ``tasks`` holds, for each process, the folder below /proc that shows its memory.
    """

    tasks: tuple[str, ...]
    threads: int
    resident: int
    cpu_seconds: float

    @property
    def processes(self) -> int:
        """How many processes, zombies included: they hold a slot too."""
        return len(self.tasks)


def _threads(pid: int) -> list[str]:
    with suppress(OSError):
        return os.listdir(_PROC / str(pid) / "task")  # noqa: PTH208 - names are wanted, twenty times a second
    return []


def children(pid: int) -> list[int]:
    """The child processes of every thread of ``pid``; none when it is gone."""
    found: list[int] = []
    for thread in _threads(pid):
        with suppress(OSError):
            found += [int(word) for word in (_PROC / str(pid) / "task" / thread / "children").read_text().split()]
    return found


def _stat(task: str) -> list[str]:
    return (_PROC / task / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _look(pid: int) -> tuple[str, list[str]]:
    """The folder and fields that show a process, also one whose first thread has ended while others run on."""
    fields = _stat(str(pid))
    if fields[0] in "ZX" and int(fields[_THREADS]) > 1:
        for thread in _threads(pid):
            task = f"{pid}/task/{thread}"
            with suppress(OSError):
                alive = _stat(task)
                if alive[0] not in "ZX":
                    return task, alive
    return str(pid), fields


def usage(init: int) -> Usage:
    """What lives below ``init``, the first process of the sandbox, itself not counted.

    Orphans inside a pid namespace become children of its init, so nothing escapes the walk for longer than one look.
    """
    tasks: list[str] = []
    threads, pages, ticks = 0, 0, 0
    waiting = children(init)
    while waiting:
        pid = waiting.pop()
        try:
            task, fields = _look(pid)
        except OSError:
            continue
        tasks.append(task)
        threads += int(fields[_THREADS])
        pages += int(fields[_RESIDENT])
        ticks += sum(int(value) for value in fields[_UTIME : _CSTIME + 1])
        waiting += children(pid)
    return Usage(tuple(tasks), threads, pages * _PAGE, ticks / _TICKS)


def proportional_memory(tasks: tuple[str, ...]) -> int:
    """Bytes of memory that these tasks hold, swap included, shared pages counted once in all (PSS); slow.

    Pages of files are left out, since the kernel takes them back when it needs them. What may not be read counts as
    nothing: fall back to ``resident`` where nothing can be.
    """
    total = 0
    for task in tasks:
        with suppress(OSError, ValueError):
            for line in (_PROC / task / "smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:", "SwapPss:")):
                    total += int(line.split()[1]) << 10
    return total
