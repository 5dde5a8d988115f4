# SPDX-License-Identifier: Apache-2.0
"""Broken glass owes a review: it is shown until somebody else signed one, and an incident once it is overdue."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from command import runner
from house import NAME, TOKEN, finished, make_key
from sqlalchemy import event, select, update

from evidence import canonical
from service import incidents, judgement, later_reviews, reckoning, trust
from service.database import DecisionRow, RevisionRow, SignoffRow
from service.life import State
from service.views import Person
from signoff import (
    BREAK_GLASS_ROLE,
    Emergencies,
    EmergencyTimes,
    MachineKey,
    Reviewer,
    build_break_glass,
    build_emergency,
    build_summary,
    envelope_from_ssh,
    format_time,
    gate,
    pae,
    sign_with_ssh_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient

pytestmark = pytest.mark.sandbox

CI = {"Authorization": f"Bearer {TOKEN}"}
GATE = "https://platform.example/gates/1"
PEOPLE = {
    "reviewer": ("independent", ["reviewer", BREAK_GLASS_ROLE]),
    "ben": ("platform", [BREAK_GLASS_ROLE]),
    "cleo": ("university", ["reviewer"]),
}
DAYS = timedelta(days=3)


class Office:
    """Three people in the roots, two of whom may break the glass, and a gate."""

    def __init__(self, house: Any, client: TestClient) -> None:
        self.house, self.client = house, client
        self.context = client.app.state.context  # type: ignore[attr-defined]
        self.reviews = client.app.state.reviews  # type: ignore[attr-defined]
        self.keys = {name: make_key(house.place, name) for name in PEOPLE}
        self.gate = MachineKey.generate()
        self.made_by: list[tuple[str, str]] = []
        document = json.loads(self.context.roots.read_bytes())
        document["people"] = [
            {
                "id": name, "name": name.title(), "organization": organization, "roles": roles,
                "emails": [f"{name}@office.example"],
                "keys": [self._key(self.keys[name].with_suffix(".pub").read_text(encoding="ascii").strip())],
            }
            for name, (organization, roles) in PEOPLE.items()
        ]  # fmt: skip
        document["gates"] = [{"id": GATE, "keys": [self._key(self.gate.public.line)]}]
        self.context.roots.write_bytes(canonical(document))
        for name, (organization, _) in PEOPLE.items():
            client.app.state.accounts.enrol(self.person(name, organization))  # type: ignore[attr-defined]

    @staticmethod
    def _key(public: str) -> dict[str, Any]:
        return {"public": public, "valid_from": "2020-01-01T00:00:00Z", "valid_until": None}

    @staticmethod
    def person(name: str, organization: str = "") -> Person:
        return Person(name, name.title(), organization or PEOPLE[name][0], "reviewer")

    def break_glass(self) -> datetime:
        """What change 1 proposes goes out by the word of two people; returns by when it is to be reviewed."""
        revision = judgement.revision_of(self.context.store.get_json(judgement.find(self.context, 1, 1).digest))
        now = datetime.now(UTC).replace(microsecond=0)
        approvals = []
        for name in ("reviewer", "ben"):
            document = build_emergency(
                revision=revision,
                target_ref="refs/heads/main",
                reason="The feed is empty for everybody since noon.",
                approver=Reviewer(
                    id=name, name=name.title(), organization=PEOPLE[name][0], role=BREAK_GLASS_ROLE
                ),
                people=self.made_by,
                policy=f"sha256:{trust.policy(self.context).digest}",
                times=EmergencyTimes(f"nonce-{name}-{uuid4().hex}", now, now + timedelta(hours=4), now + DAYS),
            )  # fmt: skip
            payload = canonical(document)
            approvals.append(envelope_from_ssh(payload, sign_with_ssh_key(self.keys[name], pae(payload))))
        glass: Path = self.house.place / "glass.json"
        glass.write_bytes(build_break_glass(revision, approvals))
        mirror = next((self.house.place / "data" / "mirrors" / "tiny").glob("*.git"))
        emergencies = Emergencies(break_glass=glass)
        result = gate(None, mirror, {}, self.context.policy, self.context.roots, now, emergencies)
        assert result.admitted
        assert not result.reviewed
        summary = canonical(self.gate.sign(canonical(build_summary(result, gate_id=GATE, now=now))).to_json())
        sent = self.client.post("/api/v1/gate-decisions", content=summary, headers=CI)
        assert (sent.status_code, sent.json()["review_by"]) == (201, format_time(now + DAYS)), sent.text
        return now + DAYS

    def sign(self, name: str, decision: str = "REJECTED") -> None:
        who = self.person(name)
        prepared = self.reviews.prepare_statement(1, 1, who, decision)
        signature = sign_with_ssh_key(self.keys[name], prepared.pae)
        self.reviews.sign_off(1, 1, who, nonce=prepared.nonce, ssh_signature=signature)

    def until(self, name: str, moment: str | None) -> None:
        """How long somebody's key counts."""
        self._edit(name, lambda one: one["keys"][0].update(valid_until=moment))

    def take_role(self, name: str, *roles: str) -> None:
        """Somebody breaks glass, and has these roles beside."""
        self._edit(name, lambda one: one.update(roles=sorted({BREAK_GLASS_ROLE, *roles})))

    def _edit(self, name: str, change: Callable[[Any], None]) -> None:
        document = json.loads(self.context.roots.read_bytes())
        change(next(one for one in document["people"] if one["id"] == name))
        self.context.roots.write_bytes(canonical(document))

    def owed(self) -> list[tuple[str, bool]]:
        return [(one.kind, one.overdue) for one in later_reviews.owed(self.context)]


@pytest.fixture
def office(house: Any, client: TestClient) -> Office:
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(client)
    return Office(house, client)


def test_broken_glass_owes_a_review_by_somebody_else(office: Office) -> None:
    office.sign("cleo")  # before the glass was broken: that review did not look at what went out in a hurry
    by = office.break_glass()
    (one,) = later_reviews.owed(office.context)
    assert (one.kind, one.by, one.overdue, one.change_id, one.n) == ("break-glass", by, False, 1, 1)
    assert f"{NAME} at" in one.detail
    assert "broken glass of reviewer and ben" in one.detail or "broken glass of ben and reviewer" in one.detail
    assert later_reviews.look(office.context, by - timedelta(seconds=1)) == 0
    assert later_reviews.look(office.context, by) == 1
    assert later_reviews.look(office.context, by) == 0
    office.sign("reviewer")  # who broke it does not review it
    assert office.owed() == [("break-glass", False)]
    office.sign("cleo", "APPROVED")
    assert office.owed() == []
    later_reviews.look(office.context, by)
    assert [(one.kind, one.settled_at is None) for one in incidents.listed(office.context)] == [
        (incidents.OVERDUE, False)
    ]


def test_where_nobody_else_could_review_who_broke_the_glass_does_and_that_stays_on_record(office: Office) -> None:
    by = office.break_glass()
    office.sign("reviewer")
    assert office.owed() == [("break-glass", False)]  # cleo could have
    office.until("cleo", "2026-01-01T00:00:00Z")
    assert office.owed() == []
    office.until("cleo", None)
    office.until("reviewer", "2026-01-01T00:00:00Z")
    assert office.owed() == [("break-glass", False)]
    office.until("cleo", "2026-01-01T00:00:00Z")
    office.sign("ben")  # who is no reviewer
    office.take_role("reviewer")
    assert office.owed() == [("break-glass", False)]
    office.take_role("reviewer", "reviewer")
    assert later_reviews.look(office.context, by) == 0
    (one,) = incidents.listed(office.context)
    assert (one.kind, one.settled_at) == ("reviewed-by-who-broke-glass", by)
    assert "nobody else was there to review it" in one.detail
    assert later_reviews.look(office.context, by + DAYS) == 0
    assert reckoning.compare(office.context) == 2


def test_it_is_shown_on_queue_and_log_and_told_by_the_api(office: Office) -> None:
    browser = office.client
    browser.get(f"/sign-in?token={browser.app.state.accounts.link('reviewer')}")  # type: ignore[attr-defined]
    assert "Reviews owed" not in browser.get("/").text
    by = office.break_glass()
    for path in ("/", "/log"):
        page = browser.get(path).text
        assert "Reviews owed" in page
        assert f"its full review is due by {format_time(by)}" in page
        assert ">overdue<" not in page
    found = browser.get("/api/v1/later-reviews").json()["later_reviews"]
    assert [(one["kind"], one["overdue"], one["change_id"]) for one in found] == [("break-glass", False, 1)]
    assert browser.get("/api/v1/later-reviews", headers=CI).status_code in {200, 403}


def test_what_went_out_can_still_be_reviewed_when_another_revision_came(office: Office) -> None:
    office.break_glass()
    office.house.deliver(office.client, office.house.pull(office.house.branch("quiet", {"README": "other\n"})))
    finished(office.client, 1, 2)
    assert office.reviews.revision(1, 1).state is State.SUPERSEDED
    office.sign("cleo")
    assert office.owed() == []


def test_only_statements_that_are_expedited_are_read(office: Office) -> None:
    """However many there are; one of before that was kept is read until it is looked into."""
    office.sign("cleo")
    asked: list[str] = []
    listen = lambda *given: asked.append(given[2])  # noqa: E731 - what SQLAlchemy calls
    event.listen(office.context.database.engine, "before_cursor_execute", listen)
    try:
        assert office.owed() == []
        assert asked
        assert not [one for one in asked if "payload" in one and "FROM statement" in one]
        with office.context.database.write() as session:
            session.execute(update(SignoffRow).values(expedited=None))
        assert office.owed() == []
        assert [one for one in asked if "payload" in one and "FROM statement" in one]
    finally:
        event.remove(office.context.database.engine, "before_cursor_execute", listen)
    later_reviews.look(office.context, datetime.now(UTC))
    with office.context.database.read() as session:
        assert session.scalars(select(SignoffRow)).one().expedited is False


def test_a_decision_of_before_is_looked_into(office: Office) -> None:
    by = office.break_glass()
    with office.context.database.write() as session:
        session.execute(update(DecisionRow).values(log_index=None, review_by=None))
    assert office.owed() == []
    assert later_reviews.look(office.context, by) == 1
    assert office.owed() == [("break-glass", False)]


@pytest.mark.parametrize("made", [{"name": "Ben", "email": "ben@office.example"}, {"name": "ben", "email": ""}])
def test_breaking_the_glass_for_what_one_pushed_is_an_incident(office: Office, made: dict[str, str]) -> None:
    """A gate knows what commits and approvals say; who pushed, this server knows, and says so."""
    office.break_glass()
    assert incidents.listed(office.context) == ()
    with office.context.database.write() as session:
        named = office.context.store.put_json([made])
        session.execute(update(RevisionRow).values(people_digest=named))
    office.break_glass()
    (found,) = incidents.listed(office.context)
    assert (found.kind, found.settled_at) == ("own-change-let-out", None)
    assert found.detail == "ben broke the glass for a change that they had a hand in"


def test_the_glass_is_broken_on_the_command_line(
    office: Office, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """From a manifest, by one after another; who else had a hand in it has to be said, and counts for all of them."""
    run, place, context = runner(monkeypatch, capfd), office.house.place, office.context
    manifest, first, glass = place / "manifest.json", place / "first.json", place / "glass.json"
    document = context.store.get_json(judgement.find(context, 1, 1).digest)
    manifest.write_bytes(canonical(document))
    files = ("--policy", context.policy, "--roots", context.roots)
    words = ("--reason", "The feed is empty for everybody since noon.", *files)
    by = {name: ("--key", office.keys[name], "--by", name, *words) for name in ("reviewer", "ben")}
    silent = run("break-glass", manifest, *by["reviewer"], "--out", first)
    assert (silent.status, "--made-by ADDRESS" in silent.err, first.exists()) == (2, True, False)
    both = run("break-glass", manifest, *by["reviewer"], "--out", first, "--nobody-else", "--made-by", "pat@x.example")
    assert (both.status, "contradict" in both.err, first.exists()) == (2, True, False)
    assert run("break-glass", manifest, *by["reviewer"], "--out", first, "--nobody-else").status == 0
    mirror = next((place / "data" / "mirrors" / "tiny").glob("*.git"))
    told = ("gate", "--repo", mirror, *files, "--break-glass", glass, "--format", "json", "--dry-run")
    for made_by, status, detail in (
        ("pat@x.example", 0, "2 people of 2"),
        ("reviewer@office.example", 1, "reviewer b"),
        ("Reviewer", 1, "reviewer b"),
    ):
        assert run("break-glass", first, *by["ben"], "--out", glass, "--made-by", made_by).status == 0
        said = run(*told)
        assert (said.status, said.document["break_glass"]["admits"]) == (status, status == 0), said.err
        assert detail in said.document["break_glass"]["detail"]
