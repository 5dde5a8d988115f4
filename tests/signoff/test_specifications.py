# SPDX-License-Identifier: Apache-2.0
"""The examples of the specifications' own texts, and the requests of another witness's tests."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.exceptions import VerificationError as DsseVerificationError
from securesystemslib.signer import SSlibKey

from evidence import InputError
from signoff import (
    Cosigner,
    Envelope,
    LogKey,
    LogProof,
    NoteKey,
    Witness,
    armor,
    build_request,
    open_checkpoint,
    pae,
    parse_quorum,
    parse_request,
    tile_path,
)
from signoff._strict import decode_base64
from signoff.notes import open_note, parse_checkpoint, split_note

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "tlog"


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", text(name), re.MULTILINE | re.DOTALL)


def test_the_files_are_those_of_the_manifest() -> None:
    listed = {entry["name"]: entry for entry in tomllib.loads(text("manifest.toml"))["file"]}
    assert set(listed) == {path.name for path in FOLDER.iterdir()} - {"manifest.toml"}
    for name, entry in listed.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == entry["sha256"]
        assert entry["licence"]
        assert entry["origin"].startswith("https://")


def test_the_example_of_signed_notes_verifies() -> None:
    (vkey,) = re.findall(r"^    (example\.com/foo\+\S+)$", text("signed-note.md"), re.MULTILINE)
    note = blocks("signed-note.md")[-1]
    key = NoteKey.from_vkey(vkey)
    assert key.vkey == vkey
    assert open_note(note.encode(), key) == "This is an example message.\n"


@pytest.mark.parametrize("name", ["tlog-checkpoint.md", "tlog-cosignature.md"])
def test_the_examples_of_checkpoints_are_checkpoints(name: str) -> None:
    said, lines = split_note(blocks(name)[0].encode())
    checkpoint = parse_checkpoint(said, "example.com/behind-the-sofa")
    assert checkpoint.size == 20852163
    assert checkpoint.text == said
    assert "".join(line.text for line in lines) == blocks(name)[0].partition("\n\n")[2]


def test_the_cosignature_of_the_example_is_of_the_time_that_its_text_says() -> None:
    _, lines = split_note(blocks("tlog-cosignature.md")[0].encode())
    witness = next(line for line in lines if line.name == "witness.example.com/w1")
    (seconds,) = re.findall(r"^    time ([0-9]+)$", text("tlog-cosignature.md"), re.MULTILINE)
    assert int.from_bytes(witness.signature[:8], "big") == int(seconds)
    assert len(witness.signature) == 8 + 64


def test_the_request_of_the_witness_specification_is_taken_apart() -> None:
    (example,) = re.findall(r"Example request body:\n\n((?:    .*\n|\n)+)", text("tlog-witness.md"))
    body = re.sub(r"^    ", "", example, flags=re.MULTILINE).rstrip("\n") + "\n"
    request = parse_request(body.encode())
    assert (request.old, len(request.proof)) == (20852014, 4)
    said, lines = split_note(request.note)
    assert parse_checkpoint(said, "example.com/behind-the-sofa").size == 20852163
    assert len(lines) == 2
    assert build_request(request.old, request.proof, request.note) == body.encode()


def test_the_policy_of_the_specification_is_read_once_it_has_keys() -> None:
    written = blocks("tlog-policy.md")[0]
    while "<vkey>" in written:
        line = next(line for line in written.split("\n") if "<vkey>" in line)
        log, witness = LogKey.generate("log.example").vkey, Cosigner.generate("w.example").public.vkey
        key = log if line.startswith("log") else witness
        written = written.replace("<vkey>", key, 1)
    quorum = parse_quorum(written.encode())
    assert quorum.rule == b"X-and-Y"
    assert {name: group.threshold for name, group in quorum.groups.items()} == {
        b"X-witnesses": 2,
        b"Y-witnesses": 1,
        b"X-and-Y": 2,
    }


def test_the_proof_of_the_specification_has_extra_data_which_are_refused() -> None:
    example = blocks("tlog-proof.md")[0]
    with pytest.raises(InputError, match="extra data is not used"):
        LogProof.parse(example)
    head, _, rest = re.sub(r"^extra .*\n", "", example, flags=re.MULTILINE).partition("\n\n")
    assert rest.startswith("example.com/fancylog\n109482\n")
    assert len([decode_base64(line, "hash") for line in head.split("\n")[2:]]) == 5


def test_the_paths_of_the_tiles_specification_are_ours() -> None:
    assert "x001/x234/067" in text("tlog-tiles.md")
    assert tile_path(0, 1234067, 256) == "tile/0/x001/x234/067"


def test_a_witness_answers_the_requests_of_another_implementations_tests(tmp_path: Path) -> None:
    go = text("witness_test.go")
    (public,) = re.findall(r'pk := mustDecodeHex\(t, "([0-9a-f]{64})"\)', go)
    (origin,) = re.findall(r'origin := "(\S+)"', go)
    first, shorter, longer = re.findall(r"\[\]byte\(`(old [^`]+)`\)", go)
    key = NoteKey(origin, bytes.fromhex(public))
    cosigner = Cosigner.generate("witness.example/w1")
    witness = Witness(tmp_path, [cosigner], [key], clock=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    assert witness.add_checkpoint(shorter.encode()).body == b"0\n"
    for body, size in ((first, 1), (longer, 5)):
        assert witness.add_checkpoint(body.encode()).status == 200
        newest = witness.checkpoint(hashlib.sha256(origin.encode()).hexdigest()).body
        assert open_checkpoint(newest, key).size == size
    late = witness.add_checkpoint(shorter.encode())
    assert (late.status, late.body) == (409, b"5\n")


def test_the_dsse_example_has_our_encoding_and_its_signature_holds() -> None:
    said = text("dsse-protocol.md")
    (encoded,) = re.findall(r"^(DSSEv1 .*)$", said, re.MULTILINE)
    assert pae(b"hello world", "http://example.com/HelloWorld") == encoded.encode()
    (example,) = re.findall(r"^```json\n(\{.*?\})\n```", said, re.MULTILINE | re.DOTALL)
    document = json.loads(example)
    document["signatures"][0]["keyid"] = ""  # which the example leaves out and securesystemslib asks for
    envelope = DsseEnvelope.from_dict(copy.deepcopy(document))
    assert envelope.pae() == encoded.encode()
    x, y = (int(re.findall(rf"^{axis}: ([0-9]+)$", said, re.MULTILINE)[0]) for axis in "XY")
    signature = decode_base64(document["signatures"][0]["sig"], "signature")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(encode_dss_signature(r, s), encoded.encode(), ec.ECDSA(hashes.SHA256()))


def vector(name: str) -> tuple[Any, Any]:
    folder = Path(__file__).parent / "vectors" / name
    return tuple(json.loads((folder / part).read_bytes()) for part in ("bundle.json", "roots.json"))  # type: ignore[return-value]


def test_stock_openssh_accepts_a_sign_off_out_of_a_bundle(tmp_path: Path) -> None:
    bundle, roots = vector("openssh")
    (signoff,) = bundle["signoffs"]
    envelope = Envelope.from_json(signoff["envelope"])
    susi = next(person for person in roots["people"] if person["id"] == "susi")
    (tmp_path / "allowed").write_text(f"susi {susi['keys'][0]['public']}\n", encoding="utf-8")
    (tmp_path / "sig").write_text(armor(envelope.signature), encoding="ascii")
    command = ["ssh-keygen", "-Y", "verify", "-n", "countersign", "-I", "susi"]
    command += ["-f", str(tmp_path / "allowed"), "-s", str(tmp_path / "sig")]
    for message, status in ((pae(envelope.payload), 0), (pae(envelope.payload + b" "), 255)):
        assert subprocess.run(command, input=message, capture_output=True, check=False).returncode == status


def test_securesystemslib_accepts_what_is_signed_in_a_bundle() -> None:
    bundle, roots = vector("witnessed")
    keys = [entry["public"] for person in roots["people"] for entry in person["keys"]]
    keys += [entry["public"] for entry in roots["service"]["keys"]]
    for document in (bundle["signoffs"][0]["envelope"], bundle["revocations"]["envelope"]):
        envelope = DsseEnvelope.from_dict(copy.deepcopy(document))
        accepted = [line for line in keys if accepts(line, envelope)]
        assert len(accepted) == 1


def accepts(line: str, envelope: DsseEnvelope) -> bool:
    key = SSlibKey.from_crypto(load_ssh_public_key(line.encode()), keyid=next(iter(envelope.signatures)))
    try:
        envelope.verify([key], 1)
    except DsseVerificationError:
        return False
    return True
