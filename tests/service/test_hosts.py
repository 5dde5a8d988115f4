# SPDX-License-Identifier: Apache-2.0
"""GitLab, Gitea, Forgejo and Standard Webhooks: who is let in, and what their events mean."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import NAME, SECRET, finished
from sqlalchemy import func, select

from service.app import create_app
from service.database import Delivery, RevisionRow
from service.life import State
from service.webhooks import _signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = b"a key of thirty-two bytes, truly"
SIGNING = f"whsec_{base64.b64encode(KEY).decode()}"
TOKEN = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Merge Request Hook"}


@pytest.fixture
def client(house: Any) -> Iterator[TestClient]:
    """The service, idle, with a plain secret and a signing one."""
    path = house.place / "data" / "platforms.toml"
    path.write_text(house.platforms().replace(f'"{SECRET}"', f'["{SECRET}", "{SIGNING}"]'), encoding="utf-8")
    app = create_app(house.settings)
    yield TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    app.state.context.close()


def revisions(client: TestClient) -> list[tuple[str, str, str]]:
    """Key of the change, state and head of every revision."""
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        rows = session.scalars(select(RevisionRow).order_by(RevisionRow.id)).all()
        return [(str(row.change_id), row.state, row.head_commit) for row in rows]


def deliveries(client: TestClient) -> int:
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        return session.scalar(select(func.count()).select_from(Delivery))


def merge(head: str, action: str = "open", **more: Any) -> dict[str, Any]:
    """A merge request's event, in the shape of GitLab's."""
    attributes = {
        "iid": 7, "title": "A merge", "description": None, "url": f"https://gitlab.example/{NAME}/-/merge_requests/7",
        "source_branch": "topic", "target_branch": "main", "source_project_id": 3, "target_project_id": 3,
        "last_commit": {"id": head, "message": "Words", "author": {"name": "Pat", "email": "pat@platform.example"}},
        "action": action, "state": "opened", "updated_at": "2026-01-02 03:04:05 UTC", "draft": False,
    }  # fmt: skip
    return {
        "object_kind": "merge_request",
        "user": {"username": "pat", "name": "Pat", "email": "[REDACTED]"},
        "project": {"path_with_namespace": NAME, "default_branch": "main", "git_http_url": "file:///etc/passwd"},
        "object_attributes": attributes | more,
        "changes": {},
    }


def sign(body: bytes, identifier: str = "msg_1", at: float | None = None, key: bytes = KEY) -> dict[str, str]:
    """The headers of a Standard Webhooks delivery."""
    moment = str(int(time.time() if at is None else at))
    made = hmac.new(key, f"{identifier}.{moment}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1a,nothing v1,{base64.b64encode(made).decode()}"
    return {"webhook-id": identifier, "webhook-timestamp": moment, "webhook-signature": signature}


def gitlab(client: TestClient, payload: Any, headers: dict[str, Any] | None = None) -> Any:
    return client.post("/webhooks/gitlab", content=json.dumps(payload).encode(), headers=headers or TOKEN)


def test_gitlab_by_token_is_taken_once_and_without_one_not_at_all(client: TestClient) -> None:
    first = gitlab(client, merge("a" * 40))
    assert (first.status_code, first.json()["status"]) == (202, "accepted")
    assert gitlab(client, merge("a" * 40)).json()["status"] == "repeated"
    for wrong in (
        {"X-Gitlab-Token": "another"},
        {"X-Gitlab-Token": SIGNING},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": b"\xe9"},
    ):
        answer = gitlab(client, merge("b" * 40), {"X-Gitlab-Event": "Merge Request Hook", **wrong})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert (len(revisions(client)), deliveries(client)) == (1, 1)


def test_gitlab_by_signature_and_the_same_delivery_is_known_by_its_id(client: TestClient) -> None:
    event = {"X-Gitlab-Event": "Merge Request Hook"}
    body = json.dumps(merge("a" * 40)).encode()
    signed = event | sign(body)
    assert client.post("/webhooks/gitlab", content=body, headers=signed).status_code == 202
    other = json.dumps(merge("b" * 40)).encode()
    again = client.post("/webhooks/gitlab", content=other, headers=event | sign(other))
    assert again.json()["status"] == "repeated"
    assert client.post("/webhooks/gitlab", content=other, headers=signed).status_code == 401
    late = event | sign(other, "msg_2", time.time() - _signatures.TOLERANCE - 60)
    assert client.post("/webhooks/gitlab", content=other, headers=late).status_code == 401
    assert client.post("/webhooks/gitlab", content=other, headers=late | TOKEN).status_code == 202


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (merge("a" * 40, "update"), "ignored"),
        (merge("a" * 40, "update", oldrev="b" * 40), "accepted"),
        (merge("a" * 40, "update") | {"changes": {"target_branch": {"previous": "x", "current": "main"}}}, "accepted"),
        (merge("a" * 40, "update") | {"changes": {"draft": {"previous": True, "current": False}}}, "accepted"),
        (merge("a" * 40, "reopen"), "accepted"),
        (merge("a" * 40, "approved"), "ignored"),
        (merge("a" * 40, draft=True), "ignored"),
        (merge("a" * 40, "close"), "ignored"),
    ],
)
def test_what_a_merge_request_event_means(client: TestClient, payload: Any, status: str) -> None:
    assert gitlab(client, payload).json()["status"] == status


def test_a_merge_request_of_a_fork_waits_and_one_that_is_merged_is_marked(client: TestClient) -> None:
    gitlab(client, merge("a" * 40, source_project_id=99))
    assert [state for _, state, _ in revisions(client)] == ["held"]
    assert gitlab(client, merge("a" * 40, "merge", source_project_id=99)).status_code == 202
    assert client.app.state.reviews.queue()[0].why.startswith("merged without a sign-off")  # type: ignore[attr-defined]


def test_a_push_to_gitlab_is_taken_for_the_default_branch(client: TestClient) -> None:
    push = {
        "object_kind": "push", "ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40,
        "user_username": "pat", "user_name": "Pat", "user_email": "pat@platform.example",
        "project": {"path_with_namespace": NAME.upper(), "default_branch": "main"},
        "commits": [{"id": "b" * 40, "message": "More words\n\nand why"}],
    }  # fmt: skip
    event = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Push Hook"}
    assert gitlab(client, push | {"ref": "refs/heads/topic"}, event).json()["status"] == "ignored"
    assert gitlab(client, push | {"after": "0" * 40}, event).json()["status"] == "ignored"
    assert gitlab(client, push, event).status_code == 202
    change = client.app.state.reviews.change(1)  # type: ignore[attr-defined]
    assert (change.title, change.author, change.repository) == ("More words", "pat", NAME)


def test_a_pipeline_that_succeeded_has_a_failed_review_done_again(client: TestClient) -> None:
    event = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Pipeline Hook"}
    run = {"object_kind": "pipeline", "project": {"path_with_namespace": NAME}}
    done = run | {"object_attributes": {"id": 1, "status": "success", "sha": "a" * 40}}
    gitlab(client, merge("a" * 40))
    assert gitlab(client, done, event).json()["status"] == "ignored"
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        session.scalars(select(RevisionRow)).one().state = State.FAILED
    running = run | {"object_attributes": {"id": 1, "status": "running", "sha": "a" * 40}}
    assert gitlab(client, running, event).json()["status"] == "ignored"
    assert gitlab(client, done, event).json() == {"status": "accepted", "change": 1, "revision": 2}


@pytest.mark.sandbox
def test_a_merge_request_is_fetched_by_its_own_ref_and_reviewed(house: Any, running: TestClient) -> None:
    head = house.branch("topic", {"README": "words\n"})
    house.git("update-ref", "refs/merge-requests/7/head", head)
    house.git("branch", "-D", "topic")
    assert gitlab(running, merge(head)).status_code == 202
    assert finished(running).state is State.READY


def pull(commit: str, action: str = "opened", **more: Any) -> dict[str, Any]:
    """A pull request's event, in the shape of Gitea's."""
    repo = {"full_name": NAME, "default_branch": "main"}
    return {
        "action": action, "number": 3, "repository": repo, "sender": {"login": "pat"}, "commit_id": "",
        "pull_request": {
            "number": 3, "title": "A pull", "body": "", "html_url": f"https://gitea.example/{NAME}/pulls/3",
            "user": {"login": "pat"}, "state": "open", "merged": False, "updated_at": "2026-01-02T05:04:05+02:00",
            "base": {"ref": "main", "sha": "c" * 40, "repo": repo},
            "head": {"ref": "topic", "sha": commit, "repo": repo},
        } | more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (("X-Gitea-Event", "X-Gitea-Delivery", "X-Gitea-Signature"), ""),
        (("X-Forgejo-Event", "X-Forgejo-Delivery", "X-Forgejo-Signature"), ""),
        (("X-Gitea-Event", "X-Gitea-Delivery", "X-Hub-Signature-256"), "sha256="),
    ],
)
def test_gitea_and_forgejo_by_signature(client: TestClient, names: tuple[str, str, str], prefix: str) -> None:
    def send(payload: Any, event: str, identifier: str, secret: str = SECRET) -> Any:
        body = json.dumps(payload).encode()
        made = prefix + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = dict(zip(names, (event, identifier, made), strict=True))
        return client.post("/webhooks/gitea", content=body, headers=headers)

    assert send(pull("a" * 40), "pull_request", "1").status_code == 202
    assert send(pull("a" * 40), "pull_request", "1").json()["status"] == "repeated"
    assert send(pull("b" * 40, "synchronized"), "pull_request", "2").json()["revision"] == 2
    outside = {"ref": "topic", "sha": "d" * 40, "repo": {"full_name": "stranger/ranker"}}
    assert send(pull("d" * 40, "synchronized", head=outside), "pull_request", "3").json()["revision"] == 3
    assert [state for _, state, _ in revisions(client)] == ["superseded", "superseded", "held"]
    push = {"ref": "refs/heads/main", "before": "a" * 40, "after": "e" * 40, "compare_url": "https://x/y",
            "repository": {"full_name": NAME, "default_branch": "main"}, "pusher": {"login": "pat", "email": "p@x"},
            "head_commit": {"message": "Pushed"}}  # fmt: skip
    assert send(push, "push", "4").json() == {"status": "accepted", "change": 2, "revision": 1}
    assert send(pull("f" * 40), "pull_request", "5", "another secret than ours").status_code == 401
    assert send(pull("f" * 40), "issues", "6").json()["status"] == "ignored"
    assert send(pull("f" * 40), "pull_request", "").status_code == 422


SUBMISSION = {"repository": NAME, "base": "a" * 40, "head": "b" * 40, "title": "By another sender", "change": "c/1"}


@pytest.mark.parametrize("document", [SUBMISSION, {"type": "change.submitted", "timestamp": "t", "data": SUBMISSION}])
def test_a_standard_webhook_carries_a_submission(client: TestClient, document: Any) -> None:
    body = json.dumps(document).encode()
    headers = sign(body)
    answers = [client.post("/webhooks/standard", content=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]
    assert client.app.state.reviews.change(1).title == "By another sender"  # type: ignore[attr-defined]
    later = client.post("/webhooks/standard", content=body, headers=sign(body, "msg_2"))
    assert later.json()["status"] == "repeated"


def test_a_standard_webhook_is_refused_for_what_its_signature_does_not_cover(client: TestClient) -> None:
    body = json.dumps(SUBMISSION).encode()
    good = sign(body)
    for wrong in (
        good | {"webhook-id": "msg_2"},
        good | {"webhook-timestamp": str(int(good["webhook-timestamp"]) - 1)},
        good | {"webhook-timestamp": "9" * 400},
        good | {"webhook-timestamp": "now"},
        good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
        good | {"webhook-signature": "v1,"},
        {name: value for name, value in good.items() if name != "webhook-id"},
        sign(body, at=time.time() - _signatures.TOLERANCE - 60),
        sign(body, at=time.time() + _signatures.TOLERANCE + 60),
        sign(body, key=b"another key, of thirty-two bytes"),
        sign(body, key=SIGNING.encode()),
    ):
        assert client.post("/webhooks/standard", content=body, headers=wrong).status_code == 401
    other = json.dumps({"type": "invoice.paid", "data": {}}).encode()
    assert client.post("/webhooks/standard", content=other, headers=sign(other)).json()["status"] == "ignored"
    for bad in (b"[]", b"{}", b'{"type": "change.submitted"}', b"\xff", json.dumps(SUBMISSION | {"x": 1}).encode()):
        assert client.post("/webhooks/standard", content=bad, headers=sign(bad)).status_code == 422
    stranger = json.dumps(SUBMISSION | {"repository": "someone/else"}).encode()
    assert client.post("/webhooks/standard", content=stranger, headers=sign(stranger)).status_code == 422
    assert (revisions(client), deliveries(client)) == ([], 0)


@pytest.mark.parametrize("host", ["github", "gitlab", "gitea", "standard"])
def test_a_body_of_a_hundred_megabytes_is_refused_where_the_limit_ends(client: TestClient, host: str) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"x" * 1_000_000

    answer = client.post(f"/webhooks/{host}", content=body(), headers={"Content-Length": "100000000"})
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_forwarded_headers_change_nothing(client: TestClient) -> None:
    forged = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https",
              "Forwarded": "for=127.0.0.1;host=evil.example"}  # fmt: skip
    assert gitlab(client, merge("a" * 40), forged | {"X-Gitlab-Event": "Push Hook"}).status_code == 401
    ci = {"Authorization": "Bearer a token of the platform"}
    sent = client.post("/api/v1/changes", json=SUBMISSION, headers=ci | forged)
    assert sent.json()["url"].startswith("http://127.0.0.1:8000/")
