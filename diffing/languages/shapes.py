# SPDX-License-Identifier: Apache-2.0
"""From nodes as grammars give them to nodes as all languages mean them: what a table cannot say by fields alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.languages.table import Kind, Node, word_set

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCALARS = frozenset({Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.NULL})
_MAPS = word_set("""
Map mapOf mutableMapOf hashMapOf linkedMapOf sortedMapOf ListMap HashMap TreeMap BTreeMap
""")
_LISTS = word_set("""
Seq List Set Vector Array IndexedSeq ArrayBuffer listOf setOf mutableListOf mutableSetOf hashSetOf arrayOf
doubleArrayOf floatArrayOf intArrayOf longArrayOf arrayListOf asList vec Series
""")
_FLAT_OWNERS = frozenset({"Map", "ImmutableMap"})
_LIST_OWNERS = frozenset({"List", "Set", "ImmutableList", "ImmutableSet", "Stream", "Arrays"})
_TURNING = word_set("""
freeze toSet toList toMap toSeq toVector asJava asScala to_set to_a iter into_iter collect to_vec to_string to_owned
into stream dup
""")
_STATEMENTS = frozenset({
    Kind.ASSIGN, Kind.AUGMENT, Kind.RETURN, Kind.JUMP, Kind.WHILE, Kind.FOR, Kind.FUNCTION, Kind.CLASS, Kind.IMPORT,
    Kind.NOTHING, Kind.ASSERT, Kind.OTHER,
})  # fmt: skip
_PAIR = 2


def made(kind: Kind, like: Node, children: Sequence[Node] = (), text: str = "") -> Node:
    """A node that stands where ``like`` stands."""
    return Node(kind, text, list(children), like.line, like.end_line, like.start, like.end)


def nothing() -> Node:
    """A child that is not there."""
    return Node(Kind.NOTHING, "", [], 0, 0, 0, 0)


def blocked(node: Node) -> Node:
    """A node as a block of statements."""
    return node if node.kind in {Kind.BLOCK, Kind.NOTHING} else made(Kind.BLOCK, node, [node])


def with_blocks(*positions: int) -> Callable[[Node], Node]:
    """A shape whose children at these positions are blocks, braces or not."""

    def shape(node: Node) -> Node:
        for at in positions:
            if at < len(node.children):
                node.children[at] = blocked(node.children[at])
        return node

    return shape


def branching(node: Node) -> Node:
    """An IF whose branches are blocks, braces or not; ``else if`` stays an IF."""
    for at, child in enumerate(node.children):
        if at and child.kind is not Kind.IF:
            node.children[at] = blocked(child)
    return node


def as_value(node: Node) -> Node:
    """An IF of single expressions as the CHOICE it is where its value is used; any other node unchanged."""
    if node.kind is not Kind.IF or len(node.children) != 3:  # noqa: PLR2004 - condition and two values
        return node
    condition, so, otherwise = node.children
    values = [_only(so), _only(otherwise)]
    if any(value is None or value.kind in _STATEMENTS for value in values):
        return node
    return made(Kind.CHOICE, node, [condition, *(as_value(value) for value in values if value is not None)])


def _only(node: Node) -> Node | None:
    if node.kind is Kind.BLOCK:
        return node.children[0] if len(node.children) == 1 else None
    return node


def assigning(node: Node) -> Node:
    """An assignment of a conditional value; single lists on either side are their only member."""
    node.children = [*map(_single, node.children[:_PAIR]), *node.children[_PAIR:]]
    if len(node.children) > 1:
        node.children[1] = as_value(node.children[1])
    return node


def _single(node: Node) -> Node:
    if node.kind is Kind.SEQUENCE and node.text == "list of expressions" and len(node.children) == 1:
        return node.children[0]
    return node


def returning(node: Node) -> Node:
    """A function whose last expression is what it returns."""
    body = node.children[2]
    if body.kind is not Kind.NOTHING and body.kind is not Kind.BLOCK:
        body = node.children[2] = made(Kind.BLOCK, body, [body])
    _return_last(body)
    return node


def _return_last(body: Node) -> None:
    stack = [body]
    while stack:
        node = stack.pop()
        if node.kind is Kind.BLOCK and node.children and node.children[-1].kind is Kind.CASE:
            stack += node.children
        elif node.kind is Kind.BLOCK and node.children:
            last = as_value(node.children[-1])
            if last.kind in {Kind.IF, Kind.MATCH}:
                stack += last.children[1:]
            elif last.kind not in _STATEMENTS:
                last = made(Kind.RETURN, last, [last])
            node.children[-1] = last
        elif node.kind in {Kind.IF, Kind.CASE}:
            stack += node.children[1:]


def bodied(node: Node) -> Node:
    """A function whose body is an expression returns it; a block returns by itself."""
    body = node.children[2] if len(node.children) > 2 else nothing()  # noqa: PLR2004 - name, parameters, body
    if body.kind not in {Kind.BLOCK, Kind.NOTHING}:
        node.children[2] = made(Kind.BLOCK, body, [made(Kind.RETURN, body, [as_value(body)])])
    return node


def named_lambda(node: Node) -> Node:
    """``const f = (x) => …`` is a function of that name; any other assignment is one."""
    target, value, *rest = node.children
    if target.kind is Kind.NAME and value.kind is Kind.LAMBDA and len(value.children) > 1:
        return bodied(made(Kind.FUNCTION, node, [target, *value.children, *rest]))
    return assigning(node)


def increment(node: Node) -> Node:
    """``x++`` is ``x += 1``."""
    operator = "-=" if "--" in node.text else "+="
    return made(Kind.AUGMENT, node, [*node.children[:1], made(Kind.NUMBER, node, text="1")], operator)


def signed(node: Node) -> Node:
    """``!x`` is a negation, ``-1`` a number, any other unary expression itself."""
    operand = node.children[0] if node.children else nothing()
    if node.text in {"!", "not"}:
        node.kind, node.text = Kind.NOT, ""
    elif node.text in {"&", "*", "&,mut"} and operand.kind is not Kind.NOTHING:  # a pointer to it, or what it points to
        return operand
    return node


def member(node: Node) -> Node:
    """``object.name`` with the name as a NAME; ``a::b`` and the like too."""
    while len(node.children) > _PAIR:
        node.children = [made(Kind.MEMBER, node, node.children[:_PAIR]), *node.children[_PAIR:]]
    if len(node.children) == 1:
        return node.children[0]
    name = node.children[1]
    if name.kind is not Kind.NAME:
        node.children[1] = made(Kind.NAME, name, text=_text(name))
    return node


def _text(node: Node) -> str:
    return node.text.rpartition(" ")[2] or node.text


def method_call(node: Node) -> Node:
    """A call with its object (or none), name and arguments as children of its own."""
    owner, name, arguments, *rest = node.children
    if arguments.kind is Kind.NOTHING:
        arguments = made(Kind.ARGUMENTS, name)
    callee = name if owner.kind is Kind.NOTHING else made(Kind.MEMBER, node, [owner, name])
    arguments.children += rest
    node.children = [callee, arguments]
    return collected(node)


def trailing(node: Node) -> Node:
    """A call whose last arguments stand behind the parentheses, or that has none."""
    callee, *rest = node.children
    if rest and rest[0].kind is Kind.ARGUMENTS:
        rest[0].children += rest[1:]
        node.children = [callee, rest[0]]
    else:
        node.children = [callee, made(Kind.ARGUMENTS, node, rest)]
    return collected(node)


def arguments(node: Node) -> Node:
    """Arguments: ``name = value`` among them is a KEYWORD."""
    node.children = [
        made(Kind.KEYWORD, child, child.children[:_PAIR])
        if (child.kind is Kind.ASSIGN and child.children[0].kind is Kind.NAME)
        or (child.kind is Kind.PAIR and child.children[0].kind is Kind.STRING and child.text == "symbol")
        else child
        for child in node.children
    ]
    for child in node.children:
        if child.kind is Kind.KEYWORD and child.children[0].kind is Kind.STRING:
            child.children[0].kind = Kind.NAME
            child.text = ""
    return node


def collected(node: Node) -> Node:
    """A call that only makes a collection of literals is that collection."""
    callee, given = node.children[0], node.children[1].children
    owner = ""
    if callee.kind is Kind.MEMBER:
        name = callee.children[1].text
        owner = callee.children[0].text if callee.children[0].kind is Kind.NAME else ""
        if name in _TURNING and not given and callee.children[0].kind in {Kind.SEQUENCE, Kind.MAP, *SCALARS}:
            return callee.children[0]
    else:
        name = callee.text
    if not given:
        return node
    return _collection(node, owner, name, given) or node


def _collection(node: Node, owner: str, name: str, given: list[Node]) -> Node | None:
    pairs = all(one.kind is Kind.PAIR for one in given)
    if pairs and (name in _MAPS or name in _LISTS or (owner in _MAPS and name in {"apply", "of", "from"})):
        return made(Kind.MAP, node, given)
    if owner in _FLAT_OWNERS and name == "of" and len(given) % 2 == 0:
        return made(
            Kind.MAP,
            node,
            [made(Kind.PAIR, key, [key, value]) for key, value in zip(given[::2], given[1::2], strict=True)],
        )
    if name in {"Map", "from", "new"} and len(given) == 1 and given[0].kind in {Kind.SEQUENCE, Kind.MAP}:
        paired = paired_rows(given[0])
        return paired if name == "from" or paired.kind is Kind.MAP else None
    if name in _LISTS or (owner in _LIST_OWNERS and name == "of"):
        if len(given) == 1 and given[0].kind is Kind.SEQUENCE:
            return given[0]
        return made(Kind.SEQUENCE, node, given, "list")
    return None


def paired_rows(node: Node) -> Node:
    """A list of rows of a text and something else is a map; any other list is itself."""
    rows = node.children
    if rows and all(
        row.kind is Kind.SEQUENCE and len(row.children) == _PAIR and row.children[0].kind is Kind.STRING for row in rows
    ):
        return made(Kind.MAP, node, [made(Kind.PAIR, row, row.children) for row in rows])
    return node


def cased(patterns: int) -> Callable[[Node], Node]:
    """A case whose first children are its patterns (and guard) and whose others are what is done."""

    def shape(node: Node) -> Node:
        given, done = node.children[:patterns], node.children[patterns:]
        flat: list[Node] = []
        for child in given:
            flat += child.children if child.kind in {Kind.SEQUENCE, Kind.CASE} else [child]
        body = done[0] if len(done) == 1 and done[0].kind is Kind.BLOCK else made(Kind.BLOCK, node, done)
        node.children = [*(child for child in flat if child.kind is not Kind.NOTHING), body]
        return node

    return shape


def negated(node: Node) -> Node:
    """Ruby's ``unless``."""
    condition = node.children[0]
    node.children[0] = made(Kind.NOT, condition, [condition])
    return branching(node)


def template_or_text(node: Node) -> Node:
    """A string: one text if it is made of texts only, else a template."""
    if all(child.kind is Kind.STRING for child in node.children):
        return made(Kind.STRING, node, text="".join(child.text for child in node.children))
    return made(Kind.TEMPLATE, node, node.children)


def keyworded(node: Node) -> Node:
    """``name = value`` given to a call; a value alone is itself."""
    if len(node.children) == _PAIR and node.children[0].kind is Kind.NAME:
        node.kind = Kind.KEYWORD
        return node
    return node.children[0] if len(node.children) == 1 else node


def defaulted(node: Node) -> Node:
    """A parameter: its name, its default where it has one, its type."""
    if node.children[0].kind is not Kind.NAME:
        found = first_name(node.children[0])
        if found is not None:
            node.children = [found, *node.children[1:], *([] if found is node.children[0] else [node.children[0]])]
    if node.children[0].kind is not Kind.NAME:
        node.kind, node.text = Kind.OTHER, "parameter"
    return node


def first_name(node: Node) -> Node | None:
    """The first NAME in a declarator."""
    stack, seen = [node], 0
    while stack and seen < 1000:  # noqa: PLR2004 - a declarator is small
        one = stack.pop()
        seen += 1
        if one.kind is Kind.NAME:
            return one
        stack.extend(reversed(one.children))
    return None


def cased_last(node: Node) -> Node:
    """A case whose last child is what is done."""
    return cased(len(node.children) - 1)(node) if node.children else node


def matched(node: Node) -> Node:
    """A match without a subject is a row of IFs."""
    subject, *cases = node.children
    if subject.kind is not Kind.NOTHING:
        return node
    clauses = [clause for case in cases for clause in (case.children if case.kind is Kind.BLOCK else [case])]
    return made(Kind.BLOCK, node, [_as_branch(clause) for clause in clauses])


def _as_branch(clause: Node) -> Node:
    if clause.kind is not Kind.CASE or len(clause.children) != _PAIR:
        return clause
    return made(Kind.IF, clause, clause.children)


def cast(node: Node) -> Node:
    """``(type) value`` is a call of the type."""
    value, kind, *rest = node.children
    return made(Kind.CALL, node, [kind, made(Kind.ARGUMENTS, node, [value, *rest])])


def applied(node: Node) -> Node:
    """A call whose argument may be a block of its own."""
    callee, given, *rest = node.children
    if given.kind is not Kind.ARGUMENTS:
        given = made(Kind.ARGUMENTS, node, [] if given.kind is Kind.NOTHING else [given])
    node.children = [callee, given, *rest]
    return collected(node)


def created(node: Node) -> Node:
    """``new Type<…>(…)`` is a call of the type."""
    kind, given, *rest = node.children
    if kind.kind is Kind.OTHER and kind.children:
        kind, rest = kind.children[0], [*rest, *kind.children[1:]]
    node.children = [kind, given, *rest]
    return applied(node)


def first(node: Node) -> Node:
    """Only its first child counts, where it has one."""
    return node.children[0] if node.children and node.children[0].kind is not Kind.NOTHING else node


def last(node: Node) -> Node:
    """Only its last child counts."""
    return node.children[-1] if node.children else node


def unlisted(node: Node) -> Node:
    """``return a`` where the grammar gives a list of one."""
    node.children = [
        child.children[0] if child.kind in {Kind.SEQUENCE, Kind.ARGUMENTS} and len(child.children) == 1 else child
        for child in node.children
    ]
    return node
