# SPDX-License-Identifier: Apache-2.0
"""Answers the kernel's questions about supervised system calls, and keeps what was attempted."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confine import _seccomp
from confine.limits import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DISTINCT = 200  # kinds and details remembered; the rest is counted under "…"
_MAX_ADDRESS = 128  # sizeof(struct sockaddr_storage)
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_FAMILIES = {16: "netlink", 17: "packet", 38: "alg", 40: "vsock", 31: "bluetooth", 44: "xdp"}
_FORKS = frozenset({"fork", "vfork", "clone"})
# Which arguments hold the address and its length; sendmsg holds them in a structure.
_ADDRESS = {"connect": (1, 2), "bind": (1, 2), "sendto": (4, 5)}
_POINTER = struct.Struct("=QI")


@dataclass(frozen=True)
class _Question:
    """One system call waiting for an answer."""

    id: int
    task: int
    name: str
    arguments: tuple[int, ...]


class Attempts:
    """What was attempted, counted, in order of first sight."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, detail: str) -> None:
        """Count one attempt."""
        key = (kind, detail)
        if key not in self._counts and len(self._counts) >= MAX_DISTINCT:
            key = (kind, "…")
        self._counts[key] += 1

    def all(self) -> tuple[Attempt, ...]:
        """Every attempt so far."""
        return tuple(Attempt(kind, detail, count) for (kind, detail), count in list(self._counts.items()))


class Notifications:
    """The listener of one sandbox's filter. ``may_fork`` says whether one more process is allowed."""

    def __init__(
        self, listener: int, names: Mapping[int, str], attempts: Attempts, may_fork: Callable[[], bool]
    ) -> None:
        self._listener = listener
        self._names = names
        self._attempts = attempts
        self._may_fork = may_fork
        self.answered = 0
        self.refused_processes = 0

    def answer_one(self) -> None:
        """Receive one question, if its asker still lives, and answer it."""
        buffer = bytearray(_seccomp.NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, _seccomp.RECEIVE, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return
            raise
        number, task, _, call, _, _, *arguments = _seccomp.NOTIFICATION.unpack(buffer)
        question = _Question(number, task, self._names.get(call, str(call)), tuple(arguments))
        refusal = self._decide(question)
        flags = 0 if refusal else _seccomp.GO_ON
        self.answered += 1
        with suppress(FileNotFoundError):  # ENOENT: the asker died in between
            answer = _seccomp.ANSWER.pack(question.id, 0, -refusal, flags)
            fcntl.ioctl(self._listener, _seccomp.SEND, answer)

    def _decide(self, question: _Question) -> int:
        """0 to let the call go on, or the errno it fails with. Only new processes ever go on."""
        if question.name in _FORKS:
            if self._may_fork():
                return 0
            self.refused_processes += 1
            self._attempts.add("process-limit", question.name)
            return errno.EAGAIN
        if question.name == "socket":
            family = question.arguments[0]
            self._attempts.add("socket", _FAMILIES.get(family, f"family {family}"))
            return errno.EAFNOSUPPORT
        if question.name in ("connect", "bind", "listen", "sendto", "sendmsg", "sendmmsg"):
            return self._network(question)
        self._attempts.add("syscall", question.name)
        return errno.EPERM

    def _network(self, question: _Question) -> int:
        address = self._address(question)
        local = len(address) >= 2 and struct.unpack_from("=H", address)[0] == _AF_UNIX  # noqa: PLR2004 - sa_family
        kind = "sendmsg" if question.name == "sendmmsg" else question.name
        self._attempts.add(f"{kind}-unix" if local else kind, describe(address))
        return errno.ENETUNREACH if question.name in ("connect", "sendto") and not local else errno.EACCES

    def _address(self, question: _Question) -> bytes:
        """The address as it lay in the asker's memory when it asked; empty where there is none or it is unreadable.

        It was read once, and the call is refused whatever it says: changing it afterwards gains nothing.
        """
        try:
            with open(f"/proc/{question.task}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - unbuffered
                if question.name in _ADDRESS:
                    pointer, length = (question.arguments[index] for index in _ADDRESS[question.name])
                elif question.name in ("sendmsg", "sendmmsg"):
                    # Both start with a struct msghdr: msg_name, then msg_namelen.
                    pointer, length = _POINTER.unpack(os.pread(memory.fileno(), 12, question.arguments[1]))
                else:
                    return b""
                address = os.pread(memory.fileno(), min(length & 0xFFFFFFFF, _MAX_ADDRESS), pointer) if pointer else b""
            fcntl.ioctl(self._listener, _seccomp.STILL_VALID, struct.pack("=Q", question.id))
        except (OSError, OverflowError, struct.error):
            return b""
        return address


def describe(address: bytes) -> str:
    """A socket address in words: ``192.0.2.1:443``, ``[2001:db8::1]:443``, a path, or what family it is."""
    if len(address) < 2:  # noqa: PLR2004 - sa_family
        return "no readable address"
    (family,) = struct.unpack_from("=H", address)
    if family == _AF_INET and len(address) >= 8:  # noqa: PLR2004 - family, port, address
        return f"{ipaddress.IPv4Address(address[4:8])}:{int.from_bytes(address[2:4])}"
    if family == _AF_INET6 and len(address) >= 24:  # noqa: PLR2004 - family, port, flow, address
        return f"[{ipaddress.IPv6Address(address[8:24])}]:{int.from_bytes(address[2:4])}"
    if family == _AF_UNIX:
        path = address[2:].removeprefix(b"\0").split(b"\0")[0].decode("utf-8", "replace")
        return "".join(letter if letter.isprintable() else "?" for letter in path) or "unnamed"
    return _FAMILIES.get(family, f"family {family}")
