# SPDX-License-Identifier: Apache-2.0
"""Whether signatures of commits verify against the reviewer's own lists of who may sign with which key.

For SSH that is an ``allowed_signers`` file as in ssh-keygen(1), for OpenPGP a keyring. X.509 signatures are not
verified. A key that is valid for some time only counts by the time that the commit says it was made, as git has it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from diffing._evidence import cut
from diffing._openpgp import Signer, verifier, verify
from evidence import Finding, InputError, SandboxMissingError, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from confine import Commit

Outcome = Literal["verified", "another", "unknown", "bad", "unsigned", "not-verified"]
MOST = 500  # commits whose signatures are verified
_SECONDS = 20
_LONGEST = 64 << 10
_WHEN = re.compile(rb"^committer .*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)
_SHOWN = 5


class Checked(NamedTuple):
    """A commit, how its signature came out, and by whom it is, as the list names them."""

    commit: str
    outcome: Outcome
    by: str = ""


def check(commits: Sequence[tuple[str, Commit]], allowed: Path | None, keyring: Path | None) -> list[Checked]:
    """How the signature of each commit comes out; beyond ``MOST`` commits they are not verified.

    A signature of a kind that there is no list for is not verified either.

    Raises:
        InputError: a list cannot be read.
        SandboxMissingError: ssh-keygen or gpg is needed and not installed.
    """
    ssh = _ssh(allowed) if allowed is not None else None
    gpg = verifier(keyring) if keyring is not None else None
    found = []
    with tempfile.TemporaryDirectory(prefix="signatures-") as folder:
        place = Path(folder)
        for at, (commit, parsed) in enumerate(commits):
            if parsed.signature is None:
                found.append(Checked(commit, "unsigned"))
            elif at >= MOST or len(parsed.armored) > _LONGEST:
                found.append(Checked(commit, "not-verified"))
            elif parsed.signature == "ssh" and ssh is not None and allowed is not None:
                (place / "signature").write_bytes(parsed.armored)
                found.append(_verified(commit, parsed, ssh, allowed.absolute(), place / "signature"))
            elif parsed.signature == "openpgp" and gpg is not None:
                signer = verify(gpg, place, parsed.armored, parsed.payload, _seconds(parsed.payload))
                found.append(_by_key(commit, parsed, signer))
            else:
                found.append(Checked(commit, "not-verified"))
    return found


def _ssh(allowed: Path) -> list[str]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SandboxMissingError(
            "ssh-keygen is missing, and signatures are to be verified: apt-get install openssh-client"
        )
    if not allowed.is_file():
        raise InputError(f"{allowed}: no such file of allowed signers")
    return [program, "-Y"]


def _by_key(commit: str, parsed: Commit, signer: Signer | bool) -> Checked:  # noqa: FBT001 - what gpg says
    if isinstance(signer, bool):
        return Checked(commit, "unknown" if signer else "bad")
    return Checked(commit, "verified" if signer.name.lower() in _own(parsed) else "another", signer.name)


def _own(parsed: Commit) -> set[str]:
    return {parsed.committer.email.lower(), parsed.author.email.lower()}


def _verified(commit: str, parsed: Commit, program: list[str], allowed: Path, signature: Path) -> Checked:
    """Git's two steps: whose key it is, then whether it verifies as theirs."""
    common = ["-f", str(allowed), "-s", str(signature), *_at(parsed.payload)]
    principals = _run([*program, "find-principals", *common], b"")
    if principals is None:
        known = _run([*program, "check-novalidate", "-n", "git", "-s", str(signature)], parsed.payload)
        return Checked(commit, "unknown" if known is not None else "bad")
    for principal in principals.split():
        if _run([*program, "verify", *common, "-n", "git", "-I", principal], parsed.payload) is not None:
            by_own = principal.lower() in _own(parsed)
            return Checked(commit, "verified" if by_own else "another", principal[:200])
    return Checked(commit, "bad")


def _seconds(payload: bytes) -> int | None:
    match = _WHEN.search(payload.partition(b"\n\n")[0])
    return int(match.group(1)) if match is not None else None


def _at(payload: bytes) -> list[str]:
    seconds = _seconds(payload)
    if seconds is None:
        return []
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return []
    return [f"-Overify-time={moment:%Y%m%d%H%M%S}Z"]


def _run(command: list[str], given: bytes) -> str | None:
    """What it prints; None if it refuses."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=_SECONDS, check=False, env={"PATH": os.defpath}
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


_HIGH, _MEDIUM, _LOW = Severity.HIGH, Severity.MEDIUM, Severity.LOW
_FINDINGS: dict[Outcome, tuple[str, Severity, str]] = {
    "bad": ("a signature that does not verify", _HIGH, "What was signed is not what is there, or not by that key."),
    "another": ("signed by another person than author and committer", _MEDIUM, "They are not by whom they say."),
    "unknown": ("signed by a key that is not on the list of signers", _MEDIUM, "Anybody can make a key."),
    "unsigned": ("no signature", _MEDIUM, "There is a list of signers, and nobody on it stands for them."),
    "not-verified": (
        "signed, not verified",
        _LOW,
        f"Neither is X.509, nor a kind that there is no list of signers for, nor what comes after {MOST} commits.",
    ),
}


def signature_findings(checked: Sequence[Checked]) -> Iterator[Finding]:
    """One finding for each way in which signatures do not hold."""
    for outcome, (words, severity, detail) in _FINDINGS.items():
        these = [one for one in checked if one.outcome == outcome]
        if these:
            named = [f"{one.commit[:12]}{f' by {one.by}' if one.by else ''}" for one in these]
            yield Finding(
                "authorship-mismatch", severity, cut(f"{len(these)} of {len(checked)} commits: {words}"),
                f"{', '.join(named[:_SHOWN])}. {detail}", None,
                {"kind": f"signature {outcome}", "count": len(these), "commits": [one.commit for one in these[:20]]},
                (f"signature {outcome}", *(one.commit for one in these[:1000])),
            )  # fmt: skip
