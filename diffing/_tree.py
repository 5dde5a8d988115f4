# SPDX-License-Identifier: Apache-2.0
"""From source bytes to a small tree that is the same for every language.

Nothing here recurses: hostile nesting costs memory in proportion to the file and no stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tree_sitter import Language, Parser

from diffing.languages import Kind, Rule, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node as SyntaxNode
    from tree_sitter import Tree, TreeCursor

MAX_NODES = 600_000  # about 250 MB at the most while one file is read
_PUNCTUATION = frozenset("()[]{},;:.\n=") | {"", "'", '"', "->", "=>"}
_UNKNOWN = Rule()
_PARSE_ERROR = "ERROR"


@dataclass(slots=True, eq=False)
class Node:
    """One piece of syntax. Lines count from 1; ``start`` and ``end`` are byte offsets into the source."""

    kind: Kind
    text: str
    children: list[Node]
    line: int
    end_line: int
    start: int
    end: int
    form: str = ""
    alias: str = ""


class Span(NamedTuple):
    """Lines, both included."""

    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Lowered:
    """A file's tree, the lines that did not parse, and how many syntax nodes it had."""

    root: Node
    errors: tuple[Span, ...]
    nodes: int


class TooManyNodesError(Exception):
    """More syntax than is read; the message is the reason to name."""


@dataclass(slots=True)
class _Frame:
    syntax: SyntaxNode
    rule: Rule
    field_name: str | None
    children: list[tuple[str | None, Node]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


@cache
def _parser(table: Table) -> Parser:
    return Parser(Language(table.grammar()))


def lower(source: bytes, table: Table, *, limit: int = MAX_NODES) -> Lowered:
    """Parse ``source`` and lower it by the language's table.

    Raises:
        TooManyNodesError: more than ``limit`` syntax nodes, or nested as the grammar cannot take.
    """
    refused = table.refuse(source) if table.refuse else None
    if refused:
        raise TooManyNodesError(refused)
    tree = _parser(table).parse(source)
    nodes = tree.root_node.descendant_count
    if nodes > limit:
        raise TooManyNodesError(f"{nodes:,} syntax nodes, over the limit of {limit:,}")
    return _Lowering(source, table, tree).run(nodes)


class _Lowering:
    def __init__(self, source: bytes, table: Table, tree: Tree) -> None:
        self.source, self.table, self.tree = source, table, tree
        self.broken = tree.root_node.has_error
        self.errors: list[Span] = []

    def run(self, nodes: int) -> Lowered:
        cursor = self.tree.walk()
        top = _Frame(self.tree.root_node, _UNKNOWN, None)
        stack = [top]
        while stack:
            if self._enter(cursor, stack) and cursor.goto_first_child():
                continue
            while stack and not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    stack.clear()
                    break
                self._close(stack)
        root = top.children[0][1] if top.children else _nothing()
        return Lowered(root, _merged(self.errors), nodes)

    def _enter(self, cursor: TreeCursor, stack: list[_Frame]) -> bool:
        """Take up the node under the cursor; whether its children are to be read."""
        syntax = cursor.node
        assert syntax is not None  # noqa: S101 - a cursor of a tree always stands on a node
        if self.broken and (syntax.is_missing or syntax.type == _PARSE_ERROR):
            self.errors.append(Span(syntax.start_point.row + 1, syntax.end_point.row + 1))
        if not syntax.is_named:
            token = syntax.type
            if token not in _PUNCTUATION:
                stack[-1].tokens.append(self.table.operators.get(token, token))
            return False
        rule = self.table.rules.get(syntax.type, _UNKNOWN)
        if rule.skip:
            return False
        variant = self.table.variants.get(syntax.type)
        if variant is not None and variant[0](self.source[syntax.start_byte : syntax.end_byte]):
            rule = variant[1]
        frame = _Frame(syntax, rule, cursor.field_name)
        if rule.leaf or not syntax.child_count:
            stack[-1].children.append((frame.field_name, self._leaf(frame)))
            return False
        stack.append(frame)
        return True

    def _close(self, stack: list[_Frame]) -> None:
        frame = stack.pop()
        stack[-1].children.append((frame.field_name, self._inner(frame)))

    def _leaf(self, frame: _Frame) -> Node:
        syntax = frame.syntax
        text = self.source[syntax.start_byte : syntax.end_byte].decode("utf-8", "backslashreplace")
        if frame.rule.decode is not None:
            text = frame.rule.decode(text)
        elif frame.rule.kind is Kind.OTHER:
            text = f"{syntax.type} {text}"
        return self._node(frame, text, [])

    def _inner(self, frame: _Frame) -> Node:
        rule = frame.rule
        if rule.through and len(frame.children) == 1:
            return frame.children[0][1]
        children = _ordered(frame)
        tokens = ",".join(frame.tokens)
        text = f"{frame.syntax.type} {tokens}".strip() if rule.kind is Kind.OTHER else tokens
        if rule.kind is Kind.STRING:  # adjacent literals are one
            if all(child.kind is Kind.STRING for child in children):
                return self._node(frame, "".join(child.text for child in children), [])
            return self._node(frame, "", children, Kind.TEMPLATE)
        if self.table.statements_of_text and rule.kind is Kind.BLOCK:
            children = [child for child in children if child.kind is not Kind.STRING]
        if rule.kind is Kind.UNARY and rule.fields and children[0].kind is Kind.NUMBER and tokens in {"-", "+"}:
            number = children[0].text.lstrip("+")
            negative = number.startswith("-") is not (tokens == "-")
            return self._node(frame, f"-{number.lstrip('-')}" if negative else number.lstrip("-"), [], Kind.NUMBER)
        return self._node(frame, text if rule.label is None else rule.label, children)

    @staticmethod
    def _node(frame: _Frame, text: str, children: list[Node], kind: Kind | None = None) -> Node:
        syntax = frame.syntax
        end = syntax.end_point
        # A node that ends at the start of a line ends, for a reader, on the line before.
        end_line = end.row + (1 if end.column or end.row == syntax.start_point.row else 0)
        return Node(
            kind or frame.rule.kind,
            text,
            children,
            syntax.start_point.row + 1,
            end_line,
            syntax.start_byte,
            syntax.end_byte,
        )


def _ordered(frame: _Frame) -> list[Node]:
    """A frame's children: those the rule puts first, then the others as they stand."""
    rule = frame.rule
    if rule.fields:
        first: list[Node | None] = [None] * len(rule.fields)
        rest: list[Node] = []
        for name, child in frame.children:
            at = rule.fields.index(name) if name in rule.fields else -1
            if at >= 0 and first[at] is None:
                first[at] = child
            else:
                rest.append(child)
        return [*(child or _nothing() for child in first), *rest]
    children = [child for _, child in frame.children]
    if rule.order:
        chosen = [children[at] if at < len(children) else _nothing() for at in rule.order]
        return [*chosen, *(child for at, child in enumerate(children) if at not in rule.order)]
    return children


def _nothing() -> Node:
    return Node(Kind.NOTHING, "", [], 0, 0, 0, 0)


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.line <= merged[-1].end_line + 1:
            merged[-1] = Span(merged[-1].line, max(merged[-1].end_line, span.end_line))
        else:
            merged.append(span)
    return tuple(merged)


def preorder(root: Node) -> Iterator[Node]:
    """Every node, parents first, in source order."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def postorder(root: Node) -> list[Node]:
    """Every node, children before their parents, in source order."""
    result: list[Node] = []
    stack = [root]
    while stack:
        node = stack.pop()
        result.append(node)
        stack.extend(node.children)
    result.reverse()
    return result
