# SPDX-License-Identifier: Apache-2.0
"""The outbox: written with what it tells of, delivered in order, kept until it is taken, given up with a reason."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import NAME
from receiver import SECRET, Receiver, receiving, signed_by
from sqlalchemy import select, update

from evidence import InputError, NotFoundError
from service import delivering, incidents, outbox
from service.app import create_app
from service.arrivals import now
from service.context import Context
from service.database import OutboxRow, RevisionRow
from service.outbox import Fate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
PLACE = "webhook:ops"
DEAD_AND_WAITING = (Fate.WAITING, Fate.DEAD)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def endpoint(house: Any, url: str, more: str = "", secret: str = f'"{SECRET}"', name: str = "ops") -> None:
    path = house.place / "data" / "platforms.toml"
    text = path.read_text(encoding="utf-8")
    table = f'[[webhooks]]\nname = "{name}"\nurl = "{url}"\nsecret = {secret}\n{more}\n'
    path.write_text(table + text, encoding="utf-8")


def open_idle(house: Any) -> TestClient:
    return TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000", follow_redirects=False)


@pytest.fixture
def client(house: Any, receiver: Receiver) -> Iterator[TestClient]:
    """The service with nobody working, and a webhook to the receiver."""
    endpoint(house, receiver.url, "allow_local = true")
    client = open_idle(house)
    yield client
    context_of(client).close()


def context_of(client: TestClient) -> Context:
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    return context


def rows(client: TestClient) -> list[tuple[str, str, int]]:
    with context_of(client).database.read() as session:
        found = session.scalars(select(OutboxRow).order_by(OutboxRow.id)).all()
        return [(row.event, row.state, row.attempts) for row in found]


def hurry(client: TestClient) -> None:
    """As if every wait were over."""
    with context_of(client).database.write() as session:
        session.execute(update(OutboxRow).values(due_at=now() - timedelta(seconds=1)))


def deliver(client: TestClient) -> None:
    while delivering.try_next(context_of(client), PLACE):
        pass


def arrive(house: Any, client: TestClient, name: str, number: int = 1) -> None:
    head = house.branch(name, {"README": f"{name}\n"})
    action = "opened" if number > 1 or name == "one" else "synchronize"
    assert house.deliver(client, house.pull(head, number=number, action=action)).status_code == 202


def test_a_message_is_signed_and_says_where_the_revision_stands(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    arrive(house, client, "one")
    assert rows(client) == [("revision.received", "waiting", 0)]
    deliver(client)
    ((path, headers, body),) = receiver.requests
    assert path == "/hook"
    assert signed_by(headers, body, KEY)
    assert not signed_by(headers, body + b" ", KEY)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    document = json.loads(body)
    assert set(document) == {"type", "timestamp", "data"}
    assert document["data"]["url"] == "http://127.0.0.1:8000/changes/1/revisions/1"
    assert (document["data"]["repository"], document["data"]["state"]) == (NAME, "received")
    assert "secret" not in body.decode()
    assert rows(client) == [("revision.received", "delivered", 1)]


def test_what_is_not_committed_is_not_told(house: Any, client: TestClient) -> None:
    arrive(house, client, "one")
    database = context_of(client).database
    with contextlib.suppress(RuntimeError), database.write() as session:
        session.get_one(RevisionRow, 1).state = "failed"  # type: ignore[assignment]
        session.flush()
        raise RuntimeError("in the middle")
    assert rows(client) == [("revision.received", "waiting", 0)]
    with database.write() as session:
        session.get_one(RevisionRow, 1).state = "failed"  # type: ignore[assignment]
    assert [event for event, _, _ in rows(client)] == ["revision.received", "revision.failed"]


def test_of_one_revision_the_latest_state_is_delivered_and_others_keep_their_order(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    arrive(house, client, "one")
    arrive(house, client, "two")
    assert rows(client) == [
        ("revision.received", "replaced", 0),
        ("revision.superseded", "waiting", 0),
        ("revision.received", "waiting", 0),
    ] or sorted(rows(client)) == [
        ("revision.received", "replaced", 0),
        ("revision.received", "waiting", 0),
        ("revision.superseded", "waiting", 0),
    ]
    deliver(client)
    assert sorted(receiver.types) == ["revision.received", "revision.superseded"]


@pytest.mark.parametrize(
    "answers",
    [[(500, {})], [(429, {"Retry-After": "0"}), (503, {})], [(404, {})], [(301, {"Location": "http://127.0.0.1:1/"})]],
)
def test_what_is_not_taken_is_sent_again_under_the_same_id(
    house: Any, client: TestClient, receiver: Receiver, answers: list[Any]
) -> None:
    receiver.answers = list(answers)
    arrive(house, client, "one")
    for _ in range(len(answers) + 1):
        hurry(client)
        deliver(client)
    assert rows(client) == [("revision.received", "delivered", len(answers) + 1)]
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == len(answers) + 1
    assert len(receiver.effects) == 1


def test_retry_after_is_waited_for_and_holds_for_the_whole_destination(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    receiver.answers = [(429, {"Retry-After": "1800"})]
    arrive(house, client, "one")
    arrive(house, client, "other", number=2)
    deliver(client)
    assert len(receiver.requests) == 1
    database = context_of(client).database
    assert outbox.due(database, now() + timedelta(seconds=1700)) == []
    assert outbox.due(database, now() + timedelta(seconds=1900)) == [PLACE]


def test_an_absurd_retry_after_is_not_obeyed(house: Any, client: TestClient, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "999999"})]
    arrive(house, client, "one")
    deliver(client)
    assert outbox.due(context_of(client).database, now() + timedelta(hours=2)) == [PLACE]


def test_a_message_that_the_receiver_chokes_on_holds_up_no_other(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    receiver.answers = [(500, {})]
    arrive(house, client, "one")
    deliver(client)
    arrive(house, client, "other", number=2)
    receiver.answers = [(204, {}), (500, {})]
    hurry(client)
    deliver(client)
    assert [(state, attempts) for _, state, attempts in rows(client)] == [("waiting", 2), ("delivered", 1)]


def test_a_receiver_that_never_answers_is_cut_off(
    house: Any, client: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "SECONDS", 0.2)
    receiver.silent.set()
    arrive(house, client, "one")
    deliver(client)
    (message,) = outbox.listed(context_of(client).database, DEAD_AND_WAITING)
    assert (message.state, message.attempts) == ("waiting", 1)
    assert message.reason
    assert receiver.url in message.reason


KILLED = """
import sys
from pathlib import Path
from service import delivering
from service.context import Context
from service.settings import Settings
delivering.try_next(Context.open(Settings(data_dir=Path(sys.argv[1]))), "webhook:ops")
"""


def test_killed_between_the_answer_and_its_record_it_has_one_effect(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    arrive(house, client, "one")
    receiver.silent.set()
    with subprocess.Popen([sys.executable, "-c", KILLED, str(house.settings.data_dir)]) as process:
        assert receiver.got.wait(60)
        process.kill()
    receiver.silent.clear()
    assert rows(client) == [("revision.received", "waiting", 0)]
    deliver(client)
    assert rows(client) == [("revision.received", "delivered", 1)]
    assert len(receiver.requests) == 2
    assert len(receiver.effects) == len(set(receiver.ids)) == 1


def test_after_days_it_is_given_up_with_its_reason_and_an_operator_has_it_tried_again(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    arrive(house, client, "one")
    database = context_of(client).database
    with database.write() as session:
        session.execute(update(OutboxRow).values(created_at=now() - timedelta(days=4)))
    receiver.answers = [(500, {})]
    deliver(client)
    (message,) = outbox.listed(database, DEAD_AND_WAITING)
    assert (message.state, message.reason) == ("dead", "HTTP 500")
    hurry(client)
    deliver(client)
    assert len(receiver.requests) == 1
    assert outbox.again(database, None) == 1
    deliver(client)
    assert rows(client) == [("revision.received", "delivered", 1)]
    with pytest.raises(NotFoundError):
        outbox.again(database, message.message_id)


def test_gone_is_given_up_at_once_and_a_dead_one_does_not_come_after_a_newer(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    receiver.answers = [(410, {})]
    arrive(house, client, "one")
    deliver(client)
    assert rows(client) == [("revision.received", "dead", 1)]
    with context_of(client).database.write() as session:
        session.get_one(RevisionRow, 1).state = "failed"  # type: ignore[assignment]
    assert outbox.again(context_of(client).database, None) == 0
    deliver(client)
    assert receiver.types == ["revision.failed"]


def test_an_address_that_is_not_public_is_never_connected_to(house: Any, receiver: Receiver) -> None:
    endpoint(house, receiver.url.replace("http:", "https:"))
    client = open_idle(house)
    arrive(house, client, "one")
    deliver(client)
    (message,) = outbox.listed(context_of(client).database, DEAD_AND_WAITING)
    assert message.reason
    assert "not public" in message.reason
    assert receiver.requests == []
    context_of(client).close()


def test_both_secrets_sign_while_they_are_exchanged(house: Any, receiver: Receiver) -> None:
    endpoint(house, receiver.url, "allow_local = true", secret=f'["{SECRET}", "another secret of many characters"]')
    client = open_idle(house)
    arrive(house, client, "one")
    deliver(client)
    _, headers, body = receiver.requests[0]
    assert signed_by(headers, body, KEY)
    assert signed_by(headers, body, b"another secret of many characters")
    context_of(client).close()


def test_an_endpoint_is_told_of_what_it_asked_for(house: Any, receiver: Receiver) -> None:
    endpoint(house, receiver.url, 'events = ["incident.opened"]', name="incidents", secret=f'"{SECRET}"')
    text = (house.place / "data" / "platforms.toml").read_text(encoding="utf-8")
    (house.place / "data" / "platforms.toml").write_text(
        text.replace("events", "allow_local = true\nevents"), encoding="utf-8"
    )
    client = open_idle(house)
    arrive(house, client, "one")
    assert rows(client) == []
    incidents.open_incident(context_of(client), incidents.UNDECIDED, "sha256:" + "a" * 64, "words", now())
    assert rows(client) == [("incident.opened", "waiting", 0)]
    context_of(client).close()


def test_what_was_delivered_is_forgotten_after_a_while_and_what_is_dead_is_not(
    house: Any, client: TestClient, receiver: Receiver
) -> None:
    receiver.answers = [(204, {}), (410, {})]
    arrive(house, client, "one")
    arrive(house, client, "other", number=2)
    deliver(client)
    assert outbox.tidy(context_of(client).database, now()) == 0
    assert outbox.tidy(context_of(client).database, now() + timedelta(days=8)) == 1
    assert [state for _, state, _ in rows(client)] == ["dead"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('url = "http://ops.example/"\nsecret = "a secret of many characters"', "not https"),
        ('url = "https://me:you@ops.example/"\nsecret = "a secret of many characters"', "user's name"),
        ('url = "https://ops.example/"\nsecret = "short"', "24 characters"),
        ('url = "https://ops.example/"\nsecret = "whsec_this is no base64 at all"', "Base64"),
        ('url = "https://ops.example/"\nsecret = "a secret of many characters"\nevents = ["a.b"]', "no event a.b"),
        ('url = "https://ops.example/"\nsecret = "a secret of many characters"\nplatforms = ["x"]', "no platform x"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_one_line(house: Any, table: str, words: str) -> None:
    path = house.place / "data" / "platforms.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f'[[webhooks]]\nname = "ops"\n{table}\n{text}', encoding="utf-8")
    with pytest.raises(InputError, match=words):
        Context.open(house.settings)


def test_a_working_service_delivers_by_itself(house: Any, receiver: Receiver) -> None:
    endpoint(house, receiver.url, "allow_local = true")
    receiver.answers = [(500, {}), (503, {})]
    pull = house.pull(house.branch("fork", {"README": "words\n"}))
    pull["pull_request"]["head"]["repo"] = {"full_name": "somebody/ranker"}
    with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000") as client:
        house.deliver(client, pull)
        deadline = time.monotonic() + 30
        while not receiver.effects and time.monotonic() < deadline:
            time.sleep(0.05)
    assert receiver.types == ["revision.held"]
    assert len(receiver.requests) == 3


def test_by_command_line_it_is_listed_and_tried_again(
    house: Any, client: TestClient, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    from service.cli.outgoing import list_messages, retry  # noqa: PLC0415 - after the data folder is there

    receiver.answers = [(410, {})]
    arrive(house, client, "one")
    deliver(client)
    list_messages(data=house.settings.data_dir)
    line = capsys.readouterr().out
    assert "dead" in line
    assert "HTTP 410" in line
    assert "secret" not in line
    retry(data=house.settings.data_dir)
    assert capsys.readouterr().out == "1 message will be tried again.\n"
    assert rows(client) == [("revision.received", "waiting", 0)]
