# SPDX-License-Identifier: Apache-2.0
"""One worker a process, a log line that nobody takes, a workflow that ended the process too often."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from fastapi.testclient import TestClient
from house import finished
from sqlalchemy import create_engine, text

from evidence import ConflictError
from service import progress, steps
from service.app import create_app
from service.journal import configure_logging
from service.life import State
from service.views import ReviewError
from service.workflows import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.settings import Settings


@pytest.fixture
def logging_configured() -> Iterator[None]:
    configure_logging()
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_configured")
def test_a_line_that_standard_error_does_not_take_is_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    log = structlog.get_logger("countersign")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log.warning("nobody hears this")
    with contextlib.suppress(OSError), Path("/dev/full").open("w", encoding="utf-8") as full:  # closing it fails too
        monkeypatch.setattr(sys, "stderr", full)
        log.warning("nobody hears this either")
        monkeypatch.undo()
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    log.warning("this is heard")
    assert "this is heard" in heard.getvalue()


def test_a_second_worker_in_the_process_is_refused_and_the_first_goes_on(
    house: Any, running: TestClient, tmp_path: Path
) -> None:
    settings: Settings = house.settings.model_copy(update={"data_dir": tmp_path / "other"})
    other = create_app(settings)
    with pytest.raises(ConflictError, match="already"):
        other.state.worker.start()
    other.state.context.close()
    house.deliver(running, house.pull(house.git("rev-parse", "main")))
    assert finished(running).state is State.FAILED


@pytest.mark.sandbox
@pytest.mark.parametrize("left", [("MAX_RECOVERY_ATTEMPTS_EXCEEDED", VERSION), ("PENDING", "workflows-0")])
def test_a_review_that_was_done_stays_done_though_its_workflow_did_not_end(house: Any, left: tuple[str, str]) -> None:
    """As when the process was killed after the verdict, over and over or before an upgrade."""
    with TestClient(create_app(house.settings)) as client:
        house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
        assert finished(client).state is State.READY
        before = progress.job(client.app.state.context.database, 1)  # type: ignore[attr-defined]
    engine = create_engine(f"sqlite:///{house.place}/data/dbos.sqlite")
    with engine.begin() as connection:
        left_so = "UPDATE workflow_status SET status = :status, application_version = :version WHERE name = 'arrival'"
        assert connection.execute(text(left_so), {"status": left[0], "version": left[1]}).rowcount == 1
    with TestClient(create_app(house.settings)) as client:
        assert finished(client).state is State.READY
        assert progress.job(client.app.state.context.database, 1) == before  # type: ignore[attr-defined]
    with engine.begin() as connection:
        unfinished = "SELECT count(*) FROM workflow_status WHERE status IN ('PENDING', 'ENQUEUED') AND name = 'arrival'"
        assert connection.execute(text(unfinished)).scalar() == 0
    engine.dispose()


@pytest.mark.sandbox
@pytest.mark.parametrize("state", [State.READY, State.SIGNED, State.REVOKED])
def test_a_last_step_that_is_done_again_leaves_a_review_and_its_votes_as_they_are(
    house: Any, running: TestClient, state: State
) -> None:
    """As when the process was killed after the verdict was stored and before the step was noted as done."""
    context = running.app.state.context  # type: ignore[attr-defined]
    house.deliver(running, house.pull(house.branch("quiet", {"README": "words\n"})))
    before = finished(running)
    if state is not State.READY:
        assert progress.advance(context.database, 1, state)
    job = progress.job(context.database, 1)
    steps.take_audit(context, 1, {"audit": "", "public": ""})
    assert steps.conclude(context, 1) == job.verdict == before.verdict
    assert not progress.fail(context.database, 1, ReviewError("internal", "it failed", "it failed"))
    assert progress.job(context.database, 1) == job
