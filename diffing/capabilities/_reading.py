# SPDX-License-Identifier: Apache-2.0
"""From one side of a file to its capabilities.

Names are followed through imports, assignments, attributes and type annotations; data through locals, and through
parameters of functions of the same file. What it does not see: values that travel through containers of other
files, through inheritance from other files, and through reflection whose names are computed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from diffing._naming import arguments_of, callee_name
from diffing._words import word_set
from diffing.capabilities._calls import Call, arguments, passed
from diffing.capabilities._facts import Capabilities, Named, Use
from diffing.capabilities._reaching import carried
from diffing.capabilities._resolving import UNIMPORTED, Resolver
from diffing.capabilities._scopes import outline
from diffing.capabilities.destinations import channel_of, connects, is_standard, of_setting, of_text, of_url
from diffing.capabilities.tables import OUTWARD, Reach
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from diffing._facts import Facts, Value
    from diffing._tree import Node
    from diffing.capabilities._scopes import Scope
    from diffing.capabilities.destinations import Destination
    from diffing.capabilities.fields import Fields
    from diffing.capabilities.tables import Sink, SinkTable

_SNIPPET = 200
_ROUNDS = 4
_MOST_USES = 20_000
_MOST_BEYOND = 5_000
_WRITING = frozenset("wax+")
_CHANNELS = frozenset({Reach.QUEUE, Reach.CLOUD})
_NAMESPACES = word_set("java javax jakarta org com io net scala sttp akka software std google azure tokio Net redis")
_LOOKED_UP = frozenset({Reach.ENVIRONMENT, Reach.RUNTIME})


def read_capabilities(
    root: Node,
    source: bytes,
    table: SinkTable,
    fields: Fields,
    constants: Mapping[str, Value],
    known: Callable[[str, Sequence[str]], bool] | None = None,
) -> Capabilities:
    """The capabilities of one side of a file of code.

    ``known`` says of a dotted name, with the packages that are imported whole, whether a file of the repository may
    have it; calls of such names are taken down.
    """
    return _Reader(root, source, table, fields, constants, known).read()


def read_settings(facts: Facts) -> Capabilities:
    """The destinations that a configuration file names."""
    result = Capabilities()
    data = facts.language == "json"  # the records of a list in JSON are data, not settings
    for literal in facts.literals:
        record = data and "[" in literal.name
        values = literal.value if isinstance(literal.value, tuple) else (literal.value,)
        for value in values:
            found = _setting(literal.name, value, record=record) if isinstance(value, str) else None
            if found is not None:
                result.named.append(
                    Named(found, "", literal.line, literal.end_line, literal.name, connects(literal.name))
                )
    return result


def _setting(path: str, value: str, *, record: bool) -> Destination | None:
    return of_url(value) if record else of_setting(path, value)


class _Reader:
    def __init__(
        self,
        root: Node,
        source: bytes,
        table: SinkTable,
        fields: Fields,
        constants: Mapping[str, Value],
        known: Callable[[str, Sequence[str]], bool] | None,
    ) -> None:
        self._source, self._table, self._fields, self._repository = source, table, fields, known
        self._outline = outline(root)
        self._resolver = Resolver(table, self._outline, constants)
        self._result = Capabilities()
        self._excused: set[str] = set()

    def read(self) -> Capabilities:
        calls: list[tuple[Node, Scope, str]] = []
        self._result.aliases, self._result.wide = self._resolver.imports, self._resolver.wide
        self._result.parameters = {symbol: scope.parameters for symbol, scope in self._outline.defined.items()}
        self._result.classes = {symbol for symbol, scope in self._outline.defined.items() if scope.holder}
        for scope in self._outline.scopes:
            called = self._result.calls.setdefault(scope.symbol, set())
            if scope.entry:
                self._result.entries.add(scope.symbol)
            for node in scope.mentions[:_MOST_USES]:
                target = node.children[0] if node.kind in {Kind.CALL, Kind.INDEX} else node
                name = self._resolver.name(target, scope)
                if name and self._table.find(name) is None:
                    self._excused.add(name.partition(".")[0])
                if name.startswith("/") and node.kind is Kind.CALL:
                    calls.append((node, scope, name[1:]))
                    called.add(name[1:].removeprefix("self.").removeprefix("cls.").removeprefix("this."))
                elif use := self._use(node, scope, name):
                    self._result.uses.append(use)
                elif node.kind is Kind.CALL and name and self._table.find(name) is None:
                    self._beyond(node, scope, name)
        self._imports()
        self._through(calls)
        self._texts()
        return self._result

    def _beyond(self, node: Node, scope: Scope, name: str) -> None:
        if self._repository is None or not self._repository(name, self._resolver.wide):
            return
        if len(self._result.beyond) < _MOST_BEYOND:
            self._result.beyond.append(self._call(node, scope, name))
        else:
            self._result.uncounted += 1

    def _call(self, node: Node, scope: Scope, name: str) -> Call:
        held = arguments(node, scope, self._fields, self._resolver)
        written = callee_name(node)
        return Call(name, written, scope.symbol, node.line, node.end_line, self._snippet(node), held)

    def _use(self, node: Node, scope: Scope, name: str) -> Use | None:
        if name.startswith((f"{UNIMPORTED}.", "/")):
            name = ""
        found = self._table.find(name) if name else None
        if found is None and node.kind is Kind.CALL and node.children[0].kind is Kind.MEMBER:
            last = node.children[0].children[1].text
            method = self._table.methods.get(last)
            found = (last, method) if method is not None else None
            name = name or last
        if found is None and name.endswith(".*"):
            found = self._unresolved(name)
        if found is None:
            return None
        entry, sink = found
        if node.kind is Kind.INDEX and sink.reach not in _LOOKED_UP:
            return None
        if node.kind is Kind.MEMBER and sink.reach is Reach.ENVIRONMENT and name.startswith(f"{entry}."):
            variable = name.removeprefix(f"{entry}.")
            return (
                replace(self._described(node, scope, name, entry, sink), names=(variable,))
                if variable.isupper()
                else None
            )
        if node.kind in {Kind.NAME, Kind.MEMBER}:
            if not sink.bare or (name == entry and "." not in name and name not in self._table.builtins):
                return None  # a module that is named, not one of its functions
            if node.kind is Kind.NAME and sink.quiet:
                return None
        return self._described(node, scope, name, entry, sink)

    def _unresolved(self, name: str) -> tuple[str, Sink] | None:
        found = self._table.find(name.removesuffix(".*"))
        return found if found is not None and found[1].reach is not Reach.LOG else None

    def _described(self, node: Node, scope: Scope, name: str, entry: str, sink: Sink) -> Use:
        called = node.kind in {Kind.CALL, Kind.INDEX}
        arguments = arguments_of(node) if node.kind is Kind.CALL else node.children[1:2] if called else []
        reach = self._opened(name, arguments, sink)
        texts = self._whereto(arguments, scope, sink)
        destinations, names = _destinations(texts, reach)
        held = carried(arguments, scope, self._fields)
        wanting = reach in OUTWARD | {Reach.CODE, Reach.DATABASE} and called and not sink.quiet and bool(sink.whereto)
        settled = not wanting or bool(destinations) or (reach in {Reach.PROCESS, Reach.CODE} and _whole(names))
        return Use(
            reach,
            name,
            _package(entry),
            scope.symbol,
            node.line,
            node.end_line,
            self._snippet(node),
            tuple(destinations),
            settled,
            tuple(names),
            held.fields,
            held.parameters,
            held.decoded,
            called,
            sink.quiet,
        )

    def _opened(self, name: str, arguments: list[Node], sink: Sink) -> Reach:
        position = self._table.opening.get(name)
        if position is None:
            return sink.reach
        given = [argument for argument in arguments if argument.kind is not Kind.KEYWORD]
        mode = given[position] if len(given) > position else None
        for argument in arguments:
            if argument.kind is Kind.KEYWORD and argument.children[0].text == "mode":
                mode = argument.children[1]
        if mode is not None and mode.kind is Kind.STRING and not _WRITING & set(mode.text):
            return Reach.FILE_READ
        return Reach.FILE_WRITE if mode is not None else Reach.FILE_READ

    def _whereto(self, arguments: list[Node], scope: Scope, sink: Sink) -> list[tuple[str | int, str]]:
        texts: list[tuple[str | int, str]] = []
        plain = [argument for argument in arguments if argument.kind is not Kind.KEYWORD]
        for where in sink.whereto:
            if isinstance(where, int):
                chosen = plain[where : where + 1]
            else:
                chosen = [
                    one.children[1] for one in arguments if one.kind is Kind.KEYWORD and one.children[0].text == where
                ]
            texts += [(where, text) for node in chosen for text in self._resolver.texts(node, scope)]
        return texts

    def _imports(self) -> None:
        used = self._excused.union(use.api.partition(".")[0] for use in self._result.uses)
        for statement in self._outline.imports:
            for _, name in self._table.bindings(statement):
                found = self._table.find(name)
                if found is not None and found[1].reach is not Reach.LOG and name.partition(".")[0] not in used:
                    self._result.imports.setdefault(_package(found[0]), (found[1].reach, statement.line))

    def _through(self, calls: list[tuple[Node, Scope, str]]) -> None:
        """Data that reaches a sink through parameters of functions of this file."""
        known = {(use.symbol, use.api, use.line): use for use in self._result.uses}
        frontier = list(self._result.uses)
        taken: dict[int, Call] = {}
        for _ in range(_ROUNDS):
            by_symbol: dict[str, list[Use]] = {}
            for use in frontier:
                if use.parameters:
                    by_symbol.setdefault(use.symbol, []).append(use)
            frontier = []
            for node, scope, name in calls if by_symbol else ():
                for symbol in self._targets(name, scope, by_symbol):
                    call = taken.get(id(node)) or taken.setdefault(id(node), self._call(node, scope, name))
                    for use in by_symbol[symbol]:
                        reached = led(call, use, symbol, self._result.parameters.get(symbol, ()))
                        empty = not reached.fields and not reached.parameters and not reached.fresh
                        if not empty and (scope.symbol, use.api, node.line) not in known:
                            known[scope.symbol, use.api, node.line] = reached
                            frontier.append(reached)
                            self._result.uses.append(reached)

    def _targets(self, name: str, scope: Scope, known: Mapping[str, object]) -> Iterable[str]:
        if name.startswith(("self.", "cls.", "this.")):
            name = f"{scope.symbol.rpartition('.')[0]}.{name.partition('.')[2]}"
        return [one for one in (name, f"{name}.__init__") if one in known]

    def _texts(self) -> None:
        """Every URL that is written down, whether or not a call is seen to take it."""
        for node, scope in self._outline.texts:
            text = node.text if node.kind is Kind.STRING else (self._resolver.texts(node, scope) or [""])[0]
            if "://" not in text or any(letter.isspace() for letter in text.strip()):
                continue
            found = of_url(text)
            if found is not None and not is_standard(found.value):
                self._result.named.append(Named(found, scope.symbol, node.line, node.end_line))

    def _snippet(self, node: Node) -> str:
        text = " ".join(
            self._source[node.start : node.start + 4 * _SNIPPET][: node.end - node.start]
            .decode("utf-8", "backslashreplace")
            .split()
        )
        return text if len(text) <= _SNIPPET else f"{text[: _SNIPPET - 1]}…"


def led(call: Call, use: Use, symbol: str, parameters: Sequence[str]) -> Use:
    """The use that a call of ``symbol`` is, of what that function reaches."""
    held = passed(call, parameters, use.parameters)
    destinations, _ = _destinations(held.texts, use.reach)
    return replace(
        use,
        symbol=call.symbol,
        line=call.line,
        end_line=call.end_line,
        text=call.text,
        destinations=tuple(destinations) or use.destinations,
        settled=use.settled or bool(destinations),
        fields=held.fields,
        parameters=held.parameters,
        through=(*use.through, symbol),
        fresh=bool(destinations),
    )


def _package(entry: str) -> str:
    """What a finding calls the library: the first part of a name, or all of it where that is only a namespace."""
    if "/" in entry:
        folder, _, last = entry.rpartition("/")
        return f"{folder}/{last.partition('.')[0]}"
    first = entry.partition(".")[0]
    return entry if first in _NAMESPACES else first


def _destinations(texts: list[tuple[str | int, str]], reach: Reach) -> tuple[list[Destination], list[str]]:
    """The destinations among texts, and the texts that are names (of files, variables, flags, commands) instead."""
    destinations: list[Destination] = []
    names: list[str] = []
    for where, text in texts:
        found: Destination | None = None
        if reach in _CHANNELS:
            found = channel_of(where, text)
        elif reach in OUTWARD and reach is not Reach.PROCESS:
            found = of_text(text)
        elif reach is Reach.DATABASE:
            found = of_url(text)
        if found is not None and found not in destinations:
            destinations.append(found)
        elif found is None and text not in names:
            names.append(text)
    return destinations, names


def _whole(names: list[str]) -> bool:
    return bool(names) and all("{}" not in name for name in names)
