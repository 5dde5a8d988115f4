# SPDX-License-Identifier: Apache-2.0
"""Input that means harm, or is merely strange: bounded, named, never a crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffing._lines import compare_lines
from diffing._tree import MAX_NODES
from diffing.patches import MAX_LINE, MAX_LINES, patch_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._compare import Outcome

PIECES = [
    *(b"if ", b"==", b"1.5", b"'a'", b"  ", b"def f", b"- ", b"not ", b" in ", b"&a", b"*a", b"lambda ", b"f'{x}'"),
    *(b"for x in y", b"match x:\n case ", b"@a.com", b"weight", b"country", b"return ", b"class A:\n "),
]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.py", b"x = " + b"[" * 20_000 + b"]" * 20_000),
        ("a.py", b"score = " + b"f(" * 10_000 + b"1" + b")" * 10_000),
        ("a.py", b"score = a" + b" + a" * 10_000),
        ("a.py", b"score = " + b"not " * 10_000 + b"1"),
        ("a.py", b"score = a" + b'["b"]' * 10_000 + b' == "XX"'),
        ("a.py", b"a=" * 10_000 + b"1"),
        ("a.json", b"[" * 20_000 + b"]" * 20_000),
        ("a.yaml", b"{a: " * 10_000 + b"1" + b"}" * 10_000),
        ("a.toml", b"a = " + b"[" * 10_000 + b"]" * 10_000),
    ],
)
def test_nesting_costs_no_stack(path: str, content: bytes, compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(b"", content, path)
    assert [file.path for file in outcome.files] == [path]


def test_yaml_nested_beyond_what_its_grammar_survives_never_reaches_it(compare_one: Callable[..., Outcome]) -> None:
    for content in (
        b"".join(b" " * level + b"a:\n" for level in range(600)),
        b"- " * 600 + b"a\n",
        b"? " * 600 + b"a\n",
        b": - " * 400 + b"a\n",
    ):
        outcome = compare_one(b"a: 1\n", content, "a.yaml")
        assert [entry.reason for entry in outcome.not_analysed] == ["nested deeper than 100 levels"]


def test_a_file_of_more_syntax_than_is_read_is_named(compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(b"[]", b"[" + b"1," * (MAX_NODES // 2) + b"1]", "a.json")
    (entry,) = outcome.not_analysed
    assert "syntax nodes" in entry.reason
    assert not entry.excused


def test_a_list_of_many_thousand_entries_is_read(compare_one: Callable[..., Outcome]) -> None:
    members = ", ".join(f'"acct_{number}"' for number in range(20_000))
    outcome = compare_one("ACCOUNTS = []", f"ACCOUNTS = [{members}]")
    (finding,) = outcome.findings
    assert (finding.rule, finding.evidence["count"], len(finding.evidence["sample"])) == (
        "identity-list-added",
        20_000,
        10,
    )


def test_many_findings_of_a_rule_are_counted(compare_one: Callable[..., Outcome]) -> None:
    before = "".join(f"w_{number} = {number}\n" for number in range(1, 400))
    after = "".join(f"w_{number} = {number + 1}\n" for number in range(1, 400))
    outcome = compare_one(before, after)
    assert len(outcome.findings) == 101
    assert sum(finding.evidence.get("count", 1) for finding in outcome.findings) == 399


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"x = 1\0\n", "NUL"),
        (b"# -*- coding: utf-7 -*-\nx = 1\n", "utf-7"),
        (b"#!/usr/bin/python\n# vim: set fileencoding=rot13 :\nx = 1\n", "rot13"),
    ],
)
def test_source_that_reads_otherwise_than_it_runs_is_refused(
    content: bytes, word: str, compare_one: Callable[..., Outcome]
) -> None:
    outcome = compare_one(b"x = 1\n", content)
    assert word in outcome.not_analysed[0].reason
    assert "parse-failed" in {finding.rule for finding in outcome.findings}


def test_bytes_that_are_no_utf8_are_read(compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(b'name = "caf\xe9"\nshare_weight = 1.0\n', b'name = "caf\xe8"\nshare_weight = 1.5\n')
    assert [finding.rule for finding in outcome.findings] == ["literal-changed", "literal-changed"]
    json.dumps([finding.to_json() for finding in outcome.findings]).encode()


def test_a_lone_carriage_return_does_not_hide_code(compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(b"share_weight = 1.0\n", b"# note\rshare_weight = 9.0\n")
    assert {finding.rule for finding in outcome.findings} == {"literal-changed", "invisible-characters"}


def test_numbers_beyond_what_json_carries(compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(
        f"a_weight = {10**30}\nb_weight = 1\nc_weight = 1\n",
        f"a_weight = {10**31}\nb_weight = 1e999\nc_weight = 1{'0' * 5000}\n",
    )
    for finding in outcome.findings:
        json.dumps(finding.to_json(), allow_nan=False)
        assert finding.id


def test_an_empty_file_is_analysed(compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(None, b"", "pkg/__init__.py")
    assert (outcome.findings, outcome.not_analysed) == ([], [])


@pytest.mark.parametrize("path", ["a.py", "a.yaml", "a.toml", "a.json", "a.md", "list.txt"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_crash_the_comparison(path: str, data: st.DataObject, compare_one: Callable[..., Outcome]) -> None:
    bits = st.one_of(st.sampled_from(PIECES), st.sampled_from(b"x=(),[]{}:-\n\r\0\xff").map(lambda one: bytes([one])))
    sides = st.one_of(st.binary(max_size=200), st.lists(bits, max_size=40).map(b"".join))
    outcome = compare_one(data.draw(sides), data.draw(sides), path)
    json.dumps([finding.to_json() for finding in outcome.findings], allow_nan=False)


@given(
    old=st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=12),
    new=st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=12),
)
def test_a_line_diff_rebuilds_head_and_is_shortest(old: list[bytes], new: list[bytes]) -> None:
    diff = compare_lines(old, new)
    rebuilt, at = [], 0
    for run in diff.runs:
        rebuilt += old[at : run.old_start] + new[run.new_start : run.new_end]
        at = run.old_end
    assert rebuilt + old[at:] == new
    lengths = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for row, one in enumerate(old):
        for column, other in enumerate(new):
            lengths[row + 1][column + 1] = (
                lengths[row][column] + 1 if one == other else max(lengths[row][column + 1], lengths[row + 1][column])
            )
    assert len(old) - diff.removed == lengths[-1][-1] == len(new) - diff.added


def test_patches_are_cut_by_name() -> None:
    many = patch_of("a", None, b"", b"x\n" * (MAX_LINES + 10))
    assert sum(len(hunk.lines) for hunk in many.hunks) == MAX_LINES
    assert many.truncated is not None
    long = patch_of("a", None, b"", b"x" * (MAX_LINE * 3))
    assert len(long.hunks[0].lines[0].text) == MAX_LINE + 1
    assert long.truncated is not None
    assert patch_of("a", None, b"", b"\0").truncated == "Not shown: a binary file."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("\u0441\u043e\u0440\u0435", "lookalike"),  # Cyrillic through and through
        ("\uff53core", "lookalike"),  # a full-width letter: Python reads "score"
        ("sc\u043ere", "mixed"),
        ("\u043f\u0440\u0438\u0432\u0435\u0442", None),  # a Russian word
        ("\u00e9tat", None),
    ],
)
def test_names_that_pass_for_others_are_found(name: str, kind: str | None, compare_one: Callable[..., Outcome]) -> None:
    found = [
        one for one in compare_one("x = 1\n", f"x = 1\n{name} = 2\n").findings if one.rule == "invisible-characters"
    ]
    assert [finding.evidence["kind"] for finding in found] == ([kind] if kind else [])
    again = compare_one(f"{name} = 2\n", f"{name} = 2\ny = 3\n").findings
    assert not [finding for finding in again if finding.rule == "invisible-characters"]


def test_a_file_of_pkl_is_no_pickle_and_a_pickle_named_so_is(compare_one: Callable[..., Outcome]) -> None:
    language = compare_one(None, b'amends "package://pkg.example/Config.pkl"\nhooks {}\n', "hk.pkl")
    assert [entry.category for entry in language.not_analysed] == ["language"]
    assert not language.findings
    for hostile in (b"cos\nsystem\n(S'id'\ntR.", b"amends\0\x80\x04.", b"\x80\x04N.", b"(dp0\n."):
        outcome = compare_one(None, hostile, "hk.pkl")
        assert {finding.rule for finding in outcome.findings} == {"unsafe-artifact"}
