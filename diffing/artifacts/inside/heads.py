# SPDX-License-Identifier: Apache-2.0
"""The exposure that two tables imply by themselves, where a score is the dot product of a user's and an item's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.tensors import values
from diffing.artifacts.inside.words import RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array, Tensor

USERS = 4_000  # evenly spaced ones that stand for all
_MOST_ELEMENTS = 80 << 20
_SCORES = 8 << 20  # held at once


def exposure(sides: list[tuple[Tensor, Tensor]], groups: dict[str, list[int]], k: int) -> dict[str, Any]:
    """Each group's share of position-weighted exposure in the first ``k`` items, in base and in head.

    Weights are 1 / log2(rank + 1), as an audit's. Nothing is filtered: what users have seen already stays in, so that
    this is the effect of the weights alone and no slate that anybody gets. Users and items are those of both sides.

    Args:
        sides: users' and items' tables, of base and of head.
        groups: rows of items by the name of their group.
        k: length of a slate.

    Raises:
        RefusedError: tables that do not fit each other, or are larger than is held.
    """
    users = min(side[0].rows for side in sides)
    items = min(side[1].rows for side in sides)
    if not users or not items or not 1 <= k <= items:
        raise RefusedError(f"no heads: {users:,} users, {items:,} items, slates of {k:,}")
    chosen = np.arange(0, users, max(1, -(-users // USERS)))
    member = np.zeros((items, len(groups)), dtype="<f4")
    for column, rows in enumerate(groups.values()):
        member[[row for row in rows if row < items], column] = 1
    shares = [_shares(_table(one, users)[chosen], _table(other, items), member, k) for one, other in sides]
    return {
        "users": len(chosen),
        "k": k,
        "groups": [_group(name, shares[0][:, column], shares[1][:, column]) for column, name in enumerate(groups)],
    }


def _table(tensor: Tensor, rows: int) -> Array:
    if len(tensor.shape) != 2 or not tensor.numeric or rows * tensor.columns > _MOST_ELEMENTS:  # noqa: PLR2004 - a table
        raise RefusedError(f"{tensor.name} is no table of numbers that a head can be made of")
    size = tensor.nbytes // tensor.rows * rows
    table: Array = values(tensor.file.read(tensor.offset, size), tensor.dtype).astype("<f4").reshape(rows, -1)
    if not np.isfinite(table).all():
        raise RefusedError(f"{tensor.name} holds values that are not finite")
    return table


def _shares(users: Array, items: Array, member: Array, k: int) -> Array:
    """For each user each group's share of exposure."""
    if users.shape[1] != items.shape[1]:
        raise RefusedError(f"users have {users.shape[1]} columns and items {items.shape[1]}: no dot product")
    weights = (1 / np.log2(np.arange(k) + 2)).astype("<f4")
    weights /= weights.sum()
    step = max(1, _SCORES // len(items))
    parts = []
    for at in range(0, len(users), step):
        scores = users[at : at + step] @ items.T
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.lexsort((top, -np.take_along_axis(scores, top, axis=1)), axis=1)
        parts.append(np.einsum("k,ukg->ug", weights, member[np.take_along_axis(top, order, axis=1)]))
    shares: Array = np.concatenate(parts).astype("<f8")
    return shares


def _group(name: str, old: Array, new: Array) -> dict[str, Any]:
    base, head = float(old.mean()), float(new.mean())
    moved = new - old
    error = float(moved.std(ddof=1) / np.sqrt(len(moved))) if len(moved) > 1 else 0.0
    return {
        "name": name,
        "base_share": base,
        "head_share": head,
        "ratio": head / base if base > 0 else None,
        "error": error,
    }
