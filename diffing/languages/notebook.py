# SPDX-License-Identifier: Apache-2.0
"""Jupyter notebooks: the code cells as one Python module, each line at its place in the file."""

from __future__ import annotations

import json

import tree_sitter_json
from tree_sitter import Language, Node, Parser

from diffing.languages.python import PYTHON
from diffing.languages.table import Table
from diffing.languages.text import quoted

_PARSER = Parser(Language(tree_sitter_json.language()))
_MAGIC = ("%", "!", "?")


def _pairs(node: Node) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for pair in node.named_children:
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is not None and value is not None and key.text is not None:
            found[quoted(key.text.decode("utf-8", "replace"))] = value
    return found


def _top(source: bytes) -> dict[str, Node]:
    root = _PARSER.parse(source).root_node
    document = next((child for child in root.named_children if child.type == "object"), None)
    return _pairs(document) if document is not None else {}


def _string(node: Node) -> str:
    text = (node.text or b"").decode("utf-8", "backslashreplace")
    try:
        return str(json.loads(text))
    except ValueError:
        return quoted(text)


def _language(top: dict[str, Node]) -> str:
    metadata = _pairs(top["metadata"]) if "metadata" in top else {}
    for section, key in (("language_info", "name"), ("kernelspec", "language")):
        value = _pairs(metadata[section]).get(key) if section in metadata else None
        if value is not None:
            return _string(value).lower()
    return "python"


def _foreign(source: bytes) -> str | None:
    """Why a notebook is not read: it is no JSON object with cells, or its cells are in another language."""
    top = _top(source)
    if not source.strip():
        return None
    if "cells" not in top:
        return "a notebook without cells (older than version 4, or broken)"
    language = _language(top)
    return None if language in {"python", "python3"} else f"a notebook with cells in {language}"


def _cells(source: bytes) -> tuple[bytes, Table, list[int]]:
    text: list[str] = []
    lines: list[int] = []
    cells = _top(source).get("cells")
    for cell in cells.named_children if cells is not None else ():
        pairs = _pairs(cell)
        if "source" not in pairs or _string(pairs.get("cell_type", cell)) != "code":
            continue
        given = pairs["source"]
        pieces = [given] if given.type == "string" else [one for one in given.named_children if one.type == "string"]
        magic = False
        for at, piece in enumerate(pieces):
            for line in _string(piece).removesuffix("\n").split("\n"):
                magic = magic or (at == 0 and line.startswith("%%"))
                quiet = magic or line.lstrip().startswith(_MAGIC)
                text.append(f"#{line}" if quiet else line)
                lines.append(piece.start_point.row + 1)
    return ("\n".join(text) + "\n").encode("utf-8", "backslashreplace") if text else b"", PYTHON, lines


NOTEBOOK = Table(
    name="notebook", title="a notebook", suffixes=(".ipynb",), refuse=_foreign, embedded=_cells, statements_of_text=True
)
