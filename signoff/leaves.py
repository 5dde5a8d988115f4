# SPDX-License-Identifier: Apache-2.0
"""What is in the log: canonical JSON of a type with a digest or an envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import InputError, Json, TooLargeError, canonical, sha256_hex
from signoff.tiles import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signoff.keys import PublicKey

KEY_LEAF = "key"


def leaf(kind: str, *, digest: str | None = None, envelope: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """A leaf of the log: ``{"type", "digest"}`` or ``{"type", "envelope"}``.

    Raises:
        InputError: neither or both of digest and envelope.
    """
    if (digest is None) == (envelope is None):
        raise InputError("a log entry holds either a digest or an envelope")
    held = {"digest": digest} if envelope is None else {"envelope": dict(envelope)}
    return {"type": kind, **held}


def key_leaf(key: PublicKey) -> dict[str, Json]:
    """The leaf by which a person's key is made known: the SHA-256 of its OpenSSH blob. Logged before it signs."""
    return leaf(KEY_LEAF, digest=f"sha256:{key_sha256(key)}")


def key_sha256(key: PublicKey) -> str:
    """By what the log and the revocation list name a key: the SHA-256 of its OpenSSH blob, in hexadecimal."""
    return sha256_hex(key.blob)


def entry_bytes(document: Mapping[str, Json]) -> bytes:
    """The log entry of a leaf: its canonical JSON.

    Raises:
        TooLargeError: more than the 65,535 bytes that an entry may have.
    """
    entry = canonical(dict(document))
    if len(entry) > MAX_ENTRY_BYTES:
        raise TooLargeError(f"a log entry of {len(entry)} bytes; at most {MAX_ENTRY_BYTES} fit")
    return entry
