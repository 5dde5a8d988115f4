# SPDX-License-Identifier: Apache-2.0
"""Which user data is in the arguments of a call, and which parameters of the function it stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from diffing._naming import arguments_of, callee_name, dotted
from diffing._words import word_set
from diffing.capabilities.fields import UserData
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diffing._tree import Node
    from diffing.capabilities._scopes import Scope
    from diffing.capabilities.fields import Fields

_WHOLE = frozenset(
    {"asdict", "vars", "dict", "dumps", "to_dict", "json", "model_dump", "serialize", "to_json", "as_dict"}
)
_SIZES = frozenset({"len", "bool", "hash", "type", "isinstance", "id", "sum", "count", "sha256", "any", "all"})
_MOST_NODES = 4_000
_DECODING = word_set(
    "b64decode decodebytes fromhex unhexlify decompress b32decode b85decode a85decode rot13 loads atob"
)


class Carried(NamedTuple):
    """What expressions carry."""

    fields: frozenset[UserData]
    parameters: frozenset[str]
    decoded: bool


def carried(nodes: Iterable[Node], scope: Scope, fields: Fields, *, whole: bool = True) -> Carried:
    """User data and parameters in expressions, through the names that they are put together from.

    A parameter of which only a member is taken stands with a dot after it. ``whole`` says that a person's record
    counts where it is passed as it is.
    """
    return _Search(scope, fields).run([(node, whole) for node in nodes])


class _Search:
    def __init__(self, scope: Scope, fields: Fields) -> None:
        self._scope, self._fields = scope, fields
        self._found: set[UserData] = set()
        self._parameters: set[str] = set()
        self._decoded = False
        self._seen: set[str] = set()

    def run(self, stack: list[tuple[Node, bool]]) -> Carried:
        looked = 0
        while stack and looked < _MOST_NODES:
            node, whole = stack.pop()
            looked += 1
            stack += self._visit(node, whole=whole)
        return Carried(frozenset(self._found), frozenset(self._parameters), self._decoded)

    def _visit(self, node: Node, *, whole: bool) -> list[tuple[Node, bool]]:
        kind = node.kind
        if kind is Kind.NAME:
            return self._name(node.text, whole=whole)
        if kind is Kind.MEMBER:
            return self._member(node, whole=whole)
        if kind is Kind.CALL:
            return self._call(node)
        if kind is Kind.INDEX and len(node.children) > 1 and node.children[1].kind is Kind.STRING:
            self._add(node.children[1].text, dotted(node.children[0]))
            return [(node.children[0], False)]
        if kind in {Kind.LAMBDA, Kind.FUNCTION}:
            return []
        children = node.children[1:] if kind in {Kind.PAIR, Kind.KEYWORD} else node.children
        return [(child, whole) for child in children]

    def _name(self, name: str, *, whole: bool) -> list[tuple[Node, bool]]:
        if name in self._scope.parameters:
            self._parameters.add(name)
        category = self._fields.category(name) or (self._fields.whole(name) if whole else None)
        if category is not None:
            self._found.add(UserData(category, name))
        return self._behind(name, whole=whole)

    def _member(self, node: Node, *, whole: bool) -> list[tuple[Node, bool]]:
        """The outermost part of a chain that is user data: ``user.location`` in ``user.location.city``."""
        root = node
        told = False
        while root.kind is Kind.MEMBER:
            told = told or self._add(root.children[1].text, dotted(root.children[0]))
            root = root.children[0]
        last = node.children[1].text
        if whole and not told and (category := self._fields.whole(last)) is not None:
            self._found.add(UserData(category, last))
        if root.kind is not Kind.NAME:
            return [(root, False), *self._behind(dotted(node), whole=whole)]
        if root.text in self._scope.parameters and root.text not in {"self", "cls"}:
            self._parameters.add(f"{root.text}.")
        return self._behind(dotted(node), whole=whole)

    def _behind(self, name: str, *, whole: bool) -> list[tuple[Node, bool]]:
        """What a name was set to."""
        if not name or name in self._seen:
            return []
        self._seen.add(name)
        return [(value, whole) for value in self._scope.found(name)]

    def _call(self, node: Node) -> list[tuple[Node, bool]]:
        """What to go on with in a call within arguments: ``user.get("email")``, ``asdict(user)``."""
        name, callee, arguments = callee_name(node), node.children[0], arguments_of(node)
        self._decoded = self._decoded or name in _DECODING
        if name in _SIZES:
            return []
        stack = [(argument, name in _WHOLE) for argument in arguments]
        if callee.kind is Kind.MEMBER:
            owner = callee.children[0]
            if name.startswith("get") and name != "get":
                self._add(name[3:].lstrip("_"), dotted(owner))
            if name in {"get", "pop"} and arguments and arguments[0].kind is Kind.STRING:
                self._add(arguments[0].text, dotted(owner))
            stack.append((owner, name in _WHOLE))
        elif name == "getattr" and len(arguments) > 1 and arguments[1].kind is Kind.STRING:
            self._add(arguments[1].text, dotted(arguments[0]))
        return stack

    def _add(self, name: str, owner: str) -> bool:
        category = self._fields.category(name, owner)
        if category is not None:
            last = owner.rpartition(".")[2]
            self._found.add(UserData(category, f"{last}.{name}" if last and last not in {"self", "cls"} else name))
        return category is not None
