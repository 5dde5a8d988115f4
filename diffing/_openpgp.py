# SPDX-License-Identifier: Apache-2.0
"""OpenPGP signatures of commits, verified by gpg with the reviewer's keyring and nothing else.

No trust, no agent, no key servers, no configuration, an empty folder for a home. Its clock is set to a day after the
commit says it was made (a signature may take a moment): keys that have run out since still count, and the same input
gives the same answer.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from evidence import InputError, SandboxMissingError

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 20
_LARGEST = 64 << 20
_DAY = 86_400
_LATEST = (1 << 32) - _DAY  # from then on gpg's clock would begin anew
_ARMOR = b"-----BEGIN PGP"
_ALONE = (
    *("--batch", "--no-tty", "--no-options", "--no-autostart", "--disable-dirmngr", "--no-auto-key-retrieve"),
    *("--no-auto-key-locate", "--no-default-keyring", "--no-permission-warning", "--trust-model", "always"),
    *("--weak-digest", "SHA1"),  # two contents with one SHA-1 can be made
)
_GOOD = re.compile(r"^\[GNUPG:\] GOODSIG [0-9A-F]+ (.*)$", re.MULTILINE)
_VALID = re.compile(r"^\[GNUPG:\] VALIDSIG ", re.MULTILINE)
_UNKNOWN = re.compile(r"^\[GNUPG:\] NO_PUBKEY ", re.MULTILINE)
_OTHER = re.compile(r"^\[GNUPG:\] (?:BADSIG|ERRSIG|EXPSIG|EXPKEYSIG|REVKEYSIG) ", re.MULTILINE)
_ADDRESS = re.compile(r"<([^<>]+)>\s*$")


class Signer(NamedTuple):
    """Who made a good signature: the address of the key's first user id, or all of that id."""

    name: str


def verifier(keyring: Path) -> list[str]:
    """The command that verifies with a keyring.

    Raises:
        InputError: the keyring cannot be used.
        SandboxMissingError: gpg is not installed.
    """
    program = shutil.which("gpg")
    if program is None:
        raise SandboxMissingError("gpg is missing, and OpenPGP signatures are to be verified: apt-get install gpg")
    if not keyring.is_file() or keyring.stat().st_size > _LARGEST:
        raise InputError(f"{keyring}: no such keyring, or one over {_LARGEST:,} bytes")
    with keyring.open("rb") as file:
        if file.read(len(_ARMOR)) == _ARMOR:
            raise InputError(f"{keyring}: an armored keyring: export it without --armor")
    return [program, *_ALONE, "--status-fd", "1", "--keyring", str(keyring.absolute())]


def verify(command: list[str], home: Path, armored: bytes, payload: bytes, when: int | None) -> Signer | bool:
    """Who signed; True where the key is not in the keyring, False where the signature does not hold.

    Nothing holds for a commit of a time that gpg's clock cannot be set to.
    """
    if when is not None and when >= _LATEST:
        return False
    (home / "signature.asc").write_bytes(armored)
    (home / "payload").write_bytes(payload)
    clock = ["--faked-system-time", str(when + _DAY)] if when is not None else []
    try:
        done = subprocess.run(
            [*command, *clock, "--homedir", str(home), "--verify", str(home / "signature.asc"), str(home / "payload")],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={"PATH": os.defpath, "LC_ALL": "C", "GNUPGHOME": str(home)},
        )
    except (OSError, subprocess.SubprocessError):
        return False
    said = done.stdout.decode("utf-8", "replace")
    good = _GOOD.findall(said)
    if done.returncode == 0 and len(good) == len(_VALID.findall(said)) == 1 and not _OTHER.search(said):
        address = _ADDRESS.search(good[0])
        return Signer((address.group(1) if address else good[0])[:200])
    return bool(_UNKNOWN.search(said)) and not good and "BADSIG" not in said
