# SPDX-License-Identifier: Apache-2.0
"""The launcher: locks its own process in, then becomes the harness or the declared command. Standard library only.

bubblewrap starts it inside the namespaces. Over an inherited socket it receives what to do, and then in order:
(1) sets resource limits, (2) where bubblewrap was started by root, becomes another user in a user namespace of its
own, without capabilities, (3) installs the system call filter and hands its listener to the supervisor outside,
(4) waits for the word to go, (5) runs the code under review, which inherits all of it and can undo none of it.
No line of the code under review is read before step 5.

Control messages: outside to inside, 4 bytes of length and JSON, then one byte for each step waited for; inside to
outside, one byte a step: ``u`` user namespace made, please map; ``l`` the listener is attached; ``!`` and a reason.
"""

import base64
import ctypes
import json
import os
import resource
import runpy
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 1 << 3, 1 << 5
_EINVAL = 22
_LAST_CAPABILITY = 63
_DESCRIPTORS = 256


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _receive(control: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = control.recv(size - len(data))
        if not part:
            raise EOFError("the supervisor went away")
        data += part
    return data


def _limit(limits: dict[str, int]) -> None:
    """Soft and hard limits together; without capabilities a hard limit cannot be raised again."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def _change_user(control: socket.socket, user: int) -> None:
    """From root to ``user``, in a user namespace of its own: nothing inside is the machine's root by any id."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _checked(libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl dumpable")
    _checked(libc.unshare(_CLONE_NEWUSER), "unshare user namespace")
    control.sendall(b"u")
    _receive(control, 1)
    for capability in range(_LAST_CAPABILITY):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the kernel's last capability, and may
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _checked(libc.capset(ctypes.byref(header), none), "capset")


def _filter(control: socket.socket, system_call: int, program: bytes) -> None:
    """Install the filter on this thread while another, made before and not filtered, sends the listener out.

    The filter holds back sendmsg from the moment it is in force, so the filtered thread cannot send it itself.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    prog = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    listeners: list[int] = []
    installed = threading.Event()

    def deliver() -> None:
        installed.wait()
        if listeners:
            socket.send_fds(control, [b"l"], listeners)

    helper = threading.Thread(target=deliver)
    helper.start()
    try:
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl no_new_privs")
        for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
            listener = libc.syscall(system_call, _SET_MODE_FILTER, flags, ctypes.byref(prog))
            if listener >= 0 or ctypes.get_errno() != _EINVAL:
                break
        listeners.append(_checked(listener, "seccomp with user notification"))
    finally:
        installed.set()
        helper.join()
    for descriptor in listeners:
        os.close(descriptor)
    while len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - the helper is unfiltered: it must be gone, not only joined
        time.sleep(0.001)


def _lock_in(control: socket.socket) -> dict[str, Any]:
    """Steps 1 to 4; returns what to run."""
    (size,) = struct.unpack("!I", _receive(control, 4))
    config: dict[str, Any] = json.loads(_receive(control, size))
    try:
        if config["user"] is not None:
            _change_user(control, config["user"])
        _limit(config["limits"])
        _filter(control, config["seccomp"], base64.b64decode(config["filter"]))
    except (OSError, ValueError) as error:
        control.sendall(b"!" + str(error).encode()[:500])
        raise SystemExit(1) from error
    _receive(control, 1)
    return config


def _become(command: list[str]) -> None:
    """Replace this process; where there is no such program, answer the first call with that, in the protocol."""
    os.closerange(3, _DESCRIPTORS)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the declared command, no shell
    except OSError as error:
        sys.stdin.readline()
        told = {"type": type(error).__name__, "message": f"{command[0]}: {error.strerror}", "id": None, "phase": "find"}
        sys.stdout.write(json.dumps({"error": told}) + "\n")


def main() -> None:
    """Lock in, then run: for a command this process becomes it; for an entry point it becomes the harness."""
    control = socket.socket(fileno=int(sys.argv[1]))
    config = _lock_in(control)
    control.close()
    if config["command"]:
        _become(config["command"])
        return
    sys.argv[:] = ["", json.dumps(config["harness"])]
    runpy.run_path(str(Path(__file__).with_name("harness.py")), run_name="__main__")


if __name__ == "__main__":
    main()
