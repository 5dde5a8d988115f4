# SPDX-License-Identifier: Apache-2.0
"""Hostile text made harmless to the eye: what would not be seen, or would reorder what is, is written out.

Bidirectional controls can make a line read differently from what runs (Boucher and Anderson 2021, "Trojan Source",
CVE-2021-42574); zero-width and control characters can hide in names. Each becomes its code point between white
brackets. Look-alike letters of other alphabets are not treated here: a finding names those.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from markupsafe import Markup, escape

_SURROGATE_BYTES = range(0xDC80, 0xDD00)  # PEP 383: a byte of a path that is not UTF-8


@functools.cache
def hidden_characters() -> re.Pattern[str]:
    """A pattern of every character that shows nothing, or moves what stands around it."""
    hidden = {
        code
        for code in (*range(0x20000), *range(0xE0000, 0xE0200))  # between them: ideographs and unassigned
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }
    hidden |= {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}  # variation selectors
    hidden |= {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x034F}  # letters and marks that draw nothing
    hidden -= {0x09, 0x0A}
    spans: list[list[int]] = []
    for code in sorted(hidden):
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return re.compile("[" + "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in spans) + "]")


def _marker(character: str) -> str:
    code = ord(character)
    return f"⟦\\x{code - 0xDC00:02x}⟧" if code in _SURROGATE_BYTES else f"⟦U+{code:04X}⟧"


def visible(text: str) -> str:
    """``text`` with every hidden character written out, ``⟦U+202E⟧``; a byte that is not UTF-8 by its value.

    Tabs and line feeds stay. The result always encodes to UTF-8. It is text: markup in it is not escaped.
    """
    return hidden_characters().sub(lambda match: _marker(match.group()), text)


def visible_html(text: str) -> Markup:
    """``text`` escaped for HTML, hidden characters in a marked span that names them."""
    parts: list[Markup] = []
    last = 0
    for match in hidden_characters().finditer(text):
        parts.append(escape(text[last : match.start()]))
        parts.append(
            Markup('<span class="hidden-char" title="{}">{}</span>').format(
                _name(match.group()), _marker(match.group())
            )
        )
        last = match.end()
    parts.append(escape(text[last:]))
    return Markup("").join(parts)


def _name(character: str) -> str:
    if ord(character) in _SURROGATE_BYTES:
        return "a byte that is not UTF-8"
    return unicodedata.name(character, "control character").lower()


def shortened(text: str, limit: int) -> str:
    """``text`` made visible and cut to ``limit`` characters, with an ellipsis where something was cut."""
    shown = visible(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
