# SPDX-License-Identifier: Apache-2.0
"""A rollout without a gate's decision is an incident, and so is a decision on which nothing was rolled out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from house import NAME, TOKEN
from sqlalchemy import delete, event, insert, select, text

from evidence import InputError, Revision, SandboxMissingError, Snapshot, TooManyError, VerificationError, canonical
from service import decisions, incidents, later_reviews, ledger, reckoning, trust
from service.database import DecisionRow, IncidentRow, RolloutRow
from signoff import Emergencies, MachineKey, build_summary, format_time, gate

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

CI = {"Authorization": f"Bearer {TOKEN}"}
GATE = "https://platform.example/gates/1"
HEAD = "1" * 40
AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
SUBJECT = Revision(NAME, Snapshot("2" * 40, "3" * 40, ""), Snapshot(HEAD, "4" * 40, "5" * 64))


@pytest.fixture
def client(idle: TestClient) -> TestClient:
    """Nothing is reviewed here, and nobody looks for incidents but the test."""
    return idle


@pytest.fixture
def key(house: Any, client: TestClient) -> MachineKey:
    """A gate that the roots name."""
    assert client.app is not None
    key = MachineKey.generate()
    path = house.place / "data" / "roots.json"
    roots = json.loads(path.read_bytes())
    entry = {"public": key.public.line, "valid_from": "2020-01-01T00:00:00Z", "valid_until": None}
    roots["gates"] = [{"id": GATE, "keys": [entry]}]
    path.write_bytes(canonical(roots))
    return key


def decision(place: Path, key: MachineKey, at: datetime, *, passed: bool = True) -> bytes:
    """A gate's decision on the revision, as if the files had been there."""
    data, bundle = place / "data", place / "bundle.json"
    bundle.write_bytes(b"{}")
    (place / "nothing").mkdir(exist_ok=True)
    result = gate(bundle, place / "nothing", {}, data / "policy.toml", data / "roots.json", at, Emergencies())
    result = replace(result, admitted=passed, subject=SUBJECT, revision=SUBJECT.digest)
    return canonical(key.sign(canonical(build_summary(result, gate_id=GATE, now=at))).to_json())


def rollout(client: TestClient, at: datetime = AT, **changes: Any) -> Any:
    body = {"repository": NAME, "head": HEAD, "at": format_time(at), **changes}
    return client.post("/api/v1/rollouts", json=body, headers=CI)


def deliver(client: TestClient, content: bytes) -> None:
    assert client.post("/api/v1/gate-decisions", content=content, headers=CI).status_code == 201


def context(client: TestClient) -> Any:
    return client.app.state.context  # type: ignore[attr-defined]


def found(client: TestClient, after: timedelta = timedelta(hours=2)) -> list[tuple[str, bool]]:
    """The incidents there are once that time has passed, and whether each is open."""
    incidents.look(context(client), datetime.now(UTC) + after)
    return [(one.kind, one.settled_at is None) for one in incidents.listed(context(client))]


def kinds(client: TestClient) -> list[str]:
    """The types of what was logged, but for that of policy and roots, which precedes the first entry."""
    first, *others = (json.loads(entry)["type"] for entry in trust.log_reader(context(client)).entries())
    assert first == "trust"
    return others


def test_a_rollout_without_a_decision_is_an_incident_once_it_has_waited(client: TestClient) -> None:
    assert rollout(client).status_code == 201
    assert rollout(client).status_code == 200
    assert found(client, timedelta(minutes=50)) == []
    assert found(client) == [("rollout-without-decision", True)]
    assert found(client) == [("rollout-without-decision", True)]
    assert kinds(client) == ["rollout", "incident"]


@pytest.mark.parametrize(
    ("before", "passed", "opened"),
    [
        (timedelta(minutes=1), True, False),
        (timedelta(hours=23), True, False),
        (timedelta(hours=25), True, True),  # too long ago to be this rollout's
        (timedelta(minutes=-10), True, True),  # made afterwards
        (timedelta(minutes=1), False, True),  # refused, and rolled out
    ],
)
def test_a_decision_answers_for_a_rollout_that_it_let_through_before(
    house: Any, client: TestClient, key: MachineKey, before: timedelta, *, passed: bool, opened: bool
) -> None:
    rollout(client)
    deliver(client, decision(house.place, key, AT - before, passed=passed))
    assert (("rollout-without-decision", True) in found(client)) is opened
    if not passed:
        assert "refused it" in incidents.listed(context(client))[0].detail


def test_a_decision_that_comes_late_settles_it_and_the_log_keeps_both(
    house: Any, client: TestClient, key: MachineKey
) -> None:
    rollout(client, revision=SUBJECT.digest)
    assert found(client) == [("rollout-without-decision", True)]
    deliver(client, decision(house.place, key, AT - timedelta(minutes=1)))
    assert found(client) == [("rollout-without-decision", False)]
    assert kinds(client) == ["rollout", "incident", "gate", "incident"]


def test_a_rollout_of_another_commit_or_revision_is_not_answered_for(
    house: Any, client: TestClient, key: MachineKey
) -> None:
    deliver(client, decision(house.place, key, AT - timedelta(minutes=1)))
    rollout(client, head="9" * 40)
    rollout(client, revision="sha256:" + "9" * 64)
    assert found(client) == [("rollout-without-decision", True)] * 2


def test_a_decision_on_which_nothing_was_rolled_out_is_one_where_rollouts_are_reported(
    house: Any, client: TestClient, key: MachineKey
) -> None:
    deliver(client, decision(house.place, key, AT))
    assert found(client, timedelta(days=3)) == []
    rollout(client, head="9" * 40)
    assert ("decision-without-rollout", True) not in found(client)
    assert ("decision-without-rollout", True) in found(client, timedelta(days=3))
    rollout(client)
    assert ("decision-without-rollout", False) in found(client, timedelta(days=3))


def test_a_decision_by_other_files_is_one_at_once(house: Any, client: TestClient, key: MachineKey) -> None:
    content = decision(house.place, key, AT)
    policy = house.place / "data" / "policy.toml"
    policy.write_text(policy.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    deliver(client, content)
    assert [(one.kind, "another policy" in one.detail) for one in incidents.listed(context(client))] == [
        ("decision-by-other-files", True)
    ]


def test_what_cannot_be_a_rollout_is_not_taken(client: TestClient) -> None:
    assert rollout(client, repository="other/repository").status_code == 422
    assert rollout(client, head="main").status_code == 422
    assert rollout(client, datetime.now(UTC) + timedelta(hours=1)).status_code == 422
    assert client.post("/api/v1/rollouts", content=b"{}", headers=CI).status_code == 422
    assert client.post("/api/v1/rollouts", json={}).status_code == 401
    with pytest.raises(InputError, match="in the future"):
        incidents.report(context(client), "tiny", NAME, HEAD, None, datetime.now(UTC) + timedelta(hours=1))


def test_what_has_found_its_other_is_not_looked_at_again(house: Any, client: TestClient, key: MachineKey) -> None:
    """Neither a decision nor a rollout that is answered for is read once more, however many there were."""
    deliver(client, decision(house.place, key, AT - timedelta(minutes=1)))
    rollout(client)
    assert found(client, timedelta(days=3)) == []
    held = context(client)
    asked: list[str] = []
    listen = lambda *given: asked.append(given[2])  # noqa: E731 - what SQLAlchemy calls
    event.listen(held.database.engine, "before_cursor_execute", listen)
    try:
        assert incidents.look(held, datetime.now(UTC) + timedelta(days=3)) == 0
    finally:
        event.remove(held.database.engine, "before_cursor_execute", listen)
    read = [one for one in asked if "FROM decision" in one or "FROM rollout" in one]
    assert ["answered_at IS NULL" in one for one in read] == [False, True, True]
    assert "rollout.log_index IS NULL" in read[0]  # what a killed process did not log
    with held.database.write() as session:
        assert session.scalars(select(DecisionRow)).one().answered_at is not None
        assert session.scalars(select(RolloutRow)).one().answered_at is not None


def test_a_platform_reports_so_many_rollouts_a_minute(client: TestClient) -> None:
    held = context(client)
    few = replace(held, settings=held.settings.model_copy(update={"rollouts_a_minute": 2}))
    for head in ("1", "2"):
        assert incidents.report(few, "tiny", NAME, head * 40, None, AT)
    with pytest.raises(TooManyError, match="2 rollouts were reported within a minute"):
        incidents.report(few, "tiny", NAME, "3" * 40, None, AT)
    assert not incidents.report(few, "tiny", NAME, "1" * 40, None, AT)  # known already
    assert kinds(client) == ["rollout"] * 2
    with held.database.write() as session:
        for row in session.scalars(select(RolloutRow)):
            row.reported_at -= timedelta(minutes=1)
    assert incidents.report(few, "tiny", NAME, "3" * 40, None, AT)
    client.app.state.context = few  # type: ignore[attr-defined]
    assert rollout(client, head="4" * 40).status_code == 201
    over = rollout(client, head="5" * 40)
    assert (over.status_code, over.json()["type"].rsplit("/", 1)[-1]) == (429, "too-many")


def test_incidents_are_shown_to_who_is_signed_in(client: TestClient) -> None:
    rollout(client)
    found(client)
    assert client.get("/api/v1/incidents", headers=CI).status_code == 403
    token = client.app.state.accounts.link("reviewer")  # type: ignore[attr-defined]
    client.get(f"/sign-in?token={token}")
    (one,) = client.get("/api/v1/incidents").json()["incidents"]
    assert (one["kind"], one["settled_at"], HEAD[:12] in one["detail"]) == ("rollout-without-decision", None, True)
    page = client.get("/log").text
    assert "rollout without decision" in page
    assert one["subject"] in page


EDITS = (
    ("DELETE FROM decision", r"the decision at log entry \d+ is gone"),
    ("UPDATE decision SET passed = NOT passed", "result of the decision at log entry"),
    ("UPDATE decision SET head_commit = '9'", "head commit of the decision"),
    ("UPDATE decision SET revision = NULL", "revision of the decision"),
    ("UPDATE decision SET gate = 'other'", "gate of the decision"),
    ("UPDATE decision SET repository = 'other'", "repository of the decision"),
    ("UPDATE decision SET decided_at = '2026-01-01 00:00:00'", "time of the decision"),
    ("UPDATE decision SET review_by = '2026-01-01 00:00:00'", "owed review of the decision"),
    ("UPDATE decision SET log_index = 99", "place of the decision"),
    ("UPDATE decision SET log_index = NULL", "place of the decision"),
    ("UPDATE decision SET digest = 'sha256:0'", r"the decision at log entry \d+ is gone"),
    ("UPDATE decision SET answered_at = taken_at", "marked as rolled out, and no rollout is its own"),
    ("DELETE FROM rollout", r"the rollout at log entry \d+ is gone"),
    ("UPDATE rollout SET platform = 'other'", "account of the rollout"),
    ("UPDATE rollout SET repository = 'other'", "account of the rollout"),
    ("UPDATE rollout SET revision = 'sha256:9'", "account of the rollout"),
    ("UPDATE rollout SET head_commit = '9'", "account of the rollout"),
    ("UPDATE rollout SET rolled_out_at = '2026-01-01 00:00:00'", "account of the rollout"),
    ("UPDATE rollout SET log_index = 0", "place of the rollout"),
    ("UPDATE rollout SET answered_at = reported_at", "marked as decided, and no decision is its own"),
    (
        """INSERT INTO rollout (digest, platform, repository, head_commit, rolled_out_at, reported_at)
        SELECT 'sha256:0', platform, repository, head_commit, rolled_out_at, reported_at FROM rollout""",
        "a rollout that is not in the log",
    ),
    ("DELETE FROM incident", r"the incident at log entry \d+ is gone"),
    ("UPDATE incident SET kind = 'review-overdue'", r"the incident at log entry \d+ is gone"),
    ("UPDATE incident SET detail = 'nothing'", "not the one at log entry"),
    ("UPDATE incident SET opened_at = '2026-01-01 00:00:00'", "not the one at log entry"),
    ("UPDATE incident SET log_index = 0", "place of the incident"),
    ("UPDATE incident SET settled_at = opened_at", "settlement of the incident"),
    (
        """INSERT INTO incident (kind, subject, detail, log_index, opened_at)
        SELECT 'own-change-let-out', subject, detail, log_index, opened_at FROM incident""",
        "an incident, own-change-let-out of",
    ),
)


OUTWARD = (DecisionRow, RolloutRow, IncidentRow)


def edited(held: Any, edit: str, words: str) -> None:
    """An edit by SQL is found, and undone again."""
    with held.database.read() as session:
        before = [
            (table, [dict(row) for row in session.execute(select(table.__table__)).mappings()]) for table in OUTWARD
        ]
    with held.database.write() as session:
        session.execute(text(edit))
    with pytest.raises(VerificationError, match=words):
        reckoning.compare(held)
    with held.database.write() as session:
        for table, rows in before:
            session.execute(delete(table))
            if rows:
                session.execute(insert(table.__table__), rows)


def test_an_edit_by_sql_of_a_decision_rollout_or_incident_is_found_by_the_log(
    house: Any, client: TestClient, key: MachineKey
) -> None:
    held = context(client)
    deliver(client, decision(house.place, key, AT, passed=False))
    rollout(client)
    assert found(client) == [("rollout-without-decision", True)]
    assert reckoning.compare(held) == 0
    for edit, words in EDITS:
        edited(held, edit, words)
    assert reckoning.compare(held) == 0
    deliver(client, decision(house.place, key, AT))
    assert found(client) == [("rollout-without-decision", False)]
    assert reckoning.compare(held) == 0
    edited(held, "UPDATE incident SET settled_at = NULL", "settlement of the incident")
    edited(held, "DELETE FROM decision WHERE passed", r"decision at log entry \d+ is gone")
    assert kinds(client) == ["gate", "rollout", "incident", "gate", "incident"]


def test_what_a_killed_process_had_kept_and_not_logged_is_logged_later_and_forgeries_are_not(
    house: Any, client: TestClient, key: MachineKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, real, later = context(client), ledger.record, datetime.now(UTC) + timedelta(hours=2)

    def killed(*_: object) -> None:
        raise SandboxMissingError("no witness has an address in the roots")

    deliver(client, decision(house.place, key, AT, passed=False))
    monkeypatch.setattr(ledger, "record", killed)
    with pytest.raises(SandboxMissingError):
        decisions.take(held, decision(house.place, key, AT + timedelta(seconds=1), passed=False), "tiny")
    with pytest.raises(SandboxMissingError):
        incidents.report(held, "tiny", NAME, HEAD, None, AT)
    with pytest.raises(VerificationError, match="a decision that is not in the log"):
        reckoning.compare(held)
    assert kinds(client) == ["gate"]
    monkeypatch.setattr(ledger, "record", real)
    assert incidents.look(held, later) == 1
    later_reviews.look(held, later)
    assert kinds(client) == ["gate", "rollout", "incident", "gate"]
    assert reckoning.compare(held) == 0
    forged = canonical(MachineKey.generate().sign(canonical({"no": "gate"})).to_json())
    with held.database.write() as session:
        row = session.scalars(select(DecisionRow)).first()
        values = {column.name: getattr(row, column.name) for column in DecisionRow.__table__.columns}
        values |= {"digest": held.store.put(forged), "log_index": None}
        session.execute(insert(DecisionRow).values(**values))
    later_reviews.look(held, later)
    assert kinds(client) == ["gate", "rollout", "incident", "gate"]
    with pytest.raises(VerificationError, match="a decision that is not in the log"):
        reckoning.compare(held)
