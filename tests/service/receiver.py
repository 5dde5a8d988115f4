# SPDX-License-Identifier: Apache-2.0
"""A server on the loopback that takes webhooks, or does not, as a test says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, truly").decode()


class Receiver(ThreadingHTTPServer):
    """Answers ``answers`` first, each a status and headers, then 204. ``effects`` is what it made of it, by id."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.effects: dict[str, dict[str, Any]] = {}
        self.silent = threading.Event()  # set: take the request and never answer
        self.got = threading.Event()
        self.done = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.requests]

    @property
    def types(self) -> list[str]:
        return [body["type"] for body in self.effects.values()]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is cut off is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more = self.server.answers.pop(0) if self.server.answers else (204, {})
        if status == 204:
            self.server.effects.setdefault(headers["webhook-id"], json.loads(body))
        self.server.requests.append((self.path, headers, body))
        self.server.got.set()
        if self.server.silent.is_set():
            self.server.done.wait(60)
            return
        self.send_response(status)
        for name, value in {"Content-Length": "0", **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.done.set()
        server.shutdown()
        server.server_close()


def signed_by(headers: dict[str, str], body: bytes, key: bytes) -> bool:
    """Whether one of the signatures is by this key, as the specification says, told by itself."""
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    made = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return f"v1,{made}" in headers["webhook-signature"].split(" ")
