# SPDX-License-Identifier: Apache-2.0
"""What each of GitHub's events means, and several secrets at once."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import NAME, SECRET, finished
from sqlalchemy import select

from evidence import InputError
from service import deployments
from service.app import create_app
from service.database import DeploymentRow, RevisionRow
from service.happenings import Ignored
from service.life import State
from service.settings import Platform, read_platforms
from service.views import Person
from service.webhooks import HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORY = {"full_name": NAME, "default_branch": "main"}


@pytest.fixture
def client(idle: TestClient) -> TestClient:
    return idle


@pytest.fixture
def reviewer(client: TestClient) -> TestClient:
    """The same, signed in."""
    assert client.get(f"/sign-in?token={client.app.state.accounts.link('reviewer')}").status_code == 303  # type: ignore[attr-defined]
    return client


@pytest.fixture
def payload(house: Any) -> dict[str, Any]:
    return house.pull(house.branch("topic", {"README": "words\n"}))


def revisions(client: TestClient) -> list[tuple[int, int, str]]:
    """Change, number and state of every revision, in order."""
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        rows = session.scalars(select(RevisionRow).order_by(RevisionRow.id)).all()
    return [(row.change_id, row.n, row.state) for row in rows]


def end(client: TestClient, state: State = State.FAILED) -> None:
    """As if every review had ended so."""
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        for row in session.scalars(select(RevisionRow).where(RevisionRow.state == State.RECEIVED)):
            row.state = state


def with_secrets(house: Any, secrets: str) -> None:
    path = house.place / "data" / "platforms.toml"
    path.write_text(house.platforms().replace(f'"{SECRET}"', secrets), encoding="utf-8")


def test_old_and_new_secret_both_hold_and_no_other(house: Any, payload: Any) -> None:
    with_secrets(house, '["the new secret, which is long", "the old secret, which is long"]')
    app = create_app(house.settings)
    client = TestClient(app)
    codes = []
    for secret in ("the new secret, which is long", "the old secret, which is long", SECRET):
        body = json.dumps(payload | {"sender": {"login": secret[:7]}}).encode()
        codes.append(
            client.post("/webhooks/github", content=body, headers=house.headers(body, secret=secret)).status_code
        )
    app.state.context.close()
    assert codes == [202, 202, 401]


@pytest.mark.parametrize("secrets", ['["long enough, this one", "short"]', "7", '[["nested in vain, it is"]]'])
def test_a_list_of_secrets_is_held_to_what_one_is(house: Any, secrets: str) -> None:
    with_secrets(house, secrets)
    with pytest.raises(InputError, match=r"webhook_secret|16 characters"):
        read_platforms(house.place / "data" / "platforms.toml")


def test_a_platform_of_another_host_is_not_reached_by_its_secret(house: Any, payload: Any) -> None:
    path = house.place / "data" / "platforms.toml"
    path.write_text(house.platforms().replace("allow_local", 'code_host = "gitlab"\nallow_local'), encoding="utf-8")
    app = create_app(house.settings)
    assert house.deliver(TestClient(app), payload).status_code == 401
    app.state.context.close()


def test_a_draft_waits_until_it_is_ready(house: Any, client: TestClient, payload: Any) -> None:
    payload["pull_request"]["draft"] = True
    assert "draft" in house.deliver(client, payload).json()["reason"]
    payload["pull_request"]["draft"] = False
    assert house.deliver(client, payload | {"action": "ready_for_review"}).status_code == 202
    assert revisions(client) == [(1, 1, "received")]


def test_another_target_is_another_revision_and_an_edited_title_is_none(
    house: Any, client: TestClient, payload: Any
) -> None:
    house.deliver(client, payload)
    edited = payload | {"action": "edited", "changes": {"title": {"from": "before"}}}
    assert house.deliver(client, edited).json()["status"] == "ignored"
    payload["pull_request"]["base"]["ref"] = "release"
    moved = payload | {"action": "edited", "changes": {"base": {"ref": {"from": "main"}, "sha": {"from": "0" * 40}}}}
    assert house.deliver(client, moved).json() == {"status": "accepted", "change": 1, "revision": 2}
    assert client.app.state.reviews.change(1).target_ref == "refs/heads/release"  # type: ignore[attr-defined]
    assert revisions(client) == [(1, 1, "superseded"), (1, 2, "received")]


def test_a_late_delivery_does_not_put_the_old_target_back(house: Any, client: TestClient, payload: Any) -> None:
    late = json.loads(json.dumps(payload))
    late["pull_request"] |= {"updated_at": "2026-01-01T00:00:00Z", "title": "Before"}
    payload["pull_request"] |= {"updated_at": "2026-01-02T00:00:00Z", "base": {"ref": "release", "sha": "a" * 40}}
    house.deliver(client, payload)
    house.deliver(client, late)
    change = client.app.state.reviews.change(1)  # type: ignore[attr-defined]
    assert (change.target_ref, change.title, len(change.revisions)) == ("refs/heads/release", "A change", 1)


@pytest.mark.parametrize(
    ("merged", "why", "turn"), [(False, "closed at the code host", "nobody"), (True, "merged without", "service")]
)
def test_what_is_closed_waits_for_nobody_and_what_is_merged_unsigned_is_told(
    house: Any, client: TestClient, payload: Any, *, merged: bool, why: str, turn: str
) -> None:
    house.deliver(client, payload)
    closed = payload | {"action": "closed", "pull_request": payload["pull_request"] | {"merged": merged}}
    assert house.deliver(client, closed).status_code == 202
    (row,) = client.app.state.reviews.queue()  # type: ignore[attr-defined]
    assert (row.why.startswith(why), row.whose_turn) == (True, turn)
    house.deliver(client, payload | {"action": "reopened"})
    assert not client.app.state.reviews.queue()[0].why.startswith(why)  # type: ignore[attr-defined]


def check(event: str, head: str, action: str = "rerequested") -> dict[str, Any]:
    return {"action": action, event: {"head_sha": head, "id": 4}, "repository": REPOSITORY}


@pytest.mark.parametrize("event", ["check_run", "check_suite"])
def test_a_check_requested_again_reviews_again_what_has_ended(
    house: Any, client: TestClient, payload: Any, event: str
) -> None:
    head = payload["pull_request"]["head"]["sha"]
    assert house.deliver(client, check(event, head), event).json()["status"] == "ignored"
    house.deliver(client, payload)
    assert house.deliver(client, check(event, head, "completed"), event).json()["status"] == "ignored"
    assert house.deliver(client, check(event, head) | {"n": 1}, event).json()["status"] == "repeated"
    end(client, State.READY)
    assert house.deliver(client, check(event, head) | {"n": 2}, event).json()["revision"] == 2
    end(client, State.SIGNED)
    assert house.deliver(client, check(event, head) | {"n": 3}, event).json()["status"] == "repeated"
    assert [state for _, _, state in revisions(client)] == ["superseded", "signed"]


def test_a_request_to_check_again_is_taken_once(house: Any, client: TestClient, payload: Any) -> None:
    house.deliver(client, payload)
    end(client)
    again = check("check_run", payload["pull_request"]["head"]["sha"])
    assert house.deliver(client, again, "check_run").status_code == 202
    end(client)
    assert house.deliver(client, again, "check_run").json()["status"] == "repeated"
    assert len(revisions(client)) == 2


def test_a_merge_group_is_a_proposal_and_gone_when_it_is_destroyed(house: Any, client: TestClient) -> None:
    head = house.branch("queue", {"README": "words\n"})
    group = {
        "action": "checks_requested",
        "merge_group": {
            "head_sha": head,
            "head_ref": f"refs/heads/gh-readonly-queue/main/pr-1-{head}",
            "base_sha": house.git("rev-parse", "main"),
            "base_ref": "refs/heads/main",
            "head_commit": {"message": "Merge pull request #1\n\nWords"},
        },
        "repository": REPOSITORY,
        "sender": {"login": "pat"},
    }
    assert house.deliver(client, group, "merge_group").status_code == 202
    change = client.app.state.reviews.change(1)  # type: ignore[attr-defined]
    assert (change.title, change.target_ref) == ("Merge pull request #1", "refs/heads/main")
    destroyed = group | {"action": "destroyed", "reason": "invalidated"}
    assert house.deliver(client, destroyed, "merge_group").status_code == 202
    assert client.app.state.reviews.queue()[0].whose_turn == "nobody"  # type: ignore[attr-defined]
    house.deliver(client, destroyed | {"reason": "merged"}, "merge_group")
    assert client.app.state.reviews.queue()[0].why.startswith("merged without")  # type: ignore[attr-defined]


def deployment(url: str = f"https://api.github.com/repos/{NAME}/actions/runs/77/deployment_protection_rule") -> Any:
    return {
        "action": "requested",
        "environment": "production",
        "event": "push",
        "deployment_callback_url": url,
        "deployment": {"sha": "a" * 40, "ref": "main"},
        "repository": REPOSITORY,
    }


def test_a_deployment_is_asked_about_once_and_where_to_answer_is_not_believed(house: Any, client: TestClient) -> None:
    event = "deployment_protection_rule"
    assert house.deliver(client, deployment(), event).status_code == 202
    assert house.deliver(client, deployment() | {"n": 1}, event).status_code == 202
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        (row,) = session.scalars(select(DeploymentRow)).all()
    assert (row.repository, row.environment, row.head_commit, row.run) == (NAME, "production", "a" * 40, 77)
    for url in ("http://169.254.169.254/latest", "https://api.github.com/repos/someone/else/actions/runs/7/x"):
        assert house.deliver(client, deployment(url), event).status_code == 422


def test_what_sign_offs_say_to_a_deployment_can_be_asked_by_its_platform_alone(
    house: Any, client: TestClient, payload: Any
) -> None:
    head = payload["pull_request"]["head"]["sha"]
    asked = deployment() | {"deployment": {"sha": head, "ref": "topic"}}
    house.deliver(client, asked, "deployment_protection_rule")
    house.deliver(client, payload)

    def answers() -> list[str]:
        ci = {"Authorization": "Bearer a token of the platform"}
        return [one["answer"] for one in client.get("/api/v1/deployments", headers=ci).json()["deployments"]]

    told = [answers()]
    for state in (State.SIGNED, State.REVOKED, State.SUPERSEDED):
        with client.app.state.database.write() as session:  # type: ignore[attr-defined]
            session.scalars(select(RevisionRow)).one().state = state
        told.append(answers())
    assert told == [["waiting"], ["approved"], ["rejected"], ["waiting"]]
    database = client.app.state.database  # type: ignore[attr-defined]
    assert (deployments.listed(database, "other"), deployments.listed(database, "tiny", lambda _: False)) == ([], [])
    assert client.get("/api/v1/deployments").status_code == 401


def fork(payload: dict[str, Any], repo: dict[str, str] | None) -> dict[str, Any]:
    pull = payload["pull_request"]
    return payload | {"pull_request": pull | {"head": pull["head"] | {"repo": repo}}}


@pytest.mark.parametrize("repo", [None, {"full_name": "stranger/ranker"}])
def test_a_fork_waits_for_a_reviewer_in_queue_page_and_api(
    house: Any, reviewer: TestClient, payload: Any, repo: dict[str, str] | None
) -> None:
    assert house.deliver(reviewer, fork(payload, repo)).status_code == 202
    assert revisions(reviewer) == [(1, 1, "held")]
    assert reviewer.app.state.worker.dispatch() == 0  # type: ignore[attr-defined]
    assert "let it through" in reviewer.get("/").text
    at = "/changes/1/revisions/1"
    assert f'action="{at}/let-through"' in reviewer.get(at).text
    assert reviewer.get(f"/api/v1{at}").json()["state"] == "held"
    ci = {"Authorization": "Bearer a token of the platform"}
    assert reviewer.post(f"/api/v1{at}/let-through", headers=ci).status_code == 403
    assert reviewer.post(f"/api/v1{at}/let-through").status_code == 202
    assert reviewer.post(f"/api/v1{at}/let-through").status_code == 409
    assert revisions(reviewer) == [(1, 1, "received")]
    assert "let-through" not in reviewer.get(at).text
    assert "let through by reviewer" in reviewer.get(at).text


def test_the_next_head_of_a_fork_waits_again_and_the_same_does_not(
    house: Any, reviewer: TestClient, payload: Any
) -> None:
    outside = {"full_name": "stranger/ranker"}
    house.deliver(reviewer, fork(payload, outside))
    assert reviewer.post("/changes/1/revisions/1/let-through").status_code == 303
    end(reviewer)
    house.deliver(reviewer, fork(payload, outside) | {"action": "reopened"})
    assert revisions(reviewer)[-1] == (1, 2, "received")
    payload["pull_request"]["head"]["sha"] = "b" * 40
    house.deliver(reviewer, fork(payload, outside) | {"action": "synchronize"})
    assert revisions(reviewer)[-1] == (1, 3, "held")
    assert reviewer.post("/changes/1/revisions/2/let-through").status_code == 409


def test_a_branch_of_the_repository_itself_does_not_wait(house: Any, client: TestClient, payload: Any) -> None:
    house.deliver(client, fork(payload, {"full_name": "Tiny/Ranker"}))
    assert revisions(client) == [(1, 1, "received")]


@pytest.mark.sandbox
def test_what_is_let_through_is_reviewed(house: Any, running: TestClient, payload: Any) -> None:
    house.deliver(running, fork(payload, None))
    running.app.state.reviews.let_through(1, 1, Person("reviewer", "R", "O", "reviewer"))  # type: ignore[attr-defined]
    assert finished(running).state is State.READY


def leaves(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(document, dict):
        for name, value in document.items():
            yield from leaves(value, (*at, name))


def replaced(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    return {name: replaced(one, at[1:], value) if name == at[0] else one for name, one in document.items()}


@pytest.mark.parametrize("event", sorted(HOSTS[0].readers))
def test_no_mutation_of_an_event_is_anything_but_read_ignored_or_refused(event: str, tmp_path: Path) -> None:
    """Each field in turn is exchanged for what it must not be; every answer is a meaning or one line."""
    platform = Platform.model_validate(
        {"name": "p", "panel": tmp_path, "repositories": [{"name": NAME, "url": "https://x/y"}]}
    )
    pull = {"number": 1, "title": "t", "base": {"ref": "main", "sha": "a" * 40}, "head": {"ref": "x", "sha": "b" * 40}}
    document = {
        "pull_request": {"action": "opened", "pull_request": pull | {"updated_at": "2026-01-01T00:00:00Z"}},
        "push": {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "pusher": {"name": "p"}},
        "check_run": check("check_run", "a" * 40),
        "check_suite": check("check_suite", "a" * 40),
        "merge_group": {"action": "checks_requested", "merge_group": {"head_sha": "a" * 40, "head_ref": "refs/heads/q",
                        "base_sha": "b" * 40, "base_ref": "refs/heads/main"}},
        "deployment_protection_rule": deployment(),
        "ping": {"zen": "z"},
    }[event] | {"repository": REPOSITORY, "sender": {"login": "p"}}  # fmt: skip
    reader = HOSTS[0].readers[event]
    assert isinstance(reader(document, (platform,)), Ignored) is (event == "ping")
    wrong = [None, 7, -1, 1 << 70, "", "x" * 5000, "a\nb\x00", [], {}, [{}], True, 1.5, "../..", "\ud800"]
    mutants = [replaced(document, at, value) for at in leaves(document) for value in wrong]
    assert len(mutants) >= 3 * len(wrong)
    for mutant in mutants:
        with contextlib.suppress(InputError):
            reader(mutant, (platform,))
