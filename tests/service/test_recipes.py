# SPDX-License-Identifier: Apache-2.0
"""A recommender that retrains: builds within a recipe are countersigned, the first one outside stops the lane."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from command import runner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from house import MANIFEST, finished, make_key, serve, until
from sqlalchemy import select, update

from diffing import read_keys
from evidence import InputError, Severity, VerificationError
from service import builds, ledger, progress, recipes, reckoning, trust
from service.database import BuildRow, RecipeRow
from service.life import State
from service.recipes import Standing
from service.suppliers import suppliers
from service.views import Person
from signoff import (
    Envelope,
    MachineKey,
    RevokedKind,
    Terms,
    envelope_from_raw,
    gate,
    pae,
    read_stop,
    sign_with_ssh_key,
)

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from service.context import Context
    from service.reviews import Reviews
    from service.views import RevisionView
    from signoff import GateResult, Recipe

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
PATH = "models/lift.npy"
READ = f"    global LIFT\n    LIFT = struct.unpack('<d', (artifacts / '{PATH[7:]}').read_bytes()[-8:])[0]\n"
TRAINED = serve().replace("    return Feed()", READ + "    return Feed()")
TERMS = Terms({"lift": PATH}, 1100, Severity.HIGH, 5, 24, timedelta(days=7))


def array(*values: float) -> bytes:
    """A vector of doubles as numpy's own format, version 1."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(values)},), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(header))
        + header.encode()
        + struct.pack(f"<{len(values)}d", *values)
    )


def settled(view: RevisionView) -> bool:
    """Whether a build was countersigned, or is outside of its recipe."""
    said = [event.what for event in view.timeline]
    return view.build is None or view.state is State.SIGNED or any("outside of its recipe" in one for one in said)


class Machine:
    """The platform's training job, and the reviewer across from it."""

    def __init__(self, house: Any, client: TestClient) -> None:
        self.house, self.client = house, client
        self.key = make_key(house.place)
        public = self.key.with_suffix(".pub").read_text(encoding="ascii")
        trust.enrol_key(self.context, WHO, public, emails=("r@office.example",))
        self.number = 0

    @property
    def context(self) -> Context:
        return self.client.app.state.context  # type: ignore[attr-defined, no-any-return]

    @property
    def reviews(self) -> Reviews:
        return self.client.app.state.reviews  # type: ignore[attr-defined, no-any-return]

    def train(self, *values: float, **files: str) -> str:
        """A commit with another model, on what was there."""
        (self.house.repository / PATH).parent.mkdir(exist_ok=True)
        (self.house.repository / PATH).write_bytes(array(*values))
        return str(self.house.commit(dict(files), f"Build {values}"))

    def send(self, head: str) -> Any:
        """Have it reviewed as a pull request of its own."""
        self.number += 1
        self.house.deliver(self.client, self.house.pull(head, number=self.number))
        finished(self.client, self.number)
        return until(self.client, settled, self.number)

    def signed(self, change: int, recipe: str = "") -> None:
        prepared = self.reviews.prepare_statement(change, 1, WHO, "APPROVED", recipe=recipe)
        signature = sign_with_ssh_key(self.key, prepared.pae)
        self.reviews.sign_off(change, 1, WHO, nonce=prepared.nonce, ssh_signature=signature)

    def first(self) -> Recipe:
        """A reviewed revision with a recipe that is signed with it."""
        house = self.house
        house.commit({"rank.py": "import struct\n" + TRAINED}, "Trained")
        house.commit({"countersign.toml": MANIFEST + f'[artifacts]\nlift = "{PATH}"\n'}, "Declared")
        self.train(1.0, 0.0)
        house.git("checkout", "-q", "-b", "topic")
        assert self.send(house.commit({"README": "words\n"}, "Words")).state is State.READY
        recipes.make_lane(self.context, "hourly")
        recipe = recipes.propose(self.context, 1, 1, lane="hourly", terms=TERMS)
        assert recipes.every(self.context)[0][1] is Standing.UNSIGNED
        self.signed(1, recipe.digest)
        assert self.reviews.revision(1, 1).state is State.SIGNED
        assert recipes.every(self.context)[0][1] is Standing.COUNTS
        return recipe

    def gate(self, change: int) -> GateResult:
        data = self.house.place / "data"
        bundle = self.house.place / "bundle.json"
        bundle.write_bytes(self.reviews.bundle(change, 1))
        mirror = next((data / "mirrors" / "tiny").glob("*.git"))
        return gate(bundle, mirror, {}, data / "policy.toml", data / "roots.json", datetime.now(UTC))


@pytest.fixture
def machine(house: Any, client: TestClient) -> Machine:
    return Machine(house, client)


def test_builds_are_countersigned_until_the_first_one_outside(machine: Machine, browser: TestClient) -> None:
    recipe = machine.first()
    view = machine.send(machine.train(2.0, 0.0))
    assert (view.state, view.build.counts) == (State.SIGNED, True)
    assert view.base_commit == machine.reviews.revision(1, 1).head_commit
    result = machine.gate(2)
    assert result.admitted, result.refused
    assert result.build is not None
    assert result.build.statement.predicate.number == 1
    page = browser.get("/changes/2/revisions/1").text
    assert "Countersigned by machine as build 1 of 5 by the lane hourly" in page
    assert recipe.digest in page

    second = machine.send(machine.train(3.0, 0.0))
    assert second.build.counts
    assert machine.gate(3).build.statement.predicate.number == 2  # type: ignore[union-attr]

    beyond = machine.send(machine.train(3.0, 0.8))
    assert (beyond.state, beyond.build.counts) == (State.READY, False)
    assert "The lane hourly has stopped; this revision waits for people" in beyond.build.words
    held, standing = recipes.every(machine.context)[0]
    assert (standing, held.row.stop_index is not None) == (Standing.STOPPED, True)
    kinds = [line.kind for line in machine.reviews.log().lines]
    assert (kinds.count("lane-stopped"), kinds.count("build")) == (1, 2)
    said, kept = stopped(machine)
    assert said.reason == "a build is outside of the recipe's bounds"
    assert kept["reason"] == held.row.stop_reason == "the audit's verdict is fail"
    assert ledger.read_revoked(machine.context)[0].reason == said.reason
    assert reckoning.compare(machine.context) == 3
    for edit, words in (
        ({"stop_reason": "the reviewer stopped it"}, "the reason of the stop of a lane"),
        ({"stop_index": 0}, "the place of the stop of a lane"),
        ({"stop_digest": "sha256:" + "0" * 64}, "the envelope of the stop of a lane"),
        ({"stop_digest": None, "stop_index": None, "stop_reason": None}, "is gone from the database"),
        ({"revision_id": 2}, "the revision of the recipe signed"),
    ):
        with machine.context.database.write() as session:
            row = session.scalars(select(RecipeRow)).one()
            before = {name: getattr(row, name) for name in edit}
            session.execute(update(RecipeRow).values(**edit))
        with pytest.raises(VerificationError, match=words):
            reckoning.compare(machine.context)
        with machine.context.database.write() as session:
            session.execute(update(RecipeRow).values(**before))
    assert machine.gate(2).admitted  # as it was before the stop
    with pytest.raises(Exception, match="nobody has signed"):
        machine.reviews.bundle(4, 1)

    after = machine.send(machine.train(4.0, 0.0))
    assert (after.state, after.build) == (State.READY, None)
    assert "lane hourly has stopped" in browser.get("/log").text

    ledger.revoke(machine.context, RevokedKind.RECIPE, recipe.digest[7:], "The panel leaked.", datetime.now(UTC))
    refused = machine.gate(2).refused
    assert refused is not None
    assert (refused.name, "the recipe is revoked" in refused.detail) == ("revocation", True)


def test_what_somebody_else_hands_in_is_no_build_and_stops_nothing(machine: Machine) -> None:
    recipe = machine.first()
    head = machine.train(2.0, 0.9)  # outside of the bounds
    machine.number += 1
    stranger = machine.house.pull(head, number=machine.number)
    stranger["pull_request"]["user"]["login"] = "mallory"
    machine.house.deliver(machine.client, stranger)
    view = finished(machine.client, machine.number)
    assert (view.state, view.build) == (State.READY, None)
    assert recipes.every(machine.context)[0][1] is Standing.COUNTS
    assert recipes.active(machine.context, "tiny", recipe.document["repository"], recipe.target_ref)
    assert not recipes.active(machine.context, "tiny", recipe.document["repository"], "refs/heads/other")


def test_a_build_says_who_launched_it_and_who_signed_provenance_supplied_it(machine: Machine) -> None:
    recipe = machine.first()
    assert machine.send(machine.train(2.0, 0.0)).build.counts
    build = json.loads(machine.reviews.bundle(2, 1))["build"]
    assert {"name": "pat", "email": ""} in build["measures"]["people"]
    assert reckoning.compare(machine.context) == 2  # a sign-off and a build
    for change, words in EDITS:
        edited(machine.context, change, words)
    assert reckoning.compare(machine.context) == 2
    assert machine.gate(2).admitted
    machine.signed(1, recipe.digest)  # anew: the build stands by what was signed before it
    assert machine.gate(2).admitted
    assert build["measures"]["artifacts"]["verdict"] == "pass"
    roots = trust.roots(machine.context)
    line = roots.people[0].keys[0].key.line
    public = load_ssh_public_key(line.encode())
    pem = machine.house.place / "provenance.pem"
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    keys = read_keys(pem)
    (called,) = keys.lines
    said = {"artifacts": [{"model": {"provenance": [{"signed_by": [called]}]}}, {"model": None}]}
    context = machine.context
    platform = context.platforms[0].model_copy(update={"provenance_keys": pem})
    known = replace(context, platforms=(platform,))
    job = progress.job(context.database, 1)
    assert suppliers(known, job, [{"provenance": []}, said]) == {("reviewer", "")}
    assert suppliers(known, job, [{"provenance": [{"signed_by": ["another"]}]}]) == set()
    assert suppliers(context, job, [said]) == set()


def test_a_build_by_who_signed_its_recipe_stops_the_lane(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a delivery names another sender once the build was taken for one."""
    machine.first()
    monkeypatch.setattr(builds, "_by_its_makers", lambda *_: True)
    head = machine.train(2.0, 0.0)
    machine.number += 1
    pull = machine.house.pull(head, number=machine.number)
    pull["pull_request"]["user"]["login"] = "Reviewer"
    machine.house.deliver(machine.client, pull)
    finished(machine.client, machine.number)
    view = until(machine.client, settled, machine.number)
    assert not view.build.counts
    assert "independence: reviewer approves a change that they made themselves" in view.build.words
    assert recipes.every(machine.context)[0][1] is Standing.STOPPED


EDITS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"number": 7}, "number"),
    ({"log_index": 0}, "place"),
    ({"measures_digest": "sha256:" + "0" * 64}, "measures"),
    ({"envelope_digest": "sha256:" + "0" * 64}, "envelope"),
    ({"signed_at": datetime(2026, 1, 1, tzinfo=UTC)}, "time"),
    ({"log_index": None}, "gone from the database"),
    ({"payload_digest": "sha256:" + "0" * 64}, "gone from the database"),
)


def edited(context: Context, change: dict[str, Any], words: str) -> None:
    """An edit of the first build by SQL is found, and undone again."""
    with context.database.write() as session:
        row = session.scalars(select(BuildRow).where(BuildRow.number == 1)).one()
        before = {name: getattr(row, name) for name in change}
        session.execute(update(BuildRow).where(BuildRow.revision_id == row.revision_id).values(**change))
    with pytest.raises(VerificationError, match=words):
        reckoning.compare(context)
    with context.database.write() as session:
        session.execute(update(BuildRow).where(BuildRow.revision_id == row.revision_id).values(**before))


def stopped(machine: Machine) -> tuple[Any, Any]:
    """What the log says of a stop, and the reviewer's document behind it."""
    entries = [json.loads(one) for one in trust.log_reader(machine.context).entries()]
    (envelope,) = (one["envelope"] for one in entries if one["type"] == "lane-stopped")
    said = read_stop(Envelope.from_json(envelope).payload).predicate
    assert said.detail is not None
    return said, machine.context.store.get_json(f"sha256:{said.detail.sha256}")


@pytest.mark.parametrize("broken", ["_measures", "check_code"])
def test_whatever_keeps_a_build_from_being_judged_stops_its_lane(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Not only what is known to be outside: an error that nobody foresaw, or a mirror that cannot be read."""

    def fail(*_: object, **__: object) -> None:
        raise {"_measures": RuntimeError, "check_code": OSError}[broken]("no such shelf")

    machine.first()
    monkeypatch.setattr(builds, broken, fail)
    view = machine.send(machine.train(2.0, 0.0))
    assert (view.state, view.build.counts) == (State.READY, False)
    held, standing = recipes.every(machine.context)[0]
    assert standing is Standing.STOPPED
    said, kept = stopped(machine)
    assert (said.reason, "shelf" in kept["reason"], len(kept["salt"])) == ("a build could not be judged", True, 64)
    assert "no such shelf" in (held.row.stop_reason or "")
    monkeypatch.undo()
    assert machine.send(machine.train(3.0, 0.0)).build is None


def test_a_recipe_is_of_artifacts_that_the_manifest_places_in_the_repository(machine: Machine) -> None:
    machine.first()
    for path, words in ((None, "beside the repository"), ("rank.py", "does not say that the artifact 'lift' is at")):
        with pytest.raises(InputError, match=words):
            recipes.propose(machine.context, 1, 1, lane="hourly", terms=replace(TERMS, artifacts={"lift": path}))


def test_what_changes_code_is_no_build_and_a_recipe_is_signed_by_name(machine: Machine, browser: TestClient) -> None:
    recipe = machine.first()
    changed = machine.send(machine.train(2.0, 0.0, README="other words\n"))
    assert (changed.state, changed.build) == (State.READY, None)
    with pytest.raises(InputError, match="no recipe"):
        machine.reviews.prepare_statement(2, 1, WHO, "APPROVED", recipe=recipe.digest)
    assert recipe.digest in browser.get("/changes/1/revisions/1/sign").text
    assert recipe.digest not in browser.get("/changes/2/revisions/1/sign").text
    with pytest.raises(InputError, match="no artifact"):
        recipes.propose(
            machine.context, 2, 1, lane="hourly", terms=Terms({"x": None}, 1100, Severity.LOW, 1, 1, TERMS.life)
        )


def test_a_signature_without_the_recipe_lets_no_build_through(machine: Machine) -> None:
    machine.first()
    machine.signed(1)  # the same person, later, without it
    assert recipes.every(machine.context)[0][1] is Standing.UNSIGNED
    view = machine.send(machine.train(2.0, 0.0))
    assert (view.state, view.build) == (State.READY, None)


def test_the_lanes_key_signs_nothing_off_here_either(machine: Machine) -> None:
    machine.first()
    key = MachineKey.load(recipes.lane_key(machine.context, "hourly"))
    prepared = machine.reviews.prepare_statement(1, 1, WHO, "APPROVED")
    envelope = envelope_from_raw(prepared.payload, key.sign(prepared.payload).signature, key.public)
    assert pae(prepared.payload) == prepared.pae
    with pytest.raises(VerificationError, match="good for builds and nothing else"):
        machine.reviews.sign_off(1, 1, WHO, envelope=json.dumps(envelope.to_json()).encode())


def test_a_build_that_cannot_run_stops_the_lane_and_a_killed_stop_is_finished(machine: Machine) -> None:
    machine.first()
    context = machine.context
    view = machine.send(machine.train(float("nan"), float("nan")))
    assert view.build is not None
    assert not view.build.counts
    held, standing = recipes.every(context)[0]
    assert standing is Standing.STOPPED
    with context.database.write() as session:
        session.get_one(type(held.row), held.row.digest).stop_index = None
    size = machine.reviews.log().size
    builds.finish(context)
    assert recipes.find(context, held.row.digest).row.stop_index == held.row.stop_index
    assert machine.reviews.log().size == size
    with context.database.read() as session:
        assert [row.log_index for row in session.scalars(select(BuildRow))] == [None]


def test_the_command_line_makes_lists_checks_and_stops(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.first()
    run = runner(monkeypatch, capfd, "recipe")
    data = machine.house.place / "data"
    made = tmp_path / "recipe.json"
    options = ["--change", "1", "--revision", "1", "--lane", "hourly", "--artifact", f"lift={PATH}", "--ratio", "1.05"]
    done = run("new", *options, "--contract", "rank.py", "--out", made, "--data", data)
    assert done.status == 0, done.err
    digest = done.out.strip()
    listed = run("list", "--data", data, "--format", "json").document["recipes"]
    assert [row["standing"] for row in listed] == ["counts", "waits for sign-offs"]
    checked = run("check", made, "--format", "json").document
    assert (checked["digest"], checked["recipe"]["ratio"]) == (digest, 1050)
    assert run("stop", digest, "--reason", "Not wanted.", "--data", data).out.startswith("stopped, log entry ")
    assert recipes.every(machine.context)[1][1] is Standing.STOPPED
    assert run("lane", "hourly", "--data", data).out.startswith("ssh-ed25519 ")
    for wrong in (["--artifact", "lift"], ["--severity", "x"], ["--bound", "rows"], ["--contract", "absent"]):
        done = run("new", *options, *wrong, "--data", data)
        assert (done.status, len(done.err.splitlines())) == (2, 1), done.err
