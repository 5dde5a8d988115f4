# SPDX-License-Identifier: Apache-2.0
"""Entries of maps that move the score of one identity.

``{"rt.com": 1.4}``, ``KIND_BOOST["state"]``, ``lift.country = "XX"``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from diffing._facts import Literal, SpecialCase
from diffing._flow import Feeds
from diffing._identities import is_country, is_identity_value, weigh
from diffing._words import ADDING, IDENTITY, MULTIPLYING, SCORE, word_set, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_TELLING_GROUPS = word_set("""
kind kinds group groups class segment segments cohort cohorts affiliation affiliations creator creators author authors
outlet outlets source sources country countries region regions lang language languages party parties domain domains
channel channels publisher publishers account accounts user users orientation leaning
""")
_LABELS = frozenset({"name", "id", "title", "label", "description"})
_SHORT = 4  # digits
_FEW = 3  # identities of one entry that are special cases; more are a list
_NOT_GROUPS = word_set("feature features signal signals engagement event events column columns")


def map_boosts(literals: Iterable[Literal], lookups: Mapping[str, str]) -> Iterator[SpecialCase]:
    """Special cases among the entries of maps of numbers; ``lookups`` tell by what a map is looked up."""
    for literal in literals:
        if literal.role not in {"key", "config"} or not literal.container or not _is_number(literal.value):
            continue
        key = literal.name.removeprefix(f"{literal.container}.")
        by = lookups.get(literal.container.rpartition(".")[2], "")
        if _moves_scores(literal) and _is_identity(literal.container, key, by):
            yield SpecialCase(
                literal.symbol,
                by or literal.container,
                key,
                "boost",
                f"{literal.name} = {literal.value}",
                literal.line,
                literal.end_line,
                container=literal.container,
                weight=2,
                feeds=Feeds.SCORE,
                scoped=literal.scoped,
            )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _moves_scores(literal: Literal) -> bool:
    return literal.feeds is Feeds.SCORE or bool(words(literal.container) & SCORE)


def _is_identity(container: str, key: str, by: str) -> bool:
    if is_identity_value(key):
        return True
    if weigh(by, key, feeds=True, directly=True) > 2:  # noqa: PLR2004 - an identity's attribute, and a score depends on it
        return True
    own = words(container.rpartition(".")[2])
    if own & _NOT_GROUPS or words(key) & MULTIPLYING:
        return False
    if own & _TELLING_GROUPS:
        return not (key.isdigit() and len(key) < _SHORT)  # a class of a model, a rank: no identity is as short
    return is_country(key) and bool(own & MULTIPLYING)


def scoped_boosts(literals: Iterable[Literal]) -> Iterator[SpecialCase]:
    """Configuration that names a few identities beside numbers that move scores.

    ``lift: {country: XX, factor: 1.2}``.
    """
    by_container: dict[str, list[Literal]] = defaultdict(list)
    moving: set[str] = set()
    for literal in literals:
        if literal.role in {"config", "list"}:
            by_container[literal.container].append(literal)
        if _is_number(literal.value) and words(literal.name.rpartition("]")[2]) & ADDING:
            moving |= {literal.container, literal.container.rpartition(".")[0]}
    for container, entries in by_container.items():
        if container not in moving:
            continue
        for entry in entries:
            yield from _named(entry, container)


def _named(entry: Literal, container: str) -> Iterator[SpecialCase]:
    """The identities that one entry names, where they are few."""
    values = entry.value if isinstance(entry.value, tuple) else (entry.value,)
    key = entry.name.removeprefix(f"{container}.")
    if len(values) > _FEW or key.lower() in _LABELS:
        return
    for value in values:
        if isinstance(value, str) and value and (words(key) & IDENTITY or is_identity_value(value)):
            yield SpecialCase(
                entry.symbol,
                entry.name,
                value,
                "config",
                f"{entry.name} = {value}",
                entry.line,
                entry.end_line,
                container=container,
                weight=2,
                feeds=Feeds.SCORE,
                scoped=True,
            )
