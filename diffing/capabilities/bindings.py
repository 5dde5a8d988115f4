# SPDX-License-Identifier: Apache-2.0
"""What an import statement binds, by the ways that languages import.

Each function gives pairs of a name in the file and the dotted name that it stands for; the name ``*`` binds everything
below. Python's is with its sinks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._tree import Node
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIASING = ("arrow_renamed_identifier", "as_renamed_identifier", "use_as_clause", "import_specifier")
_EVERYTHING = ("namespace_wildcard", "asterisk", "use_wildcard", "wildcard")


def no_bindings(_statement: Node) -> Iterator[tuple[str, str]]:
    """For languages whose names are global."""
    yield from ()


def by_text(statement: Node) -> Iterator[tuple[str, str]]:
    """JavaScript and TypeScript: ``import x, { y as z } from "module"``."""
    texts = [child.text for child in statement.children if child.kind is Kind.STRING]
    if not texts:
        return
    module = texts[-1].removeprefix("node:")
    stack = [child for child in statement.children if child.kind is not Kind.STRING]
    while stack:
        node = stack.pop()
        if node.kind is Kind.NAME:
            yield node.text, module
        elif node.kind is Kind.OTHER and node.text.startswith("import_specifier"):
            names = [child.text for child in node.children if child.kind is Kind.NAME]
            if names:
                yield names[-1], f"{module}.{names[0]}"
        else:
            stack.extend(node.children)


def by_path(statement: Node) -> Iterator[tuple[str, str]]:
    """Go: ``import alias "path/of/package"``."""
    stack = list(statement.children)
    while stack:
        node = stack.pop()
        texts = [child.text for child in node.children if child.kind is Kind.STRING]
        if node.kind is Kind.STRING:
            yield node.text.rpartition("/")[2], node.text
        elif texts and node.kind is Kind.OTHER and node.text.startswith("import_spec") and "list" not in node.text:
            names = [child.text for child in node.children if child.kind is Kind.NAME]
            yield names[0] if names else texts[0].rpartition("/")[2], texts[0]
        else:
            stack.extend(node.children)


def by_dots(statement: Node) -> Iterator[tuple[str, str]]:
    """Java, Kotlin, Scala, Rust: ``a.b.C``, ``a.b.{C, D => E}``, ``a.b.*``, ``a::{b, c::D}``, ``a as b``."""
    names = [child for child in statement.children if child.kind is Kind.NAME]
    if "as" in statement.text.split(",") and len(statement.children) > 1 and names:  # Kotlin's alias stands beside
        yield names[-1].text, ".".join(_parts(statement.children[0]))
        return
    yield from _tree(statement, [])


def _tree(node: Node, prefix: list[str]) -> Iterator[tuple[str, str]]:
    stack: list[tuple[Node, list[str]]] = [(node, prefix)]
    while stack:
        node, prefix = stack.pop()
        path = list(prefix)
        for at, child in enumerate(node.children):
            last = at == len(node.children) - 1
            word = child.text.partition(" ")[0]
            if child.kind is Kind.OTHER and word in _EVERYTHING:
                yield "*", ".".join([*path, *_parts(child)])
            elif child.kind is Kind.OTHER and word in _ALIASING and len(child.children) > 1:
                yield child.children[-1].text, ".".join([*path, *_parts(child.children[0])])
            elif child.kind is Kind.OTHER and "scoped_use" in word:
                stack.append((child, path))
            elif child.kind is Kind.OTHER and ("list" in word or "selectors" in word):
                stack += [(_alone(one), path) for one in child.children]
            else:
                path = [*path, *_parts(child)]
                if last and path:
                    yield path[-1], ".".join(path)


def _alone(node: Node) -> Node:
    """One member of a list of imports, as a statement of its own."""
    return Node(Kind.IMPORT, "", [node], node.line, node.end_line, node.start, node.end)


def _parts(node: Node) -> list[str]:
    """The names of a path, in order."""
    parts: list[str] = []
    stack = [node]
    while stack:
        one = stack.pop()
        if one.kind is Kind.NAME:
            parts.append(one.text)
        else:
            stack.extend(reversed(one.children))
    return parts
