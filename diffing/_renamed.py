# SPDX-License-Identifier: Apache-2.0
"""Whether two expressions differ in what things are called only: receivers, modules, accessors, the order of words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from diffing._words import word_sequence

if TYPE_CHECKING:
    from diffing._facts import Facts

_TOKEN = re.compile(r"\w+|[^\w\s]")
_KEY = re.compile(r"""\[(['"])([A-Za-z_]\w*)\1\]""")  # an entry that an attribute of the name may be
_PARTS = re.compile(r"[./\\:]+")
_RECEIVER = 2  # letters: what Go calls the value that a method is of
_ACCESSING = frozenset({"get", "is", "has"})
_SHORTEST = 3  # letters of a word that has a plural


class Written(NamedTuple):
    """An expression as it is written, and the file that it stands in."""

    text: str
    facts: Facts


def only_renamed(old: Written, new: Written) -> bool:
    """Whether two expressions are the same but for the names of receivers and modules and the spelling of members.

    ``ccd.weight`` is ``als.weight`` where both are receivers of methods; ``base.NotId`` is ``NotId`` in Go where
    ``base`` is a package; ``data.UserCount()`` is ``data.CountUsers()``, ``data.Users`` is ``data.GetUsers()``, and
    ``item["url"]`` is ``item.url``.
    """
    before, after = _tokens(old), _tokens(new)
    if len(before) != len(after):
        return False
    modules = _modules(old.facts), _modules(new.facts)
    for at, (one, other) in enumerate(zip(before, after, strict=True)):
        if one == other:
            continue
        owner = after[at + 1 : at + 2] == ["."]
        member = bool(at) and before[at - 1] == after[at - 1] == "."
        if owner and not member:
            if not (
                all(len(name) <= _RECEIVER or name in its for name, its in zip((one, other), modules, strict=True))
                or (one in old.facts.receivers and other in new.facts.receivers)
            ):
                return False
        elif not member or _spelt(one) != _spelt(other):
            return False
    return True


def _tokens(written: Written) -> list[str]:
    """The pieces of an expression, without calls that take nothing and, in Go, without packages."""
    pieces: list[str] = []
    packages = _modules(written.facts) if written.facts.language == "go" else frozenset[str]()
    for piece in _TOKEN.findall(_KEY.sub(r".\2", written.text)):
        if piece == ")" and pieces[-1:] == ["("] and len(pieces) > 1 and pieces[-2].isidentifier():
            pieces.pop()
        elif piece.isidentifier() and pieces[-1:] == ["."] and pieces[-2:-1] and _is_package(pieces, packages, piece):
            pieces[-2:] = [piece]
        else:
            pieces.append(piece)
    return pieces


def _is_package(pieces: list[str], packages: frozenset[str], piece: str) -> bool:
    return pieces[-2] in packages and piece[:1].isupper() and pieces[-3:-2] != ["."]


def _modules(facts: Facts) -> frozenset[str]:
    return frozenset(part for name in facts.imports for part in _PARTS.split(name))


@lru_cache(maxsize=4096)
def _spelt(name: str) -> frozenset[str]:
    """The words of a member without what only says that it is asked for, in the singular."""
    words = word_sequence(name)
    told = words[1:] if len(words) > 1 and words[0] in _ACCESSING else words
    return frozenset(word.removesuffix("s") if len(word) > _SHORTEST else word for word in told)
