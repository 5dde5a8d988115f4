# SPDX-License-Identifier: Apache-2.0
"""Running the service: logging, the listening socket, and what happens once it answers."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

import httpx2
import structlog
import uvicorn

from evidence import InputError
from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import Settings

_READY_SECONDS = 120.0
_GRACE_SECONDS = 10

log = structlog.get_logger("countersign")


class StandardError(io.TextIOBase):
    """Whatever standard error is now, not at set-up. A line that it does not take is lost, never raised.

    Its reader may be gone, or its disk full: neither may end a review or turn an answer into another one.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logging() -> None:
    """One line an event on standard error, nothing on standard output."""
    logging.basicConfig(level=logging.WARNING, stream=StandardError(), format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.WriteLogger(cast("TextIO", StandardError())),
        cache_logger_on_first_use=False,
    )


def run(settings: Settings, *, when_ready: Callable[[str], None]) -> NoReturn:
    """Serve until a signal ends the process. Work in progress is taken up again at the next start.

    Args:
        settings: what to serve, and where.
        when_ready: called once in a thread of its own when the service answers, with a one-time sign-in link.

    Raises:
        InputError: the address cannot be listened on.
    """
    configure_logging()
    listening = _listen(settings)
    app = create_app(settings)
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
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    # Steps in progress run in threads that Python would wait for; they are taken up again at the next start.
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
