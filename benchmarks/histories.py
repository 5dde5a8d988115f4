# SPDX-License-Identifier: Apache-2.0
"""Diff the recent commits of real repositories: findings per commit, what could not be read, time, crashes, silence.

Repositories are read in place and never written to. A commit is silent if files with code or configuration changed in
more than their syntax, and there is neither a finding nor anything named as not analysed; that is right for an
ordinary rewrite, so silence is counted, and a crash or an unnamed file is a failure.

    python benchmarks/histories.py REPOSITORY ... [--commits N] [--skip N] [--sample FILE] [--seed N] [--files N]

Prints a table, one row a repository; seconds are of processor time. ``--sample`` writes 60 findings at or above low,
drawn over all repositories, for reading by hand, and ``--skip`` leaves out the newest commits: those that a sample was
drawn from before. Exit status 1 if a commit crashed or a changed file was neither read nor named.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confine import Repository
from diffing import diff
from evidence import Severity

if TYPE_CHECKING:
    from diffing import Diff

SAMPLE = 60


@dataclass
class History:
    """What the commits of one repository gave."""

    name: str
    commits: int = 0
    files: int = 0
    read: int = 0
    unparsable: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    quiet: int = 0
    silent: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    drawn: list[dict[str, Any]] = field(default_factory=list)

    def add(self, commit: str, result: Diff, seconds: float) -> None:
        """Count one commit."""
        self.commits += 1
        self.seconds.append(seconds)
        self.files += len(result.files)
        named = {entry.path for entry in result.not_analysed}
        self.unparsable += len({entry.path for entry in result.not_analysed if entry.category == "syntax"})
        self.read += sum(file.path not in named for file in result.files)
        self.silent += [
            f"{commit} {file.path}" for file in result.files if file.language is None and _unnamed(file, named)
        ]
        for finding in result.findings:
            self.findings[finding.severity.value] += 1
            self.rules[finding.rule] += 1
            if finding.severity.at_least(Severity.LOW):
                self.drawn.append({"repository": self.name, "commit": commit, **finding.to_json()})
        self.quiet += not result.findings and not named

    def row(self) -> str:
        """The table's row."""
        share = self.unparsable / self.files if self.files else 0.0
        ordered = sorted(self.seconds)
        at95 = ordered[int(0.95 * (len(ordered) - 1))] if ordered else 0.0
        above = sum(self.findings[one] for one in ("medium", "high", "critical"))
        return (
            f"{self.name:<28} {self.commits:>7} {self.files:>7} {share:>10.2%} {above / max(1, self.commits):>8.2f} "
            f"{self.findings['low'] / max(1, self.commits):>8.2f} {self.findings['info'] / max(1, self.commits):>8.2f} "
            f"{self.quiet / max(1, self.commits):>6.0%} {sum(ordered):>8.1f} {at95:>7.2f} "
            f"{max(ordered, default=0):>7.2f} {len(self.crashes):>7}"
        )


def _unnamed(file: Any, named: set[str]) -> bool:  # noqa: ANN401 - a FileChange
    return file.path not in named and file.old_object != file.new_object and file.status != "renamed"


def commits_of(path: Path, most: int, files: int, skip: int) -> list[str]:
    """The newest commits with one parent that change at most so many files, without the first so many."""
    command = ["git", "-C", str(path), "rev-list", "--no-merges", f"--max-count={(most + skip) * 3}", "HEAD"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    found = []
    for commit in listed:
        shown = subprocess.run(
            ["git", "-C", str(path), "diff-tree", "--no-commit-id", "-r", "--name-only", "-z", commit],
            check=True,
            capture_output=True,
        ).stdout
        if 0 < shown.count(b"\0") <= files and len(_parents(path, commit)) == 1:
            found.append(commit)
        if len(found) == most + skip:
            break
    return found[skip:]


def _parents(path: Path, commit: str) -> list[str]:
    shown = subprocess.run(
        ["git", "-C", str(path), "rev-list", "--parents", "-n1", commit], check=True, capture_output=True, text=True
    ).stdout.split()
    return shown[1:]


def run(path: Path, most: int, files: int, skip: int = 0) -> History:
    """Diff the newest commits of one repository, each against its parent."""
    name = path.parent.name if path.name in {"repo", ".git", "git"} else path.name
    history = History(name.replace("+", "/").removesuffix(".git"))
    with Repository.open(path) as repository:
        for commit in commits_of(path, most, files, skip):
            started = time.process_time()
            try:
                result = diff(repository, f"{commit}~1", commit)
            except Exception:  # noqa: BLE001 - what a crash is, is what is measured
                history.crashes.append(f"{commit}\n{traceback.format_exc()}")
                continue
            history.add(commit, result, time.process_time() - started)
    return history


def main() -> int:
    """Run over all repositories given and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--commits", type=int, default=60)
    parser.add_argument("--skip", type=int, default=0, help="newest commits to leave out")
    parser.add_argument("--files", type=int, default=400, help="most files that a commit may change")
    parser.add_argument("--sample", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(
        f"{'repository':<28} {'commits':>7} {'files':>7} {'unparsable':>10} {'≥medium':>8} {'low':>8} {'info':>8} "
        f"{'quiet':>6} {'seconds':>8} {'p95':>7} {'most':>7} {'crashes':>7}"
    )
    histories = []
    for path in given.repositories:
        history = run(path, given.commits, given.files, given.skip)
        histories.append(history)
        print(history.row(), flush=True)
    rules = sum((history.rules for history in histories), Counter[str]())
    print(", ".join(f"{rule} {count}" for rule, count in rules.most_common()))
    for history in histories:
        for crash in history.crashes:
            print(f"CRASH {history.name} {crash}", file=sys.stderr)
        for silent in history.silent:
            print(f"SILENT {history.name} {silent}", file=sys.stderr)
    if given.sample:
        drawn = [finding for history in histories for finding in history.drawn]
        chosen = random.Random(given.seed).sample(drawn, min(SAMPLE, len(drawn)))  # noqa: S311 - a sample for readers
        given.sample.write_text("".join(f"{json.dumps(finding, ensure_ascii=False)}\n" for finding in chosen), "utf-8")
    return 1 if any(history.crashes or history.silent for history in histories) else 0


if __name__ == "__main__":
    sys.exit(main())
