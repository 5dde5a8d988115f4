# SPDX-License-Identifier: Apache-2.0
"""A structured diff as rows to read: highlighted by syntax, changed words marked, hidden characters shown.

The code is hostile. Only lexers named here are used, chosen by the file's extension and never by its content; long
lines and large patches are shown plain, since a lexer's regular expressions can be made to run for long
(CVE-2021-20270). What a hunk cannot show, a string that began above it, is coloured as if it began there.
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, String

from evidence import sha256_hex
from reports.visible import visible_html
from reports.words import DASH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pygments.lexer import Lexer
    from pygments.token import _TokenType

    from diffing import FilePatch, Hunk, Line

_LEXERS: Final[Mapping[str, str]] = {
    ".py": "python", ".pyi": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json",
    ".ini": "ini", ".cfg": "ini", ".conf": "ini", ".properties": "properties", ".sql": "sql", ".sh": "bash",
    ".js": "javascript", ".mjs": "javascript", ".ts": "typescript", ".tsx": "tsx", ".java": "java", ".kt": "kotlin",
    ".scala": "scala", ".go": "go", ".rs": "rust", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp",
    ".rb": "ruby", ".html": "html", ".css": "css", ".md": "markdown", ".xml": "xml", ".proto": "protobuf",
}  # fmt: skip
# Six colours are enough to read by; each covers every token type below it.
_CLASSES: Final[tuple[tuple[_TokenType, str], ...]] = (
    (Comment, "c"),
    (String, "s"),
    (Number, "m"),
    (Keyword, "k"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Decorator, "f"),
    (Name.Builtin, "b"),
    (Name.Tag, "f"),
)
_LONGEST_LINE: Final = 2_000  # characters that are shown of one line
_LONGEST_LEXED: Final = 500  # a longer line anywhere leaves its hunk plain
_LARGEST_LEXED: Final = 100_000  # characters of one side of a hunk
_MOST: Final = 0.7  # share of a line beyond which marking what changed says nothing
_WORD: Final = re.compile(r"\d+(?:\.\d+)+|\w+|\s+|.")


class Span(NamedTuple):
    """A piece of a line: its text, its highlighting class ("" for none) and whether it is what changed."""

    text: str
    kind: str
    changed: bool


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One row of the diff table.

    ``kind`` is ``" "``, ``"+"`` or ``"-"``; for the row that names what a hunk skips it is ``"@"`` and ``html`` says
    so. ``old`` and ``new`` are line numbers from 1, None on the side that lacks the line. ``html`` is escaped.
    """

    kind: str
    old: int | None
    new: int | None
    html: Markup

    @property
    def anchor(self) -> str:
        """``L12`` for a line of the base that is gone, ``R12`` for a line of the head, empty for a skip."""
        if self.kind == "@":
            return ""
        return f"L{self.old}" if self.kind == "-" else f"R{self.new}"


def file_anchor(path: str) -> str:
    """The anchor of a file on a page: short, stable, and free of whatever the path holds."""
    return f"f{sha256_hex(path.encode('utf-8', 'surrogateescape'))[:12]}"


def highlighted(patch: FilePatch) -> tuple[DiffRow, ...]:
    """The rows of a patch for one table, in order, with a row before each hunk that says where it stands."""
    lexer = _lexer(PurePosixPath(patch.path).suffix.lower())
    rows: list[DiffRow] = []
    for hunk in patch.hunks:
        rows.append(DiffRow("@", None, None, _where(hunk)))
        rows += _hunk_rows(hunk, lexer)
    return tuple(rows)


def _where(hunk: Hunk) -> Markup:
    olds = sum(line.kind != "+" for line in hunk.lines)
    news = sum(line.kind != "-" for line in hunk.lines)
    return Markup("base {}, head {}").format(_extent(hunk.old_start, olds), _extent(hunk.new_start, news))


def _extent(start: int, length: int) -> str:
    if length == 0:
        return "no lines"
    return f"line {start}" if length == 1 else f"lines {start}{DASH}{start + length - 1}"


@functools.cache
def _lexer(suffix: str) -> Lexer | None:
    name = _LEXERS.get(suffix)
    return get_lexer_by_name(name, stripnl=False, ensurenl=False) if name else None


def _hunk_rows(hunk: Hunk, lexer: Lexer | None) -> Iterator[DiffRow]:
    old = _lexed([line.text for line in hunk.lines if line.kind != "+"], lexer)
    new = _lexed([line.text for line in hunk.lines if line.kind != "-"], lexer)
    olds, news = iter(old), iter(new)
    spans: list[Sequence[Span]] = []
    for line in hunk.lines:
        if line.kind == " ":
            next(olds)
        spans.append(next(olds if line.kind == "-" else news))
    _mark_words(hunk.lines, spans)
    for line, pieces in zip(hunk.lines, spans, strict=True):
        yield DiffRow(line.kind, line.old, line.new, _markup(line.kind, pieces))


def _lexed(lines: list[str], lexer: Lexer | None) -> list[list[Span]]:
    """Each line in highlighted spans; plain where there is no lexer or the text is not one to trust a lexer with."""
    plain = [[Span(line, "", changed=False)] for line in lines]
    text = "\n".join(lines)
    if lexer is None or len(text) > _LARGEST_LEXED or any(len(line) > _LONGEST_LEXED for line in lines):
        return plain
    if any(character in text for character in "\r\0\ufeff"):
        return plain  # lexers normalise these away, and then lines no longer match
    result: list[list[Span]] = [[]]
    for token, value in lexer.get_tokens(text):
        kind = _class(token)
        for number, part in enumerate(value.split("\n")):
            if number:
                result.append([])
            if part:
                result[-1].append(Span(part, kind, changed=False))
    joined = ["".join(span.text for span in spans) for spans in result]
    return result if joined == lines else plain


def _within(token: _TokenType, kind: _TokenType) -> bool:
    return token[: len(kind)] == kind


@functools.lru_cache(maxsize=512)
def _class(token: _TokenType) -> str:
    return next((name for kind, name in _CLASSES if _within(token, kind)), "")


def _mark_words(lines: Sequence[Line], spans: list[Sequence[Span]]) -> None:
    """Mark what differs within each removed line and the added line that replaces it."""
    start = 0
    for kind, group in itertools.groupby(lines, key=lambda line: line.kind):
        size = len(list(group))
        end = start + size
        added = sum(1 for _ in itertools.takewhile(lambda line: line.kind == "+", lines[end:]))
        if kind == "-":
            for offset in range(min(size, added)):
                removed_at, added_at = start + offset, end + offset
                marks = _changed(lines[removed_at].text, lines[added_at].text)
                if marks:
                    spans[removed_at] = _split(spans[removed_at], marks[0])
                    spans[added_at] = _split(spans[added_at], marks[1])
        start = end


class _Range(NamedTuple):
    """Characters of a line from ``start`` up to ``stop``."""

    start: int
    stop: int


def _changed(old: str, new: str) -> tuple[_Range, _Range] | None:
    """What differs between the words both lines begin and end with; None where that is most of them.

    Linear in the line, unlike a longest common subsequence, which hostile lines can make slow.
    """
    olds, news = _WORD.findall(old), _WORD.findall(new)
    shorter = min(len(olds), len(news))
    head = next((at for at in range(shorter) if olds[at] != news[at]), shorter)
    tail = next((at for at in range(shorter - head) if olds[-1 - at] != news[-1 - at]), shorter - head)
    start = sum(map(len, olds[:head]))
    rest = sum(map(len, olds[len(olds) - tail :]))
    removed, added = _Range(start, len(old) - rest), _Range(start, len(new) - rest)
    noise = max(removed.stop, added.stop) - start > _MOST * max(len(old.strip()), len(new.strip()))
    return None if noise else (removed, added)


def _split(spans: Sequence[Span], changed: _Range) -> list[Span]:
    """The spans cut at the ends of a range, with what lies inside marked as changed."""
    result: list[Span] = []
    position = 0
    for span in spans:
        end = position + len(span.text)
        edges = [position, *(cut for cut in changed if position < cut < end), end]
        for low, high in itertools.pairwise(edges):
            inside = changed.start <= low and high <= changed.stop
            result.append(Span(span.text[low - position : high - position], span.kind, inside))
        position = end
    return result


def _markup(kind: str, spans: Sequence[Span]) -> Markup:
    tag = "del" if kind == "-" else "ins"
    parts: list[str] = []
    room = _LONGEST_LINE
    for changed, group in itertools.groupby(spans, key=lambda span: span.changed):
        inner = ""
        for span in group:
            text = visible_html(span.text[:room])
            room -= min(room, len(span.text))
            inner += f'<span class="{span.kind}">{text}</span>' if span.kind and text else str(text)
        parts.append(f"<{tag}>{inner}</{tag}>" if changed and kind != " " and inner else inner)
    cut = sum(len(span.text) for span in spans) - _LONGEST_LINE
    if cut > 0:
        parts.append(f'<span class="cut">{escape(f" … {cut:,} more characters not shown")}</span>')
    return Markup("".join(parts))  # noqa: S704 - every text went through visible_html or escape
