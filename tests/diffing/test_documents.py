# SPDX-License-Identifier: Apache-2.0
"""Real documents against their published schema: it holds for them, and knows every field of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import referencing

from confine import Repository
from diffing import diff, read_rules

SCHEMAS = Path(__file__).parents[2] / "docs/schemas"
PARTS = frozenset({"anyOf", "allOf", "oneOf", "if", "then", "else"})
FREE = frozenset({"evidence", "signatures"})  # what findings say differs by rule
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
       (("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", "2026-01-01T00:00:00Z"))},
}  # fmt: skip


def closed(schema: Any, name: str = "") -> Any:
    """A schema that refuses every field it does not know, outside what is free."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    split = PARTS & schema.keys() if "properties" in schema else set()  # what is known is in all parts together
    found = {key: value if key in split else closed(value, key) for key, value in schema.items()}
    if "properties" in schema and name not in FREE and isinstance(schema["properties"], dict):
        found["unevaluatedProperties"] = False
    return found


def refused(document: Any) -> str | None:
    schemas = {path.name: closed(json.loads(path.read_text("utf-8"))) for path in SCHEMAS.glob("*.schema.json")}
    resources = [(each["$id"], referencing.Resource.from_contents(each)) for each in schemas.values()]
    registry: Any = referencing.Registry().with_resources(resources)
    validator = jsonschema.Draft202012Validator(schemas["diff.schema.json"], registry=registry)
    return next((f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)), None)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Three commits with something of everything that a document can hold."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    reading = "limit = os.environ['LIMIT']\n"
    sending = "def send(user):\n    requests.post('https://a.partner.net', json=user.email)\n"
    for weight, more in ((1, ""), (2, ""), (9, reading + sending)):
        code = f"import os\nimport requests\nshare_weight = {weight}.0\n{more}"
        (tmp_path / "rank.py").write_text(code, encoding="utf-8")
        np.save(tmp_path / "model.npy", np.full((4, 3), weight, dtype=np.float32))
        (tmp_path / "Feed.swift").write_text(f"let k = {weight}\n", encoding="utf-8")
        git("add", "-A")
        git("commit", "-q", "-m", "change")
    return Repository.open(tmp_path)


def test_a_document_with_something_of_everything_fits_its_schema(repository: Repository, tmp_path: Path) -> None:
    own = tmp_path / "rules.toml"
    own.write_text('[severity]\ncapability-added = "info"\n', encoding="utf-8")
    (tmp_path / "allowed").write_text("", encoding="ascii")
    with repository:
        document = diff(
            repository, "HEAD~1", "HEAD", baseline="HEAD~2", rules=read_rules(own), signers=tmp_path / "allowed"
        ).to_json()
    assert refused(json.loads(json.dumps(document))) is None
    for name in ("findings", "not_analysed", "history", "baseline", "rules", "runtime_values", "provenance"):
        assert document[name], name
    assert document["history"]["verified"] == 0


def test_a_document_without_any_of_it_fits_too(repository: Repository) -> None:
    with repository:
        document = diff(repository, "HEAD", "HEAD").to_json()
    assert refused(document) is None
    assert refused({**document, "more": 1}) == "$: Unevaluated properties are not allowed ('more' was unexpected)"
    assert refused({**document, "history": {**document["history"], "verified": -1}}) is not None
