# SPDX-License-Identifier: Apache-2.0
"""Asking another server, or telling it: only where the operator said, through no redirect, never more than a limit.

What a name resolves to is looked at and then connected to, so that it cannot be another address in between. Addresses
that are not of the public internet are refused unless the operator allows them for that server.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx2

from evidence import InputError, SandboxMissingError, TooLargeError, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evidence import Json

MAX_DOCUMENT = 4 << 20
_TIMEOUT = httpx2.Timeout(10.0)
_ASKING = 60.0  # seconds for a question, answer read
_OK = 200
_WITH_DOCUMENT = frozenset({200, 201})
_DIGITS = 8
_REDIRECTS = range(300, 400)
_WITHIN = tuple(ipaddress.ip_network(one) for one in ("64:ff9b::/96", "2002::/16", "2001::/32"))  # carry IPv4 inside


class UnansweredError(SandboxMissingError):
    """Another server does not answer, or not now. That may pass."""

    problem = "unanswered"


class _Deadline:
    """Ends a connection once its time is up: a limit on each read alone lets a server take for ever, byte by byte."""

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._over = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Learn of the connection, as the client's ``trace`` extension tells of it."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._over:
                    self._shut()

    def _cut(self) -> None:
        with self._lock:
            self._over = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Pinned(httpx2.HTTPTransport):
    """Connects to the address that was looked at; certificate and Host stay those of the name."""

    def __init__(self, *, private: bool) -> None:
        super().__init__(verify=ssl.create_default_context())
        self._private = private

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Resolve, look, connect."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        address = resolved(host, port, private=self._private)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return super().handle_request(request)


def resolved(host: str, port: int, *, private: bool = False) -> str:
    """An address of ``host``.

    Raises:
        UnansweredError: it has none.
        InputError: one of its addresses is not of the public internet, and ``private`` does not allow that.
    """
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise UnansweredError(f"{host[:200]}: no such host") from error
    for address in found:
        if not private and not is_public(address):
            raise InputError(f"{host[:200]} has an address that is not public: allow_local = true if it is meant")
    return found[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; what carries another address inside is not."""
    one = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(one, "ipv4_mapped", None)
    if mapped is not None:
        one = mapped
    return one.is_global and not one.is_multicast and not any(one in network for network in _WITHIN)


@contextmanager
def answered(
    url: str,
    *,
    method: str = "GET",
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    private: bool = False,
    seconds: float | None = None,
) -> Iterator[httpx2.Response]:
    """The answer to a request, its body unread; with ``seconds``, all of it has to be over by then.

    Raises:
        UnansweredError: no answer in time, or the connection broke.
        InputError: a redirect, or an address that is not allowed.
    """
    transport = _Pinned(private=private)
    try:
        with (
            contextlib.ExitStack() as limits,
            httpx2.Client(transport=transport, timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client,
        ):
            extensions = {} if seconds is None else {"trace": limits.enter_context(_Deadline(seconds)).trace}
            given = dict(headers or {})
            with client.stream(method, url, headers=given, content=content, extensions=extensions) as answer:
                if answer.status_code in _REDIRECTS:
                    raise InputError(f"{url[:200]} leads elsewhere, which is not followed: name the place itself")
                yield answer
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UnansweredError(f"{url[:200]}: {type(error).__name__}") from error


def get_json(url: str, *, headers: Mapping[str, str] | None = None, private: bool = False) -> tuple[int, Json]:
    """Status and JSON document of a GET; None instead of the document of what is not 200.

    Raises:
        UnansweredError, InputError: as `answered`, or no JSON.
        TooLargeError: over ``MAX_DOCUMENT``.
    """
    with answered(url, headers=headers, private=private, seconds=_ASKING) as answer:
        if answer.status_code != _OK:
            return answer.status_code, None  # what else it says is not read: it need not end
        return _OK, read_json(answer, url)


def read_json(answer: httpx2.Response, url: str) -> Json:
    """The JSON document of an answer. Raises as `get_json`."""
    body = bytearray()
    for chunk in answer.iter_bytes(1 << 16):
        body += chunk
        if len(body) > MAX_DOCUMENT:
            raise TooLargeError(f"{url[:200]}: over the limit of {MAX_DOCUMENT} bytes")
    return parse_json(bytes(body), url[:200])


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What was answered: its status, its JSON document (None where it has none), and the wait that it asks for."""

    status: int
    document: Json
    wait: float


def exchanged(method: str, url: str, document: Json, *, headers: Mapping[str, str], private: bool = False) -> Exchanged:
    """Ask or tell an API by JSON. Of what failed, and of what is no JSON, there is no document.

    Raises:
        UnansweredError, InputError: as `answered`, or an answer of 200 or 201 that is no JSON.
        TooLargeError: over ``MAX_DOCUMENT``.
    """
    content = None if document is None else json.dumps(document).encode()
    more = {} if content is None else {"Content-Type": "application/json"}
    with answered(
        url, method=method, content=content, headers={**headers, **more}, private=private, seconds=_ASKING
    ) as answer:
        wait = asked_wait(answer)
        if answer.status_code not in _WITH_DOCUMENT:
            return Exchanged(answer.status_code, None, wait)
        return Exchanged(answer.status_code, read_json(answer, url), wait)


def asked_wait(answer: httpx2.Response) -> float:
    """The seconds that ``Retry-After`` asks for; 0 without it. Its other form, a date, is not read."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0.0
