# SPDX-License-Identifier: Apache-2.0
"""Kotlin. Its grammar has few fields, so that most shapes go by position."""

from __future__ import annotations

import tree_sitter_kotlin

from diffing.languages import shapes
from diffing.languages.rules import BINARY, BLOCK, FRAGMENT, IMPORT, JUMP, NAME, NUMBER, RAISE
from diffing.languages.table import SKIP, THROUGH, Kind, Node, Rule, Table

_WORDS = {"true": Kind.BOOLEAN, "false": Kind.BOOLEAN, "null": Kind.NULL}
_NAMED_TYPE_VALUE = 3


def _word(node: Node) -> Node:
    node.kind = _WORDS.get(node.text, node.kind)
    return node


_NAME = Rule(Kind.NAME, leaf=True, shape=_word)


def _without_modifiers(children: list[Node]) -> tuple[list[Node], list[Node]]:
    modifiers = [child for child in children if child.kind is Kind.OTHER and child.text.startswith("modifiers")]
    return [child for child in children if child not in modifiers], modifiers


def _property(node: Node) -> Node:
    """``val name: Type = value``."""
    target, *others = node.children
    rest, modifiers = _without_modifiers(others)
    if target.kind is Kind.OTHER and target.children:  # with a type
        target, modifiers = target.children[0], [*modifiers, *target.children[1:]]
    node.children = [target, rest[0] if rest else shapes.nothing(), *rest[1:], *modifiers]
    return shapes.named_lambda(node)


def _parameters(node: Node) -> Node:
    """Parameters, each with the default that stands behind it."""
    found: list[Node] = []
    for child in node.children:
        if child.kind is Kind.DEFAULT or not found or found[-1].kind is not Kind.DEFAULT:
            found.append(child)
        else:
            found[-1].children[1] = child
    node.children = found
    return node


def _parameter(node: Node) -> Node:
    rest, modifiers = _without_modifiers(node.children)
    value = rest[2] if len(rest) >= _NAMED_TYPE_VALUE else shapes.nothing()
    node.children = [rest[0], value, *rest[1:2], *rest[3:], *modifiers]
    return node


def _lambda(node: Node) -> Node:
    """``{ x -> … }``: parameters (or none) and one expression or a block."""
    parameters, *body = node.children
    node.children = [parameters, body[0] if len(body) == 1 else shapes.made(Kind.BLOCK, node, body)]
    return node


def _function(node: Node) -> Node:
    """A function whose body is an expression returns it."""
    return shapes.bodied(node)


def _infix(node: Node) -> Node:
    """``a to b`` is a pair; any other infix name a call."""
    if len(node.children) != 3:  # noqa: PLR2004 - left, name, right
        return node
    left, name, right = node.children
    if name.text == "to":
        return shapes.made(Kind.PAIR, node, [left, right])
    callee = shapes.made(Kind.MEMBER, node, [left, name])
    return shapes.made(Kind.CALL, node, [callee, shapes.made(Kind.ARGUMENTS, node, [right])])


KOTLIN = Table(
    name="kotlin",
    title="Kotlin",
    suffixes=(".kt", ".kts"),
    grammar=tree_sitter_kotlin.language,
    nested=True,
    rules={
        "source_file": BLOCK,
        "class_body": BLOCK,
        "companion_object": BLOCK,
        "block": BLOCK,
        "line_comment": SKIP,
        "block_comment": SKIP,
        "parenthesized_expression": THROUGH,
        "function_body": THROUGH,
        "user_type": THROUGH,
        "when_subject": THROUGH,
        "annotated_lambda": THROUGH,
        "class_declaration": Rule(Kind.CLASS, fields=("name", "delegation_specifiers", "class_body")),
        "object_declaration": Rule(Kind.CLASS, fields=("name", "delegation_specifiers", "class_body")),
        "function_declaration": Rule(
            Kind.FUNCTION, fields=("name", "function_value_parameters", "function_body"), shape=_function
        ),
        "function_value_parameters": Rule(Kind.PARAMETERS, shape=_parameters),
        "class_parameters": Rule(Kind.PARAMETERS),
        "lambda_parameters": Rule(Kind.PARAMETERS),
        "parameter": Rule(Kind.DEFAULT, fields=("identifier",), shape=_parameter),
        "class_parameter": Rule(Kind.DEFAULT, fields=("identifier",), shape=_parameter),
        "lambda_literal": Rule(Kind.LAMBDA, fields=("lambda_parameters",), shape=_lambda),
        "property_declaration": Rule(Kind.ASSIGN, fields=("variable_declaration",), shape=_property),
        "variable_declaration": THROUGH,
        "assignment": BINARY,
        "return_expression": Rule(Kind.RETURN),
        "throw_expression": RAISE,
        "break_expression": JUMP,
        "continue_expression": JUMP,
        "if_expression": Rule(Kind.IF, fields=("condition",), shape=shapes.branching),
        "while_statement": Rule(Kind.WHILE, fields=("condition",), shape=shapes.with_blocks(1)),
        "for_statement": Rule(Kind.FOR, order=(0, 1)),
        "when_expression": Rule(Kind.MATCH, fields=("when_subject",), shape=shapes.matched),
        "when_entry": Rule(Kind.CASE, shape=shapes.cased_last),
        "call_expression": Rule(Kind.CALL, shape=shapes.trailing),
        "value_arguments": Rule(Kind.ARGUMENTS),
        "value_argument": Rule(Kind.ARGUMENTS, shape=shapes.keyworded),
        "navigation_expression": Rule(Kind.MEMBER, shape=shapes.member),
        "index_expression": Rule(Kind.INDEX, order=(0,)),
        "binary_expression": BINARY,
        "in_expression": BINARY,
        "is_expression": BINARY,
        "infix_expression": Rule(shape=_infix),
        "unary_expression": Rule(Kind.UNARY, fields=("argument",), shape=shapes.signed),
        "collection_literal": Rule(Kind.SEQUENCE, label="list"),
        "identifier": _NAME,
        "this_expression": NAME,
        "super_expression": NAME,
        "number_literal": NUMBER,
        "float_literal": NUMBER,
        "string_literal": Rule(Kind.STRING),
        "multiline_string_literal": Rule(Kind.STRING),
        "string_content": FRAGMENT,
        "escape_sequence": FRAGMENT,
        "character_literal": Rule(Kind.STRING, leaf=True),
        "import": IMPORT,
        "package_header": IMPORT,
    },
)
