# SPDX-License-Identifier: Apache-2.0
"""The examples of gates in other people's tools parse, and give the gate only options that it has."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
import yaml

from service.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("kubernetes-job.yaml", "argo-presync.yaml", "github-deployment.yaml")


def calls(document: Any) -> list[list[str]]:
    """The words of every call of ``countersign`` in a document."""
    if isinstance(document, dict):
        if "countersign:" in str(document.get("image", "")):
            return [list(document["args"])]
        if isinstance(document.get("run"), str) and "countersign " in document["run"]:
            line = document["run"][document["run"].index("countersign ") :]
            return [shlex.split(line.replace("$ROLLBACK", "--rollback"))[1:]]
        return [call for value in document.values() for call in calls(value)]
    if isinstance(document, list):
        return [call for value in document for call in calls(value)]
    return []


@pytest.mark.parametrize("name", NAMES)
def test_an_example_calls_the_gate_as_it_is(root: Path, name: str) -> None:
    document = yaml.safe_load((root / "examples" / "gate" / name).read_text(encoding="utf-8"))
    (call,) = calls(document)
    gate: Any = typer.main.get_command(app).commands["gate"]  # type: ignore[attr-defined]
    assert call[0] == "gate"
    context = gate.make_context("gate", call[1:])
    assert {"bundle", "repo", "policy", "roots", "artifact"} <= {
        name for name, value in context.params.items() if value
    }


def test_every_example_is_tested(root: Path) -> None:
    assert {path.name for path in (root / "examples" / "gate").iterdir()} == set(NAMES)


def test_the_github_example_waits_for_the_gate(root: Path) -> None:
    text = (root / "examples" / "gate" / "github-deployment.yaml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["rollout"]["needs"] == "gate"
    assert all(job["environment"] == "production" for job in jobs.values())
    assert not re.search(r"\$\{\{ *inputs\.commit *\}\}", jobs["gate"]["steps"][1]["run"])
