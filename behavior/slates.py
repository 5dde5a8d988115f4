# SPDX-License-Identifier: Apache-2.0
"""Slates: the ranked items each request got, held as numbers, read from and written to files.

Whoever made the slates is not believed: every identifier, rank and length is checked against the panel here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence import Digest, SlatesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from behavior.panels import Panel

Rows = np.ndarray[Any, np.dtype[np.int32]]  # requests x positions of item row numbers


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
        for context in self.context:
            running.update(f"{len(context.encode())}:".encode() + context.encode())
        for block in (self.user, self.top, self.deep):
            shape = "none" if block is None else "x".join(map(str, block.shape))
            running.update(f"\n{shape}\n".encode())
            if block is not None:
                running.update(np.ascontiguousarray(block, dtype="<i4").tobytes())
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
        return int((self.deep[:, : self.top.shape[1]] != self.top).any(axis=1).sum())


def make_slates(
    panel: Panel, rankings: Sequence[tuple[str, str, Sequence[str]]], *, what: str = "slates", k: int | None = None
) -> Slates:
    """Check rankings and turn them into slates: ``(user_id, context, item_ids)`` each, in any order.

    ``deep`` is there when every ranking is longer than ``k``: as deep as the shortest, at most the panel's depth.

    Raises:
        SlatesError: none at all, an unknown user or item, a repeated item, fewer than ``k`` items, two rankings for
            one request. It names the first case and the count.
    """
    k = panel.k if k is None else k
    if not rankings:
        raise SlatesError(f"{what}: no slates in it")
    users = _user_rows(panel, rankings, what)
    _refuse(
        what,
        f"fewer than k = {k} items",
        ((user, len(items)) for user, _, items in rankings if len(items) < k),
    )
    length = min(panel.depth, *(len(items) for _, _, items in rankings))
    known = panel.item_rows
    _refuse(
        what,
        "an item that is not in the panel",
        ((user, item) for user, _, items in rankings for item in items if item not in known),
    )
    _refuse(
        what,
        "a repeated item",
        ((user, Counter(items).most_common(1)[0][0]) for user, _, items in rankings if len(set(items)) != len(items)),
    )
    block = np.array([[known[item] for item in items[:length]] for _, _, items in rankings], dtype=np.int32)
    order = _request_order(users, rankings, what)
    deep = np.ascontiguousarray(block[order]) if length > k else None
    top = np.ascontiguousarray(block[order][:, :k])
    return Slates(users[order], tuple(rankings[row][1] for row in order), top, deep)


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


def _user_rows(panel: Panel, rankings: Sequence[tuple[str, str, Sequence[str]]], what: str) -> Rows:
    known = panel.user_rows
    unknown = [user for user, _, _ in rankings if user not in known]
    if unknown:
        raise SlatesError(f"{what}: user {unknown[0]!r} is not in the panel ({len(unknown)} such)")
    return np.array([known[user] for user, _, _ in rankings], dtype=np.int32)


def _request_order(users: Rows, rankings: Sequence[tuple[str, str, Sequence[str]]], what: str) -> list[int]:
    keys = [(int(user), context) for user, (_, context, _) in zip(users, rankings, strict=True)]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    twice = [after for before, after in pairwise(order) if keys[before] == keys[after]]
    if twice:
        user, context, _ = rankings[twice[0]]
        which = f" in context {context!r}" if context else "; tell requests of one user apart by context"
        raise SlatesError(f"{what}: user {user!r} has two slates{which} ({len(twice)} such)")
    return order


def _refuse(what: str, problem: str, cases: Iterable[tuple[str, object]]) -> None:
    found = list(cases)
    if found:
        user, value = found[0]
        raise SlatesError(f"{what}: user {user!r}: {problem}: {value!r} ({len(found)} such)")
