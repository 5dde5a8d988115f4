# SPDX-License-Identifier: Apache-2.0
"""condition-changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing._evidence import at, cut, reach
from diffing._facts import Condition
from diffing._flow import Feeds
from diffing._placing import FilePair, Places, grouped, placed, without_equal
from diffing._placing import Placed as AnyPlaced
from diffing._renamed import Written, only_renamed
from diffing._words import GROUPING, IDENTITY, SCOPE, words
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

Placed = AnyPlaced[Condition]

_ALIKE = 0.3  # share of names that two conditions have in common to be one, changed
_MOST_COMPARED = 200
_JOINS = re.compile(r"\b(?:and|or)\b|&|\|")


def condition_findings(pairs: Sequence[FilePair], places: Places) -> Iterator[Finding]:
    """Conditions that changed, came or went, in functions that both sides have."""
    olds, news = placed(pairs, places, lambda facts: facts.conditions, lambda condition: condition.symbol)
    local: list[Callable[[Placed], Hashable]] = [
        lambda item: (item.place, item.fact.form),
        lambda item: (item.place, item.fact.bare),
        lambda item: (item.place, item.fact.far),
    ]
    for key in local:
        olds, news = without_equal(olds, news, key)
    olds, news = _without_turned(olds, news)
    olds, news = without_equal(olds, news, lambda item: item.fact.bare)
    old_by, new_by = grouped(olds, lambda item: item.place), grouped(news, lambda item: item.place)
    for place in sorted(old_by.keys() | new_by.keys()):
        if not places.both(place):
            continue
        changed, gone, come = _alike(old_by.get(place, []), new_by.get(place, []))
        for old, new in changed:
            yield _condition_changed(old, new)
        for item in come:
            if _matters(item.fact):
                yield _condition_one_sided(item, "added")
        for item in gone:
            if _matters(item.fact):
                yield _condition_one_sided(item, "removed")


def _matters(condition: Condition) -> bool:
    """Whether a condition that came or went is shown: a score depends on it, or it asks who or where somebody is."""
    if condition.trivial:
        return False
    return condition.feeds is Feeds.SCORE


def _condition_changed(old: Placed, new: Placed) -> Finding:
    before, after = old.fact, new.fact
    if after.bare == before.opposite:
        what = "negated"
    elif _letters(before.text) == _letters(after.text) and before.names == after.names:
        what = "operands swapped" if sorted(before.text.split()) == sorted(after.text.split()) else "operator changed"
    else:
        more = len(_JOINS.findall(after.text)) - len(_JOINS.findall(before.text))
        what = "clause added" if more > 0 else "clause removed" if more < 0 else "changed"
    feeds = max(before.feeds, after.feeds)
    evidence = {
        "old": before.text,
        "new": after.text,
        "change": what,
        "feeds": feeds.name.lower(),
        "scopes": _scopes(after),
    }
    severity = Severity.LOW if before.trivial or after.trivial else Severity.MEDIUM
    return Finding(
        "condition-changed",
        Severity.INFO if only_renamed(Written(before.text, old.facts), Written(after.text, new.facts)) else severity,
        f"Condition {what}: {cut(after.text)}",
        f"It was: {before.text}.{reach(feeds)}",
        at(new.facts, after),
        evidence,
        (new.facts.path, after.symbol, before.form, after.form),
    )


def _condition_one_sided(item: Placed, what: str) -> Finding:
    fact = item.fact
    side = "new" if what == "added" else "old"
    evidence = {side: fact.text, "change": what, "feeds": fact.feeds.name.lower(), "scopes": _scopes(fact)}
    return Finding(
        "condition-changed",
        Severity.MEDIUM,
        f"Condition {what}: {cut(fact.text)}",
        f"{'It is new here' if what == 'added' else 'Nothing here asks it any more'}.{reach(fact.feeds)}",
        at(item.facts, fact, "head" if what == "added" else "base"),
        evidence,
        (item.facts.path, fact.symbol, what, fact.form),
    )


def _scopes(condition: Condition) -> list[str]:
    """The names in a condition that limit it to some people, places or times."""
    return sorted(name for name in condition.names if words(name) & (SCOPE | IDENTITY | GROUPING))[:10]


def _letters(text: str) -> list[str]:
    return sorted("".join(letter if letter.isalnum() or letter in "_." else " " for letter in text).split())


def _alike(olds: list[Placed], news: list[Placed]) -> tuple[list[tuple[Placed, Placed]], list[Placed], list[Placed]]:
    """Pairs of conditions about the same names, and what is left on either side."""
    candidates = []
    for at_old, old in enumerate(olds[:_MOST_COMPARED]):
        for at_new, new in enumerate(news[:_MOST_COMPARED]):
            one, other = old.fact.names, new.fact.names
            shared = len(one & other) / max(1, len(one | other))
            if shared >= _ALIKE or (not one and not other):
                candidates.append((-shared, at_old, at_new))
    used_old, used_new = set[int](), set[int]()
    pairs = []
    for _, at_old, at_new in sorted(candidates):
        if at_old not in used_old and at_new not in used_new:
            used_old.add(at_old)
            used_new.add(at_new)
            pairs.append((olds[at_old], news[at_new]))
    if len(olds) > _MOST_COMPARED and len(news) > _MOST_COMPARED:  # too many to look for the nearest: in order
        for at_old, at_new in zip(range(_MOST_COMPARED, len(olds)), range(_MOST_COMPARED, len(news)), strict=False):
            used_old.add(at_old)
            used_new.add(at_new)
            pairs.append((olds[at_old], news[at_new]))
    return (
        pairs,
        [old for at_old, old in enumerate(olds) if at_old not in used_old],
        [new for at_new, new in enumerate(news) if at_new not in used_new],
    )


def _without_turned(olds: list[Placed], news: list[Placed]) -> tuple[list[Placed], list[Placed]]:
    """Without conditions that were negated and had their branches swapped: they do the same."""
    whole = [new for new in news if all(new.fact.branches)]
    rest = [new for new in news if not all(new.fact.branches)]
    olds, whole = without_equal(
        olds,
        whole,
        lambda item: (item.place, item.fact.bare, item.fact.branches),
        lambda item: (item.place, item.fact.opposite, item.fact.branches[::-1]),
    )
    return olds, [*whole, *rest]
