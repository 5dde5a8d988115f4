# SPDX-License-Identifier: Apache-2.0
"""Java and Scala."""

from __future__ import annotations

import tree_sitter_java
import tree_sitter_scala

from diffing.languages import shapes
from diffing.languages.rules import (
    BINARY,
    BLOCK,
    BOOLEAN,
    CHOICE,
    IF,
    IMPORT,
    JUMP,
    NAME,
    NULL,
    NUMBER,
    QUOTED,
    RAISE,
    WHILE,
)
from diffing.languages.table import SKIP, SPLICE, THROUGH, TOKEN, Kind, Node, Rule, Table

JAVA = Table(
    name="java",
    title="Java",
    suffixes=(".java",),
    grammar=tree_sitter_java.language,
    nested=True,
    rules={
        "program": BLOCK,
        "class_body": BLOCK,
        "interface_body": BLOCK,
        "enum_body": BLOCK,
        "enum_body_declarations": SPLICE,
        "constructor_body": BLOCK,
        "block": BLOCK,
        "switch_block": BLOCK,
        "line_comment": SKIP,
        "block_comment": SKIP,
        "expression_statement": THROUGH,
        "parenthesized_expression": THROUGH,
        "field_declaration": SPLICE,
        "local_variable_declaration": SPLICE,
        "class_declaration": Rule(Kind.CLASS, fields=("name", "superclass", "body")),
        "interface_declaration": Rule(Kind.CLASS, fields=("name", "extends", "body")),
        "enum_declaration": Rule(Kind.CLASS, fields=("name", "interfaces", "body")),
        "record_declaration": Rule(Kind.CLASS, fields=("name", "parameters", "body")),
        "method_declaration": Rule(Kind.FUNCTION, fields=("name", "parameters", "body")),
        "constructor_declaration": Rule(Kind.FUNCTION, fields=("name", "parameters", "body")),
        "formal_parameters": Rule(Kind.PARAMETERS),
        "inferred_parameters": Rule(Kind.PARAMETERS),
        "formal_parameter": Rule(Kind.DEFAULT, fields=("name", "value", "type"), shape=shapes.defaulted),
        "lambda_expression": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "variable_declarator": Rule(Kind.ASSIGN, fields=("name", "value"), shape=shapes.assigning),
        "enum_constant": Rule(Kind.ASSIGN, fields=("name", "arguments")),
        "assignment_expression": BINARY,
        "update_expression": Rule(shape=shapes.increment),
        "return_statement": Rule(Kind.RETURN),
        "yield_statement": Rule(Kind.RETURN),
        "assert_statement": Rule(Kind.ASSERT),
        "throw_statement": RAISE,
        "break_statement": JUMP,
        "continue_statement": JUMP,
        "if_statement": IF,
        "while_statement": WHILE,
        "do_statement": WHILE,
        "for_statement": WHILE,
        "enhanced_for_statement": Rule(Kind.FOR, fields=("name", "value", "body")),
        "ternary_expression": CHOICE,
        "switch_expression": Rule(Kind.MATCH, fields=("condition", "body")),
        "switch_block_statement_group": Rule(Kind.CASE, shape=shapes.cased(1)),
        "switch_rule": Rule(Kind.CASE, shape=shapes.cased(1)),
        "switch_label": Rule(Kind.SEQUENCE, label="patterns"),
        "method_invocation": Rule(Kind.CALL, fields=("object", "name", "arguments"), shape=shapes.method_call),
        "object_creation_expression": Rule(Kind.CALL, fields=("type", "arguments"), shape=shapes.created),
        "argument_list": Rule(Kind.ARGUMENTS),
        "annotation": Rule(Kind.CALL, fields=("name", "arguments")),
        "annotation_argument_list": Rule(Kind.ARGUMENTS),
        "element_value_pair": Rule(Kind.KEYWORD, fields=("key", "value")),
        "field_access": Rule(Kind.MEMBER, fields=("object", "field"), shape=shapes.member),
        "array_access": Rule(Kind.INDEX, fields=("array",)),
        "binary_expression": BINARY,
        "instanceof_expression": BINARY,
        "unary_expression": Rule(Kind.UNARY, fields=("operand",), shape=shapes.signed),
        "cast_expression": Rule(fields=("value", "type"), shape=shapes.cast),
        "array_initializer": Rule(Kind.SEQUENCE, label="list"),
        "array_creation_expression": Rule(fields=("value",), shape=shapes.first),
        "identifier": NAME,
        "type_identifier": NAME,
        "this": NAME,
        "super": NAME,
        "integral_type": NAME,
        "floating_point_type": NAME,
        "decimal_integer_literal": NUMBER,
        "hex_integer_literal": NUMBER,
        "binary_integer_literal": NUMBER,
        "decimal_floating_point_literal": NUMBER,
        "string_literal": QUOTED,
        "character_literal": QUOTED,
        "true": BOOLEAN,
        "false": BOOLEAN,
        "null_literal": NULL,
        "import_declaration": IMPORT,
        "package_declaration": IMPORT,
    },
)


def _infix(node: Node) -> Node:
    """An infix call by a name: ``a to b``, ``x max y``."""
    left, right, *names = node.children
    if not names:
        return shapes.assigning(node)
    callee = shapes.made(Kind.MEMBER, node, [left, names[0]])
    return shapes.made(Kind.CALL, node, [callee, shapes.made(Kind.ARGUMENTS, node, [right, *names[1:]])])


def _extended(node: Node) -> Node:
    """``extends Type(…)`` is a call of the type."""
    given = [child for child in node.children if child.kind is Kind.ARGUMENTS]
    types = [child for child in node.children if child.kind is not Kind.ARGUMENTS]
    if not given or not types:
        return node
    return shapes.created(shapes.made(Kind.CALL, node, [types[0], given[0], *types[1:], *given[1:]]))


SCALA = Table(
    name="scala",
    title="Scala",
    suffixes=(".scala", ".sc"),
    grammar=tree_sitter_scala.language,
    nested=True,
    rules={
        "compilation_unit": BLOCK,
        "template_body": BLOCK,
        "block": BLOCK,
        "indented_block": BLOCK,
        "case_block": BLOCK,
        "indented_cases": BLOCK,
        "comment": SKIP,
        "block_comment": SKIP,
        "operator_identifier": TOKEN,
        "parenthesized_expression": THROUGH,
        "object_definition": Rule(Kind.CLASS, fields=("name", "extend", "body")),
        "class_definition": Rule(Kind.CLASS, fields=("name", "extend", "body")),
        "trait_definition": Rule(Kind.CLASS, fields=("name", "extend", "body")),
        "enum_definition": Rule(Kind.CLASS, fields=("name", "extend", "body")),
        "function_definition": Rule(Kind.FUNCTION, fields=("name", "parameters", "body"), shape=shapes.returning),
        "parameters": Rule(Kind.PARAMETERS),
        "class_parameters": Rule(Kind.PARAMETERS),
        "bindings": Rule(Kind.PARAMETERS),
        "parameter": Rule(Kind.DEFAULT, fields=("name", "default_value", "type"), shape=shapes.defaulted),
        "class_parameter": Rule(Kind.DEFAULT, fields=("name", "default_value", "type"), shape=shapes.defaulted),
        "binding": Rule(Kind.DEFAULT, fields=("name", "default_value", "type"), shape=shapes.defaulted),
        "lambda_expression": Rule(Kind.LAMBDA, fields=("parameters",)),
        "val_definition": Rule(Kind.ASSIGN, fields=("pattern", "value", "type"), shape=shapes.assigning),
        "var_definition": Rule(Kind.ASSIGN, fields=("pattern", "value", "type"), shape=shapes.assigning),
        "assignment_expression": Rule(Kind.ASSIGN, fields=("left", "right"), shape=shapes.assigning),
        "infix_expression": Rule(binary=True, fields=("left", "right"), shape=_infix),
        "prefix_expression": Rule(Kind.UNARY, order=(0,), shape=shapes.signed),
        "return_expression": Rule(Kind.RETURN),
        "throw_expression": RAISE,
        "if_expression": IF,
        "while_expression": WHILE,
        "do_while_expression": WHILE,
        "for_expression": Rule(Kind.COMPREHENSION, fields=("body",), label="for"),
        "enumerators": SPLICE,
        "extends_clause": Rule(shape=_extended),
        "enumerator": Rule(Kind.FOR, through=True, order=(0, 1)),
        "guard": Rule(Kind.FILTER),
        "match_expression": Rule(Kind.MATCH, fields=("value", "body")),
        "case_clause": Rule(Kind.CASE, fields=("pattern", "guard", "body"), shape=shapes.cased(2)),
        "alternative_pattern": Rule(Kind.SEQUENCE, label="patterns"),
        "call_expression": Rule(Kind.CALL, fields=("function", "arguments"), shape=shapes.applied),
        "generic_function": Rule(Kind.INDEX, fields=("function",)),
        "instance_expression": Rule(Kind.CALL, order=(0, 1), shape=shapes.created),
        "arguments": Rule(Kind.ARGUMENTS, shape=shapes.arguments),
        "field_expression": Rule(Kind.MEMBER, fields=("value", "field"), shape=shapes.member),
        "tuple_expression": Rule(Kind.SEQUENCE, label="tuple"),
        "identifier": NAME,
        "type_identifier": NAME,
        "wildcard": NAME,
        "integer_literal": NUMBER,
        "floating_point_literal": NUMBER,
        "string": QUOTED,
        "character_literal": QUOTED,
        "interpolated_string_expression": Rule(Kind.TEMPLATE),
        "boolean_literal": BOOLEAN,
        "null_literal": NULL,
        "import_declaration": IMPORT,
        "package_clause": IMPORT,
    },
)
