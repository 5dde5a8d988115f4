# SPDX-License-Identifier: Apache-2.0
"""formula-changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._evidence import at, cut, reach
from diffing._facts import Formula
from diffing._flow import Feeds
from diffing._placing import FilePair, Place, Places, grouped, placed, without_equal
from diffing._placing import Placed as AnyPlaced
from diffing._renamed import Written, only_renamed
from diffing._words import words
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

Placed = AnyPlaced[Formula]

_DISCARDED = frozenset({"_", "_, _"})  # what Go and others call a result that nobody wants


def formula_findings(pairs: Sequence[FilePair], places: Places) -> Iterator[Finding]:
    """Formulas that changed in functions that both sides have, apart from their constants."""
    olds, news = placed(pairs, places, lambda facts: facts.formulas, lambda formula: formula.symbol)
    targets_old = {(item.place, item.fact.target) for item in olds}
    targets_new = {(item.place, item.fact.target) for item in news}
    keys: list[Callable[[Placed], Hashable]] = [
        lambda item: (item.place, item.fact.target, item.fact.forms[0]),
        lambda item: (item.place, item.fact.target, item.fact.forms[1]),
        lambda item: (item.place, item.fact.target, item.fact.bares[0]),
        lambda item: (item.place, item.fact.target, item.fact.bares[1]),
        lambda item: (item.place, item.fact.bares[1]),
        lambda item: item.fact.bares[0],
        lambda item: item.fact.bares[1],
    ]
    for key in keys:
        olds, news = without_equal(olds, news, key)
    old_by = grouped(olds, _target)
    new_by = grouped(news, _target)
    for name in sorted(old_by.keys() | new_by.keys()):
        if not places.both(name[0]) or name[1] in _DISCARDED:
            continue
        before, after = old_by.get(name, []), new_by.get(name, [])
        for old, new in zip(before, after, strict=False):
            if (old.fact.arithmetic or new.fact.arithmetic) and "span" not in words(new.fact.target):  # of a trace
                yield _formula_changed(old, new)
        for item in after[len(before) :]:
            if item.fact.arithmetic and item.fact.feeds is Feeds.SCORE and name in targets_old:
                yield _formula_one_sided(item, "term added")
        for item in before[len(after) :]:
            if item.fact.arithmetic and item.fact.feeds is Feeds.SCORE and name in targets_new:
                yield _formula_one_sided(item, "term removed")


def _target(item: Placed) -> tuple[Place, str]:
    return (item.place, item.fact.target)


def _formula_changed(old: Placed, new: Placed) -> Finding:
    before, after = old.fact, new.fact
    feeds = max(before.feeds, after.feeds)
    evidence = {
        "name": after.target,
        "old": before.text,
        "new": after.text,
        "change": "changed",
        "feeds": feeds.name.lower(),
    }
    return Finding(
        "formula-changed",
        Severity.INFO
        if only_renamed(Written(before.text, old.facts), Written(after.text, new.facts))
        else Severity.MEDIUM,
        f"Formula of {after.target} changed: {cut(after.text)}",
        f"It was: {before.text}.{reach(feeds)}",
        at(new.facts, after),
        evidence,
        (new.facts.path, after.symbol, after.target, before.forms[0], after.forms[0]),
    )


def _formula_one_sided(item: Placed, what: str) -> Finding:
    fact = item.fact
    side = "new" if what == "term added" else "old"
    evidence = {"name": fact.target, side: fact.text, "change": what, "feeds": fact.feeds.name.lower()}
    return Finding(
        "formula-changed",
        Severity.MEDIUM,
        f"Formula of {fact.target}: {what}: {cut(fact.text)}",
        f"{fact.target} is {'also' if side == 'new' else 'no longer'} changed by this line.{reach(fact.feeds)}",
        at(item.facts, fact, "head" if side == "new" else "base"),
        evidence,
        (item.facts.path, fact.symbol, fact.target, what, fact.forms[0]),
    )
