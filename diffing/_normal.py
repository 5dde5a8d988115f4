# SPDX-License-Identifier: Apache-2.0
"""The normal form of an expression: equal forms mean that it computes the same, as far as simple algebra tells.

Sums and products are sorted, comparisons turned one way, negations pushed inwards, constants put in for their names,
and
(on demand) locals replaced by what they were set to. Rounding, overloaded operators, order of evaluation and NaN are
not considered: a
rewrite that differs only in those is no finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from diffing._forms import short
from diffing._scopes import PLACED
from diffing._tree import Node, postorder
from diffing.languages import Kind
from diffing.languages.text import number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from diffing._facts import Value

_MOST_PARTS = 64
_INVERSE = {"not in": "in", "is not": "is", "!=": "=="}
_MODULES = frozenset({"np", "numpy", "math", "jnp", "torch", "xp"})


class Part(NamedTuple):
    """A form with its constants, and without them."""

    text: str
    bare: str


class Form(NamedTuple):
    """The normal form of a node.

    ``opposite`` is set where it is a truth value, ``parts`` where it is a sum, product or combination of conditions.
    """

    text: str
    bare: str
    opposite: Part | None = None
    operator: str = ""
    parts: tuple[Part, ...] = ()


class Normaliser:
    """Normal forms under given constants and values of locals. Forms are kept by node, so a node is read once."""

    def __init__(self, constants: Mapping[str, Value]) -> None:
        self._constants = constants
        self._known: dict[int, Form] = {}

    def form(self, root: Node, env: Mapping[str, Form]) -> Form:
        """The normal form of an expression; ``env`` holds forms to put in for names."""
        known = self._known
        done = known.get(id(root))
        if done is not None:
            return done
        for node in postorder(root):
            if id(node) not in known:
                known[id(node)] = self._combine(node, [known[id(child)] for child in node.children], env)
        return known[id(root)]

    def _combine(self, node: Node, children: list[Form], env: Mapping[str, Form]) -> Form:
        kind = node.kind
        if kind is Kind.NAME:
            return Form(node.alias, node.alias) if node.alias.startswith(PLACED) else self._name(node.text, env)
        if kind in {Kind.NUMBER, Kind.STRING, Kind.BOOLEAN}:
            return constant(literal_value(node))
        if kind is Kind.MEMBER:
            return self._member(node, children)
        combine = _COMBINE.get(kind)
        return combine(node, children) if combine else _other(node, children)

    def _name(self, name: str, env: Mapping[str, Form]) -> Form:
        if name in env:
            return env[name]
        if name in self._constants:
            return constant(self._constants[name])
        return Form(short(name), short(name))

    def _member(self, node: Node, children: list[Form]) -> Form:
        name = node.children[1].text
        if name.isupper() and name in self._constants:
            return constant(self._constants[name])
        owner = children[0]
        if owner.text in _MODULES:
            return Form(name, name)
        return Form(short(f"{owner.text}.{name}"), short(f"{owner.bare}.{name}"))


def constant(value: Value) -> Form:
    """The form of a constant."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Form(repr(float(value)) if abs(value) < 1e300 else str(value), "#")  # noqa: PLR2004 - beyond, float() overflows
    return Form(short(repr(value)), "#")


def literal_value(node: Node) -> Value:
    """The value of a NUMBER, STRING, BOOLEAN or NULL node."""
    if node.kind is Kind.NUMBER:
        value = number(node.text)
        return node.text[:200] if value is None else value
    if node.kind is Kind.BOOLEAN:
        return node.text.lower() == "true"
    if node.kind is Kind.NULL:
        return None
    return node.text


def _masked(form: Form) -> str:
    """A part's bare form inside something larger: truth values are facts of their own and count as "?" there."""
    return "?" if form.opposite is not None else form.bare


def _other(node: Node, children: list[Form]) -> Form:
    label = "" if node.kind in {Kind.SEQUENCE, Kind.ARGUMENTS} else f"{node.kind.name}:{node.text}"
    text = f"{label}({','.join(child.text for child in children)})"
    if node.kind is Kind.SEQUENCE and children and all(child.bare == "#" for child in children):
        return Form(short(text), "#")  # a list of constants is one: its members are facts of their own
    return Form(short(text), short(f"{label}({','.join(map(_masked, children))})"))


def _joined(operator: str, parts: list[Part], opposite: Part | None = None, *, ordered: bool = False) -> Form:
    if not ordered:
        parts = sorted(parts)
    text = short(f"{operator}({','.join(part.text for part in parts)})")
    bare = short(
        f"{operator}({','.join(sorted(part.bare for part in parts) if not ordered else [part.bare for part in parts])})"
    )
    kept = tuple(parts) if len(parts) <= _MOST_PARTS else ()
    return Form(text, bare, opposite, operator, kept)


def _parts(form: Form, operator: str) -> list[Part]:
    if form.operator == operator and form.parts:
        return list(form.parts)
    return [Part(form.text, _masked(form))]


def _marked(mark: str, parts: list[Part]) -> list[Part]:
    return [
        Part(part.text[len(mark) + 1 : -1], part.bare[len(mark) + 1 : -1])
        if part.text.startswith(f"{mark}(") and part.bare.startswith(f"{mark}(")
        else Part(f"{mark}({part.text})", f"{mark}({part.bare})")
        for part in parts
    ]


def _arithmetic(node: Node, children: list[Form]) -> Form:
    left, right = children[0], children[1]
    operator = node.text
    if operator in {"&", "|"} and left.opposite and right.opposite:
        return _combined("and" if operator == "&" else "or", left, right)
    operands = {child.kind for child in node.children}
    if operands & {Kind.STRING, Kind.TEMPLATE, Kind.SEQUENCE}:
        return _joined(operator, [Part(left.text, left.bare), Part(right.text, right.bare)], ordered=True)
    if operator in {"+", "-"}:
        subtracted = _parts(right, "+")
        return _joined("+", _parts(left, "+") + (_marked("-", subtracted) if operator == "-" else subtracted))
    if operator in {"*", "/"}:
        divided = _parts(right, "*")
        return _joined("*", _parts(left, "*") + (_marked("/", divided) if operator == "/" else divided))
    return _joined(operator, [Part(left.text, _masked(left)), Part(right.text, _masked(right))], ordered=True)


def _unary(node: Node, children: list[Form]) -> Form:
    if node.text == "~" and children[0].opposite:
        return _not(node, children)
    if node.text == "-":
        return _joined("+", _marked("-", _parts(children[0], "+")))
    return _other(node, children)


def _combined(operator: str, left: Form, right: Form) -> Form:
    other = "or" if operator == "and" else "and"
    negated = _joined(other, _opposites(left, other) + _opposites(right, other))
    parts = _truth_parts(left, operator) + _truth_parts(right, operator)
    return _joined(operator, parts, Part(negated.text, negated.bare))


def _truth_parts(form: Form, operator: str) -> list[Part]:
    return list(form.parts) if form.operator == operator and form.parts else [Part(form.text, form.bare)]


def _opposites(form: Form, operator: str) -> list[Part]:
    negated = truth(form).opposite
    assert negated is not None  # noqa: S101 - truth() always sets it
    if form.parts and form.operator in {"and", "or"} and form.operator != operator:
        return [negated]
    return [negated]


def truth(form: Form) -> Form:
    """``form`` as a truth value."""
    if form.opposite is not None:
        return form
    return form._replace(opposite=Part(short(f"not({form.text})"), short(f"not({form.bare})")))


def _logic(node: Node, children: list[Form]) -> Form:
    return _combined(node.text, children[0], children[1])


def _not(_node: Node, children: list[Form]) -> Form:
    inner = truth(children[0])
    assert inner.opposite is not None  # noqa: S101 - truth() always sets it
    return Form(inner.opposite.text, inner.opposite.bare, Part(inner.text, inner.bare))


def _compare(node: Node, children: list[Form]) -> Form:
    operators = node.text.split(",")
    pairs = [
        _one_comparison(operator, left, right)
        for operator, left, right in zip(operators, children, children[1:], strict=False)
    ]
    if not pairs:
        return _other(node, children)
    result = pairs[0]
    for pair in pairs[1:]:
        result = _combined("and", result, pair)
    return result


def _one_comparison(operator: str, left: Form, right: Form) -> Form:
    if operator in _INVERSE:
        positive = _one_comparison(_INVERSE[operator], left, right)
        assert positive.opposite is not None  # noqa: S101 - a comparison is a truth value
        return Form(positive.opposite.text, positive.opposite.bare, Part(positive.text, positive.bare))
    if operator in {">", ">="}:
        left, right = right, left
        operator = "<" if operator == ">" else "<="
    first, second = Part(left.text, left.bare), Part(right.text, right.bare)
    if operator in {"==", "is"}:
        first, second = sorted((first, second))
        return Form(_apply("==", first, second, 0), _apply("==", first, second, 1), _negated("==", first, second))
    if operator in {"<", "<="}:
        turned = "<=" if operator == "<" else "<"
        opposite = Part(_apply(turned, second, first, 0), _apply(turned, second, first, 1))
        return Form(_apply(operator, first, second, 0), _apply(operator, first, second, 1), opposite)
    return Form(
        _apply(operator, first, second, 0), _apply(operator, first, second, 1), _negated(operator, first, second)
    )


def _apply(operator: str, first: Part, second: Part, which: int) -> str:
    return short(f"{operator}({first[which]},{second[which]})")


def _negated(operator: str, first: Part, second: Part) -> Part:
    return Part(
        short(f"not({_apply(operator, first, second, 0)})"), short(f"not({_apply(operator, first, second, 1)})")
    )


def _choice(_node: Node, children: list[Form]) -> Form:
    if len(children) < 3:  # noqa: PLR2004 - condition and two values; less is broken syntax
        return Form("choice()", "choice()")
    condition, so, otherwise = truth(children[0]), children[1], children[2]
    assert condition.opposite is not None  # noqa: S101 - truth() always sets it
    if condition.opposite < Part(condition.text, condition.bare):
        condition, so, otherwise = Form(*condition.opposite), otherwise, so
    text = short(f"choice({condition.text},{so.text},{otherwise.text})")
    return Form(text, short(f"choice(?,{_masked(so)},{_masked(otherwise)})"))


def _call(node: Node, children: list[Form]) -> Form:
    callee = children[0]
    arguments = node.children[1].children if len(node.children) > 1 else []
    if callee.text == "where" and len(arguments) == 3:  # noqa: PLR2004 - where(condition, so, otherwise)
        return Form(*_other(node, children)[:2])
    return Form(
        short(f"{callee.text}{children[1].text if len(children) > 1 else ''}"),
        short(f"{callee.bare}{children[1].bare if len(children) > 1 else ''}"),
    )


def _arguments(node: Node, children: list[Form]) -> Form:
    placed = [form for child, form in zip(node.children, children, strict=True) if child.kind is not Kind.KEYWORD]
    named = sorted(form for child, form in zip(node.children, children, strict=True) if child.kind is Kind.KEYWORD)
    ordered = placed + named
    return Form(short(f"({','.join(form.text for form in ordered)})"), short(f"({','.join(map(_masked, ordered))})"))


_COMBINE: dict[Kind, Callable[[Node, list[Form]], Form]] = {
    Kind.ARITHMETIC: _arithmetic,
    Kind.UNARY: _unary,
    Kind.LOGIC: _logic,
    Kind.NOT: _not,
    Kind.COMPARE: _compare,
    Kind.CHOICE: _choice,
    Kind.CALL: _call,
    Kind.ARGUMENTS: _arguments,
}
