# SPDX-License-Identifier: Apache-2.0
"""The report as Markdown, read back by a parser that is not ours: what comes from a change is never markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evidence import VERSION, Location, Severity
from reports import report_document, report_markdown, visible
from reports.markdown import code, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARSER = MarkdownIt("gfm-like", {"linkify": False, "html": True})  # what would be linked is tried by itself
MARKUP = st.text(
    st.sampled_from("`*_[]()!<>|#@~&\\/:.-+= \n\t1aé\u202e") | st.characters(exclude_categories=("Cs",)), max_size=40
)


def leaves(text: str) -> list[tuple[str, str]]:
    """(kind, content) of every inline leaf that the parser sees, blocks that hold none of them included."""
    found = []
    for token in PARSER.parse(text):
        if token.type == "inline":
            found += [(leaf.type, leaf.content) for leaf in token.children or ()]
        elif token.type in {"html_block", "fence", "code_block"}:
            found.append((token.type, token.content))
    return [leaf for leaf in found if leaf != ("text", "")]


@given(MARKUP)
def test_foreign_text_is_one_code_span(text: str) -> None:
    line = re.sub("`{9,}", lambda run: f"⟦` {len(run.group())} times⟧", " ".join(visible(text).split()))
    expected = [("text", "x "), ("code_inline", line), ("text", " y")]
    assert "`" * 10 not in code(text)  # some parsers know no longer fence than 80
    assert leaves(f"x {code(text)} y") == (expected if line else [("text", "x  y")])


@given(MARKUP)
def test_our_own_sentences_are_text_whatever_stands_in_them(text: str) -> None:
    found = leaves(f"x {plain(text)} y")
    assert {kind for kind, _ in found} <= {"text", "text_special", "code_inline"}
    shown = re.sub("⟦` ([0-9]+) times⟧", lambda run: "`" * int(run.group(1)), "".join(content for _, content in found))
    assert shown.split() == ["x", *visible(text).split(), "y"]


@pytest.mark.parametrize(
    "word",
    ["@team", "http://a.example/", "www.a.example", "a@b.example", "GH-12", "#12", ":tada:", "owner/name#3", "0a1b2c3"],
)
def test_what_a_host_would_link_is_code(word: str) -> None:
    assert leaves(f"x {plain(word)} y") == [("text", "x "), ("code_inline", word), ("text", " y")]


def test_it_says_verdict_findings_cells_and_what_is_not_known(
    manifest: Mapping[str, Any],
    diff: Callable[..., Any],
    audit: Callable[..., Any],
    cell: Callable[..., Any],
    finding: Callable[..., Any],
) -> None:
    moved = finding("A weight changed", Severity.HIGH, location=Location("rank.py", 7))
    one = diff(findings=[moved], not_analysed=[{"path": "m.bin", "reason": "binary"}], verdict="fail")
    two = audit(cell(verdict="amplified", ratio=1.25, slice="a | b"), cell(), verdict="fail")
    text = report_markdown(report_document(manifest, one, two, title="Tidy *up* @somebody"))
    assert text.startswith("# ✕ fail: `Tidy *up* @somebody`\n")
    assert "**high**" in text
    assert "at `rank.py:7`" in text
    assert "- ▲ **amplified** `a | b` for `everyone`: 1.25" in text
    assert "- Not analysed: `m.bin`: `binary`" in text
    assert text == report_markdown(report_document(manifest, one, two, title="Tidy *up* @somebody"))


def test_what_is_not_there_is_said_and_what_is_too_much_is_counted(
    manifest: Mapping[str, Any], diff: Callable[..., Any], finding: Callable[..., Any]
) -> None:
    text = report_markdown(report_document(manifest, diff(), None))
    assert text.startswith("# ? inconclusive: `a change`\n")
    assert "No rule found anything to look at." in text
    assert "Neither version was run" in text
    many = [
        finding(f"{number} " + "`" * number + "x" * 5000) | {"id": f"sha256:{number:064x}"} for number in range(1000)
    ]
    text = report_markdown(report_document(manifest, diff(findings=many), None))
    assert "And 975 more: see the report." in text
    wide = [finding("😀" * 500, location=Location("😀" * 500, 1), evidence={"old": "😀" * 500, "new": "`😀" * 500})
            | {"id": f"sha256:{number:064x}"} for number in range(100)]  # fmt: skip
    unread = [{"path": f"{number}{'😀`' * 300}", "reason": f"{number}{'😀`' * 300}"} for number in range(100)]
    text = report_markdown(report_document(manifest, diff(findings=wide, not_analysed=unread), None, title="😀" * 500))
    assert len(text.encode()) < 65_535
    assert text.count("see the report.") == 2
    assert text.endswith(f"Countersign {VERSION}\n")


def test_hostile_words_stay_words(
    manifest: Mapping[str, Any],
    diff: Callable[..., Any],
    audit: Callable[..., Any],
    cell: Callable[..., Any],
    finding: Callable[..., Any],
    hostile: str,
) -> None:
    nasty = f"{hostile} ![x](http://evil.example/y.png) </details> @team #1\n# heading\n- item"
    one = diff(findings=[finding(nasty, location=Location(nasty, 1), evidence={"old": nasty, "new": nasty})])
    one["not_analysed"] = [{"path": nasty, "reason": nasty}]
    two = audit(cell(slice=nasty, cohort={nasty: nasty}, verdict="amplified"), verdict="fail")
    text = report_markdown(report_document(manifest, one, two, title=nasty))
    kinds = {kind for kind, _ in leaves(text)}
    assert kinds <= {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
    assert "\u202e" not in text
    assert text.count("\n# ") == 0
