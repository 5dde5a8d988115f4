# SPDX-License-Identifier: Apache-2.0
"""Which literal of head is which literal of base, across renames and moves of files, symbols and names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from diffing._facts import NAMED_ROLES, Literal
from diffing._flow import Feeds
from diffing._placing import MOST_COMPARED, FilePair, Places, grouped
from diffing._placing import Placed as AnyPlaced
from diffing._placing import placed as placed_facts
from diffing._words import word_sequence, words

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

Placed = AnyPlaced[Literal]

_ALIKE = 0.5  # share of words two names have in common to be one name, renamed
_KIN = 0.6  # share of the shorter name's words that must be in the longer one
_STEM = 4  # letters by which words are told apart
_FEWEST_SHARED = 2  # words that a value which changed file, name and number at once must keep
_FEWEST_LETTERS = 4  # of a name of one word that is looked for in other files


class Match(NamedTuple):
    """A literal on both sides, or on one."""

    old: Placed | None
    new: Placed | None


def match_literals(pairs: Sequence[FilePair], places: Places) -> list[Match]:
    """Pair the literals of base with those of head, surest first."""
    olds, news = placed_facts(pairs, places, lambda facts: facts.literals, lambda literal: literal.symbol)
    matcher = _Matcher(olds, news)
    matcher.in_order(lambda item: (item.place, item.fact.role in NAMED_ROLES or item.fact.role, item.fact.name))
    matcher.in_order(lambda item: (item.place, item.fact.name))
    matcher.extracted()
    matcher.uniquely(lambda item: (item.place.symbol.rpartition(".")[2], *_spelling(item)), named=True)
    matcher.renamed()
    matcher.uniquely(_spelling, named=True)
    matcher.kin()
    matcher.relocated()
    matcher.moved()
    return matcher.result()


def value_key(value: object) -> Hashable:
    """What makes two values the same: 1 and 1.0 are, 1 and True are not; lists of texts in another order are."""
    if isinstance(value, tuple):
        if any(isinstance(one, str) for one in value):
            return ("texts", tuple(sorted(map(repr, value))))
        return ("list", tuple(map(value_key, value)))
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    return ("number" if isinstance(value, (int, float)) else "text", value)


class _Matcher:
    def __init__(self, olds: list[Placed], news: list[Placed]) -> None:
        self._olds, self._news = olds, news
        self._matches: list[Match] = []

    def result(self) -> list[Match]:
        return [*self._matches, *(Match(old, None) for old in self._olds), *(Match(None, new) for new in self._news)]

    def _take(self, pairs: Iterable[tuple[Placed, Placed]]) -> None:
        taken_old, taken_new = set(), set()
        for old, new in pairs:
            self._matches.append(Match(old, new))
            taken_old.add(id(old.fact))
            taken_new.add(id(new.fact))
        self._olds = [old for old in self._olds if id(old.fact) not in taken_old]
        self._news = [new for new in self._news if id(new.fact) not in taken_new]

    def in_order(self, key: Callable[[Placed], Hashable]) -> None:
        """Pair what has the same key: equal values first, the rest in source order."""
        old_by, new_by = grouped(self._olds, key), grouped(self._news, key)
        pairs: list[tuple[Placed, Placed]] = []
        for name, found in old_by.items():
            others = new_by.get(name)
            if others:
                equal, left_old, left_new = _cancelled(found, others)
                pairs += equal
                pairs += zip(left_old, left_new, strict=False)
        self._take(pairs)

    def extracted(self) -> None:
        """A constant given a name, or put in place of one: equal values, at least one of them inside an expression."""
        for key in (_by_file, _by_value):
            old_by, new_by = grouped(self._olds, key), grouped(self._news, key)
            pairs = []
            for name, found in old_by.items():
                others = list(new_by.get(name, ()))
                for old in found:
                    for new in others[:MOST_COMPARED]:
                        if not (_is_named(old) and _is_named(new)):
                            pairs.append((old, new))
                            others.remove(new)
                            break
            self._take(pairs)

    def uniquely(self, key: Callable[[Placed], Hashable], *, named: bool) -> None:
        """Pair what alone has its key on either side, wherever it is."""
        olds = [old for old in self._olds if _is_named(old) or not named]
        news = [new for new in self._news if _is_named(new) or not named]
        old_by, new_by = grouped(olds, key), grouped(news, key)
        self._take(
            (found[0], new_by[name][0])
            for name, found in old_by.items()
            if name is not None and len(found) == 1 and len(new_by.get(name, ())) == 1
        )

    def renamed(self) -> None:
        """Names of one file that changed.

        The same value with a like name or like uses, or a like name with another value.
        """
        old_by = grouped([old for old in self._olds if _is_named(old)], lambda item: item.place.path)
        new_by = grouped([new for new in self._news if _is_named(new)], lambda item: item.place.path)
        pairs: list[tuple[Placed, Placed]] = []
        for path, found in old_by.items():
            candidates = [
                (-_likeness(old, new), at_old, at_new)
                for at_old, old in enumerate(found[:MOST_COMPARED])
                for at_new, new in enumerate(new_by.get(path, [])[:MOST_COMPARED])
                if _likeness(old, new) > 0
            ]
            used_old, used_new = set[int](), set[int]()
            for _, at_old, at_new in sorted(candidates):
                if at_old not in used_old and at_new not in used_new:
                    used_old.add(at_old)
                    used_new.add(at_new)
                    pairs.append((found[at_old], new_by[path][at_new]))
        self._take(pairs)

    def kin(self) -> None:
        """Named values that went elsewhere under another name.

        The same value, and most words of one name in the other's path.
        """
        old_by = grouped([old for old in self._olds if _is_named(old)], _by_value)
        new_by = grouped([new for new in self._news if _is_named(new)], _by_value)
        pairs: list[tuple[Placed, Placed]] = []
        for value, found in old_by.items():
            others = list(new_by.get(value, ()))[:MOST_COMPARED]
            for old in found[:MOST_COMPARED]:
                best = max(others, key=lambda new, old=old: _kinship(old, new), default=None)  # type: ignore[misc]
                if best is not None and _kinship(old, best) >= _KIN:
                    others.remove(best)
                    pairs.append((old, best))
        self._take(pairs)

    def relocated(self) -> None:
        """Numbers that scores depend on, under another name in another file and with another value.

        All words of one name must be in the other's path, and no other number may fit as well.
        """
        olds = [old for old in self._olds if _is_weight(old)][:MOST_COMPARED]
        news = [new for new in self._news if _is_weight(new)][:MOST_COMPARED]
        fits = [
            (at_old, at_new)
            for at_old, old in enumerate(olds)
            for at_new, new in enumerate(news)
            if old.place.path != new.place.path and _is_within(old, new)
        ]
        firsts, seconds = Counter(at for at, _ in fits), Counter(at for _, at in fits)
        self._take((olds[one], news[other]) for one, other in fits if firsts[one] == seconds[other] == 1)

    def moved(self) -> None:
        """Literals inside expressions that went elsewhere unchanged."""
        old_by = grouped([old for old in self._olds if not _is_named(old)], _by_value)
        new_by = grouped([new for new in self._news if not _is_named(new)], _by_value)
        self._take(pair for name, found in old_by.items() for pair in zip(found, new_by.get(name, ()), strict=False))


def _is_named(item: Placed) -> bool:
    return item.fact.role in NAMED_ROLES


def _by_file(item: Placed) -> Hashable:
    return (item.place.path, value_key(item.fact.value))


def _by_value(item: Placed) -> Hashable:
    return value_key(item.fact.value)


def _shape(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "constant"
    return "number" if isinstance(value, (int, float)) else "list" if isinstance(value, tuple) else "text"


def _spelling(item: Placed) -> tuple[Hashable, ...]:
    """A name as any language would spell it; names too short to tell get a key of their own."""
    spelled = word_sequence(item.fact.name)
    if len("".join(spelled)) < _FEWEST_LETTERS:
        return ("short", item.place, item.fact.name)
    return (_shape(item.fact.value), spelled)


def _likeness(old: Placed, new: Placed) -> float:
    """How much two names of one file are the same one, renamed: 0 for not."""
    if _shape(old.fact.value) != _shape(new.fact.value):
        return 0.0
    one, other = _stems(old.fact.name), _stems(new.fact.name)
    shared = len(one & other) / max(1, len(one | other))
    equal = value_key(old.fact.value) == value_key(new.fact.value)
    if equal and (shared > 0 or _same_uses(old, new)):
        return 1 + shared
    if shared > 0 and old.place == new.place and _same_uses(old, new):
        return shared
    return shared if shared >= _ALIKE and old.place == new.place else 0.0


def _stems(name: str) -> set[str]:
    """The words of a name by their beginnings: ``sharing`` and ``share`` are one."""
    return {word[:_STEM] for word in word_sequence(name)}


def _kinship(old: Placed, new: Placed) -> float:
    """The share of the shorter name's words that the longer has, whatever their number."""
    one, other = ({word.rstrip("s") for word in words(item.fact.name)} for item in (old, new))
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0


def _is_within(old: Placed, new: Placed) -> bool:
    """Whether all words of one name, two at least, are in the other."""
    one, other = ({word.rstrip("s") for word in words(item.fact.name)} for item in (old, new))
    return len(one & other) == min(len(one), len(other)) >= _FEWEST_SHARED


def _is_weight(item: Placed) -> bool:
    return _is_named(item) and item.fact.feeds is Feeds.SCORE and _shape(item.fact.value) == "number"


def _same_uses(old: Placed, new: Placed) -> bool:
    """Whether one name left a file and the other came, used as often."""
    before, after = old.fact.name, new.fact.name
    count = old.facts.uses.get(before, 0)
    return (
        count > 0
        and count == new.facts.uses.get(after, 0)
        and before not in new.facts.uses
        and after not in old.facts.uses
    )


def _cancelled(
    olds: list[Placed], news: list[Placed]
) -> tuple[list[tuple[Placed, Placed]], list[Placed], list[Placed]]:
    """Pairs of equal value, and what is left on either side."""
    waiting = grouped(news, _by_value)
    pairs, left = [], []
    for old in olds:
        same = waiting.get(_by_value(old))
        if same:
            pairs.append((old, same.pop(0)))
        else:
            left.append(old)
    taken = {id(new.fact) for _, new in pairs}
    return pairs, left, [new for new in news if id(new.fact) not in taken]
