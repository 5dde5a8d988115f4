# SPDX-License-Identifier: Apache-2.0
"""Facts from configuration: every value by its path."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from diffing._boosts import map_boosts, scoped_boosts
from diffing._facts import Facts, Literal, Member
from diffing._flow import Feeds
from diffing._naming import SCALARS, key_text, list_values
from diffing._normal import literal_value
from diffing._words import ADDING, SCOPE, holds_results, is_metric, is_rule_table, is_score, words
from diffing.languages import Kind

if TYPE_CHECKING:
    from diffing._facts import Value
    from diffing._tree import Node

_NAMING_KEYS = ("name", "id", "key", "slug", "title")
_TABLE = 200  # records of a list, or entries of a map, from which on it is one fact
_LONGEST_PATH = 300


def read_config(root: Node, facts: Facts) -> None:
    """Fill ``facts`` from a configuration file's tree."""
    stack: list[tuple[Node, str, str]] = [(root, "", "")]
    while stack:
        node, path, container = stack.pop()
        if len(path) > _LONGEST_PATH:
            path = f"…{path[-_LONGEST_PATH + 1 :]}"
        stack.extend(reversed(_visit(node, path, container, facts)))
    facts.specials = [*map_boosts(facts.literals, {}), *scoped_boosts(facts.literals)]


def _visit(node: Node, path: str, container: str, facts: Facts) -> list[tuple[Node, str, str]]:
    if node.kind in SCALARS:
        _add(facts, node, path, container, literal_value(node), "config")
        return []
    if node.kind is Kind.MAP:
        return _map(node, path, facts)
    if node.kind is Kind.TABLE:
        return _map(node, path, facts)
    if node.kind is Kind.SEQUENCE:
        return _sequence(node, path, container, facts)
    if node.kind is Kind.PAIR:
        return _pair(node, path)
    return [(child, path, container) for child in node.children]


def _map(node: Node, path: str, facts: Facts) -> list[tuple[Node, str, str]]:
    pairs = [child for child in node.children if child.kind is Kind.PAIR]
    if len(pairs) > _TABLE and all(pair.children[1].kind in SCALARS for pair in pairs):
        values = tuple(f"{key_text(pair.children[0])} = {literal_value(pair.children[1])}" for pair in pairs)
        _add(facts, node, path, path, values, "table")
        return []
    visits: list[tuple[Node, str, str]] = []
    arrays: Counter[str] = Counter()
    for child in node.children:
        if child.kind is Kind.PAIR:
            visits += _pair(child, path)
        elif child.kind is Kind.TABLE:
            key = key_text(child.children[0])
            if child.text.startswith("[["):
                key = f"{key}[{_label(child) or arrays[key]}]"
                arrays[key_text(child.children[0])] += 1
            inner = _join(path, key)
            visits += [visit for pair in child.children[1:] for visit in _pair(pair, inner)]
        else:
            visits.append((child, path, path))
    return visits


def _pair(node: Node, path: str) -> list[tuple[Node, str, str]]:
    if node.kind is not Kind.PAIR or len(node.children) < 2:  # noqa: PLR2004 - key and value
        return [(child, path, path) for child in node.children]
    return [(node.children[1], _join(path, key_text(node.children[0])), path)]


def _sequence(node: Node, path: str, container: str, facts: Facts) -> list[tuple[Node, str, str]]:
    values = list_values(node)
    if is_rule_table(path):
        _members(node, path, facts)
    if values is not None:
        _add(facts, node, path, container, values, "list")
        return []
    if len(node.children) > _TABLE:
        _add(facts, node, path, container, tuple(sorted(child.form for child in node.children)), "table")
        return []
    labels = [_label(child) or _content(child) for child in node.children]
    visits = []
    for at, child in enumerate(node.children):
        inner = f"{path}[{labels[at] if labels[at] and labels.count(labels[at]) == 1 else at}]"
        visits.append((child, inner, inner))
    return visits


def _label(record: Node) -> str:
    """What a record of a list is called: its name, id or key, so that a moved record is the same one."""
    named = {
        key_text(pair.children[0]): pair.children[1]
        for pair in record.children
        if pair.kind is Kind.PAIR and len(pair.children) > 1 and pair.children[1].kind in SCALARS
    }
    for key in _NAMING_KEYS:
        if key in named:
            return str(literal_value(named[key]))[:80]
    return ""


def _content(record: Node) -> str:
    """What a record without a name is known by: its texts, so that one moved past others is the same one."""
    texts = [
        f"{key_text(pair.children[0])}={pair.children[1].text}"
        for pair in record.children
        if pair.kind is Kind.PAIR and len(pair.children) > 1 and pair.children[1].kind is Kind.STRING
    ]
    return ",".join(texts)[:80]


def _members(node: Node, path: str, facts: Facts) -> None:
    """The members of a list of rules, by name."""
    for child in node.children[:_TABLE]:
        name = str(literal_value(child)) if child.kind is Kind.STRING else _label(child) or _content(child)
        if name:
            facts.members.append(Member(name[:120], "", path, "config", name[:120], child.line, child.end_line))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _add(facts: Facts, node: Node, path: str, container: str, value: Value, role: str) -> None:
    feeds = (
        Feeds.NOTHING
        if holds_results(facts.path)
        else Feeds.METRIC
        if is_metric(path)
        else Feeds.SCORE
        if is_score(path) or words(path) & ADDING
        else Feeds.NOTHING
    )
    facts.literals.append(
        Literal(
            path or facts.module,
            "",
            role,
            value,
            node.line,
            node.end_line,
            container,
            feeds=feeds,
            scoped=bool(words(container) & SCOPE),
        )
    )
