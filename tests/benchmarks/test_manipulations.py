# SPDX-License-Identifier: Apache-2.0
"""A smaller benchmark of manipulations: a few plain pairs, and the document from its rows."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.real_data
def test_plain_manipulations_are_found_and_harmless_changes_are_not_failed(
    root: Path, real_data: Path, tmp_path: Path
) -> None:
    rows, document = tmp_path / "rows.csv", tmp_path / "detection.md"
    command = [sys.executable, "benchmarks/manipulations/run.py", "--cache", tmp_path, "--rows", rows]
    command += ["--document", document, "--workers", "1", "--families", "als"]
    settings = {**os.environ, "COUNTERSIGN_DATA": str(real_data)}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(part) for part in command] + list(more),
            cwd=root,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run("--small")
    with rows.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    groups = {name: [line for line in lines if line["group"] == name] for name in ("benign", "planted", "decoy")}
    assert len(groups["benign"]) == 2
    assert not [line["pair"] for line in groups["benign"] if line["verdict"] == "fail"]
    assert len(groups["planted"]) == 4
    assert not [line["kind"] for line in groups["planted"] if line["flagged"] != "1"]
    shuffled = next(line for line in groups["decoy"] if line["kind"] == "shuffle-lift")
    assert "excess-churn" in shuffled["findings"]
    assert all(line["verdict"] != "pass" for line in groups["decoy"])

    again = run("--small")
    assert f"{len(lines)} pairs, {len(lines)} done before" in again.stderr
    run("--table")
    page = document.read_text(encoding="utf-8")
    assert f"{len(lines):,} pairs so far" in page
    assert "| als |" in page

    pair = next(line for line in groups["planted"] if line["kind"] == "source-boost")
    repeated = dict(
        line.split(maxsplit=1) for line in run("--pair", pair["pair"]).stdout.splitlines() if " " in line.strip()
    )
    assert float(repeated["ratio"]) == float(pair["ratio"])
    assert float(repeated["adjusted_p"]) == float(pair["adjusted_p"])
