# SPDX-License-Identifier: Apache-2.0
"""Where the walk over a file stands: symbol, scope, what a value is bound to, and under which conditions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffing._flow import Key
from diffing._tree import Node, TooManyNodesError
from diffing._words import SCOPE, words
from diffing.languages import Kind

if TYPE_CHECKING:
    from diffing._normal import Form
    from diffing._scopes import Scope

_BUDGET = 6_000_000  # nodes looked at again for the names in them, per file
_DEEPEST_GUARD = 16
_DEEPEST_SYMBOL = 12


@dataclass(frozen=True, slots=True)
class Binding:
    """What a literal in an expression is bound to, and what depends on the expression."""

    name: str
    role: str
    sinks: tuple[Key, ...] = ()
    container: str = ""


@dataclass(slots=True)
class Guard:
    """An enclosing condition: the names in it, and everything that depends on it."""

    names: frozenset[Key]
    sinks: set[Key]
    parent: Guard | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """The place of a node."""

    symbol: str = ""
    scope: Scope | None = None
    env: dict[str, Form] = field(default_factory=dict)
    binding: Binding | None = None
    guard: Guard | None = None
    metric: bool = False
    indexing: bool = False
    sinks: set[Key] | None = None
    depth: int = 0

    def bound(self, binding: Binding | None) -> Context:
        """The same place with another binding."""
        # Written out: this is called for every statement, and replace() costs four times as much.
        return Context(
            symbol=self.symbol,
            scope=self.scope,
            env=self.env,
            binding=binding,
            guard=self.guard,
            metric=self.metric,
            sinks=self.sinks,
            depth=self.depth,
        )

    def inside(self, name: str, scope: Scope | None) -> Context:
        """The place inside a function or class of that name."""
        deep = self.depth >= _DEEPEST_SYMBOL
        symbol = self.symbol if deep else f"{self.symbol}.{name}" if self.symbol else name
        return Context(symbol=symbol, scope=scope, metric=self.metric, depth=self.depth + 1)

    def guards(self) -> list[Guard]:
        """The enclosing conditions, innermost first, down to a fixed depth."""
        found: list[Guard] = []
        guard = self.guard
        while guard is not None and len(found) < _DEEPEST_GUARD:
            found.append(guard)
            guard = guard.parent
        return found

    def key(self, name: str) -> Key:
        """The key of a plain name at this place."""
        scope = self.scope
        return Key(self.symbol if scope is not None and scope.owns(name) else "", name)

    def function(self) -> Key:
        """The key of the function this is in."""
        return Key("", self.symbol.rpartition(".")[2])


class Names:
    """Finds the names in expressions, within a budget for the whole file."""

    def __init__(self) -> None:
        self._left = _BUDGET

    def used(self, root: Node, context: Context) -> frozenset[Key]:
        """Keys of the names and attributes in an expression, without slices, argument names and nested functions.

        Raises:
            TooManyNodesError: expressions are nested in each other so deeply that the budget of the file is spent.
        """
        found: set[Key] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            self._left -= 1
            kind = node.kind
            if kind is Kind.NAME:
                found.add(context.key(node.text))
            elif kind is Kind.MEMBER:
                found.add(Key("", node.children[1].text))
                stack.append(node.children[0])
            elif kind is Kind.KEYWORD:
                stack.append(node.children[1])
            elif kind not in {Kind.SLICE, Kind.FUNCTION, Kind.CLASS}:
                stack.extend(node.children)
            if kind is Kind.STRING and node.text.isidentifier():
                found.add(Key("", node.text))
        if self._left < 0:
            raise TooManyNodesError("expressions nested in each other too deeply")
        return frozenset(found)


def scopes(names: frozenset[Key], but: str = "") -> bool:
    """Whether names speak of a scope (country, date, cohort), apart from the words of ``but``."""
    without = words(but)
    return any((words(key.name) & SCOPE) - without for key in names)
