# SPDX-License-Identifier: Apache-2.0
"""Every parser of log, bundle and gate, fed anything: it reads what it would write itself, or refuses. Nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import CountersignError, InputError, PolicyError, canonical, parse_json
from signoff import (
    DEFAULT_POLICY,
    Cosigner,
    CosignerKey,
    Envelope,
    LogKey,
    LogProof,
    NoteKey,
    Revoked,
    RevokedKind,
    RootsUpdate,
    build_revocations,
    build_stop,
    open_cosignatures,
    parse_policy,
    parse_request,
    parse_roots,
    read_build,
    read_bundle,
    read_bundle_revision,
    read_carry,
    read_emergency,
    read_facts,
    read_measures,
    read_recipe,
    read_revocations,
    read_statement,
    read_stop,
    read_summary,
)
from signoff.notes import split_note
from signoff.tiles import unpack_entries

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
VECTORS = Path(__file__).parent / "vectors"
LOG = LogKey("log.example/one", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
NOTE = LOG.sign("log.example/one\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
COSIGNED = NOTE + WITNESS.cosign(NOTE.decode().partition("\n\n")[0] + "\n", AT).encode()
PROOF = LogProof(1, (b"x" * 32, b"y" * 32), COSIGNED).text.encode()
LIST = canonical(
    build_revocations("service", 3, AT, [Revoked(RevokedKind.KEY, "0" * 64, AT - timedelta(days=1), "Lost.")])
)
REQUEST = b"old 1\n" + b"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=\n\n" + NOTE
ENVELOPE = canonical(
    Envelope.from_json(
        {
            "payload": "e30=",
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"keyid": "", "sig": "AAAA", "kind": "ed25519"}],
        }
    ).to_json()
)


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


READERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "note": (split_note, NOTE),
    "cosignatures": (lambda data: open_cosignatures(data, (WITNESS.public,)), COSIGNED),
    "log proof": (lambda data: LogProof.parse(text(data)), PROOF),
    "log key": (lambda data: NoteKey.from_vkey(text(data)), LOG.vkey.encode()),
    "witness key": (lambda data: CosignerKey.from_vkey(text(data)), WITNESS.public.vkey.encode()),
    "request to a witness": (parse_request, REQUEST),
    "entry bundle": (unpack_entries, b"\x00\x03one\x00\x00\x00\x01x"),
    "envelope": (Envelope.read, ENVELOPE),
    "bundle": (read_bundle, b'{"schema":"countersign/bundle/v1"}'),
    "revocation list": (read_revocations, LIST),
    "break-glass statement": (read_emergency, b'{"_type":"https://in-toto.io/Statement/v1"}'),
    "break-glass file": (read_bundle_revision, b'{"schema":"countersign/break-glass/v1"}'),
    "gate's decision": (read_summary, b'{"_type":"https://in-toto.io/Statement/v1"}'),
}


def vector(name: str) -> Any:
    return json.loads((VECTORS / name / "bundle.json").read_bytes())


def payload(held: Any) -> bytes:
    return base64.b64decode(held["envelope"]["payload"])


def of_object(read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """A reader of a document that stands in another one, where an object is all that it can be."""

    def reader(data: bytes) -> Any:
        document = parse_json(data, "document")
        return read(document) if isinstance(document, dict) else None

    return reader


BUILT, CHANGED = vector("build")["build"], vector("followed")["roots"][0]["update"]
STOPPED = build_stop(
    read_recipe(BUILT["recipe"]),
    service="service",
    revision=None,
    reason="Beyond.",
    stopped_at=AT,
    detail="sha256:" + "0" * 64,
)
DOCUMENTS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {  # whole ones, which are read as they are
    "statement": (read_statement, payload(vector("plain")["signoffs"][0])),
    "carry-over": (read_carry, payload(vector("carried")["carry"])),
    "build": (read_build, payload(BUILT)),
    "lane that stops": (read_stop, canonical(STOPPED)),
    "facts": (of_object(read_facts), canonical(vector("everything")["facts"][0])),
    "recipe": (of_object(read_recipe), canonical(BUILT["recipe"])),
    "measures": (of_object(read_measures), canonical(BUILT["measures"])),
    "roots": (parse_roots, (VECTORS / "followed" / "roots.json").read_bytes()),
    "roots update": (lambda data: RootsUpdate.read(data).signers(), canonical(CHANGED)),
    "policy": (parse_policy, DEFAULT_POLICY.encode()),
    "bundle with roots": (read_bundle, (VECTORS / "followed" / "bundle.json").read_bytes()),
}
READERS |= DOCUMENTS


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    with contextlib.suppress(CountersignError):
        READERS[name][0](data)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_document_with_anything_changed_is_read_or_refused(name: str, data: st.DataObject) -> None:
    read, good = READERS[name]
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(CountersignError):
        read(bytes(changed))


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 70 + b"]" * 70])
@pytest.mark.parametrize(
    "name",
    [
        "envelope",
        "bundle",
        "revocation list",
        "break-glass file",
        "gate's decision",
        *sorted(DOCUMENTS.keys() - {"policy"}),
    ],
)
def test_huge_nesting_is_refused(name: str, nested: bytes) -> None:
    with pytest.raises((InputError, PolicyError)):
        READERS[name][0](nested)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["predicate"].update(number=-1),
        lambda one: one["predicate"].update(number=1.5),
        lambda one: one["predicate"].update(number=True),
        lambda one: one["predicate"].update(issuedAt="2026-11-24T12:00:00+00:00"),
        lambda one: one["predicate"].update(issuedAt="2026-02-30T12:00:00Z"),
        lambda one: one["predicate"].update(revoked=[]),
        lambda one: one["predicate"]["revoked"][0].update(kind="log"),
        lambda one: one["predicate"].update(revoked=one["predicate"]["revoked"] * 2),
        lambda one: one.update(predicateType="https://countersign.dev/review-signoff/v1"),
        lambda one: one["subject"][0]["digest"].update(sha256="0" * 64),
    ],
)
def test_a_list_that_is_not_one_is_refused(change: Callable[[Any], object]) -> None:
    document = json.loads(LIST)
    change(document)
    with pytest.raises(InputError):
        read_revocations(canonical(document))


def test_the_good_ones_are_read() -> None:
    for name in ("note", "cosignatures", "log proof", "log key", "witness key", "request to a witness", "entry bundle"):
        assert READERS[name][0](READERS[name][1])
    for read, good in DOCUMENTS.values():
        assert read(good)
    assert read_revocations(LIST).find(RevokedKind.KEY, "0" * 64) is not None
    assert Envelope.read(ENVELOPE).payload == b"{}"
