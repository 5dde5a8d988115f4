# SPDX-License-Identifier: Apache-2.0
"""What a lost webhook would have told is found by asking; a report that the host has lost is sent again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from code_hosts import APP, Host, hosting
from fastapi.testclient import TestClient
from house import NAME
from joserfc.jwk import RSAKey
from sqlalchemy import select

from service import delivering, github_app, reconciling
from service.app import create_app
from service.context import Context
from service.database import Change, ClosedRow, EventRow, RevisionRow
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

HEAD, OTHER = "a" * 40, "b" * 40


def opened(house: Any, host: Host, more: str = "") -> Context:
    path = house.place / "data" / "platforms.toml"
    token = f'code_host = "{host.kind}"\napi_token = "token of the code host"\n' if host.key is None else more
    api = f'api_base = "{host.url}"\n{token}\n'
    path.write_text(house.platforms().replace("allow_local", f"{api}allow_local"), encoding="utf-8")
    return Context.open(house.settings)


@pytest.fixture(params=["github", "gitea", "gitlab"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with hosting(request.param) as server:
        yield server


@pytest.fixture
def context(house: Any, host: Host) -> Iterator[Context]:
    context = opened(house, host)
    yield context
    context.close()


def propose(host: Host, number: int, head: str, /, *, state: str = "open", **more: Any) -> None:
    """A pull or merge request as the host's API shows it."""
    if host.kind == "gitlab":
        states = {"open": "opened"}
        host.proposals[number] = {
            "iid": number, "title": "A change", "description": None, "state": states.get(state, state), "sha": head,
            "target_branch": "main", "author": {"username": "pat"}, "updated_at": "2026-01-02T03:04:05Z",
            "source_project_id": 3, "target_project_id": 3,
        } | more  # fmt: skip
        return
    host.proposals[number] = {
        "number": number, "title": "A change", "body": None, "state": "closed" if state != "open" else "open",
        "merged": state == "merged", "user": {"login": "pat"}, "updated_at": "2026-01-02T03:04:05Z",
        "base": {"ref": "main", "sha": OTHER}, "head": {"ref": "topic", "sha": head, "repo": {"full_name": NAME}},
    } | more  # fmt: skip


def revisions(context: Context) -> list[tuple[str, int, str]]:
    with context.database.read() as session:
        found = select(Change.key, RevisionRow.n, RevisionRow.head_commit).join(Change).order_by(RevisionRow.id)
        return [(key.rsplit("/", 1)[1], n, head) for key, n, head in session.execute(found)]


def test_a_proposal_whose_webhook_was_lost_is_brought_in_once_and_so_is_its_next_head(
    context: Context, host: Host
) -> None:
    propose(host, 5, HEAD)
    propose(host, 6, HEAD, draft=True)
    assert reconciling.reconcile(context, "tiny") == 1
    assert reconciling.reconcile(context, "tiny") == 0
    assert revisions(context) == [("5", 1, HEAD)]
    propose(host, 5, OTHER, updated_at="2026-01-03T03:04:05Z")
    assert reconciling.reconcile(context, "tiny") == 1
    assert revisions(context) == [("5", 1, HEAD), ("5", 2, OTHER)]
    with context.database.read() as session:
        assert (
            session.scalars(select(EventRow.what).where(EventRow.what == reconciling.FOUND)).all()
            == [reconciling.FOUND] * 2
        )


def test_what_could_not_be_reviewed_is_not_taken_up_again_by_being_asked_about(context: Context, host: Host) -> None:
    propose(host, 5, HEAD)
    reconciling.reconcile(context, "tiny")
    with context.database.write() as session:
        session.get_one(RevisionRow, 1).state = State.FAILED
    assert reconciling.reconcile(context, "tiny") == 0
    assert len(revisions(context)) == 1


def test_every_page_is_read(context: Context, host: Host) -> None:
    for number in range(1, reconciling.PAGE + 3):
        propose(host, number, HEAD)
    assert reconciling.reconcile(context, "tiny") == reconciling.PAGE + 2
    assert len(revisions(context)) == reconciling.PAGE + 2


def test_what_was_merged_unheard_is_marked(context: Context, host: Host) -> None:
    propose(host, 5, HEAD)
    reconciling.reconcile(context, "tiny")
    propose(host, 5, HEAD, state="merged")
    assert reconciling.reconcile(context, "tiny") == 1
    with context.database.read() as session:
        assert session.scalars(select(ClosedRow.how)).all() == ["merged"]
    assert reconciling.reconcile(context, "tiny") == 0


def test_a_host_in_trouble_changes_nothing(context: Context, host: Host) -> None:
    propose(host, 5, HEAD)
    reconciling.reconcile(context, "tiny")
    for failure in (500, 429, 404):
        host.failures = [failure]
        assert reconciling.reconcile(context, "tiny") == 0
    with context.database.read() as session:
        assert session.scalars(select(ClosedRow.how)).all() == []


def delivered(context: Context) -> None:
    while delivering.try_next(context, "host:tiny"):
        pass


def test_a_status_that_the_host_has_lost_is_sent_again_once(context: Context, host: Host) -> None:
    propose(host, 5, HEAD)
    reconciling.reconcile(context, "tiny")
    with context.database.write() as session:
        session.get_one(RevisionRow, 1).state = State.FAILED
    delivered(context)
    assert reconciling.reconcile(context, "tiny") == 0
    before = host.statuses[-1]
    host.statuses.clear()
    assert reconciling.reconcile(context, "tiny") == 1
    delivered(context)
    assert host.statuses == [before]
    assert reconciling.reconcile(context, "tiny") == 0


def test_a_check_run_that_github_has_lost_is_made_anew(house: Any) -> None:
    github_app._tokens.clear()
    key = RSAKey.generate_key(2048, private=True)
    (house.place / "data" / "app.pem").write_bytes(key.as_pem(private=True))
    with hosting("github", key) as host:
        context = opened(house, host, f'app_id = "{APP}"\napp_key = "app.pem"')
        propose(host, 5, HEAD)
        assert reconciling.reconcile(context, "tiny") == 1
        with context.database.write() as session:
            session.get_one(RevisionRow, 1).state = State.FAILED
        delivered(context)
        assert reconciling.reconcile(context, "tiny") == 0
        host.runs.clear()
        assert reconciling.reconcile(context, "tiny") == 1
        delivered(context)
        assert [run["conclusion"] for run in host.runs] == ["failure"]
        context.close()


def test_a_working_service_asks_by_itself(house: Any) -> None:
    house.reconcile_minutes = 10
    with hosting("github") as host:
        opened(house, host).close()
        head = house.branch("fork", {"README": "words\n"})
        propose(host, 5, head, head={"ref": "topic", "sha": head, "repo": {"full_name": "somebody/ranker"}})
        with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000") as client:
            deadline = time.monotonic() + 30
            database = client.app.state.database  # type: ignore[attr-defined]
            states: list[str] = []
            while not states and time.monotonic() < deadline:
                time.sleep(0.05)
                with database.read() as session:
                    states = list(session.scalars(select(RevisionRow.state)))
    assert states == ["held"]
