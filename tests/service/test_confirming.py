# SPDX-License-Identifier: Apache-2.0
"""What the code host's API says counts, not what was sent; and what touches nothing under review ends outside."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import NAME, House, finished, until

from evidence import RepositoryError
from service import arrivals, confirming, progress, steps
from service.app import create_app
from service.life import State
from service.outward import UnansweredError
from service.views import Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

PULL = f"/repos/{NAME}/pulls/1"
REPOSITORY = f"/repos/{NAME}"
SENT, LATER = "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


class CodeHost(ThreadingHTTPServer):
    """Gives the documents that it has by path, 404 for others, and takes every status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents: dict[str, Any] = {REPOSITORY: {"full_name": NAME}}
        self.failing: int | None = None
        self.asked: list[tuple[str, str | None]] = []
        self.twice = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: CodeHost

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"]))
        if len(self.server.asked) > 1:
            self.server.twice.set()
        known = self.path in self.server.documents
        self._answer(self.server.failing or (200 if known else 404), self.server.documents.get(self.path, {}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, {})

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[CodeHost]:
    server = CodeHost()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def house(tmp_path: Path, host: CodeHost) -> Any:
    return House(tmp_path, api_base=host.url).build()


@pytest.fixture
def client(house: Any) -> Iterator[TestClient]:
    app = create_app(house.settings)
    yield TestClient(app)
    app.state.context.close()


def pull(house: Any, commit: str, **more: Any) -> dict[str, Any]:
    """The pull request as the API has it."""
    sent: dict[str, Any] = house.pull(commit)["pull_request"]
    return sent | {"state": "open", "merged": False, "updated_at": SENT} | more


def deliver(house: Any, client: TestClient, document: dict[str, Any]) -> None:
    payload = house.pull(document["head"]["sha"]) | {"pull_request": document}
    assert house.deliver(client, payload).status_code == 202


def ask(client: TestClient, revision: int = 1) -> None:
    context = client.app.state.context  # type: ignore[attr-defined]
    confirming.confirm(context, progress.job(context.database, revision))


def states(client: TestClient) -> list[str]:
    return [line.state.value for line in client.app.state.reviews.change(1).revisions]  # type: ignore[attr-defined]


def timeline(client: TestClient) -> list[str]:
    return [event.what for event in client.app.state.reviews.revision(1, 1).timeline]  # type: ignore[attr-defined]


def test_what_the_host_says_the_same_is_confirmed_and_asked_with_the_token(
    house: Any, client: TestClient, host: CodeHost
) -> None:
    host.documents[PULL] = pull(house, "b" * 40, title="As it is now")
    deliver(house, client, pull(house, "b" * 40, title="As it was sent"))
    ask(client)
    assert timeline(client)[-1] == confirming.CONFIRMED
    assert client.app.state.reviews.change(1).title == "As it is now"  # type: ignore[attr-defined]
    assert host.asked == [(PULL, "Bearer token of the code host")]


def test_another_head_or_target_there_is_a_revision_of_its_own(house: Any, client: TestClient, host: CodeHost) -> None:
    deliver(house, client, pull(house, "b" * 40))
    host.documents[PULL] = pull(house, "c" * 40, updated_at=LATER)
    ask(client)
    assert states(client) == ["superseded", "received"]
    ask(client, 2)
    host.documents[PULL] |= {"base": {"ref": "release", "sha": "d" * 40}}
    ask(client, 2)
    assert states(client) == ["superseded", "superseded", "received"]
    assert client.app.state.reviews.change(1).target_ref == "refs/heads/release"  # type: ignore[attr-defined]


def test_an_api_that_is_behind_its_webhook_is_asked_again_later(house: Any, client: TestClient, host: CodeHost) -> None:
    deliver(house, client, pull(house, "c" * 40, updated_at=LATER))
    host.documents[PULL] = pull(house, "b" * 40)
    with pytest.raises(UnansweredError, match="behind"):
        ask(client)
    assert states(client) == ["received"]


def test_a_fork_that_was_sent_as_none_is_held_and_let_through_once(
    house: Any, client: TestClient, host: CodeHost
) -> None:
    deliver(house, client, pull(house, "b" * 40))
    outside = {"ref": "x", "sha": "b" * 40, "repo": {"full_name": "stranger/ranker"}}
    host.documents[PULL] = pull(house, "b" * 40, head=outside)
    ask(client)
    assert states(client) == ["held"]
    client.app.state.reviews.let_through(1, 1, Person("reviewer", "R", "O", "reviewer"))  # type: ignore[attr-defined]
    ask(client)
    assert states(client) == ["received"]


def test_what_the_host_does_not_know_or_has_closed_is_not_reviewed(
    house: Any, client: TestClient, host: CodeHost
) -> None:
    deliver(house, client, pull(house, "b" * 40))
    with pytest.raises(RepositoryError, match="knows no pull/1"):
        ask(client)
    host.documents[PULL] = pull(house, "b" * 40, state="closed")
    with pytest.raises(RepositoryError, match="closed"):
        ask(client)
    host.documents[PULL] |= {"merged": True}
    ask(client)
    assert client.app.state.reviews.queue()[0].why.startswith("merged without")  # type: ignore[attr-defined]


@pytest.mark.parametrize("failing", [500, 502, 503, 429, 403])
def test_a_host_that_fails_is_asked_again_later(house: Any, client: TestClient, host: CodeHost, failing: int) -> None:
    deliver(house, client, pull(house, "b" * 40))
    host.failing = failing
    with pytest.raises(UnansweredError):
        ask(client)
    assert timeline(client) == ["received"]


@pytest.mark.parametrize("failing", [401, 404, 501])
def test_an_api_that_shows_nothing_is_said_so_and_the_review_goes_on(
    house: Any, client: TestClient, host: CodeHost, failing: int
) -> None:
    deliver(house, client, pull(house, "b" * 40))
    host.failing = failing
    ask(client)
    assert timeline(client)[-1] == f"taken as it was sent: its API does not show the repository (HTTP {failing})"


def test_an_api_that_leads_elsewhere_is_not_followed(house: Any, client: TestClient, host: CodeHost) -> None:
    deliver(house, client, pull(house, "b" * 40))
    host.failing = 302
    with pytest.raises(RepositoryError, match="leads elsewhere"):
        ask(client)


def test_gitlab_is_asked_in_its_own_way(house: Any, host: CodeHost) -> None:
    path = house.place / "data" / "platforms.toml"
    path.write_text(house.platforms().replace("allow_local", 'code_host = "gitlab"\nallow_local'), encoding="utf-8")
    app = create_app(house.settings)
    client = TestClient(app)
    merge = {"iid": 1, "title": "M", "target_branch": "main", "source_project_id": 3, "target_project_id": 3,
             "updated_at": "2026-01-02T00:00:00.000Z"}  # fmt: skip
    sent = merge | {"last_commit": {"id": "b" * 40}, "action": "open"}
    event = {"object_attributes": sent, "project": {"path_with_namespace": NAME}, "user": {"username": "pat"}}
    headers = {"X-Gitlab-Token": "a secret of the webhook", "X-Gitlab-Event": "Merge Request Hook"}
    assert client.post("/webhooks/gitlab", content=json.dumps(event), headers=headers).status_code == 202
    address = "/projects/tiny%2Franker/merge_requests/1"
    host.documents[address] = merge | {"sha": "b" * 40, "state": "opened", "author": {"username": "kim"}}
    ask(client)
    assert (timeline(client)[-1], host.asked) == (confirming.CONFIRMED, [(address, "token of the code host")])
    assert client.app.state.reviews.change(1).author == "kim"  # type: ignore[attr-defined]
    host.documents[address] |= {"source_project_id": 4}
    ask(client)
    assert states(client) == ["held"]
    app.state.context.close()


@pytest.mark.sandbox
def test_the_whole_way_from_a_host_that_fails_first_over_a_held_fork_to_a_verdict(house: Any, host: CodeHost) -> None:
    head = house.branch("topic", {"README": "words\n"})
    outside = {"ref": "x", "sha": head, "repo": {"full_name": "stranger/ranker"}}
    host.documents[PULL] = pull(house, head, head=outside)
    host.failing = 503
    with TestClient(create_app(house.settings)) as client:
        deliver(house, client, pull(house, head))
        assert host.twice.wait(60)
        host.failing = None
        assert until(client, lambda view: view.state is not State.RECEIVED).state is State.HELD
        client.app.state.reviews.let_through(1, 1, Person("reviewer", "R", "O", "reviewer"))  # type: ignore[attr-defined]
        assert finished(client).state is State.READY


@pytest.mark.sandbox
def test_who_lets_through_at_once_begins_one_review_and_not_two(
    house: Any, host: CodeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review that was held ends, also where somebody has let it through before it looks."""
    head = house.branch("topic", {"README": "words\n"})
    host.documents[PULL] = pull(house, head, head={"ref": "x", "sha": head, "repo": {"full_name": "stranger/ranker"}})
    whole = steps.fetch

    def fetch(context: Any, revision_id: int) -> None:
        whole(context, revision_id)
        if progress.job(context.database, revision_id).state is State.HELD:
            arrivals.approve(context.database, 1, 1, "reviewer")

    monkeypatch.setattr(steps, "fetch", fetch)
    with TestClient(create_app(house.settings)) as client:
        deliver(house, client, pull(house, head))
        assert finished(client).state is State.READY
        happened = [event.what for event in client.app.state.reviews.revision(1, 1).timeline]  # type: ignore[attr-defined]
    assert (happened.count("diffed"), happened.count("failed")) == (1, 0)


@pytest.fixture
def scoped(tmp_path: Path) -> Iterator[tuple[Any, TestClient]]:
    """The service, running, where only ranker/ and one file are under review."""
    house = House(tmp_path).build()
    text = f'{house.platforms()}paths = ["ranker/", "shared.py"]\n'
    (house.place / "data" / "platforms.toml").write_text(text, encoding="utf-8")
    with TestClient(create_app(house.settings)) as client:
        yield house, client


@pytest.mark.sandbox
def test_what_touches_no_path_under_review_ends_outside_and_everything_else_is_reviewed(
    scoped: tuple[Any, TestClient],
) -> None:
    house, client = scoped
    inside = [{"ranker/a.py": "A = 1\n"}, {"shared.py": "A = 1\n"}, {"countersign.toml": "# x\n"}]
    beyond = [{"docs/a.md": "words\n"}, {"rankers/a.py": "A = 1\n"}, {"shared.py.txt": "x\n", "sub/shared.py": "x\n"}]
    for number, files in enumerate([*beyond, *inside], start=1):
        for path in files:
            (house.repository / path).parent.mkdir(parents=True, exist_ok=True)
        head = house.branch(f"b{number}", files)
        assert house.deliver(client, house.pull(head, number=number)).status_code == 202
    ends = [finished(client, change=number).state for number in range(1, 7)]
    assert ends[:3] == [State.OUTSIDE] * 3
    assert State.OUTSIDE not in ends[3:]
    row = next(row for row in client.app.state.reviews.queue() if row.change_id == 1)  # type: ignore[attr-defined]
    assert (row.whose_turn, row.why) == ("nobody", "touches nothing under review")
    assert client.app.state.reviews.revision(1, 1).timeline[-1].what == "outside"  # type: ignore[attr-defined]
