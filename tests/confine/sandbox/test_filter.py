# SPDX-License-Identifier: Apache-2.0
"""The system call filter, run instruction by instruction for both architectures: this machine is only one of them."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from confine import _seccomp
from confine._notifications import describe
from evidence import SandboxMissingError

X86, ARM = 0xC000003E, 0xC00000B7
ALLOW, NOTIFY, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
EPERM, ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
MACHINES = (("x86_64", X86, 0), ("aarch64", ARM, 1))


def decide(machine: str, arch: int, number: int, *arguments: int) -> int:
    """What the kernel would do: classic BPF with the instructions that seccomp allows and we use (seccomp(2))."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    program = _seccomp.build(machine).program
    instructions = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, accumulator = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        else:
            met = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if met else no


@pytest.mark.parametrize(("machine", "arch", "column"), MACHINES)
@pytest.mark.parametrize(
    ("numbers", "arguments", "expected"),
    [
        ((0, 63), (), ALLOW),  # read
        ((59, 221), (), ALLOW),  # execve
        ((42, 203), (3, 4096, 16), NOTIFY),  # connect
        ((101, 117), (), NOTIFY),  # ptrace
        ((41, 198), (1,), ALLOW),  # socket, local
        ((41, 198), (2,), ALLOW),  # socket, IPv4
        ((41, 198), (10,), ALLOW),  # socket, IPv6
        ((41, 198), (16,), NOTIFY),  # socket, netlink
        ((41, 198), (40,), NOTIFY),  # socket, vsock
        ((44, 206), (3, 4096, 1, 0, 0, 0), ALLOW),  # send
        ((44, 206), (3, 4096, 1, 0, 4096, 16), NOTIFY),  # sendto
        ((44, 206), (3, 4096, 1, 0, 1 << 32, 16), NOTIFY),  # sendto, address above 4 GiB
        ((56, 220), (0x00010F00,), ALLOW),  # a thread
        ((56, 220), (17,), NOTIFY),  # a process
        ((56, 220), (0x10000011,), EPERM),  # a process in a user namespace of its own
        ((56, 220), (0x10010011,), EPERM),  # the same, posing as a thread
        ((435, 435), (), ENOSYS),  # clone3
        ((425, 425), (), ENOSYS),  # io_uring_setup
        ((457, 457), (), ENOSYS),  # newer than the tables
        ((319, 279), (), EPERM),  # memfd_create
        ((317, 277), (1, 8), EPERM),  # seccomp
        ((157, 167), (22,), EPERM),  # prctl, set seccomp
        ((157, 167), (15,), ALLOW),  # prctl, set name
        ((16, 29), (0, 0x5412), EPERM),  # ioctl, type into the terminal
        ((16, 29), (0, 0x5413), ALLOW),  # ioctl, window size
    ],
)
def test_the_filter_decides(
    machine: str, arch: int, column: int, numbers: tuple[int, int], arguments: tuple[int, ...], expected: int
) -> None:
    assert decide(machine, arch, numbers[column], *arguments) == expected


@pytest.mark.parametrize(("machine", "arch", "column"), MACHINES)
def test_calls_of_another_architecture_kill(machine: str, arch: int, column: int) -> None:
    other = MACHINES[1 - column][1]
    assert decide(machine, other, 0) == KILL
    assert decide(machine, 0x40000003, 0) == KILL  # i386
    assert decide(machine, arch, 0x40000000) == KILL  # x32


def test_every_supervised_call_has_a_name_and_no_number_is_used_twice() -> None:
    for machine, arch, column in MACHINES:
        names = _seccomp.build(machine).names
        assert all(decide(machine, arch, number, 16, 0, 0, 0, 1) in (NOTIFY, EPERM) for number in names)
        tables = (_seccomp._SUPERVISED, _seccomp._REFUSED, _seccomp._ABSENT)
        numbers = [both[column] for table in tables for both in table.values() if both[column] is not None]
        assert len(set(numbers)) == len(numbers)


def test_a_machine_without_tables_runs_nothing() -> None:
    with pytest.raises(SandboxMissingError, match="riscv64"):
        _seccomp.build("riscv64")


def test_this_machine_is_supported() -> None:
    assert _seccomp.build().system_call in (317, 277)
    assert os.uname().machine in ("x86_64", "aarch64")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (struct.pack("=HH4s8x", 2, 0xBB01, bytes([192, 0, 2, 1])), "192.0.2.1:443"),
        (struct.pack("=HHI16sI", 10, 0xBB01, 0, bytes(15) + b"\1", 0), "[::1]:443"),
        (struct.pack("=H", 1) + b"/run/x.sock\0rest", "/run/x.sock"),
        (struct.pack("=H", 1) + b"\0abstract", "abstract"),
        (struct.pack("=H", 1) + b"/run/\x1b[31m\xff", "/run/?[31m\ufffd"),
        (struct.pack("=H", 1), "unnamed"),
        (struct.pack("=H", 2) + b"\0", "family 2"),
        (struct.pack("=H", 16), "netlink"),
        (struct.pack("=H", 99), "family 99"),
        (b"", "no readable address"),
        (b"\1", "no readable address"),
    ],
)
def test_addresses_in_words(address: bytes, words: str) -> None:
    assert describe(address) == words
