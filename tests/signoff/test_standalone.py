# SPDX-License-Identifier: Apache-2.0
"""The verifier that stands alone judges as the gate does, over the same vectors: good ones, and every one mutated.

``WRITE_VECTORS=1 python -m pytest tests/signoff/test_standalone.py`` makes the vectors anew.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import canonical
from signoff import (
    ML_DSA_44_COSIGNATURE,
    Decision,
    Revoked,
    RevokedKind,
    Vote,
    envelope_from_ssh,
    pae,
    sign_with_ssh_key,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import World

VECTORS = Path(__file__).parent / "vectors"
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "verifier" / "countersign_verify.py"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAMES = ("plain", "witnessed", "quantum", "openssh", "rejected", "revoked")

_spec = importlib.util.spec_from_file_location("countersign_verify", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
standalone: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(standalone)


def by_gate(folder: Path, bundle: bytes, now: datetime = NOW) -> int | None:
    """The step among the first nine at which the gate refuses; None if none."""
    path = folder / "mutated.json"
    path.write_bytes(bundle)
    refused = verify(path, folder / "roots.json", now, folder / "policy.toml").refused
    return None if refused is None or refused.number == 10 else refused.number


def by_itself(folder: Path, bundle: bytes, now: datetime = NOW) -> int | None:
    roots, policy = (folder / name for name in ("roots.json", "policy.toml"))
    steps = standalone.verify(bundle, roots.read_bytes(), policy.read_bytes(), None, now)
    return next((number for number, _, ok, _ in steps if ok is False), None)


@pytest.mark.skipif(not os.environ.get("WRITE_VECTORS"), reason="writes the vectors, when it is asked to")
@pytest.mark.parametrize("name", NAMES)
def test_write_the_vectors(world: World, name: str) -> None:
    signoffs = None
    if name == "witnessed":
        world.witnessed()
    if name == "quantum":
        world.witnessed(ML_DSA_44_COSIGNATURE)
    if name == "openssh":
        world.keygen(world.folder / "id")
        line = (world.folder / "id.pub").read_text(encoding="utf-8")
        world.enrol("susi", 0, keys=[world.key_entry(line)])
        payload = world.payload("susi")
        signoffs = [world.log_signoff(envelope_from_ssh(payload, sign_with_ssh_key(world.folder / "id", pae(payload))))]
    if name == "rejected":
        signoffs = [world.sign(), world.sign(2, "rolf", vote=Vote(Decision.REJECTED, "It lifts one source."))]
    if name == "revoked":
        revision = world.revision.digest.removeprefix("sha256:")
        world.revoked = [Revoked(RevokedKind.REVISION, revision, NOW - timedelta(hours=1), "A mistake.")]
    world.write(signoffs)
    folder = VECTORS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (world.bundle, world.policy, world.roots):
        shutil.copy(path, folder / path.name)


@pytest.fixture(params=NAMES)
def vector(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for path in (VECTORS / request.param).iterdir():
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


def test_both_judge_a_vector_alike(vector: Path, request: pytest.FixtureRequest) -> None:
    bundle = (vector / "bundle.json").read_bytes()
    expected = 9 if request.node.callspec.params["vector"] == "revoked" else None
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == expected
    for now in (NOW - timedelta(days=1), NOW + timedelta(days=8), NOW + timedelta(days=100)):
        step = by_gate(vector, bundle, now)
        assert step == by_itself(vector, bundle, now)
        assert step is not None


def inner(document: Any, change: Callable[[Any], object]) -> None:
    """Change what a sign-off's payload says, keeping its signature."""
    envelope = document["signoffs"][0]["envelope"]
    payload = json.loads(base64.b64decode(envelope["payload"]))
    change(payload)
    envelope["payload"] = base64.b64encode(canonical(payload)).decode()


MUTATIONS: dict[str, Callable[[Any], object]] = {
    "no sign-offs": lambda bundle: bundle.update(signoffs=[]),
    "the sign-off twice": lambda bundle: bundle["signoffs"].append(bundle["signoffs"][0]),
    "no facts": lambda bundle: bundle.update(facts=[]),
    "other facts": lambda bundle: bundle["facts"][0].update(findings=[]),
    "an unknown key": lambda bundle: bundle.update(more=1),
    "a number for a text": lambda bundle: bundle["revision"].update(repository=1),
    "true for a number": lambda bundle: bundle["revision"]["artifacts"][0].update(size=True),
    "a text for a number": lambda bundle: bundle["revision"]["artifacts"][0].update(size="1"),
    "another repository": lambda bundle: bundle["revision"].update(repository="https://code.example/other"),
    "another head": lambda bundle: bundle["revision"]["head"].update(commit="0" * 40),
    "another payload type": lambda bundle: bundle["signoffs"][0]["envelope"].update(payloadType="text/plain"),
    "two signatures": lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"].append(
        bundle["signoffs"][0]["envelope"]["signatures"][0]
    ),
    "no signature": lambda bundle: bundle["signoffs"][0]["envelope"].update(signatures=[]),
    "another kind": lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(kind="none"),
    "kind ssh": lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(kind="ssh"),
    "kind ed25519": lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(kind="ed25519"),
    "another key id": lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(keyid="x"),
    "another decision": lambda bundle: inner(bundle, lambda one: one["predicate"].update(decision="APPROVED_")),
    "another reviewer": lambda bundle: inner(bundle, lambda one: one["predicate"]["reviewer"].update(id="rolf")),
    "the list as a sign-off": lambda bundle: bundle["signoffs"][0].update(envelope=bundle["revocations"]["envelope"]),
    "the sign-off as a list": lambda bundle: bundle["revocations"].update(envelope=bundle["signoffs"][0]["envelope"]),
    "the list's proof for the sign-off": lambda bundle: bundle["signoffs"][0].update(
        proof=bundle["revocations"]["proof"]
    ),
    "nothing logged": lambda bundle: bundle.update(logged=[]),
    "one thing less logged": lambda bundle: bundle["logged"].pop(),
    "a salt too many": lambda bundle: bundle["logged"][0].update(salt="0" * 64),
    "another salt": lambda bundle: bundle["logged"][-1].update(salt="0" * 64),
    "no consistency": lambda bundle: bundle["logged"][0].update(consistency=[]),
    "consistency too long": lambda bundle: bundle["logged"][0]["consistency"].append(
        base64.b64encode(bytes(32)).decode()
    ),
    "no cosignature": lambda bundle: bundle["revocations"].update(
        proof="\n".join(line for line in bundle["revocations"]["proof"].split("\n") if "witness" not in line)
    ),
    "an index with a zero before it": lambda bundle: bundle["signoffs"][0].update(
        proof=bundle["signoffs"][0]["proof"].replace("index ", "index 0")
    ),
    "extra data": lambda bundle: bundle["signoffs"][0].update(
        proof=bundle["signoffs"][0]["proof"].replace("index ", "extra AAAA\nindex ")
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_both_judge_a_mutation_alike(vector: Path, name: str) -> None:
    document = json.loads((vector / "bundle.json").read_bytes())
    before = canonical(document)
    MUTATIONS[name](document)
    bundle = canonical(document)
    if bundle == before:
        return  # a vector without witnesses has no cosignature to take away
    step = by_gate(vector, bundle)
    assert step is not None
    assert step == by_itself(vector, bundle)


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "a space": lambda data: data.replace(b":", b": ", 1),
    "a byte after it": lambda data: data + b"\n",
    "a byte less": lambda data: data[:-1],
    "empty": lambda _: b"",
    "nested": lambda _: b"[" * 100_000,
    "objects nested": lambda _: b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "a duplicate key": lambda data: data.replace(b'{"facts"', b'{"facts":[],"facts"', 1),
    "a huge number": lambda data: data.replace(b'"waived":0', b'"waived":9007199254740992', 1),
    "a fraction": lambda data: data.replace(b'"size":', b'"size":1.5e1,"x":', 1),
    "minus zero": lambda data: data.replace(b'"waived":0', b'"waived":-0', 1),
    "a number as a fraction": lambda data: data.replace(b'"waived":0', b'"waived":0.0', 1),
    "an exponent": lambda data: data.replace(b'"waived":0', b'"waived":0e0', 1),
    "not a number": lambda data: data.replace(b'"waived":0', b'"waived":NaN', 1),
    "an escape": lambda data: data.replace(b"plain", b"pl\\u0061in", 1).replace(b"ranker", b"r\\u0061nker", 1),
    "half a character": lambda data: data.replace(b"ranker", b"ranker\\ud800", 1),
    "a mark of order": lambda data: b"\xef\xbb\xbf" + data,
    "sixteen bits": lambda data: data.decode().encode("utf-16"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_both_refuse_another_spelling_at_step_one(vector: Path, name: str) -> None:
    good = (vector / "bundle.json").read_bytes()
    bundle = SPELLINGS[name](good)
    assert bundle != good
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == 1


@pytest.mark.parametrize("vector", ["plain"], indirect=True)
def test_every_byte_of_a_small_bundle_has_a_meaning(vector: Path) -> None:
    """Another bit in any byte is refused by the verifier, and, in every 37th, by the gate at the same step."""
    data = (vector / "bundle.json").read_bytes()
    for at in range(len(data)):
        mutated = bytearray(data)
        mutated[at] ^= 32 if at % 2 else 1  # the other case, or another digit or letter
        step = by_itself(vector, bytes(mutated))
        assert step is not None, (at, data[max(0, at - 40) : at + 40])
        if at % 37 == 0:
            assert step == by_gate(vector, bytes(mutated)), (at, data[max(0, at - 40) : at + 40])


@settings(max_examples=150)
@given(data=st.data())
def test_both_judge_any_cut_or_insertion_alike(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    for path in (VECTORS / "plain").iterdir():
        shutil.copy(path, folder / path.name)
    good = (folder / "bundle.json").read_bytes()
    at = data.draw(st.integers(0, len(good)))
    bundle = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 4)) :]
    assert by_gate(folder, bundle) == by_itself(folder, bundle)


def test_it_runs_by_itself_and_compares_artifacts(tmp_path: Path, world: World) -> None:
    world.write()
    command = [sys.executable, "-I", SCRIPT, world.bundle, "--roots", world.roots, "--policy", world.policy]
    command += ["--at", "2026-11-24T12:00:00Z", "--artifact", f"model={world.artifacts['model']}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "holds, as far as was looked at")
    assert "1 of 2 artifacts compared" in done.stdout
    world.artifacts["model"].write_bytes(b"another")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "5  REFUSED  subject" in done.stdout) == (1, True)
    missing = subprocess.run([*command[:3], "absent", *command[4:]], capture_output=True, text=True, check=False)
    assert missing.returncode == 2


def test_it_needs_cryptography_alone() -> None:
    words = [
        line.split()[1].split(".")[0]
        for line in SCRIPT.read_text().splitlines()
        if line.startswith(("import ", "from "))
    ]
    assert set(words) - set(sys.stdlib_module_names) == {"cryptography"}
