# SPDX-License-Identifier: Apache-2.0
"""A recipe on the small world's revision, and builds under it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from confine import Repository
from evidence import Artifact, Revision, Severity, Snapshot, canonical, digest, document_digest, sha256_hex
from signoff import (
    Build,
    BuildPlace,
    Decision,
    MachineKey,
    Recipe,
    Signoff,
    Terms,
    Vote,
    assemble_bundle,
    build_countersignature,
    build_leaf,
    build_measures,
    build_recipe,
    evidence_digests,
    key_leaf,
    panel_commitment,
    parse_policy,
    read_measures,
    read_recipe,
    sign_envelope,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world import World

    from signoff import Envelope

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PANEL = digest(b"panel")
SALT = b"tlas" * 8  # of the build's own commitment: the sign-off's has another
LANE = "hourly"
SCOPE = ("code", "weights", "config", "behavior", "builds")
SMALL = "models/small.bin"


def cell(ratio: float | None = 1.02, family: str = "primary", verdict: str = "equivalent") -> dict[str, Any]:
    return {"family": family, "verdict": verdict, "ratio": ratio, "base_share": 0.1, "head_share": 0.1}


@dataclass
class Lane:
    """What signs builds in the world, by default within all bounds."""

    world: World
    key: MachineKey = field(default_factory=lambda: MachineKey(Ed25519PrivateKey.from_private_bytes(bytes([210]) * 32)))
    ratio: int = 1050
    builds: int = 3
    interval_hours: int = 2
    bounds: tuple[tuple[str, int, int], ...] = ()
    summary: str | None = None
    contract: tuple[str, str] | None = None
    begins: datetime = NOW - timedelta(hours=2)
    days: int = 20
    nonce: str = "recipe-0123456789"

    def __post_init__(self) -> None:
        self.world.anchor = self.world.anchor or self.world.revision

    @property
    def anchor(self) -> Revision:
        """The revision that people signed."""
        return self.world.anchor or self.world.revision

    def enrol(self, name: str = LANE) -> Lane:
        """Put the lane's key into the roots."""
        self.world.lanes.append({"id": name, "keys": [self.world.key_entry(self.key.public.line)]})
        return self

    def recipe(self, artifacts: dict[str, str | None] | None = None, **changes: Any) -> Recipe:
        artifacts = artifacts or {"small": SMALL}
        with Repository.open(self.world.repository) as repository:
            code = repository.content_digest(self.anchor.head.commit, without=set(filter(None, artifacts.values())))
        terms = Terms(
            artifacts=artifacts,
            ratio=self.ratio,
            severity=Severity.LOW,
            builds=self.builds,
            interval_hours=self.interval_hours,
            life=timedelta(days=self.days),
            contract=self.contract,
            summary=self.summary,
            bounds=self.bounds,
        )
        arguments: dict[str, Any] = {
            "target_ref": "refs/heads/main",
            "code": code,
            "panel": PANEL,
            "terms": terms,
            "lane": (LANE, self.key.public),
            "nonce": self.nonce,
            "issued_at": self.begins,
        }
        return read_recipe(build_recipe(self.anchor, **{**arguments, **changes}))

    def approve(self, recipe: Recipe | None, seed: int = 1, identifier: str = "rita", **changes: Any) -> Signoff:
        """A sign-off of the recipe's revision that signs the recipe too."""
        world, facts = self.world, self.world.facts()
        held = {} if recipe is None else {"recipe": recipe.digest}
        vote = Vote(Decision.APPROVED, "Builds of it too.", scope=SCOPE if recipe else ("code",))
        arguments: dict[str, Any] = {
            "revision": self.anchor,
            "vote": vote,
            "evidence": {**evidence_digests(facts), "facts": document_digest(facts), "panel": PANEL, **held},
        }
        return world.sign(seed, identifier, **{**arguments, **changes})

    def change(self, files: Mapping[str, bytes] | None = None, before: Callable[[], object] = lambda: None) -> Revision:
        """A commit on the world's head with a retrained artifact and nothing else, as a revision from the anchor."""
        world = self.world
        for path, content in (files or {SMALL: b"another model"}).items():
            (world.repository / path).parent.mkdir(exist_ok=True)
            (world.repository / path).write_bytes(content)
        content = (world.repository / SMALL).read_bytes()
        before()
        world.git("add", "-A")
        world.git("commit", "-q", "-m", "A build")
        with Repository.open(world.repository) as repository:
            head = repository.snapshot(world.git("rev-parse", "HEAD"))
        kept = [one for one in self.anchor.artifacts if one.name != "small"]
        artifacts = (*kept, Artifact("small", len(content), sha256_hex(content)))
        return Revision(self.anchor.repository, self.anchor.head, head, artifacts)

    def measures(self, revision: Revision, data: Mapping[str, int] | None = None, **changes: Any) -> Any:
        return measured(self.anchor, revision, data, **changes)

    def statement(self, revision: Revision, recipe: Recipe, measures: Any, **changes: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "recipe": recipe,
            "measures": measures,
            "place": BuildPlace(1, None),
            "policy": parse_policy(self.world.policy_text.encode()).digest,
            "signed_at": NOW - timedelta(minutes=30),
        }
        return build_countersignature(revision, **{**arguments, **changes})

    def log_build(self, envelope: Envelope, recipe: Recipe, measures: Any, at: datetime | None = None) -> Build:
        """Log what a build rests on, and the build."""
        predicate = json.loads(envelope.payload)["predicate"]
        signed_at = datetime.fromisoformat(predicate["signedAt"])
        before = signed_at - timedelta(minutes=5)
        for piece in predicate["evidence"]:
            named = f"sha256:{piece['digest']['sha256']}"
            if piece["name"] == "panel":
                self.world.log_piece("panel", panel_commitment(named, SALT), before, SALT)
            else:
                self.world.log_piece("evidence", named, before)
        self.world.log_piece("key", str(key_leaf(self.key.public)["digest"]), before)
        proof = self.world.append(build_leaf(envelope), at or signed_at + timedelta(minutes=1))
        return Build(envelope, proof, recipe, self.anchor, measures)

    def seal(self, document: dict[str, Any], key: MachineKey | None = None) -> Envelope:
        return (key or self.key).sign(canonical(document))

    def write(
        self,
        *,
        recipe: Recipe | None = None,
        signoffs: list[Signoff] | None = None,
        revision: Revision | None = None,
        measures: Any = None,
        forge: Callable[[dict[str, Any]], object] = lambda _: None,
        seed: int | None = None,
        **changes: Any,
    ) -> Build:
        """A bundle of a build: by default one that is admitted. ``forge`` edits its statement before it is signed."""
        world = self.world
        recipe = recipe or self.recipe()
        world.needed.clear()
        signoffs = [self.approve(recipe)] if signoffs is None else signoffs
        for one in signoffs:
            world.log_needed(one.envelope)
        world.revision = revision = revision or self.change()
        measures = measures or self.measures(revision)
        document = self.statement(revision, recipe, measures, **changes)
        forge(document)
        signed = self.seal(document)
        if seed is not None:
            private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
            signed = sign_envelope(canonical(document), private)
        build = self.log_build(signed, recipe, measures)
        self.assemble(build, signoffs)
        return build

    def assemble(self, build: Build, signoffs: list[Signoff]) -> None:
        """Write the bundle, policy and roots as they now are."""
        world = self.world
        logged = [world.logged[key] for key in sorted(world.needed)]
        world.bundle.write_bytes(
            assemble_bundle(
                world.log,
                world.revision,
                signoffs,
                [world.facts()],
                logged,
                world.revocations(),
                build=build,
                policy=world.policy_text.encode() if world.carries_policy else None,
            )
        )
        world.policy.write_text(world.policy_text, encoding="utf-8")
        world.write_roots()


STILL = Revision("code.example/ranker", Snapshot("1" * 40, "2" * 40, ""), Snapshot("3" * 40, "4" * 40, "5" * 64))


def still_recipe(**terms: Any) -> dict[str, Any]:
    """A recipe of a revision that is in no repository."""
    said: dict[str, Any] = {
        "artifacts": {"small": SMALL},
        "ratio": 1050,
        "severity": Severity.LOW,
        "builds": 3,
        "interval_hours": 2,
        "life": timedelta(days=20),
    }
    return build_recipe(
        STILL,
        target_ref="refs/heads/main",
        code="6" * 64,
        panel=PANEL,
        terms=Terms(**{**said, **terms}),
        lane=(LANE, MachineKey.generate().public),
        nonce="recipe-0123456789",
        issued_at=NOW,
    )


def documents(anchor: Revision, build: Revision, **changes: Any) -> dict[str, dict[str, Any]]:
    """Audit, diff and artifacts of a build by name, by default within all bounds."""
    audit = {
        "verdict": "pass",
        "panel": {"digest": PANEL},
        "base": {"digest": f"sha256:{anchor.head.content}"},
        "head": {"digest": f"sha256:{build.head.content}"},
        "cells": [cell(1.02), cell(0.99), cell(9.0, "secondary")],
        "findings": [],
    }
    diff = {"verdict": "pass", "findings": [{"severity": "low"}]}
    artifacts: dict[str, Any] = {"verdict": "pass", "findings": []}
    every = {"audit": audit, "diff": diff, "artifacts": artifacts}
    return {name: {**one, **changes.pop(name, {})} for name, one in every.items()}


def measured(anchor: Revision, build: Revision, data: Mapping[str, int] | None = None, **changes: Any) -> Any:
    """The measures out of such documents."""
    people = changes.pop("people", [("Carl Committer", "carl@platform.example"), ("trainer", "")])
    held = documents(anchor, build, **changes)
    named: dict[str, Any] = {name: (document_digest(one), one) for name, one in held.items()}
    return read_measures(build_measures(build, people=people, data=data, **named))


def forged(measures: Any, **changes: Any) -> Any:
    """Measures with something else in them, still in their form."""
    return read_measures({**measures.document, **changes})


def other_lane(lane: Lane) -> Lane:
    """A second lane beside the first, with a key of its own."""
    key = MachineKey(Ed25519PrivateKey.from_private_bytes(bytes([211]) * 32))
    return replace(lane, key=key).enrol("daily")
