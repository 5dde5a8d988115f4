# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffing import FilePatch, Hunk, Line
from evidence import Location
from reports import file_anchor, file_views, finding_views, highlighted, visible

if TYPE_CHECKING:
    from collections.abc import Callable


def _text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


def test_rows_keep_sides_numbers_and_text(patch: Callable[..., Any]) -> None:
    _, made = patch("ranker.py", "a = 1\nb = 2\n", "a = 1\nb = 3\n")
    rows = highlighted(made)
    assert [(row.kind, row.old, row.new) for row in rows] == [
        ("@", None, None), (" ", 1, 1), ("-", 2, None), ("+", None, 2),
    ]  # fmt: skip
    assert [_text(row.html) for row in rows[1:]] == ["a = 1", "b = 2", "b = 3"]
    assert [row.anchor for row in rows] == ["", "R1", "L2", "R2"]


def test_what_changed_within_a_line_is_marked_as_a_whole_number(patch: Callable[..., Any]) -> None:
    _, made = patch("ranker.py", "weight = 8.0\n", "weight = 20.0\n")
    removed, added = highlighted(made)[1:]
    assert _text(re.search(r"<del>.*</del>", removed.html).group()) == "8.0"  # type: ignore[union-attr]
    assert _text(re.search(r"<ins>.*</ins>", added.html).group()) == "20.0"  # type: ignore[union-attr]


def test_lines_with_little_in_common_are_not_marked_word_by_word(patch: Callable[..., Any]) -> None:
    _, made = patch("ranker.py", "import os\n", "def score(item): return item.weight\n")
    assert not any("<ins>" in row.html or "<del>" in row.html for row in highlighted(made))


def test_code_is_coloured_by_class_and_markup_in_it_is_inert(patch: Callable[..., Any]) -> None:
    _, made = patch("ranker.py", "", 'x = "<script>alert(1)</script>"  # \u202enote\n')
    shown = highlighted(made)[1].html
    assert 'class="s"' in shown
    assert 'class="c"' in shown
    assert "<script" not in shown
    assert "style=" not in shown
    assert "⟦U+202E⟧" in shown


_LINES = st.lists(st.tuples(st.sampled_from("+- "), st.text(st.characters(), max_size=40)), max_size=12)


@given(_LINES, st.sampled_from([".py", ".yaml", ".json", ".md", ".unknown"]))
def test_whatever_the_lines_no_text_is_lost_or_becomes_markup(lines: list[tuple[str, str]], suffix: str) -> None:
    made, old, new = [], 0, 0
    for kind, text in lines:
        old, new = old + (kind != "+"), new + (kind != "-")
        kept = re.sub(r"[\n\x00-\x1f\ud800-\udfff]", "", text)
        made.append(Line(kind, old if kind != "+" else None, new if kind != "-" else None, kept))  # type: ignore[arg-type]
    rows = highlighted(FilePatch(f"a{suffix}", None, None, (Hunk(1, 1, tuple(made)),)))[1:]
    assert len(rows) == len(made)
    for row, line in zip(rows, made, strict=True):
        shown = re.sub(r'</?(?:ins|del)>|<span class="[a-z-]+"(?: title="[^"<>]*")?>|</span>', "", row.html)
        assert "<" not in shown
        assert html.unescape(shown) == visible(line.text)


@pytest.mark.parametrize("text", ["(" * 5000, '"' * 400, "a" * 100_000, "\t" * 3000])
def test_a_long_line_is_cut_by_name_and_keeps_its_row(text: str) -> None:
    rows = highlighted(FilePatch("a.py", None, None, (Hunk(1, 1, (Line("+", None, 1, text),) * 20),)))
    assert len(rows) == 21
    assert ("more characters not shown" in rows[1].html) == (len(text) > 2000)


def test_findings_sit_on_their_lines_and_the_others_at_the_file(
    patch: Callable[..., Any], finding: Callable[..., Any]
) -> None:
    changed = patch("ranker.py", "a = 1\nb = 2\n", "a = 1\nb = 3\n")
    findings = finding_views([finding(), finding("Elsewhere", location=Location("ranker.py", 900), key=("far",))])
    (view,) = file_views([changed], findings)
    placed = {shown.row.anchor: [item.title for item in shown.findings] for shown in view.rows if shown.findings}
    assert placed == {"R2": ["A weight changed"]}
    assert [item.title for item in view.elsewhere] == ["Elsewhere"]
    assert findings[0].line == f"{file_anchor('ranker.py')}R2"


def test_past_the_page_files_are_named_as_not_shown(patch: Callable[..., Any]) -> None:
    first, second = patch("a.py", "", "x\n" * 9), patch("b.py", "", "y\n")
    views = list(file_views([first, second], (), rows_a_page=5))
    assert len(views[0].rows) == 5
    assert "the last 5 lines" in views[0].not_shown
    assert views[1].rows == ()
    assert "this page is full" in views[1].not_shown
