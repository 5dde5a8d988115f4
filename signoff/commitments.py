# SPDX-License-Identifier: Apache-2.0
"""What is logged beside sign-offs: evidence, and commitments to panels before they are used.

A commitment says that a panel was chosen before a run, and not which: the same panel gives another value in every run.
It is opened, by its salt, in the bundle.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from evidence import InputError, Json
from signoff.leaves import leaf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evidence import Digest

EVIDENCE_LEAF = "evidence"
PANEL_LEAF = "panel"
PANEL_EVIDENCE = "panel"  # the evidence of a statement that a commitment stands for
SALT_BYTES = 32
_DOMAIN = b"countersign/panel-commitment/v1\n"


def panel_commitment(panel: Digest, salt: bytes) -> Digest:
    """The salted commitment to a panel: SHA-256 over a name of this purpose, the salt and the panel's digest.

    Raises:
        InputError: a salt of another length than 32 bytes, or no digest.
    """
    raw = panel.removeprefix("sha256:")
    if len(salt) != SALT_BYTES or len(raw) != 2 * SALT_BYTES:
        raise InputError("a panel's commitment takes a SHA-256 and a salt of 32 bytes")
    return "sha256:" + hashlib.sha256(_DOMAIN + salt + bytes.fromhex(raw)).hexdigest()


def derive_salt(secret: bytes, revision: Digest, panel: Digest) -> bytes:
    """The salt for one revision and panel out of a secret: the same again when a killed run starts anew."""
    return hmac.new(secret, _DOMAIN + f"{revision}\n{panel}".encode(), hashlib.sha256).digest()


def evidence_leaf(name: Digest) -> Mapping[str, Json]:
    """The log's leaf of a piece of evidence."""
    return leaf(EVIDENCE_LEAF, digest=name)


def panel_leaf(commitment: Digest) -> Mapping[str, Json]:
    """The log's leaf of a commitment to a panel."""
    return leaf(PANEL_LEAF, digest=commitment)
