# SPDX-License-Identifier: Apache-2.0
"""Rust, Go and C++ (and C, which the C++ grammar reads)."""

from __future__ import annotations

import tree_sitter_cpp
import tree_sitter_go
import tree_sitter_rust

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
from diffing.languages.rules import QUOTED as _QUOTED
from diffing.languages.table import SKIP, SPLICE, THROUGH, Kind, Node, Rule, Table
from diffing.languages.text import number, raw_quoted

_RAW = Rule(Kind.STRING, leaf=True, decode=raw_quoted)
_LIST = Rule(Kind.SEQUENCE, label="list")
_CALL = Rule(Kind.CALL, fields=("function", "arguments"), shape=shapes.applied)


def _guarded(node: Node) -> Node:
    """Rust's patterns with their guard behind them."""
    guard, *patterns = node.children
    node.children = [*patterns, *([] if guard.kind is Kind.NOTHING else [shapes.made(Kind.FILTER, guard, [guard])])]
    return node


RUST = Table(
    name="rust",
    title="Rust",
    suffixes=(".rs",),
    grammar=tree_sitter_rust.language,
    nested=True,
    rules={
        "source_file": BLOCK,
        "block": BLOCK,
        "declaration_list": BLOCK,
        "match_block": BLOCK,
        "line_comment": SKIP,
        "block_comment": SKIP,
        "empty_statement": SKIP,
        "mutable_specifier": SKIP,
        "expression_statement": THROUGH,
        "parenthesized_expression": THROUGH,
        "else_clause": THROUGH,
        "try_expression": THROUGH,
        "function_item": Rule(Kind.FUNCTION, fields=("name", "parameters", "body"), shape=shapes.returning),
        "struct_item": Rule(Kind.CLASS, fields=("name", "type_parameters", "body")),
        "enum_item": Rule(Kind.CLASS, fields=("name", "type_parameters", "body")),
        "trait_item": Rule(Kind.CLASS, fields=("name", "bounds", "body")),
        "impl_item": Rule(Kind.CLASS, fields=("type", "trait", "body")),
        "mod_item": Rule(Kind.CLASS, fields=("name", "visibility", "body")),
        "parameters": Rule(Kind.PARAMETERS),
        "closure_parameters": Rule(Kind.PARAMETERS),
        "parameter": Rule(Kind.DEFAULT, fields=("pattern", "value", "type"), shape=shapes.defaulted),
        "closure_expression": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "let_declaration": Rule(Kind.ASSIGN, fields=("pattern", "value", "type"), shape=shapes.assigning),
        "const_item": Rule(Kind.ASSIGN, fields=("name", "value", "type"), shape=shapes.assigning),
        "static_item": Rule(Kind.ASSIGN, fields=("name", "value", "type"), shape=shapes.assigning),
        "assignment_expression": BINARY,
        "compound_assignment_expr": BINARY,
        "return_expression": Rule(Kind.RETURN),
        "break_expression": JUMP,
        "continue_expression": JUMP,
        "if_expression": IF,
        "while_expression": WHILE,
        "for_expression": Rule(Kind.FOR, fields=("pattern", "value", "body")),
        "match_expression": Rule(Kind.MATCH, fields=("value", "body")),
        "match_arm": Rule(Kind.CASE, fields=("pattern", "value"), shape=shapes.cased(1)),
        "match_pattern": Rule(Kind.SEQUENCE, fields=("condition",), label="patterns", shape=_guarded),
        "or_pattern": SPLICE,
        "call_expression": _CALL,
        "generic_function": Rule(Kind.INDEX, fields=("function",)),
        "arguments": Rule(Kind.ARGUMENTS),
        "macro_invocation": Rule(Kind.CALL, fields=("macro",), shape=shapes.trailing),
        "token_tree": Rule(Kind.ARGUMENTS),
        "struct_expression": Rule(Kind.CALL, fields=("name", "body"), shape=shapes.applied),
        "field_initializer_list": Rule(Kind.ARGUMENTS),
        "field_initializer": Rule(Kind.KEYWORD, fields=("field", "value")),
        "field_expression": Rule(Kind.MEMBER, fields=("value", "field"), shape=shapes.member),
        "scoped_identifier": Rule(Kind.MEMBER, fields=("path", "name"), shape=shapes.member),
        "index_expression": Rule(Kind.INDEX, order=(0,)),
        "unary_expression": Rule(Kind.UNARY, order=(0,), shape=shapes.signed),
        "reference_expression": Rule(fields=("value",), shape=shapes.first),
        "type_cast_expression": Rule(fields=("value", "type"), shape=shapes.cast),
        "binary_expression": BINARY,
        "array_expression": Rule(Kind.SEQUENCE, label="list", shape=shapes.paired_rows),
        "tuple_expression": Rule(Kind.SEQUENCE, label="tuple"),
        "identifier": NAME,
        "field_identifier": NAME,
        "type_identifier": NAME,
        "primitive_type": NAME,
        "shorthand_field_identifier": NAME,
        "self": NAME,
        "integer_literal": NUMBER,
        "float_literal": NUMBER,
        "negative_literal": NUMBER,
        "string_literal": Rule(Kind.STRING),
        "string_content": FRAGMENT,
        "escape_sequence": FRAGMENT,
        "raw_string_literal": _RAW,
        "char_literal": _QUOTED,
        "boolean_literal": BOOLEAN,
        "use_declaration": IMPORT,
    },
)


def _go_if(node: Node) -> Node:
    """An ``if`` with a statement before its condition is that statement and the ``if``."""
    condition, so, otherwise, before, *rest = node.children
    node.children = [condition, so, *([] if otherwise.kind is Kind.NOTHING else [otherwise]), *rest]
    return node if before.kind is Kind.NOTHING else shapes.made(Kind.BLOCK, node, [before, node])


def _go_for(node: Node) -> Node:
    """Go's one loop as what it is: over a range, or while a condition holds."""
    body, *clauses = node.children
    clause = clauses[0] if clauses else shapes.nothing()
    if clause.kind is Kind.FOR:
        return shapes.made(Kind.FOR, node, [*clause.children[:2], body])
    if clause.kind is Kind.WHILE:
        return shapes.made(Kind.WHILE, node, [clause.children[0], body, *clause.children[1:]])
    return shapes.made(Kind.WHILE, node, [clause, body])


def _composite(node: Node) -> Node:
    """``map[…]…{…}`` is a map, ``[]…{…}`` a list, ``Type{Field: …}`` a call with keywords."""
    kind, value, *rest = node.children
    pairs = [child for child in value.children if child.kind is Kind.PAIR]
    named = kind.kind in {Kind.NAME, Kind.MEMBER}
    if not pairs and not named:
        return shapes.made(Kind.SEQUENCE, node, value.children, "list")
    if named:
        given = [
            shapes.made(Kind.KEYWORD, child, child.children)
            if child.kind is Kind.PAIR and child.children[0].kind is Kind.NAME
            else child
            for child in value.children
        ]
        return shapes.made(Kind.CALL, node, [kind, shapes.made(Kind.ARGUMENTS, value, given), *rest])
    return shapes.made(Kind.MAP, node, value.children)


def _literal_value(node: Node) -> Node:
    if node.children and all(child.kind is Kind.PAIR for child in node.children):
        node.kind = Kind.MAP
    return node


GO = Table(
    name="go",
    title="Go",
    suffixes=(".go",),
    grammar=tree_sitter_go.language,
    nested=True,
    rules={
        "source_file": BLOCK,
        "block": BLOCK,
        "statement_list": SPLICE,
        "comment": SKIP,
        "expression_statement": THROUGH,
        "parenthesized_expression": THROUGH,
        "literal_element": THROUGH,
        "const_declaration": SPLICE,
        "var_declaration": SPLICE,
        "var_spec_list": SPLICE,
        "type_declaration": SPLICE,
        "const_spec": Rule(Kind.ASSIGN, fields=("name", "value", "type"), shape=shapes.assigning),
        "var_spec": Rule(Kind.ASSIGN, fields=("name", "value", "type"), shape=shapes.assigning),
        "type_spec": Rule(Kind.CLASS, fields=("name", "type_parameters", "type")),
        "short_var_declaration": Rule(Kind.ASSIGN, fields=("left", "right"), shape=shapes.assigning),
        "assignment_statement": BINARY,
        "expression_list": Rule(Kind.SEQUENCE, label="list of expressions"),
        "inc_statement": Rule(shape=shapes.increment),
        "dec_statement": Rule(shape=shapes.increment),
        "function_declaration": Rule(Kind.FUNCTION, fields=("name", "parameters", "body")),
        "method_declaration": Rule(Kind.FUNCTION, fields=("name", "parameters", "body")),
        "parameter_list": Rule(Kind.PARAMETERS),
        "parameter_declaration": Rule(Kind.DEFAULT, fields=("name", "value", "type"), shape=shapes.defaulted),
        "func_literal": Rule(Kind.LAMBDA, fields=("parameters", "body")),
        "return_statement": Rule(Kind.RETURN, shape=shapes.unlisted),
        "break_statement": JUMP,
        "continue_statement": JUMP,
        "if_statement": Rule(Kind.IF, fields=("condition", "consequence", "alternative", "initializer"), shape=_go_if),
        "for_statement": Rule(fields=("body",), shape=_go_for),
        "range_clause": Rule(Kind.FOR, fields=("left", "right")),
        "for_clause": Rule(Kind.WHILE, fields=("condition",)),
        "expression_switch_statement": Rule(Kind.MATCH, fields=("value",), shape=shapes.matched),
        "expression_case": Rule(Kind.CASE, fields=("value",), shape=shapes.cased(1)),
        "default_case": Rule(Kind.CASE, shape=shapes.cased(0)),
        "call_expression": _CALL,
        "argument_list": Rule(Kind.ARGUMENTS),
        "selector_expression": Rule(Kind.MEMBER, fields=("operand", "field"), shape=shapes.member),
        "qualified_type": Rule(Kind.MEMBER, fields=("package", "name"), shape=shapes.member),
        "index_expression": Rule(Kind.INDEX, fields=("operand",)),
        "slice_expression": Rule(Kind.INDEX, fields=("operand",)),
        "composite_literal": Rule(fields=("type", "body"), shape=_composite),
        "literal_value": Rule(Kind.SEQUENCE, label="list", shape=_literal_value),
        "keyed_element": Rule(Kind.PAIR, fields=("key", "value")),
        "binary_expression": BINARY,
        "unary_expression": Rule(Kind.UNARY, fields=("operand",), shape=shapes.signed),
        "identifier": NAME,
        "field_identifier": NAME,
        "type_identifier": NAME,
        "package_identifier": NAME,
        "blank_identifier": NAME,
        "int_literal": NUMBER,
        "float_literal": NUMBER,
        "interpreted_string_literal": _QUOTED,
        "raw_string_literal": _RAW,
        "rune_literal": _QUOTED,
        "true": BOOLEAN,
        "false": BOOLEAN,
        "nil": NULL,
        "import_declaration": IMPORT,
        "package_clause": IMPORT,
    },
)


def _declarator(node: Node) -> Node:
    """``*name``, ``&name``, ``name[3]``: the name."""
    return shapes.first_name(node) or node


def _initialised(node: Node) -> Node:
    """``type name = value``, ``type name{value}``."""
    target, value, *rest = node.children
    if (
        value.kind is Kind.SEQUENCE
        and len(value.children) == 1
        and value.children[0].kind in {Kind.NUMBER, Kind.BOOLEAN}
    ):
        value = value.children[0]
    node.children = [_declarator(target), value, *rest]
    return shapes.named_lambda(node)


def _field(node: Node) -> Node:
    """A member with its value; one without is a declaration only."""
    if node.children[1].kind is Kind.NOTHING:
        node.kind, node.text = Kind.OTHER, "field_declaration"
        return node
    return _initialised(node)


def _cpp_function(node: Node) -> Node:
    """``type Class::name(parameters) { … }``."""
    declarator, body, *rest = node.children
    stack = [declarator]
    while stack:
        found = stack.pop()
        if found.text == "function declarator":
            name, parameters, *others = found.children
            qualified = name.kind is Kind.MEMBER
            text = ".".join(child.text for child in name.children) if qualified else name.text
            called = shapes.made(Kind.NAME, name, text=text)
            return shapes.made(Kind.FUNCTION, node, [called, parameters, body, *rest, *others])
        stack += found.children
    return shapes.made(Kind.OTHER, node, node.children, "function_definition")


def _flag(node: Node) -> Node:
    """``DEFINE_double(name, value, …)`` and ``ABSL_FLAG(type, name, value, …)`` set a name; any other call is one."""
    node = shapes.applied(node)
    if node.kind is not Kind.CALL or node.children[0].kind is not Kind.NAME:
        return node
    macro, given = node.children[0].text, node.children[1].children
    given = given[1:] if macro == "ABSL_FLAG" else given
    if (macro.startswith("DEFINE_") or macro == "ABSL_FLAG") and len(given) > 1 and given[0].kind is Kind.NAME:
        return shapes.made(Kind.ASSIGN, node, given)
    return node


def _defined(node: Node) -> Node:
    """What a macro stands for: a number, or a text."""
    node.text = node.text.strip()
    node.kind = Kind.NUMBER if number(node.text) is not None else Kind.STRING
    return node


CPP = Table(
    name="cpp",
    title="C++",
    suffixes=(".cc", ".cpp", ".cxx", ".hpp", ".hh", ".h", ".c", ".cu", ".cuh"),
    grammar=tree_sitter_cpp.language,
    nested=True,
    rules={
        "translation_unit": BLOCK,
        "declaration_list": BLOCK,
        "field_declaration_list": BLOCK,
        "compound_statement": BLOCK,
        "comment": SKIP,
        "expression_statement": THROUGH,
        "parenthesized_expression": THROUGH,
        "condition_clause": THROUGH,
        "else_clause": THROUGH,
        "abstract_function_declarator": THROUGH,
        "subscript_argument_list": THROUGH,
        "declaration": SPLICE,
        "template_declaration": SPLICE,
        "linkage_specification": SPLICE,
        "namespace_definition": Rule(Kind.CLASS, fields=("name", "attributes", "body")),
        "class_specifier": Rule(Kind.CLASS, fields=("name", "base_class_clause", "body")),
        "struct_specifier": Rule(Kind.CLASS, fields=("name", "base_class_clause", "body")),
        "function_definition": Rule(fields=("declarator", "body", "type"), shape=_cpp_function),
        "function_declarator": Rule(fields=("declarator", "parameters"), label="function declarator"),
        "parameter_list": Rule(Kind.PARAMETERS),
        "parameter_declaration": Rule(
            Kind.DEFAULT, fields=("declarator", "default_value", "type"), shape=shapes.defaulted
        ),
        "optional_parameter_declaration": Rule(
            Kind.DEFAULT, fields=("declarator", "default_value", "type"), shape=shapes.defaulted
        ),
        "lambda_expression": Rule(Kind.LAMBDA, fields=("declarator", "body")),
        "init_declarator": Rule(Kind.ASSIGN, fields=("declarator", "value"), shape=_initialised),
        "field_declaration": Rule(Kind.ASSIGN, fields=("declarator", "default_value", "type"), shape=_field),
        "preproc_def": Rule(Kind.ASSIGN, fields=("name", "value")),
        "preproc_arg": Rule(Kind.STRING, leaf=True, shape=_defined),
        "assignment_expression": BINARY,
        "update_expression": Rule(fields=("argument",), shape=shapes.increment),
        "return_statement": Rule(Kind.RETURN),
        "throw_statement": RAISE,
        "break_statement": JUMP,
        "continue_statement": JUMP,
        "if_statement": IF,
        "while_statement": WHILE,
        "do_statement": WHILE,
        "for_statement": WHILE,
        "for_range_loop": Rule(Kind.FOR, fields=("declarator", "right", "body")),
        "conditional_expression": CHOICE,
        "switch_statement": Rule(Kind.MATCH, fields=("condition", "body")),
        "case_statement": Rule(Kind.CASE, fields=("value",), shape=shapes.cased(1)),
        "call_expression": Rule(Kind.CALL, fields=("function", "arguments"), shape=_flag),
        "new_expression": Rule(Kind.CALL, fields=("type", "arguments"), shape=shapes.created),
        "argument_list": Rule(Kind.ARGUMENTS),
        "field_expression": Rule(Kind.MEMBER, fields=("argument", "field"), shape=shapes.member),
        "qualified_identifier": Rule(Kind.MEMBER, fields=("scope", "name"), shape=shapes.member),
        "template_function": Rule(Kind.INDEX, fields=("name",)),
        "template_type": Rule(Kind.INDEX, fields=("name",)),
        "subscript_expression": Rule(Kind.INDEX, fields=("argument",)),
        "binary_expression": BINARY,
        "unary_expression": Rule(Kind.UNARY, fields=("argument",), shape=shapes.signed),
        "pointer_expression": Rule(fields=("argument",), shape=shapes.first),
        "cast_expression": Rule(fields=("value", "type"), shape=shapes.cast),
        "compound_literal_expression": Rule(fields=("value", "type"), shape=shapes.first),
        "initializer_list": Rule(Kind.SEQUENCE, label="list", shape=shapes.paired_rows),
        "identifier": NAME,
        "field_identifier": NAME,
        "type_identifier": NAME,
        "namespace_identifier": NAME,
        "primitive_type": NAME,
        "this": NAME,
        "number_literal": NUMBER,
        "string_literal": Rule(Kind.STRING),
        "concatenated_string": Rule(Kind.STRING),
        "string_content": FRAGMENT,
        "escape_sequence": FRAGMENT,
        "raw_string_literal": _RAW,
        "char_literal": _QUOTED,
        "true": BOOLEAN,
        "false": BOOLEAN,
        "null": NULL,
        "preproc_include": IMPORT,
        "using_declaration": IMPORT,
    },
)
