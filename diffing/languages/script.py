# SPDX-License-Identifier: Apache-2.0
"""TypeScript, JavaScript and Ruby."""

from __future__ import annotations

import tree_sitter_javascript
import tree_sitter_ruby
import tree_sitter_typescript

from diffing.languages import shapes
from diffing.languages.rules import (
    BINARY,
    BLOCK,
    BOOLEAN,
    CHOICE,
    FRAGMENT,
    IF,
    IMPORT,
    JUMP,
    NAME,
    NULL,
    NUMBER,
    RAISE,
    WHILE,
)
from diffing.languages.table import SKIP, SPLICE, THROUGH, Kind, Node, Rule, Table
from diffing.languages.text import symbol


def _arrow(node: Node) -> Node:
    """``x => …`` and ``(x) => …``."""
    one, many, *rest = node.children
    node.children = [many if one.kind is Kind.NOTHING else shapes.made(Kind.PARAMETERS, one, [one]), *rest]
    return node


_LIST = Rule(Kind.SEQUENCE, label="list")
_METHOD = Rule(Kind.FUNCTION, fields=("name", "parameters", "body"))
_LAMBDA = Rule(Kind.LAMBDA, fields=("parameters", "body"))
_OPERAND = Rule(order=(0,), shape=shapes.first)

_ECMA = {
    "program": BLOCK,
    "statement_block": BLOCK,
    "class_body": BLOCK,
    "enum_body": BLOCK,
    "switch_body": BLOCK,
    "comment": SKIP,
    "optional_chain": SKIP,
    "expression_statement": THROUGH,
    "parenthesized_expression": THROUGH,
    "else_clause": THROUGH,
    "await_expression": THROUGH,
    "as_expression": _OPERAND,
    "satisfies_expression": _OPERAND,
    "non_null_expression": _OPERAND,
    "export_statement": SPLICE,
    "lexical_declaration": SPLICE,
    "variable_declaration": SPLICE,
    "class_declaration": Rule(Kind.CLASS, fields=("name", "class_heritage", "body")),
    "abstract_class_declaration": Rule(Kind.CLASS, fields=("name", "class_heritage", "body")),
    "enum_declaration": Rule(Kind.CLASS, fields=("name", "bases", "body")),
    "function_declaration": _METHOD,
    "generator_function_declaration": _METHOD,
    "method_definition": _METHOD,
    "formal_parameters": Rule(Kind.PARAMETERS),
    "required_parameter": Rule(Kind.DEFAULT, fields=("pattern", "value", "type"), shape=shapes.defaulted),
    "optional_parameter": Rule(Kind.DEFAULT, fields=("pattern", "value", "type"), shape=shapes.defaulted),
    "assignment_pattern": Rule(Kind.DEFAULT, fields=("left", "right"), shape=shapes.defaulted),
    "object_assignment_pattern": Rule(Kind.DEFAULT, fields=("left", "right"), shape=shapes.defaulted),
    "arrow_function": Rule(Kind.LAMBDA, fields=("parameter", "parameters", "body"), shape=_arrow),
    "function_expression": _LAMBDA,
    "variable_declarator": Rule(Kind.ASSIGN, fields=("name", "value", "type"), shape=shapes.named_lambda),
    "public_field_definition": Rule(Kind.ASSIGN, fields=("name", "value", "type"), shape=shapes.named_lambda),
    "field_definition": Rule(Kind.ASSIGN, fields=("property", "value"), shape=shapes.named_lambda),
    "enum_assignment": Rule(Kind.ASSIGN, fields=("name", "value")),
    "assignment_expression": Rule(Kind.ASSIGN, fields=("left", "right"), shape=shapes.named_lambda),
    "augmented_assignment_expression": BINARY,
    "update_expression": Rule(fields=("argument",), shape=shapes.increment),
    "return_statement": Rule(Kind.RETURN),
    "throw_statement": RAISE,
    "break_statement": JUMP,
    "continue_statement": JUMP,
    "if_statement": IF,
    "while_statement": WHILE,
    "do_statement": WHILE,
    "for_statement": WHILE,
    "for_in_statement": Rule(Kind.FOR, fields=("left", "right", "body")),
    "ternary_expression": CHOICE,
    "switch_statement": Rule(Kind.MATCH, fields=("value", "body")),
    "switch_case": Rule(Kind.CASE, fields=("value",), shape=shapes.cased(1)),
    "switch_default": Rule(Kind.CASE, shape=shapes.cased(0)),
    "call_expression": Rule(Kind.CALL, fields=("function", "arguments"), shape=shapes.applied),
    "new_expression": Rule(Kind.CALL, fields=("constructor", "arguments"), shape=shapes.applied),
    "arguments": Rule(Kind.ARGUMENTS),
    "member_expression": Rule(Kind.MEMBER, fields=("object", "property"), shape=shapes.member),
    "subscript_expression": Rule(Kind.INDEX, fields=("object",)),
    "binary_expression": BINARY,
    "unary_expression": Rule(Kind.UNARY, fields=("argument",), shape=shapes.signed),
    "object": Rule(Kind.MAP),
    "pair": Rule(Kind.PAIR, fields=("key", "value")),
    "array": _LIST,
    "identifier": NAME,
    "property_identifier": NAME,
    "private_property_identifier": NAME,
    "type_identifier": NAME,
    "predefined_type": NAME,
    "shorthand_property_identifier": NAME,
    "shorthand_property_identifier_pattern": NAME,
    "this": NAME,
    "super": NAME,
    "number": NUMBER,
    "string": Rule(Kind.STRING),
    "template_string": Rule(Kind.STRING),
    "string_fragment": FRAGMENT,
    "escape_sequence": FRAGMENT,
    "true": BOOLEAN,
    "false": BOOLEAN,
    "null": NULL,
    "undefined": NULL,
    "import_statement": IMPORT,
}

JAVASCRIPT = Table(
    name="javascript",
    title="JavaScript",
    suffixes=(".js", ".mjs", ".cjs", ".jsx"),
    grammar=tree_sitter_javascript.language,
    nested=True,
    built=True,
    rules=_ECMA,
)
TYPESCRIPT = Table(
    name="typescript",
    title="TypeScript",
    suffixes=(".ts", ".mts", ".cts"),
    grammar=tree_sitter_typescript.language_typescript,
    nested=True,
    built=True,
    rules=_ECMA,
)
TSX = Table(
    name="typescript",
    title="TypeScript",
    suffixes=(".tsx",),
    grammar=tree_sitter_typescript.language_tsx,
    nested=True,
    built=True,
    rules=_ECMA,
)


def _send(node: Node) -> Node:
    """Ruby's calls: without arguments and block, ``a.b`` reads an attribute."""
    owner, name, given, block, *rest = node.children
    if given.kind is Kind.NOTHING and block.kind is Kind.NOTHING:
        if owner.kind is Kind.NOTHING:
            return name
        if name.text in {"freeze", "dup", "to_set", "to_a"}:
            return owner
        return shapes.made(Kind.MEMBER, node, [owner, name, *rest])
    extra = [] if block.kind is Kind.NOTHING else [block]
    if given.kind is Kind.NOTHING:
        given = shapes.made(Kind.ARGUMENTS, name)
    node.children = [owner, name, given, *extra, *rest]
    node = shapes.method_call(node)
    return shapes.made(Kind.JUMP, node, node.children, "raise") if name.text == "raise" and not extra else node


def _own(node: Node) -> Node:
    """``@name`` is an attribute of self."""
    name = node.text.lstrip("@")
    parts = [shapes.made(Kind.NAME, node, text="self"), shapes.made(Kind.NAME, node, text=name)]
    return shapes.made(Kind.MEMBER, node, parts)


def _symbol_key(node: Node) -> Node:
    node.text = "symbol" if node.children and node.children[0].alias == "symbol" else ""
    return node


def _marked(node: Node) -> Node:
    node.alias = "symbol"
    return node


def _when(node: Node) -> Node:
    """``when a, b then …``."""
    return (
        shapes.cased(len(node.children) - 1)(node)
        if node.children and node.children[-1].kind is Kind.BLOCK
        else (shapes.cased(len(node.children))(node))
    )


_MODIFIED = Rule(Kind.IF, fields=("condition", "body"), shape=shapes.branching)
_TEXT = Rule(Kind.STRING)
_SYMBOL = Rule(Kind.STRING, leaf=True, decode=symbol)

RUBY = Table(
    name="ruby",
    title="Ruby",
    suffixes=(".rb", ".rake"),
    grammar=tree_sitter_ruby.language,
    nested=True,
    rules={
        "program": BLOCK,
        "body_statement": BLOCK,
        "block_body": BLOCK,
        "then": BLOCK,
        "else": BLOCK,
        "do": BLOCK,
        "begin": BLOCK,
        "comment": SKIP,
        "parenthesized_statements": THROUGH,
        "pattern": THROUGH,
        "module": Rule(Kind.CLASS, fields=("name", "superclass", "body")),
        "class": Rule(Kind.CLASS, fields=("name", "superclass", "body")),
        "method": Rule(Kind.FUNCTION, fields=("name", "parameters", "body"), shape=shapes.returning),
        "singleton_method": Rule(Kind.FUNCTION, fields=("name", "parameters", "body"), shape=shapes.returning),
        "method_parameters": Rule(Kind.PARAMETERS),
        "block_parameters": Rule(Kind.PARAMETERS),
        "lambda_parameters": Rule(Kind.PARAMETERS),
        "optional_parameter": Rule(Kind.DEFAULT, fields=("name", "value")),
        "keyword_parameter": Rule(Kind.DEFAULT, fields=("name", "value")),
        "do_block": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "block": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "lambda": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "assignment": Rule(Kind.ASSIGN, fields=("left", "right"), shape=shapes.assigning),
        "operator_assignment": BINARY,
        "left_assignment_list": Rule(Kind.SEQUENCE, label="tuple"),
        "right_assignment_list": Rule(Kind.SEQUENCE, label="tuple"),
        "return": Rule(Kind.RETURN, shape=shapes.unlisted),
        "next": JUMP,
        "break": JUMP,
        "if": IF,
        "elsif": IF,
        "unless": Rule(Kind.IF, fields=("condition", "consequence"), shape=shapes.negated),
        "if_modifier": _MODIFIED,
        "unless_modifier": Rule(Kind.IF, fields=("condition", "body"), shape=shapes.negated),
        "while": WHILE,
        "until": WHILE,
        "for": Rule(Kind.FOR, fields=("pattern", "value", "body")),
        "conditional": CHOICE,
        "case": Rule(Kind.MATCH, fields=("value",), shape=shapes.matched),
        "when": Rule(Kind.CASE, shape=_when),
        "call": Rule(Kind.CALL, fields=("receiver", "method", "arguments", "block"), shape=_send),
        "argument_list": Rule(Kind.ARGUMENTS, shape=shapes.arguments),
        "element_reference": Rule(Kind.INDEX, fields=("object",)),
        "scope_resolution": Rule(Kind.MEMBER, fields=("scope", "name"), shape=shapes.member),
        "binary": BINARY,
        "unary": Rule(Kind.UNARY, fields=("operand",), shape=shapes.signed),
        "hash": Rule(Kind.MAP),
        "pair": Rule(Kind.PAIR, fields=("key", "value"), shape=_symbol_key),
        "array": _LIST,
        "string_array": _LIST,
        "symbol_array": _LIST,
        "bare_string": _TEXT,
        "bare_symbol": _TEXT,
        "identifier": NAME,
        "constant": NAME,
        "self": NAME,
        "instance_variable": Rule(Kind.NAME, leaf=True, shape=_own),
        "class_variable": Rule(Kind.NAME, leaf=True, shape=_own),
        "global_variable": NAME,
        "integer": NUMBER,
        "float": NUMBER,
        "string": _TEXT,
        "chained_string": _TEXT,
        "string_content": FRAGMENT,
        "escape_sequence": FRAGMENT,
        "simple_symbol": _SYMBOL,
        "hash_key_symbol": Rule(Kind.STRING, leaf=True, decode=symbol, shape=_marked),
        "delimited_symbol": _TEXT,
        "true": BOOLEAN,
        "false": BOOLEAN,
        "nil": NULL,
    },
)
