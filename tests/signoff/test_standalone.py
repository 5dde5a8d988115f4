# SPDX-License-Identifier: Apache-2.0
"""The verifier that stands alone judges as the gate does, over the same vectors: good ones, and every one mutated.

``WRITE_VECTORS=1 python -m pytest tests/signoff/test_standalone.py`` makes the vectors anew.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alike import refused_at
from changing import Chain
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import SMALL, Lane, cell

from evidence import Verdict, canonical, digest, document_digest
from signoff import (
    DEFAULT_POLICY,
    ML_DSA_44_COSIGNATURE,
    Assertion,
    Decision,
    Evidence,
    Files,
    Hurry,
    MachineKey,
    Override,
    PasskeyScope,
    PublicKey,
    Reviewer,
    Revoked,
    RevokedKind,
    Vote,
    Waiver,
    build_facts,
    challenge,
    coverage,
    envelope_from_passkey,
    envelope_from_raw,
    envelope_from_ssh,
    evidence_digests,
    gate,
    pae,
    sign_with_ssh_key,
    verify,
)
from signoff._wire import wire_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

    from signoff import Signoff

VECTORS = Path(__file__).parent / "vectors"
REPOSITORY = "repository.fast-export"  # what git fast-import makes the vector's repository of
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "verifier" / "countersign_verify.py"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAMES: dict[str, int | None] = {  # and the step at which both refuse
    "plain": None,
    "witnessed": None,
    "quantum": None,
    "openssh": None,
    "ecdsa": None,
    "passkeys": None,
    "everything": None,  # whatever a statement and facts may say
    "rejected": None,
    "carried": None,  # votes on an earlier revision and one on this
    "reader": 2,  # signed in a role that only reads
    "nonce": 3,  # two statements with one nonce
    "revoked": 9,
    "build": None,  # a build under a recipe
    "build-witnessed": None,  # one whose data is bounded, by a lane that has been stopped since
    "build-stopped": 9,  # logged after the lane had stopped
    "build-beyond": 5,  # outside of a bound of its recipe
    "launched": 10,  # approved by who launched its training
    "build-launched": 10,  # a build launched by who approved its recipe
    "followed": None,  # under roots to which two updates lead from those that are given
    "archived": None,  # which carries its policy
    "threshold": None,  # two people of two organisations, as its policy asks for
    "threshold-people": None,  # one of them, and below that the policy's to ask: see GATES
    "threshold-organizations": None,  # two people of one organisation
    "threshold-person": 3,  # one person twice, with a key of their own each time
    "threshold-key": 2,  # two people with one key
    "lane-routine": None,  # one person, where nothing critical is touched
    "lane-critical": None,  # one person, where something is
    "lane-critical-met": None,  # two people of two organisations there
}
GATES: dict[str, tuple[int, str]] = {  # what else the whole gate refuses, with the repository: a requirement of step 10
    "passkeys": (10, "keys"),  # of one of which there may be copies
    "everything": (10, "safe-evidence"),
    "rejected": (10, "no-rejection"),
    "threshold-people": (10, "approvals"),
    "threshold-organizations": (10, "approvals"),
    "lane-critical": (10, "lane"),
}

_spec = importlib.util.spec_from_file_location("countersign_verify", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
standalone: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(standalone)


def by_gate(folder: Path, bundle: bytes, now: datetime = NOW) -> int | None:
    """The step at which the gate refuses; None if none, or what is the policy's to ask."""
    path = folder / "mutated.json"
    path.write_bytes(bundle)
    return refused_at(verify(path, folder / "roots.json", now, folder / "policy.toml"))


def by_itself(folder: Path, bundle: bytes, now: datetime = NOW) -> int | None:
    roots, policy = (folder / name for name in ("roots.json", "policy.toml"))
    steps = standalone.verify(bundle, roots.read_bytes(), policy.read_bytes(), None, now)
    return next((number for number, _, ok, _ in steps if ok is False), None)


def by_passkey(world: World, identifier: str, private: Any, at: int) -> Signoff:
    """A sign-off by a software authenticator, which is enrolled first."""
    scope = PasskeyScope("review.example", "https://sign.review.example")
    key = PublicKey.for_passkey(private.public_key(), scope)
    world.people[at]["keys"] = [world.key_entry(key.line)]
    payload = world.payload(identifier)
    client = {
        "type": "webauthn.get",
        "challenge": base64.urlsafe_b64encode(challenge(pae(payload))).decode().rstrip("="),
        "origin": scope.origin,
        "crossOrigin": False,
        "other_keys_can_be_added_here": 0.5,
    }
    # the owner is there and verified; of the second the passkey may have copies, and has
    data = hashlib.sha256(scope.rp_id.encode()).digest() + bytes([0x1D if at else 0x05]) + bytes([0, 0, 0, 7])
    assertion = Assertion(data, json.dumps(client).encode())
    if isinstance(private, ec.EllipticCurvePrivateKey):
        signature = private.sign(assertion.signed, ec.ECDSA(hashes.SHA256()))
    elif isinstance(private, rsa.RSAPrivateKey):
        signature = private.sign(assertion.signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = private.sign(assertion.signed)
    return world.log_signoff(envelope_from_passkey(payload, assertion, signature, key))


def by_ecdsa(world: World, identifier: str, private: ec.EllipticCurvePrivateKey, at: int) -> Signoff:
    """A sign-off by a raw ECDSA key, as those in hardware modules and clouds are."""
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    world.people[at]["keys"] = [world.key_entry(line)]
    payload = world.payload(identifier)
    made = hashes.SHA256() if private.curve.name == "secp256r1" else hashes.SHA384()
    return world.log_signoff(
        envelope_from_raw(payload, private.sign(pae(payload), ec.ECDSA(made)), PublicKey.from_line(line))
    )


def openssh(world: World) -> list[Signoff]:
    world.keygen(world.folder / "id")
    line = (world.folder / "id.pub").read_text(encoding="utf-8")
    world.enrol("susi", 0, keys=[world.key_entry(line)])
    payload = world.payload("susi")
    return [world.log_signoff(envelope_from_ssh(payload, sign_with_ssh_key(world.folder / "id", pae(payload))))]


def ecdsa(world: World) -> list[Signoff]:
    curves = (("rita", ec.SECP256R1()), ("rolf", ec.SECP384R1()))
    return [by_ecdsa(world, who, ec.generate_private_key(curve), at) for at, (who, curve) in enumerate(curves)]


def passkeys(world: World) -> list[Signoff]:
    world.enrol("ruth", 3)
    signers: tuple[tuple[str, Any], ...] = (
        ("rita", ec.generate_private_key(ec.SECP256R1())),
        ("rolf", Ed25519PrivateKey.generate()),
        ("ruth", rsa.generate_private_key(65537, 2048)),
    )
    return [by_passkey(world, who, private, at) for at, (who, private) in enumerate(signers)]


def all_facts(world: World) -> list[dict[str, Any]]:
    """Two facts documents of one review that say whatever can be said."""
    arguments: dict[str, Any] = {
        "revision": world.revision,
        "evidence": [Evidence.of("audit", digest(b"audit"), Verdict.FAIL, unsafe=True, made_at=NOW)],
        "findings": [],
        "people": [("", ""), ("Ada Author", "ada@platform.example")],
    }
    waived = build_facts(**arguments, files=Files(total=2, viewed=1, waived=1), paths=["rank.py", "models/\u00f6\n"])
    return [waived, build_facts(**arguments, files=Files(total=2, viewed=2, waived=0))]


def everything(world: World) -> list[Signoff]:
    """Two sign-offs under facts of their own that say whatever can be said."""
    waived, viewed = all_facts(world)
    vote = Vote(
        Decision.APPROVED_WITH_CONDITIONS,
        "Two\nlines.",
        conditions=("Watch it.",),
        not_inspected=("weights",),
        override=Override(verdict=Verdict.FAIL, reason="Known."),
        expedited=Hurry(reason="It burns."),
    )
    return [
        world.sign(
            seed,
            identifier,
            vote=vote,
            coverage=coverage(facts, waivers),
            evidence={**evidence_digests(facts), "facts": document_digest(facts)},
        )
        for seed, identifier, facts, waivers in (
            (1, "rita", waived, [Waiver(path="models/\u00f6\n", reason="Binary.")]),
            (2, "rolf", viewed, []),
        )
    ]


def reader(world: World) -> list[Signoff]:
    world.people[0]["roles"] = ["auditor", "reviewer"]
    return [world.sign(reviewer=Reviewer(id="rita", name="Rita", organization="Rita Review", role="auditor"))]


def carried(world: World) -> None:
    """Two votes carried over from revisions of their own, and one anew. Written at once: it needs more than votes."""
    world.policy_text = DEFAULT_POLICY.replace("carry_over = false", "carry_over = true")
    world.enrol("susi", 3)
    facts, signoffs, before = [world.facts()], [world.sign()], [world.rebase()]
    facts += [world.facts(review=b" again")]
    signoffs += [world.sign(2, "rolf", facts=facts[1])]
    before += [world.rebase("Raise the weight once more")]
    facts += [world.facts(review=b" at last")]
    carry = world.carry(signoffs, facts[2], before)
    later = replace(world.validity(NOW - timedelta(minutes=20)), nonce="nonce-of-susi-0123456789")
    signoffs += [world.sign(3, "susi", facts=facts[2], validity=later)]
    world.write(signoffs, facts, carry)


def write_build(world: World, kind: str) -> None:
    """A build under a recipe, and what becomes of it."""
    data = "models/data.json"
    lane = Lane(world).enrol()
    if kind == "witnessed":
        world.witnessed()
        lane = replace(lane, bounds=(("rows", 900, 1100),), summary=data)
    recipe = lane.recipe(artifacts={"data": data, "small": SMALL} if kind == "witnessed" else None)
    approval = lane.approve(recipe)
    revision = lane.change({SMALL: b"another", data: b'{"rows": 1000}'} if kind == "witnessed" else None)
    makers = {"people": [("Rita", "rita+training@review.example")]} if kind == "launched" else {}
    measures = lane.measures(revision, {"rows": 1000} if kind == "witnessed" else None, **makers)
    if kind == "stopped":
        stop(world, recipe.digest)
    if kind == "beyond":
        beyond = lane.measures(revision, audit={"cells": [cell(1.4)]})
        document = lane.statement(revision, replace(lane, ratio=2000).recipe(), beyond)
        document["predicate"]["recipe"] = {"sha256": recipe.digest[7:]}
        world.needed.clear()
        world.log_needed(approval.envelope)
        world.revision = revision
        lane.assemble(lane.log_build(lane.seal(document), recipe, beyond), [approval])
        return
    build = lane.write(recipe=recipe, signoffs=[approval], revision=revision, measures=measures)
    if kind == "witnessed":
        stop(world, recipe.digest)
        lane.assemble(build, [approval])


def stop(world: World, recipe: str) -> None:
    world.revoked = [
        Revoked(RevokedKind.RECIPE, recipe[7:], NOW - timedelta(minutes=20), "Beyond its ratio.", world.log.size)
    ]


def launched(world: World) -> list[dict[str, Any]]:
    """Facts by which the reviewer's own account on the cluster launched the training."""
    world.people[0]["accounts"] = ["rita-on-the-cluster"]
    return [world.facts(people=[("Ada Author", "ada@platform.example"), ("Rita-on-the-Cluster", "")])]


LANES_OF_RISK = """
[[lanes]]
name = "critical"
when = "touches('PATH')"
people = 2
organizations = 2

[[lanes]]
name = "routine"
when = "true"
people = 1
organizations = 1
"""


def both(world: World) -> list[Signoff]:
    return [world.sign(), world.sign(2, "rolf")]


def asks_for_two(world: World) -> None:
    for what in ("people", "organizations"):
        assert f"\n{what} = 1 " in world.policy_text
        world.policy_text = world.policy_text.replace(f"\n{what} = 1 ", f"\n{what} = 2 ", 1)


def threshold(world: World, kind: str) -> list[Signoff]:
    """A policy that asks for two people of two organisations, and what is not that."""
    asks_for_two(world)
    if kind == "organizations":
        world.people[1]["organization"] = world.people[0]["organization"]
    if kind == "key":
        world.people[1]["keys"] = world.people[0]["keys"]
        return [world.sign(), world.sign(1, "rolf")]
    if kind == "person":
        world.people[0]["keys"].append(world.key_entry(world.public_line(3)))
        again = replace(world.validity(), nonce="nonce-of-rita-0123456789")
        return [world.sign(), world.sign(3, "rita", validity=again)]
    return [world.sign()] if kind == "people" else both(world)


def lane_of_risk(world: World, path: str, make: Callable[[World], list[Signoff]]) -> list[Signoff]:
    world.policy_text += LANES_OF_RISK.replace("PATH", path)
    return make(world)


SIGNOFFS: dict[str, Callable[[World], list[Signoff]]] = {
    "openssh": openssh,
    "ecdsa": ecdsa,
    "passkeys": passkeys,
    "everything": everything,
    "rejected": lambda world: [
        world.sign(),
        world.sign(2, "rolf", vote=Vote(Decision.REJECTED, "It lifts one source.")),
    ],
    "reader": reader,
    "threshold": lambda world: threshold(world, ""),
    "threshold-people": lambda world: threshold(world, "people"),
    "threshold-organizations": lambda world: threshold(world, "organizations"),
    "threshold-person": lambda world: threshold(world, "person"),
    "threshold-key": lambda world: threshold(world, "key"),
    "lane-routine": lambda world: lane_of_risk(world, "models/**", lambda one: [one.sign()]),
    "lane-critical": lambda world: lane_of_risk(world, "*.py", lambda one: [one.sign()]),
    "lane-critical-met": lambda world: lane_of_risk(world, "*.py", both),
    "nonce": lambda world: [world.sign(validity=world.validity()), world.sign(2, "rolf", validity=world.validity())],
}


if os.environ.get("WRITE_VECTORS"):  # no test otherwise

    @pytest.mark.parametrize("name", NAMES)
    def test_write_the_vectors(world: World, name: str) -> None:
        world.carries_policy = name == "archived"
        if name in {"witnessed", "archived"}:
            world.witnessed()
        if name == "quantum":
            world.witnessed(ML_DSA_44_COSIGNATURE)
        if name == "revoked":
            revision = world.revision.digest.removeprefix("sha256:")
            world.revoked = [Revoked(RevokedKind.REVISION, revision, NOW - timedelta(hours=1), "A mistake.")]
        make = SIGNOFFS.get(name)
        if name == "carried":
            world.witnessed()
            carried(world)
        elif name.startswith("build"):
            write_build(world, name.removeprefix("build-"))
        elif name == "followed":
            world.witnessed()
            chain = Chain(world)
            chain.change(lambda one: one["people"][0].update(organization="Rita & Daughters"))
            chain.change(chain.enrol_rolf, at=NOW - timedelta(days=4), seeds=(12, 13))
            chain.write()
        elif name == "launched":
            facts = launched(world)
            world.write([world.sign(facts=facts[0])], facts)
        else:
            world.write(None if make is None else make(world), all_facts(world) if name == "everything" else None)
        folder = VECTORS / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in (world.bundle, world.policy, world.roots):
            shutil.copy(path, folder / path.name)
        (folder / REPOSITORY).write_bytes(
            subprocess.run(
                ["git", "fast-export", "--show-original-ids", "HEAD"],
                cwd=world.repository,
                check=True,
                capture_output=True,
            ).stdout
        )


@pytest.fixture(params=NAMES)
def vector(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for path in (VECTORS / request.param).iterdir():
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


def test_both_judge_a_vector_alike(vector: Path, request: pytest.FixtureRequest) -> None:
    bundle = (vector / "bundle.json").read_bytes()
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == NAMES[request.node.callspec.params["vector"]]
    for now in (NOW - timedelta(days=1), NOW + timedelta(days=8), NOW + timedelta(days=100)):
        step = by_gate(vector, bundle, now)
        assert step == by_itself(vector, bundle, now)
        assert step is not None


@pytest.mark.parametrize("carried", [False, True])
def test_the_whole_gate_judges_a_vector_with_its_repository_as_both_do(
    vector: Path, request: pytest.FixtureRequest, *, carried: bool
) -> None:
    """What a repository adds to the vectors: they are of it, and the policy's thresholds and lanes are asked for."""
    name = request.node.callspec.params["vector"]
    repository, model = vector / "repository", vector / "model.npz"
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
    with (vector / REPOSITORY).open("rb") as stream:
        subprocess.run(["git", "fast-import", "--quiet"], cwd=repository, stdin=stream, check=True)
    model.write_bytes(b"large model" * 100)
    if carried:  # by the bundle, beside the deployer's file
        document = json.loads((vector / "bundle.json").read_bytes())
        document["policy"] = (vector / "policy.toml").read_text(encoding="utf-8")
        (vector / "bundle.json").write_bytes(canonical(document))
    files = (vector / "policy.toml", vector / "roots.json", NOW)
    result = gate(vector / "bundle.json", repository, {"model": model}, *files)
    expected = GATES.get(name, (NAMES[name], ""))
    assert (None if result.refused is None else result.refused.number) == expected[0], result.steps
    assert result.admitted is (expected[0] is None)
    if name in GATES:
        assert expected[1] in {one.name for one in result.requirements if not one.state.met}
    model.write_bytes(b"other model" * 100)
    refused = gate(vector / "bundle.json", repository, {"model": model}, *files).refused
    assert refused is not None
    assert refused.number == min(expected[0] or 5, 5)


def signature_of(document: Any) -> Any:
    return document["signoffs"][0]["envelope"]["signatures"][0]


def flip(document: Any, name: str, at: int) -> None:
    """Another bit in one byte of what a passkey's signature stands beside; of other signatures, in the signature."""
    signature = signature_of(document)
    name = name if name in signature else "sig"
    data = bytearray(base64.b64decode(signature[name]))
    data[at] ^= 1
    signature[name] = base64.b64encode(data).decode()


def inner(document: Any, change: Callable[[Any], object]) -> None:
    """Change what a sign-off's payload says, keeping its signature."""
    envelope = document["signoffs"][0]["envelope"]
    payload = json.loads(base64.b64decode(envelope["payload"]))
    change(payload)
    envelope["payload"] = base64.b64encode(canonical(payload)).decode()


MUTATIONS: dict[str, tuple[int, Callable[[Any], object]]] = {  # each with the step that refuses it
    "no sign-offs": (1, lambda bundle: bundle.update(signoffs=[])),
    "the sign-off twice": (3, lambda bundle: bundle["signoffs"].append(bundle["signoffs"][0])),
    "no facts": (1, lambda bundle: bundle.update(facts=[])),
    "other facts": (5, lambda bundle: bundle["facts"][0].update(findings=[])),
    "an unknown key": (1, lambda bundle: bundle.update(more=1)),
    "a number for a text": (1, lambda bundle: bundle["revision"].update(repository=1)),
    "true for a number": (1, lambda bundle: bundle["revision"]["artifacts"][0].update(size=True)),
    "a text for a number": (1, lambda bundle: bundle["revision"]["artifacts"][0].update(size="1")),
    "another repository": (5, lambda bundle: bundle["revision"].update(repository="https://code.example/other")),
    "another head": (5, lambda bundle: bundle["revision"]["head"].update(commit="0" * 40)),
    "another payload type": (1, lambda bundle: bundle["signoffs"][0]["envelope"].update(payloadType="text/plain")),
    "two signatures": (
        1,
        lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"].append(
            bundle["signoffs"][0]["envelope"]["signatures"][0]
        ),
    ),
    "no signature": (1, lambda bundle: bundle["signoffs"][0]["envelope"].update(signatures=[])),
    "another kind": (1, lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(kind="none")),
    "kind ssh": (2, lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(kind="ssh")),
    "kind ed25519": (2, lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(kind="ed25519")),
    "kind ecdsa": (2, lambda bundle: signature_of(bundle).update(kind="ecdsa")),
    "kind webauthn": (1, lambda bundle: signature_of(bundle).update(kind="webauthn")),
    "no kind": (1, lambda bundle: signature_of(bundle).pop("kind")),
    "no authenticator data": (1, lambda bundle: signature_of(bundle).pop("authenticatorData", None)),
    "no client data": (1, lambda bundle: signature_of(bundle).pop("clientDataJSON", None)),
    "an assertion too many": (
        1,
        lambda bundle: signature_of(bundle).update(authenticatorData="AAAA", clientDataJSON="e30="),
    ),
    "null for an assertion": (
        1,
        lambda bundle: signature_of(bundle).update(authenticatorData=None, clientDataJSON=None),
    ),
    "another relying party": (2, lambda bundle: flip(bundle, "authenticatorData", 0)),
    "another flag": (2, lambda bundle: flip(bundle, "authenticatorData", 32)),
    "another client": (2, lambda bundle: flip(bundle, "clientDataJSON", -2)),
    "another signature": (2, lambda bundle: flip(bundle, "sig", -1)),
    "a zero after the signature": (
        2,
        lambda bundle: signature_of(bundle).update(
            sig=base64.b64encode(base64.b64decode(signature_of(bundle)["sig"]) + b"\0").decode()
        ),
    ),
    "a path that is none": (1, lambda bundle: bundle["facts"][0].update(paths=[1])),
    "a path too long": (1, lambda bundle: bundle["facts"][0].update(paths=["a" * 1001])),
    "other paths": (5, lambda bundle: bundle["facts"][0].update(paths=["\u202e"])),
    "null for the paths": (5, lambda bundle: bundle["facts"][0].update(paths=None)),
    "an address too long": (1, lambda bundle: bundle["facts"][0]["people"][0].update(email="a" * 1001)),
    "a word for a time": (1, lambda bundle: bundle["facts"][0]["evidence"][0].update(made_at="today")),
    "no such time": (5, lambda bundle: bundle["facts"][0]["evidence"][0].update(made_at="2026-13-45T99:00:00Z")),
    "another key id": (6, lambda bundle: bundle["signoffs"][0]["envelope"]["signatures"][0].update(keyid="x")),
    "another decision": (2, lambda bundle: inner(bundle, lambda one: one["predicate"].update(decision="APPROVED_"))),
    "another reviewer": (2, lambda bundle: inner(bundle, lambda one: one["predicate"]["reviewer"].update(id="rolf"))),
    "the list as a sign-off": (
        2,
        lambda bundle: bundle["signoffs"][0].update(envelope=bundle["revocations"]["envelope"]),
    ),
    "the sign-off as a list": (
        2,
        lambda bundle: bundle["revocations"].update(envelope=bundle["signoffs"][0]["envelope"]),
    ),
    "the list's proof for the sign-off": (
        6,
        lambda bundle: bundle["signoffs"][0].update(proof=bundle["revocations"]["proof"]),
    ),
    "nothing logged": (6, lambda bundle: bundle.update(logged=[])),
    "one thing less logged": (6, lambda bundle: bundle["logged"].pop(0)),
    "a salt too many": (1, lambda bundle: bundle["logged"][0].update(salt="0" * 64)),
    "another salt": (6, lambda bundle: bundle["logged"][-1].update(salt="0" * 64)),
    "no consistency": (6, lambda bundle: bundle["logged"][0].update(consistency=[])),
    "consistency too long": (
        6,
        lambda bundle: bundle["logged"][0]["consistency"].append(base64.b64encode(bytes(32)).decode()),
    ),
    "no cosignature": (
        6,
        lambda bundle: bundle["revocations"].update(
            proof="\n".join(line for line in bundle["revocations"]["proof"].split("\n") if "witness" not in line)
        ),
    ),
    "an index with a zero before it": (
        1,
        lambda bundle: bundle["signoffs"][0].update(proof=bundle["signoffs"][0]["proof"].replace("index ", "index 0")),
    ),
    "nothing carried over": (5, lambda bundle: bundle.pop("carry", None)),
    "null carried over": (1, lambda bundle: bundle.update(carry=None)),
    "carried over by a sign-off": (
        2,
        lambda bundle: bundle.update(
            carry={
                "envelope": bundle["signoffs"][0]["envelope"],
                "proof": bundle["signoffs"][0]["proof"],
                "consistency": bundle["signoffs"][0]["consistency"],
                "revisions": [bundle["revision"]],
            }
        ),
    ),
    "a carried vote less": (5, lambda bundle: bundle.get("carry") and bundle["signoffs"].pop(0)),
    "an earlier manifest less": (5, lambda bundle: bundle.get("carry") and bundle["carry"]["revisions"].pop()),
    "an earlier manifest more": (
        5,
        lambda bundle: (
            bundle.get("carry")
            and bundle["carry"].update(
                revisions=sorted(
                    (*bundle["carry"]["revisions"], bundle["revision"]), key=lambda one: digest(canonical(one))
                )
            )
        ),
    ),
    "earlier manifests in disorder": (1, lambda bundle: bundle.get("carry") and bundle["carry"]["revisions"].reverse()),
    "another earlier manifest": (
        5,
        lambda bundle: bundle.get("carry") and bundle["carry"]["revisions"][0]["head"].update(tree="0" * 40),
    ),
    "another proof of the carrying": (
        6,
        lambda bundle: bundle.get("carry") and bundle["carry"].update(proof=bundle["revocations"]["proof"]),
    ),
    "the new facts less": (5, lambda bundle: bundle.get("carry") and bundle["facts"].pop()),
    "null for the policy": (1, lambda bundle: bundle.update(policy=None)),
    "a number for the policy": (1, lambda bundle: bundle.update(policy=1)),
    "another policy": (4, lambda bundle: bundle.update(policy=bundle.get("policy", "") + "# more\n")),
    "a policy too long": (1, lambda bundle: bundle.update(policy="x" * ((1 << 20) + 1))),
    "extra data": (
        1,
        lambda bundle: bundle["signoffs"][0].update(
            proof=bundle["signoffs"][0]["proof"].replace("index ", "extra AAAA\nindex ")
        ),
    ),
}


BUILDS = tuple(name for name in NAMES if name.startswith("build"))
WITNESSED = ("witnessed", "quantum", "carried", "build-witnessed", "followed", "archived")
ELSEWHERE: dict[str, dict[str, int | None]] = {  # by vector: another step, or None where it changes nothing
    "other facts": {"everything": None},  # which have no findings
    "kind ssh": {"openssh": None, "passkeys": 1},
    "kind ed25519": {**dict.fromkeys(NAMES), "openssh": 2, "ecdsa": 2, "passkeys": 1},
    "kind ecdsa": {"ecdsa": None, "passkeys": 1},
    "kind webauthn": {"passkeys": None},
    "no authenticator data": {**dict.fromkeys(NAMES), "passkeys": 1},
    "no client data": {**dict.fromkeys(NAMES), "passkeys": 1},
    "an assertion too many": {"passkeys": 2},
    "other paths": {"carried": 1},  # facts that are then out of order
    "null for the paths": {"carried": 1},
    "another reviewer": {"followed": None},  # it is rolf
    "another salt": {"everything": 1},  # whose last entry is no panel
    "no cosignature": {**dict.fromkeys(NAMES), **dict.fromkeys(WITNESSED, 6)},
    "carried over by a sign-off": dict.fromkeys(BUILDS, 1),
    **{
        name: {**dict.fromkeys(NAMES), "carried": step}
        for name, step in (
            ("nothing carried over", 5),
            ("a carried vote less", 5),
            ("an earlier manifest less", 5),
            ("an earlier manifest more", 5),
            ("earlier manifests in disorder", 1),
            ("another earlier manifest", 5),
            ("another proof of the carrying", 6),
            ("the new facts less", 5),
        )
    },
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_both_refuse_a_mutation_at_its_step(vector: Path, name: str, request: pytest.FixtureRequest) -> None:
    """Of a vector that is refused itself, at the earlier of the two steps."""
    which = request.node.callspec.params["vector"]
    step, change = MUTATIONS[name]
    expected = ELSEWHERE.get(name, {}).get(which, step)
    document = json.loads((vector / "bundle.json").read_bytes())
    before = canonical(document)
    change(document)
    bundle = canonical(document)
    assert (bundle == before) == (expected is None)
    own = NAMES[which]
    earlier = own if expected is None or (own is not None and own < expected) else expected
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == earlier


@pytest.mark.parametrize("vector", ["build"], indirect=True)
def test_a_build_rests_on_an_earlier_commitment_to_its_panel_where_its_own_is_left_out(vector: Path) -> None:
    document = json.loads((vector / "bundle.json").read_bytes())
    salted = [entry for entry in document["logged"] if entry.get("salt")]
    assert len(salted) == 2
    document["logged"].remove(salted[-1])
    assert by_gate(vector, canonical(document)) is None
    assert by_itself(vector, canonical(document)) is None
    document["logged"].remove(salted[0])
    assert by_gate(vector, canonical(document)) == by_itself(vector, canonical(document)) == 6


def hardware(line: str) -> str:
    """The same Ed25519 key, as if it were in a hardware key."""
    raw = base64.b64decode(line.split()[1])[-32:]
    return PublicKey.from_blob(b"".join(map(wire_string, (b"sk-ssh-ed25519@openssh.com", raw, b"ssh:")))).line


def passkey_at(line: str, party: str, origin: str) -> str:
    """The same Ed25519 key as a passkey, whether or not a browser allows it."""
    raw = base64.b64decode(line.split()[1])[-32:]
    parts = (b"webauthn-ed25519@countersign.dev", raw, party.encode(), origin.encode())
    return "webauthn-ed25519@countersign.dev " + base64.b64encode(b"".join(map(wire_string, parts))).decode()


def the_second(roots: Any, change: Callable[[str], str]) -> None:
    """Another key for the second person, made of the first one's."""
    roots["people"][1]["keys"][0]["public"] = change(roots["people"][0]["keys"][0]["public"])


def a_third(roots: Any, key: Any, **changes: Any) -> None:
    person = {"id": "susi", "name": "Susi", "organization": "Susi", "roles": ["reviewer"], "keys": [key]}
    roots["people"].append({**person, **changes})


def the_logs(roots: Any) -> str:
    """The log's key as if it were a person's."""
    raw = base64.b64decode(roots["logs"][0]["vkey"].split("+", 2)[2])[1:]
    return PublicKey.from_ed25519(raw).line


ROOTS: dict[str, tuple[Callable[[Any], object], int | None]] = {
    "as they are": (lambda _: None, None),
    "one key of two people": (lambda roots: the_second(roots, lambda line: line), 2),
    "one key in two wrappings": (lambda roots: the_second(roots, hardware), 2),
    "one key, once a passkey": (
        lambda roots: the_second(roots, lambda line: passkey_at(line, "review.example", "https://review.example")),
        2,
    ),
    "the service's key": (lambda roots: a_third(roots, roots["service"]["keys"][0]), 2),
    "the log's key": (
        lambda roots: a_third(roots, {**roots["service"]["keys"][0], "public": the_logs(roots)}),
        2,
    ),
    "a gate's key": (
        lambda roots: roots["gates"].append({"id": "gate", "keys": roots["people"][1]["keys"]}),
        2,
    ),
    "one id of two people": (lambda roots: roots["people"][1].update(id=" RITA "), 2),
    "one address of two people": (lambda roots: roots["people"][1].update(emails=["Rita+x@review.example"]), 2),
    "one account of two people": (
        lambda roots: [person.update(accounts=["both"]) for person in roots["people"]],
        2,
    ),
    "an id that is another's account": (lambda roots: roots["people"][1].update(accounts=["Rita"]), 2),
    "an id that is one's own account": (lambda roots: roots["people"][0].update(accounts=["Rita"]), None),
    "another role": (lambda roots: roots["people"][0].update(roles=["auditor"]), 2),
    "one role more": (lambda roots: roots["people"][0].update(roles=["auditor", "reviewer"]), None),
    "a passkey outside its domain": (
        lambda roots: the_second(roots, lambda line: passkey_at(other(line), "review.example", "https://a.example")),
        2,
    ),
    "a passkey without TLS": (
        lambda roots: the_second(roots, lambda line: passkey_at(other(line), "a.example", "http://a.example")),
        2,
    ),
    "a passkey of no domain": (
        lambda roots: the_second(roots, lambda line: passkey_at(other(line), "127.0.0.1", "https://127.0.0.1")),
        2,
    ),
    "a passkey within its domain": (
        lambda roots: the_second(
            roots, lambda line: passkey_at(other(line), "a.example", "https://b-1.a.example:8443")
        ),
        None,
    ),
    "a passkey at home": (
        lambda roots: the_second(roots, lambda line: passkey_at(other(line), "localhost", "http://localhost:8000")),
        None,
    ),
    "a key that counts no more": (
        lambda roots: roots["people"][0]["keys"][0].update(valid_until="2026-11-24T11:30:00Z"),
        2,
    ),
    "no key of the service": (lambda roots: roots["service"].update(keys=[]), 2),
    "another service": (lambda roots: roots["service"].update(id="another.example"), 2),
    "no log": (lambda roots: roots.update(logs=[]), 6),
}


def other(_: str) -> str:
    return PublicKey.from_ed25519(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).line


@pytest.mark.parametrize("vector", ["plain"], indirect=True)
@pytest.mark.parametrize("name", ROOTS)
def test_both_judge_roots_alike(vector: Path, name: str) -> None:
    change, expected = ROOTS[name]
    roots = json.loads((vector / "roots.json").read_bytes())
    change(roots)
    (vector / "roots.json").write_text(json.dumps(roots), encoding="utf-8")
    bundle = (vector / "bundle.json").read_bytes()
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == expected


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


@pytest.mark.parametrize("vector", ["plain", "witnessed", "passkeys", "everything"], indirect=True)
@pytest.mark.parametrize("name", SPELLINGS)
def test_both_refuse_another_spelling_at_step_one(vector: Path, name: str) -> None:
    good = (vector / "bundle.json").read_bytes()
    bundle = SPELLINGS[name](good)
    assert bundle != good
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == 1


@pytest.mark.parametrize("vector", ["plain"], indirect=True)
@pytest.mark.parametrize("part", range(4))
def test_every_byte_of_a_small_bundle_has_a_meaning(vector: Path, part: int) -> None:
    """Another bit in any byte is refused, by the verifier and by the gate at the same step."""
    data = (vector / "bundle.json").read_bytes()
    for at in range(part, len(data), 4):
        mutated = bytearray(data)
        mutated[at] ^= 32 if at % 2 else 1  # the other case, or another digit or letter
        step = by_itself(vector, bytes(mutated))
        assert step is not None, (at, data[max(0, at - 40) : at + 40])
        assert step == by_gate(vector, bytes(mutated)), (at, data[max(0, at - 40) : at + 40])


@pytest.mark.parametrize("vector", ["followed"], indirect=True)
def test_every_byte_of_an_update_of_the_roots_has_a_meaning(vector: Path) -> None:
    """Whether the deployer needs it or not, it has to be the one that was logged.

    Who saw it is asked where it is needed: else a witness's line carries no meaning, and both verifiers say so.
    """
    data = (vector / "bundle.json").read_bytes()
    newest = base64.b64decode(json.loads(data)["roots"][-1]["update"]["roots"])
    start, end = data.index(b'"roots":['), data.index(b'"schema":"countersign/bundle/v1"')
    for needed, held in ((True, (vector / "roots.json").read_bytes()), (False, newest)):
        (vector / "roots.json").write_bytes(held)
        assert by_gate(vector, data) == by_itself(vector, data) is None
        for at in range(start, end, 29):
            mutated = bytearray(data)
            mutated[at] ^= 32 if at % 2 else 1
            step, where = by_itself(vector, bytes(mutated)), (at, data[max(0, at - 40) : at + 40])
            witness = b"witness.example/w1" in data[data.rindex(b"\\n", 0, at) : data.index(b"\\n", at)]
            assert step is not None or (witness and not needed), where
            if at % 5 == 0 or step is None:
                assert step == by_gate(vector, bytes(mutated)), where


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


def said(document: Any, change: Callable[[Any], object]) -> None:
    """A build that says something else, signed anew by the lane's key."""
    lane = MachineKey(Ed25519PrivateKey.from_private_bytes(bytes([210]) * 32))
    statement = json.loads(base64.b64decode(document["build"]["envelope"]["payload"]))
    change(statement)
    document["build"]["envelope"] = lane.sign(canonical(statement)).to_json()


BUILD_MUTATIONS: dict[str, tuple[int, Callable[[Any], object]]] = {
    "no build": (5, lambda one: one.pop("build")),
    "a build that is none": (1, lambda one: one.update(build=None)),
    "a key more": (1, lambda one: one["build"].update(more=1)),
    "no recipe": (1, lambda one: one["build"].pop("recipe")),
    "another ratio": (5, lambda one: one["build"]["recipe"].update(ratio=2000)),
    "another code": (5, lambda one: one["build"]["recipe"].update(code={"sha256": "0" * 64})),
    "a ratio below one": (1, lambda one: one["build"]["recipe"].update(ratio=999)),
    "a ratio that is a truth": (1, lambda one: one["build"]["recipe"].update(ratio=True)),
    "the manifest may change": (1, lambda one: one["build"]["recipe"]["artifacts"][0].update(path="countersign.toml")),
    "a path upwards": (1, lambda one: one["build"]["recipe"]["artifacts"][0].update(path="../x")),
    "a path of two lines": (1, lambda one: one["build"]["recipe"]["artifacts"][0].update(path="a\nb")),
    "a path of its own": (1, lambda one: one["build"]["recipe"]["artifacts"][0].update(path=".")),
    "artifacts twice": (
        1,
        lambda one: one["build"]["recipe"].update(artifacts=one["build"]["recipe"]["artifacts"] * 2),
    ),
    "a contract without a path": (1, lambda one: one["build"]["recipe"]["data"].update(contract={"sha256": "0" * 64})),
    "a summary elsewhere": (1, lambda one: one["build"]["recipe"]["data"].update(summary="rank.py")),
    "a recipe for years": (1, lambda one: one["build"]["recipe"].update(expires_at="2029-01-01T00:00:00Z")),
    "another anchor": (5, lambda one: one["build"]["anchor"].update(repository="another")),
    "the build as its anchor": (5, lambda one: one["build"].update(anchor=one["revision"])),
    "the anchor as the build": (5, lambda one: one.update(revision=one["build"]["anchor"])),
    "better cells": (5, lambda one: one["build"]["measures"].update(cells=[{"ratio": 1000, "verdict": "equivalent"}])),
    "cells out of order": (
        1,
        lambda one: one["build"]["measures"]["cells"].append(
            {"ratio": None, "verdict": "not-run"},
        ),
    ),
    "a verdict of a cell": (1, lambda one: one["build"]["measures"]["cells"][0].update(verdict="fine")),
    "a severity that is none": (1, lambda one: one["build"]["measures"].update(severity="none")),
    "no severity": (5, lambda one: one["build"]["measures"].update(severity=None)),
    "figures out of order": (
        1,
        lambda one: one["build"]["measures"].update(data=[{"name": "b", "value": 1}, {"name": "a", "value": 1}]),
    ),
    "a figure that is a fraction": (1, lambda one: one["build"]["measures"].update(data=[{"name": "b", "value": 1.5}])),
    "what is inside the artifacts unknown": (5, lambda one: one["build"]["measures"].pop("artifacts")),
    "artifacts that are none": (1, lambda one: one["build"]["measures"].update(artifacts=None)),
    "other artifacts": (5, lambda one: one["build"]["measures"]["artifacts"].update(verdict="inconclusive")),
    "no people": (1, lambda one: one["build"]["measures"].update(people=[])),
    "people unknown": (5, lambda one: one["build"]["measures"].pop("people")),
    "people out of order": (1, lambda one: one["build"]["measures"]["people"].reverse()),
    "other people": (5, lambda one: one["build"]["measures"]["people"].pop()),
    "another figure": (5, lambda one: one["build"]["measures"].update(data=[{"name": "rows", "value": -1}])),
    "another key id": (6, lambda one: one["build"]["envelope"]["signatures"][0].update(keyid="x")),
    "the sign-off as the build": (2, lambda one: one["build"].update(envelope=one["signoffs"][0]["envelope"])),
    "the build as the sign-off": (2, lambda one: one["signoffs"][0].update(envelope=one["build"]["envelope"])),
    "the list as the build": (2, lambda one: one["build"].update(envelope=one["revocations"]["envelope"])),
    "the build as the list": (2, lambda one: one["revocations"].update(envelope=one["build"]["envelope"])),
    "another proof": (6, lambda one: one["build"].update(proof=one["signoffs"][0]["proof"])),
    "no consistency": (6, lambda one: one["build"].update(consistency=[])),
    "unsigned": (
        2,
        lambda one: one["build"]["envelope"]["signatures"][0].update(sig=base64.b64encode(bytes(64)).decode()),
    ),
    "another lane": (2, lambda one: said(one, lambda it: it["predicate"].update(lane="daily"))),
    "another number": (2, lambda one: said(one, lambda it: it["predicate"].update(number=2))),
    "number nought": (2, lambda one: said(one, lambda it: it["predicate"].update(number=0))),
    "a number too high": (5, lambda one: said(one, lambda it: it["predicate"].update(number=9, previous=PREVIOUS))),
    "one before the first": (2, lambda one: said(one, lambda it: it["predicate"].update(previous=PREVIOUS))),
    "of another revision": (5, lambda one: said(one, lambda it: it["subject"][0]["digest"].update(sha256="0" * 64))),
    "of another policy": (4, lambda one: said(one, lambda it: it["predicate"]["policy"].update(sha256="0" * 64))),
    "of another target": (5, lambda one: said(one, lambda it: it["predicate"]["change"].update(targetRef="x"))),
    "of another recipe": (5, lambda one: said(one, lambda it: it["predicate"]["recipe"].update(sha256="0" * 64))),
    "with other evidence": (2, lambda one: said(one, lambda it: it["predicate"]["evidence"].pop())),
    "with other figures": (5, lambda one: said(one, lambda it: it["predicate"]["measured"].update(lowest=1000))),
    "at another time": (6, lambda one: said(one, lambda it: it["predicate"].update(signedAt="2026-11-24T09:00:00Z"))),
    "as a sign-off": (
        2,
        lambda one: said(one, lambda it: it.update(predicateType="https://countersign.dev/review-signoff/v1")),
    ),
}
PREVIOUS = {"statement": {"sha256": "0" * 64}, "signedAt": "2026-11-24T11:00:00Z"}


@pytest.mark.parametrize("vector", ["build", "build-witnessed"], indirect=True)
@pytest.mark.parametrize("name", BUILD_MUTATIONS)
def test_both_refuse_a_mutated_build_at_its_step(vector: Path, name: str) -> None:
    document = json.loads((vector / "bundle.json").read_bytes())
    step, change = BUILD_MUTATIONS[name]
    change(document)
    bundle = canonical(document)
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == step


LANES: dict[str, Callable[[Any], object]] = {
    "no lane": lambda roots: roots.pop("build_lanes"),
    "another name": lambda roots: roots["build_lanes"][0].update(id="daily"),
    "two of one name": lambda roots: roots["build_lanes"].append(
        {"id": " HOURLY ", "keys": [{"public": other(""), "valid_from": "2026-01-01T00:00:00Z"}]}
    ),
    "a person's key": lambda roots: roots["build_lanes"][0].update(keys=roots["people"][1]["keys"]),
    "the lane's key for a person": lambda roots: a_third(roots, roots["build_lanes"][0]["keys"][0]),
    "an ended key": lambda roots: roots["build_lanes"][0]["keys"][0].update(valid_until="2026-11-24T11:20:00Z"),
    "a key that has ended since, with no witness asked for": lambda roots: (
        roots.update(quorum="quorum none\n"),
        roots["build_lanes"][0]["keys"][0].update(valid_until="2026-11-24T11:45:00Z"),
    ),
}


@pytest.mark.parametrize("vector", ["build"], indirect=True)
@pytest.mark.parametrize("name", LANES)
def test_both_judge_lanes_alike(vector: Path, name: str) -> None:
    roots = json.loads((vector / "roots.json").read_bytes())
    LANES[name](roots)
    (vector / "roots.json").write_text(json.dumps(roots), encoding="utf-8")
    bundle = (vector / "bundle.json").read_bytes()
    assert by_gate(vector, bundle) == by_itself(vector, bundle) == 2
