# SPDX-License-Identifier: Apache-2.0
"""A gate's decision on its way to the reviewer: posted, checked, logged; and one that is not delivered."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from command import Said, runner
from house import NAME, TOKEN, make_key

from evidence import canonical
from service import trust
from signoff import Emergencies, MachineKey, build_summary, gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient

CI = {"Authorization": f"Bearer {TOKEN}"}
GATE = "https://platform.example/gates/1"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(monkeypatch, capfd)


def decision(data: Path, place: Path, key: MachineKey, ahead: timedelta = timedelta(0)) -> bytes:
    (place / "bundle.json").write_bytes(b"{}")
    (place / "nothing").mkdir(exist_ok=True)
    now = datetime.now(UTC) + ahead
    files = (place / "bundle.json", place / "nothing", {}, data / "policy.toml", data / "roots.json", now)
    return canonical(key.sign(canonical(build_summary(gate(*files, Emergencies()), gate_id=GATE, now=now))).to_json())


def with_gate(data: Path, key: MachineKey) -> None:
    roots = json.loads((data / "roots.json").read_bytes())
    entry = {"public": key.public.line, "valid_from": "2020-01-01T00:00:00Z", "valid_until": None}
    roots["gates"] = [{"id": GATE, "keys": [entry]}]
    (data / "roots.json").write_bytes(canonical(roots))


def test_a_decision_is_checked_and_logged_once(client: TestClient, house: Any) -> None:
    data, key = house.place / "data", MachineKey.generate()
    with_gate(data, key)
    content = decision(data, house.place, key)
    sent = client.post("/api/v1/gate-decisions", content=content, headers=CI)
    assert sent.status_code == 201
    assert sent.json() == {"log_index": 1, "passed": False, "review_by": None, "differs": []}
    assert client.post("/api/v1/gate-decisions", content=content, headers=CI).status_code == 200
    assert client.post("/api/v1/gate-decisions", content=content).status_code == 401
    reader = trust.log_reader(client.app.state.context)  # type: ignore[attr-defined]
    assert [json.loads(entry)["type"] for entry in reader.entries()] == ["trust", "gate"]


def test_a_decision_under_another_policy_is_taken_and_told_apart(client: TestClient, house: Any) -> None:
    data, key = house.place / "data", MachineKey.generate()
    with_gate(data, key)
    content = decision(data, house.place, key)
    policy = data / "policy.toml"
    policy.write_text(policy.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    assert client.post("/api/v1/gate-decisions", content=content, headers=CI).json()["differs"] == ["policy"]


def test_a_decision_by_no_gate_of_ours_is_not_taken(client: TestClient, house: Any) -> None:
    data = house.place / "data"
    content = decision(data, house.place, MachineKey.generate())
    assert client.post("/api/v1/gate-decisions", content=content, headers=CI).status_code == 422
    assert client.post("/api/v1/gate-decisions", content=b"{}", headers=CI).status_code == 422


def test_a_decision_of_a_time_to_come_is_not_taken(client: TestClient, house: Any) -> None:
    data, key = house.place / "data", MachineKey.generate()
    with_gate(data, key)
    content = decision(data, house.place, key, timedelta(days=365))
    sent = client.post("/api/v1/gate-decisions", content=content, headers=CI)
    assert (sent.status_code, "yet to come" in sent.text) == (422, True)


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_decision_that_cannot_be_delivered_changes_no_verdict(
    client: TestClient, house: Any, run: Callable[..., Said]
) -> None:
    assert client.app is not None
    data = house.place / "data"
    key = make_key(house.place, "gate")
    (house.place / "bundle.json").write_bytes(b"{}")
    (house.place / "nothing").mkdir()
    command = ["gate", "--bundle", house.place / "bundle.json", "--repo", house.place / "nothing"]
    command += ["--policy", data / "policy.toml", "--roots", data / "roots.json", "--format", "json"]
    signed = ["--gate-id", GATE, "--gate-key", key, "--vsa", house.place / "vsa.json", "--report", "http://127.0.0.1:9"]
    said = run(*command, *signed)
    assert (said.status, said.document["reported"]) == (1, False)
    assert "was not delivered" in said.err
    assert (house.place / "vsa.json").exists()
    (house.place / "vsa.json").unlink()
    dry = run(*command, *signed, "--dry-run")
    assert (dry.status, dry.document["dry_run"], dry.document["reported"]) == (1, True, None)
    assert not (house.place / "vsa.json").exists()
    alone = run(*command, "--gate-id", GATE)
    assert (alone.status, "--gate-key" in alone.err) == (2, True)


class _Taker(BaseHTTPRequestHandler):
    taken: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, self.headers["Authorization"], content))
        self.send_response(201 if len(self.taken) > 1 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_decision_is_delivered_at_once_or_later(
    client: TestClient, house: Any, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.app is not None
    monkeypatch.setenv("COUNTERSIGN_TOKEN", TOKEN)
    data, vsa = house.place / "data", house.place / "vsa.json"
    key = make_key(house.place, "gate")
    (house.place / "bundle.json").write_bytes(b"{}")
    (house.place / "nothing").mkdir()
    command = ["gate", "--bundle", house.place / "bundle.json", "--repo", house.place / "nothing"]
    command += ["--policy", data / "policy.toml", "--roots", data / "roots.json", "--format", "json"]
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taker) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            first = run(*command, "--gate-id", GATE, "--gate-key", key, "--vsa", vsa, "--report", url)
            later = run("report-decision", vsa, "--report", url)
            rolled_out = run("report-rollout", NAME, "1" * 40, "--report", url, "--at", "2026-01-31T12:00:00Z")
        finally:
            server.shutdown()
            thread.join()
    assert (first.document["reported"], "503" in first.err) == (False, True)
    assert later.status == 0
    assert _Taker.taken[:2] == [("/api/v1/gate-decisions", f"Bearer {TOKEN}", vsa.read_bytes())] * 2
    said = {"repository": NAME, "head": "1" * 40, "revision": None, "at": "2026-01-31T12:00:00Z"}
    assert (rolled_out.status, _Taker.taken[2:]) == (
        0,
        [("/api/v1/rollouts", f"Bearer {TOKEN}", canonical(said))],
    )
