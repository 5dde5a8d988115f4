# SPDX-License-Identifier: Apache-2.0
"""The facts that are read from one side of a file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffing._flow import Feeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffing.capabilities._facts import Capabilities

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]

NAMED_ROLES = frozenset({"value", "default", "keyword", "key", "config", "list", "table"})
"""How a literal is bound to a name of its own; the other roles are literals inside expressions."""


@dataclass(slots=True)
class Literal:
    """A value with a name.

    ``name`` is the binding (``share_weight``, ``WEIGHTS.state``, ``ranking.share_weight``), ``symbol`` the
    function or class it
    stands in ("" for the module), ``role`` how it is bound, ``container`` the map it is an entry of, ``by`` what
    is looked up in it.
    """

    name: str
    symbol: str
    role: str
    value: Value
    line: int
    end_line: int
    container: str = ""
    by: str = ""
    metric: bool = False
    feeds: Feeds = Feeds.NOTHING
    scoped: bool = False


@dataclass(slots=True)
class Condition:
    """A comparison or combination of comparisons.

    ``form`` is its normal form, ``bare`` the same without constants, ``far`` that with locals put in,
    ``opposite`` the bare form of its negation; ``branches`` are
    the forms of what is done if it holds and if not; ``names`` are what it is about.
    """

    symbol: str
    form: str
    bare: str
    opposite: str
    text: str
    line: int
    end_line: int
    names: frozenset[str]
    far: str
    branches: tuple[str, str] = ("", "")
    trivial: bool = False
    feeds: Feeds = Feeds.NOTHING


@dataclass(slots=True)
class Formula:
    """What a name is set to, or a function returns.

    ``forms`` and ``bares`` are with names as they stand, then with locals put in.
    """

    symbol: str
    target: str
    forms: tuple[str, str]
    bares: tuple[str, str]
    text: str
    line: int
    end_line: int
    arithmetic: bool
    feeds: Feeds = Feeds.NOTHING


@dataclass(slots=True)
class SpecialCase:
    """One identity singled out.

    By a comparison, a pattern, a method such as ``endswith``, or an entry of a map of boosts.
    """

    symbol: str
    subject: str
    value: str
    how: str
    text: str
    line: int
    end_line: int
    container: str = ""
    weight: int = 0
    feeds: Feeds = Feeds.NOTHING
    scoped: bool = False


@dataclass(slots=True)
class Monitor:
    """A call that watches: ``subject`` is the text it is given first, ``labels`` the names it is told apart by."""

    symbol: str
    callee: str
    subject: str
    form: str
    text: str
    line: int
    end_line: int
    labels: frozenset[str] = frozenset()


@dataclass(slots=True)
class Member:
    """Something that takes part in ranking by being named.

    ``how`` is "table" (listed in a rule table), "config" (the same in configuration), "flag" (a flag that is asked
    for by name) or "call".
    """

    name: str
    symbol: str
    table: str
    how: str
    text: str
    line: int
    end_line: int


@dataclass(slots=True)
class Symbol:
    """A function or class: the form of its body and parameters without its name, and its lines."""

    name: str
    form: str
    line: int
    end_line: int
    parameters: tuple[str, ...] = ()


@dataclass(slots=True)
class Facts:
    """Everything read from one side of one file.

    ``receivers`` are the names that methods standing beside their type (in Go) have for its value.
    """

    path: str
    module: str
    language: str
    form: str = ""
    literals: list[Literal] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    formulas: list[Formula] = field(default_factory=list)
    specials: list[SpecialCase] = field(default_factory=list)
    monitors: list[Monitor] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    imports: set[str] = field(default_factory=set)
    receivers: set[str] = field(default_factory=set)
    constants: Mapping[str, Value] = field(default_factory=dict)
    capabilities: Capabilities | None = None

    def place(self, symbol: str) -> str:
        """A symbol with its module before it, as evidence names it."""
        return f"{self.module}.{symbol}" if symbol and self.module else symbol or self.module
