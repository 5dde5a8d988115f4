# SPDX-License-Identifier: Apache-2.0
"""The people of a roots file as OpenSSH's ``allowed_signers``, so that stock ``ssh-keygen -Y verify`` knows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from signoff.sshsig import NAMESPACE

if TYPE_CHECKING:
    from datetime import datetime

    from signoff.roots import PersonKey, Roots

_PLAIN = re.compile(r"[A-Za-z0-9@._+-]")


def allowed_signers(roots: Roots, role: str = "reviewer") -> str:
    """One line a key of everybody with ``role``: principal, namespace, the time that it counts for, key.

    A principal is the person's id, with what OpenSSH would take for a pattern or an end written as ``%XX``. Passkeys
    are comments: OpenSSH cannot verify them.
    """
    lines = [f"# Countersign roots sha256:{roots.digest}; ssh-keygen -Y verify -n {NAMESPACE} -I PRINCIPAL -f THIS"]
    for person in roots.people:
        if role not in person.roles:
            continue
        for entry in person.keys:
            line = f"{principal(person.id)} {_options(entry)} {entry.key.line}"
            lines.append(line if entry.key.passkey is None else f"# a passkey: {line}")
    return "\n".join([*lines, ""])


def principal(identifier: str) -> str:
    """How a person's id is written as an OpenSSH principal."""
    return "".join(
        letter if _PLAIN.fullmatch(letter) else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in identifier
    )


def _options(entry: PersonKey) -> str:
    """OpenSSH's ``valid-before`` is the last second that counts, ours the first that does not."""
    limits = [f'namespaces="{NAMESPACE}"', f'valid-after="{_stamp(entry.valid_from)}"']
    if entry.valid_until is not None:
        limits.append(f'valid-before="{_stamp(entry.valid_until)}"')
    return ",".join(limits)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%SZ}"
