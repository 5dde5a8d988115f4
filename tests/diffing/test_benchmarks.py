# SPDX-License-Identifier: Apache-2.0
"""The scripts that measure: they run, and count what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def git(path: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", str(path), *identity, *arguments], check=True, capture_output=True)


def test_histories_counts_findings_and_draws_a_sample(tmp_path: Path) -> None:
    repository, sample = tmp_path / "ranker", tmp_path / "sample.jsonl"
    repository.mkdir()
    git(repository, "init", "-q")
    for weight in ("1.0", "8.0", "1e"):
        (repository / "rank.py").write_text(f"share_weight = {weight}\n")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", weight)
    done = run(str(BENCHMARKS / "histories.py"), str(repository), "--commits", "5", "--sample", str(sample))
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("ranker"))
    assert row.split()[1:4] == ["2", "2", "50.00%"]
    drawn = [json.loads(line) for line in sample.read_text().splitlines()]
    assert {finding["rule"] for finding in drawn} >= {"literal-changed", "parse-failed"}


def test_a_case_of_the_benchmark_of_cost_is_measured(tmp_path: Path) -> None:
    repository = tmp_path / "ranker"
    repository.mkdir()
    git(repository, "init", "-q")
    for weight in ("1.0", "8.0"):
        (repository / "rank.py").write_text(f"share_weight = {weight}\n")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", weight)
    done = run(str(BENCHMARKS / "diff_cost.py"), "--measure", str(repository), "--commits", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["files"], found["findings"], found["named"]) == (1, 1, [])
    assert found["megabytes"] > 0
