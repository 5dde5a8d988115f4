# SPDX-License-Identifier: Apache-2.0
"""Statements of provenance beside models: they count if a configured key signed them and they name these bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import building
import jsonschema
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from confine import Repository
from diffing import diff, model_diff, read_keys
from evidence import InputError, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing import Diff, Keys

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schemas" / "provenance.schema.json").read_text(encoding="utf-8")
)
DATA = "sha256 of the data"
TABLES = [np.random.default_rng(seed).standard_normal((64, 8)).astype("<f4") for seed in (1, 2)]
MODELS = [building.safetensors({"items": table}) for table in TABLES]
ED, EC = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32), ec.derive_private_key(7, ec.SECP256R1())


def statement(model: bytes, commit: str = "c" * 40, *, old: bool = False) -> dict[str, Any]:
    """SLSA provenance, of version 0.2 or 1, of a model made from a commit and a table."""
    digests = [{"gitCommit": commit}, {"sha256": hashlib.sha256(DATA.encode()).hexdigest()}]
    made_of = [
        {"uri": uri, "digest": digest} for uri, digest in zip(["git+https://a", "data.parquet"], digests, strict=True)
    ]
    predicate: dict[str, Any] = {
        "buildDefinition": {"resolvedDependencies": made_of},
        "runDetails": {"builder": {"id": "https://builder.example"}},
    }
    if old:
        made_of[0]["digest"] = {"sha1": commit}
        predicate = {"materials": made_of, "builder": {"id": "https://builder.example"}}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": hashlib.sha256(model).hexdigest()}}],
        "predicateType": f"https://slsa.dev/provenance/{'v0.2' if old else 'v1'}",
        "predicate": predicate,
    }


def envelope(said: dict[str, Any] | bytes, *, key: Any = ED, kind: str = "application/vnd.in-toto+json") -> bytes:
    """A DSSE envelope, signed; without key ids, as some builders write them."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = key.sign(pae) if key is ED else key.sign(pae, ec.ECDSA(SHA256()))
    signatures = [{"sig": base64.b64encode(signature).decode()}]
    document = {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": signatures}
    return json.dumps(document).encode() + b"\n"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Both builders' public keys in one file."""
    path = tmp_path / "keys.pem"
    path.write_bytes(b"# builders\n" + b"".join(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in (ED, EC)
    ))  # fmt: skip
    return read_keys(path)


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Any]:
    """The provenance of a changed model with these files beside it, and its finding, if there is one."""

    def run(beside: dict[str, bytes], keys: Keys | None) -> tuple[dict[str, Any], Any]:
        for side, model in zip(("base", "head"), MODELS, strict=True):
            (tmp_path / side).mkdir()
            (tmp_path / side / "m.safetensors").write_bytes(model)
        for name, content in beside.items():
            (tmp_path / "head" / name).write_bytes(content)
        result = model_diff(tmp_path / "base" / "m.safetensors", tmp_path / "head" / "m.safetensors", keys=keys)
        found = [finding for finding in result.findings if finding.rule == "provenance-missing"]
        (known,) = result.to_json()["provenance"]
        jsonschema.Draft202012Validator(SCHEMA).validate(known)
        return known, found[0] if found else None

    return run


@pytest.mark.sandbox
@pytest.mark.parametrize("key", [ED, EC])
@pytest.mark.parametrize("old", [False, True])
def test_a_signed_statement_about_these_bytes_is_shown_and_gives_no_finding(
    told: Callable[..., Any], keys: Keys, key: Any, *, old: bool
) -> None:
    known, finding = told({"m.safetensors.intoto.jsonl": envelope(statement(MODELS[1], old=old), key=key)}, keys)
    assert finding is None
    assert (known["problem"], known["builder"]) == (None, "https://builder.example")
    assert known["commits"] == ["c" * 40]
    assert known["data"] == [{"name": "data.parquet", "digest": hashlib.sha256(DATA.encode()).hexdigest()}]
    assert len(known["signed_by"]) == 1


@pytest.mark.sandbox
def test_the_schema_takes_no_claim_that_nobody_signed(told: Callable[..., Any], keys: Keys) -> None:
    known, _ = told({"m.safetensors.intoto.jsonl": envelope(statement(MODELS[1]))}, keys)
    checks = jsonschema.Draft202012Validator(SCHEMA)
    for wrong in (
        {"signed_by": []}, {"problem": "no key verifies it"}, {"statement": None}, {"commits": ["main"]}, {"path": ""},
    ):  # fmt: skip
        assert not checks.is_valid(known | wrong), wrong
    assert not checks.is_valid({key: value for key, value in known.items() if key != "problem"})


def tampered(content: bytes) -> bytes:
    document = json.loads(content)
    payload = base64.b64decode(document["payload"]).replace(b"builder.example", b"builder.another")
    return json.dumps({**document, "payload": base64.b64encode(payload).decode()}).encode()


STRANGER = ed25519.Ed25519PrivateKey.from_private_bytes(b"s" * 32)
GOOD = envelope(statement(MODELS[1]))


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("content", "words", "severity"),
    [
        (None, "nothing beside it says", Severity.MEDIUM),
        (tampered(GOOD), "no configured key verifies", Severity.HIGH),
        (envelope(statement(MODELS[0])), "about other bytes", Severity.HIGH),
        (envelope(statement(MODELS[1]), kind="text/plain"), "something else than an in-toto statement", Severity.HIGH),
        (envelope(b"[" * 100_000), "no in-toto statement", Severity.HIGH),
        (envelope(b'{"subject": [3], "predicate": {}, "predicateType": 1}'), "no in-toto statement", Severity.HIGH),
        (b"{", "no DSSE envelope", Severity.HIGH),
        (b"[]", "no DSSE envelope", Severity.HIGH),
        (b'{"payload": 3, "payloadType": "x", "signatures": {}}', "no DSSE envelope", Severity.HIGH),
        (b" " * (2 << 20), "nothing beside it says", Severity.MEDIUM),
    ],
)
def test_what_does_not_hold_is_a_finding(
    told: Callable[..., Any], keys: Keys, content: bytes | None, words: str, severity: Severity
) -> None:
    known, finding = told({"m.safetensors.intoto.jsonl": content} if content is not None else {}, keys)
    assert words in known["problem"]
    assert finding.severity is severity
    assert known["commits"] == []


@pytest.mark.sandbox
def test_where_nobody_asks_for_provenance_its_absence_weighs_info(told: Callable[..., Any]) -> None:
    known, finding = told({}, None)
    assert (known["statement"], finding.severity) == (None, Severity.INFO)


@pytest.mark.sandbox
def test_without_a_key_a_statement_is_said_to_be_signed_and_not_verified(told: Callable[..., Any]) -> None:
    known, finding = told({"m.safetensors.intoto.jsonl": GOOD}, None)
    assert known["problem"] == "signed, not verified: no key is configured"
    assert finding.severity is Severity.LOW


@pytest.mark.sandbox
def test_one_good_statement_among_bad_ones_and_about_many_files_is_enough(told: Callable[..., Any], keys: Keys) -> None:
    several = statement(MODELS[1])
    several["subject"].insert(0, {"name": "other", "digest": {"sha256": "0" * 64}})
    bad = envelope(statement(MODELS[0]))
    known, finding = told({"attestations.jsonl": bad + b"\n{\n" + envelope(several), "x.intoto.jsonl": bad}, keys)
    assert (finding, known["statement"]) == (None, "attestations.jsonl")


@pytest.mark.sandbox
def test_in_a_repository_the_commit_has_to_be_of_this_history(tmp_path: Path, keys: Keys) -> None:
    place = tmp_path / "repository"
    place.mkdir()

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(place), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def committed(model: bytes, statements: dict[str, bytes]) -> str:
        (place / "m.safetensors").write_bytes(model)
        for name, content in statements.items():
            (place / name).write_bytes(content)
        git("add", "-A")
        git("commit", "-qm", "x")
        return git("rev-parse", "HEAD")

    def compared() -> Diff:
        with Repository.open(place) as repository:
            return diff(repository, "HEAD~1", "HEAD", keys=keys)

    git("init", "-q")
    first = committed(MODELS[0], {})
    committed(MODELS[1], {"m.safetensors.intoto.jsonl": envelope(statement(MODELS[1], first))})
    good = compared()
    assert [one.commits for one in good.provenance] == [(first,)]
    assert not [finding for finding in good.findings if finding.rule == "provenance-missing"]
    assert not good.not_analysed
    git("reset", "-q", "--hard", first)
    committed(MODELS[1], {"m.safetensors.intoto.jsonl": envelope(statement(MODELS[1]))})
    (finding,) = [finding for finding in compared().findings if finding.rule == "provenance-missing"]
    assert "is no commit of this history" in finding.title
    assert compared().to_json()["provenance"][0]["builder"] == "https://builder.example"


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_file_without_a_key_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.pem").write_bytes(content)
    with pytest.raises(InputError, match=r"keys\.pem: (no public key|a key that)"):
        read_keys(tmp_path / "keys.pem")
