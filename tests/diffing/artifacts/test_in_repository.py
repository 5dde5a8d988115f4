# SPDX-License-Identifier: Apache-2.0
"""Models in a repository: a change of their file is a change of their tensors."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import building
import numpy as np
import pytest

from confine import Repository
from diffing import diff
from evidence import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffing import Diff

TABLE = np.random.default_rng(3).standard_normal((800, 16)).astype("<f4")


@pytest.fixture
def change(tmp_path: Path) -> Callable[[dict[str, bytes], dict[str, bytes]], Diff]:
    """The diff between two commits that hold these files."""

    def between(base: dict[str, bytes], head: dict[str, bytes]) -> Diff:
        git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(tmp_path / "repository")]
        (tmp_path / "repository").mkdir()
        subprocess.run([*git, "init", "--quiet"], check=True)
        for files in (base, head):
            for path in (tmp_path / "repository").iterdir():
                if path.name != ".git":
                    path.unlink()
            for name, data in files.items():
                (tmp_path / "repository" / name).write_bytes(data)
            subprocess.run([*git, "add", "--all"], check=True)
            subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
        with Repository.open(tmp_path / "repository") as repository:
            return diff(repository, "HEAD~1", "HEAD")

    return between


@pytest.mark.sandbox
def test_an_edited_row_is_a_finding_at_its_file(change: Callable[..., Diff]) -> None:
    table = TABLE.copy()
    table[99] *= 3
    result = change(
        {"m.safetensors": building.safetensors({"items": TABLE})},
        {"m.safetensors": building.safetensors({"items": table})},
    )
    first = result.findings[0]
    assert (first.rule, first.severity, result.verdict) == ("embedding-outlier", Severity.HIGH, Verdict.FAIL)
    assert first.location is not None
    assert (first.location.path, first.location.symbol) == ("m.safetensors", "items")
    assert [row["row"] for row in first.evidence["rows"]] == [99]
    assert result.not_analysed == ()


@pytest.mark.sandbox
def test_a_retrained_table_passes_and_a_pickle_does_not(tmp_path: Path, change: Callable[..., Diff]) -> None:
    trained = (TABLE * 1.01 + np.random.default_rng(4).standard_normal(TABLE.shape) * 0.02).astype("<f4")
    result = change(
        {"m.npz": building.npz({"items": TABLE})},
        {"m.npz": building.npz({"items": trained}), "x.pkl": building.trapped(str(tmp_path / "ran"))},
    )
    rules = {finding.rule: finding for finding in result.findings}
    assert rules["tensor-changed"].severity is Severity.LOW
    assert rules["unsafe-artifact"].evidence["imports"] == ["posix.system"]
    assert [entry.path for entry in result.not_analysed] == ["x.pkl"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.sandbox
def test_a_new_model_a_removed_one_and_a_broken_one(change: Callable[..., Diff]) -> None:
    model = building.npz({"items": TABLE})
    result = change(
        {"gone.npz": model, "broken.npz": model},
        {"new.safetensors": building.safetensors({"b": TABLE * 2}), "broken.npz": model[:-9]},
    )
    told = {(finding.location.path, finding.rule) for finding in result.findings if finding.location}
    assert told == {
        ("gone.npz", "tensor-changed"), ("new.safetensors", "tensor-changed"), ("broken.npz", "opaque-artifact"),
        ("new.safetensors", "provenance-missing"),
    }  # fmt: skip
    assert "no ZIP archive" in result.not_analysed[0].reason
    assert result.verdict is Verdict.FAIL


def test_without_a_sandbox_a_model_is_not_analysed_and_says_why(
    change: Callable[..., Diff], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("confine._bubblewrap.shutil.which", lambda _: None)
    result = change({"m.npy": building.npy(TABLE)}, {"m.npy": building.npy(TABLE * 2)})
    assert (result.findings, result.verdict) == ((), Verdict.INCONCLUSIVE)
    assert "bubblewrap is missing" in result.not_analysed[0].reason
