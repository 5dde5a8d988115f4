# SPDX-License-Identifier: Apache-2.0
"""The system call filter as classic BPF, for x86-64 and AArch64, and the structures of seccomp's user notification.

Three kinds of rule. *Refused*: not needed by a recommender, and each was a way out of a container once; fails with
EPERM. *Absent*: fails with ENOSYS, so that libraries fall back. *Supervised*: the kernel asks the supervisor, which
records the attempt and refuses, or for a new process counts it. Anything newer than the tables is absent. A system call
of another architecture kills the process. Only decisions on registers are ever answered "go on": what hostile
code could change in memory between check and use is refused outright (seccomp_unotify(2), NOTES).
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass

from evidence import SandboxMissingError

# name: (x86-64, AArch64); None where the architecture has no such call. From Linux' unistd tables.
_Numbers = dict[str, tuple[int | None, int | None]]

_SUPERVISED: _Numbers = {
    "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430),
    "fsmount": (432, 432), "move_mount": (429, 429), "open_tree": (428, 428), "mount_setattr": (442, 442),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142), "open_by_handle_at": (304, 265),
}  # fmt: skip
_REFUSED: _Numbers = {
    "kcmp": (312, 272), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "fsconfig": (431, 431),
    "fspick": (433, 433), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "syslog": (103, 116), "name_to_handle_at": (303, 264), "iopl": (172, None),
    "ioperm": (173, None), "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162), "lookup_dcookie": (212, 18),
    "vhangup": (153, 58), "personality": (135, 92), "modify_ldt": (154, None), "fanotify_init": (300, 262),
    "move_pages": (279, 239), "migrate_pages": (256, 238), "seccomp": (317, 277), "uselib": (134, None),
    # Memory that belongs to no process and so escapes the sum over the sandbox's processes.
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
_ABSENT: _Numbers = {
    "clone3": (435, 435),  # its flags lie in memory, where a filter cannot see them; libraries fall back to clone
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "nfsservctl": (180, 42),
}  # fmt: skip
_SOCKET, _SENDTO, _CLONE = (41, 198), (44, 206), (56, 220)
_PRCTL, _IOCTL, _SECCOMP = (157, 167), (16, 29), (317, 277)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LAST_KNOWN = 456  # futex_requeue, the last call of Linux 6.7
_X32 = 0x40000000

# Classic BPF over struct seccomp_data: nr at 0, arch at 4, instruction pointer at 8, six arguments of 8 bytes at 16.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _NOTIFY = 0x80000000, 0x7FFF0000, 0x7FC00000
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020000
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_PR_SET_SECCOMP = 22
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, nr, arch, instruction pointer, arguments
ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
RECEIVE, SEND, STILL_VALID = 0xC0502100, 0xC0182101, 0x40082102
GO_ON = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

_Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Filter:
    """A filter for this machine: the BPF program, the number of seccomp(2), and names of what is supervised."""

    program: bytes
    system_call: int
    names: dict[int, str]


def _refuse(error: int) -> int:
    return 0x00050000 | error


def _argument(index: int, *, high: bool = False) -> _Instruction:
    """Load half of an argument; both architectures are little-endian."""
    return (_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _rule(number: int | None, body: list[_Instruction]) -> list[_Instruction]:
    """``body``, which ends in a return on every path, for one system call."""
    return [] if number is None else [(_EQUAL, 0, len(body), number), *body]


def build(machine: str | None = None) -> Filter:
    """The filter for ``machine`` (default: this one).

    Raises:
        SandboxMissingError: an architecture without tables here; nothing hostile is run on it.
    """
    machine = machine or os.uname().machine
    if machine not in _MACHINES:
        raise SandboxMissingError(f"no system call filter for {machine}; run on x86_64 or aarch64")
    column, audit_arch = _MACHINES[machine]
    code: list[_Instruction] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, audit_arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_AT_LEAST, 0, 1, _LAST_KNOWN + 1),
        (_RETURN, 0, 0, _refuse(errno.ENOSYS)),
    ]
    for table, action in ((_SUPERVISED, _NOTIFY), (_REFUSED, _refuse(errno.EPERM)), (_ABSENT, _refuse(errno.ENOSYS))):
        for numbers in table.values():
            code += _rule(numbers[column], [(_RETURN, 0, 0, action)])
    for numbers, body in _ON_ARGUMENTS:
        code += _rule(numbers[column], body)
    code.append((_RETURN, 0, 0, _ALLOW))
    supervised = _SUPERVISED | {"socket": _SOCKET, "sendto": _SENDTO, "clone": _CLONE}
    names = {numbers[column]: name for name, numbers in supervised.items()}
    return Filter(
        program=b"".join(struct.pack("=HBBI", *instruction) for instruction in code),
        system_call=_SECCOMP[column],
        names={number: name for number, name in names.items() if number is not None},
    )


_ON_ARGUMENTS: list[tuple[tuple[int, int], list[_Instruction]]] = [
    # A socket may be made where its address will be seen on connect, so that the attempt can be told; others not.
    (_SOCKET, [
        _argument(0), (_EQUAL, 2, 0, _AF_UNIX), (_EQUAL, 1, 0, _AF_INET), (_EQUAL, 0, 1, _AF_INET6),
        (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY),
    ]),
    # sendto without an address is send: only a socketpair can be connected here.
    (_SENDTO, [
        _argument(4), (_EQUAL, 0, 3, 0), _argument(4, high=True), (_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY),
    ]),
    # Threads pass, new processes are counted outside, new namespaces are refused.
    (_CLONE, [
        _argument(0), (_ANY_BIT, 0, 1, _CLONE_NAMESPACES), (_RETURN, 0, 0, _refuse(errno.EPERM)),
        (_ANY_BIT, 0, 1, _CLONE_THREAD), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY),
    ]),
    # No filters of its own: they could answer in the supervisor's place.
    (_PRCTL, [
        _argument(0), (_EQUAL, 0, 1, _PR_SET_SECCOMP), (_RETURN, 0, 0, _refuse(errno.EPERM)), (_RETURN, 0, 0, _ALLOW),
    ]),
    # No typing into a terminal.
    (_IOCTL, [
        _argument(1), (_EQUAL, 1, 0, _TIOCSTI), (_EQUAL, 0, 1, _TIOCLINUX),
        (_RETURN, 0, 0, _refuse(errno.EPERM)), (_RETURN, 0, 0, _ALLOW),
    ]),
]  # fmt: skip
