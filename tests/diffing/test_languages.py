# SPDX-License-Identifier: Apache-2.0
"""What each language gives: facts beside broken lines, lines of notebooks, shapes that grammars do not tell."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffing._reading import facts_of, parse
from diffing._tree import TooManyNodesError, lower
from diffing.languages import BY_SUFFIX, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._compare import Outcome
    from diffing._facts import Facts

CORPUS = Path(__file__).parent / "corpus"
SOURCES: dict[str, str] = tomllib.loads((CORPUS / "controls_languages.toml").read_text("utf-8"))["sources"]
BROKEN = {
    "Ranker.scala": "\n  def broken(x: = {\n",
    "Ranker.java": "\n  double broken( {\n",
    "Ranker.kt": "\nfun broken(x: {\n",
    "rank.rs": "\nfn broken( -> {\n",
    "rank.go": "\nfunc broken( {\n",
    "rank.cc": "\ndouble broken( {\n",
    "rank.ts": "\nfunction broken( {\n",
    "rank.js": "\nfunction broken( {\n",
    "ranker.rb": "\ndef broken(\n  )) end\n",
    "rank.sql": "\nSELECT FROM WHERE ((;\n",
    "rank.conf": "\n}}\n",
}
OPENING = {
    "a.scala": b"val x = " + b"f(" * 4000,
    "a.java": b"class A { int x = " + b"(" * 4000,
    "a.kt": b"val x = " + b"f(" * 4000,
    "a.rs": b"fn f() { x" + b" { x" * 4000,
    "a.go": b"package a\nvar x = " + b"[]int{" * 4000,
    "a.cc": b"int x = " + b"(" * 4000,
    "a.ts": b"const x = " + b"[" * 4000 + b"]" * 4000,
    "a.js": b"x = " + b"a ? b : " * 4000 + b"c",
    "a.rb": b"x = " + b"[" * 4000 + b"]" * 4000,
    "a.sql": b"SELECT " + b"(" * 4000 + b"1" + b")" * 4000,
    "a.conf": b"a {" * 4000,
    "a.properties": b"a\\\n" * 4000,
    "a.md": b"> " * 4000 + b"a\n",
    "a.ipynb": b'{"cells": ' + b"[" * 4000,
}


def facts(path: str, source: str) -> Facts:
    return facts_of(parse(path, source.encode(), BY_SUFFIX[path[path.rindex(".") :]]), {})


def values(read: Facts) -> dict[str, object]:
    return {literal.name: literal.value for literal in read.literals}


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_line_is_named_and_the_rest_is_read(path: str, compare_one: Callable[..., Outcome]) -> None:
    before = SOURCES[path]
    outcome = compare_one(before, before.replace("2.5", "10.0", 1) + BROKEN[path], path)
    rules = {finding.rule for finding in outcome.findings}
    assert {"parse-failed", "literal-changed"} <= rules
    assert [entry.category for entry in outcome.not_analysed] == ["syntax"]
    (moved,) = (finding for finding in outcome.findings if finding.rule == "literal-changed")
    assert moved.evidence["ratio"] == 4.0


@pytest.mark.parametrize("path", SOURCES)
def test_the_sources_of_the_corpus_parse(path: str) -> None:
    assert lower(SOURCES[path].encode(), BY_SUFFIX[path[path.rindex(".") :]]).errors == ()


@pytest.mark.parametrize("path", OPENING)
def test_nesting_is_bounded_in_every_language(path: str, compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(b"", OPENING[path], path)
    assert [file.path for file in outcome.files] == [path]


def test_a_line_of_a_notebook_is_the_line_of_the_file(compare_one: Callable[..., Outcome]) -> None:
    after = SOURCES["rank.ipynb"].replace("share_weight = 2.5", "share_weight = 10.0")
    outcome = compare_one(SOURCES["rank.ipynb"], after, "rank.ipynb")
    (finding,) = outcome.findings
    assert finding.location is not None
    assert "share_weight = 10.0" in after.split("\n")[finding.location.line - 1]


def test_a_notebook_of_one_text_a_cell_is_read() -> None:
    cell = {"cell_type": "code", "source": "%%time\nignored = 1"}
    other = {"cell_type": "code", "source": "share_weight = 2.5\nshare_cap = 3"}
    assert values(facts("a.ipynb", json.dumps({"cells": [cell, other]}))) == {"share_weight": 2.5, "share_cap": 3}


def test_a_notebook_in_another_language_is_named(compare_one: Callable[..., Outcome]) -> None:
    document = {"cells": [], "metadata": {"language_info": {"name": "R"}}}
    outcome = compare_one(None, json.dumps(document), "a.ipynb")
    assert [(entry.category, entry.reason) for entry in outcome.not_analysed] == [
        ("notebook", "a notebook with cells in r")
    ]


def test_hocon_is_read_by_path() -> None:
    read = facts("a.conf", 'a.b { c = 1, d : "x y" # note\n e = [1, 2]\n f {g = ${x}"/y"}\n h = 5 seconds }\nk += 3\n')
    assert values(read) == {"a.b.c": 1, "a.b.d": "x y", "a.b.e": (1, 2), "a.b.h": "5 seconds", "k": 3}


def test_properties_sections_and_continued_lines() -> None:
    read = facts("a.ini", "[ranking]\nshare.weight = 2.5\nlong = a\\\n  b\n! note\n")
    assert values(read) == {"ranking.share.weight": 2.5, "ranking.long": "ab"}


def test_go_binds_before_it_asks() -> None:
    read = facts(
        "a.go", "package a\nfunc score() float64 {\n\tif v, ok := boosts[k]; ok && v > 1.5 {\n\t}\n\treturn 0\n}\n"
    )
    assert [condition.text for condition in read.conditions] == ["ok && v > 1.5"]


def test_sql_sets_what_it_inserts_and_updates() -> None:
    read = facts("a.sql", "INSERT INTO w (k, v) VALUES ('share', 8);\nUPDATE w SET v = 20 WHERE k = 'like';\n")
    assert values(read) == {"w.share": 8, "w.like": 20}


def test_a_switch_without_a_subject_is_a_row_of_conditions() -> None:
    read = facts("a.kt", "fun score(a: Int): Int { when { a > 3 -> return 1 } \n return 0 }\n")
    assert [condition.text for condition in read.conditions] == ["a > 3"]


def test_every_table_has_a_way_to_read() -> None:
    assert all(table.grammar or table.reader or table.embedded for table in TABLES)
    assert len({table.name for table in TABLES}) >= 17


def test_an_own_reader_is_bounded_too() -> None:
    for suffix in (".properties", ".conf"):
        with pytest.raises(TooManyNodesError, match="limit of 100"):
            lower(b"a=1\n" * 100, BY_SUFFIX[suffix], limit=100)


PIECES = [
    *("val ", "def f(", "fn f(", "func f(", "match ", "when {", "switch {", "case ", " -> ", "=>", "::", "{", "}", "("),
    *(")", "[", "]", ";", ",", '"', "'", "`", "|", "#{", "${", "=", "+=", "&&", "!", "?", "1.5", "_", "if ", "else "),
    *("SELECT ", "WHERE ", "INSERT INTO w VALUES (", "CASE WHEN ", "END", "%w[", ":a", "@b", "| a | 1 |\n|--|--|\n"),
    *("\n", "\\\n", "# a\n", "score", "weight", "return ", "class A", "const ", "template<", "#define A 1\n"),
]


@pytest.mark.parametrize("suffix", sorted({table.suffixes[0] for table in TABLES}))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_text_crashes_a_language(suffix: str, data: st.DataObject, compare_one: Callable[..., Outcome]) -> None:
    text = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join)
    sides = [data.draw(text).encode("utf-8", "surrogatepass") for _ in range(2)]
    outcome = compare_one(*sides, f"a{suffix}")
    json.dumps([finding.to_json() for finding in outcome.findings], allow_nan=False)
