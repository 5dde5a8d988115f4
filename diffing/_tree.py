# SPDX-License-Identifier: Apache-2.0
"""From source bytes to a small tree that is the same for every language.

Nothing here recurses: hostile nesting costs memory in proportion to the file and no stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tree_sitter import Language, Parser

from diffing.languages import Kind, Node, Rule, Table
from diffing.languages.operators import by_operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tree_sitter import Node as SyntaxNode
    from tree_sitter import Tree, TreeCursor

__all__ = ["MAX_NODES", "Lowered", "Node", "Span", "TooManyNodesError", "lower", "postorder", "preorder"]

MAX_NODES = 600_000  # about 250 MB at the most while one file is read
_PUNCTUATION = frozenset("()[]{},;:.\n=`") | {"", "'", '"', "->", "=>", ":=", "::", "?.", "&.", "<-", "${", "#{"}
_UNKNOWN = Rule()
_PARSE_ERROR = "ERROR"


class Span(NamedTuple):
    """Lines, both included."""

    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Lowered:
    """A file's tree, the lines that did not parse, how many syntax nodes it had, and the bytes that its offsets count.

    Those are the file's own, or what is embedded in it (the cells of a notebook).
    """

    root: Node
    errors: tuple[Span, ...]
    nodes: int
    source: bytes


class TooManyNodesError(Exception):
    """More syntax than is read; the message is the reason to name."""


@dataclass(slots=True)
class _Frame:
    syntax: SyntaxNode
    rule: Rule
    field_name: str | None
    children: list[tuple[str | None, Node]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def name(self) -> str | None:
        """What its parent's rule may call it: its field, or its type where it has none."""
        return self.field_name or self.syntax.type


@cache
def _parser(table: Table) -> Parser:
    assert table.grammar is not None  # noqa: S101 - a table has a grammar or a reader
    return Parser(Language(table.grammar()))


def lower(source: bytes, table: Table, *, limit: int = MAX_NODES) -> Lowered:
    """Parse ``source`` and lower it by the language's table.

    Raises:
        TooManyNodesError: more than ``limit`` syntax nodes, or nested as the grammar cannot take.
    """
    refused = table.refuse(source) if table.refuse else None
    if refused:
        raise TooManyNodesError(refused)
    if table.reader is not None:
        root, spans, count = table.reader(source)
        if count > limit:
            raise TooManyNodesError(f"{count:,} pieces of syntax, over the limit of {limit:,}")
        return Lowered(root, _merged([Span(*span) for span in spans]), count, source)
    if table.embedded is not None:
        return _embedded(*table.embedded(source), limit)
    tree = _parser(table).parse(source)
    nodes = tree.root_node.descendant_count
    if nodes > limit:
        raise TooManyNodesError(f"{nodes:,} syntax nodes, over the limit of {limit:,}")
    return _Lowering(source, table, tree).run(nodes)


def _embedded(source: bytes, inner: Table, lines: Sequence[int], limit: int) -> Lowered:
    """What is embedded in a file, with the file's lines."""
    lowered = lower(source, inner, limit=limit)

    def own(line: int) -> int:
        return lines[min(line, len(lines)) - 1] if line and lines else line

    for node in preorder(lowered.root):
        node.line, node.end_line = own(node.line), own(node.end_line)
    spans = [Span(own(span.line), own(span.end_line)) for span in lowered.errors]
    return Lowered(lowered.root, tuple(spans), lowered.nodes, lowered.source)


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
        return Lowered(root, _merged(self.errors), nodes, self.source)

    def _enter(self, cursor: TreeCursor, stack: list[_Frame]) -> bool:
        """Take up the node under the cursor; whether its children are to be read."""
        syntax = cursor.node
        assert syntax is not None  # noqa: S101 - a cursor of a tree always stands on a node
        if self.broken and (syntax.is_missing or syntax.type == _PARSE_ERROR):
            self.errors.append(Span(syntax.start_point.row + 1, syntax.end_point.row + 1))
        if not syntax.is_named:
            self._token(syntax.type, stack[-1])
            return False
        rule = self.table.rules.get(syntax.type)
        if rule is None:
            rule = self.table.otherwise(syntax.type) if self.table.otherwise else _UNKNOWN
        if rule.skip:
            return False
        if rule.token:
            text = rule.label or self.source[syntax.start_byte : syntax.end_byte].decode("utf-8", "replace")
            stack[-1].tokens.append(self.table.operators.get(text, text))
            return False
        variant = self.table.variants.get(syntax.type)
        if variant is not None and variant[0](self.source[syntax.start_byte : syntax.end_byte]):
            rule = variant[1]
        frame = _Frame(syntax, rule, cursor.field_name)
        if rule.leaf or not syntax.child_count:
            stack[-1].children.append((frame.name, self._leaf(frame)))
            return False
        stack.append(frame)
        return True

    def _token(self, token: str, frame: _Frame) -> None:
        spelled = self.table.operators.get(token)
        if spelled is not None or token not in _PUNCTUATION:
            frame.tokens.append(token if spelled is None else spelled)

    def _close(self, stack: list[_Frame]) -> None:
        frame = stack.pop()
        if frame.rule.splice:
            stack[-1].children += frame.children
        else:
            stack[-1].children.append((frame.name, self._inner(frame)))

    def _leaf(self, frame: _Frame) -> Node:
        syntax = frame.syntax
        text = self.source[syntax.start_byte : syntax.end_byte].decode("utf-8", "backslashreplace")
        if frame.rule.decode is not None:
            text = frame.rule.decode(text)
        elif frame.rule.kind is Kind.OTHER:
            text = f"{syntax.type} {text}"
        node = self._node(frame, text, [])
        return frame.rule.shape(node) if frame.rule.shape else node

    def _inner(self, frame: _Frame) -> Node:
        rule = frame.rule
        if rule.through and len(frame.children) == 1:
            return frame.children[0][1]
        node = self._kinded(frame)
        return rule.shape(node) if rule.shape else node

    def _kinded(self, frame: _Frame) -> Node:
        rule = frame.rule
        children = _ordered(frame)
        tokens = ",".join(frame.tokens)
        text = f"{frame.syntax.type} {tokens}".strip() if rule.kind is Kind.OTHER else tokens
        if rule.kind is Kind.STRING:  # adjacent literals are one
            if all(child.kind is Kind.STRING for child in children):
                return self._node(frame, "".join(child.text for child in children), [])
            return self._node(frame, "", children, Kind.TEMPLATE)
        if self.table.statements_of_text and rule.kind is Kind.BLOCK:
            children = [child for child in children if child.kind is not Kind.STRING]
        if (
            rule.kind is Kind.UNARY
            and (rule.fields or rule.order)
            and children[0].kind is Kind.NUMBER
            and tokens in {"-", "+"}
        ):
            number = children[0].text.lstrip("+")
            negative = number.startswith("-") is not (tokens == "-")
            return self._node(frame, f"-{number.lstrip('-')}" if negative else number.lstrip("-"), [], Kind.NUMBER)
        if rule.binary:
            kind, text = by_operator(tokens)
            return self._node(frame, text, children, kind)
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
