# SPDX-License-Identifier: Apache-2.0
"""Run a command under a container's seccomp profile, as libseccomp loads it: python confined.py PROFILE COMMAND…"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NO_NEW_PRIVS = 38
_EQUAL = 4
_UNKNOWN = -1


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def load(profile: Path) -> None:
    """Put this process and all that come from it under the profile."""
    document = json.loads(profile.read_text(encoding="utf-8"))
    assert document["defaultAction"] == "SCMP_ACT_ERRNO"
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Compare),
    ]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    rules = library.seccomp_init(_ERRNO | document["defaultErrnoRet"])
    for group in document["syscalls"]:
        assert group["action"] == "SCMP_ACT_ALLOW"
        given = [_Compare(one["index"], _EQUAL, one["value"], 0) for one in group.get("args", ())]
        compares = (_Compare * len(given))(*given)
        for name in group["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _UNKNOWN:
                assert library.seccomp_rule_add_array(rules, _ALLOW, number, len(given), compares) == 0, name
    assert ctypes.CDLL(None).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert library.seccomp_load(rules) == 0


if __name__ == "__main__":
    load(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command is the test's
