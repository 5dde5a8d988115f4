# SPDX-License-Identifier: Apache-2.0
"""The service's page in the documentation says what the code does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service import log_lines
from service.life import diagram
from service.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_every_setting_is_in_the_table_with_its_default_and_meaning(root: Path) -> None:
    text = (root / "docs" / "service.md").read_text(encoding="utf-8")
    rows = {
        name.lower(): (default.strip("` "), meaning)
        for name, default, meaning in re.findall(r"\| `COUNTERSIGN_(\w+)` \|([^|]*)\| ([^|]*) \|", text)
    }
    assert set(rows) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default, meaning = rows[name]
        assert meaning == field.description
        if field.default_factory is None:
            assert default == ("" if field.default is None else str(field.default))


def test_the_diagram_is_the_table_of_the_code(root: Path) -> None:
    assert f"```mermaid\n{diagram()}```" in (root / "docs" / "service.md").read_text(encoding="utf-8")


def test_every_kind_of_leaf_is_in_the_table_of_the_log_and_has_words_on_its_page(root: Path) -> None:
    table = (root / "docs" / "log.md").read_text(encoding="utf-8").partition("## What is on disk")[0]
    sources = [
        path.read_text(encoding="utf-8") for room in ("signoff", "service") for path in (root / room).glob("*.py")
    ]
    kinds = {kind for source in sources for kind in re.findall(r'^[A-Z]+_LEAF = "([a-z-]+)"', source, re.MULTILINE)}
    kinds.add("signoff")  # it has no name of its own in the code
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == kinds
    assert set(log_lines.BY_DIGEST) == kinds - {"signoff", "carry", "build", "lane-stopped"}  # those say who and what
