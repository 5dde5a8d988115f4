# SPDX-License-Identifier: Apache-2.0
"""The page about the gate has the steps, requirements and states of the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from signoff import DEFAULT_POLICY, STEPS, Facts, State, evaluate, parse_policy

if TYPE_CHECKING:
    from pathlib import Path


def test_the_numbered_steps_are_those_of_the_code(root: Path) -> None:
    text = (root / "docs" / "gate.md").read_text(encoding="utf-8")
    steps = re.findall(r"^(\d+)\. \*\*([a-z]+)\*\*: (.+)$", text, re.MULTILINE)
    assert [(int(number), name, says) for number, name, says in steps] == list(STEPS)


def test_the_requirements_are_those_of_the_code(root: Path) -> None:
    text = (root / "docs" / "gate.md").read_text(encoding="utf-8")
    table = text[text.index("| Requirement |") :]
    facts = Facts(datetime(2026, 1, 1, tzinfo=UTC), (), (), (), ())
    requirements = evaluate(parse_policy(DEFAULT_POLICY.encode()), facts)
    assert re.findall(r"^\| ([a-z-]+) \|", table, re.MULTILINE) == [requirement.name for requirement in requirements]
    words = " ".join(text.split())
    assert ", ".join(state.value for state in State) in words
