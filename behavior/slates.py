# SPDX-License-Identifier: Apache-2.0
"""Slates: the ranked items each request got, held as numbers, read from and written to files.

Whoever made the slates is not believed: every identifier, rank and length is checked against the panel here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from behavior._slate_blocks import Requests, SlateBlocks, TwiceAskedError, first_places, let_go
from evidence import Digest, SlatesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behavior._slate_blocks import Held
    from behavior.panels import Panel

Rows = np.ndarray[Any, np.dtype[np.int32]]  # requests x positions of item row numbers

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Slates:
    """What one version recommended, one row a request, rows in order of user and context.

    ``user`` is the panel's row number of each request's user (int32). ``context`` tells the requests of one user
    apart ("" where there is one). ``top`` is requests x k. ``deep`` is requests x depth, or None where the slates
    are no deeper than ``k``; its first ``k`` columns need not equal ``top``, since both were asked for separately.
    """

    user: Rows
    context: tuple[str, ...]
    top: Rows
    deep: Rows | None

    @cached_property
    def digest(self) -> Digest:
        """Over users, contexts and items as numbers; with the panel's digest it names exactly these slates."""
        running = hashlib.sha256(b"countersign/slates/v1\n")
        if any(self.context):
            for context in self.context:
                running.update(f"{len(context.encode())}:".encode() + context.encode())
        else:
            running.update(b"0:" * len(self.context))
        for block in (self.user, self.top, self.deep):
            shape = "none" if block is None else "x".join(map(str, block.shape))
            running.update(f"\n{shape}\n".encode())
            if block is None:
                continue
            for low in range(0, len(block), _ROWS_AT_ONCE):
                running.update(np.ascontiguousarray(block[low : low + _ROWS_AT_ONCE], dtype="<i4").data)
                let_go(block)
        return f"sha256:{running.hexdigest()}"

    @property
    def depth(self) -> int:
        """How many positions are recorded."""
        return int((self.top if self.deep is None else self.deep).shape[1])

    @property
    def prefix_differs(self) -> int:
        """In how many requests the first ``k`` of the deep slate are not the slate of ``k``."""
        if self.deep is None:
            return 0
        differ = 0
        for low in range(0, len(self.top), _ROWS_AT_ONCE):
            rows = slice(low, low + _ROWS_AT_ONCE)
            differ += int((self.deep[rows, : self.top.shape[1]] != self.top[rows]).any(axis=1).sum())
            let_go(self.deep)
            let_go(self.top)
        return differ


def make_slates(
    panel: Panel, rankings: Sequence[tuple[str, str, Sequence[str]]], *, what: str = "slates", k: int | None = None
) -> Slates:
    """Check rankings and turn them into slates: ``(user_id, context, item_ids)`` each, in any order.

    ``deep`` is there when every ranking is longer than ``k``: as deep as the shortest, at most the panel's depth.

    Raises:
        SlatesError: none at all, an unknown user or item, a repeated item, fewer than ``k`` items, two rankings for
            one request. It names the first case in order of user and the count.
    """
    lengths = np.array([len(items) for _, _, items in rankings], dtype=np.int64)
    k = panel.k if k is None else k
    requests = Requests(
        users=pl.Series([user for user, _, _ in rankings], dtype=pl.String),
        contexts=pl.Series([context for _, context, _ in rankings], dtype=pl.String),
        lengths=lengths,
        items=pl.Series([item for _, _, items in rankings for item in items], dtype=pl.String),
    )
    with SlateBlocks(panel, what, k, int(lengths.sum())) as blocks:
        blocks.add(requests)
        try:
            return slates_of(blocks.finish(), k)
        except TwiceAskedError as twice:
            which = (
                f" in context {twice.context!r}" if twice.context else "; tell requests of one user apart by context"
            )
            user = panel.users["user_id"][twice.user]
            raise SlatesError(f"{what}: user {user!r} has two slates{which} ({twice.count} such)") from twice


def slates_of(held: Held, k: int) -> Slates:
    """Slates of ``k``, and deep ones where more is held."""
    deep = held.block if held.block.shape[1] > k else None
    top = held.block if deep is None else first_places(held.block, k)
    return Slates(held.user, held.context, top, deep)


def require_same_requests(base: Slates, head: Slates, panel: Panel, sides: tuple[str, str] = ("base", "head")) -> None:
    """Raise SlatesError unless both sides answer the same users and contexts."""
    if np.array_equal(base.user, head.user) and base.context == head.context:
        return
    names = panel.users["user_id"]
    left = {(int(user), context) for user, context in zip(base.user, base.context, strict=True)}
    right = {(int(user), context) for user, context in zip(head.user, head.context, strict=True)}
    for here, there, side, other in ((left, right, sides[0], sides[1]), (right, left, sides[1], sides[0])):
        if only := sorted(here - there):
            user, context = only[0]
            where = f" in context {context!r}" if context else ""
            raise SlatesError(
                f"{side} slates: user {names[user]!r}{where} is not in the {other} slates ({len(only)} such)"
            )
