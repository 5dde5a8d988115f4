# SPDX-License-Identifier: Apache-2.0
"""Running the service: the listening socket, what happens once it answers, and how it goes out of work."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import httpx2
import structlog
import uvicorn

from evidence import InputError
from service import trust
from service.app import create_app
from service.context import Context
from service.journal import StandardError, configure_logging
from service.metrics import registry
from service.operators import OperatorsBind
from service.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from service.settings import Settings

_READY_SECONDS = 120.0
_GRACE_SECONDS = 10

log = structlog.get_logger("countersign")


class _Server(uvicorn.Server):
    """Goes on answering while it drains: steps in progress end first, and ``/readyz`` says so. A second signal cuts."""

    def __init__(self, config: uvicorn.Config, worker: Worker, seconds: float) -> None:
        super().__init__(config)
        self._worker = worker
        self._seconds = seconds
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to drain, or at the second signal end at once."""
        if self._told:
            self.should_exit = self.force_exit = True
            return
        self._told = True
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def _drain(self) -> None:
        try:
            self._worker.drain(self._seconds)
        finally:
            self.should_exit = True


def run(settings: Settings, *, when_ready: Callable[[str], None]) -> NoReturn:
    """Serve until a signal ends the process, which first drains. The rest is taken up again at the next start.

    Args:
        settings: what to serve, and where.
        when_ready: called once in a thread of its own when the service answers, with a one-time sign-in link.

    Raises:
        InputError: the address cannot be listened on.
        ConflictError: another process works on the data folder.
    """
    configure_logging(settings.log_format, settings.log_level)
    listening = _listen(settings)
    app = create_app(settings)
    worker = app.state.worker
    figures = operators_bind(settings, app.state.context, worker)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )

    def ready() -> None:
        if _answers(settings):
            token = app.state.accounts.link(settings.reviewer_id)
            when_ready(f"{settings.url}/sign-in?token={token}")

    threading.Thread(target=ready, name="ready", daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, SystemExit):  # the latter where the worker could not start
        _Server(config, worker, settings.drain_seconds).run(sockets=[listening])
    if figures is not None:
        figures.close()
    if app.state.refused is not None:
        raise app.state.refused
    leave()


def work(settings: Settings) -> NoReturn:
    """Work beside other processes on the same database and data folder until a signal ends it, which first drains.

    Raises:
        InputError: no PostgreSQL is configured; SQLite has one worker, the service itself.
    """
    configure_logging(settings.log_format, settings.log_level)
    if settings.database_url is None:
        raise InputError("countersign worker works beside others on a PostgreSQL: set COUNTERSIGN_DATABASE_URL")
    context = Context.open(settings.model_copy(update={"work": True}))
    trust.prepare(context)
    worker = Worker(context)
    told = threading.Event()

    def tell(_signal: int, _frame: FrameType | None) -> None:
        if told.is_set():
            leave()
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    figures = operators_bind(settings, context, worker)
    worker.start()
    log.info("working", audits=settings.concurrency)
    told.wait()
    worker.drain(settings.drain_seconds)
    worker.stop()
    if figures is not None:
        figures.close()
    leave()


def operators_bind(settings: Settings, context: Context, worker: Worker) -> OperatorsBind | None:
    """The operator's bind, listening; None where the settings name no port for it. InputError if it cannot be had."""
    if settings.metrics_port is None:
        return None
    figures = registry(context, worker.gate)
    return OperatorsBind(settings.metrics_host, settings.metrics_port, figures, worker.readiness)


def leave() -> NoReturn:
    """End the process. Steps cut off run in threads that Python would wait for; they are taken up again later."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    StandardError().flush()
    os._exit(0)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        place = f"{settings.host}:{settings.port}"
        raise InputError(f"cannot listen on {place}: {error.strerror}; choose another --port") from error
    listening.set_inheritable(False)
    return listening


def _answers(settings: Settings) -> bool:
    """Wait until the service answers; False if it does not in two minutes."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", ""} else settings.host  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/livez"
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, timeout=2.0, trust_env=False).is_success:
                return True
        time.sleep(0.1)
    return False
