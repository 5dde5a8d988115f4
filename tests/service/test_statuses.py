# SPDX-License-Identifier: Apache-2.0
"""Statuses reach the code host, however often it fails, and never hold up a review."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import ANSWER, House, finished, make_key, serve, until

from service import trust
from service.app import create_app
from service.life import State
from service.views import Person
from signoff import sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]


class CodeHost(ThreadingHTTPServer):
    """Speaks as much of GitHub's status API as is used; answers ``failures`` first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posted: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.failures: list[int] = []
        self.endless = False
        self.ended = threading.Event()

    def last(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while len(self.posted) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return [body for _, _, body in self.posted]


class Handler(BaseHTTPRequestHandler):
    server: CodeHost

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = self.server.failures.pop(0) if self.server.failures else 201
        if code == 201:
            self.server.posted.append((self.path, dict(self.headers), body))
        self.send_response(code)
        self.send_header("Content-Length", "3" if self.server.endless else "2")
        self.end_headers()
        self.wfile.write(b"{}")
        if self.server.endless:
            self.wfile.flush()
            self.server.ended.wait(60)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def code_host() -> Iterator[CodeHost]:
    server = CodeHost()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def reporting(tmp_path: Path, code_host: CodeHost) -> Iterator[tuple[House, TestClient]]:
    house = House(tmp_path, api_base=f"http://127.0.0.1:{code_host.server_port}").build()
    with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000") as client:
        yield house, client


def test_pending_then_the_outcome_with_a_link(reporting: tuple[House, TestClient], code_host: CodeHost) -> None:
    house, client = reporting
    head = house.branch("lift", {"rank.py": serve(lift=0.8)})
    house.deliver(client, house.pull(head))
    finished(client)
    bodies = code_host.last(2)
    assert [body["state"] for body in bodies] == ["pending", "failure"]
    path, headers, body = code_host.posted[-1]
    assert path == f"/repos/tiny/ranker/statuses/{head}"
    assert headers["Authorization"] == "Bearer token of the code host"
    assert body["context"] == "countersign/review"
    assert body["target_url"] == "http://127.0.0.1:8000/changes/1/revisions/1"
    assert "secret" not in json.dumps(body)


def test_it_is_posted_in_the_end_though_the_host_fails_first(
    reporting: tuple[House, TestClient], code_host: CodeHost
) -> None:
    house, client = reporting
    code_host.failures = [500, 502, 429, 500, 503]
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(client)
    assert code_host.last(1)[-1]["state"] in {"pending", "success"}
    deadline = time.monotonic() + 20
    while code_host.posted[-1][2]["state"] != "success" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert code_host.posted[-1][2]["state"] == "success"


def test_a_host_that_is_gone_does_not_hold_up_the_review(
    reporting: tuple[House, TestClient], code_host: CodeHost
) -> None:
    house, client = reporting
    code_host.failures = [500] * 1000
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    assert finished(client).verdict == "pass"
    assert code_host.posted == []


def test_a_failed_review_is_an_error_with_its_public_line(
    reporting: tuple[House, TestClient], code_host: CodeHost
) -> None:
    house, client = reporting
    house.deliver(client, house.pull(house.branch("bare", {"countersign.toml": None})))
    finished(client)
    body = code_host.last(2)[-1]
    assert body["state"] == "error"
    assert "countersign.toml" in body["description"]
    assert len(body["description"]) <= 140


def test_a_revision_outdated_in_the_middle_is_not_left_pending(
    reporting: tuple[House, TestClient], code_host: CodeHost
) -> None:
    house, client = reporting
    slow = serve(body="import time; time.sleep(0.05); " + ANSWER)
    first = house.branch("one", {"rank.py": slow})
    house.deliver(client, house.pull(first))
    until(client, lambda view: view.state is State.DIFFED)
    house.deliver(client, house.pull(house.branch("two", {"README": "two\n"}), action="synchronize"))
    finished(client, n=2)
    code_host.last(4)
    told = [body["description"] for path, _, body in code_host.posted if path.endswith(first)]
    assert told[-1] == "Outdated: a newer revision is under review"


def test_a_sign_off_counts_without_workflows_and_is_told_at_the_next_start(tmp_path: Path, code_host: CodeHost) -> None:
    """As after a kill between the log and the status; and a code host or queue in trouble fails no sign-off."""
    house = House(tmp_path, api_base=f"http://127.0.0.1:{code_host.server_port}").build()
    with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000") as client:
        house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
        finished(client)
        code_host.last(2)
    who = Person("reviewer", "Reviewer", "independent", "reviewer")
    idle = create_app(house.settings)
    key = make_key(tmp_path)
    trust.enrol_key(idle.state.context, who, key.with_suffix(".pub").read_text(), emails=("r@office.example",))
    prepared = idle.state.reviews.prepare_statement(1, 1, who, "APPROVED")
    signature = sign_with_ssh_key(key, prepared.pae)
    assert idle.state.reviews.sign_off(1, 1, who, nonce=prepared.nonce, ssh_signature=signature) == 7
    idle.state.context.close()
    with TestClient(create_app(house.settings)):
        assert [body["description"] for body in code_host.last(3)][2:] == ["Signed off by a reviewer"]


def test_an_answer_that_does_not_end_is_not_waited_for(
    reporting: tuple[House, TestClient], code_host: CodeHost
) -> None:
    house, client = reporting
    code_host.endless = True
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(client)
    assert [body["state"] for body in code_host.last(2)] == ["pending", "success"]


def test_what_a_recommender_says_of_the_panel_reaches_no_status(
    reporting: tuple[House, TestClient], code_host: CodeHost
) -> None:
    house, client = reporting
    loud = serve(body="print(requests); raise ValueError(requests)")
    house.deliver(client, house.pull(house.branch("loud", {"rank.py": loud})))
    assert "user_id" in json.dumps(finished(client).audit)
    assert [body["state"] for body in code_host.last(2)] == ["pending", "failure"]
    assert "user_id" not in json.dumps(code_host.posted)
