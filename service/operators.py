# SPDX-License-Identifier: Apache-2.0
"""The operator's own bind: ``/metrics``, ``/livez`` and ``/readyz``, beside the service and never through its proxy."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

_SECONDS = 10


class _Quiet(WSGIRequestHandler):
    """Writes no line for every scrape, and waits for nobody for ever."""

    timeout = _SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server6(ThreadingWSGIServer):
    address_family = socket.AF_INET6


class OperatorsBind:
    """Listens from the start on; requests are answered in threads of their own.

    Raises:
        InputError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, readiness: Callable[[], str]) -> None:
        kind = _Server6 if ":" in host else ThreadingWSGIServer
        try:
            self._server = make_server(host, port, _application(registry, readiness), kind, _Quiet)
        except OSError as error:
            place = f"{host}:{port}"
            raise InputError(
                f"cannot listen on {place}: {error.strerror}; choose another COUNTERSIGN_METRICS_PORT"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="operators", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=_SECONDS)


def _application(registry: CollectorRegistry, readiness: Callable[[], str]) -> WSGIApplication:
    metrics = make_wsgi_app(registry)

    def application(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO")
        if environment.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return _say(start, "405 Method Not Allowed", {"status": "only GET"})
        if path == "/metrics":
            exposed: Iterable[bytes] = metrics(environment, start)
            return exposed
        if path == "/livez":
            return _say(start, "200 OK", {"status": "alive"})
        if path == "/readyz":
            ready = readiness()
            return _say(start, "200 OK" if ready == "ready" else "503 Service Unavailable", {"status": ready})
        return _say(start, "404 Not Found", {"status": "here are /metrics, /livez and /readyz"})

    return application


def _say(start: StartResponse, status: str, document: dict[str, str]) -> list[bytes]:
    body = json.dumps(document).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
