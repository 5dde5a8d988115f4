# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a machine can hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("evidence", "confine", "diffing", "behavior", "signoff", "reports", "service")
COMMENTED = {".py", ".sh", ".toml", ".css", ".js", ".html", ".md", ".yaml", ".yml", ".txt", ""}
WITHOUT_LINE = {
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    ".gitignore",
    "requirements/run.txt",
    "requirements/dev.txt",
    "py.typed",
}


def _tracked() -> list[str]:
    """What is tracked, and what would be with the next `git add`: a new file is held to the rules before it lands."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    return [name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


TRACKED = _tracked()


def _is_ours(name: str) -> bool:
    return not (name in WITHOUT_LINE or "/vendor/" in name or "/corpus/" in name or "/vectors/" in name)


def test_every_source_file_names_its_licence() -> None:
    missing = [
        name
        for name in TRACKED
        if _is_ours(name)
        and Path(name).suffix in COMMENTED
        and "SPDX-License-Identifier: Apache-2.0" not in (ROOT / name).read_text(encoding="utf-8")[:400]
    ]
    assert missing == []


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = [
        name
        for name in TRACKED
        if name.startswith(ROOMS) and name.endswith(".py") and len((ROOT / name).read_text().splitlines()) > 400
    ]
    assert long == []


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "Not" + "ImplementedError"])
def test_nothing_is_left_for_later_in_the_code(word: str) -> None:
    found = [name for name in TRACKED if name.endswith(".py") and word in (ROOT / name).read_text(encoding="utf-8")]
    assert found == []


def test_locks_name_versions_and_hashes_and_no_address() -> None:
    for lock in ("requirements/run.txt", "requirements/dev.txt"):
        text = (ROOT / lock).read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--index|--find-links|file:", text)


def test_every_direct_dependency_says_what_it_is_for() -> None:
    import tomllib  # noqa: PLC0415 - only this test reads the project file

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [
        *project["project"]["dependencies"],
        *(name for group in project["project"]["optional-dependencies"].values() for name in group),
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert [name for name in names if f"`{name.split('==')[0]}`" not in page] == []


def test_no_two_decisions_have_one_number() -> None:
    numbers = [path.name.split("-")[0] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert sorted(numbers) == sorted({number for number in numbers if re.fullmatch(r"[0-9]{4}", number)})
