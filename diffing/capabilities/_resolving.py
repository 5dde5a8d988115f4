# SPDX-License-Identifier: Apache-2.0
"""From an expression to the dotted name of what it is, and to the texts it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._naming import arguments_of, dotted
from diffing._words import word_set, words
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffing._facts import Value
    from diffing._tree import Node
    from diffing.capabilities._scopes import Outline, Scope
    from diffing.capabilities.tables import SinkTable

_STEPS = 40
UNIMPORTED = "~"
"""What the name of something starts with that no import of the file explains, where a package's files share names."""
_OWN = frozenset({"self", "cls", "this"})
_DEEPEST = 4  # names of names of names
_HOLE = "{}"
_LONGEST = 400
_MOST_TEXTS = 20
_WRAPPING = word_set("str Path URL URI Url Request quote urljoin join create parse of from toURL")
_MAKING = word_set("""
client resource session connect connection create from open bucket blob cursor channel table topic init logger socket
producer consumer publisher subscriber register build make new start context import module variable driver service
""")


class Resolver:
    """Knows the imports of a file, and what its names are set to."""

    def __init__(self, table: SinkTable, outline: Outline, constants: Mapping[str, Value]) -> None:
        self._table, self._outline, self._constants = table, outline, constants
        self.imports = {
            alias: name for statement in outline.imports for alias, name in table.bindings(statement) if alias
        }
        self.wide = [name for statement in outline.imports for alias, name in table.bindings(statement) if alias == "*"]
        self._known: dict[tuple[int, int], str] = {}

    def name(self, node: Node, scope: Scope) -> str:
        """The dotted name of a callee or reference as it is imported.

        ``requests.Session.post`` for ``self.session.post`` where ``self.session`` was set to ``requests.Session()``;
        "" where nothing is known of it. A name in this file is that name after a slash, one that other files of the
        package may have is after ``~.``.
        """
        known = self._known.get((id(node), id(scope)))
        if known is None:
            known = self._known[id(node), id(scope)] = self._name(node, scope)
        return known

    def _name(self, node: Node, scope: Scope) -> str:
        parts: list[str] = []
        seen: set[int] = set()
        for _ in range(_STEPS):
            if id(node) in seen:
                break
            seen.add(id(node))
            step = self._step(node, scope, parts)
            if isinstance(step, str):
                return step
            node = step
        return ""

    def _step(self, node: Node, scope: Scope, parts: list[str]) -> Node | str:
        """The node to go on with, or the name. What has been passed is in ``parts``, last first."""
        kind = node.kind
        if kind is Kind.MEMBER:
            known = self._of_name(dotted(node), scope) if dotted(node) != node.children[1].text else None
            own = self._of_own(node, scope) if known is None else known
            if own is not None:
                return own
            parts.append(node.children[1].text)
            return node.children[0]
        if kind is Kind.CALL:
            loaded = self._loaded(node)
            return ".".join([loaded, *reversed(parts)]) if loaded else self._below_call(node, scope, parts) or ""
        if kind is Kind.INDEX or (kind is Kind.OTHER and node.text.startswith("await") and node.children):
            return node.children[0]
        if kind is Kind.NAME:
            return self._of_name(node.text, scope) or self._rooted(node.text, parts, scope)
        return ""

    def _loaded(self, call: Node) -> str:
        """The module that a call imports: ``require("http")``."""
        arguments = arguments_of(call)
        loads = call.children[0].kind is Kind.NAME and call.children[0].text in self._table.loading
        return (
            arguments[0].text.removeprefix("node:") if loads and arguments and arguments[0].kind is Kind.STRING else ""
        )

    def _below_call(self, node: Node, scope: Scope, parts: list[str]) -> Node | None:
        """What to go on with below a call; None for a method of a result: what is reached is the call before it."""
        fetched = self._fetched(node, scope)
        if fetched is not None:
            parts.append(fetched[1])
            return fetched[0]
        return node.children[0] if not parts or self._makes(node.children[0]) else None

    def _makes(self, callee: Node) -> bool:
        """Whether a call makes something that reaches out by its methods, by the name of what is called."""
        last = callee.children[1].text if callee.kind is Kind.MEMBER else callee.text
        return (self._table.capitals and last[:1].isupper()) or bool(words(last) & _MAKING)

    def _of_name(self, name: str, scope: Scope) -> Node | None:
        """The expression or type that a name stands for, where there is just one."""
        owner: Scope | None = scope
        while owner is not None:
            if name in owner.types:
                return owner.types[name]
            if name in owner.values:
                values = owner.values[name]
                return (
                    values[0] if values and values[0].kind in {Kind.CALL, Kind.MEMBER, Kind.NAME, Kind.OTHER} else None
                )
            if name in owner.parameters:
                return None
            owner = owner.parent
        bare = not self._table.apart and name not in self.imports  # Go names a field by its owner only
        return self._outline.fields.get(name) if bare else None

    def _of_own(self, node: Node, scope: Scope) -> Node | None:
        """The same for ``self.name``; in Go for ``s.name``, where ``s`` is no package."""
        root = node.children[0]
        if root.kind is Kind.NAME and root.text in _OWN:
            return self._of_name(node.children[1].text, scope)
        if root.kind is Kind.NAME and self._table.apart and root.text not in self.imports:
            return self._outline.fields.get(node.children[1].text)
        return None

    def _fetched(self, call: Node, scope: Scope) -> tuple[Node, str] | None:
        """Object and member name of ``getattr(object, name)``; ``*`` for a name that cannot be told."""
        callee = call.children[0]
        positions = self._table.fetching.get(callee.text) if callee.kind is Kind.NAME else None
        arguments = arguments_of(call)
        if positions is None or len(arguments) <= max(positions):
            return None
        texts = self.texts(arguments[positions[1]], scope)
        return arguments[positions[0]], texts[0] if len(texts) == 1 and _HOLE not in texts[0] else "*"

    def _rooted(self, root: str, parts: list[str], scope: Scope) -> str:
        tail = list(reversed(parts))
        if root in self.imports:
            return ".".join([self.imports[root], *tail])
        own = self._in_file(root, tail, scope)
        if own:
            return f"/{own}"
        if root in self._table.builtins:
            return ".".join([root, *tail])
        below = (".".join([prefix, root, *tail]) for prefix in self.wide if root[:1].isupper())
        known = next((name for name in below if self._table.find(name)), "")
        if not known and self._table.shared and (root[:1].isupper() or not tail) and root not in scope.parameters:
            return ".".join([UNIMPORTED, root, *tail])
        return known

    def _in_file(self, root: str, tail: list[str], scope: Scope) -> str:
        """The function of this file that a name without an import is, as its symbol; "" where it is none."""
        defined = self._outline.defined
        if root in _OWN:
            return ".".join([root, *tail]) if len(tail) == 1 else ""  # what an attribute of its own is cannot be told
        if root in defined:
            return tail[-1] if self._table.apart and tail and tail[-1] in defined else ".".join([root, *tail])
        owner: Scope | None = scope if root not in scope.parameters else None
        while owner is not None and owner.symbol:
            if f"{owner.symbol}.{root}" in defined:
                return ".".join([owner.symbol, root, *tail])
            owner = owner.parent
        return ""

    def texts(self, node: Node, scope: Scope, depth: int = 0) -> list[str]:
        """The texts that an expression can be, with ``{}`` for what cannot be told; none where nothing can."""
        kind = node.kind
        if kind is Kind.STRING:
            return [node.text[:_LONGEST]]
        if depth > _DEEPEST:
            return []
        if kind is Kind.TEMPLATE:
            return [self._template(node, scope, depth)]
        if kind is Kind.ARITHMETIC and len(node.children) > 1:
            return self._joined(node, scope, depth)
        if kind in {Kind.SEQUENCE, Kind.CHOICE, Kind.LOGIC}:  # an address is a host and a port
            members = node.children[:_MOST_TEXTS] if kind is Kind.SEQUENCE else node.children[-2:]
            return [text for child in members for text in self.texts(child, scope, depth + 1)]
        return self._of_call(node, scope, depth) if kind is Kind.CALL else self._named(node, scope, depth)

    def _joined(self, node: Node, scope: Scope, depth: int) -> list[str]:
        left, right = (self.texts(child, scope, depth + 1) for child in node.children[:2])
        if node.text == "+":
            return [((left or [_HOLE])[0] + (right or [_HOLE])[0])[:_LONGEST]] if left or right else []
        return [left[0].replace("%s", _HOLE)] if left and node.text in {"%", "/"} else []

    def _named(self, node: Node, scope: Scope, depth: int) -> list[str]:
        name = node.text if node.kind is Kind.NAME else dotted(node)
        if not name:
            return []
        found = [text for value in scope.found(name)[:_MOST_TEXTS] for text in self.texts(value, scope, depth + 1)]
        if not found and isinstance(known := self._constants.get(name.rpartition(".")[2]), str):
            found = [known]
        return found[:_MOST_TEXTS]

    def _of_call(self, node: Node, scope: Scope, depth: int) -> list[str]:
        """The text of ``"…".format(…)``, ``os.environ.get(name, "default")`` and calls that only wrap a text."""
        callee, arguments = node.children[0], arguments_of(node)
        if callee.kind is Kind.MEMBER and callee.children[1].text in {"format", "rstrip", "strip", "lower", "encode"}:
            return self.texts(callee.children[0], scope, depth + 1)
        if callee.kind is Kind.MEMBER and callee.children[1].text in {"get", "getenv"} and len(arguments) == 2:  # noqa: PLR2004 - name and default
            return self.texts(arguments[1], scope, depth + 1)
        last = dotted(callee).rpartition(".")[2]
        if last in _WRAPPING and arguments:
            return self.texts(arguments[0], scope, depth + 1)
        return []

    def _template(self, node: Node, scope: Scope, depth: int) -> str:
        pieces: list[str] = []
        for child in node.children:
            if child.kind is Kind.OTHER and child.text.startswith("string_content "):
                pieces.append(child.text.removeprefix("string_content "))
            elif child.kind is Kind.STRING:
                pieces.append(child.text)
            else:
                inner = child.children[0] if child.children else child
                texts = self.texts(inner, scope, depth + 1) if inner is not child else []
                pieces.append(texts[0] if len(texts) == 1 else _HOLE)
        return "".join(pieces)[:_LONGEST]
