# SPDX-License-Identifier: Apache-2.0
"""A deployer who holds earlier roots follows the signed updates that the service puts into its bundles."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from house import finished, make_key

from evidence import canonical, sha256_hex
from service import decisions, incidents, root_changes, trust
from service.views import Person
from signoff import MachineKey, RootsUpdate, build_summary, format_time, gate, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient

    from service.context import Context
    from service.reviews import Reviews

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")


class Administrators:
    """Two of them, who change the roots of a data folder."""

    def __init__(self, place: Path, context: Context) -> None:
        self.context = context
        self.keys = [make_key(place, name) for name in ("ada", "bob")]
        self.people = [
            {
                "id": key.name,
                "name": key.name,
                "organization": "Review",
                "roles": ["administrator"],
                "keys": [entry(key)],
            }
            for key in self.keys
        ]

    def apply(self, change: Callable[[dict[str, Any]], object]) -> bytes:
        before = self.context.roots.read_bytes()
        document = json.loads(before)
        version = document.get("administration", {}).get("version", 0) + 1
        change(document)
        issued = format_time(datetime.now(UTC))
        for one in (key for named in document["people"] for key in named["keys"]):
            one.setdefault("valid_from", issued)
        document["administration"] = {
            "version": version,
            "issued": issued,
            "previous": {"sha256": sha256_hex(before)},
            "threshold": 2,
        }
        update = RootsUpdate(canonical(document))
        for key in self.keys:
            update = update.signed(sign_with_ssh_key(key, update.message))
        root_changes.apply_update(self.context, update)
        return update.roots


def entry(key: Path) -> dict[str, Any]:
    return {"public": key.with_suffix(".pub").read_text(encoding="ascii").strip(), "valid_until": None}


def test_a_deployer_with_earlier_roots_follows_and_decides_by_those_in_force(house: Any, client: TestClient) -> None:
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    reviews: Reviews = client.app.state.reviews  # type: ignore[attr-defined]
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(client)
    board, machine = Administrators(house.place, context), MachineKey.generate()
    gates = [{"id": "rollout", "keys": [{"public": machine.public.line, "valid_from": "2026-01-01T00:00:00Z"}]}]
    first = board.apply(lambda one: one.update(people=board.people, gates=gates))
    key = make_key(house.place, "reviewer")
    person = {"id": WHO.id, "name": WHO.name, "organization": WHO.organization, "roles": ["reviewer"]}
    named = {**person, "emails": ["r@office.example"], "keys": [entry(key)]}
    board.apply(lambda one: one["people"].append(named))
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))

    held, bundle, data = house.place / "held.json", house.place / "bundle.json", house.place / "data"
    held.write_bytes(first)
    bundle.write_bytes(reviews.bundle(1, 1))
    mirror = next((data / "mirrors" / "tiny").glob("*.git"))
    now = datetime.now(UTC)
    result = gate(bundle, mirror, {}, data / "policy.toml", held, now)
    assert result.admitted, result.refused
    assert result.roots_in_force == trust.roots(context).digest != result.roots_digest

    summary = canonical(build_summary(result, gate_id="rollout", now=now))
    taken = decisions.take(context, canonical(machine.sign(summary).to_json()), "tiny")
    assert (taken.passed, taken.differs, incidents.listed(context)) == (True, (), ())
    said = json.loads(summary)
    del said["predicate"]["countersign_roots_in_force"]
    alone = decisions.take(context, canonical(machine.sign(canonical(said)).to_json()), "tiny")
    assert alone.differs == ("roots",)
