# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schemas are those of the code, and hold for what it writes.

After a change of a model, ``WRITE_SCHEMAS=1 python -m pytest tests/signoff/test_schemas.py`` writes them anew.
"""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import referencing

from signoff import DEFAULT_POLICY
from signoff.schemas import json_schemas

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import World


def valid(name: str, document: Any) -> None:
    schemas = json_schemas()
    resources = [(schema["$id"], referencing.Resource.from_contents(schema)) for schema in schemas.values()]
    registry: Any = referencing.Registry().with_resources(resources)
    jsonschema.Draft202012Validator(schemas[name], registry=registry).validate(document)


@pytest.mark.parametrize("name", sorted(json_schemas()))
def test_the_published_schema_is_the_codes(root: Path, name: str) -> None:
    path = root / "docs" / "schemas" / f"{name}.schema.json"
    text = json.dumps(json_schemas()[name], indent=2) + "\n"
    if os.environ.get("WRITE_SCHEMAS"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_real_documents_hold_to_their_schemas(world: World) -> None:
    world.write()
    bundle = json.loads(world.bundle.read_bytes())
    valid("bundle", bundle)
    valid("envelope", bundle["signoffs"][0]["envelope"])
    valid("facts", bundle["facts"][0])
    valid("statement", world.statement())
    valid("roots", json.loads(world.roots.read_bytes()))
    valid("policy", tomllib.loads(DEFAULT_POLICY))


def test_a_schema_refuses_another_document(world: World) -> None:
    world.write()
    bundle = json.loads(world.bundle.read_bytes())
    bundle["signoffs"][0]["envelope"]["payloadType"] = "text/plain"
    with pytest.raises(jsonschema.ValidationError):
        valid("bundle", bundle)
