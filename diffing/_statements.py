# SPDX-License-Identifier: Apache-2.0
"""What statements amount to: what a branch does, what a name is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._facts import Formula
from diffing._flow import Feeds
from diffing._forms import short
from diffing._naming import callee_name, dotted
from diffing._normal import Form
from diffing._scopes import bound_names
from diffing._tree import Node
from diffing._words import words
from diffing.languages import Kind

if TYPE_CHECKING:
    from diffing._context import Context
    from diffing._flow import Key
    from diffing._recorder import Recorder

_ENDING = frozenset({Kind.RETURN, Kind.JUMP})
_NUMERIC = frozenset({"+", "-", "*", "/", "//", "**", "%", "@"})
_COUNTING = frozenset(
    {"range", "len", "slice", "arange", "zeros", "empty", "ones", "reshape", "join", "print", "format", "Path"}
)
_SIZES = frozenset({"len", "length", "size", "count"})
_TEXTS = frozenset({Kind.STRING, Kind.TEMPLATE, Kind.SEQUENCE})
_MAKING_TEXT = frozenset({"format", "join", "str", "String", "string", "repr"})
_PATHS = frozenset({"path", "paths", "dir", "directory", "folder", "root", "tree", "into", "home", "parent", "file"})
_MOST_LOOKED_AT = 20_000


def block_digests(block: Node) -> list[str]:
    """For each statement of a block, the form of it and all after it; and "" at the end."""
    digests = [""]
    for child in reversed(block.children):
        digests.append(short(f"{child.form};{digests[-1]}"))
    digests.reverse()
    return digests


def sentinel_branches(so: Node, otherwise: list[Node], rest: str) -> tuple[str, str]:
    """What is done if a condition holds and if not.

    After a branch that leaves, the rest of the block is the other one.
    """
    first = block_digests(so)[0] if so.kind is Kind.BLOCK else so.form
    if otherwise:
        other = otherwise[0]
        return first, block_digests(other)[0] if other.kind is Kind.BLOCK else other.form
    leaves = so.kind is Kind.BLOCK and bool(so.children) and so.children[-1].kind in _ENDING
    return first, rest if leaves else ""


def is_trivial(condition: Node) -> bool:
    """Whether a condition only asks whether there is anything.

    ``is None``, ``not items``, ``len(x) == 0``, ``isinstance``.
    """
    node = condition
    if node.kind is Kind.NOT:
        return node.children[0].kind in {Kind.NAME, Kind.CALL}
    if node.kind is Kind.COMPARE:
        kinds = {child.kind for child in node.children}
        calls = [callee_name(child) for child in node.children if child.kind is Kind.CALL]
        zero = any(child.kind is Kind.NUMBER and child.text == "0" for child in node.children)
        return Kind.NULL in kinds or "len" in calls or (zero and any(words(name) & _SIZES for name in calls))
    return node.kind is Kind.CALL and callee_name(node) in {"isinstance", "hasattr", "callable", "issubclass"}


def _is_arithmetic(value: Node) -> bool:
    """Whether an expression calculates with numbers, apart from sizes, subscripts, texts and lists."""
    stack, seen = [value], 0
    while stack and seen < _MOST_LOOKED_AT:
        node = stack.pop()
        seen += 1
        if node.kind is Kind.ARITHMETIC and node.text in _NUMERIC:
            if node.text == "/" and any(words(dotted(child)) & _PATHS for child in node.children):
                return False
            return not _joins(node)
        if node.kind is Kind.CALL and (callee_name(node) in _COUNTING or _makes_a_record(node)):
            continue
        if node.kind is Kind.INDEX:
            stack.append(node.children[0])
            continue
        if node.kind not in {Kind.FUNCTION, Kind.MAP, Kind.TEMPLATE}:
            stack.extend(node.children)
    return False


def _joins(sum_: Node) -> bool:
    """Whether texts or lists are put together: one of all the operands is one."""
    stack = [sum_]
    while stack:
        for child in stack.pop().children:
            if child.kind in _TEXTS or (child.kind is Kind.CALL and callee_name(child) in _MAKING_TEXT):
                return True
            if child.kind is Kind.ARITHMETIC:
                stack.append(child)
    return False


def _makes_a_record(call: Node) -> bool:
    """Whether a call only fills the fields of a type: what each is set to is a fact of its own."""
    given = call.children[1].children if len(call.children) > 1 else []
    return callee_name(call)[:1].isupper() and bool(given) and all(child.kind is Kind.KEYWORD for child in given)


class Formulas:
    """Collects formulas, and what locals stand for on the way."""

    def __init__(self, reader: Recorder) -> None:
        self._reader = reader
        self.found: list[tuple[Formula, tuple[Key, ...]]] = []
        self._made: list[Node] = []

    def add(
        self, value: Node, target: str, context: Context, sinks: tuple[Key, ...], whole: Node | None = None
    ) -> None:
        """Record what ``target`` is set to; ``whole`` is the augmented assignment it is part of."""
        if context.symbol in self._reader.same:
            return
        values = value.children[1:3] if value.kind is Kind.CHOICE and whole is None else [value]
        for one in values:
            node = self._written_out(whole, one) if whole is not None else one
            near, far = self._reader.near.form(node, {}), self._reader.far.form(node, context.env)
            formula = Formula(
                context.symbol,
                target,
                (near.text, far.text),
                (near.bare, far.bare),
                self._reader.snippet(node),
                node.line,
                node.end_line,
                not _joins(node) if whole is not None else _is_arithmetic(one),
                feeds=Feeds.NOTHING,
            )
            self.found.append((formula, sinks))

    def _written_out(self, augmented: Node, value: Node) -> Node:
        """``a + b`` for ``a += b``. The node is kept, as normal forms are known by the identity of nodes."""
        whole = augmented
        operator = whole.text.removesuffix("=")
        node = Node(
            Kind.ARITHMETIC, operator, [whole.children[0], value], whole.line, whole.end_line, whole.start, whole.end
        )
        self._made.append(node)
        return node

    def remember(self, targets: list[Node], value: Node, context: Context) -> None:
        """Let later uses of locals stand for what they are set to here; one set more than once for its first value."""
        scope, env = context.scope, context.env
        if scope is None or context.symbol in self._reader.same:
            return
        form = self._reader.far.form(value, env)
        for target in targets:
            if target.kind is Kind.NAME and target.text in scope.bound:
                if scope.bound[target.text] == 1:
                    env[target.text] = form
                else:
                    env.setdefault(target.text, Form(short(f"first({form.text})"), short(f"first({form.bare})")))
            elif target.kind is Kind.SEQUENCE:
                self._unpack(target, form, context)

    def iterate(self, target: Node, iterable: Node, context: Context) -> None:
        """Let a loop's variable stand for "each of" what it runs over."""
        if context.scope is None or context.symbol in self._reader.same:
            return
        form = self._reader.far.form(iterable, context.env)
        self._unpack(target, Form(f"each({form.text})", f"each({form.bare})"), context)

    @staticmethod
    def _unpack(target: Node, form: Form, context: Context) -> None:
        for at, name in enumerate(bound_names(target)):
            context.env.setdefault(name.text, Form(short(f"{at}of({form.text})"), short(f"{at}of({form.bare})")))
