# SPDX-License-Identifier: Apache-2.0
"""SQL. A query sets its named columns; its WHERE is a filter, its ORDER BY a rank, and INSERT and UPDATE set values."""

from __future__ import annotations

import tree_sitter_sql

from diffing.languages import shapes
from diffing.languages.rules import BLOCK, NAME
from diffing.languages.table import SKIP, SPLICE, THROUGH, Kind, Node, Rule, Table
from diffing.languages.text import number, sql_quoted

_PAIR = 2
_WORDS = {"null": Kind.NULL, "true": Kind.BOOLEAN, "false": Kind.BOOLEAN}


def _literal(node: Node) -> Node:
    text = node.text
    if text[:1] in {"'", '"'} and len(text) > 1:
        node.text = sql_quoted(text)
    elif text.lower() in _WORDS:
        node.kind = _WORDS[text.lower()]
    elif number(text.replace(" ", "")) is not None:
        node.kind, node.text = Kind.NUMBER, text.replace(" ", "")
    return node


def _named(name: str, node: Node, value: Node, rest: list[Node] | None = None) -> Node:
    return shapes.made(Kind.ASSIGN, node, [shapes.made(Kind.NAME, node, text=name), value, *(rest or [])])


def _term(node: Node) -> Node:
    """``value AS name`` sets the name."""
    value, name, *rest = node.children
    if name.kind is Kind.NOTHING:
        return value if not rest else node
    return shapes.made(Kind.ASSIGN, node, [name, value, *rest])


def _where(node: Node) -> Node:
    return _named("filter", node, node.children[0], node.children[1:])


def _field(node: Node) -> Node:
    return shapes.member(node) if len(node.children) > 1 else shapes.first(node)


def _case(node: Node) -> Node:
    """``CASE WHEN … THEN … ELSE … END`` is a row of choices; with a subject, each compares it."""
    children = list(node.children)
    whens = node.text.split(",").count("when")
    subject = children.pop(0) if len(children) > 2 * whens + node.text.split(",").count("else") else None
    result = children.pop() if len(children) % 2 else shapes.made(Kind.NULL, node)
    for at in range(len(children) - _PAIR, -1, -_PAIR):
        condition, value = children[at : at + _PAIR]
        if subject is not None:
            condition = shapes.made(Kind.COMPARE, condition, [subject, condition], "==")
        result = shapes.made(Kind.CHOICE, node, [condition, value, result])
    return result


def _between(node: Node) -> Node:
    """``a BETWEEN 1 AND 3``."""
    if len(node.children) != 3:  # noqa: PLR2004 - subject, low, high
        return node
    subject, low, high = node.children
    both = shapes.made(Kind.COMPARE, node, [low, subject, high], "<=,<=")
    return shapes.made(Kind.NOT, node, [both]) if "not" in node.text else both


def _ordered(node: Node) -> Node:
    """A rank by an expression: descending is a factor of -1, so that turning it is a sign that flips."""
    expression, *rest = node.children
    factor = shapes.made(Kind.NUMBER, node, text="-1" if any("desc" in child.text for child in rest) else "1")
    rest = [child for child in rest if child.text not in {"direction desc", "direction asc"}]
    return _named("rank", node, shapes.made(Kind.ARITHMETIC, node, [factor, expression], "*"), rest)


def _limit(node: Node) -> Node:
    return _named("limit", node, node.children[0], node.children[1:]) if node.children else node


def _function(node: Node) -> Node:
    name, *given = node.children
    return shapes.made(Kind.CALL, node, [name, shapes.made(Kind.ARGUMENTS, node, given)])


def _insert(node: Node) -> Node:
    """``INSERT INTO t (key, value) VALUES ('a', 1)`` sets ``t.a``."""
    table, *rest = node.children
    rows = [child for child in rest if child.kind is Kind.SEQUENCE]
    columns = [child.text for child in rows[0].children] if rows and "column" in rows[0].text else []
    values = rows[1:] if columns else rows
    pairs = [pair for row in values if (pair := _row(row, columns)) is not None]
    if not pairs or len(pairs) != len(values):
        return node
    return shapes.made(Kind.ASSIGN, node, [table, shapes.made(Kind.MAP, node, pairs)])


def _row(row: Node, columns: list[str]) -> Node | None:
    if len(row.children) < _PAIR or row.children[0].kind not in {Kind.STRING, Kind.NUMBER}:
        return None
    key, *values = row.children
    if len(values) == 1:
        return shapes.made(Kind.PAIR, row, [key, values[0]])
    names = columns[1:] if len(columns) == len(row.children) else [str(at) for at in range(1, len(row.children))]
    inner = [
        shapes.made(Kind.PAIR, value, [shapes.made(Kind.STRING, value, text=name), value])
        for name, value in zip(names, values, strict=True)
    ]
    return shapes.made(Kind.PAIR, row, [key, shapes.made(Kind.MAP, row, inner)])


def _list(node: Node) -> Node:
    if node.children and all(child.alias == "column" for child in node.children):
        node.text = "column list"
    return node


def _column(node: Node) -> Node:
    name = node.children[0] if node.children else node
    name.alias = "column"
    return name


def _update(node: Node) -> Node:
    """``UPDATE t SET a = 1`` sets ``t.a``."""
    table = next((child for child in node.children if child.kind is Kind.NAME), None)
    key = _only_key(node)
    for child in node.children:
        if child.kind is Kind.ASSIGN and table is not None and child.children[0].kind is Kind.NAME:
            target, value, *rest = child.children
            if target.text == "filter":
                continue
            pair = shapes.made(Kind.PAIR, child, [shapes.made(Kind.STRING, target, text=key or target.text), value])
            child.children = [table, shapes.made(Kind.MAP, child, [pair]), *rest]
    done = [child for child in node.children if not (key and _is_filter(child))]
    return shapes.made(Kind.BLOCK, node, done)


def _is_filter(node: Node) -> bool:
    return node.kind is Kind.ASSIGN and node.children[0].text == "filter"


def _only_key(update: Node) -> str:
    """The text by which an UPDATE of one value picks its row."""
    filters = [child.children[1] for child in update.children if _is_filter(child)]
    sets = [child for child in update.children if child.kind is Kind.ASSIGN and child.children[0].text != "filter"]
    if len(filters) == len(sets) == 1 and filters[0].kind is Kind.COMPARE and filters[0].text == "==":
        return next((child.text for child in filters[0].children if child.kind is Kind.STRING), "")
    return ""


def _definition(node: Node) -> Node:
    name, *rest = node.children
    return shapes.made(Kind.CLASS, node, [name, shapes.nothing(), shapes.made(Kind.BLOCK, node, rest)])


def _keyword(node_type: str) -> Rule:
    """Keywords are part of what they stand in, whatever their case."""
    return Rule(token=True, label=node_type.removeprefix("keyword_")) if node_type.startswith("keyword_") else Rule()


SQL = Table(
    name="sql",
    title="SQL",
    suffixes=(".sql",),
    grammar=tree_sitter_sql.language,
    operators={"=": "==", "<>": "!="},
    otherwise=_keyword,
    nested=True,
    rules={
        "program": BLOCK,
        "statement": SPLICE,
        "comment": SKIP,
        "marginalia": SKIP,
        "select": SPLICE,
        "select_expression": SPLICE,
        "from": SPLICE,
        "order_by": SPLICE,
        "create_query": SPLICE,
        "create_view": Rule(fields=("object_reference",), shape=_definition),
        "create_materialized_view": Rule(fields=("object_reference",), shape=_definition),
        "create_table": Rule(fields=("object_reference",), shape=_definition),
        "create_function": Rule(fields=("object_reference",), shape=_definition),
        "cte": Rule(order=(0,), shape=_definition),
        "column_definitions": SPLICE,
        "column_definition": Rule(Kind.ASSIGN, fields=("name", "literal", "type")),
        "object_reference": THROUGH,
        "relation": Rule(order=(0,), through=True),
        "parenthesized_expression": THROUGH,
        "term": Rule(fields=("value", "alias"), shape=_term),
        "where": Rule(order=(0,), shape=_where),
        "having": Rule(order=(0,), shape=_where),
        "order_target": Rule(order=(0,), shape=_ordered),
        "limit": Rule(shape=_limit),
        "binary_expression": Rule(binary=True, fields=("left", "right")),
        "unary_expression": Rule(Kind.UNARY, fields=("operand",), shape=shapes.signed),
        "between_expression": Rule(fields=("left", "low", "high"), shape=_between),
        "not_in": Rule(token=True, label="not in"),
        "is_not": Rule(token=True, label="is not"),
        "not_like": Rule(token=True, label="not like"),
        "case": Rule(Kind.CHOICE, shape=_case),
        "invocation": Rule(Kind.CALL, order=(0,), shape=_function),
        "insert": Rule(fields=("object_reference",), shape=_insert),
        "update": Rule(shape=_update),
        "assignment": Rule(Kind.ASSIGN, fields=("left", "right")),
        "list": Rule(Kind.SEQUENCE, label="list", shape=_list),
        "column": Rule(shape=_column),
        "field": Rule(Kind.MEMBER, shape=_field),
        "identifier": NAME,
        "literal": Rule(Kind.STRING, leaf=True, shape=_literal),
    },
)
