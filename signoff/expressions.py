# SPDX-License-Identifier: Apache-2.0
"""The language of a policy's conditions: typed expressions over the facts of a revision, and nothing else.

There are no loops, no assignments, no attributes, no calls but the few that are listed, and every expression is checked
when the policy is read: an unknown name, a text compared with a number, a pattern that is none make the whole policy
unreadable, and nothing is admitted under it. What a revision's facts do not hold raises when it is asked for.

    expression = both { "or" both }            both = negated { "and" negated }
    negated = "not" negated | compared         compared = value [ operator value ]
    operator = "==" "!=" "<" "<=" ">" ">=" "in"
    value = number | text | "true" | "false" | name | name "(" texts ")" | "(" expression ")"
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from evidence import InputError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXPRESSION_LIMIT = 2000  # characters
DEPTH_LIMIT = 40  # parentheses and nots within each other

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)(?![\w.])|(?P<text>\"[^\"\\\x00-\x1f]*\"|'[^'\\\x00-\x1f]*')"
    r"|(?P<name>[a-z][a-z_]*)|(?P<mark>==|!=|<=|>=|<|>|\(|\)|,))"
)
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Kind(StrEnum):
    """What an expression comes to."""

    TRUTH = "truth"
    NUMBER = "number"
    TEXT = "text"
    SET = "set of texts"


class UnknownFactError(Exception):
    """A fact that an expression asks for is not known of this revision: the requirement is an error, not met."""


class Call(NamedTuple):
    """A function of the language: what it comes to, how many texts it takes at most, and how each is checked."""

    kind: Kind
    most: int
    check: Callable[[str], object]  # raises InputError or ValueError for a text that it does not take
    why: str


@dataclass(frozen=True, slots=True)
class Language:
    """The names and functions that expressions may use."""

    names: Mapping[str, Kind]
    calls: Mapping[str, Call]


class Lookup(Protocol):
    """The values of a revision's facts: of a name, or of a call with these texts."""

    def __call__(self, name: str, given: tuple[str, ...] | None) -> Any:  # noqa: ANN401 - the expression knows its kind
        """The value; `UnknownFactError` if the facts do not hold it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression, and what it comes to on facts."""

    text: str
    kind: Kind
    evaluate: Callable[[Lookup], Any]


def parse_condition(text: str, language: Language, what: str) -> Expression:
    """Read an expression that comes to true or false.

    Raises:
        PolicyError: it is none, with the column where it goes wrong.
    """
    if not text.strip() or len(text) > EXPRESSION_LIMIT:
        raise PolicyError(f"{what}: an expression is empty, or longer than {EXPRESSION_LIMIT} characters")
    reader = _Reader(text, language, what)
    found = reader.either(0)
    reader.end()
    if found.kind is not Kind.TRUTH:
        raise PolicyError(f"{what}: {text[:80]!r} comes to a {found.kind}, not to true or false")
    return found


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


class _Reader:
    """Recursive descent over the tokens. Every method returns an expression that has been checked."""

    def __init__(self, text: str, language: Language, what: str) -> None:
        self._text = text
        self._language = language
        self._what = what
        self._tokens = self._split()
        self._at = 0

    def _split(self) -> list[_Token]:
        tokens = []
        at = 0
        while self._text[at:].strip():
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._wrong("what is written here", at)
            kind = found.lastgroup or ""
            tokens.append(_Token(kind, found[kind], found.start(kind)))
            at = found.end()
        return tokens

    def _wrong(self, what: str, column: int | None = None) -> PolicyError:
        place = self._column if column is None else column
        return PolicyError(f"{self._what}: {what} is not understood, column {place + 1} of {self._text[:200]!r}")

    @property
    def _column(self) -> int:
        return self._tokens[self._at].column if self._at < len(self._tokens) else len(self._text)

    def _next(self, *texts: str) -> str | None:
        """Take the next token if it is one of these; a quoted text is never a mark or a word."""
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind in {"mark", "name"} and token.text in texts:
                self._at += 1
                return token.text
        return None

    def end(self) -> None:
        """Nothing may be left."""
        if self._at < len(self._tokens):
            raise self._wrong("what follows")

    def either(self, depth: int) -> Expression:
        """``a or b``."""
        found = self._both(depth)
        while self._next("or"):
            found = self._joined(found, self._both(depth), "or")
        return found

    def _both(self, depth: int) -> Expression:
        found = self._negated(depth)
        while self._next("and"):
            found = self._joined(found, self._negated(depth), "and")
        return found

    def _joined(self, left: Expression, right: Expression, word: str) -> Expression:
        self._want(left, Kind.TRUTH, word)
        self._want(right, Kind.TRUTH, word)
        one, other = left.evaluate, right.evaluate
        # Both sides are always asked: an unknown fact on one side is an error whatever the other says.
        if word == "or":
            return Expression(self._text, Kind.TRUTH, lambda lookup: any([one(lookup), other(lookup)]))
        return Expression(self._text, Kind.TRUTH, lambda lookup: all([one(lookup), other(lookup)]))

    def _negated(self, depth: int) -> Expression:
        if depth > DEPTH_LIMIT:
            raise self._wrong("nesting this deep")
        if not self._next("not"):
            return self._compared(depth)
        inner = self._negated(depth + 1)
        self._want(inner, Kind.TRUTH, "not")
        return Expression(self._text, Kind.TRUTH, lambda lookup: not inner.evaluate(lookup))

    def _compared(self, depth: int) -> Expression:
        left = self._value(depth)
        sign = self._next("==", "!=", "<", "<=", ">", ">=", "in")
        if sign is None:
            return left
        right = self._value(depth)
        if sign == "in":
            self._want(left, Kind.TEXT, "in")
            self._want(right, Kind.SET, "in")
            compare: Callable[[Any, Any], bool] = lambda one, many: one in many  # noqa: E731 - one of three
        elif sign in _ORDER:
            self._want(left, Kind.NUMBER, sign)
            self._want(right, Kind.NUMBER, sign)
            compare = _ORDER[sign]
        else:
            self._want(right, left.kind, sign)
            if left.kind is Kind.SET:
                raise self._wrong("comparing whole sets")
            compare = operator.eq if sign == "==" else operator.ne
        return Expression(self._text, Kind.TRUTH, lambda lookup: compare(left.evaluate(lookup), right.evaluate(lookup)))

    def _value(self, depth: int) -> Expression:
        if self._next("("):
            found = self.either(depth + 1)
            if not self._next(")"):
                raise self._wrong("a parenthesis that is not closed")
            return found
        if self._at >= len(self._tokens):
            raise self._wrong("an end where a value should be")
        token = self._tokens[self._at]
        if token.kind == "mark" or (token.text in _WORDS - {"true", "false"}):
            raise self._wrong(token.text)
        self._at += 1
        if token.kind == "name" and token.text not in _WORDS:
            return self._named(token)
        number = token.kind == "number"
        kind = Kind.NUMBER if number else Kind.TEXT if token.kind == "text" else Kind.TRUTH
        value: Any = float(token.text) if number else token.text[1:-1] if kind is Kind.TEXT else token.text == "true"
        return Expression(self._text, kind, lambda _: value)

    def _named(self, token: _Token) -> Expression:
        name = token.text
        if not self._next("("):
            kind = self._language.names.get(name)
            if kind is None:
                raise self._wrong(f"the name {name}", token.column)
            return Expression(self._text, kind, lambda lookup: lookup(name, None))
        call = self._language.calls.get(name)
        if call is None:
            raise self._wrong(f"the function {name}", token.column)
        given = self._texts()
        if not 1 <= len(given) <= call.most:
            raise self._wrong(f"{name} with {len(given)} texts", token.column)
        for text in given:
            try:
                call.check(text)
            except (ValueError, InputError) as error:
                raise self._wrong(f"{text[:60]!r} ({call.why})", token.column) from error
        return Expression(self._text, call.kind, lambda lookup: lookup(name, given))

    def _texts(self) -> tuple[str, ...]:
        found: list[str] = []
        while not self._next(")"):
            if found and not self._next(","):
                raise self._wrong("a list without commas")
            if self._at >= len(self._tokens) or self._tokens[self._at].kind != "text":
                raise self._wrong("what is no text in quotes")
            found.append(self._tokens[self._at].text[1:-1])
            self._at += 1
        return tuple(found)

    def _want(self, found: Expression, kind: Kind, sign: str) -> None:
        if found.kind is not kind:
            raise self._wrong(f"a {found.kind} beside {sign}, which takes a {kind},")
