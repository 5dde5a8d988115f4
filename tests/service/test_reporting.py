# SPDX-License-Identifier: Apache-2.0
"""Check runs, deployments and statuses reach each code host in its own words, once, whatever is lost on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from code_hosts import APP, Host, hosting
from fastapi.testclient import TestClient
from house import NAME
from joserfc.jwk import RSAKey
from sqlalchemy import select, update

from evidence import InputError
from service import delivering, github_app, statuses
from service.app import create_app
from service.arrivals import now
from service.context import Context
from service.database import DeploymentRow, OutboxRow, RevisionRow
from service.outward import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

SECRETS = ("secret-slice", "secret-panel", "secret-user")


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, private=True)


@pytest.fixture
def github(key: RSAKey) -> Iterator[Host]:
    github_app._tokens.clear()
    with hosting("github", key) as host:
        yield host


def configured(house: Any, host: Host, more: str) -> TestClient:
    path = house.place / "data" / "platforms.toml"
    api = f'api_base = "{host.url}"\n{more}\n'
    path.write_text(house.platforms().replace("allow_local", f"{api}allow_local"), encoding="utf-8")
    return TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000", follow_redirects=False)


@pytest.fixture
def client(house: Any, github: Host, key: RSAKey) -> Iterator[TestClient]:
    """The service with nobody working, and a GitHub App."""
    (house.place / "data" / "app.pem").write_bytes(key.as_pem(private=True))
    client = configured(house, github, f'app_id = "{APP}"\napp_key = "app.pem"')
    yield client
    context_of(client).close()


def context_of(client: TestClient) -> Context:
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    return context


def finding(line: int, severity: str = "high", **location: Any) -> dict[str, Any]:
    return {
        "id": f"sha256:{line:064x}",
        "rule": "literal-changed",
        "severity": severity,
        "title": f"weight `x` <b>{line}</b>",
        "detail": "8 becomes 20",
        "location": {"path": "rank.py", "line": line, "end_line": line, "side": "head", "symbol": "f"} | location,
        "evidence": {},
    }


def reviewed(client: TestClient, count: int, state: str = "ready") -> None:
    """As if the first revision's review had ended with so many findings."""
    context = context_of(client)
    places = [finding(line) for line in range(1, count + 1)]
    diff = {"verdict": "fail", "files": [{}], "not_analysed": [], "findings": [*places, finding(7, side="base")]}
    public = {"verdict": "fail", "slices": [{"slice": "news", "direction": "amplified"}], "error_class": None}
    with context.database.write() as session:
        row = session.get_one(RevisionRow, 1)
        row.diff_digest, row.public_digest = context.store.put_json(diff), context.store.put_json(public)
        row.verdict, row.state = "fail", state  # type: ignore[assignment]


def deliver(client: TestClient) -> None:
    with context_of(client).database.write() as session:
        session.execute(update(OutboxRow).values(due_at=now() - timedelta(seconds=1)))
    while delivering.try_next(context_of(client), "host:tiny"):
        pass


def fates(client: TestClient) -> list[str]:
    with context_of(client).database.read() as session:
        return list(session.scalars(select(OutboxRow.state).order_by(OutboxRow.id)))


def arrive(house: Any, client: TestClient) -> str:
    head: str = house.branch("one", {"README": "one\n"})
    assert house.deliver(client, house.pull(head)).status_code == 202
    return head


def test_a_check_run_follows_its_revision_with_annotations_in_batches(
    house: Any, client: TestClient, github: Host
) -> None:
    head = arrive(house, client)
    deliver(client)
    (run,) = github.runs
    assert (run["status"], run["conclusion"], run["head_sha"], run["external_id"]) == ("in_progress", None, head, "1/1")
    assert (run["title"], run["annotations"]) == ("Under review", [])
    reviewed(client, 120)
    deliver(client)
    (run,) = github.runs
    assert (run["status"], run["conclusion"]) == ("completed", "failure")
    assert [one["start_line"] for one in run["annotations"]] == list(range(1, 121))
    assert {one["annotation_level"] for one in run["annotations"]} == {"failure"}
    assert "**fail**" in run["summary"]
    assert "`news` amplified" in run["summary"]
    assert run["details_url"] == "http://127.0.0.1:8000/changes/1/revisions/1"
    assert not any(word in str(run) for word in SECRETS)
    patches = [target for method, target in github.asked if method == "PATCH"]
    assert len(patches) == 3
    assert len([target for _, target in github.asked if "access_tokens" in target]) == 1


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_an_answer_that_is_lost_leaves_one_run_and_each_annotation_once(
    house: Any, client: TestClient, github: Host, lost: int
) -> None:
    arrive(house, client)
    reviewed(client, 120)
    github.lose = lost
    for _ in range(lost + 1):
        deliver(client)
    (run,) = github.runs
    assert [one["start_line"] for one in run["annotations"]] == list(range(1, 121))
    assert fates(client)[-1] == "delivered"


def test_what_github_refuses_is_given_up_and_what_may_pass_is_not(house: Any, client: TestClient, github: Host) -> None:
    arrive(house, client)
    deliver(client)
    reviewed(client, 1)
    github.failures = [403]
    deliver(client)
    assert fates(client)[-1] == "waiting"
    github.failures = [422]
    deliver(client)
    assert fates(client)[-1] == "dead"


def test_a_token_is_kept_until_near_its_end_and_a_new_one_asked_for_when_it_is_not_taken(
    house: Any, client: TestClient, github: Host
) -> None:
    arrive(house, client)
    deliver(client)
    github.tokens.clear()
    reviewed(client, 1)
    deliver(client)
    assert fates(client)[-1] == "waiting"
    deliver(client)
    assert fates(client)[-1] == "delivered"
    platform = context_of(client).platforms[0]
    assert github_app.headers(platform, NAME) == github_app.headers(platform, NAME.upper())
    github_app.forget(platform, NAME)
    github.holds = timedelta(seconds=200)
    assert github_app.headers(platform, NAME) != github_app.headers(platform, NAME)


def test_a_key_that_is_another_apps_gets_no_token(house: Any, client: TestClient) -> None:
    other = RSAKey.generate_key(2048, private=True)
    (house.place / "data" / "app.pem").write_bytes(other.as_pem(private=True))
    with pytest.raises(UnansweredError, match="HTTP 401"):
        github_app.headers(context_of(client).platforms[0], NAME)


def asked(client: TestClient, head: str) -> None:
    with context_of(client).database.write() as session:
        session.add(
            DeploymentRow(
                platform="tiny", repository=NAME, environment="production", head_commit=head, run=9, asked_at=now()
            )
        )


@pytest.mark.parametrize(("state", "answer"), [("signed", "approved"), ("rejected", "rejected")])
def test_a_deployment_is_answered_once_somebody_has_decided_and_once_only(
    house: Any, client: TestClient, github: Host, state: str, answer: str
) -> None:
    asked(client, arrive(house, client))
    deliver(client)
    assert github.answers == []
    reviewed(client, 0, state)
    deliver(client)
    ((path, body),) = github.answers
    assert path == "/repos/tiny/ranker/actions/runs/9/deployment_protection_rule"
    assert (body["environment_name"], body["state"]) == ("production", answer)
    assert statuses.answer(context_of(client), 1).reason == ""
    assert len(github.answers) == 1


def test_a_question_about_what_is_signed_already_is_answered_at_once(
    house: Any, client: TestClient, github: Host
) -> None:
    head = arrive(house, client)
    reviewed(client, 0, "signed")
    asked(client, head)
    deliver(client)
    assert [body["state"] for _, body in github.answers] == ["approved"]


@pytest.mark.parametrize(
    ("kind", "path", "last"),
    [
        ("github", "/repos/tiny/ranker/statuses/", "failure"),
        ("gitea", "/repos/tiny/ranker/statuses/", "failure"),
        ("gitlab", "/projects/tiny%2Franker/statuses/", "failed"),
    ],
)
def test_each_code_host_gets_statuses_in_its_own_words(house: Any, kind: str, path: str, last: str) -> None:
    with hosting(kind) as host:
        client = configured(house, host, f'code_host = "{kind}"\napi_token = "token of the code host"')
        event = house.pull(house.branch("one", {"README": "one\n"}))
        context = context_of(client)
        from service.arrivals import restate  # noqa: PLC0415 - as above
        from service.webhooks._github_payload import read_pull_request  # noqa: PLC0415 - beside its door's secret

        restate(context.database, read_pull_request(event, context.platforms))  # type: ignore[arg-type]
        deliver(client)
        reviewed(client, 1)
        host.lose = 1
        deliver(client)
        deliver(client)
        assert [one["state"] for one in host.statuses] == ["pending", *[last] * (1 if kind == "gitlab" else 2)]
        assert all(one["path"].startswith(path) for one in host.statuses)
        assert host.statuses[-1]["target_url"] == "http://127.0.0.1:8000/changes/1/revisions/1"
        assert fates(client)[-1] == "delivered"
        assert statuses.remind(context) == 0
        context.close()


def test_a_status_that_the_host_has_not_taken_is_written_again_once(
    house: Any, client: TestClient, github: Host
) -> None:
    arrive(house, client)
    reviewed(client, 1)
    context = context_of(client)
    with context.database.write() as session:
        session.execute(update(OutboxRow).values(state="dead"))
    assert statuses.remind(context) == 1
    assert statuses.remind(context) == 1
    assert fates(client).count("waiting") == 1
    deliver(client)
    assert github.runs[0]["conclusion"] == "failure"
    assert statuses.remind(context) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('app_id = "1"', "app_id, app_key and api_base"),
        ('app_id = "1"\napp_key = "app.pem"\ncode_host = "gitlab"', "for GitHub"),
        ('app_id = "1"\napp_key = "app.pem"', "private key of a GitHub App"),
    ],
)
def test_an_app_that_cannot_be_used_is_one_line(house: Any, tmp_path: Path, more: str, words: str) -> None:
    assert tmp_path == house.place
    (house.place / "data" / "app.pem").write_text("no key", encoding="utf-8")
    path = house.place / "data" / "platforms.toml"
    text = house.platforms().replace("allow_local", f'api_base = "http://127.0.0.1:1"\n{more}\nallow_local')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        Context.open(house.settings)
