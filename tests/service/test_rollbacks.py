# SPDX-License-Identifier: Apache-2.0
"""Going back to what was signed earlier, the whole way: reviewed, signed, expired, rolled back to, and in the log."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from command import Said, runner
from house import TOKEN, finished, make_key
from sqlalchemy import select

from evidence import canonical, digest
from service import arrivals, ledger, signing, trust
from service.database import DecisionRow
from service.views import Person
from signoff import (
    Envelope,
    MachineKey,
    RevokedKind,
    gate_leaf,
    leaf_hash,
    read_roots,
    sign_with_ssh_key,
    verify_summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient

pytestmark = pytest.mark.sandbox

CI = {"Authorization": f"Bearer {TOKEN}"}
GATE = "https://platform.example/gates/1"
WHO = Person("reviewer", "Reviewer", "independent", "reviewer")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(monkeypatch, capfd)


class Platform:
    """A platform whose gate looks at the service's bundles, and reports what it decides."""

    def __init__(self, house: Any, client: TestClient, run: Callable[..., Said]) -> None:
        self.house, self.client, self.run = house, client, run
        self.context = client.app.state.context  # type: ignore[attr-defined]
        self.reviews = client.app.state.reviews  # type: ignore[attr-defined]
        self.key = make_key(house.place)
        public = self.key.with_suffix(".pub").read_text(encoding="ascii")
        trust.enrol_key(self.context, WHO, public, emails=("r@office.example",))
        self.gate_key = house.place / "gate.pem"
        made = MachineKey.generate()
        made.save(self.gate_key)
        roots = json.loads(self.context.roots.read_bytes())
        entry = {"public": made.public.line, "valid_from": "2020-01-01T00:00:00Z", "valid_until": None}
        roots["people"][0]["keys"][0]["valid_from"] = "2020-01-01T00:00:00Z"
        roots["gates"] = [{"id": GATE, "keys": [entry]}]
        self.context.roots.write_bytes(canonical(roots))

    def review(self, number: int, words: str) -> None:
        self.house.deliver(
            self.client, self.house.pull(self.house.branch(f"b{number}", {"README": words}), number=number)
        )
        finished(self.client, number)

    def sign(self, number: int) -> None:
        prepared = self.reviews.prepare_statement(number, 1, WHO, "APPROVED")
        signature = sign_with_ssh_key(self.key, prepared.pae)
        self.reviews.sign_off(number, 1, WHO, nonce=prepared.nonce, ssh_signature=signature)

    def decide(self, number: int, *more: str) -> tuple[dict[str, Any], Envelope]:
        """What the gate says of a change by the service's bundle of now; and its decision, reported and logged."""
        bundle: Path = self.house.place / "bundle.json"
        bundle.write_bytes(self.reviews.bundle(number, 1))
        mirror = next((self.house.place / "data" / "mirrors" / "tiny").glob("*.git"))
        vsa = self.house.place / "vsa.json"
        said = self.run(
            "gate", "--bundle", bundle, "--repo", mirror, "--policy", self.context.policy,
            "--roots", self.context.roots, "--gate-id", GATE, "--gate-key", self.gate_key, "--vsa", vsa,
            "--format", "json", *more,
        )  # fmt: skip
        content = vsa.read_bytes()
        vsa.unlink()
        sent = self.client.post("/api/v1/gate-decisions", content=content, headers=CI)
        assert sent.status_code == 201, sent.text
        assert (sent.json()["differs"], sent.json()["passed"]) == ([], said.document["admitted"])
        assert said.status == (0 if said.document["admitted"] else 1)
        self.logged(sent.json()["log_index"], Envelope.read(content))
        return said.document, Envelope.read(content)

    def logged(self, index: int, envelope: Envelope) -> None:
        """The entry is the decision's leaf, and its proof holds against the log's own key."""
        reader = trust.log_reader(self.context)
        entry = list(reader.entries())[index]
        assert json.loads(entry) == gate_leaf(envelope)
        reader.proof(index).verify(leaf_hash(entry), reader.key)

    def refused(self, number: int, *more: str) -> tuple[int, str]:
        document, _ = self.decide(number, *more)
        assert document["admitted"] is False
        step = next(one for one in document["steps"] if one["ok"] is False)
        return step["number"], step["name"]


@pytest.fixture
def platform(house: Any, client: TestClient, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Change 1 was signed a hundred days ago, and change 2, which came after it, today."""
    found = Platform(house, client, run)
    found.review(1, "words\n")
    with monkeypatch.context() as patched:
        patched.setattr(signing, "now", lambda: arrivals.now() - timedelta(days=100))
        found.sign(1)
    found.review(2, "other words\n")
    found.sign(2)
    return found


def test_a_rollback_to_what_was_signed_earlier_passes_and_is_in_the_log(platform: Platform) -> None:
    document, _ = platform.decide(2)
    assert (document["admitted"], document["rollback"]) == (True, False)
    assert platform.refused(1) == (8, "time")
    document, envelope = platform.decide(1, "--rollback")
    assert (document["admitted"], document["rollback"]) == (True, True)
    assert next(step["detail"] for step in document["steps"] if step["number"] == 8).startswith("a rollback: expired")
    gate, summary = verify_summary(envelope, read_roots(platform.context.roots))
    assert (gate.id, summary.passed, summary.rollback) == (GATE, True, True)
    assert summary.revision == document["revision"]
    kept = platform.context.store.get(digest(canonical(envelope.to_json())))
    assert Envelope.read(kept) == envelope
    with platform.context.database.read() as session:
        rows = session.scalars(select(DecisionRow).order_by(DecisionRow.log_index)).all()
    assert [(row.passed, row.revision == document["revision"]) for row in rows] == [
        (True, False),
        (False, True),
        (True, True),
    ]


@pytest.mark.parametrize("kind", [RevokedKind.REVISION, RevokedKind.STATEMENT, RevokedKind.KEY])
def test_what_was_revoked_is_not_rolled_back_to(platform: Platform, kind: RevokedKind) -> None:
    document, _ = platform.decide(1, "--rollback")
    before = json.loads((platform.house.place / "bundle.json").read_bytes())
    envelope = Envelope.from_json(before["signoffs"][0]["envelope"])
    key = next(one["public"] for one in json.loads(platform.context.roots.read_bytes())["people"][0]["keys"])
    named = {
        RevokedKind.REVISION: document["revision"],
        RevokedKind.STATEMENT: digest(envelope.payload),
        RevokedKind.KEY: digest(base64.b64decode(key.split()[1])),
    }[kind]
    since = arrivals.now() - timedelta(days=200)
    ledger.revoke(platform.context, kind, named.removeprefix("sha256:"), "It was a mistake.", since)
    assert platform.refused(1, "--rollback") == (9, "revocation")
    _, envelope = platform.decide(1, "--rollback")
    _, summary = verify_summary(envelope, read_roots(platform.context.roots))
    assert (summary.passed, summary.rollback) == (False, True)
