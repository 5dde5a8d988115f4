# SPDX-License-Identifier: Apache-2.0
"""The launcher's steps seen from outside: see ``launcher.py`` for what is said over the control socket."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from confine._bubblewrap import INSIDE_USER, OUTSIDE_USER
from confine._processes import children
from confine._streams import START_SECONDS
from evidence import InputError, SandboxMissingError, parse_json

if TYPE_CHECKING:
    from confine._streams import Streams

_CHUNK = 1 << 16


def first_process(information: int) -> int:
    """The pid, on this side, of the first process of the sandbox, as bubblewrap tells.

    Raises:
        SandboxMissingError: bubblewrap ended or said nothing in time.
    """
    deadline = time.monotonic() + START_SECONDS
    told = b""
    while True:
        ready, _, _ = select.select([information], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(information, _CHUNK) if ready else b""
        told += part
        if not part:
            break
    try:
        return int(parse_json(told, "what bubblewrap tells")["child-pid"])
    except (InputError, KeyError, ValueError) as error:
        raise SandboxMissingError("bubblewrap does not start a sandbox") from error


def lock_in(streams: Streams, init: int, config: bytes) -> int:
    """Send the launcher its configuration, follow its steps, and let it go; returns the filter's listener.

    Raises:
        SandboxMissingError: a step failed, with the launcher's reason where it gave one.
    """
    control = streams.control
    if control is None:
        raise SandboxMissingError("no control socket")
    try:
        control.sendall(struct.pack("!I", len(config)) + config)
        while True:
            word, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if word == b"u":
                _map_user(init)
                control.sendall(b"m")
            elif word == b"l" and descriptors:
                os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - that is its signature
                _offer_to_the_kernel(init)
                control.sendall(b"g")
                return descriptors[0]
            else:
                reason = control.recv(500).decode("utf-8", "replace") if word == b"!" else "it ended"
                raise SandboxMissingError(f"locking in: {reason}")
    except (OSError, ValueError) as error:
        raise SandboxMissingError(f"locking in: {error}") from error


def _map_user(init: int) -> None:
    """Give the launcher's own user namespace its one user and group (user_namespaces(7))."""
    (launcher,) = children(init)
    one = f"{INSIDE_USER} {OUTSIDE_USER} 1"
    for name, content in (("setgroups", "deny"), ("uid_map", one), ("gid_map", one)):
        _write(launcher, name, content)


def _offer_to_the_kernel(init: int) -> None:
    """Check that the processes inside can be seen and counted, and offer them first should memory run out."""
    inside = children(init)
    if not inside:
        raise SandboxMissingError("the sandbox's processes cannot be seen in /proc (hidepid, or no children files)")
    for pid in inside:
        with suppress(OSError):
            _write(pid, "oom_score_adj", "1000")


def _write(pid: int, name: str, content: str) -> None:
    """Write a kernel file in one call, as the kernel wants it."""
    descriptor = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content.encode("ascii"))
    finally:
        os.close(descriptor)
