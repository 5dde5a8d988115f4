# SPDX-License-Identifier: Apache-2.0
"""A small world to sign in: a repository with a change, two reviewers with keys, a log, a policy, roots, a bundle."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alike import refused_at
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from confine import Repository
from evidence import (
    Artifact,
    Revision,
    Severity,
    Snapshot,
    Verdict,
    canonical,
    digest,
    document_digest,
    file_sha256,
    sha256_hex,
)
from signoff import (
    DEFAULT_POLICY,
    ED25519_COSIGNATURE,
    ROOTS_SCHEMA,
    Answer,
    Carried,
    CarriedOver,
    Cosigner,
    Coverage,
    Decision,
    Emergencies,
    Envelope,
    Evidence,
    Files,
    FindingEntry,
    GateResult,
    Log,
    Logged,
    LogKey,
    LogProof,
    MachineKey,
    PublicKey,
    Reviewer,
    RevocationList,
    Revoked,
    RootsChange,
    Signoff,
    Validity,
    Vote,
    assemble_bundle,
    build_carry,
    build_facts,
    build_revocations,
    build_statement,
    carry_leaf,
    coverage,
    evidence_digests,
    gate,
    key_leaf,
    leaf,
    panel_commitment,
    parse_policy,
    revocations_leaf,
    sign_envelope,
    signoff_leaf,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ORIGIN = "countersign.example/log"
PANEL = digest(b"panel")
SALT = b"salt" * 8
_GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada Author",
    "GIT_AUTHOR_EMAIL": "ada@platform.example",
    "GIT_COMMITTER_NAME": "Carl Committer",
    "GIT_COMMITTER_EMAIL": "carl@platform.example",
    "GIT_AUTHOR_DATE": "2026-11-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-01T00:00:00Z",
}


def git(where: Path, *arguments: str) -> str:
    environment = {**os.environ, **_GIT}
    return subprocess.run(
        ["git", *arguments], cwd=where, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def private_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public_line(seed: int) -> str:
    return PublicKey.from_ed25519(private_key(seed).public_key().public_bytes_raw()).line


def person(identifier: str, seed: int, **changes: Any) -> dict[str, Any]:
    entry = {
        "id": identifier,
        "name": identifier.title(),
        "organization": f"{identifier.title()} Review",
        "roles": ["reviewer"],
        "emails": [f"{identifier}@review.example"],
        "keys": [{"public": public_line(seed), "valid_from": "2026-01-01T00:00:00Z", "valid_until": None}],
    }
    return {**entry, **changes}


@dataclass
class World:
    """Paths of the files that a gate is given, and how to make them anew."""

    folder: Path
    repository: Path
    revision: Revision
    log: Log
    people: list[dict[str, Any]]
    policy_text: str = DEFAULT_POLICY
    carries_policy: bool = True  # whether the bundle holds it, as the service's do
    service: MachineKey = field(default_factory=lambda: MachineKey(private_key(200)))
    revoked: list[Revoked] = field(default_factory=list)
    issued: datetime = NOW - timedelta(minutes=10)
    witness: Cosigner | None = None
    quorum: str | None = None
    gates: list[dict[str, Any]] = field(default_factory=list)
    lanes: list[dict[str, Any]] = field(default_factory=list)
    anchor: Revision | None = None  # what was signed, where a build is the revision
    logged: dict[tuple[str, str], Logged] = field(default_factory=dict)  # by kind and digest
    needed: set[tuple[str, str]] = field(default_factory=set)
    artifacts: dict[str, Path] = field(default_factory=dict)
    good: bytes = b""  # a bundle kept aside

    @staticmethod
    def validity(signed: datetime = NOW - timedelta(hours=1), days: int = 30) -> Validity:
        return Validity("nonce-0123456789", signed, signed + timedelta(days=days))

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle.json"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.toml"

    @property
    def roots(self) -> Path:
        return self.folder / "roots.json"

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Write the bundle anew after ``change`` has been at its document."""
        document = json.loads(self.bundle.read_bytes())
        change(document)
        self.bundle.write_bytes(canonical(document))

    def git(self, *arguments: str) -> str:
        return git(self.repository, *arguments)

    def bare(self) -> None:
        """Put a bare clone, every object in a file of its own, in the place of the checkout."""
        git(self.folder, "clone", "-q", "--bare", "--no-local", str(self.repository), "bare")
        self.repository = self.folder / "bare"
        for pack in sorted((self.repository / "objects" / "pack").glob("*.pack")):
            data = pack.read_bytes()
            for beside in sorted(pack.parent.glob(f"{pack.stem}.*")):
                beside.unlink()
            environment = {**os.environ, **_GIT}
            subprocess.run(
                ["git", "unpack-objects", "-q"], cwd=self.repository, env=environment, input=data, check=True
            )

    def rewrite_object(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change what a loose object holds, under its old id."""
        identifier = self.git("rev-parse", name)
        path = self.repository / "objects" / identifier[:2] / identifier[2:]
        header, _, content = zlib.decompress(path.read_bytes()).partition(b"\0")
        changed = change(content)
        assert changed != content
        assert len(changed) == len(content)
        path.chmod(0o644)
        path.write_bytes(zlib.compress(header + b"\0" + changed))

    @staticmethod
    def keygen(path: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    @staticmethod
    def key_entry(line: str) -> dict[str, Any]:
        return {"public": line.strip(), "valid_from": "2026-01-01T00:00:00Z", "valid_until": None}

    @staticmethod
    def public_line(seed: int) -> str:
        return public_line(seed)

    @staticmethod
    def coverage(files: int, viewed: int) -> Coverage:
        return Coverage(files=files, viewed=viewed, findings=1, answered=1)

    def another_log(self, key: LogKey) -> Log:
        return Log(self.folder / key.public.public.hex(), key)

    def payload(self, identifier: str = "rita", **changes: Any) -> bytes:
        return canonical(self.statement(identifier, **changes))

    def envelope(self, seed: int = 1, identifier: str = "rita", **changes: Any) -> Envelope:
        return sign_envelope(self.payload(identifier, **changes), private_key(seed))

    @staticmethod
    def seal(document: dict[str, Any], seed: int = 1) -> Envelope:
        return sign_envelope(canonical(document), private_key(seed))

    def enrol(self, identifier: str, seed: int, **changes: Any) -> None:
        self.people.append(person(identifier, seed, **changes))

    @staticmethod
    def finding(rule: str, severity: Severity, answered_by: str | None) -> FindingEntry:
        return finding(rule, severity, answered_by)

    def facts(
        self,
        *,
        audit: Verdict = Verdict.PASS,
        unsafe: bool = False,
        findings: Iterable[FindingEntry] | None = None,
        people: Sequence[tuple[str, str]] = (("Ada Author", "ada@platform.example"),),
        review: bytes = b"",
    ) -> dict[str, Any]:
        """The facts of a review of the revision as it now is; another ``review`` made other documents."""
        evidence = [
            Evidence.of("diff", digest(b"diff" + review), Verdict.PASS),
            Evidence.of("audit", digest(b"audit" + review), audit, unsafe=unsafe),
        ]
        return build_facts(
            revision=self.anchor or self.revision,
            evidence=evidence,
            findings=[finding("literal-changed", Severity.HIGH, "rita")] if findings is None else findings,
            files=Files(total=2, viewed=2, waived=0),
            people=people,
        )

    def statement(
        self, identifier: str = "rita", facts: dict[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        facts = facts or self.facts()
        entry = next(entry for entry in self.people if entry["id"] == identifier)
        arguments: dict[str, Any] = {
            "revision": self.revision,
            "target_ref": "refs/heads/main",
            "vote": Vote(Decision.APPROVED, "I reviewed this revision and approve its deployment."),
            "coverage": coverage(facts),
            "reviewer": Reviewer(
                id=entry["id"], name=entry["name"], organization=entry["organization"], role="reviewer"
            ),
            "policy": parse_policy(self.policy_text.encode()).reference("policy.toml"),
            "evidence": {**evidence_digests(facts), "facts": document_digest(facts), "panel": PANEL},
            "validity": replace(self.validity(), nonce=f"nonce-0123456789-{identifier}"),
        }
        return build_statement(**{**arguments, **changes})

    def append(self, document: Mapping[str, Any], at: datetime) -> LogProof:
        """Log a leaf, cosigned by the witness at that time if there is one."""
        index = self.log.append(document)
        if self.witness is not None:
            note = self.log.checkpoint()
            line = self.witness.cosign(note.decode().partition("\n\n")[0] + "\n", at)
            assert self.log.add_cosignatures(note + line.encode())
        return self.log.proof(index)

    def log_piece(self, kind: str, named: str, at: datetime, salt: bytes | None = None) -> None:
        if (kind, named) not in self.logged:
            proof = self.append(leaf(kind, digest=named), at)
            self.logged[kind, named] = Logged(kind, named, proof, salt=salt)
        self.needed.add((kind, named))

    def log_needed(self, envelope: Envelope) -> None:
        """Log what a sign-off's statement rests on, ten minutes before it was signed."""
        predicate = json.loads(envelope.payload)["predicate"]
        at = datetime.fromisoformat(predicate["signedAt"]) - timedelta(minutes=10)
        for piece in predicate["evidence"]:
            named = "sha256:" + piece["digest"]["sha256"]
            if piece["name"] == "panel":
                self.log_piece("panel", panel_commitment(named, SALT), at, SALT)
            else:
                self.log_piece("evidence", named, at)
        keys = [PublicKey.from_line(key["public"]) for entry in self.people for key in entry["keys"]]
        known = next((key for key in keys if key.fingerprint == envelope.keyid), None)
        if known is not None:
            self.log_piece("key", str(key_leaf(known)["digest"]), at)

    def log_signoff(self, envelope: Envelope, at: datetime | None = None) -> Signoff:
        self.log_needed(envelope)
        signed = datetime.fromisoformat(json.loads(envelope.payload)["predicate"]["signedAt"])
        return Signoff(envelope, self.append(signoff_leaf(envelope), at or signed + timedelta(minutes=1)))

    def revocations(self) -> RevocationList:
        """A new list of all that is revoked, logged."""
        document = build_revocations("countersign.example", self.log.size, self.issued, self.revoked)
        envelope = self.service.sign(canonical(document))
        return RevocationList(envelope, self.append(revocations_leaf(envelope), self.issued + timedelta(minutes=1)))

    def sign(self, seed: int = 1, identifier: str = "rita", **changes: Any) -> Signoff:
        return self.log_signoff(self.envelope(seed, identifier, **changes))

    def rebase(self, message: str = "Raise the weight, in other words") -> Revision:
        """Another head commit over the same trees; returns the revision as it was."""
        before = self.revision
        self.git("commit", "-q", "--amend", "-m", message)
        with Repository.open(self.repository) as opened:
            self.revision = replace(before, head=opened.snapshot("HEAD"))
        return before

    def carry(
        self,
        signoffs: Sequence[Signoff],
        facts: dict[str, Any],
        before: Sequence[Revision],
        *,
        at: datetime = NOW - timedelta(minutes=30),
        edit: Callable[[dict[str, Any]], object] = lambda _: None,
        key: MachineKey | None = None,
    ) -> CarriedOver:
        """Carry these sign-offs over to the revision as it now is, with the facts of its own review."""
        evidence = {**evidence_digests(facts), "facts": document_digest(facts), "panel": PANEL}
        named = [(one.envelope.payload, json.loads(one.envelope.payload)) for one in signoffs]
        document = build_carry(
            service="countersign.example",
            revision=self.revision,
            target_ref="refs/heads/main",
            policy=sha256_hex(self.policy_text.encode()),
            evidence=evidence,
            carried=[
                Carried(
                    said["predicate"]["reviewer"]["id"],
                    sha256_hex(payload),
                    "sha256:" + said["subject"][0]["digest"]["sha256"],
                )
                for payload, said in named
            ],
            at=at,
        )
        edit(document)
        for name, named_digest in evidence.items():
            if name != "panel":
                self.log_piece("evidence", named_digest, at - timedelta(minutes=10))
        envelope = (key or self.service).sign(canonical(document))
        return CarriedOver(envelope, self.append(carry_leaf(envelope), at + timedelta(minutes=1)), tuple(before))

    def write(
        self,
        signoffs: Sequence[Signoff] | None = None,
        facts: Sequence[dict[str, Any]] | None = None,
        carry: CarriedOver | None = None,
        roots: Sequence[RootsChange] = (),
    ) -> None:
        """Write bundle, policy and roots as they now are; by default with an approval by rita."""
        self.needed.clear()
        signoffs = [self.sign()] if signoffs is None else signoffs
        for one in signoffs:
            self.log_needed(one.envelope)
        if carry is not None:
            listed = json.loads(carry.envelope.payload)["predicate"]["evidence"]
            found = {("evidence", "sha256:" + piece["digest"]["sha256"]) for piece in listed}
            self.needed |= found & self.logged.keys()
        logged = [self.logged[key] for key in sorted(self.needed)]
        facts = facts or [self.facts()]
        self.bundle.write_bytes(
            assemble_bundle(
                self.log,
                self.revision,
                signoffs,
                facts,
                logged,
                self.revocations(),
                carry,
                roots=roots,
                policy=self.policy_text.encode() if self.carries_policy else None,
            )
        )
        self.policy.write_text(self.policy_text, encoding="utf-8")
        self.write_roots()

    def write_roots(self) -> None:
        roots = {
            "schema": ROOTS_SCHEMA,
            "service": {
                "id": "countersign.example",
                "name": "The reviewer's service",
                "keys": [self.key_entry(self.service.public.line)],
            },
            "logs": [{"origin": self.log.key.name, "vkey": self.log.key.vkey}],
            "people": self.people,
            "gates": self.gates,
            "quorum": self.quorum,
            **({"build_lanes": self.lanes} if self.lanes else {}),
        }
        self.roots.write_text(json.dumps(roots, indent=1), encoding="utf-8")

    def witnessed(self, kind: int = ED25519_COSIGNATURE) -> None:
        """From now on everything is cosigned by a witness, and the roots ask for it."""
        self.witness = Cosigner.generate("witness.example/w1", kind)
        self.quorum = f"witness w1 {self.witness.public.vkey}\nquorum w1\n"

    def verified(self, now: datetime = NOW) -> tuple[int | None, int | None]:
        """The step, among those that need no repository, at which `verify` refuses, and the verifier standing alone."""
        ours = refused_at(verify(self.bundle, self.roots, now, self.policy))
        contents = [path.read_bytes() for path in (self.bundle, self.roots, self.policy)]
        theirs = standalone().verify(*contents, None, now)
        return (
            ours,
            next((number for number, _, ok, _ in theirs if ok is False), None),
        )

    def gate(self, now: datetime = NOW, *, rollback: bool = False, break_glass: Path | None = None) -> GateResult:
        emergencies = Emergencies(rollback, break_glass)
        return gate(self.bundle, self.repository, self.artifacts, self.policy, self.roots, now, emergencies)


@functools.cache
def standalone() -> Any:
    """The verifier that stands alone, as a module."""
    script = Path(__file__).resolve().parents[2] / "examples" / "verifier" / "countersign_verify.py"
    spec = importlib.util.spec_from_file_location("countersign_verify", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def finding(rule: str, severity: Severity, answered_by: str | None) -> FindingEntry:
    answer = Answer.of("accepted", answered_by, "It is meant.") if answered_by else None
    return FindingEntry(id=f"sha256:{sha256_hex(rule.encode())}", rule=rule, severity=severity, answer=answer)


def make_repository(folder: Path) -> tuple[str, str]:
    """A repository with two commits, an executable, a symlink and an artifact in the tree. Returns base and head."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "rank.py").write_text("WEIGHT = 1.0\n", encoding="utf-8")
    declared = '[artifacts]\nsmall = "models/small.bin"\ndata = "models/data.json"\n'
    (folder / "countersign.toml").write_text(declared, encoding="utf-8")
    (folder / "models").mkdir()
    (folder / "models" / "small.bin").write_bytes(b"small model")
    (folder / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("rank.py")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Base")
    base = git(folder, "rev-parse", "HEAD")
    (folder / "rank.py").write_text("WEIGHT = 1.5\n", encoding="utf-8")
    git(folder, "commit", "-q", "-a", "-m", "Raise the weight\n\nCo-authored-by: Cora <cora@platform.example>")
    return base, git(folder, "rev-parse", "HEAD")


def make_world(tmp_path: Path, model: Path) -> World:
    """The world around one large artifact, which is there already."""
    repository = tmp_path / "repository"
    base, head = make_repository(repository)
    with Repository.open(repository) as opened:
        revision = Revision(
            "https://code.example/platform/ranker",
            opened.snapshot(base),
            opened.snapshot(head),
            (
                Artifact("model", model.stat().st_size, file_sha256(model)),
                Artifact("small", 11, sha256_hex(b"small model")),
            ),
        )
    assert isinstance(revision.head, Snapshot)
    log = Log(tmp_path / "log", LogKey.generate(ORIGIN))
    people = [person("rita", 1), person("rolf", 2)]
    return World(tmp_path, repository, revision, log, people, artifacts={"model": model})
