# SPDX-License-Identifier: Apache-2.0
"""What the GitHub webhook takes, what it refuses, and that it takes nothing twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from service.database import Delivery, RevisionRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

LIMIT = 25_000_000


@pytest.fixture
def client(idle: TestClient) -> TestClient:
    return idle


def stored(client: TestClient) -> tuple[int, int]:
    """How many deliveries and revisions the database has."""
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        return tuple(session.scalar(select(func.count()).select_from(table)) for table in (Delivery, RevisionRow))


@pytest.fixture
def payload(house: Any) -> dict[str, Any]:
    return house.pull(house.branch("topic", {"README": "words\n"}))


def test_a_pull_request_is_stored_and_answered_202(house: Any, client: TestClient, payload: Any) -> None:
    answer = house.deliver(client, payload)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted", "change": 1, "revision": 1})


def test_a_wrong_signature_is_401_and_nothing_is_stored(house: Any, client: TestClient, payload: Any) -> None:
    body = json.dumps(payload).encode()
    for headers in (
        house.headers(body, secret="another secret than ours"),
        house.headers(body + b" "),
        {**house.headers(body), "X-Hub-Signature-256": ""},
        {**house.headers(body), "X-Hub-Signature-256": "sha1=0"},
        {**house.headers(body), "X-Hub-Signature-256": "sha256=\xe9".encode("latin-1")},
    ):
        answer = client.post("/webhooks/github", content=body, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    assert stored(client) == (0, 0)


def test_a_delivery_is_taken_once_by_its_id_and_by_its_body(house: Any, client: TestClient, payload: Any) -> None:
    body = json.dumps(payload).encode()
    headers = house.headers(body)
    answers = [client.post("/webhooks/github", content=body, headers=headers) for _ in range(3)]
    replayed = client.post("/webhooks/github", content=body, headers=house.headers(body))
    other = json.dumps({**payload, "sender": {}}).encode()
    same_id = {**house.headers(other), "X-GitHub-Delivery": headers["X-GitHub-Delivery"]}
    reused = client.post("/webhooks/github", content=other, headers=same_id)
    assert [answer.status_code for answer in (*answers, replayed, reused)] == [202, 200, 200, 200, 200]
    assert all(answer.json()["status"] == "repeated" for answer in (*answers[1:], replayed, reused))
    assert stored(client) == (1, 1)


def test_the_same_head_in_a_new_delivery_is_reviewed_once(house: Any, client: TestClient, payload: Any) -> None:
    assert house.deliver(client, payload).status_code == 202
    assert house.deliver(client, {**payload, "action": "reopened"}).status_code == 202
    assert stored(client) == (2, 1)


def test_a_late_delivery_of_an_older_head_does_not_supersede(house: Any, client: TestClient) -> None:
    older, newer = (house.pull(house.branch(name, {"README": name})) for name in ("one", "two"))
    newer["pull_request"]["updated_at"] = "2026-02-01T00:00:00Z"
    older["pull_request"]["updated_at"] = "2026-01-01T00:00:00Z"
    house.deliver(client, newer)
    house.deliver(client, older)
    states = {line.head_commit: line.state for line in client.app.state.reviews.change(1).revisions}  # type: ignore[attr-defined]
    assert states[older["pull_request"]["head"]["sha"]] == "superseded"
    assert states[newer["pull_request"]["head"]["sha"]] != "superseded"


def test_a_declared_size_over_the_limit_is_413_before_reading(house: Any, client: TestClient) -> None:
    headers = {**house.headers(b"x"), "Content-Length": str(30_000_000)}
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(30):
            read += 1
            yield b"x" * 1_000_000

    assert client.post("/webhooks/github", content=chunks(), headers=headers).status_code == 413


def test_a_body_over_the_limit_without_a_declared_size_is_413(house: Any, client: TestClient) -> None:
    body = b"x" * (LIMIT + 1)
    answer = client.post("/webhooks/github", content=iter([body]), headers=house.headers(b"x"))
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("the body is over the limit")


@pytest.mark.parametrize("event", ["ping", "star", "check_run", "check_suite", ""])
def test_other_events_are_ignored_with_200(house: Any, client: TestClient, event: str) -> None:
    answer = house.deliver(client, {"zen": "Anything added dilutes everything else."}, event)
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")


@pytest.mark.parametrize("action", ["closed", "labeled", "edited"])
def test_actions_that_change_no_code_are_ignored(house: Any, client: TestClient, payload: Any, action: str) -> None:
    assert house.deliver(client, {**payload, "action": action}).json()["status"] == "ignored"
    assert stored(client) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[1, 2]",
        b"\xff\xfe",
        b'{"action": "opened"}',
        b'{"action": "opened", "action": "closed"}',
        b'{"action": NaN}',
        b"[" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
    ],
)
def test_what_cannot_be_read_is_422_and_one_line(house: Any, client: TestClient, body: bytes) -> None:
    answer = client.post("/webhooks/github", content=body, headers=house.headers(body))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"head": {"ref": "x", "sha": "--upload-pack=touch /tmp/x"}},
        {"head": {"ref": "x", "sha": "main"}},
        {"number": -1},
        {"number": 1 << 40},
        {"title": 7},
    ],
)
def test_a_field_out_of_shape_is_422(house: Any, client: TestClient, payload: Any, change: dict[str, Any]) -> None:
    payload["pull_request"] |= change
    assert house.deliver(client, payload).status_code == 422


def test_a_repository_that_is_not_configured_is_refused(house: Any, client: TestClient, payload: Any) -> None:
    payload["repository"]["full_name"] = "someone/else"
    answer = house.deliver(client, payload)
    assert answer.status_code == 422
    assert "someone/else is not configured" in answer.json()["detail"]
    assert not list((house.place / "data" / "mirrors").iterdir())


def test_a_push_to_the_default_branch_is_taken_and_others_are_not(house: Any, client: TestClient) -> None:
    before = house.git("rev-parse", "main")
    after = house.commit({"README": "more\n"}, "More words")
    push = {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "repository": {"full_name": "Tiny/Ranker", "default_branch": "main"},
        "head_commit": {"message": "More words\n\nand why"},
        "pusher": {"name": "pat"},
    }
    assert house.deliver(client, {**push, "ref": "refs/tags/v1"}, "push").status_code == 200
    assert house.deliver(client, {**push, "ref": "refs/heads/topic"}, "push").status_code == 200
    assert house.deliver(client, {**push, "after": "0" * 40, "deleted": True}, "push").status_code == 200
    assert house.deliver(client, push, "push").status_code == 202
    change = client.app.state.reviews.change(1)  # type: ignore[attr-defined]
    assert (change.title, change.repository, change.target_ref) == ("More words", "tiny/ranker", "refs/heads/main")


def test_a_title_reaches_the_log_as_one_printable_line(house: Any, client: TestClient, payload: Any) -> None:
    payload["pull_request"]["title"] = "One\nreviewed forged: pass\x1b[2J\u202e"
    house.deliver(client, payload)
    title = client.app.state.reviews.change(1).title  # type: ignore[attr-defined]
    assert title == "One reviewed forged: pass\ufffd[2J\ufffd"
