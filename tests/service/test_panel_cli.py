# SPDX-License-Identifier: Apache-2.0
"""``countersign panel``: what it prints, and what it leaves on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from command import Said, runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs ``countersign panel`` in this process."""
    return runner(monkeypatch, capfd, "panel")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Items, users and events in CSV files."""
    pl.DataFrame(
        {
            "id": [f"i{index}" for index in range(60)],
            "state": [index % 3 == 0 for index in range(60)],
            "outlet": [f"o{index % 4}" for index in range(60)],
        }
    ).write_csv(tmp_path / "items.csv")
    pl.DataFrame(
        {"id": [f"u{index}" for index in range(50)], "country": ["DE", "FR"] * 25},
    ).write_csv(tmp_path / "users.csv")
    pl.DataFrame({"user": ["u0", "u1"], "item": ["i1", "i2"]}).write_csv(tmp_path / "events.csv")
    return tmp_path


def slates(tables: Path, name: str, step: int) -> Path:
    """Slates of 20, a different place to start for every user."""
    path = tables / name
    lines = [
        {"user_id": f"u{user}", "items": [f"i{(user * step + place * 7) % 60}" for place in range(20)]}
        for user in range(50)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_new_then_check_then_power(tables: Path, run: Callable[..., Said]) -> None:
    made = run(
        "new", tables / "items.csv", tables / "users.csv", "--out", tables / "p", "--histories", tables / "events.csv"
    )
    assert made.status == 0
    assert "panel check" in made.err
    checked = json.loads(run("check", tables / "p", "--format", "json").out)
    assert (checked["panel"]["slices"], checked["panel"]["cohorts"]) == (5, 3)
    base, rebuild = slates(tables, "base.jsonl", 1), slates(tables, "rebuild.jsonl", 3)
    text = run("power", base, "--panel", tables / "p")
    assert text.status == 0
    assert "give --base-rebuild" in text.out
    assert len([line for line in text.out.splitlines() if line.startswith("primary")]) == 15
    document: Any = json.loads(
        run("power", base, "--panel", tables / "p", "--base-rebuild", rebuild, "--format", "json").out
    )
    assert document["schema"] == "countersign/panel-power/v1"
    assert all(cell["churn_ratio"] >= 1 for cell in document["cells"])
    churned = run("power", base, "--panel", tables / "p", "--base-rebuild", rebuild)
    assert "builds needed" in churned.out


def test_import_of_a_table_and_of_an_unknown_layout(tables: Path, run: Callable[..., Said]) -> None:
    made = run("import", tables / "events.csv", "--items", tables / "items.csv", "--out", tables / "p", "--name", "x")
    assert made.status == 0
    assert "name     x" in made.out
    refused = run("import", tables / "events.csv", "--layout", "netflix", "--out", tables / "q")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "'netflix' is none of ml-100k" in refused.err
    again = run("import", tables / "events.csv", "--out", tables / "p")
    assert again.status == 2
    assert "nothing is overwritten" in again.err


@pytest.mark.parametrize("command", ["check", "power"])
def test_an_unknown_format_is_bad_usage(tables: Path, run: Callable[..., Said], command: str) -> None:
    run("new", tables / "items.csv", tables / "users.csv", "--out", tables / "p")
    arguments = [tables / "p"] if command == "check" else [slates(tables, "b.jsonl", 1), "--panel", tables / "p"]
    refused = run(command, *arguments, "--format", "xml")
    assert (refused.status, refused.err) == (2, "countersign: --format 'xml' is none of text, json\n")


def test_label_prints_its_quality_warns_of_what_is_low_and_check_repeats_it(
    tables: Path, run: Callable[..., Said]
) -> None:
    items = pl.read_csv(tables / "items.csv")
    titles = [f"{'regime traitors' if index % 3 == 0 else 'weather report'} number {index}" for index in range(60)]
    items.with_columns(title=pl.Series(titles)).write_csv(tables / "items.csv")
    pl.DataFrame({"title": titles, "verdict": ["bad" if index % 3 == 0 else "good" for index in range(60)]}).write_csv(
        tables / "examples.csv"
    )
    run("new", tables / "items.csv", tables / "users.csv", "--out", tables / "p")
    options = ["--examples", tables / "examples.csv", "--column", "loaded", "--text", "title", "--label", "verdict"]
    both = run("label", tables / "p", *options, "--positive", "bad", "--in-place", "--out", tables / "q")
    assert (both.status, both.err) == (2, "countersign: --in-place and --out: choose one\n")
    said = run("label", tables / "p", *options, "--positive", "bad", "--out", tables / "q")
    assert said.status == 0
    assert "learnt from 20 true and 40 false examples in 60 groups" in said.out
    assert "warning: label 'loaded': learnt from 20 examples of one kind" in said.err
    checked = run("check", tables / "q", "--format", "json")
    assert "learnt from 20 examples of one kind" in checked.err
    assert len(json.loads(checked.out)["warnings"]) == 1
    assert json.loads(run("check", tables / "p", "--format", "json").out)["warnings"] == []
    document = json.loads(run("label", tables / "q", *options, "--positive", "bad", "--format", "json").out)
    assert document["schema"] == "countersign/panel-label/v1"
    wrong = run("label", tables / "p", *options, "--prevalence", "1.5", "--out", tables / "r")
    assert (wrong.status, wrong.err) == (2, "countersign: --prevalence 1.5: is not between 0 and 1\n")
