# SPDX-License-Identifier: Apache-2.0
"""What a language's table says: which syntax nodes mean what.

A table maps the node types of one tree-sitter grammar to the few kinds that the rest of the room knows. Everything
after the table (forms, facts, flow, comparison) is the same for every language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


class Kind(Enum):
    """What a piece of syntax is, in any language. The comment gives the children in their order."""

    BLOCK = auto()  # statements
    FUNCTION = auto()  # name, parameters, body, extras
    CLASS = auto()  # name, bases, body, extras
    PARAMETERS = auto()  # names and DEFAULTs
    DEFAULT = auto()  # name, value, type
    LAMBDA = auto()  # parameters, body
    ASSIGN = auto()  # target, value, type
    AUGMENT = auto()  # target, value; text is the operator, "+=" and the like
    RETURN = auto()  # value
    ASSERT = auto()  # condition
    JUMP = auto()  # continue, break, raise
    IF = auto()  # condition, consequence, alternatives
    WHILE = auto()  # condition, body
    FOR = auto()  # target, iterable, body
    FILTER = auto()  # the condition of a comprehension or guard
    COMPREHENSION = auto()  # element, then FORs and FILTERs
    CHOICE = auto()  # condition, value if so, value if not
    MATCH = auto()  # subject, cases
    CASE = auto()  # patterns, guard, consequence
    CALL = auto()  # callee, arguments
    ARGUMENTS = auto()
    KEYWORD = auto()  # name, value
    MEMBER = auto()  # object, attribute
    INDEX = auto()  # object, subscripts
    SLICE = auto()
    ARITHMETIC = auto()  # left, right; text is the operator
    UNARY = auto()  # operand; text is the operator
    LOGIC = auto()  # left, right; text is "and" or "or"
    NOT = auto()  # operand
    COMPARE = auto()  # operands; text is the operators, joined by ","
    MAP = auto()  # PAIRs
    PAIR = auto()  # key, value
    TABLE = auto()  # key, PAIRs (TOML)
    SEQUENCE = auto()
    DOTTED = auto()  # key parts
    NAME = auto()
    NUMBER = auto()
    STRING = auto()
    TEMPLATE = auto()  # a string with expressions inside
    BOOLEAN = auto()
    NULL = auto()
    IMPORT = auto()
    TARGET = auto()  # names bound by other means than assignment: Python's "with … as x"
    SCOPE = auto()  # names declared to belong to another scope: Python's global and nonlocal
    OTHER = auto()
    NOTHING = auto()  # an optional child that is not there

    __hash__ = object.__hash__  # members are single objects; hashing their names takes a tenth of a diff's time


@dataclass(slots=True, eq=False)
class Node:
    """One piece of syntax. Lines count from 1; ``start`` and ``end`` are byte offsets into the source."""

    kind: Kind
    text: str
    children: list[Node]
    line: int
    end_line: int
    start: int
    end: int
    form: str = ""
    alias: str = ""
    names: object = None  # of a function: what it binds, once known


@dataclass(frozen=True, slots=True)
class Rule:
    """How one type of syntax node is read.

    Args:
        kind: what it means.
        fields: grammar fields (or node types, of children without a field) whose children come first, in this order;
            one that is absent becomes ``NOTHING``.
        order: or positions among the named children that come first, in this order.
        through: stands for its only child where it has exactly one.
        skip: left out altogether.
        leaf: its children are not read; its text is.
        label: its text, whatever the source says.
        decode: from a leaf's source text to its text; the text itself by default.
        binary: its operator decides what it is: arithmetic, logic, comparison, assignment or pair.
        token: a named node that is an operator or keyword of its parent.
        splice: its children stand in its parent's place of it.
        shape: last, from the node as read to the node as it is meant.
    """

    kind: Kind = Kind.OTHER
    fields: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    through: bool = False
    skip: bool = False
    leaf: bool = False
    label: str | None = None
    decode: Callable[[str], str] | None = None
    binary: bool = False
    token: bool = False
    splice: bool = False
    shape: Callable[[Node], Node] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One language.

    Args:
        name: as it stands in the evidence.
        title: as it stands in sentences.
        suffixes: file name endings, lower case.
        grammar: the tree-sitter language's capsule.
        rules: by node type.
        config: values by path instead of code.
        operators: other spellings of operators, by spelling.
        variants: a rule to use instead where a test on the node's source text says so.
        refuse: from source to the reason why the grammar must not see it; None where it may.
        statements_of_text: strings that stand alone in a block say nothing (Python's docstrings).
        nested: constants of classes and namespaces are constants of the file.
        otherwise: the rule of node types that ``rules`` does not name; an ``OTHER`` by default.
        reader: reads the source instead of a grammar; ``grammar`` is not used then.
        embedded: from source to the text in it that is read, its language, and the source's line of each line of it.
        built: what is vendored or generated of it is built or minified text that is not read.
        prose: what it holds beside values is text for people: characters are judged as in texts.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    grammar: Callable[[], object] | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    config: bool = False
    operators: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, tuple[Callable[[bytes], bool], Rule]] = field(default_factory=dict)
    refuse: Callable[[bytes], str | None] | None = None
    statements_of_text: bool = False
    nested: bool = False
    otherwise: Callable[[str], Rule] | None = None
    reader: Callable[[bytes], Read] | None = None
    embedded: Callable[[bytes], tuple[bytes, Table, list[int]]] | None = None
    built: bool = False
    prose: bool = False


class Read(NamedTuple):
    """What a reader of its own gives: the tree, the lines that did not parse, and how many pieces it had."""

    root: Node
    errors: tuple[tuple[int, int], ...]
    nodes: int


SKIP = Rule(skip=True)
THROUGH = Rule(through=True)
SPLICE = Rule(splice=True)
TOKEN = Rule(token=True)
