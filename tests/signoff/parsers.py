# SPDX-License-Identifier: Apache-2.0
"""Every parser of `signoff`, with documents that our own code made and it accepts, and what writes them back."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence import canonical, digest, parse_json
from signoff import (
    BREAK_GLASS_ROLE,
    DEFAULT_POLICY,
    Assertion,
    Bundle,
    Carry,
    Checkpoint,
    Cosigner,
    CosignerKey,
    EmergencyTimes,
    Envelope,
    LogKey,
    LogProof,
    MachineKey,
    NoteKey,
    PasskeyScope,
    PublicKey,
    Reviewer,
    Revocations,
    Revoked,
    RevokedKind,
    RootsUpdate,
    armor,
    ask,
    build_break_glass,
    build_bundle,
    build_emergency,
    build_request,
    build_revocations,
    build_stop,
    build_summary,
    challenge,
    dearmor,
    format_time,
    open_checkpoint,
    open_cosignatures,
    parse_policy,
    parse_quorum,
    parse_request,
    parse_roots,
    parse_time,
    read_build,
    read_bundle,
    read_bundle_revision,
    read_carry,
    read_emergency,
    read_facts,
    read_measures,
    read_policy,
    read_recipe,
    read_revocations,
    read_roots,
    read_statement,
    read_stop,
    read_summary,
    sign_envelope,
    verify,
    verify_assertion,
)
from signoff._strict import decode_base64, encode_base64
from signoff._wire import wire_string
from signoff.breakglass import judge_break_glass, read_bundle_people
from signoff.globs import parse_glob
from signoff.notes import open_note, parse_checkpoint, split_note
from signoff.rules import condition
from signoff.sshsig import SshSignature, parse_sshsig
from signoff.tiles import pack_entries, unpack_entries

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
VECTORS = Path(__file__).parent / "vectors"
LOG = LogKey("log.example/one", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
TEXT = "log.example/one\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
NOTE = LOG.sign(TEXT)
COSIGNED = NOTE + WITNESS.cosign(TEXT, AT).encode()
LIST = canonical(
    build_revocations("service", 3, AT, [Revoked(RevokedKind.KEY, "0" * 64, AT - timedelta(days=1), "Lost.")])
)


@dataclass(frozen=True)
class Reader:
    """One parser: the functions of `signoff` that it is, documents that it accepts, and what writes one back."""

    names: str
    read: Callable[[bytes], Any]
    seeds: tuple[bytes, ...]
    write: Callable[[Any], bytes] | None = None  # None where what is read does not say how it was written
    spellings: int = 1  # 2 where a document may be written in more ways than the one in which it is written back

    @property
    def document(self) -> bool:
        """Whether it reads JSON."""
        return self.seeds[0].startswith(b"{")


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def vector(name: str) -> Any:
    return json.loads((VECTORS / name / "bundle.json").read_bytes())


def bundles(*names: str) -> tuple[bytes, ...]:
    return tuple((VECTORS / name / "bundle.json").read_bytes() for name in names)


def payload(held: Any) -> bytes:
    return base64.b64decode(held["envelope"]["payload"])


def of_object(read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """A reader of a document that stands in another one, where an object is all that it can be."""

    def reader(data: bytes) -> Any:
        document = parse_json(data, "document")
        return read(document) if isinstance(document, dict) else None

    return reader


def from_file(load: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    """A reader of a file that only its owner reads."""

    def reader(data: bytes) -> Any:
        descriptor, name = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            return load(Path(name))
        finally:
            Path(name).unlink()

    return reader


def saved(save: Callable[[Path], object]) -> bytes:
    """What a key is written to a file as."""
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "key")
        return (Path(folder) / "key").read_bytes()


def of_model(model: Any) -> bytes:
    return canonical(model.model_dump(mode="json", by_alias=True, exclude_unset=True))


def note(split: tuple[str, tuple[Any, ...]]) -> bytes:
    return (split[0] + "\n" + "".join(line.text for line in split[1])).encode()


def of_carry(one: Carry) -> bytes:
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "revision", "digest": {"sha256": one.revision.removeprefix("sha256:")}}],
        "predicateType": "https://countersign.dev/carry-over/v1",
        "predicate": one.predicate.model_dump(mode="json", exclude_unset=True),
    }
    return canonical(document)


def of_revocations(one: Revocations) -> bytes:
    return canonical(build_revocations(one.service, one.number, one.issued_at, one.revoked))


def of_checkpoint(one: Checkpoint) -> bytes:
    return f"{one.origin}\n{one.size}\n{encode_base64(one.root)}\n".encode()


def of_sshsig(one: SshSignature) -> bytes:
    fields = (one.key.blob, b"countersign", b"", one.hash_name.encode(), one.signature)
    return b"SSHSIG" + (1).to_bytes(4, "big") + b"".join(map(wire_string, fields))


def of_bundle(one: Bundle) -> bytes:
    facts = [json.loads(of_model(document)) for document in one.facts.values()]
    return build_bundle(
        one.revision, one.signoffs, facts, one.logged, one.revocations, one.carry, one.build, one.roots, one.policy
    )


def approvals() -> tuple[tuple[bytes, ...], bytes]:
    """Two people's approvals of breaking the glass, and their file."""
    revision = read_bundle(bundles("plain")[0]).revision
    made = []
    for at, name in enumerate(("Rita", "Rolf")):
        document = build_emergency(
            revision=revision,
            target_ref="refs/heads/main",
            reason="The feed has been empty for everybody since noon.",
            approver=Reviewer(id=name.lower(), name=name, organization=f"{name} Review", role=BREAK_GLASS_ROLE),
            people=[("Ada Author", "ada@platform.example"), ("", "cluster")][: 1 + at],
            policy=digest(DEFAULT_POLICY.encode()),
            times=EmergencyTimes(f"nonce-0123456789-{at}", AT, AT + timedelta(hours=8), AT + timedelta(days=7)),
        )
        made.append(sign_envelope(canonical(document), SIGNER))
    return tuple(one.payload for one in made), build_break_glass(revision, made)


def passkey(data: bytes, *, of_client: bool) -> Any:
    """What a passkey signed: either half of it is ``data``, and the signature over both is good."""
    scope = PasskeyScope("review.example", "https://sign.review.example")
    key = PublicKey.for_passkey(SIGNER.public_key(), scope)
    good = Assertion(AUTHENTICATOR, CLIENT)
    one = good._replace(client_data=data) if of_client else good._replace(authenticator_data=data)
    verify_assertion(key, one, SIGNER.sign(one.signed), b"message")
    return one


def asked(data: bytes, *, conflict: bool) -> bytes:
    """What a client makes of a witness that answers ``data``: at once, or as the size that it has seen before."""
    answers = [(200, COSIGNED.removeprefix(NOTE))] if conflict else []
    answers.insert(0, (409 if conflict else 200, data))
    return ask(NOTE, (WITNESS.public,), lambda _: answers.pop(0), lambda _: ())


def decisions(broken: bytes) -> tuple[bytes, ...]:
    """Decisions of a gate: one that admits, one that refuses under roots that were followed, one with broken glass."""
    found = []
    for name, now in (("plain", AT), ("followed", AT + timedelta(days=99)), ("rejected", AT)):
        folder = VECTORS / name
        result = verify(folder / "bundle.json", folder / "roots.json", now, folder / "policy.toml")
        found.append(result)
    roots, policy = ((VECTORS / "plain" / name).read_bytes() for name in ("roots.json", "policy.toml"))
    glass = judge_break_glass(broken, roots=roots, policy=policy, open_repository=nothing, artifacts={}, now=AT)
    found.append(replace(found[0], break_glass=glass))
    return tuple(canonical(build_summary(one, gate_id="gate-1", now=AT)) for one in found)


def stopped() -> bytes:
    return canonical(
        build_stop(
            read_recipe(BUILT["recipe"]),
            service="service",
            revision=None,
            reason="Beyond.",
            stopped_at=AT,
            detail="sha256:" + "0" * 64,
        )
    )


def nothing() -> Any:
    raise OSError("no repository here")


BUILT, CHANGED = vector("build")["build"], vector("followed")["roots"][0]["update"]
PLAIN, ALL = vector("plain"), tuple(sorted(path.name for path in VECTORS.iterdir()))
AUTHENTICATOR = hashlib.sha256(b"review.example").digest() + bytes([0x05, 0, 0, 0, 7])
CLIENT = json.dumps(
    {
        "type": "webauthn.get",
        "challenge": base64.urlsafe_b64encode(challenge(b"message")).decode().rstrip("="),
        "origin": "https://sign.review.example",
        "crossOrigin": False,
        "other_keys_can_be_added_here": 0.5,
    }
).encode()
APPROVALS, BROKEN = approvals()
SSHSIG = base64.b64decode(vector("openssh")["signoffs"][0]["envelope"]["signatures"][0]["sig"])
KEYS = tuple(
    b" ".join(key["public"].encode().split()[:2])  # a comment is not part of the key
    for name in ("openssh", "ecdsa", "passkeys")
    for person in json.loads((VECTORS / name / "roots.json").read_bytes())["people"]
    for key in person["keys"]
)
QUORUM = json.loads((VECTORS / "witnessed" / "roots.json").read_bytes())["quorum"].encode()
POLICIES = (DEFAULT_POLICY.encode(), (VECTORS / "carried" / "policy.toml").read_bytes())
MANIFEST = canonical(PLAIN["revision"])
ENVELOPES = tuple(canonical(vector(name)["signoffs"][0]["envelope"]) for name in ("plain", "openssh", "passkeys"))
ROOTS = tuple((VECTORS / name / "roots.json").read_bytes() for name in ("plain", "followed", "build", "quantum"))
BUILDS = tuple(payload(vector(name)["build"]) for name in ALL if name.startswith("build"))
MADE = MachineKey(SIGNER)

READERS: dict[str, Reader] = {
    "note": Reader("notes.split_note", split_note, (NOTE, COSIGNED), note),
    "signed note": Reader("notes.open_note", lambda data: open_note(data, LOG.public), (NOTE, COSIGNED)),
    "checkpoint": Reader("notes.open_checkpoint", lambda data: open_checkpoint(data, LOG.public), (NOTE, COSIGNED)),
    "checkpoint's text": Reader(
        "notes.parse_checkpoint",
        lambda data: parse_checkpoint(text(data), "log.example/one"),
        (TEXT.encode(),),
        of_checkpoint,
    ),
    "cosignatures": Reader(
        "cosignatures.open_cosignatures", lambda data: open_cosignatures(data, (WITNESS.public,)), (COSIGNED,)
    ),
    "log proof": Reader(
        "proofs.LogProof.parse",
        lambda data: LogProof.parse(text(data)),
        (LogProof(1, (b"x" * 32, b"y" * 32), COSIGNED).text.encode(), PLAIN["signoffs"][0]["proof"].encode()),
        lambda one: one.text.encode(),
    ),
    "log key": Reader(
        "notes.NoteKey.from_vkey",
        lambda data: NoteKey.from_vkey(text(data)),
        (LOG.vkey.encode(),),
        lambda one: one.vkey.encode(),
    ),
    "witness key": Reader(
        "cosignatures.CosignerKey.from_vkey",
        lambda data: CosignerKey.from_vkey(text(data)),
        (WITNESS.public.vkey.encode(),),
        lambda one: one.vkey.encode(),
    ),
    "request to a witness": Reader(
        "witness.parse_request",
        parse_request,
        (build_request(1, (b"x" * 32,), NOTE), build_request(0, (), NOTE)),
        lambda one: build_request(*one),
    ),
    "answer of a witness": Reader(
        "witness.ask", lambda data: asked(data, conflict=False), (COSIGNED.removeprefix(NOTE),)
    ),
    "size of a witness": Reader("witness.ask", lambda data: asked(data, conflict=True), (b"2\n", b"0\n")),
    "entry bundle": Reader(
        "tiles.unpack_entries", unpack_entries, (pack_entries([b"one", b"", b"x"]), b"\0\1x"), pack_entries
    ),
    "quorum": Reader("quorum.parse_quorum", parse_quorum, (QUORUM, b"quorum none\n")),
    "envelope": Reader(
        "envelope.Envelope.read", Envelope.read, ENVELOPES, lambda one: canonical(one.to_json()), spellings=2
    ),
    "envelope in a document": Reader(
        "envelope.Envelope.from_json",
        of_object(Envelope.from_json),
        ENVELOPES,
        lambda one: canonical(one.to_json()),
        spellings=2,  # the document that it stands in is held to one
    ),
    "statement": Reader(
        "statement.read_statement",
        read_statement,
        tuple(payload(one) for name in ("plain", "everything", "build") for one in vector(name)["signoffs"]),
        of_model,
    ),
    "carry-over": Reader("carrying.read_carry", read_carry, (payload(vector("carried")["carry"]),), of_carry),
    "build": Reader(
        "builds.read_build",
        read_build,
        tuple(payload(vector(name)["build"]) for name in ALL if "build" in name),
        of_model,
    ),
    "lane that stops": Reader("builds.read_stop", read_stop, (stopped(),), of_model),
    "facts": Reader(
        "facts.read_facts",
        of_object(read_facts),
        tuple(canonical(one) for name in ("plain", "everything") for one in vector(name)["facts"]),
        of_model,
        spellings=2,
    ),
    "recipe": Reader(
        "recipe.read_recipe", of_object(read_recipe), (canonical(BUILT["recipe"]),), of_model, spellings=2
    ),
    "measures": Reader(
        "measures.read_measures", of_object(read_measures), (canonical(BUILT["measures"]),), of_model, spellings=2
    ),
    "revocation list": Reader(
        "revocations.read_revocations",
        read_revocations,
        (LIST, *(payload(vector(name)["revocations"]) for name in ("plain", "revoked", "build-stopped"))),
        of_revocations,
    ),
    "bundle": Reader("bundle.read_bundle", read_bundle, bundles(*ALL), of_bundle),
    "break-glass statement": Reader("breakglass.read_emergency", read_emergency, APPROVALS, of_model),
    "break-glass file": Reader(
        "breakglass.read_bundle_revision",
        read_bundle_revision,
        (BROKEN,),
        lambda one: build_break_glass(*one) if one[1] else canonical(one[0].manifest()),
        spellings=2,
    ),
    "revision's file": Reader(
        "breakglass.read_bundle_revision",
        read_bundle_revision,
        (MANIFEST,),
        lambda one: build_break_glass(*one) if one[1] else canonical(one[0].manifest()),
        spellings=2,
    ),
    "people of a file": Reader("breakglass.read_bundle_people", read_bundle_people, (BROKEN, *bundles("launched"))),
    "gate's decision": Reader(
        "summary.read_summary", read_summary, decisions(BROKEN), lambda one: of_model(one.document)
    ),
    "roots": Reader("roots.parse_roots", parse_roots, ROOTS),
    "roots' file": Reader("roots.read_roots", from_file(read_roots), ROOTS[:1]),
    "roots update": Reader(
        "rootchain.RootsUpdate.read",
        RootsUpdate.read,
        (canonical(CHANGED),),
        lambda one: one.to_bytes(),
        spellings=2,  # where nobody has signed yet, the signatures may be left out
    ),
    "signers of a roots update": Reader(
        "rootchain.RootsUpdate.signers", lambda data: RootsUpdate.read(data).signers(), (canonical(CHANGED),)
    ),
    "policy": Reader("policy.parse_policy", parse_policy, POLICIES),
    "policy's file": Reader("policy.read_policy", from_file(read_policy), POLICIES[:1]),
    "condition": Reader(
        "rules.condition expressions.parse_condition",
        lambda data: condition(text(data)),
        (b'touches("models/**", "*.toml") and not (findings("high") > 2 or verdict_of("audit") == "pass")',),
    ),
    "pattern of paths": Reader("globs.parse_glob", lambda data: parse_glob(text(data)), (b"models/**/*.b?n", b"**")),
    "public key's line": Reader(
        "keys.PublicKey.from_line",
        lambda data: PublicKey.from_line(text(data)),
        KEYS,
        lambda one: one.line.encode(),
        spellings=2,
    ),
    "public key": Reader(
        "keys.PublicKey.from_blob",
        PublicKey.from_blob,
        tuple(base64.b64decode(line.split()[1]) for line in KEYS),
        lambda one: base64.b64decode(one.line.split()[1]),
    ),
    "raw public key": Reader(
        "keys.PublicKey.from_ed25519",
        PublicKey.from_ed25519,
        (SIGNER.public_key().public_bytes_raw(),),
        lambda one: one.blob[-32:],
    ),
    "SSH signature": Reader("sshsig.parse_sshsig", parse_sshsig, (SSHSIG,), of_sshsig),
    "armoured SSH signature": Reader(
        "sshsig.dearmor",
        lambda data: dearmor(text(data)),
        (armor(SSHSIG).encode(),),
        lambda one: armor(one).encode(),
        spellings=2,
    ),
    "browser's account": Reader(
        "passkeys.verify_assertion",
        lambda data: passkey(data, of_client=True),
        (CLIENT,),
        lambda one: one.client_data,
    ),
    "authenticator's data": Reader(
        "passkeys.verify_assertion",
        lambda data: passkey(data, of_client=False),
        (AUTHENTICATOR,),
        lambda one: one.authenticator_data,
    ),
    "log's key file": Reader("logkey.LogKey.load", from_file(LogKey.load), (saved(LOG.save),)),
    "witness's key file": Reader(
        "cosignatures.Cosigner.load _keyfile.read_private _keyfile.read_secret",
        from_file(Cosigner.load),
        (saved(WITNESS.save),),
    ),
    "machine's key file": Reader("machinekeys.MachineKey.load", from_file(MachineKey.load), (saved(MADE.save),)),
    "time": Reader(
        "_strict.parse_time",
        lambda data: parse_time(text(data), "time"),
        (format_time(AT).encode(),),
        lambda one: format_time(one).encode(),
    ),
    "base64": Reader(
        "_strict.decode_base64",
        lambda data: decode_base64(text(data), "base64"),
        (encode_base64(b"some bytes").encode(), b""),
        lambda one: encode_base64(one).encode(),
    ),
}
