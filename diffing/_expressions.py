# SPDX-License-Identifier: Apache-2.0
"""Facts from expressions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from diffing._context import Binding, Context
from diffing._flow import Key
from diffing._naming import (
    SCALARS,
    WRAPPERS,
    arguments_of,
    callee_name,
    constant_value,
    dotted,
    key_text,
    list_values,
    unwrapped,
)
from diffing._normal import literal_value
from diffing._recorder import Recorder, Sinks, Visits
from diffing._words import is_score, watches, word_set
from diffing.languages import Kind

if TYPE_CHECKING:
    from diffing._tree import Node

_MATCHING = frozenset({"startswith", "endswith", "contains", "eq", "isin", "match", "fullmatch", "search", "equals"})
_MUTATING = frozenset({"append", "add", "extend", "insert", "update", "push", "remove", "discard", "pop", "setdefault"})
_CALCULATING = word_set("""
clip where maximum minimum power pow exp exp2 log log1p log2 multiply add subtract divide max min sum mean dot average
full tanh sqrt select choose interp round abs expit sigmoid timedelta fillna float int
""")
_KEY = re.compile(r"[A-Za-z_][\w./:-]{2,80}")
_FEW = 3  # identities in one comparison that are special cases; more are a list
_TABLE = 200  # entries of a map, or records of a list, from which on it is one fact


class Expressions(Recorder):
    """Visits expressions: each method writes down what a node says and returns the nodes to go on with."""

    def comprehension(self, node: Node, context: Context) -> Visits:
        element, *clauses = node.children
        visits: Visits = []
        within = context
        for clause in clauses:
            if clause.kind is Kind.FILTER and clause.children:
                guard = self.condition(clause.children[0], within, ("", ""))
                guard.sinks.update(context.binding.sinks if context.binding else ())
                visits.append((clause.children[0], replace(within, binding=None, sinks=guard.sinks)))
                within = replace(within, guard=guard)
            else:
                visits.append((clause, within))
        return [*visits, (element, within)]

    def choice(self, node: Node, context: Context) -> Visits:
        condition, *values = node.children
        guard = self.condition(condition, context, tuple_of_forms(values))
        guard.sinks.update(context.binding.sinks if context.binding else ())
        within = replace(context, guard=guard)
        return [(condition, replace(context, binding=None, sinks=guard.sinks)), *((value, within) for value in values)]

    def truth(self, node: Node, context: Context) -> Visits:
        sinks = context.sinks
        if sinks is None:
            guard = self.condition(node, context, ("", ""))
            sinks = guard.sinks
            sinks.update(context.binding.sinks if context.binding else ())
            context = replace(context, sinks=sinks)
        if node.kind is Kind.COMPARE:
            return self.comparison(node, context, sinks)
        return [(child, context) for child in node.children]

    def comparison(self, node: Node, context: Context, sinks: Sinks) -> Visits:
        operands = [unwrapped(child) for child in node.children]
        for operator, left, right in zip(node.text.split(","), operands, operands[1:], strict=False):
            self.compare(operator, left, right, context, sinks, node)
        visits: Visits = []
        for at, operand in enumerate(operands):
            other = operands[at - 1] if at else operands[1] if len(operands) > 1 else operand
            binding = Binding(dotted(other) or "comparison", "threshold")
            visits.append((operand, replace(context, binding=binding, indexing=False)))
        return visits

    def compare(self, operator: str, left: Node, right: Node, context: Context, sinks: Sinks, node: Node) -> None:
        if operator in {"in", "not in"}:
            self.lookup(right, left)
            values = list_values(right)
            for value in values if values is not None and len(values) <= _FEW else ():
                self.special(dotted(left), value, "comparison", node, context, sinks)
            if left.kind is Kind.STRING and right.kind not in {Kind.SEQUENCE, Kind.MAP}:
                self.special(dotted(right), left.text, "part", node, context, sinks)
            return
        if operator in {"==", "!=", "is", "is not"}:
            for subject, other in ((left, right), (right, left)):
                value = constant_value(other, self.constants)
                if value is not None and constant_value(subject, self.constants) is None:
                    self.special(dotted(subject), value, "comparison", node, context, sinks)
                    return

    def call(self, node: Node, context: Context) -> Visits:
        callee = node.children[0]
        name = callee_name(node)
        full = dotted(callee)
        arguments = arguments_of(node)
        if watches(full):
            self.monitor(node, full, context)
            context = replace(context, metric=True)
        self.wired(node, full, name, context)
        if callee.kind is Kind.MEMBER and name in _MATCHING:
            self.matching(node, callee, arguments, context)
        if callee.kind is Kind.MEMBER and name in _MUTATING:
            self.depends(self.targets(callee.children[0], context), node.children[-1], context)
        if name == "get" and callee.kind is Kind.MEMBER and arguments and arguments[0].kind is not Kind.STRING:
            self.lookup(callee.children[0], arguments[0])
        visits: Visits = [(callee, replace(context, binding=None))]
        if len(arguments) > 1 and arguments[0].kind is Kind.STRING and _KEY.fullmatch(arguments[0].text):
            fallback = arguments[1]
            if fallback.kind in SCALARS or list_values(fallback) is not None:  # what a looked-up key is by default
                named = Binding(arguments[0].text, "keyword", context.binding.sinks if context.binding else (), full)
                visits.append((fallback, context.bound(named)))
                arguments = [arguments[0], *arguments[2:]]
        if name in WRAPPERS and arguments and arguments[0].kind is not Kind.KEYWORD:
            return [*visits, *((argument, context) for argument in arguments)]
        return [*visits, *(self.argument(full or name, at, argument, context) for at, argument in enumerate(arguments))]

    def keyword(self, node: Node, context: Context) -> Visits:
        """A keyword outside a call, as among the bases of a class."""
        return [(node.children[1], context.bound(Binding(node.children[0].text, "keyword")))]

    def argument(self, callee: str, at: int, argument: Node, context: Context) -> tuple[Node, Context]:
        sinks = context.binding.sinks if context.binding else ()
        last = callee.rpartition(".")[2]
        calculating = last in _CALCULATING
        own = (Key("", last),) if is_score(last) else ()
        if argument.kind is Kind.KEYWORD:
            value, name = argument.children[1], argument.children[0].text
            self.flow.add([Key("", name)], self.names.used(value, context))
            reached = sinks if calculating or _is_fraction(value) else ()
            if last == "dict":
                prefix = f"{context.binding.name}." if context.binding else ""
                return value, context.bound(
                    Binding(prefix + name, "key", sinks, context.binding.name if context.binding else "")
                )
            return value, context.bound(Binding(name, "keyword", (*reached, *own), callee))
        if calculating and context.binding is not None:
            return argument, context.bound(replace(context.binding, role="term"))
        reached = sinks if _is_fraction(argument) else ()
        return argument, context.bound(Binding(f"{callee}[{at}]", "argument", (*reached, *own), callee))

    def matching(self, node: Node, callee: Node, arguments: list[Node], context: Context) -> None:
        owner = callee.children[0]
        if owner.kind is Kind.MEMBER and owner.children[1].text == "str":
            owner = owner.children[0]
        subject, sinks = dotted(owner), context.sinks
        if sinks is None:
            sinks = set(context.binding.sinks) if context.binding else set()
            sinks.update(*(guard.sinks for guard in context.guards()[:1]))
        for argument in map(unwrapped, arguments):
            values = list_values(argument) or ()
            if argument.kind is Kind.STRING:
                values = (argument.text,)
            for value in values if len(values) <= _FEW else ():
                self.special(subject, value, "part", node, context, sinks)

    def index(self, node: Node, context: Context) -> Visits:
        owner, *subscripts = node.children
        for subscript in subscripts:
            if subscript.kind not in {*SCALARS, Kind.SLICE}:
                self.lookup(owner, subscript)
        inner = replace(context, indexing=True)
        return [(owner, context), *((subscript, inner) for subscript in subscripts)]

    def arithmetic(self, node: Node, context: Context) -> Visits:
        binding = context.binding
        if binding is not None and binding.role in {"value", "keyword", "argument", "default", "key"}:
            context = replace(context, binding=replace(binding, role="term"))
        return [(child, context) for child in node.children]

    def map(self, node: Node, context: Context) -> Visits:
        binding = context.binding
        pairs = [child for child in node.children if child.kind is Kind.PAIR]
        if len(pairs) > _TABLE and binding is not None and all(pair.children[1].kind in SCALARS for pair in pairs):
            values = tuple(f"{key_text(pair.children[0])} = {literal_value(pair.children[1])}" for pair in pairs)
            self.literal(node, values, replace(context, binding=replace(binding, role="table")))
            return []
        name = binding.name if binding else ""
        self.table(node, name, context)
        visits: Visits = []
        for child in node.children:
            if child.kind is not Kind.PAIR:
                visits.append((child, context))
                continue
            key = key_text(child.children[0])
            bound = Binding(f"{name}.{key}" if name else key, "key", binding.sinks if binding else (), name)
            visits.append((child.children[1], replace(context, binding=bound)))
        return visits

    def sequence(self, node: Node, context: Context) -> Visits:
        values = list_values(node)
        if values is None and context.binding is not None:
            self.table(node, context.binding.name, context)
        if values is None and len(node.children) > _TABLE and context.binding is not None:
            values = tuple(sorted(child.form for child in node.children))
            self.literal(node, values, replace(context, binding=replace(context.binding, role="table")))
            return []
        if values is not None and context.binding is not None and not context.indexing:
            self.literal(node, values, context)
            return []
        return [(child, context) for child in node.children]

    def scalar(self, node: Node, context: Context) -> Visits:
        if context.binding is None or context.indexing or context.binding.role == "mask":
            return []
        if (
            node.kind is Kind.STRING
            and context.binding.role in {"argument", "term"}
            and "@" not in node.text
            and "." not in node.text
        ):
            return []
        self.literal(node, literal_value(node), context)
        return []


def tuple_of_forms(values: list[Node]) -> tuple[str, str]:
    """The forms of what a choice gives if its condition holds, and if not."""
    forms = [value.form for value in values[:2]]
    return (forms[0], forms[1]) if len(forms) > 1 else ("", "")


def _is_fraction(node: Node) -> bool:
    return node.kind is Kind.NUMBER and isinstance(literal_value(node), float)
