# SPDX-License-Identifier: Apache-2.0
"""Facts from code: one walk over the tree, in source order, with a stack of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from diffing._context import Binding, Context, Guard
from diffing._expressions import Expressions
from diffing._facts import Symbol
from diffing._flow import Key
from diffing._forms import body_form
from diffing._naming import SCALARS, constant_value, dotted
from diffing._scopes import parameter_names, scope_of
from diffing._statements import block_digests, sentinel_branches
from diffing._words import is_score
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._recorder import Visits
    from diffing._tree import Node


class CodeReader(Expressions):
    """Reads the facts of one file of code."""

    def read(self, root: Node) -> None:
        """Walk the whole file."""
        stack: Visits = [(root, Context())]
        while stack:
            node, context = stack.pop()
            visit = _VISITS.get(node.kind)
            visits = visit(self, node, context) if visit else [(child, context) for child in node.children]
            stack.extend(reversed(visits))

    # Definitions

    def block(self, node: Node, context: Context) -> Visits:
        rests = block_digests(node) if any(child.kind is Kind.IF for child in node.children) else None
        visits: Visits = []
        for at, child in enumerate(node.children):
            if rests is not None and child.kind is Kind.IF:
                visits += self.branch(child, context, rests[at + 1])
            else:
                visits.append((child, context.bound(None)))
        return visits

    def definition(self, node: Node, context: Context) -> Visits:
        name = node.children[0].text
        function = node.kind is Kind.FUNCTION
        scope = scope_of(node) if function else None
        inner = context.inside(name, scope)
        for receiver in node.children[2:] if function else ():
            if receiver.kind is Kind.PARAMETERS:
                self.facts.receivers.update(parameter_names(receiver))
        self.facts.symbols.setdefault(
            inner.symbol,
            Symbol(name, body_form(node), node.line, node.end_line, tuple(sorted(scope.parameters)) if scope else ()),
        )
        return [(child, inner) for child in node.children[1:]]

    def parameter_default(self, node: Node, context: Context) -> Visits:
        name = node.children[0].text
        key = context.key(name)
        self.flow.add([key], self.names.used(node.children[1], context))
        return [(node.children[1], context.bound(Binding(name, "default", (key,))))]

    def imported(self, node: Node, _context: Context) -> Visits:
        for child in node.children:
            self.facts.imports.update(part.text for part in child.children or [child])
        return []

    # Statements

    def assign(self, node: Node, context: Context) -> Visits:
        targets = [node.children[0]]
        value = node.children[1] if len(node.children) > 1 else node
        while value.kind is Kind.ASSIGN:
            targets.append(value.children[0])
            value = value.children[1]
        if value.kind is Kind.NOTHING:
            return []
        sinks = frozenset[Key]().union(*(self.targets(target, context) for target in targets))
        self.depends(sinks, value, context)
        target = targets[0]
        if (
            len(targets) == 1
            and target.kind is value.kind is Kind.SEQUENCE
            and len(target.children) == len(value.children)
        ):
            visits: Visits = []
            for one, its in zip(target.children, value.children, strict=True):
                keys = tuple(self.targets(one, context))
                self.formulas.add(its, dotted(one), context, keys)
                visits.append((its, context.bound(Binding(dotted(one), "value", keys))))
            return visits
        name = (
            ", ".join(filter(None, (dotted(child) for child in target.children)))
            if target.kind is Kind.SEQUENCE
            else dotted(target)
        )
        ordered = tuple(sorted(sinks))
        self.formulas.add(value, name, context, ordered)
        self.formulas.remember(targets, value, context)
        visits = [(one, context.bound(Binding(name, "mask", ordered))) for one in targets if one.kind is not Kind.NAME]
        return [*visits, (value, context.bound(Binding(name, "value", ordered)))]

    def augment(self, node: Node, context: Context) -> Visits:
        target, value = node.children[0], node.children[1]
        sinks = self.targets(target, context)
        self.depends(sinks, value, context)
        name, ordered = dotted(target), tuple(sorted(sinks))
        self.formulas.add(value, name, context, ordered, whole=node)
        mask = context.bound(Binding(name, "mask", ordered))
        return [(target, mask), (value, context.bound(Binding(name, "term", ordered)))]

    def returned(self, node: Node, context: Context) -> Visits:
        function = context.function()
        if is_score(context.symbol):
            self.flow.start(function)
        for guard in context.guards():
            guard.sinks.add(function)
            self.flow.add([function], guard.names)
        for value in node.children:
            self.flow.add([function], self.names.used(value, context))
            self.formulas.add(value, "return", context, (function,))
        return [
            (child, context.bound(Binding(function.name or "return", "return", (function,)))) for child in node.children
        ]

    def jump(self, node: Node, context: Context) -> Visits:
        if node.text != "raise":
            for guard in context.guards():
                guard.sinks.add(context.function())
        return [(child, context.bound(None)) for child in node.children]

    def asserted(self, node: Node, context: Context) -> Visits:
        what = node.children[:1]  # the message says nothing that the program does
        return [(child, replace(context, binding=None, sinks=set())) for child in what]

    def branch(self, node: Node, context: Context, rest: str = "") -> Visits:
        condition, so, *otherwise = node.children
        branches = sentinel_branches(so, otherwise, rest)
        guard = self.condition(condition, context, branches)
        within = replace(context, guard=guard, binding=None, sinks=None, indexing=False)
        visits = [(condition, replace(context, binding=None, sinks=guard.sinks))]
        return [*visits, (so, within), *((child, within) for child in otherwise)]

    def loop(self, node: Node, context: Context) -> Visits:
        if node.kind is Kind.WHILE:
            return self.branch(node, context)
        target, iterable, *body = node.children
        self.depends(self.targets(target, context), iterable, context)
        self.formulas.iterate(target, iterable, context)
        return [(iterable, context.bound(None)), *((child, context) for child in body)]

    def match(self, node: Node, context: Context) -> Visits:
        subject, *cases = node.children
        name = dotted(subject)
        visits: Visits = [(subject, context.bound(None))]
        for case in cases:
            for clause in case.children if case.kind is Kind.BLOCK else [case]:
                visits += self.case(clause, name, subject, context)
        return visits

    def case(self, clause: Node, subject: str, about: Node, context: Context) -> Visits:
        if clause.kind is not Kind.CASE:
            return [(clause, context)]
        guard = Guard(self.names.used(about, context), set(), context.guard)
        within = replace(context, guard=guard, binding=None)
        visits: Visits = []
        for child in clause.children:
            if child.kind is Kind.BLOCK:
                visits.append((child, within))
                continue
            if child.kind is Kind.FILTER:
                visits.append((child, within))
                continue
            value = constant_value(child, self.constants)
            if value is not None:
                self.special(subject, value, "case", child, context, guard.sinks)
            visits.append((child, replace(context, binding=Binding(subject, "threshold"), sinks=guard.sinks)))
        return visits


_VISITS: dict[Kind, Callable[[CodeReader, Node, Context], Visits]] = {
    Kind.BLOCK: CodeReader.block,
    Kind.FUNCTION: CodeReader.definition,
    Kind.CLASS: CodeReader.definition,
    Kind.DEFAULT: CodeReader.parameter_default,
    Kind.ASSIGN: CodeReader.assign,
    Kind.AUGMENT: CodeReader.augment,
    Kind.RETURN: CodeReader.returned,
    Kind.JUMP: CodeReader.jump,
    Kind.ASSERT: CodeReader.asserted,
    Kind.IF: CodeReader.branch,
    Kind.WHILE: CodeReader.loop,
    Kind.FOR: CodeReader.loop,
    Kind.COMPREHENSION: CodeReader.comprehension,
    Kind.MATCH: CodeReader.match,
    Kind.CHOICE: CodeReader.choice,
    Kind.COMPARE: CodeReader.truth,
    Kind.LOGIC: CodeReader.truth,
    Kind.NOT: CodeReader.truth,
    Kind.CALL: CodeReader.call,
    Kind.KEYWORD: CodeReader.keyword,
    Kind.INDEX: CodeReader.index,
    Kind.ARITHMETIC: CodeReader.arithmetic,
    Kind.UNARY: CodeReader.arithmetic,
    Kind.MAP: CodeReader.map,
    Kind.SEQUENCE: CodeReader.sequence,
    **dict.fromkeys(SCALARS, CodeReader.scalar),
    Kind.IMPORT: CodeReader.imported,
    Kind.SCOPE: lambda _self, _node, _context: [],
}
