# SPDX-License-Identifier: Apache-2.0
"""Slates put together from blocks of requests, as columns: checked, put in order, and held as numbers.

Slates of more than 64 million places are held in temporary files that are mapped into memory, so that reading them
takes no more memory than reading a few million.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from evidence import SlatesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from behavior._ids import Rows
    from behavior.panels import Panel

Integers = np.ndarray[Any, np.dtype[np.int64]]
Case = tuple[str, str, object]  # user id, context, what is wrong

_ROWS_AT_ONCE = 1 << 16
IN_MEMORY = 1 << 26  # places; beyond it, slates are held in files


def _nothing(_: int) -> None:
    """No value goes with the problem."""


class TwiceAskedError(Exception):
    """One request has two slates. Holds the user's row number, the context and how many such there are."""

    def __init__(self, user: int, context: str, count: int) -> None:
        super().__init__(user, context, count)
        self.user, self.context, self.count = user, context, count


@dataclass(frozen=True, slots=True)
class Requests:
    """Whole requests: ids and contexts of each, how many items each got, and the items of all one after the other."""

    users: pl.Series
    contexts: pl.Series | None
    lengths: Integers
    items: pl.Series


@dataclass(frozen=True, slots=True)
class Held:
    """Requests in order of user and context: rows of users, contexts, requests x places of item rows."""

    user: Rows
    context: tuple[str, ...]
    block: Rows


class SlateBlocks:
    """Takes blocks of requests in any order; ``finish`` gives all of them in theirs. To be used in a ``with``."""

    def __init__(self, panel: Panel, what: str, k: int, places: int) -> None:
        """Make ready for about ``places`` places."""
        self._panel, self._what, self._k = panel, what, k
        self._in_file = places > IN_MEMORY
        self._store = _Store(in_file=self._in_file)
        self._users, self._items = panel.user_numbers, panel.item_numbers
        self._rows: list[Rows] = []
        self._contexts: list[pl.Series | None] = []
        self._problems: dict[str, tuple[Case, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def add(self, requests: Requests) -> None:
        """Look up, check and keep a block of requests. What is wrong with them is said by ``finish``."""
        users = self._users.of(requests.users)
        items = self._items.of(requests.items)
        lengths = requests.lengths
        starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        self._note(requests, "unknown user", np.flatnonzero(users < 0))
        short = np.flatnonzero(lengths < self._k)
        self._note(requests, "short", short, lambda request: int(lengths[request]))
        unknown = np.flatnonzero(items < 0)
        of_request = np.searchsorted(starts, unknown, side="right") - 1 if len(unknown) else unknown
        self._note(requests, "unknown item", of_request, lambda request: self._stranger(requests, request))
        repeated = _repeated(items, lengths)
        self._note(requests, "repeated", repeated, lambda request: _most_common(requests, request))
        if self._problems:
            return  # there will be no slates: only what else is wrong counts
        width = int(min(self._panel.depth, lengths.min(initial=self._panel.depth)))
        even = len(lengths) > 0 and bool((lengths == lengths[0]).all())
        block = items.reshape(len(lengths), -1)[:, :width] if even else items[starts[:, None] + np.arange(width)]
        self._rows.append(users)
        self._contexts.append(requests.contexts)
        self._store.add(block)

    def finish(self) -> Held:
        """All requests in order of the panel's users and of context, as many places each as the shortest has.

        Raises:
            SlatesError: the first case, in order of user id, of the first kind of problem there is.
            TwiceAskedError: two rankings for one request.
        """
        self._refuse()
        if not self._rows or not sum(map(len, self._rows)):
            raise SlatesError(f"{self._what}: no slates in it")
        user = np.concatenate(self._rows)
        length = min(width for count, width in self._store.shapes if count)
        if all(context is None for context in self._contexts):
            context, order = None, np.argsort(user, kind="stable")
        else:
            parts = [
                pl.Series("context", [""] * len(rows)) if names is None else names
                for names, rows in zip(self._contexts, self._rows, strict=True)
            ]
            context = pl.concat(parts)
            # Contexts are put in order by code point, as Python does, whatever the locale.
            order = np.lexsort((context.rank("dense").to_numpy(), user))
            context = context.gather(order)
        user = user[order]
        self._require_once(user, context)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        whole = room((len(user), length), in_file=self._in_file)
        done = 0
        for block in self._store.take():
            whole[place[done : done + len(block)]] = block[:, :length]
            done += len(block)
            let_go(whole)
        return Held(user, ("",) * len(user) if context is None else tuple(context), whole)

    def _note(self, requests: Requests, kind: str, cases: Integers, value: Callable[[int], object] = _nothing) -> None:
        """Remember how many cases there are of a problem, and the first in order of user id and context."""
        if not len(cases):
            return
        users = requests.users.gather(cases)
        first = int(cases[users.arg_min() or 0])
        user, context = requests.users[first], "" if requests.contexts is None else requests.contexts[first]
        case: Case = (user, context, value(first))
        before, count = self._problems.get(kind, (case, 0))
        self._problems[kind] = (min(before, case, key=lambda each: each[:2]), count + len(cases))

    def _refuse(self) -> None:
        for kind, words in (
            ("unknown user", "is not in the panel"),
            ("short", f": fewer than k = {self._k} items: "),
            ("unknown item", ": an item that is not in the panel: "),
            ("repeated", ": a repeated item: "),
        ):
            if kind in self._problems:
                (user, _, value), count = self._problems[kind]
                said = f" {words}" if value is None else f"{words}{value!r}"
                raise SlatesError(f"{self._what}: user {user!r}{said} ({count} such)")

    def _stranger(self, requests: Requests, request: int) -> str:
        """The first item of a request that the panel does not have."""
        return next(item for item in _of_request(requests, request) if item not in self._panel.item_rows)

    @staticmethod
    def _require_once(user: Rows, context: pl.Series | None) -> None:
        again = user[1:] == user[:-1]
        if context is not None:
            again &= (context[1:] == context[:-1]).to_numpy()
        twice = np.flatnonzero(again)
        if len(twice):
            at = int(twice[0]) + 1
            raise TwiceAskedError(int(user[at]), "" if context is None else context[at], len(twice))


class _Store:
    """Blocks of rows, kept in memory or one after the other in a file without a name."""

    def __init__(self, *, in_file: bool) -> None:
        self._file = tempfile.TemporaryFile(prefix="countersign-") if in_file else None  # noqa: SIM115 - it lives as long as the store
        self._blocks: list[Rows] = []
        self.shapes: list[tuple[int, int]] = []

    def add(self, block: Rows) -> None:
        self.shapes.append((block.shape[0], block.shape[1]))
        if self._file is None:
            self._blocks.append(block)
        else:
            block.tofile(self._file)

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()

    def take(self) -> Iterator[Rows]:
        """Every block once; what was taken is let go."""
        if self._file is None:
            while self._blocks:
                yield self._blocks.pop(0)
            return
        self._file.seek(0)
        for shape in self.shapes:
            yield np.fromfile(self._file, dtype=np.int32, count=shape[0] * shape[1]).reshape(shape)


def let_go(array: Rows | None) -> None:
    """Take a mapped file's pages out of this process's memory; they are read again when they are needed."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def room(shape: tuple[int, int], *, in_file: bool) -> Rows:
    """An empty array in memory or in a file without a name, which goes when the array does."""
    if not in_file:
        return np.empty(shape, dtype=np.int32)
    with tempfile.TemporaryFile(prefix="countersign-") as file:
        return np.memmap(file, dtype=np.int32, mode="w+", shape=shape)


def first_places(block: Rows, k: int) -> Rows:
    """The first ``k`` places of every request, as an array of its own, in a file if ``block`` is."""
    first = room((len(block), k), in_file=isinstance(block, np.memmap))
    for low in range(0, len(block), _ROWS_AT_ONCE):
        first[low : low + _ROWS_AT_ONCE] = block[low : low + _ROWS_AT_ONCE, :k]
        let_go(block)
        let_go(first)
    return first


def _repeated(items: Rows, lengths: Integers) -> Integers:
    """The requests in which an item is there twice."""
    if not len(items):
        return np.zeros(0, dtype=np.int64)
    if (lengths == lengths[0]).all():
        ordered = np.sort(items.reshape(len(lengths), -1), axis=1)
        return np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    request = np.repeat(np.arange(len(lengths)), lengths)
    keys = np.sort(request * (int(items.max()) + 2) + items + 1)
    return np.unique(keys[1:][keys[1:] == keys[:-1]] // (int(items.max()) + 2))


def _of_request(requests: Requests, request: int) -> list[str]:
    start = int(requests.lengths[:request].sum())
    return requests.items[start : start + int(requests.lengths[request])].to_list()


def _most_common(requests: Requests, request: int) -> str:
    return Counter(_of_request(requests, request)).most_common(1)[0][0]
