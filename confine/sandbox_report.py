# SPDX-License-Identifier: Apache-2.0
"""What the sandbox is worth on this machine: one is started, and something in it tries to get out."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from confine._bubblewrap import FIX_MISSING, as_root
from confine.limits import Limits
from confine.recommender import Recommender, Request
from confine.self_check import OUTSIDE
from evidence import CountersignError, SandboxMissingError

_LIMITS = Limits(start_seconds=20.0, call_seconds=20.0)
_SETTINGS = {
    "kernel.unprivileged_userns_clone": "0",
    "user.max_user_namespaces": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}
_TRIAL_SECONDS = 20.0
# What the sandbox is made of, one thing after the other, and what closes it where it is closed.
_TRIALS = (
    (
        ("--unshare-user",),
        (
            "user namespaces and mounts are refused here: in a container give it --security-opt"
            " seccomp=deploy/seccomp.json and, with AppArmor, apparmor=unconfined; under systemd leave out"
            " RestrictNamespaces= and allow @mount"
        ),
    ),
    (
        ("--unshare-user", "--unshare-pid", "--proc", "/proc"),
        (
            "a /proc of its own is refused here, since parts of the present one are covered: in a container give it"
            " --security-opt systempaths=unconfined; under systemd leave out ProtectKernelTunables= and"
            " ProtectKernelLogs="
        ),
    ),
    (
        ("--unshare-user", "--unshare-uts", "--hostname", "localhost"),
        "a host name of its own is refused here: under systemd leave out ProtectHostname= and allow sethostname",
    ),
    (
        ("--unshare-user", "--unshare-net", "--unshare-ipc", "--unshare-pid", "--proc", "/proc", "--dev", "/dev"),
        "a network of its own is refused here: under systemd AF_NETLINK has to be among RestrictAddressFamilies=",
    ),
)


@dataclass(frozen=True)
class SandboxReport:
    """Whether hostile code can be held here; what was tried, in one line; and how to repair it where not."""

    working: bool
    detail: str
    fix: str | None


def sandbox_report() -> SandboxReport:
    """Start a sandbox with the packages of none and a recommender that tries to get out; raises nothing."""
    try:
        return _try()
    except SandboxMissingError as error:
        return SandboxReport(working=False, detail=str(error), fix=_fix(str(error)))
    except CountersignError as error:
        return SandboxReport(working=False, detail=f"the self-check failed: {error}", fix=_fix(str(error)))


def _try() -> SandboxReport:
    with tempfile.TemporaryDirectory(prefix="self-check-") as folder:
        shutil.copyfile(Path(__file__).with_name("self_check.py"), Path(folder, "self_check.py"))
        with Recommender(Path(folder), entrypoint="self_check:load", packages=(), limits=_LIMITS) as recommender:
            (slate,) = recommender.recommend([Request(0, 0, "nobody")], 20)
    escapes = list(slate.items)
    outside = f"{OUTSIDE[0]}:{OUTSIDE[1]}"
    if not any(attempt.kind == "connect" and attempt.detail == outside for attempt in recommender.attempts):
        escapes.append("connect without the kernel telling")
    if escapes:
        return SandboxReport(working=False, detail=f"code in the sandbox could {', '.join(escapes)}", fix=_fix(""))
    user = "root, changed to an unprivileged user inside" if as_root() else "an unprivileged user"
    layers = (
        "namespaces (bubblewrap), system call filter with kernel notification, no capabilities, read-only files; memory"
        " by address space limit and by summing processes every 50 ms (no cgroup); processes counted as they are made"
    )
    return SandboxReport(working=True, detail=f"started as {user}: {layers}", fix=None)


def _fix(said: str) -> str:
    if "bubblewrap is missing" in said:
        return FIX_MISSING
    for setting, closed in _SETTINGS.items():
        path = Path("/proc/sys", *setting.split("."))
        if not as_root() and path.is_file() and path.read_text(encoding="ascii").strip() == closed:
            opened = {"0": "1", "1": "0"}[closed] if setting != "user.max_user_namespaces" else "10000"
            return f"allow user namespaces: sysctl -w {setting}={opened}"
    for options, fix in _TRIALS:
        if not _starts(options):
            return fix
    return "use Linux 5.9 and bubblewrap 0.8 or newer; in a container let seccomp notify (deploy/seccomp.json does)"


def _starts(options: tuple[str, ...]) -> bool:
    """Whether bubblewrap can do as much as that."""
    command = ["bwrap", *options, "--ro-bind", "/", "/", "true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=_TRIAL_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
