# SPDX-License-Identifier: Apache-2.0
"""Markdown: the numbers in its tables, each by heading, row and column. A documented weight may change too."""

from __future__ import annotations

import tree_sitter_markdown

from diffing.languages import shapes
from diffing.languages.table import SKIP, SPLICE, Kind, Node, Rule, Table
from diffing.languages.text import number

_MARKUP = "*_`~ \t"


def _cell(node: Node) -> Node:
    text = node.text.replace("`", "").replace("**", "").strip(_MARKUP)
    value = number(text.replace(",", "").removesuffix("%").removeprefix("x").removesuffix("x"))
    if value is not None:
        return shapes.made(Kind.NUMBER, node, text=str(value))
    return shapes.made(Kind.STRING, node, text=text)


def _table(node: Node) -> Node:
    """One PAIR a row: the first cell names it, the header its numbers."""
    rows = [child for child in node.children if child.kind is Kind.SEQUENCE]
    header, body = (rows[0].children, rows[1:]) if rows else ([], [])
    pairs = []
    for row in body:
        if not row.children:
            continue
        key, *cells = row.children
        names = [cell.text for cell in header[1 : len(cells) + 1]]
        values = [
            shapes.made(Kind.PAIR, cell, [shapes.made(Kind.STRING, cell, text=name), cell])
            for name, cell in zip(names, cells, strict=False)
            if cell.kind is Kind.NUMBER
        ]
        if values:
            pairs.append(shapes.made(Kind.PAIR, row, [key, shapes.made(Kind.MAP, row, values)]))
    return shapes.made(Kind.MAP, node, pairs)


def _section(node: Node) -> Node:
    """The tables under a heading, by its text."""
    heading = next((child for child in node.children if child.kind is Kind.STRING), None)
    inner = shapes.made(Kind.MAP, node, [child for child in node.children if child is not heading])
    if heading is None:
        return inner
    return shapes.made(Kind.PAIR, node, [heading, inner])


def _skip(_type: str) -> Rule:
    return SKIP


MARKDOWN = Table(
    name="markdown",
    title="Markdown",
    suffixes=(".md", ".markdown"),
    grammar=tree_sitter_markdown.language,
    config=True,
    prose=True,
    otherwise=_skip,
    rules={
        "document": Rule(Kind.MAP),
        "section": Rule(shape=_section),
        "atx_heading": SPLICE,
        "setext_heading": SPLICE,
        "paragraph": SKIP,
        "inline": Rule(Kind.STRING, leaf=True),
        "pipe_table": Rule(shape=_table),
        "pipe_table_header": Rule(Kind.SEQUENCE, label="row"),
        "pipe_table_row": Rule(Kind.SEQUENCE, label="row"),
        "pipe_table_cell": Rule(Kind.STRING, leaf=True, shape=_cell),
    },
)
