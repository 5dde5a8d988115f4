# SPDX-License-Identifier: Apache-2.0
"""Which names are a function's own: those can be renamed without changing what the program does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffing._tree import Node, preorder
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACED = "λ"  # starts the alias of a lambda's parameter
_REFLECTION = frozenset({"locals", "vars", "eval", "exec", "globals"})
_DEEPEST = 32  # functions within functions that are looked through
_BINDING = frozenset({Kind.ASSIGN, Kind.AUGMENT, Kind.FOR, Kind.TARGET})


@dataclass(slots=True)
class Scope:
    """The names of one function: parameters, names it binds, and how often each is bound."""

    parameters: frozenset[str]
    bound: dict[str, int]
    renamable: bool
    parent: Scope | None = None
    aliases: dict[str, str] = field(default_factory=dict)

    def owns(self, name: str) -> bool:
        """Whether the name is a parameter or a local of this function."""
        return name in self.bound or name in self.parameters


def scope_of(function: Node, parent: Scope | None = None) -> Scope:
    """The scope of a FUNCTION node."""
    known = function.names
    if isinstance(known, Scope):
        return Scope(known.parameters, known.bound, known.renamable, parent)
    parameters = frozenset(parameter_names(function.children[1]))
    bound: dict[str, int] = {}
    foreign: set[str] = set()
    renamable = True
    for node in own_nodes(function):
        if node.kind in _BINDING:
            for name in bound_names(node.children[0] if node.children else node):
                bound[name.text] = bound.get(name.text, 0) + 1
        elif node.kind is Kind.SCOPE:
            foreign |= {child.text for child in node.children}
        elif node.kind is Kind.CALL and node.children[0].text in _REFLECTION:
            renamable = False
    for name_ in foreign:
        bound.pop(name_, None)
    function.names = Scope(parameters, bound, renamable)
    return Scope(parameters, bound, renamable, parent)


def own_nodes(function: Node) -> Iterator[Node]:
    """The nodes of a function's body without those of functions and classes inside it."""
    stack = list(reversed(function.children[2:3]))
    while stack:
        node = stack.pop()
        yield node
        if node.kind not in {Kind.FUNCTION, Kind.CLASS}:
            stack.extend(reversed(node.children))


def parameter_names(parameters: Node) -> Iterator[str]:
    """The names of a PARAMETERS node."""
    for child in parameters.children:
        if child.kind is Kind.NAME:
            yield child.text
        elif child.kind is Kind.DEFAULT:
            yield child.children[0].text
        else:  # typed or starred: the name comes first
            yield from (node.text for node in preorder(child) if node.kind is Kind.NAME)


def bound_names(target: Node) -> Iterator[Node]:
    """The NAME nodes that an assignment to ``target`` binds; attributes and entries bind none."""
    stack = [target]
    while stack:
        node = stack.pop()
        if node.kind is Kind.NAME:
            yield node
        elif node.kind in {Kind.SEQUENCE, Kind.OTHER, Kind.TARGET}:
            stack.extend(reversed(node.children))


def alias_locals(root: Node) -> None:
    """Give every NAME that is a function's local an alias by order of occurrence: renamed locals look the same."""
    stack: list[tuple[Node, Scope | None]] = [(root, None)]
    while stack:
        node, scope = stack.pop()
        if node.kind is Kind.NAME:
            node.alias = _alias(node.text, scope)
            continue
        children = node.children
        if node.kind is Kind.FUNCTION:
            inner = scope_of(node, scope)
            stack.extend((child, inner) for child in reversed(children[2:]))
            stack.append((children[1], scope))
            continue
        if node.kind is Kind.LAMBDA and len(children) > 1:
            inner = _lambda_scope(node, scope)
            stack.extend((child, inner) for child in reversed(children[1:]))
            stack.extend((child, inner) for child in children[:1])
            continue
        if node.kind is Kind.KEYWORD:
            children = children[1:]
        elif node.kind is Kind.MEMBER:
            children = children[:1]
        stack.extend((child, scope) for child in reversed(children))


def _lambda_scope(node: Node, parent: Scope | None) -> Scope:
    """The scope of a LAMBDA: its parameters are called by their place, so that renaming one changes nothing."""
    depth, outer = 0, parent
    while outer is not None and depth < _DEEPEST:
        depth, outer = depth + 1, outer.parent
    parameters = node.children[0]
    names = [parameters.text] if parameters.kind is Kind.NAME else list(parameter_names(parameters))
    aliases = {name: f"{PLACED}{depth}.{at}" for at, name in enumerate(names)}
    return Scope(frozenset(), dict.fromkeys(names, 1), renamable=True, parent=parent, aliases=aliases)


def _alias(name: str, scope: Scope | None) -> str:
    depth = 0
    while scope is not None and depth < _DEEPEST:
        if name in scope.parameters:
            return ""
        if name in scope.bound:
            return scope.aliases.setdefault(name, f"${depth}.{len(scope.aliases)}") if scope.renamable else ""
        scope = scope.parent
        depth += 1
    return ""
