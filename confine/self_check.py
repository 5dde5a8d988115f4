# SPDX-License-Identifier: Apache-2.0
"""A recommender that tries to get out, for the sandbox's check of itself. It runs inside; the standard library only.

Its one slate lists what it managed to do; an empty slate is a sandbox that holds.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUTSIDE = ("192.0.2.1", 443)  # TEST-NET-1 of RFC 5737: reserved for documentation, never anyone's address


def _connect() -> bool:
    with socket.socket() as connection:
        connection.settimeout(1)
        connection.connect(OUTSIDE)
    return True


def _write_tree() -> bool:
    return Path("written").write_bytes(b"x") > 0


def _write_kernel_setting() -> bool:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))  # opened, and nothing written
    return True


def _see_accounts() -> bool:
    return Path("/etc/passwd").exists() or Path("/etc/shadow").exists()


def _see_processes() -> bool:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir()) > 2  # noqa: PLR2004 - init and this one


def _have_capabilities() -> bool:
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    held = {line.split()[0]: line.split()[1] for line in lines if line.startswith(("Cap", "NoNewPrivs", "Seccomp:"))}
    capabilities = {int(held[name], 16) for name in ("CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:")}
    return capabilities != {0} or held["NoNewPrivs:"] != "1" or held["Seccomp:"] != "2"


_TRIES: dict[str, Callable[[], bool]] = {
    "connect": _connect,
    "write to the tree": _write_tree,
    "write kernel settings": _write_kernel_setting,
    "see accounts": _see_accounts,
    "see other processes": _see_processes,
    "hold capabilities": _have_capabilities,
}


class _Prisoner:
    """Answers every request with what it managed."""

    def __init__(self) -> None:
        self._managed = [name for name, attempt in _TRIES.items() if self._succeeds(attempt)]

    @staticmethod
    def _succeeds(attempt: Callable[[], bool]) -> bool:
        try:
            return attempt()
        except OSError:
            return False

    def recommend(self, requests: list[dict[str, Any]], k: int) -> list[list[str]]:
        """The same for everyone."""
        return [self._managed[:k] for _ in requests]


def load(artifacts: Path) -> _Prisoner:
    """The entry point."""
    del artifacts
    return _Prisoner()
