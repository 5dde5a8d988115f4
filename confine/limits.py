# SPDX-License-Identifier: Apache-2.0
"""What code under review may use up, and what it was seen attempting."""

from __future__ import annotations

from dataclasses import dataclass

_LOCAL = frozenset({"connect-unix", "bind-unix", "process-limit", "syscall"})


@dataclass(frozen=True)
class Limits:
    """Limits of one sandbox. Sizes are bytes, times seconds.

    ``memory_bytes`` is held over all processes of the sandbox together, their files in /tmp not counted;
    ``file_bytes`` holds for each file and for the whole of the private /tmp; ``output_bytes`` is the longest answer to
    one call, and the most that may be printed in all; ``threads`` is what numerical libraries are told to use, a
    declared value so that results do not depend on the machine.
    """

    memory_bytes: int = 4 << 30
    processes: int = 64
    cpu_seconds: float = 900.0
    start_seconds: float = 120.0
    call_seconds: float = 300.0
    output_bytes: int = 512 << 20
    file_bytes: int = 256 << 20
    stderr_bytes: int = 64 << 10
    threads: int = 2


@dataclass(frozen=True)
class Attempt:
    """Something the sandboxed code tried and was refused, seen by the kernel (or only reported, where so named).

    ``kind`` is the system call (``connect``, ``bind``, ``sendto``, ``sendmsg``, ``listen``, ``socket``), with
    ``-unix`` where the address is local; ``process-limit``; or ``syscall`` with its name as ``detail``. ``detail``
    was chosen by hostile code: it is bounded and printable, nothing more.
    """

    kind: str
    detail: str
    count: int

    @property
    def network(self) -> bool:
        """Whether this was an attempt to reach beyond the machine's own processes."""
        return self.kind not in _LOCAL
