# SPDX-License-Identifier: Apache-2.0
"""The syntactic form of a tree.

Equal forms mean that only layout, comments, docstrings or the names of locals differ.
"""

from __future__ import annotations

import hashlib

from diffing._scopes import alias_locals
from diffing._tree import Node, postorder
from diffing.languages import Kind
from diffing.languages.text import number

_LONGEST = 160
_DEEPEST = 12


def short(text: str) -> str:
    """``text``, or its digest where it is long: forms of any tree stay small."""
    if len(text) <= _LONGEST:
        return text
    return f"#{hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def syntax_form(root: Node) -> str:
    """The form of a whole file; also sets ``form`` on every node."""
    alias_locals(root)
    for node in postorder(root):
        node.form = _form(node)
    return root.form


def body_form(definition: Node) -> str:
    """The form of a function or class without its name."""
    return short(";".join(child.form for child in definition.children[1:]))


def definition_forms(root: Node) -> dict[str, str]:
    """The forms of the functions and classes of a file by dotted name; a name that is defined twice has none."""
    found: dict[str, str] = {}
    stack = [(root, "", 0)]
    while stack:
        node, name, depth = stack.pop()
        if node.kind in {Kind.FUNCTION, Kind.CLASS} and depth < _DEEPEST:
            name = f"{name}.{node.children[0].text}" if name else node.children[0].text
            depth += 1
            found[name] = "" if name in found else body_form(node)
        stack.extend((child, name, depth) for child in node.children)
    return {name: form for name, form in found.items() if form}


def _form(node: Node) -> str:
    kind = node.kind
    if kind is Kind.NAME:
        return node.alias or short(node.text)
    if kind is Kind.NUMBER:
        return repr(number(node.text)) if number(node.text) is not None else short(node.text)
    if kind is Kind.STRING:
        return short(repr(node.text))
    return short(f"{kind.name}:{node.text}({','.join(child.form for child in node.children)})")
