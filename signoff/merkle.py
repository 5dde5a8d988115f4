# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962, section 2.1: hashes, proofs and their verification.

Proving works on any source of node hashes (`Nodes`), so a proof out of ten million entries reads a few tiles.
Verification is the algorithm of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from evidence import InputError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

Hash = bytes  # 32 bytes

HASH_BYTES = 32
EMPTY_ROOT: Hash = hashlib.sha256(b"").digest()


class Nodes(Protocol):
    """Hashes of a tree's complete subtrees."""

    def node(self, level: int, index: int) -> Hash:
        """The hash over entries ``index << level`` up to, not including, ``(index + 1) << level``."""
        ...


def leaf_hash(entry: bytes) -> Hash:
    """The hash of a log entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(nodes: Nodes, size: int) -> Hash:
    """The tree hash MTH of the first ``size`` entries."""
    return _range_hash(nodes, 0, size) if size else EMPTY_ROOT


def inclusion_path(nodes: Nodes, index: int, size: int) -> tuple[Hash, ...]:
    """PATH(index, D[size]): sibling hashes from the leaf up.

    Raises:
        InputError: no such entry in a tree of that size.
    """
    if not 0 <= index < size:
        raise InputError(f"no entry {index} in a log of {size}")
    path = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start = split
    return tuple(_range_hash(nodes, *sibling) for sibling in reversed(path))


def consistency_path(nodes: Nodes, old: int, new: int) -> tuple[Hash, ...]:
    """PROOF(old, D[new]): that the tree of ``new`` entries begins with the tree of ``old``.

    Raises:
        InputError: ``old`` is not within 0 and ``new``.
    """
    if not 0 <= old <= new:
        raise InputError(f"no consistency proof from {old} to {new}")
    if old in {0, new}:
        return ()
    path = []
    start, end = 0, new
    whole = True  # whether the old tree's part of this subtree is the old tree itself
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start, whole = split, False
    if not whole:
        path.append((start, end))
    return tuple(_range_hash(nodes, *sibling) for sibling in reversed(path))


def verify_inclusion(leaf: Hash, index: int, size: int, path: Sequence[Hash], expected: Hash) -> None:
    """Check that the entry hashing to ``leaf`` stands at ``index`` in the tree of ``size`` with that root.

    What is *not* checked: where the root comes from. Verify the checkpoint that carries it.

    Raises:
        VerificationError: it does not.
    """
    if not 0 <= index < size:
        raise VerificationError("inclusion", f"no entry {index} in a log of {size}")
    node, last, running = index, size - 1, leaf
    for sibling in path:
        if not last:
            raise VerificationError("inclusion", "the proof is too long")
        if node & 1 or node == last:
            running = node_hash(sibling, running)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            running = node_hash(running, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise VerificationError("inclusion", "the proof is too short")
    if running != expected:
        raise VerificationError("inclusion", "the proof does not lead to the checkpoint's root")


def verify_consistency(old: int, new: int, old_root: Hash, new_root: Hash, path: Sequence[Hash]) -> None:
    """Check that the tree of ``new`` entries begins with the tree of ``old``.

    Raises:
        VerificationError: it does not, or the proof does not show it.
    """
    if not 0 <= old <= new:
        raise VerificationError("consistency", f"a log does not shrink from {old} to {new}")
    if old in {0, new}:
        if path or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise VerificationError("consistency", "the roots do not agree")
        return
    hashes = ([old_root] if old & (old - 1) == 0 else []) + list(path)
    if not hashes:
        raise VerificationError("consistency", "the proof is too short")
    if _roots_of(hashes, old - 1, new - 1) != (old_root, new_root):
        raise VerificationError("consistency", "the newer log does not begin with the older")


def _roots_of(hashes: Sequence[Hash], node: int, last: int) -> tuple[Hash, Hash]:
    """The older and the newer root that a consistency proof leads to (RFC 9162, section 2.1.4.2, steps 3 to 6)."""
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            raise VerificationError("consistency", "the proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise VerificationError("consistency", "the proof is too short")
    return first, second


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(nodes: Nodes, start: int, end: int) -> Hash:
    """MTH(D[start:end]) of a range that the recursion of RFC 6962 makes: complete subtrees, largest first."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return nodes.node(level, start >> level)
    split = start + _split(count)
    return node_hash(_range_hash(nodes, start, split), _range_hash(nodes, split, end))
