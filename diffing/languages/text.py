# SPDX-License-Identifier: Apache-2.0
"""From a literal's source text to its value."""

from __future__ import annotations

import math
import re
from functools import lru_cache

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\n": "", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]{1,6}\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|\n)", re.DOTALL)
_PREFIX = re.compile(r"^([A-Za-z]{0,3})('''|\"\"\"|'|\")")
_BASED = re.compile(r"^[+-]?0[xXoObB]")
_RAW = re.compile(r"^b?r(#*)\"")
_SUFFIX = re.compile(r"(?:[iuf](?:8|16|32|64|128|size)|[uUlLfFdDn]{1,3})$")
_BASED_SUFFIX = re.compile(r"(?:[iu](?:8|16|32|64|128|size)|[uUlLn]{1,3})$")
_LONGEST_NUMBER = 300


def unescape(text: str) -> str:
    """``text`` with the escapes that C-like languages share replaced; unknown ones are kept as written."""
    return _ESCAPE.sub(_escape, text) if "\\" in text else text


def _escape(match: re.Match[str]) -> str:
    body = match.group(1)
    if len(body) > 1:
        code = int(body.strip("uUx{}"), 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else match.group(0)  # noqa: PLR2004 - Unicode's bounds
    return _ESCAPES.get(body, body if body in "\\'\"/" else match.group(0))


def quoted(text: str) -> str:
    """The value of a string literal with an optional prefix (``r``, ``b``, ``f`` …) in quotes of any kind."""
    match = _PREFIX.match(text)
    if match is None:
        return text
    prefix, quote = match.group(1).lower(), match.group(2)
    body = text[match.end() : -len(quote)] if text.endswith(quote) else text[match.end() :]
    value = body if "r" in prefix else unescape(body)
    return f"b:{value}" if "b" in prefix else value


def single_quoted_yaml(text: str) -> str:
    """The value of a YAML single-quoted scalar."""
    return text[1:-1].replace("''", "'")


def block_scalar(text: str) -> str:
    """The value of a YAML block scalar, its indentation removed; folding is not done."""
    _, _, body = text.partition("\n")
    return "\n".join(line.strip() for line in body.splitlines()).strip()


@lru_cache(maxsize=16_384)
def number(text: str) -> float | int | None:
    """The value of a numeric literal; None for what JSON cannot carry (complex, infinite, absurdly long)."""
    plain = text.replace("_", "").replace("'", "")
    plain = _BASED_SUFFIX.sub("", plain) if _BASED.match(plain) else _SUFFIX.sub("", plain)
    if len(plain) > _LONGEST_NUMBER:
        return None
    try:
        return int(plain, 0) if _BASED.match(plain) else int(plain)
    except ValueError:
        pass
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def raw_quoted(text: str) -> str:
    """The value of a string literal that may also be a raw one: Go's backticks, Rust's ``r#"…"#``."""
    if text.startswith("`"):
        return text[1:-1]
    match = _RAW.match(text)
    return text[match.end() : -len(match.group(1)) - 1] if match else quoted(text)


def symbol(text: str) -> str:
    """The name of a Ruby symbol, or of a hash key."""
    return text.strip(":").strip('"')


def sql_quoted(text: str) -> str:
    """The value of an SQL string."""
    return text[1:-1].replace(text[0] * 2, text[0])
