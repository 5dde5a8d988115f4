# SPDX-License-Identifier: Apache-2.0
"""What an operator sees and does: figures on their own bind, lines as JSON, a signal that lets steps end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import structlog
from house import NAME, SECRET, House, finished, free_port, serve
from prometheus_client.parser import text_string_to_metric_families

from evidence import InputError, canonical
from service import metrics, trust
from service.arrivals import now
from service.draining import Gate
from service.journal import configure_logging
from service.life import State
from service.operators import OperatorsBind
from signoff import Cosigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

SLOW = "import time; time.sleep(0.2); return [rank(request, k) for request in requests]"


def figures(text: str) -> dict[tuple[str, str], float]:
    """Each sample by its name and its labels' values, in the order of the labels' names."""
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, ",".join(sample.labels.values())): sample.value for sample in samples}


@pytest.fixture
def bind(running: TestClient) -> Iterator[Callable[[str], httpx2.Response]]:
    """Asks the operator's bind of the running service."""
    state = running.app.state  # type: ignore[attr-defined]
    listening = OperatorsBind(
        "127.0.0.1", 0, metrics.registry(state.context, state.worker.gate), state.worker.readiness
    )
    yield lambda path: httpx2.get(f"http://127.0.0.1:{listening.port}{path}", timeout=10)
    listening.close()


@pytest.mark.sandbox
def test_the_figures_say_what_was_reviewed_and_nothing_of_whom(
    house: Any, running: TestClient, bind: Callable[[str], httpx2.Response]
) -> None:
    before = figures(bind("/metrics").text)
    head = house.branch("lift", {"rank.py": serve(lift=0.8)})
    assert house.deliver(running, house.pull(head, title="A title to keep")).status_code == 202
    assert running.post("/webhooks/github", content=b"{}").status_code == 401
    house.deliver(running, house.pull(house.git("rev-parse", "main"), number=2))
    assert finished(running).state is State.READY
    assert finished(running, 2).state is State.FAILED
    answer = bind("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    after = figures(answer.text)

    def grew(name: str, labels: str) -> float:
        return after[name, labels] - before.get((name, labels), 0)

    assert after["countersign_revisions", "ready"] == 1
    assert after["countersign_revisions", "failed"] == 1
    assert after["countersign_reviews", "fail"] == 1
    assert after["countersign_review_errors", "bad-repository"] == 1
    assert after["countersign_oldest_seconds", "received"] == 0
    assert grew("countersign_webhooks_total", "accepted,github") == 2
    assert grew("countersign_webhooks_total", "unauthenticated,github") == 1
    assert grew("countersign_problems_total", "unauthenticated") == 1
    assert grew("countersign_step_seconds_count", "done,behave") == 1
    assert grew("countersign_step_seconds_count", "error,fetch") == 1
    assert after["countersign_log_entries", ""] >= 1
    assert 0 <= after["countersign_log_checkpoint_age_seconds", ""] < 3600
    assert after["countersign_up", "database"] == after["countersign_up", "log"] == 1
    assert after["countersign_draining", ""] == 0
    for secret in ("A title to keep", "secret-", NAME, SECRET, '"pat"', "tiny", str(house.place)):
        assert secret not in answer.text


def test_what_cannot_be_read_is_a_figure_too(running: TestClient, bind: Callable[[str], httpx2.Response]) -> None:
    context = running.app.state.context  # type: ignore[attr-defined]
    (context.log / "checkpoint").write_bytes(b"something else\n")
    found = figures(bind("/metrics").text)
    assert (found["countersign_up", "log"], found["countersign_up", "database"]) == (0, 1)
    assert ("countersign_log_entries", "") not in found
    assert ("countersign_revisions", "ready") in found


def test_words_that_hostile_code_made_up_become_one_label() -> None:
    rows = [("raised", 2), ('x"} evil 1\n', 3), ("A" * 50, 4)]
    (sample, other) = metrics._many("name", "help", "class", rows).samples
    assert (sample.labels, sample.value) == ({"class": "raised"}, 2)
    assert (other.labels, other.value) == ({"class": "other"}, 7)


def test_witnesses_are_figures_once_the_roots_ask_for_them(
    running: TestClient, bind: Callable[[str], httpx2.Response]
) -> None:
    context = running.app.state.context  # type: ignore[attr-defined]
    cosigner = Cosigner.generate("witness.example/w1")
    document = json.loads(context.roots.read_bytes())
    document["quorum"] = f"witness w {cosigner.public.vkey} http://127.0.0.1:1\nquorum w\n"
    context.roots.write_bytes(canonical(document))
    trust.log(context)
    found = figures(bind("/metrics").text)
    assert found["countersign_witness_cosigned", "w"] == found["countersign_witness_quorum", ""] == 0
    note = trust.log_reader(context).checkpoint()
    text = note.decode().split("\n\n", 1)[0] + "\n"
    trust.log(context).add_cosignatures(note + cosigner.cosign(text, now()).encode())
    found = figures(bind("/metrics").text)
    assert found["countersign_witness_cosigned", "w"] == found["countersign_witness_quorum", ""] == 1


def test_the_operators_bind_says_no_more_than_it_is_for(
    running: TestClient, bind: Callable[[str], httpx2.Response]
) -> None:
    assert bind("/livez").json() == {"status": "alive"}
    assert bind("/readyz").json() == {"status": "ready"}
    assert bind("/").status_code == bind("/api/v1/changes").status_code == 404
    assert running.get("/metrics").status_code == 404


def test_an_operators_bind_that_is_taken_is_one_line(running: TestClient) -> None:
    state = running.app.state  # type: ignore[attr-defined]
    registry = metrics.registry(state.context, state.worker.gate)
    first = OperatorsBind("127.0.0.1", 0, registry, state.worker.readiness)
    try:
        with pytest.raises(InputError, match="COUNTERSIGN_METRICS_PORT"):
            OperatorsBind("127.0.0.1", first.port, registry, state.worker.readiness)
    finally:
        first.close()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[Any]]]:
    """Everything logged since, parsed."""
    configure_logging("json")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.reset_defaults()


def test_every_line_of_a_review_names_its_revision(
    house: Any, running: TestClient, lines: Callable[[], list[Any]]
) -> None:
    house.deliver(running, house.pull(house.git("rev-parse", "main"), title="Nothing"))
    assert finished(running).state is State.FAILED
    running.app.state.worker.drain(10)  # type: ignore[attr-defined]
    said = lines()
    failed = [line for line in said if line["event"] == "a step failed"]
    assert [(line["revision"], line["step"], line["error"], line["level"]) for line in failed] == [
        (1, "fetch", "RepositoryError", "warning")
    ]
    assert failed[0]["timestamp"].endswith("Z")
    assert all("revision" not in line for line in said if line["event"] == "draining")


def test_libraries_lines_are_json_too_and_carry_the_revision(lines: Callable[[], list[Any]]) -> None:
    import logging  # noqa: PLC0415 - only this test logs as libraries do

    with structlog.contextvars.bound_contextvars(revision=7):
        logging.getLogger("a.library").warning("took %d\ntries", 3)
    logging.getLogger("a.library").info("not said")
    (line,) = lines()
    assert (line["event"], line["logger"], line["revision"]) == ("took 3\ntries", "a.library", 7)


def test_an_error_is_one_line_of_json_with_its_traceback(lines: Callable[[], list[Any]]) -> None:
    structlog.get_logger("countersign").error("request failed", exc_info=ValueError("of what happened"))
    (line,) = lines()
    assert "ValueError: of what happened" in line["exception"]


def test_a_closed_gate_waits_for_what_runs_and_lets_nothing_begin() -> None:
    gate, began, end, late = Gate(), threading.Event(), threading.Event(), threading.Event()

    def step(first: threading.Event, then: threading.Event | None) -> None:
        with gate.step():
            first.set()
            if then is not None:
                then.wait()

    threading.Thread(target=step, args=(began, end), daemon=True).start()
    assert began.wait(10)
    gate.close()
    threading.Thread(target=step, args=(late, None), daemon=True).start()
    assert not gate.wait(0.05)
    end.set()
    assert gate.wait(10)
    assert (gate.running, late.is_set(), gate.closed) == (0, False, True)


class Served:
    """``countersign serve`` as an operator starts it."""

    def __init__(self, house: House, **settings: str) -> None:
        self.port, self.metrics = free_port(), free_port()
        self.log = house.place / "service.log"
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(self.port)]
        environment = os.environ | {"COUNTERSIGN_METRICS_PORT": str(self.metrics)} | settings
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(house.place / "data")], stdout=log, stderr=log, env=environment
            )

    def ready(self) -> Served:
        self.until(lambda: self.get(self.port, "/readyz") == (200, "ready"))
        return self

    def get(self, port: int, path: str) -> tuple[int, str] | None:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=10)
        except httpx2.HTTPError:
            return None
        return answer.status_code, answer.json()["status"] if path.endswith("z") else answer.text

    def until(self, done: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def steps(self) -> dict[str, float]:
        answer = self.get(self.metrics, "/metrics")
        found = figures(answer[1]) if answer else {}
        return {labels: value for (name, labels), value in found.items() if name == "countersign_step_seconds_count"}


@pytest.fixture
def start() -> Iterator[Callable[..., Served]]:
    """Starts the service on a house; what still runs at the end is killed."""
    started: list[Served] = []

    def begin(house: House, **settings: str) -> Served:
        started.append(Served(house, **settings))
        return started[-1].ready()

    yield begin
    for served in started:
        served.process.kill()
        served.process.wait()


def said(served: Served) -> list[Any]:
    return [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.sandbox
def test_a_signal_lets_the_audit_end_and_the_next_start_goes_on_behind_it(tmp_path: Path, start: Any) -> None:
    house = House(tmp_path).build()
    head = house.branch("lift", {"rank.py": serve(lift=0.8, body=SLOW)})
    served = start(house)
    body = json.dumps(house.pull(head, title="Lift")).encode()
    url = f"http://127.0.0.1:{served.port}/webhooks/github"
    assert httpx2.post(url, content=body, headers=house.headers(body)).status_code == 202
    work = tmp_path / "data" / "work"
    served.until(lambda: served.steps().get("done,artifacts") == 1)
    served.until(lambda: any(work.glob("*/audit-*/head")))  # base and head are exported: the audit runs
    served.process.send_signal(signal.SIGTERM)
    served.until(lambda: served.get(served.port, "/readyz") == (503, "draining"))
    assert served.get(served.metrics, "/readyz") == (503, "draining")
    assert served.process.wait(60) == 0
    events = [line["event"] for line in said(served)]
    assert [event for event in events if event.startswith("drain")] == ["draining", "drained"]
    assert not any("reviewed Lift" in event for event in events)
    assert list(work.glob("*/*")) == []  # the step ended by itself and cleared up

    again = start(house)
    again.until(lambda: any("reviewed Lift" in line["event"] for line in said(again)))
    (reviewed,) = (line for line in said(again) if "reviewed Lift" in line["event"])
    assert (reviewed["revision"], reviewed["step"]) == (1, "announce")
    assert "done,behave" not in again.steps()  # the audit was recorded, not run again
    assert again.steps()["done,conclude"] == 1


@pytest.mark.sandbox
def test_a_second_signal_ends_it_at_once(tmp_path: Path, start: Any) -> None:
    house = House(tmp_path).build()
    body = "import time; time.sleep(600)"
    head = house.branch("sleepy", {"rank.py": serve(body=body)})
    served = start(house, COUNTERSIGN_DRAIN_SECONDS="600")
    payload = json.dumps(house.pull(head)).encode()
    url = f"http://127.0.0.1:{served.port}/webhooks/github"
    assert httpx2.post(url, content=payload, headers=house.headers(payload)).status_code == 202
    served.until(lambda: any((tmp_path / "data" / "work").glob("*/audit-*/head")))
    served.process.send_signal(signal.SIGTERM)
    served.until(lambda: served.get(served.port, "/readyz") == (503, "draining"))
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(60)
