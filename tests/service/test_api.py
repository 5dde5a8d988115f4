# SPDX-License-Identifier: Apache-2.0
"""The API: submitting, and who sees what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from house import TOKEN, finished

from service import progress
from service.arrivals import Arrival, DeliveryId, receive

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

CI = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def submission(house: Any) -> dict[str, str]:
    base = house.git("rev-parse", "main")
    head = house.branch("topic", {"README": "words\n"})
    return {"repository": "tiny/ranker", "base": base, "head": head, "title": "By CI"}


@pytest.mark.sandbox
def test_a_change_is_submitted_once_and_reviewed(client: TestClient, submission: dict[str, str]) -> None:
    sent = client.post("/api/v1/changes", json=submission, headers=CI)
    assert sent.status_code == 202
    assert client.post("/api/v1/changes", json=submission, headers=CI).status_code == 200
    finished(client)
    seen = client.get(sent.headers["location"].removeprefix("http://127.0.0.1:8000"), headers=CI).json()
    assert (seen["state"], seen["verdict"], seen["head_commit"]) == ("ready", "pass", submission["head"])
    assert "requirements" not in seen
    (listed,) = client.get("/api/v1/changes", headers=CI).json()["changes"]
    assert listed["title"] == "By CI"
    assert "open_findings" not in listed
    assert client.get("/api/v1/changes/1", headers=CI).json()["revisions"][0]["n"] == 1
    audit = client.get("/api/v1/changes/1/revisions/1/evidence/audit", headers=CI).json()
    assert set(audit) == {"verdict", "slices", "error_class"}
    assert client.get("/api/v1/changes/1/revisions/1/evidence/report", headers=CI).status_code == 403


@pytest.mark.sandbox
def test_a_reviewer_sees_the_evidence_in_full(browser: TestClient, submission: dict[str, str]) -> None:
    browser.post("/api/v1/changes", json=submission, headers=CI)
    finished(browser)
    schemas = {
        kind: browser.get(f"/api/v1/changes/1/revisions/1/evidence/{kind}").json()["schema"]
        for kind in ("diff", "audit", "report")
    }
    assert schemas == {kind: f"countersign/{kind}/v1" for kind in schemas}
    assert browser.get("/api/v1/changes/1/revisions/1").json()["requirements"]
    assert browser.get("/api/v1/changes").json()["changes"][0]["open_findings"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": "main"},
        {"base": "-x"},
        {"repository": "someone/else"},
        {"repository": "file:///etc"},
        {"more": 1},
        {"target_ref": "main"},
        {"change": "../x"},
    ],
)
def test_a_bad_submission_is_422(client: TestClient, submission: dict[str, Any], wrong: dict[str, Any]) -> None:
    answer = client.post("/api/v1/changes", json=submission | wrong, headers=CI)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_submission_over_the_limit_is_413(client: TestClient) -> None:
    assert client.post("/api/v1/changes", content=b"x" * 2_000_000, headers=CI).status_code == 413


@pytest.mark.parametrize("token", ["wrong", "", "\u00e9"])
def test_an_unknown_token_is_401(client: TestClient, submission: dict[str, str], token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()}
    assert client.post("/api/v1/changes", json=submission, headers=headers).status_code == 401


def test_a_reviewer_cannot_submit_and_a_submitter_cannot_sign(browser: TestClient, submission: dict[str, str]) -> None:
    assert browser.post("/api/v1/changes", json=submission).status_code == 403
    browser.post("/api/v1/changes", json=submission, headers=CI)
    assert browser.post("/api/v1/changes/1/revisions/1/signoffs", content=b"{}", headers=CI).status_code == 403


def test_a_submitter_sees_nothing_of_another_platform(client: TestClient) -> None:
    other = client.app.state.platforms[0].model_copy(update={"name": "other", "submit_token": None})  # type: ignore[attr-defined]
    arrival = Arrival(
        other.name, "h", "other/repo", "pull/1", 1, "Theirs", "", None, "x", "refs/heads/main", "a" * 40, None, None
    )
    receive(client.app.state.database, arrival, DeliveryId(other.name, "github", "x", "1", "1"))  # type: ignore[attr-defined]
    paths = ["", "/revisions/1", "/revisions/1/evidence/diff", "/revisions/1/evidence/audit"]
    assert [client.get(f"/api/v1/changes/1{path}", headers=CI).status_code for path in paths] == [404] * 4
    assert client.get("/api/v1/changes", headers=CI).json() == {"changes": []}


def test_a_submitter_reads_how_far_a_review_is_and_not_what_was_found(
    browser: TestClient, client: TestClient, submission: dict[str, str]
) -> None:
    assert client.post("/api/v1/changes", json=submission, headers=CI).status_code == 202
    said = "outside of its recipe, whose lane stops: 3 of 90 primary cells beyond the ratio"
    progress.record(client.app.state.database, 1, said)  # type: ignore[attr-defined]
    told = [
        [event["what"] for event in side.get("/api/v1/changes/1/revisions/1", headers=headers).json()["timeline"]]
        for side, headers in ((client, CI), (browser, {}))
    ]
    assert "received" in told[0]
    assert said not in told[0]
    assert said in told[1]


@pytest.mark.parametrize(
    "path", ["/changes/0", "/changes/x", "/changes/99999999999999999999", "/changes/7/revisions/1"]
)
def test_what_is_not_there_is_a_problem_document(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1{path}", headers=CI)
    assert answer.status_code in {404, 422}
    assert set(answer.json()) == {"type", "title", "status", "detail"}
