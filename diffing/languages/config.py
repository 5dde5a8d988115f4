# SPDX-License-Identifier: Apache-2.0
"""The configuration languages: YAML, TOML, JSON."""

from __future__ import annotations

import re

import tree_sitter_json
import tree_sitter_toml
import tree_sitter_yaml

from diffing.languages.table import SKIP, THROUGH, Kind, Rule, Table
from diffing.languages.text import block_scalar, quoted, single_quoted_yaml

_STRING = Rule(Kind.STRING, leaf=True)
_QUOTED = Rule(Kind.STRING, leaf=True, decode=quoted)
_NUMBER = Rule(Kind.NUMBER, leaf=True)
_BOOLEAN = Rule(Kind.BOOLEAN, leaf=True)
_NULL = Rule(Kind.NULL, leaf=True)
_PAIR = Rule(Kind.PAIR, fields=("key", "value"))

_LEVELS = 100
_LINE_START = re.compile(rb"^( *)((?:[-?:][ \t]+)*)", re.MULTILINE)


def _too_deep(source: bytes) -> str | None:
    """Why the YAML grammar must not see a source: its scanner overruns its buffer from about 250 block levels on.

    Levels are counted by indentation and by indicators at the start of a line, which is never too few.
    """
    columns: list[int] = []
    for match in _LINE_START.finditer(source):
        column = len(match.group(1))
        while columns and columns[-1] >= column:
            columns.pop()
        columns.append(column)
        columns.extend(column + at + 1 for at, one in enumerate(match.group(2)) if one in b"-?:")
        if len(columns) > _LEVELS:
            return f"nested deeper than {_LEVELS} levels"
    return None


YAML = Table(
    name="yaml",
    title="YAML",
    suffixes=(".yaml", ".yml"),
    grammar=tree_sitter_yaml.language,
    config=True,
    refuse=_too_deep,
    rules={
        "stream": THROUGH,
        "document": THROUGH,
        "block_node": THROUGH,
        "flow_node": THROUGH,
        "plain_scalar": THROUGH,
        "block_sequence_item": THROUGH,
        "comment": SKIP,
        "anchor": SKIP,
        "block_mapping": Rule(Kind.MAP),
        "flow_mapping": Rule(Kind.MAP),
        "block_mapping_pair": _PAIR,
        "flow_pair": _PAIR,
        "block_sequence": Rule(Kind.SEQUENCE),
        "flow_sequence": Rule(Kind.SEQUENCE),
        "string_scalar": _STRING,
        "timestamp_scalar": _STRING,
        "double_quote_scalar": _QUOTED,
        "single_quote_scalar": Rule(Kind.STRING, leaf=True, decode=single_quoted_yaml),
        "block_scalar": Rule(Kind.STRING, leaf=True, decode=block_scalar),
        "integer_scalar": _NUMBER,
        "float_scalar": _NUMBER,
        "boolean_scalar": _BOOLEAN,
        "null_scalar": _NULL,
        "alias": Rule(Kind.NAME, leaf=True),
    },
)

TOML = Table(
    name="toml",
    title="TOML",
    suffixes=(".toml",),
    grammar=tree_sitter_toml.language,
    config=True,
    rules={
        "document": Rule(Kind.MAP),
        "comment": SKIP,
        "table": Rule(Kind.TABLE, order=(0,)),
        "table_array_element": Rule(Kind.TABLE, order=(0,)),
        "pair": Rule(Kind.PAIR, order=(0, 1)),
        "inline_table": Rule(Kind.MAP),
        "dotted_key": Rule(Kind.DOTTED),
        "bare_key": _STRING,
        "quoted_key": _QUOTED,
        "array": Rule(Kind.SEQUENCE),
        "string": _QUOTED,
        "integer": _NUMBER,
        "float": _NUMBER,
        "boolean": _BOOLEAN,
        "offset_date_time": _STRING,
        "local_date_time": _STRING,
        "local_date": _STRING,
        "local_time": _STRING,
    },
)

JSON = Table(
    name="json",
    title="JSON",
    suffixes=(".json",),
    grammar=tree_sitter_json.language,
    config=True,
    rules={
        "document": THROUGH,
        "comment": SKIP,
        "object": Rule(Kind.MAP),
        "pair": _PAIR,
        "array": Rule(Kind.SEQUENCE),
        "string": _QUOTED,
        "number": _NUMBER,
        "true": _BOOLEAN,
        "false": _BOOLEAN,
        "null": _NULL,
    },
)
