# SPDX-License-Identifier: Apache-2.0
"""Names of expressions, as a reader would say them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing._normal import literal_value
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffing._facts import Scalar, Value
    from diffing._tree import Node

SCALARS = frozenset({Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.NULL})
WRAPPERS = frozenset(
    {
        "set",
        "frozenset",
        "tuple",
        "list",
        "array",
        "asarray",
        "Decimal",
        "float",
        "int",
        "Fraction",
        "MappingProxyType",
        *("freeze", "Set", "HashSet", "unmodifiableList", "unmodifiableSet", "unmodifiableMap", "copyOf", "BigDecimal"),
        *("valueOf", "double", "f64", "f32", "float64", "float32", "int64", "parseFloat", "Number", "Some", "Optional"),
        "Series",
    }
)
"""Calls whose result is their only argument in another shape."""
_PASSING = frozenset(
    {"lower", "upper", "strip", "casefold", "astype", "to_numpy", "fillna", "tolist", "item", "get_level_values"}
)
_CONSTANT = re.compile(r"k?[A-Z]")
_SELF = frozenset({"self", "cls", "this"})
_MOST_PARTS = 16
_LONGEST = 200
_MOST_VALUES = 250_000


def dotted(node: Node) -> str:
    """The dotted name of an expression.

    ``author.country`` for ``self.author["country"].lower()``; "" where it has none.
    """
    parts: list[str] = []
    while len(parts) < _MOST_PARTS:
        kind = node.kind
        if kind is Kind.NAME:
            if node.text not in _SELF or not parts:
                parts.append(node.text)
            break
        if kind is Kind.MEMBER:
            parts.append(node.children[1].text)
            node = node.children[0]
        elif kind is Kind.INDEX:
            key = node.children[1] if len(node.children) == 2 else None  # noqa: PLR2004 - object and one subscript
            if key is not None and key.kind is Kind.STRING:
                parts.append(key.text)
            node = node.children[0]
        elif kind is Kind.CALL:
            node = _through_call(node, parts)
        else:
            break
    return ".".join(reversed(parts))[:_LONGEST]


def _through_call(node: Node, parts: list[str]) -> Node:
    """The node to go on with below a call; a looked-up key is added to ``parts``."""
    callee = node.children[0]
    arguments = arguments_of(node)
    if callee.kind is Kind.MEMBER:
        method = callee.children[1].text
        if method == "get" and arguments and arguments[0].kind is Kind.STRING:
            parts.append(arguments[0].text)
            return callee.children[0]
        if method in _PASSING:
            return callee.children[0]
    if callee.text == "getattr" and len(arguments) > 1 and arguments[1].kind is Kind.STRING:
        parts.append(arguments[1].text)
        return arguments[0]
    if callee.text in {"str", "int", "float", "len"} and len(arguments) == 1:
        if callee.text == "len":
            parts.append("length")
        return arguments[0]
    return callee


def arguments_of(call: Node) -> list[Node]:
    """The arguments of a CALL."""
    return call.children[1].children if len(call.children) > 1 else []


def callee_name(call: Node) -> str:
    """The last part of what a CALL calls."""
    return dotted(call.children[0]).rpartition(".")[2]


def constant_value(node: Node, constants: Mapping[str, Value]) -> Scalar | None:
    """The scalar an expression stands for: a literal, or a name in capitals (its value where known, else the name)."""
    if node.kind in {Kind.NUMBER, Kind.STRING}:
        value = literal_value(node)
        return None if isinstance(value, tuple) else value
    name = node.text if node.kind is Kind.NAME else node.children[1].text if node.kind is Kind.MEMBER else ""
    if len(name) > 1 and name.isupper():
        known = constants.get(name)
        return known if isinstance(known, (str, int, float)) and not isinstance(known, bool) else name
    return None


def list_values(node: Node) -> tuple[Scalar, ...] | None:
    """The values of a SEQUENCE of scalars only; None for any other node."""
    if node.kind is not Kind.SEQUENCE or not node.children or len(node.children) > _MOST_VALUES:
        return None
    values: list[Scalar] = []
    for child in node.children:
        if child.kind not in SCALARS:
            return None
        value = literal_value(child)
        if isinstance(value, tuple):
            return None
        values.append(value)
    return tuple(values)


def unwrapped(node: Node) -> Node:
    """What is inside calls such as ``frozenset(…)`` and ``np.array(…)``."""
    while node.kind is Kind.CALL and callee_name(node) in WRAPPERS:
        arguments = arguments_of(node)
        if not arguments or arguments[0].kind is Kind.KEYWORD:
            break
        node = arguments[0]
    return node


def key_text(node: Node) -> str:
    """A map key as text."""
    if node.kind in SCALARS:
        return str(literal_value(node))[:_LONGEST]
    if node.kind is Kind.DOTTED:
        return ".".join(_parts(node))[:_LONGEST]
    return dotted(node) or "?"


def _parts(node: Node) -> list[str]:
    """The parts of a dotted key; TOML's grammar nests those of three and more."""
    parts: list[str] = []
    while node.kind is Kind.DOTTED and node.children:
        parts += [child.text for child in reversed(node.children[1:])]
        node = node.children[0]
    return [node.text, *reversed(parts)]


def module_constants(root: Node, *, nested: bool = False) -> dict[str, Value]:
    """Names that the top level of a file sets once, to a literal or a list of literals.

    ``nested``: those of classes and namespaces count too, where they start with a capital (or ``k`` and one).
    """
    found: dict[str, Value] = {}
    twice: set[str] = set()
    for node in _top_level(root) if nested else root.children:
        if node.kind is not Kind.ASSIGN or node.children[0].kind is not Kind.NAME:
            continue
        name = node.children[0].text
        if nested and not _CONSTANT.match(name):
            continue
        value = unwrapped(node.children[1])
        if name in found:
            twice.add(name)
        if value.kind in SCALARS:
            found[name] = literal_value(value)
        elif (values := list_values(value)) is not None:
            found[name] = values
        else:
            twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}


def _top_level(root: Node) -> Iterator[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.kind in {Kind.BLOCK, Kind.CLASS}:
            stack.extend(reversed(node.children))
        else:
            yield node
