# SPDX-License-Identifier: Apache-2.0
"""The registry of user data: which names say that a value is a person's.

The shipped one is ``fields.toml``; a reviewer's file adds to it, by category.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from diffing._words import word_sequence, word_set
from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

PEOPLE = word_set("""
user users viewer viewers member members account accounts profile profiles customer customers person people subscriber
visitor reader listener watcher author creator session request req ctx client uploader patient player buyer
""")
"""Who a value may belong to."""
_WHOLE = word_set("user viewer member profile customer person subscriber visitor reader account")
_PLAIN = word_set("request req ctx session client")
_LISTS = ("names", "of_people")


class UserData(NamedTuple):
    """A field of user data: its category and its name as the code spells it."""

    category: str
    name: str


@dataclass(frozen=True, eq=False)
class Fields:
    """A registry. ``names`` say it alone, ``of_people`` with a person as owner; both map words to a category."""

    names: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    of_people: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def category(self, name: str, owner: str = "") -> str | None:
        """The category of a name, with the name of what it belongs to; None where it is no user data."""
        return _category(self, word_sequence(name), word_sequence(owner))

    def whole(self, name: str) -> str | None:
        """The category of a value that is a person's whole record, by its name."""
        sequence = word_sequence(name)
        return "account" if sequence and sequence[-1] in _WHOLE and len(sequence) <= 2 else None  # noqa: PLR2004 - "current user"

    def extended(self, tables: Mapping[str, Mapping[str, list[str]]]) -> Fields:
        """This registry with a reviewer's categories and words added."""
        return _built(tables, self)


@lru_cache(maxsize=65_536)
def _category(fields: Fields, name: tuple[str, ...], owner: tuple[str, ...]) -> str | None:
    for length in range(min(len(name), 4), 0, -1):
        for start in range(len(name) - length, -1, -1):
            found = fields.names.get(name[start : start + length])
            if found is not None:
                return found
    for length in range(min(len(name), 3), 0, -1):  # the name ends with it: user_location, not location_of_file
        found = fields.of_people.get(name[-length:])
        if found is not None:
            before = name[:-length] or owner
            if before and before[-1] in PEOPLE and not (before[-1] in _PLAIN and name[-length:] in _OWN_OF_REQUESTS):
                return found
    return None


_OWN_OF_REQUESTS = frozenset({("id",), ("uuid",), ("name",), ("token",), ("profile",), ("address",), ("session",)})


def _built(tables: Mapping[str, Mapping[str, list[str]]], onto: Fields | None = None) -> Fields:
    names: dict[tuple[str, ...], str] = dict(onto.names) if onto else {}
    of_people: dict[tuple[str, ...], str] = dict(onto.of_people) if onto else {}
    for category, lists in tables.items():
        if not isinstance(lists, dict) or not lists.keys() <= set(_LISTS):
            raise InputError(f"fields.{category}: must be a table of names and of_people, lists of words")
        for kind, into in zip(_LISTS, (names, of_people), strict=True):
            entries = lists.get(kind, [])
            if not isinstance(entries, list) or not all(isinstance(one, str) and one.split() for one in entries):
                raise InputError(f"fields.{category}.{kind}: must be a list of words")
            into.update({tuple(entry.lower().split()): category for entry in entries})
    return Fields(names, of_people)


@cache
def shipped() -> Fields:
    """The registry that comes with this version."""
    return _built(tomllib.loads(resources.files("diffing.capabilities").joinpath("fields.toml").read_text("utf-8")))
