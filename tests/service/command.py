# SPDX-License-Identifier: Apache-2.0
"""``countersign`` run in the tests' own process, and the published schemas."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema
import pytest
import referencing

from service.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


class Said(NamedTuple):
    """What a command left: exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def runner(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *command: str) -> Callable[..., Said]:
    """Runs ``countersign`` with ``command`` before whatever it is given."""

    def run(*arguments: str | Path) -> Said:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["countersign", *command, *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return Said(int(left.value.code or 0), *capfd.readouterr())

    return run


def refused(document: Any, schema: str) -> str | None:
    """Why the published schema of that name refuses a document; None if it holds."""
    schemas = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.schema.json")}
    resources = [(each["$id"], referencing.Resource.from_contents(each)) for each in schemas.values()]
    registry: Any = referencing.Registry().with_resources(resources)
    validator = jsonschema.Draft202012Validator(schemas[f"{schema}.schema.json"], registry=registry)
    return next((error.message for error in validator.iter_errors(document)), None)
