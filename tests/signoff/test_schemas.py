# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schemas are those of the code, and hold for what it writes.

After a change of a model, ``WRITE_SCHEMAS=1 python -m pytest tests/signoff/test_schemas.py`` writes them anew.
"""

from __future__ import annotations

import json
import os
import tomllib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import referencing

from signoff import (
    DEFAULT_POLICY,
    EmergencyTimes,
    Reviewer,
    build_break_glass,
    build_emergency,
    build_summary,
)
from signoff.schemas import json_schemas

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


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


def test_documents_of_log_and_gate_hold_to_their_schemas(world: World) -> None:
    for entry in world.people:
        entry["roles"] = ["reviewer", "break-glass"]
    world.write()
    listed = world.revocations().envelope.payload
    valid("revocations", json.loads(listed))
    emergency = build_emergency(
        revision=world.revision,
        target_ref="refs/heads/main",
        reason="The feed shows an attack on a hospital.",
        approver=Reviewer(id="rita", name="Rita", organization="Rita Review", role="break-glass"),
        people=[],
        policy="sha256:" + "0" * 64,
        times=EmergencyTimes("nonce-0123456789", NOW, NOW + timedelta(hours=1), NOW + timedelta(days=1)),
    )
    valid("break-glass-statement", emergency)
    path = world.folder / "glass.json"
    path.write_bytes(build_break_glass(world.revision, [world.seal(emergency)]))
    valid("break-glass", json.loads(path.read_bytes()))
    for result in (world.gate(break_glass=path), world.gate()):
        valid("gate-decision", build_summary(result, gate_id="gate", now=NOW))


def test_a_schema_refuses_another_document(world: World) -> None:
    world.write()
    bundle = json.loads(world.bundle.read_bytes())
    bundle["signoffs"][0]["envelope"]["payloadType"] = "text/plain"
    with pytest.raises(jsonschema.ValidationError):
        valid("bundle", bundle)
