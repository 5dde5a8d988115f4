# SPDX-License-Identifier: Apache-2.0
"""What a call hands on: by argument, and what of it reaches a sink through the parameters of the function called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from diffing._naming import arguments_of
from diffing.capabilities._reaching import Carried, carried
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing._tree import Node
    from diffing.capabilities._resolving import Resolver
    from diffing.capabilities._scopes import Scope
    from diffing.capabilities.fields import Fields, UserData

_MOST_ARGUMENTS = 40
_SELF = frozenset({"self", "cls"})


class Argument(NamedTuple):
    """One argument: what it carries where the whole of it goes on, where a part of it does, and the texts it can be."""

    keyword: str
    whole: Carried
    part: Carried
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of the repository. ``name`` is its dotted name as imported, or its symbol in this file.

    ``written`` is the last part of the name as it stands in the source.
    """

    name: str
    written: str
    symbol: str
    line: int
    end_line: int
    text: str
    arguments: tuple[Argument, ...]

    @property
    def said(self) -> tuple[str, tuple[Argument, ...]]:
        """What is the same for the same call elsewhere in a file."""
        return self.name, self.arguments


class Passed(NamedTuple):
    """What of a call's arguments reaches a sink."""

    fields: frozenset[UserData]
    parameters: frozenset[str]
    texts: list[tuple[str | int, str]]


def arguments(call: Node, scope: Scope, fields: Fields, resolver: Resolver) -> tuple[Argument, ...]:
    """The arguments of a CALL."""
    found = []
    for node in arguments_of(call)[:_MOST_ARGUMENTS]:
        whole = carried([node], scope, fields)
        part = carried([node], scope, fields, whole=False)
        keyword = node.children[0].text if node.kind is Kind.KEYWORD else ""
        found.append(Argument(keyword, whole, part, tuple(resolver.texts(node, scope))))
    return tuple(found)


def passed(call: Call, parameters: Sequence[str], reaching: frozenset[str]) -> Passed:
    """What a call hands to the parameters that reach a sink; those with a dot are reached by a part of them."""
    names = [name for name in parameters if name not in _SELF]
    held: list[Carried] = []
    texts: list[tuple[str | int, str]] = []
    for at, argument in enumerate(call.arguments):
        name = argument.keyword or (names[at] if at < len(names) else "")
        if name in reaching or (not name and reaching):
            held.append(argument.whole)
            texts += [(0, text) for text in argument.texts]
        elif f"{name}." in reaching:
            held.append(argument.part)
    return Passed(
        frozenset().union(*(one.fields for one in held)),
        frozenset().union(*(one.parameters for one in held)),
        texts,
    )
