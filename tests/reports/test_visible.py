# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import visible, visible_html
from reports.visible import hidden_characters


@pytest.mark.parametrize(
    "character", ["\u202e", "\u200b", "\u2066", "\ufeff", "\x00", "\x1b", "\r", "\u00ad", "\u3164"]
)
def test_a_character_that_cannot_be_seen_is_written_out(character: str) -> None:
    assert visible(f"a{character}b") == f"a⟦U+{ord(character):04X}⟧b"


@pytest.mark.parametrize("text", ["plain", "tab\tand\nline", "Füße", "日本語", "e\u0301", "😀", "1\u202f%"])
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_path_that_is_not_utf8_is_shown_by_its_bytes() -> None:
    assert visible(b"caf\xe9.py".decode("utf-8", "surrogateescape")) == "caf⟦\\xe9⟧.py"


@given(st.text(st.characters()))
def test_whatever_the_text_it_can_be_sent_and_hides_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not hidden_characters().search(shown)


def test_markup_is_escaped_around_what_is_written_out() -> None:
    html = visible_html("<b>\u202e</b>")
    assert "<b>" not in html
    assert '<span class="hidden-char" title="right-to-left override">⟦U+202E⟧</span>' in html
