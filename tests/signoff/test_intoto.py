# SPDX-License-Identifier: Apache-2.0
"""The in-toto project's own package reads our statements and verification summaries, and we read what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from world import NOW

from evidence import InputError, canonical
from signoff import Envelope, build_summary, read_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import World

VECTORS = sorted(path.name for path in (Path(__file__).parent / "vectors").iterdir())


def payloads(document: Any) -> Iterator[bytes]:
    """What is signed in a bundle, all envelopes at any depth."""
    if isinstance(document, dict) and "payload" in document and "signatures" in document:
        yield Envelope.from_json(document).payload
    elif isinstance(document, dict | list):
        for part in document.values() if isinstance(document, dict) else document:
            yield from payloads(part)


def statements(name: str) -> list[bytes]:
    bundle = json.loads((Path(__file__).parent / "vectors" / name / "bundle.json").read_bytes())
    return [one for one in payloads(bundle) if b'"_type":' in one]


def read(payload: bytes) -> Statement:
    """As their package reads it: a field that the specification does not know is an error."""
    found = Statement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement()))
    found.validate()
    return found


@pytest.mark.parametrize("name", VECTORS)
def test_in_totos_package_reads_every_statement_of_a_bundle(name: str) -> None:
    found = statements(name)
    assert found
    for payload in found:
        theirs, ours = read(payload).pb, json.loads(payload)
        assert theirs.predicate_type == ours["predicateType"]
        assert [dict(one.digest) for one in theirs.subject] == [one["digest"] for one in ours["subject"]]
        assert json_format.MessageToDict(theirs.predicate) == ours["predicate"]  # nothing is lost or rounded


def test_we_read_a_statement_that_in_totos_package_wrote() -> None:
    (payload,) = (one for one in statements("plain") if b"review-signoff" in one)
    said = json.loads(payload)
    subject = ResourceDescriptor(name="revision", digest=said["subject"][0]["digest"])
    made = Statement([subject.pb], said["predicateType"], said["predicate"])
    made.validate()
    written = canonical(json.loads(json_format.MessageToJson(made.pb)))
    assert read_statement(written) == read_statement(payload)
    assert written == payload


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"subject": []},
        {"predicateType": ""},
        {"predicate": {}},
        {"x": 1},
    ],
)
def test_what_in_totos_package_refuses_we_refuse(change: dict[str, Any]) -> None:
    (payload,) = (one for one in statements("plain") if b"review-signoff" in one)
    changed = canonical({**json.loads(payload), **change})
    with pytest.raises((ValueError, json_format.ParseError)):
        read(changed)
    with pytest.raises(InputError):
        read_statement(changed)


def test_a_gates_decision_is_a_verification_summary_to_in_totos_package(world: World) -> None:
    world.write()
    document = build_summary(world.gate(), gate_id="https://platform.example/gates/1", now=NOW)
    theirs = read(canonical(document)).pb
    assert theirs.predicate_type == "https://slsa.dev/verification_summary/v1"
    # The package has one string for verifiedLevels, which are a list by https://slsa.dev/spec/v1.1/verification_summary
    said = json.dumps({**document["predicate"], "verifiedLevels": " ".join(document["predicate"]["verifiedLevels"])})
    summary = json_format.Parse(said, vsa_pb2.VerificationSummary(), ignore_unknown_fields=True)  # ours has more
    assert (summary.verification_result, summary.verifier.id) == ("PASSED", "https://platform.example/gates/1")
    assert summary.resource_uri == document["predicate"]["resourceUri"]
    assert dict(summary.policy.digest) == document["predicate"]["policy"]["digest"]
    assert json_format.MessageToDict(summary)["timeVerified"] == document["predicate"]["timeVerified"]
    assert summary.verified_levels.split() == document["predicate"]["verifiedLevels"]
