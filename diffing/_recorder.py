# SPDX-License-Identifier: Apache-2.0
"""Writing down facts of code, with what depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._context import Context, Guard, Names, scopes
from diffing._facts import Condition, Facts, Literal, Member, Monitor, SpecialCase
from diffing._flow import Flow, Key
from diffing._naming import arguments_of, callee_name, dotted
from diffing._normal import Normaliser, truth
from diffing._statements import Formulas, is_trivial
from diffing._words import FLAGS, is_rule, is_rule_table, words
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from diffing._facts import Value
    from diffing._tree import Node

Visits = list[tuple["Node", Context]]
Sinks = set[Key]

_SNIPPET = 300
_MOST_LISTED = 1000  # members of one rule table
_LISTING = frozenset({"add", "append", "register", "use", "pipe", "insert", "push", "extend", "addlast", "addfirst"})
_NO_LABELS = frozenset({"extra", "exc_info", "stacklevel", "stack_info", "msg", "end", "file", "sep", "flush"})


def _called(node: Node) -> str:
    """What a member of a rule table names: a function, a class, or what is called to make it."""
    if node.kind is Kind.CALL:
        return callee_name(node)
    if node.kind is Kind.MEMBER:
        return node.children[1].text
    return node.text if node.kind is Kind.NAME else ""


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

    def monitor(self, node: Node, callee: str, context: Context) -> None:
        """A call that watches, unless one around it is written down already."""
        if context.metric and self.facts.monitors and self.facts.monitors[-1].end_line >= node.end_line:
            return
        labels: set[str] = set()
        subject = ""
        stack = [node]
        while stack:
            one = stack.pop()
            if one.kind is Kind.CALL:
                given = arguments_of(one)
                labels.update(child.children[0].text for child in given if child.kind is Kind.KEYWORD)
                subject = subject or next((child.text for child in given[:1] if child.kind is Kind.STRING), "")
                stack.append(one.children[0])
            elif one.kind is Kind.MEMBER:
                stack.append(one.children[0])
        self.facts.monitors.append(
            Monitor(
                context.symbol,
                callee,
                subject,
                node.form,
                self.snippet(node),
                node.line,
                node.end_line,
                frozenset(labels) - _NO_LABELS,
            )
        )

    def wired(self, node: Node, callee: str, name: str, context: Context) -> None:
        """A call of something that takes part in ranking, of a flag by its name, or one that lists a rule."""
        given = arguments_of(node)
        if is_rule(name) and not context.metric:
            self.member(name, node, "", "call", context)
        if words(callee) & FLAGS and given and given[0].kind is Kind.STRING and given[0].text:
            self.member(given[0].text[:_SNIPPET], node, callee, "flag", context)
        if name.lower() in _LISTING and is_rule_table(callee.rpartition(".")[0]):
            for argument in given[:_MOST_LISTED]:
                self.member(_called(argument), argument, callee.rpartition(".")[0], "table", context)

    def table(self, node: Node, name: str, context: Context) -> None:
        """The members of a list or map that holds what takes part in ranking."""
        if not is_rule_table(name) or len(node.children) > _MOST_LISTED:
            return
        for child in node.children:
            value = child.children[1] if child.kind is Kind.PAIR and len(child.children) > 1 else child
            self.member(_called(value), child, name, "table", context)

    def member(self, name: str, node: Node, table: str, how: str, context: Context) -> None:
        if name:
            self.facts.members.append(
                Member(name, context.symbol, table, how, self.snippet(node), node.line, node.end_line)
            )

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
