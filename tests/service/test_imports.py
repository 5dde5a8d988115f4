# SPDX-License-Identifier: Apache-2.0
"""A command imports what it needs: what others need costs seconds, and not one of them is spent on a slate."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from pathlib import Path

_RUN = """
import json, sys
from service.cli import main
try:
    main()
except SystemExit as left:
    status = left.code
print(json.dumps({"status": status, "modules": sorted(sys.modules)}), file=sys.stderr)
"""
HEAVY = {
    "alembic",
    "altair",
    "cryptography",
    "dbos",
    "diffing._run",
    "faiss",
    "fastapi",
    "fickling",
    "git",
    "httpx2",
    "jinja2",
    "pyarrow",
    "pydantic_settings",
    "pygments",
    "scipy.optimize",
    "scipy.stats",
    "signoff.gate",
    "sklearn",
    "sqlalchemy",
    "structlog",
    "tree_sitter",
    "uvicorn",
    "vl_convert",
}
NUMERIC = {"numpy", "polars", "scipy", "sqlglot"}


def _imported(root: Path, *arguments: str | Path) -> set[str]:
    """The modules that a command left in its process."""
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    said = json.loads(done.stderr.splitlines()[-1])
    assert said["status"] in {0, 3}, done.stderr
    return set(said["modules"])


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    """Thirty users, twenty items, slates in two files."""
    (tmp_path / "panel.toml").write_text('name = "small"\nk = 5\npermutations = 100\n[[slices]]\neach = "topic"\n')
    items = [f"i{number}" for number in range(20)]
    users = [f"u{number}" for number in range(30)]
    pl.DataFrame({"item_id": items, "topic": ["a", "b"] * 10}).write_parquet(tmp_path / "items.parquet")
    pl.DataFrame({"user_id": users}).write_parquet(tmp_path / "users.parquet")
    pl.DataFrame({"user_id": users[:1], "item_id": items[:1]}).write_parquet(tmp_path / "histories.parquet")
    for side, step in (("base", 3), ("head", 7)):
        rows = [
            {"user_id": user, "rank": rank + 1, "item_id": items[(number + step * rank) % 20]}
            for number, user in enumerate(users)
            for rank in range(5)
        ]
        pl.DataFrame(rows).write_parquet(tmp_path / f"slates-{side}.parquet")
    return tmp_path


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_comparison_imports_nothing_of_other_commands(root: Path, panel: Path, form: str) -> None:
    slates = [panel / f"slates-{side}.parquet" for side in ("base", "head")]
    imported = _imported(root, "compare", *slates, "--panel", panel, "--format", form)
    assert "behavior.comparison" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("command", [["--help"], ["compare", "--help"], ["panel", "import", "--help"], ["--version"]])
def test_help_imports_no_numbers_either(root: Path, command: list[str]) -> None:
    assert _imported(root, *command) & (HEAVY | NUMERIC) == set()
