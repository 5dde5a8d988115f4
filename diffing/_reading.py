# SPDX-License-Identifier: Apache-2.0
"""From one side of a file to its facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from diffing._boosts import map_boosts
from diffing._code import CodeReader
from diffing._config import read_config
from diffing._facts import Facts, Literal
from diffing._flow import Feeds, Key
from diffing._forms import definition_forms, syntax_form
from diffing._identities import weigh
from diffing._naming import module_constants
from diffing._tree import Lowered, Span, lower, preorder
from diffing._words import IDENTITY, is_metric, is_neutral, is_score, words
from diffing.languages import Kind, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from diffing._facts import Value
    from diffing._tree import Node

_LONGEST_WORD = 120
_SAYS_ITS_OWNER = frozenset({"default", "value", "defaultValue", "default_value", "initial"})
_SPECIAL = 2  # points from which on a comparison is a special case


@dataclass(frozen=True, slots=True)
class Parsed:
    """One side of a file, parsed: what facts are read from once the constants of the whole change are known."""

    path: str
    source: bytes
    table: Table
    lowered: Lowered
    form: str
    constants: Mapping[str, Value]
    definitions: Mapping[str, str]

    @property
    def errors(self) -> tuple[Span, ...]:
        """The lines that do not parse."""
        return self.lowered.errors


def parse(path: str, source: bytes, table: Table) -> Parsed:
    """Parse one side of a file.

    Raises:
        TooManyNodesError: it is larger than is read.
    """
    lowered = lower(source, table)
    form = syntax_form(lowered.root)
    constants = {} if table.config else module_constants(lowered.root, nested=table.nested)
    definitions = {} if table.config else definition_forms(lowered.root)
    return Parsed(path, lowered.source, table, lowered, form, constants, definitions)


def odd_names(parsed: Parsed | None) -> dict[str, int]:
    """The names in a file that are not plain ASCII, with the line of the first."""
    if parsed is None or parsed.source.isascii():
        return {}
    found: dict[str, int] = {}
    for node in preorder(parsed.lowered.root):
        if node.kind is Kind.NAME and not node.text.isascii():
            found.setdefault(node.text, node.line)
    return found


def unchanged(old: Parsed | None, new: Parsed | None) -> frozenset[str]:
    """The functions and classes that both sides have in the same form."""
    if old is None or new is None:
        return frozenset()
    return frozenset(name for name, form in old.definitions.items() if new.definitions.get(name) == form)


def facts_of(parsed: Parsed, constants: Mapping[str, Value], same: frozenset[str] = frozenset()) -> Facts:
    """The facts of a parsed file.

    ``constants`` are known from other files of the same side; conditions and formulas in definitions that are the
    ``same`` on the other side are left out, as they would only cancel.

    Raises:
        TooManyNodesError: its expressions are nested in each other more deeply than is read.
    """
    facts = Facts(parsed.path, module_name(parsed.path), parsed.table.name, parsed.form)
    if parsed.table.config:
        read_config(parsed.lowered.root, facts)
        return facts
    facts.constants = {**constants, **parsed.constants}
    reader = CodeReader(parsed.source, facts, facts.constants, same)
    reader.read(parsed.lowered.root)
    facts.uses = Counter(_used(parsed.lowered.root))
    _settle(reader)
    return facts


def _used(root: Node) -> Iterator[str]:
    """Every name in a file, apart from its imports."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.kind is Kind.NAME:
            yield node.text
        elif node.kind is not Kind.IMPORT:
            stack.extend(node.children)


def text_list(path: str, content: bytes) -> Facts | None:
    """The facts of a text file that is a list, one word or id a line; None for prose."""
    if not path.lower().endswith((".txt", ".list")):
        return None
    lines = [line.strip() for line in content.decode("utf-8", "backslashreplace").split("\n")]
    members = tuple(line for line in lines if line and not line.startswith("#"))
    if not members or any(len(word) > _LONGEST_WORD or " " in word for word in members):
        return None
    facts = Facts(path, module_name(path), "text")
    name = PurePosixPath(path).stem
    feeds = Feeds.SCORE if is_score(name) else Feeds.NOTHING
    facts.literals.append(Literal(name, "", "list", members, 1, len(lines), feeds=feeds))
    return facts


def module_name(path: str) -> str:
    """The dotted module of a path: ``shortvideo.rank`` for ``src/shortvideo/rank.py``."""
    parts = [part for part in PurePosixPath(path).with_suffix("").parts if part not in {".", "/"}]
    if len(parts) > 1 and parts[0] in {"src", "lib"}:
        parts = parts[1:]
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


def _settle(reader: CodeReader) -> None:
    """Decide what everything feeds, now that the flow of the file is known."""
    feeding, seeds = reader.flow.feeding(), reader.flow.seeds()
    facts = reader.facts
    for literal, sinks in reader.literals:
        literal.feeds = _feeds(literal, sinks, feeding)
        literal.by = reader.lookups.get(literal.name.rpartition(".")[2], "")
        literal.scoped = literal.scoped or literal.name in reader.scoped
        facts.literals.append(literal)
    for condition, sinks in reader.conditions:
        if any(sink in feeding or is_score(sink.name) for sink in sinks):
            condition.feeds = Feeds.SCORE
        facts.conditions.append(condition)
    for formula, keys in reader.formulas.found:
        owner = is_score(formula.symbol.rpartition(".")[2]) and formula.target == "return"
        if owner or is_score(formula.target) or any(key in feeding for key in keys):
            formula.feeds = Feeds.SCORE
        facts.formulas.append(formula)
    for special, sinks in reader.specials:
        feeds = any(sink in feeding or is_score(sink.name) for sink in sinks)
        directly = any(sink in seeds or is_score(sink.name) for sink in sinks)
        special.feeds = Feeds.SCORE if feeds else Feeds.NOTHING
        special.weight = weigh(special.subject, special.value, feeds=feeds, directly=directly)
        identity = bool(words(special.subject.rpartition(".")[2]) & IDENTITY)
        if special.value.lstrip("-").isdigit() and not identity:
            continue
        if special.weight >= _SPECIAL:
            facts.specials.append(special)
    facts.specials += map_boosts(facts.literals, reader.lookups)


def _feeds(literal: Literal, sinks: AbstractSet[Key], feeding: AbstractSet[Key]) -> Feeds:
    name = literal.name.rpartition(".")[2] if literal.role != "key" else literal.name
    if literal.metric or is_metric(name):
        return Feeds.METRIC
    if is_score(name) or (literal.container and is_score(literal.container) and not is_neutral(name)):
        return Feeds.SCORE
    if name in _SAYS_ITS_OWNER and is_score(literal.symbol.rpartition(".")[2]):
        return Feeds.SCORE
    if is_neutral(name) and literal.role not in {"term", "threshold"}:
        return Feeds.NOTHING
    if any(sink in feeding or is_score(sink.name) for sink in sinks):
        return Feeds.SCORE
    return Feeds.NOTHING
