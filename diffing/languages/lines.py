# SPDX-License-Identifier: Apache-2.0
"""Configuration that no grammar wheel reads: HOCON, and files of one ``key = value`` a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing.languages.table import Kind, Node, Read, Table
from diffing.languages.text import number, unescape

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY_VALUE = re.compile(r"^[ \t\f]*(?:export[ \t]+)?((?:\\.|[^\\=:\s])+)[ \t\f]*[=:]?[ \t\f]*(.*)$")
_WORDS = {"true": Kind.BOOLEAN, "false": Kind.BOOLEAN, "yes": Kind.STRING, "null": Kind.NULL}
_TOKEN = re.compile(
    r"(?P<space>[ \t\f\r\v]+)|(?P<newline>\n)|(?P<comment>(?:#|//)[^\n]*)|(?P<long>\"\"\".*?\"\"\"+)"
    r"|(?P<quoted>\"(?:\\.|[^\"\\\n])*\")|(?P<substitution>\$\{[^}\n]*\})|(?P<mark>\+=|[{}\[\],:=])"
    r"|(?P<word>(?:(?!//)[^\s{}\[\],:=\"#$+]|\+(?!=)|\$(?!\{))+)|(?P<other>.)",
    re.DOTALL,
)
_DEEPEST = 200
_LONGEST = 4000


def _node(kind: Kind, text: str, line: int, children: list[Node] | None = None, end: int | None = None) -> Node:
    return Node(kind, text, children or [], line, line if end is None else end, 0, 0)


def scalar(text: str, line: int) -> Node:
    """A value without quotes."""
    text = text.strip()
    if text.lower() in _WORDS:
        return _node(_WORDS[text.lower()], text, line)
    return _node(Kind.NUMBER if number(text) is not None else Kind.STRING, text, line)


def _pair(key: str, value: Node, line: int) -> Node:
    return _node(Kind.PAIR, "", line, [_node(Kind.STRING, key, line), value], value.end_line)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that end in a backslash joined to the next, each with its number."""
    waiting, start = "", 0
    for at, line in enumerate(text.split("\n"), 1):
        start = start if waiting else at
        ended = len(line) - len(line.rstrip("\\"))
        if ended % 2 and len(waiting) < _LONGEST:
            waiting += line[:-1].lstrip() if waiting else line[:-1]
            continue
        yield start, waiting + (line.lstrip() if waiting else line)
        waiting = ""
    if waiting:
        yield start, waiting


def read_properties(source: bytes) -> Read:
    """``key = value`` lines, sections in brackets, comments with ``#``, ``;`` or ``!``."""
    root = _node(Kind.MAP, "", 1)
    current, count = root, 1
    errors: list[tuple[int, int]] = []
    for line, text in _logical(source.decode("utf-8", "backslashreplace")):
        stripped = text.strip()
        if not stripped or stripped[0] in "#!;":
            continue
        count += 3
        if stripped.startswith("[") and stripped.endswith("]"):
            current = _node(Kind.MAP, "", line)
            root.children.append(_pair(stripped[1:-1].strip(), current, line))
            continue
        match = _KEY_VALUE.match(text)
        if match is None:
            errors.append((line, line))
            continue
        value = match.group(2).strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            node = _node(Kind.STRING, value[1:-1], line)
        elif "," in value and " " not in value.replace(", ", ","):
            node = _node(Kind.SEQUENCE, "list", line, [scalar(one, line) for one in value.split(",") if one.strip()])
        else:
            node = scalar(value, line)
        current.children.append(_pair(unescape(match.group(1)), node, line))
    return Read(root, tuple(errors), count)


class _Hocon:
    """One pass over the tokens with a stack of its own: nesting costs no recursion."""

    def __init__(self, text: str) -> None:
        self.root = _node(Kind.MAP, "", 1)
        self.stack = [self.root]
        self.key: list[str] = []
        self.value: list[tuple[str, str]] = []
        self.given = False
        self.line = 1
        self.count = 1
        self.errors: list[tuple[int, int]] = []
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or "other"
            self._take(kind, match.group())
            self.line += match.group().count("\n")
        self._flush()
        if len(self.stack) > 1:
            self.errors.append((self.line, self.line))

    def _take(self, kind: str, text: str) -> None:
        if kind == "comment":
            return
        self.count += 1
        if kind == "newline":
            self._flush()
        elif kind == "mark":
            self._mark(text)
        elif kind == "space":
            if self.value:
                self.value.append((kind, text))
        elif kind == "other":
            self.errors.append((self.line, self.line))
        elif self.given or self.stack[-1].kind is Kind.SEQUENCE:
            self.value.append((kind, text))
        else:
            self.key.append(text[1:-1] if kind == "quoted" else text)

    def _mark(self, mark: str) -> None:
        if mark == ",":
            self._flush()
        elif mark in {"=", ":", "+="} and self.key and not self.given:
            self.given = True
        elif mark in {"{", "["}:
            self._open(Kind.MAP if mark == "{" else Kind.SEQUENCE)
        elif mark in {"}", "]"}:
            self._close(Kind.MAP if mark == "}" else Kind.SEQUENCE)
        elif self.given:
            self.value.append(("word", mark))
        else:
            self.errors.append((self.line, self.line))

    def _open(self, kind: Kind) -> None:
        inner = _node(kind, "list" if kind is Kind.SEQUENCE else "", self.line)
        if self.stack[-1].kind is Kind.SEQUENCE:
            self.stack[-1].children.append(inner)
        elif self.key:
            self.stack[-1].children.append(_pair(" ".join(self.key), inner, self.line))
        elif len(self.stack) == 1 and kind is Kind.MAP and not self.root.children:
            inner = self.root
        else:
            self.stack[-1].children.append(inner)
        self.key, self.value, self.given = [], [], False
        self.stack.append(inner)

    def _close(self, kind: Kind) -> None:
        self._flush()
        self.key, self.value, self.given = [], [], False
        if len(self.stack) > 1 and self.stack[-1].kind is kind:
            self.stack.pop().end_line = self.line
        else:
            self.errors.append((self.line, self.line))

    def _flush(self) -> None:
        """End a value at a newline, comma or bracket."""
        if self.given and not self.value:
            return  # the value stands on the next line
        if self.value:
            node = self._scalar()
            if self.stack[-1].kind is Kind.SEQUENCE:
                self.stack[-1].children.append(node)
            else:
                self.stack[-1].children.append(_pair(" ".join(self.key), node, self.line))
        elif self.key:
            if self.key[0] != "include":
                self.errors.append((self.line, self.line))
            else:
                self.stack[-1].children.append(
                    _pair("include", _node(Kind.STRING, " ".join(self.key[1:]), self.line), self.line)
                )
        self.key, self.value, self.given = [], [], False

    def _scalar(self) -> Node:
        parts = self.value
        while parts and parts[-1][0] == "space":
            parts.pop()
        if len(parts) == 1 and parts[0][0] in {"quoted", "long"}:
            kind, text = parts[0]
            inner = text[3:-3] if kind == "long" else unescape(text[1:-1])
            return _node(Kind.STRING, inner, self.line)
        text = "".join(text for _, text in parts)
        if any(kind == "substitution" for kind, _ in parts):
            return _node(Kind.NAME, text, self.line)
        return scalar(text, self.line)


def read_hocon(source: bytes) -> Read:
    """HOCON without includes and substitutions resolved: those are names."""
    reader = _Hocon(source.decode("utf-8", "backslashreplace"))
    return Read(reader.root, tuple(reader.errors), reader.count)


def _too_deep(source: bytes) -> str | None:
    depth = most = 0
    for byte in source:
        if byte in b"{[":
            depth += 1
            most = max(most, depth)
        elif byte in b"}]":
            depth -= 1
    return f"nested deeper than {_DEEPEST} levels" if most > _DEEPEST else None


HOCON = Table(
    name="hocon", title="HOCON", suffixes=(".conf", ".hocon"), config=True, refuse=_too_deep, reader=read_hocon
)
PROPERTIES = Table(
    name="properties",
    title="properties",
    suffixes=(".properties", ".ini", ".cfg", ".env"),
    config=True,
    reader=read_properties,
)
