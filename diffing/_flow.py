# SPDX-License-Identifier: Apache-2.0
"""Which names a score or a filter depends on.

A simple, predictable flow: an assignment makes its targets depend on the names in its value; a condition makes what
is assigned
or returned under it depend on the names in the condition; a function depends on what it returns. Names whose own words
speak of scores are where it starts, and everything they depend on feeds a score. Names of how work is done (batch
sizes, threads, seeds) stop it. Attributes and module-level names are one name wherever they occur; locals belong to
their function.

What it does not see: values passed by position into functions of other files, containers filled through aliases, and
reflection.
"""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from diffing._words import is_metric, is_neutral, is_score

if TYPE_CHECKING:
    from collections.abc import Iterable


class Feeds(IntEnum):
    """What a value reaches, as far as names tell."""

    NOTHING = 0
    METRIC = 1
    SCORE = 2


class Key(NamedTuple):
    """A name in the scope that owns it; "" for attributes and module-level names."""

    scope: str
    name: str


class Flow:
    """Who depends on whom in one file."""

    def __init__(self) -> None:
        self._sources: dict[Key, set[Key]] = defaultdict(set)
        self._seen: set[Key] = set()
        self._known: set[Key] = set()
        self._feeding: frozenset[Key] | None = None

    def add(self, targets: Iterable[Key], sources: Iterable[Key]) -> None:
        """``targets`` depend on ``sources``."""
        used = set(sources)
        self._seen |= used
        for target in targets:
            self._sources[target] |= used
            self._seen.add(target)

    def start(self, key: Key) -> None:
        """``key`` is a score by where it stands, whatever it is called."""
        self._known.add(key)

    def seeds(self) -> set[Key]:
        """The names that speak of scores themselves."""
        return {key for key in self._seen if is_score(key.name)} | self._known

    def feeding(self) -> frozenset[Key]:
        """Every name that a score depends on."""
        if self._feeding is None:
            reached = self.seeds()
            stack = list(reached)
            while stack:
                for source in self._sources.get(stack.pop(), ()):
                    if source not in reached and not is_neutral(source.name) and not is_metric(source.name):
                        reached.add(source)
                        stack.append(source)
            self._feeding = frozenset(reached)
        return self._feeding
