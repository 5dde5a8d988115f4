# SPDX-License-Identifier: Apache-2.0
"""The service is killed without warning in the middle of a review: the next start finishes it, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from house import House, free_port, serve
from pytest_socket import enable_socket
from sqlalchemy import create_engine, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]

TOKEN = {"Authorization": "Bearer a token of the platform"}
SLOW = "import time; time.sleep(0.02); return [rank(request, k) for request in requests]"


@dataclass
class Process:
    """``countersign serve`` on a house's data folder."""

    house: House
    port: int
    running: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.house.place / "service.log"

    def start(self) -> None:
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(self.port)]
        command += ["--data", str(self.house.place / "data")]
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        self.until(lambda: self.get("/readyz") is not None, "the service to answer")

    def kill(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()

    def get(self, path: str) -> Any:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{self.port}{path}", headers=TOKEN, timeout=10)
        except httpx2.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def revision(self) -> Any:
        return self.get("/api/v1/changes/1/revisions/1")

    def reached(self, what: str) -> bool:
        view = self.revision()
        return view is not None and any(event["what"] == what for event in view["timeline"])

    def until(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.log.read_text()}"
            time.sleep(0.01)

    def reviewed(self) -> int:
        return self.log.read_text(encoding="utf-8").count("reviewed Lift: fail")


def evidence(process: Process) -> Any:
    view = process.revision()
    base = "/api/v1/changes/1/revisions/1/evidence"
    return view["digest"], view["verdict"], process.get(f"{base}/diff"), process.get(f"{base}/audit")


def earlier_version(process: Process) -> None:
    """As if the process that was killed had been of another version, and had compared otherwise."""
    for file, of_before in (
        ("dbos", "UPDATE workflow_status SET application_version = 'workflows-0' WHERE status != 'SUCCESS'"),
        ("countersign", "UPDATE revision SET diff_digest = 'sha256:' || hex(zeroblob(32))"),
    ):
        engine = create_engine(f"sqlite:///{process.house.place}/data/{file}.sqlite")
        with engine.begin() as connection:
            assert connection.execute(text(of_before)).rowcount > 0
        engine.dispose()


def reviewed_with_kills(
    place: Path, moments: list[str], meanwhile: Callable[[Process], None] = lambda _: None
) -> tuple[Any, Process]:
    """Review one change, with a kill -9 as soon as each moment is reached; the evidence and the process."""
    house = House(place).build()
    head = house.branch("lift", {"rank.py": serve(lift=0.8, body=SLOW)})
    process = Process(house, free_port())
    process.start()
    try:
        body = json.dumps(house.pull(head, title="Lift")).encode()
        url = f"http://127.0.0.1:{process.port}/webhooks/github"
        assert httpx2.post(url, content=body, headers=house.headers(body)).status_code == 202
        for moment in moments:
            process.until(lambda moment=moment: process.reached(moment), moment)
            process.kill()
            meanwhile(process)
            process.start()
        process.until(lambda: process.reached("ready"), "the review")
        process.until(lambda: "reviewed Lift: " in process.log.read_text(), "the line in the log")
        return evidence(process), process
    finally:
        if process.running is not None:
            process.running.terminate()
            process.running.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    enable_socket()
    return reviewed_with_kills(tmp_path_factory.mktemp("undisturbed"), [])[0]


def test_killed_in_the_middle_it_is_finished_once_with_the_same_evidence(undisturbed: Any, tmp_path: Path) -> None:
    found, process = reviewed_with_kills(tmp_path, ["received", "fetched", "diffed", "audited", "ready"])
    assert found == undisturbed
    assert process.reviewed() >= 1  # again where the kill came between the line and the note that it was written
    assert "Lift: error" not in process.log.read_text(encoding="utf-8")
    engine = create_engine(f"sqlite:///{tmp_path}/data/countersign.sqlite")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM revision")).scalar() == 1
        ready = connection.execute(text("SELECT count(*) FROM event WHERE what = 'ready'")).scalar()
    engine.dispose()
    assert ready == 1
    assert list((tmp_path / "data" / "work").glob("*/*")) == []


def test_what_an_earlier_version_left_in_the_middle_is_reviewed_by_this_one(undisturbed: Any, tmp_path: Path) -> None:
    found, _ = reviewed_with_kills(tmp_path, ["diffed"], earlier_version)
    assert found == undisturbed
