# SPDX-License-Identifier: Apache-2.0
"""Python."""

from __future__ import annotations

import tree_sitter_python

from diffing.languages.table import SKIP, THROUGH, Kind, Rule, Table
from diffing.languages.text import quoted


def _is_template(source: bytes) -> bool:
    quote = min((at for at in (source.find(b"'"), source.find(b'"')) if at >= 0), default=0)
    return b"f" in source[:quote].lower() and b"{" in source


_TUPLE = Rule(Kind.SEQUENCE, label="tuple")
_LIST = Rule(Kind.SEQUENCE, label="list")


def _comprehension(label: str) -> Rule:
    return Rule(Kind.COMPREHENSION, fields=("body",), label=label)


PYTHON = Table(
    name="python",
    title="Python",
    suffixes=(".py", ".pyi"),
    grammar=tree_sitter_python.language,
    statements_of_text=True,
    operators={"<>": "!="},
    variants={"string": (_is_template, Rule(Kind.TEMPLATE))},
    rules={
        "module": Rule(Kind.BLOCK),
        "block": Rule(Kind.BLOCK),
        "comment": SKIP,
        "line_continuation": SKIP,
        "expression_statement": THROUGH,
        "parenthesized_expression": THROUGH,
        "else_clause": THROUGH,
        "decorated_definition": Rule(),
        "function_definition": Rule(Kind.FUNCTION, fields=("name", "parameters", "body")),
        "class_definition": Rule(Kind.CLASS, fields=("name", "superclasses", "body")),
        "parameters": Rule(Kind.PARAMETERS),
        "lambda_parameters": Rule(Kind.PARAMETERS),
        "default_parameter": Rule(Kind.DEFAULT, fields=("name", "value")),
        "typed_default_parameter": Rule(Kind.DEFAULT, fields=("name", "value", "type")),
        "lambda": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "assignment": Rule(Kind.ASSIGN, fields=("left", "right", "type")),
        "named_expression": Rule(Kind.ASSIGN, fields=("name", "value")),
        "augmented_assignment": Rule(Kind.AUGMENT, fields=("left", "right")),
        "return_statement": Rule(Kind.RETURN),
        "yield": Rule(Kind.RETURN),
        "assert_statement": Rule(Kind.ASSERT),
        "raise_statement": Rule(Kind.JUMP),
        "continue_statement": Rule(Kind.JUMP),
        "break_statement": Rule(Kind.JUMP),
        "if_statement": Rule(Kind.IF, fields=("condition", "consequence")),
        "elif_clause": Rule(Kind.IF, fields=("condition", "consequence")),
        "while_statement": Rule(Kind.WHILE, fields=("condition", "body")),
        "for_statement": Rule(Kind.FOR, fields=("left", "right", "body")),
        "for_in_clause": Rule(Kind.FOR, fields=("left", "right")),
        "if_clause": Rule(Kind.FILTER),
        "list_comprehension": _comprehension("list"),
        "set_comprehension": _comprehension("set"),
        "dictionary_comprehension": _comprehension("map"),
        "generator_expression": _comprehension("generator"),
        "conditional_expression": Rule(Kind.CHOICE, order=(1, 0, 2)),
        "match_statement": Rule(Kind.MATCH, fields=("subject",)),
        "case_clause": Rule(Kind.CASE),
        "case_pattern": THROUGH,
        "call": Rule(Kind.CALL, fields=("function", "arguments")),
        "argument_list": Rule(Kind.ARGUMENTS),
        "keyword_argument": Rule(Kind.KEYWORD, fields=("name", "value")),
        "attribute": Rule(Kind.MEMBER, fields=("object", "attribute")),
        "subscript": Rule(Kind.INDEX, fields=("value",)),
        "slice": Rule(Kind.SLICE),
        "binary_operator": Rule(Kind.ARITHMETIC, fields=("left", "right")),
        "unary_operator": Rule(Kind.UNARY, fields=("argument",)),
        "boolean_operator": Rule(Kind.LOGIC, fields=("left", "right")),
        "not_operator": Rule(Kind.NOT, fields=("argument",)),
        "comparison_operator": Rule(Kind.COMPARE),
        "dictionary": Rule(Kind.MAP),
        "pair": Rule(Kind.PAIR, fields=("key", "value")),
        "list": _LIST,
        "tuple": _TUPLE,
        "set": Rule(Kind.SEQUENCE, label="set"),
        "expression_list": _TUPLE,
        "pattern_list": _TUPLE,
        "tuple_pattern": _TUPLE,
        "list_pattern": _LIST,
        "identifier": Rule(Kind.NAME, leaf=True),
        "dotted_name": Rule(Kind.DOTTED),
        "integer": Rule(Kind.NUMBER, leaf=True),
        "float": Rule(Kind.NUMBER, leaf=True),
        "string": Rule(Kind.STRING, leaf=True, decode=quoted),
        "string_start": SKIP,
        "string_end": SKIP,
        "concatenated_string": Rule(Kind.STRING),
        "true": Rule(Kind.BOOLEAN, leaf=True),
        "false": Rule(Kind.BOOLEAN, leaf=True),
        "none": Rule(Kind.NULL, leaf=True),
        "as_pattern_target": Rule(Kind.TARGET),
        "import_statement": Rule(Kind.IMPORT),
        "import_from_statement": Rule(Kind.IMPORT),
        "future_import_statement": Rule(Kind.IMPORT),
        "global_statement": Rule(Kind.SCOPE),
        "nonlocal_statement": Rule(Kind.SCOPE),
    },
)
