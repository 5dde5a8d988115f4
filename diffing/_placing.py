# SPDX-License-Identifier: Apache-2.0
"""Where the symbols of base are found in head, across renames and moves of files and functions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from diffing._words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from diffing._facts import Facts, Symbol

MOST_COMPARED = 400  # leftovers on a side within one place that are compared each with each
T = TypeVar("T")
F = TypeVar("F")
K = TypeVar("K", bound="Hashable")


class Place(NamedTuple):
    """A symbol in a file of head (or of base, where head has none)."""

    path: str
    symbol: str


@dataclass(frozen=True, slots=True)
class FilePair:
    """Both sides' facts of one changed file; one side is None where the file was added or removed."""

    old: Facts | None
    new: Facts | None

    @property
    def path(self) -> str:
        """Head's path, or base's for a removed file."""
        side = self.new or self.old
        return side.path if side else ""


class Placed(NamedTuple, Generic[F]):
    """A fact with its side's file and the place it is compared at."""

    fact: F
    facts: Facts
    place: Place


class Places:
    """Where the symbols of base are found in head."""

    def __init__(self, pairs: Sequence[FilePair]) -> None:
        self._moved: dict[Place, Place] = {}
        self._known: set[Place] = set()
        self._paths: dict[str, str] = {}
        old_left: list[tuple[Place, Symbol]] = []
        new_left: list[tuple[Place, Symbol]] = []
        for pair in pairs:
            old, new = self._within(pair)
            old_left += old
            new_left += new
        self._match(old_left, new_left, lambda symbol: (symbol.form, bool(symbol.form)))
        old_left = [item for item in old_left if item[0] not in self._moved]
        taken = set(self._moved.values())
        new_left = [item for item in new_left if item[0] not in taken]
        self._match(old_left, new_left, lambda symbol: symbol.name)

    def of(self, facts: Facts, symbol: str, *, base: bool) -> Place:
        """The place of a symbol, in head's terms."""
        if not base:
            return Place(facts.path, symbol)
        own = Place(facts.path, symbol)
        return self._moved.get(own) or Place(self._paths.get(facts.path, facts.path), symbol)

    def moves(self) -> list[tuple[Place, Place]]:
        """The symbols of base that head has under another name or in another file."""
        return sorted(self._moved.items())

    def both(self, place: Place) -> bool:
        """Whether a place (in head's terms) exists on both sides."""
        return place in self._known

    def _within(self, pair: FilePair) -> tuple[list[tuple[Place, Symbol]], list[tuple[Place, Symbol]]]:
        old, new = pair.old, pair.new
        if old and new:
            self._paths[old.path] = new.path
            self._known.add(Place(new.path, ""))
        olds = old.symbols if old else {}
        news = new.symbols if new else {}
        common = olds.keys() & news.keys()
        self._known |= {Place(pair.path, name) for name in common}
        left_old = (
            [(Place(old.path, name), symbol) for name, symbol in olds.items() if name not in common] if old else []
        )
        left_new = (
            [(Place(new.path, name), symbol) for name, symbol in news.items() if name not in common] if new else []
        )
        self._match(left_old, left_new, lambda symbol: symbol.form)
        taken = set(self._moved.values())
        left_old = [item for item in left_old if item[0] not in self._moved]
        left_new = [item for item in left_new if item[0] not in taken]
        self._renamed(left_old, left_new)
        taken = set(self._moved.values())
        return [item for item in left_old if item[0] not in self._moved], [
            item for item in left_new if item[0] not in taken
        ]

    def _match(
        self, olds: list[tuple[Place, Symbol]], news: list[tuple[Place, Symbol]], key: Callable[[Symbol], Hashable]
    ) -> None:
        old_by, new_by = grouped(olds, lambda item: key(item[1])), grouped(news, lambda item: key(item[1]))
        for name, found in old_by.items():
            others = new_by.get(name, [])
            if len(found) == len(others) == 1:
                self._moves(found[0][0], others[0][0])

    def _renamed(self, olds: list[tuple[Place, Symbol]], news: list[tuple[Place, Symbol]]) -> None:
        """Functions renamed and changed at once: the same parameters and a word of the name in common."""
        left = news[:MOST_COMPARED]
        for place, symbol in olds[:MOST_COMPARED]:
            for other in left:
                if symbol.parameters == other[1].parameters and words(symbol.name) & words(other[1].name):
                    self._moves(place, other[0])
                    left.remove(other)
                    break

    def _moves(self, old: Place, new: Place) -> None:
        self._moved[old] = new
        self._known.add(new)


def placed(
    pairs: Sequence[FilePair], places: Places, of: Callable[[Facts], Iterable[F]], symbol: Callable[[F], str]
) -> tuple[list[Placed[F]], list[Placed[F]]]:
    """One kind of facts of base and of head, each at its place in head's terms."""
    olds = [
        Placed(fact, pair.old, places.of(pair.old, symbol(fact), base=True))
        for pair in pairs
        if pair.old
        for fact in of(pair.old)
    ]
    news = [
        Placed(fact, pair.new, places.of(pair.new, symbol(fact), base=False))
        for pair in pairs
        if pair.new
        for fact in of(pair.new)
    ]
    return olds, news


def without_equal(
    olds: list[Placed[F]],
    news: list[Placed[F]],
    key: Callable[[Placed[F]], Hashable],
    other: Callable[[Placed[F]], Hashable] | None = None,
) -> tuple[list[Placed[F]], list[Placed[F]]]:
    """What is left when facts with the same key have cancelled one by one; ``other`` is head's key if it differs."""
    waiting = grouped(news, other or key)
    left: list[Placed[F]] = []
    taken: set[int] = set()
    for old in olds:
        same = waiting.get(key(old))
        if same:
            taken.add(id(same.pop(0).fact))
        else:
            left.append(old)
    return left, [new for new in news if id(new.fact) not in taken]


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in their order."""
    groups: dict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
