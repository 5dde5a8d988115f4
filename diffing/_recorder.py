# SPDX-License-Identifier: Apache-2.0
"""Writing down facts of code, with what depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._context import Context, Guard, Names, scopes
from diffing._facts import Condition, Facts, Literal, SpecialCase
from diffing._flow import Flow, Key
from diffing._naming import dotted
from diffing._normal import Normaliser, truth
from diffing._statements import Formulas, is_trivial
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from diffing._facts import Value
    from diffing._tree import Node

Visits = list[tuple["Node", Context]]
Sinks = set[Key]

_SNIPPET = 300


class Recorder:
    """Holds the facts of one file, each with the names that depend on it, until the flow of the file is known."""

    def __init__(
        self, source: bytes, facts: Facts, constants: Mapping[str, Value], same: frozenset[str] = frozenset()
    ) -> None:
        self.same = same
        self.source, self.facts, self.constants = source, facts, constants
        self.flow = Flow()
        self.names = Names()
        self.near, self.far = Normaliser(constants), Normaliser(constants)
        self.formulas = Formulas(self)
        self.literals: list[tuple[Literal, frozenset[Key] | Sinks]] = []
        self.conditions: list[tuple[Condition, Sinks]] = []
        self.specials: list[tuple[SpecialCase, Sinks]] = []
        self.lookups: dict[str, str] = {}
        self.scoped: set[str] = set()

    def literal(self, node: Node, value: Value, context: Context) -> None:
        binding = context.binding
        assert binding is not None  # noqa: S101 - callers have looked
        fact = Literal(binding.name, context.symbol, binding.role, value, node.line, node.end_line, binding.container)
        fact.metric = context.metric
        guards = context.guards()
        fact.scoped = any(scopes(guard.names, binding.name) for guard in guards[:4])
        sinks: frozenset[Key] | Sinks = frozenset(binding.sinks)
        if binding.role == "threshold" and context.sinks is not None:
            sinks = context.sinks
        self.literals.append((fact, sinks))

    def condition(self, node: Node, context: Context, branches: tuple[str, str]) -> Guard:
        names = self.names.used(node, context)
        guard = Guard(names, set(), context.guard)
        around = names.union(*(outer.names for outer in context.guards()[:4]))
        self.scoped.update(key.name for key in names if scopes(around, key.name))
        if context.symbol in self.same:
            return guard
        near, far = truth(self.near.form(node, {})), truth(self.far.form(node, context.env))
        assert near.opposite is not None  # noqa: S101 - truth() always sets it
        text = self.snippet(node)
        fact = Condition(
            context.symbol,
            near.text,
            near.bare,
            near.opposite.bare,
            text,
            node.line,
            node.end_line,
            frozenset(key.name for key in names),
            far.bare,
            branches,
            is_trivial(node),
        )
        self.conditions.append((fact, guard.sinks))
        return guard

    def special(self, subject: str, value: object, how: str, node: Node, context: Context, sinks: Sinks) -> None:
        if not subject or value is None or isinstance(value, (bool, float)) or value == "":
            return
        around = frozenset[Key]().union(*(guard.names for guard in context.guards()[:4]))
        case = SpecialCase(
            context.symbol,
            subject,
            str(value)[:_SNIPPET],
            how,
            self.snippet(node),
            node.line,
            node.end_line,
            scoped=scopes(around, subject.rpartition(".")[2]),
        )
        self.specials.append((case, sinks))

    def lookup(self, owner: Node, key: Node) -> None:
        container, subject = dotted(owner), dotted(key)
        if container and subject:
            self.lookups.setdefault(container.rpartition(".")[2], subject)

    def targets(self, target: Node, context: Context) -> frozenset[Key]:
        """The keys that an assignment to ``target`` sets; it also depends on what selects an entry of it."""
        found: set[Key] = set()
        selecting: set[Key] = set()
        stack = [target]
        while stack:
            node = stack.pop()
            if node.kind is Kind.NAME:
                found.add(context.key(node.text))
            elif node.kind is Kind.MEMBER:
                found.add(Key("", node.children[1].text))
            elif node.kind is Kind.INDEX:
                stack.append(node.children[0])
                for subscript in node.children[1:]:
                    selecting |= self.names.used(subscript, context)
            elif node.kind in {Kind.SEQUENCE, Kind.OTHER}:
                stack.extend(node.children)
        if selecting:
            self.flow.add(found, selecting)
        return frozenset(found)

    def depends(self, sinks: Iterable[Key], value: Node, context: Context) -> None:
        """Record that ``sinks`` are set from ``value``, under the conditions of the place."""
        sinks = frozenset(sinks)
        used = self.names.used(value, context)
        self.flow.add(sinks, used)
        for guard in context.guards():
            guard.sinks |= sinks
            self.flow.add(sinks, guard.names)

    def snippet(self, node: Node) -> str:
        """The source of a node on one line, cut."""
        source = self.source[node.start : min(node.end, node.start + 4 * _SNIPPET)]
        text = " ".join(source.decode("utf-8", "backslashreplace").split())
        return text if len(text) <= _SNIPPET else f"{text[: _SNIPPET - 1]}…"
