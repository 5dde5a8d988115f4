# SPDX-License-Identifier: Apache-2.0
"""Several processes on one data folder and one PostgreSQL: what one leaves, another finishes, once and alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from house import House, finished, free_port, serve
from sqlalchemy import func, select

from evidence import ConflictError, InputError
from service.app import create_app
from service.database import Database, EventRow, RevisionRow
from service.database.engine import postgresql_url
from service.leases import Lease, exclusive
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW = "import time; time.sleep(0.1); return [rank(request, k) for request in requests]"
ON_POSTGRESQL = pytest.mark.parametrize("storage", ["postgresql"], indirect=True)


@pytest.fixture
def start(house: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a command of the service on a house; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, **more: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"COUNTERSIGN_RETRY_SECONDS": "0.01", "COUNTERSIGN_LOG_FORMAT": "json"} | more
        if house.database_url:
            environment["COUNTERSIGN_DATABASE_URL"] = house.database_url
        command = [sys.executable, "-m", "service.cli", *arguments, "--data", str(house.place / "data")]
        with (house.place / "log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def lines(house: House) -> list[Any]:
    text = (house.place / "log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def until(house: House, done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, (house.place / "log").read_text(encoding="utf-8")
        time.sleep(0.02)


def holder(path: Path, processes: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Which of the processes has a file open."""
    for process in processes:
        if any(link.exists() and link.samefile(path) for link in Path(f"/proc/{process.pid}/fd").iterdir()):
            return process
    raise AssertionError(f"nobody holds {path}")


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=10).is_success
    except httpx2.HTTPError:
        return False


def kept(database: Database) -> list[Any]:
    """What every review came to, by the content of its evidence."""
    columns = (RevisionRow.head_commit, RevisionRow.state, RevisionRow.verdict, RevisionRow.digest)
    more = (RevisionRow.diff_digest, RevisionRow.audit_digest, RevisionRow.public_digest, RevisionRow.report_digest)
    with database.read() as session:
        return sorted(tuple(row) for row in session.execute(select(*columns, *more)))


@pytest.mark.loopback
@pytest.mark.sandbox
@pytest.mark.usefixtures("socket_enabled")
@ON_POSTGRESQL
def test_a_worker_killed_in_its_audit_is_replaced_and_the_evidence_is_that_of_one_process(
    house: Any, start: Callable[..., Any], tmp_path: Path
) -> None:
    heads = [house.branch(f"lift{n}", {"rank.py": serve(lift=0.4 * n, body=SLOW)}) for n in (1, 2)]
    port = free_port()
    start("serve", "--port", str(port), COUNTERSIGN_WORK="false")
    until(house, lambda: answers(f"http://127.0.0.1:{port}/readyz"))
    workers = [start("worker"), start("worker")]
    until(house, lambda: sum(line["event"] == "working" for line in lines(house)) == 2)
    for n, head in enumerate(heads, 1):
        body = json.dumps(house.pull(head, number=n, title=f"Lift {n}")).encode()
        url = f"http://127.0.0.1:{port}/webhooks/github"
        assert httpx2.post(url, content=body, headers=house.headers(body)).status_code == 202
    work = house.place / "data" / "work"
    until(house, lambda: any(work.glob("worker-*/audit-*/head")))
    name = next(work.glob("worker-*/audit-*/head")).parents[1].name
    killed = holder(house.place / "data" / "workers" / name, workers)
    killed.kill()
    killed.wait()
    until(house, lambda: sum("reviewed Lift" in line["event"] for line in lines(house)) >= 2)
    (second,) = (worker for worker in workers if worker is not killed)
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    said = [line["event"] for line in lines(house)]
    assert sorted(event for event in said if event.startswith("reviewed")) == [
        "reviewed Lift 1: fail",
        "reviewed Lift 2: fail",
    ]
    assert said.count("taking over from a worker that ended") == 1
    assert list(work.glob("*/*")) == []
    database = Database(house.database_url)
    found = kept(database)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(EventRow).where(EventRow.what == "ready")) == 2
    database.close()

    alone = House(tmp_path / "alone")
    alone.place.mkdir()
    alone.build()
    assert [alone.branch(f"lift{n}", {"rank.py": serve(lift=0.4 * n, body=SLOW)}) for n in (1, 2)] == heads
    with TestClient(create_app(alone.settings)) as client:
        for n, head in enumerate(heads, 1):
            alone.deliver(client, alone.pull(head, number=n, title=f"Lift {n}"))
        assert [finished(client, n).state for n in (1, 2)] == [State.READY] * 2
        one_process = kept(client.app.state.database)  # type: ignore[attr-defined]
    assert found == one_process


def test_a_worker_without_postgresql_is_one_line(house: Any, start: Callable[..., Any]) -> None:
    assert start("worker").wait(60) == 2
    said = (house.place / "log").read_text(encoding="utf-8")
    assert said.count("\n") == 1
    assert "COUNTERSIGN_DATABASE_URL" in said


@pytest.mark.usefixtures("running")
def test_a_second_service_on_one_data_folder_with_sqlite_is_refused(house: Any, start: Callable[..., Any]) -> None:
    assert start("serve", "--port", str(8400 + os.getpid() % 100)).wait(60) == 2
    said = (house.place / "log").read_text(encoding="utf-8")
    assert said.splitlines()[-1].endswith("stop it, or see COUNTERSIGN_DATABASE_URL")


@pytest.mark.parametrize("url", ["", "mysql://h/d", "postgresql://u:secret@h", "postgresql://[secret", "secret"])
def test_a_database_that_is_no_postgresql_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="postgresql://USER") as refused:
        postgresql_url(url)
    assert "secret" not in str(refused.value)


@ON_POSTGRESQL
def test_writers_take_turns_and_a_reader_sees_one_moment(house: Any) -> None:
    database = Database(house.database_url)
    database.migrate()
    began, end, wrote = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        began.set()
        with database.write() as session:
            session.execute(select(func.now()))
            assert end.is_set()  # the turn came after the other's end
        wrote.set()

    with database.read() as reader:
        before = reader.scalar(select(func.count()).select_from(RevisionRow))
        with database.write():
            threading.Thread(target=write, daemon=True).start()
            assert began.wait(10)
            assert not wrote.wait(0.2)
            end.set()
        assert wrote.wait(30)
        assert reader.scalar(select(func.count()).select_from(RevisionRow)) == before
    database.close()


def test_a_name_is_held_once_and_forgotten_with_its_process(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "workers", "one")
    with pytest.raises(ConflictError, match="another process"):
        Lease(tmp_path / "workers", "one")
    holds = (
        f"from service.leases import Lease\nfrom pathlib import Path\nLease(Path({str(tmp_path / 'workers')!r}), 'two')"
    )
    code = f"{holds}\nimport sys, time\nprint('held', flush=True)\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert (list(lease.dead()), lease.names()) == ([], {"one", "two"})
        other.kill()
        other.wait()
    assert list(lease.dead()) == ["two"]
    assert (list(lease.dead()), lease.names()) == ([], {"one"})
    lease.close()
    Lease(tmp_path / "workers", "one").close()


def test_one_worker_leads_until_it_ends(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "workers"), Lease(tmp_path / "workers")
    assert (first.leads(), second.leads(), first.leads()) == (True, False, True)
    first.close()
    assert second.leads()
    second.close()


def test_what_one_may_do_at_a_time_waits_for_threads_and_processes_alike(tmp_path: Path) -> None:
    path, done = tmp_path / "lock", threading.Event()

    def take() -> None:
        with exclusive(path):
            done.set()

    with exclusive(path), exclusive(path):
        threading.Thread(target=take, daemon=True).start()
        code = f"import fcntl; fcntl.flock(open({str(path)!r}, 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 1
        assert not done.wait(0.2)
    assert done.wait(30)
