# SPDX-License-Identifier: Apache-2.0
"""Dependencies: what both sides declare and lock."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffing.dependencies._names import taken_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._compare import Outcome

CASES = tomllib.loads((Path(__file__).parent / "corpus/dependencies.toml").read_text("utf-8"))["case"]
OWN = {"dependency-added", "dependency-changed"}
PIECES = [
    *(
        "[[package]]\n",
        "name = 'a'\n",
        "version = 1\n",
        "[project]\n",
        "dependencies = [",
        '"a>=1"',
        "]",
        "-e ",
        "--hash=",
    ),
    *("{", "}", '"dependencies":', "require (", "\n", ")", "=>", "git+https://", "@", "%", '"x"', " ", ":"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_change_of_dependencies_gives_exactly_its_findings(
    case: dict[str, Any], compare_one: Callable[..., Outcome]
) -> None:
    outcome = compare_one(case["before"], case["after"], case["path"])
    found = [finding for finding in outcome.findings if finding.rule in OWN]
    said = [
        " ".join(filter(None, (one.severity, one.rule, one.evidence["name"], one.evidence.get("change"))))
        for one in found
    ]
    assert sorted(said) == sorted(case["expect"])
    assert not outcome.not_analysed
    assert all(finding.location and finding.location.line for finding in found)
    for key, value in case.get("evidence", {}).items():
        assert value in [finding.evidence.get(key) for finding in found], (key, value)
    assert not [
        finding for finding in outcome.findings if finding.rule.startswith("literal") and "ependenc" in finding.title
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_both_sides_the_same_give_nothing(case: dict[str, Any], compare_one: Callable[..., Outcome]) -> None:
    for side in (case["before"], case["after"]):
        outcome = compare_one(side, f"{side}\n", case["path"])
        assert not [finding for finding in outcome.findings if finding.rule in OWN]


def test_many_locked_versions_are_told_together(compare_one: Callable[..., Outcome]) -> None:
    before, after = ("".join(f"package{at}==1.{minor}\n" for at in range(40)) for minor in (0, 1))
    (finding,) = (one for one in compare_one(before, after, "requirements.txt").findings if one.rule in OWN)
    assert (finding.evidence["count"], finding.severity.value) == (40, "low")


def test_one_bad_name_among_many_stands_alone(compare_one: Callable[..., Outcome]) -> None:
    after = "".join(f"package{at}==1.0\n" for at in range(40)) + "requsets==1.0\n"
    found = [one for one in compare_one(None, after, "requirements.txt").findings if one.rule in OWN]
    assert [finding.evidence.get("similar_to") for finding in found if finding.severity.value == "high"] == ["requests"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("pyproject.toml", b"[project\n"),
        ("poetry.lock", b"a = " + b"[" * 5000),
        ("package-lock.json", b"[" * 100_000),
        ("package-lock.json", b"[]"),
        ("setup.cfg", b"no section\n"),
        ("requirements.txt", b"numpy==1\0\n"),
        ("pom.xml", b"<project><dependency>"),
        ("pom.xml", b"<!DOCTYPE p [<!ENTITY a 'b'>]><project>&a;</project>"),
        ("pom.xml", b"<a>" * 10_000),
        ("Pipfile.lock", b"[]"),
        ("gradle/libs.versions.toml", b"[versions\n"),
        ("composer.lock", b"{}"),
    ],
)
def test_what_cannot_be_read_is_named(path: str, content: bytes, compare_one: Callable[..., Outcome]) -> None:
    outcome = compare_one(None, content, path)
    assert "dependency" in {entry.category for entry in outcome.not_analysed}
    assert not [finding for finding in outcome.findings if finding.rule in OWN]


@pytest.mark.parametrize(
    ("name", "known", "other"),
    [
        ("nunpy", [], "numpy"),
        ("requests", [], None),
        ("python-dateutils", [], "python-dateutil"),
        ("urllib4", [], None),
        ("partner-common", ["partner-commom"], "partner-commom"),
        ("ruf", [], None),
        ("something-else", [], None),
    ],
)
def test_names_that_are_taken_for_others(name: str, known: list[str], other: str | None) -> None:
    assert taken_for(name, "pypi", known) == other


@pytest.mark.parametrize("path", sorted({case["path"] for case in CASES}))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_content_crashes_a_reader(path: str, data: st.DataObject, compare_one: Callable[..., Outcome]) -> None:
    sides = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join)
    compare_one(data.draw(sides).encode("utf-8", "replace"), data.draw(sides).encode("utf-8", "replace"), path)
