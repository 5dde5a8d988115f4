# SPDX-License-Identifier: Apache-2.0
"""The same head once more: after a failure, with another panel, or brought back by a force-push."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from dbos import DBOS
from house import finished, serve

from evidence import ConflictError, NotFoundError, Verdict
from service.life import State

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

pytestmark = pytest.mark.sandbox

TOKEN = {"Authorization": "Bearer a token of the platform"}


def submission(house: Any, head: str) -> dict[str, str]:
    return {"repository": "tiny/ranker", "base": house.git("rev-parse", "main"), "head": head}


def audits() -> int:
    """How many audits were ever run here."""
    return len(DBOS.list_workflows(name="audit"))


def test_what_failed_is_reviewed_when_it_is_sent_again(house: Any, client: TestClient) -> None:
    """The panel was not in place: the audit's error is not taken over, for the same digest neither."""
    body = submission(house, house.branch("quiet", {"README": "words\n"}))
    items = house.place / "panel" / "items.parquet"
    kept = items.rename(house.place / "kept.parquet")
    assert client.post("/api/v1/changes", json=body, headers=TOKEN).status_code == 202
    view = finished(client)
    assert (view.state, view.error and view.error.error_class) == (State.FAILED, "panel")
    kept.rename(items)
    answer = client.post("/api/v1/changes", json=body, headers=TOKEN)
    assert (answer.status_code, answer.json()["revision"]) == (202, 2)
    assert finished(client, n=2).state is State.READY
    assert finished(client, n=1).state is State.SUPERSEDED
    repeated = client.post("/api/v1/changes", json=body, headers=TOKEN)
    assert (repeated.status_code, repeated.json()) == (200, {**answer.json(), "status": "repeated"})


def test_a_sandbox_that_was_missing_does_not_fail_the_digest_for_ever(
    house: Any, browser: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin" / "git").symlink_to(git)
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path / "bin"))
        house.deliver(browser, house.pull(house.branch("quiet", {"README": "words\n"})))
        view = finished(browser)
    assert (view.state, view.error and view.error.error_class) == (State.FAILED, "sandbox-missing")
    assert "Review again" in browser.get("/changes/1").text
    answer = browser.post("/changes/1/revisions/1/again", headers={"sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/changes/1/revisions/2")
    assert finished(browser, n=2).verdict is Verdict.PASS


def test_the_same_is_not_run_twice_and_a_new_panel_audits_again(house: Any, client: TestClient) -> None:
    reviews = client.app.state.reviews  # type: ignore[attr-defined]
    house.deliver(client, house.pull(house.branch("lift", {"rank.py": serve(lift=0.8)})))
    first = finished(client)
    before = audits()
    assert reviews.review_again(1, 1) == 2
    second = finished(client, n=2)
    assert (second.audit, audits()) == (first.audit, before)
    panel = house.place / "panel" / "panel.toml"
    panel.write_text(panel.read_text(encoding="utf-8").replace("seed = 3", "seed = 4"), encoding="utf-8")
    assert reviews.review_again(1, 2) == 3
    third = finished(client, n=3)
    assert audits() == before + 1
    assert first.audit is not None
    assert third.audit is not None
    assert third.audit["panel"]["digest"] != first.audit["panel"]["digest"]
    assert third.verdict is Verdict.FAIL


def test_only_the_latest_ended_revision_is_reviewed_again(house: Any, client: TestClient) -> None:
    reviews = client.app.state.reviews  # type: ignore[attr-defined]
    house.deliver(client, house.pull(house.git("rev-parse", "main")))
    finished(client)
    reviews.review_again(1, 1)
    finished(client, n=2)
    with pytest.raises(ConflictError, match="not the latest"):
        reviews.review_again(1, 1)
    for change, n in ((1, 3), (2, 1)):
        with pytest.raises(NotFoundError):
            reviews.review_again(change, n)


def test_a_head_that_a_force_push_brought_back_is_the_latest_again(house: Any, client: TestClient) -> None:
    first, second = (house.branch(name, {"README": f"{name}\n"}) for name in ("one", "two"))
    for n, head in enumerate((first, second, first), start=1):
        payload = house.pull(head, action="synchronize")
        payload["pull_request"]["updated_at"] = f"2026-01-02T03:04:0{n}Z"
        assert house.deliver(client, payload).json()["revision"] == n
        assert finished(client, n=n).state is State.READY
    late = house.pull(first, action="reopened")
    late["pull_request"]["updated_at"] = "2026-01-02T03:04:00Z"
    house.deliver(client, late)
    assert finished(client, n=3).state is State.READY
    assert len(client.app.state.reviews.change(1).revisions) == 3  # type: ignore[attr-defined]
