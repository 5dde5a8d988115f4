# SPDX-License-Identifier: Apache-2.0
"""One walk over a file for what its capabilities need: functions, what their names are set to, and their calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from diffing._naming import dotted
from diffing.languages import Kind

if TYPE_CHECKING:
    from diffing._tree import Node

_Visit = tuple["Node", "Scope", bool]
_CHANGING = frozenset({"append", "add", "extend", "insert", "update", "push", "setdefault", "put"})
_DEEPEST = 12
_CHAINED = 50


@dataclass(eq=False, slots=True)
class Scope:
    """A function, or the module.

    ``values`` are the expressions that each name is set to or filled with, ``mentions`` the nodes to look at:
    calls, and names and members that are not called.
    """

    symbol: str
    parent: Scope | None = None
    parameters: tuple[str, ...] = ()
    values: dict[str, list[Node]] = field(default_factory=dict)
    types: dict[str, Node] = field(default_factory=dict)
    mentions: list[Node] = field(default_factory=list)
    returns: list[Node] = field(default_factory=list)
    entry: bool = False
    depth: int = 0
    holder: bool = False  # a class, not a function

    def found(self, name: str) -> list[Node]:
        """What a name is set to, in the nearest scope that sets it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            if name in scope.parameters:
                return []
            scope = scope.parent
        return []


@dataclass(eq=False, slots=True)
class Outline:
    """A file: its scopes, the import statements, and the names that functions and classes in it have.

    ``fields`` are the types that attributes of its classes are declared with.
    """

    scopes: list[Scope]
    imports: list[Node]
    defined: dict[str, Scope]
    texts: list[tuple[Node, Scope]]
    fields: dict[str, Node] = field(default_factory=dict)


def outline(root: Node) -> Outline:
    """Walk a file once, with a stack of its own."""
    module = Scope("")
    result = Outline([module], [], {}, [])
    stack: list[_Visit] = [(root, module, False)]
    while stack:
        node, scope, decorated = stack.pop()
        stack.extend(reversed(_visit(node, scope, result, decorated=decorated)))
    return result


def _visit(node: Node, scope: Scope, result: Outline, *, decorated: bool) -> list[_Visit]:
    kind = node.kind
    if kind in {Kind.FUNCTION, Kind.CLASS}:
        return _definition(node, scope, result, decorated=decorated)
    if kind is Kind.OTHER:
        return _other(node, scope, result)
    if kind is Kind.BLOCK:
        _declared(node, scope, result)
    if kind is Kind.IMPORT:
        result.imports.append(node)
        return []
    if kind in {Kind.STRING, Kind.TEMPLATE}:
        result.texts.append((node, scope))
    if kind in _REFERRING:
        return _referring(node, scope)
    _bind(node, scope, result)
    return [(child, scope, False) for child in node.children[1 if kind is Kind.KEYWORD else 0 :]]


_NAMING = frozenset({Kind.NAME, Kind.MEMBER})
_REFERRING = frozenset({Kind.CALL, Kind.INDEX, Kind.NAME, Kind.MEMBER})


def _referring(node: Node, scope: Scope) -> list[_Visit]:
    """Take down a call or reference; what its callee holds besides names is looked at by itself."""
    scope.mentions.append(node)
    if node.kind is Kind.CALL:
        _fill(scope, node)
    inner = node
    while inner.kind is Kind.MEMBER or (inner is node and inner.kind in {Kind.CALL, Kind.INDEX}):
        inner = inner.children[0]
    below = [] if inner.kind is Kind.NAME else [inner]
    rest = node.children[1:] if node.kind in {Kind.CALL, Kind.INDEX} else []
    return [(child, scope, False) for child in [*below, *rest]]


def _other(node: Node, scope: Scope, result: Outline) -> list[_Visit]:
    if node.text == "type":
        return []
    if node.text.startswith("field_declaration") and len(node.children) > 1:  # a member of a Go struct
        name, kind = node.children[0], node.children[-1]
        if name.kind is Kind.NAME:
            result.fields.setdefault(name.text, _inner_type(kind))
    if node.text.startswith("decorated_definition"):
        handler = any(_is_route(child) for child in node.children)
        return [(child, scope, handler) for child in node.children]
    if node.text.startswith("as_pattern") and len(node.children) > 1:
        target = node.children[1]
        _assign(scope, target.children[0] if target.children else target, node.children[0])
    return [(child, scope, False) for child in node.children]


def _declared(block: Node, scope: Scope, result: Outline) -> None:
    """Take down the types that stand before names: ``Client client;`` in Java."""
    for kind, named in pairwise(block.children):
        if named.kind is Kind.ASSIGN and kind.kind is Kind.NAME and kind.text[:1].isupper():
            name = named.children[0]
            if name.kind is Kind.NAME:
                (scope.types if scope.parameters or not scope.holder else result.fields).setdefault(name.text, kind)


def _bind(node: Node, scope: Scope, result: Outline) -> None:
    """Take down what a statement sets."""
    kind = node.kind
    if kind is Kind.RETURN:
        scope.returns.extend(node.children)
    elif kind in {Kind.ASSIGN, Kind.AUGMENT, Kind.FOR} and len(node.children) > 1:
        _assign(scope, node.children[0], node.children[1])
        if kind is Kind.ASSIGN and len(node.children) > 2 and node.children[2].kind is not Kind.NOTHING:  # noqa: PLR2004 - target, value, type
            types = result.fields if scope.holder else scope.types
            types.setdefault(dotted(node.children[0]), _inner_type(node.children[2]))


def _definition(node: Node, scope: Scope, result: Outline, *, decorated: bool) -> list[_Visit]:
    name = node.children[0].text
    symbol = scope.symbol if scope.depth >= _DEEPEST else f"{scope.symbol}.{name}" if scope.symbol else name
    inner = Scope(symbol, scope, depth=scope.depth + 1, entry=decorated, holder=node.kind is Kind.CLASS)
    if node.kind is Kind.FUNCTION:
        inner.parameters = _parameters(node.children[1], inner)
        for receiver in [child for child in node.children[2:] if child.kind is Kind.PARAMETERS]:
            _parameters(receiver, inner)
        for child in node.children[1].children:
            if any(part.text.startswith("accessibility_modifier") for part in child.children):  # a member too
                name = child.children[0].text
                result.fields.setdefault(name, inner.types.get(name, child))
    result.scopes.append(inner)
    result.defined.setdefault(symbol, inner)
    return [(child, inner, False) for child in node.children[1:]]


def _parameters(node: Node, scope: Scope) -> tuple[str, ...]:
    names: list[str] = []
    for child in node.children:
        name = child
        while name.kind in {Kind.OTHER, Kind.DEFAULT} and name.children:
            name = name.children[0]
        if name.kind is Kind.NAME:
            names.append(name.text)
            types = [part for part in child.children if part.kind is Kind.OTHER and part.text.startswith("type")]
            if types:
                scope.types[name.text] = _inner_type(types[0])
            elif child.kind is Kind.DEFAULT and len(child.children) > 2 and _is_type(child.children[2]):  # noqa: PLR2004 - name, value, type
                scope.types[name.text] = _inner_type(child.children[2])
    return tuple(names)


def _is_type(node: Node) -> bool:
    return node.kind in _NAMING or (node.kind is Kind.OTHER and "type" in node.text.partition(" ")[0])


def _inner_type(node: Node) -> Node:
    """The class in an annotation: ``Session`` in ``Session | None`` and ``Optional[Session]``."""
    while node.children and node.kind not in {Kind.MEMBER, Kind.NAME}:
        node = node.children[-1] if node.kind is Kind.INDEX else node.children[0]
    return node


def _assign(scope: Scope, target: Node, value: Node) -> None:
    """Take down an assignment; one of several targets gives each the value, one to a tuple each its part."""
    for _ in range(_CHAINED):  # the other targets of a = b = c are visited by themselves
        if value.kind is not Kind.ASSIGN or len(value.children) < 2:  # noqa: PLR2004 - target and value
            break
        value = value.children[1]
    pairs = [(target, value)]
    while pairs:
        target, value = pairs.pop()
        if value.kind is Kind.NOTHING:
            continue
        if target.kind is Kind.SEQUENCE:
            parts = value.children if value.kind is Kind.SEQUENCE else []
            even = len(parts) == len(target.children)
            pairs += [(one, parts[at] if even else value) for at, one in enumerate(target.children)]
        else:
            _set(scope, target, value)


def _set(scope: Scope, target: Node, value: Node) -> None:
    base = target
    while base.kind is Kind.INDEX:
        base = base.children[0]
    name = dotted(base)
    if not name:
        return
    owner = scope
    if base.kind is Kind.MEMBER:  # attributes are known to the whole file
        while owner.parent is not None:
            owner = owner.parent
        if value.kind is Kind.NAME and value.text in scope.types:  # self.client = client, whose type is told
            owner.types.setdefault(name, scope.types[value.text])
    owner.values.setdefault(name, []).append(value)
    if base is not target:
        owner.values[name].extend(target.children[1:])


def _fill(scope: Scope, call: Node) -> None:
    """``payload.update(…)`` fills ``payload``."""
    callee = call.children[0]
    if callee.kind is Kind.MEMBER and callee.children[1].text in _CHANGING and len(call.children) > 1:
        name = dotted(callee.children[0])
        if name and name in scope.values:
            scope.values[name].extend(call.children[1].children)


_ROUTES = frozenset(
    {"get", "post", "put", "delete", "patch", "route", "websocket", "task", "command", "endpoint", "api_view"}
)


def _is_route(decorator: Node) -> bool:
    """Whether a decorator makes a function one that is called from outside."""
    node = decorator
    if not (node.kind is Kind.OTHER and node.text.startswith("decorator ")):
        return False
    node = node.children[0] if node.children else node
    node = node.children[0] if node.kind is Kind.CALL else node
    return (node.kind is Kind.MEMBER and node.children[1].text in _ROUTES) or node.text in _ROUTES
