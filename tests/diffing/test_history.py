# SPDX-License-Identifier: Apache-2.0
"""What a change says of itself, who made it, and what led to it: claims, history, ramps, reviewer's rules."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from confine import Repository
from diffing import diff, read_rules
from evidence import InputError, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffing import Diff

ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
Commit = tuple[dict[str, str], str]


class History:
    """A repository that is built commit by commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, author: str = "A", committer: str | None = None, email: str | None = None) -> str:
        who = {}
        for role, name in (("AUTHOR", author), ("COMMITTER", committer or author)):
            who |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email or f"{name.lower()}@example.org"}
            who[f"GIT_{role}_DATE"] = "2026-01-01T00:00:00Z"
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=ENVIRONMENT | who, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str, files: dict[str, str], **people: str) -> str:
        for path, content in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, **people)
        return self.git("rev-parse", "HEAD")

    def diff(self, base: str = "HEAD~1", head: str = "HEAD", **options: object) -> Diff:
        with Repository.open(self.folder) as repository:
            return diff(repository, base, head, **options)  # type: ignore[arg-type]


@pytest.fixture
def history(tmp_path: Path) -> History:
    folder = tmp_path / "repository"
    folder.mkdir()
    return History(folder)


def of(result: Diff, rule: str) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.title) for finding in result.findings if finding.rule == rule]


RANK = "share_weight = {}\n\n\ndef score(item):\n    return item.shares * share_weight\n"


@pytest.mark.parametrize(
    ("message", "after", "severity"),
    [
        ("Fix typo in comment", RANK.format(6.0), "medium"),
        ("Clarify the comments", RANK.format(6.0), "medium"),
        ("Story: don't count comments towards hotness", RANK.format(6.0), None),
        ("Fix comment score", RANK.format(6.0), None),
        ("Replace the export format with JSON", RANK.format(6.0), None),
        ("Format the code", RANK.format(6.0), "medium"),
        ("docs: describe weights", RANK.format(32.0), "high"),
        ("Refactor scoring", RANK.format(12.0), "medium"),
        ("style: ruff", RANK.format(9.0), "medium"),
        ("Bump dependencies", RANK.format(9.0), "medium"),
        ("Raise the share weight", RANK.format(12.0), None),
        ("Move share weight up and add a boost", RANK.format(12.0), None),
        ("Fix typo in comment", "# What a share counts.\n" + RANK.format(8.0), None),
        ("chore: tidy", RANK.format(8.0) + "\n\nimport os\n", None),
    ],
)
def test_a_message_is_held_against_what_changed(
    message: str, after: str, severity: str | None, history: History
) -> None:
    history.commit("first", {"rank.py": RANK.format(8.0)})
    history.commit(message, {"rank.py": after})
    found = of(history.diff(), "claim-mismatch")
    assert [weight for weight, _ in found] == ([severity] if severity else [])


def test_a_title_goes_before_messages_and_every_commit_must_claim(history: History) -> None:
    history.commit("first", {"rank.py": RANK.format(8.0)})
    history.commit("Tune share weight", {"rank.py": RANK.format(9.0)})
    history.commit("Fix typo", {"README.md": "x\n"})
    assert not of(history.diff("HEAD~2"), "claim-mismatch")
    assert of(history.diff("HEAD~2", title="Fix typos"), "claim-mismatch")


def test_numbers_in_a_message_are_held_against_the_code(history: History) -> None:
    history.commit("first", {"rank.py": RANK.format(0.5)})
    history.commit("Raise share weight from 0.5 to 0.6", {"rank.py": RANK.format(0.9)})
    assert [weight for weight, _ in of(history.diff(), "claim-mismatch")] == ["high"]
    history.commit("Raise share weight from 0.9 to 1.0", {"rank.py": RANK.format(1.0)})
    assert not of(history.diff(), "claim-mismatch")


def test_a_test_only_claim_allows_tests(history: History) -> None:
    history.commit("first", {"rank.py": RANK.format(8.0), "tests/test_rank.py": "weight = 1\n"})
    history.commit("Add tests", {"tests/test_rank.py": "weight = 9\nshare_weight = 2\n"})
    assert not of(history.diff(), "claim-mismatch")
    history.commit("Add tests", {"tests/test_rank.py": "weight = 8\n", "rank.py": RANK.format(80.0)})
    assert of(history.diff(), "claim-mismatch")


def test_a_rewritten_base_is_a_finding(history: History) -> None:
    history.commit("first", {"rank.py": RANK.format(8.0)})
    old = history.commit("second", {"rank.py": RANK.format(8.0), "a.md": "x\n"})
    history.git("reset", "-q", "--hard", "HEAD~1")
    history.commit("other", {"b.md": "x\n"})
    result = history.diff(old)
    assert [weight for weight, _ in of(result, "history-rewritten")] == ["high"]
    assert result.verdict is Verdict.FAIL
    assert result.history is not None
    assert not result.history.ancestor
    assert not of(history.diff("HEAD~1"), "history-rewritten")


def test_a_history_that_is_cut_off_is_named(history: History, tmp_path: Path) -> None:
    for number in range(4):
        history.commit(f"commit {number}", {"rank.py": RANK.format(number + 1)})
    history.git("branch", "old", "HEAD~2")
    history.git("clone", "-q", "--depth", "1", "--no-single-branch", f"file://{history.folder}", str(tmp_path / "cut"))
    cut = History(tmp_path / "cut")
    result = cut.diff("refs/remotes/origin/old", "HEAD")
    assert result.history is None
    assert [(entry.path, entry.category, entry.excused) for entry in result.not_analysed] == [
        ("(history)", "history", False)
    ]
    assert "shallow" in result.not_analysed[0].reason
    assert [finding.rule for finding in result.findings if finding.rule == "literal-changed"]


def test_people_that_do_not_fit_together_are_told(history: History) -> None:
    history.commit("first", {"a.md": "x\n"})
    history.commit("second", {"a.md": "y\n"}, author="A", committer="Mallory")
    history.commit("third", {"a.md": "z\n"}, author="A", email="a@elsewhere.net")
    found = of(history.diff("HEAD~2"), "authorship-mismatch")
    assert {weight for weight, _ in found} <= {"low"}
    assert sorted(title for _, title in found) == [
        "1 name under several addresses",
        "1 of 2 commits were committed by another than their author",
    ]
    history.commit("fourth", {"a.md": "w\n"})
    assert not of(history.diff(), "authorship-mismatch")


def test_many_small_steps_are_a_ramp(history: History) -> None:
    signed = history.commit("first", {"rank.py": RANK.format(1.0), "other_weight.py": "like_weight = 1.0\n"})
    for value in (1.5, 2.2, 3.2):
        history.commit("step", {"rank.py": RANK.format(value), "other_weight.py": "like_weight = 1.4\n"})
    assert not of(history.diff(), "ramp")
    found = [finding for finding in history.diff(baseline=signed).findings if finding.rule == "ramp"]
    ramp = next(finding for finding in found if finding.evidence.get("name") == "share_weight")
    assert ramp.severity is Severity.HIGH
    assert (ramp.evidence["old"], ramp.evidence["step_old"], ramp.evidence["new"]) == (1.0, 2.2, 3.2)
    (drift,) = (finding for finding in found if finding is not ramp)
    assert "nobody signed" in drift.title
    assert not of(history.diff(baseline="HEAD~1"), "ramp")


def test_a_step_back_is_no_ramp(history: History) -> None:
    signed = history.commit("first", {"rank.py": RANK.format(1.0)})
    history.commit("up", {"rank.py": RANK.format(3.2)})
    history.commit("down", {"rank.py": RANK.format(1.5)})
    assert not of(history.diff(baseline=signed), "ramp")


def test_a_list_that_grows_by_ones_is_a_ramp(history: History) -> None:
    text = "BLOCKED_SOURCES = [{}]\n"
    names = [f'"{name}.com"' for name in ("a", "b", "c", "d", "e")]
    signed = history.commit("first", {"rank.py": text.format(", ".join(names[:2]))})
    history.commit("more", {"rank.py": text.format(", ".join(names[:4]))})
    history.commit("more", {"rank.py": text.format(", ".join(names))})
    (ramp,) = (finding for finding in history.diff(baseline=signed).findings if finding.rule == "ramp")
    assert (ramp.evidence["count"], ramp.evidence["step_count"]) == (3, 1)


def test_values_that_are_set_elsewhere_are_named_and_a_snapshot_is_compared(history: History) -> None:
    code = 'import os\n\nBOOST = os.environ["PARTNER_BOOST"]\nMODE = os.environ["MODE"]\n'
    manifest = '[recommender]\nentrypoint = "a:b"\n\n[runtime]\nPARTNER_BOOST = {}\n'
    history.commit("first", {"countersign.toml": manifest.format(1.0), "a.py": "x = 1\n"})
    history.commit("second", {"countersign.toml": manifest.format(4.0), "a.py": code})
    result = history.diff()
    assert [(value.name, value.held) for value in result.runtime_values] == [("MODE", False), ("PARTNER_BOOST", True)]
    changed = [finding for finding in result.findings if finding.evidence.get("name") == "runtime.PARTNER_BOOST"]
    assert [(finding.rule, finding.severity.value) for finding in changed] == [("literal-changed", "high")]
    assert not of(result, "manifest-changed")


RULES = """
[severity]
literal-changed = "info"

[[adjust]]
rule = "literal-changed"
path = "rank*"
where = { name = "share_weight" }
severity = "critical"
reason = "it decides the feed"

[fields.health]
names = ["step count"]
"""


def test_a_reviewer_decides_what_findings_weigh(history: History, tmp_path: Path) -> None:
    history.commit("first", {"rank.py": RANK.format(8.0), "b.py": "like_weight = 1\n"})
    history.commit("second", {"rank.py": RANK.format(9.0), "b.py": "like_weight = 9\n"})
    (tmp_path / "rules.toml").write_text(RULES)
    rules = read_rules(tmp_path / "rules.toml")
    plain, result = history.diff(), history.diff(rules=rules)
    weights = {finding.evidence["name"]: finding.severity.value for finding in result.findings}
    assert weights == {"share_weight": "critical", "like_weight": "info"}
    assert {finding.id for finding in plain.findings} == {finding.id for finding in result.findings}
    assert "it decides the feed" in result.findings[0].detail
    assert result.to_json()["rules"] == rules.digest
    assert rules.fields.category("step_count") == "health"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[severity]\nno-such-rule = 'low'\n", "no-such-rule"),
        ("[severity]\nramp = 'loud'\n", "severity.ramp"),
        ("[[adjust]]\nrule = 'ramp'\nseverity = 'low'\n", "reason"),
        ("[extra]\n", "extra"),
        ("[fields.x]\nwords = ['a']\n", "fields.x.words"),
        ("not toml", "TOML"),
    ],
)
def test_a_bad_rules_file_is_one_clear_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_rules(path)
    assert "\n" not in str(caught.value)
    assert "rules.toml" in str(caught.value)


@pytest.fixture
def fingerprints(history: History) -> Callable[..., set[str]]:
    def ids(base: str, head: str) -> set[str]:
        return {finding.id for finding in history.diff(base, head).findings if finding.rule == "literal-changed"}

    return ids


def test_fingerprints_survive_a_rebase(history: History, fingerprints: Callable[..., set[str]]) -> None:
    start = history.commit("first", {"rank.py": RANK.format(8.0), "other.py": "x = 1\n"})
    head = history.commit("change", {"rank.py": RANK.format(9.0)})
    before = fingerprints(start, head)
    history.git("reset", "-q", "--hard", start)
    onto = history.commit("unrelated", {"other.py": "x = 1\ny = 2\n", "rank.py": "import os\n\n" + RANK.format(8.0)})
    rebased = history.commit("change", {"rank.py": "import os\n\n" + RANK.format(9.0)})
    assert before == fingerprints(onto, rebased)
    assert before
