# SPDX-License-Identifier: Apache-2.0
"""Code hosts on the loopback that hold requests to what their documentation says of check runs and statuses."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from joserfc.jwk import RSAKey

APP = "12345"
INSTALLATION = 77
_STATES = {
    "github": {"error", "failure", "pending", "success"},
    "gitea": {"error", "failure", "pending", "success", "warning"},
    "gitlab": {"pending", "running", "success", "failed", "canceled", "skipped"},
}


class Host(ThreadingHTTPServer):
    """``failures`` are answered first; ``lose`` answers are cut off after they took effect."""

    daemon_threads = True

    def __init__(self, kind: str, key: RSAKey | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind = kind
        self.key = key
        self.tokens: dict[str, float] = {}
        self.holds = timedelta(hours=1)
        self.failures: list[int] = []
        self.lose = 0
        self.asked: list[tuple[str, str]] = []
        self.runs: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.proposals: dict[int, dict[str, Any]] = {}
        self.answers: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is cut off is part of the tests."""

    def answer(self, method: str, target: str, headers: Any, body: Any) -> tuple[int, Any]:
        self.asked.append((method, target))
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if self.failures:
            return self.failures.pop(0), {"message": "not now"}
        listed = self._proposals(path, query) if method == "GET" else None
        if listed is not None:
            return listed
        if self.key is not None:
            return self._app(method, path, query, headers, body)
        return self._status(method, path, headers, body)

    def _proposals(self, path: str, query: Any) -> tuple[int, Any] | None:
        """The open pull or merge requests in pages, or one of them, also closed; None for what is none."""
        tail = path.rsplit("/", 1)[1]
        if tail in {"pulls", "merge_requests"}:
            start, size = (int(query["page"][0]) - 1) * int(query["per_page"][0]), int(query["per_page"][0])
            found = [one for _, one in sorted(self.proposals.items()) if one["state"] in {"open", "opened"}]
            return 200, found[start : start + size]
        if "/pulls/" in path or "/merge_requests/" in path:
            return (200, self.proposals[int(tail)]) if int(tail) in self.proposals else (404, {})
        return None

    def _app(self, method: str, path: str, query: Any, headers: Any, body: Any) -> tuple[int, Any]:
        bearer = headers["Authorization"].removeprefix("Bearer ")
        if path == "/repos/tiny/ranker/installation" and method == "GET":
            return (200, {"id": INSTALLATION}) if self._by_app(bearer) else (401, {})
        if path == f"/app/installations/{INSTALLATION}/access_tokens" and method == "POST":
            if not self._by_app(bearer):
                return 401, {}
            until = datetime.now(UTC) + self.holds
            token = f"ghs_{len(self.tokens)}"
            self.tokens[token] = until.timestamp()
            return 201, {"token": token, "expires_at": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if self.tokens.get(bearer, 0) < time.time():
            return 401, {"message": "Bad credentials"}
        return self._installed(method, path, query, body)

    def _installed(self, method: str, path: str, query: Any, body: Any) -> tuple[int, Any]:  # noqa: PLR0911 - one an address
        """What an installation's token may do."""
        if path.startswith("/repos/tiny/ranker/commits/") and path.endswith("/check-runs") and method == "GET":
            sha = path.split("/")[5]
            found = [run for run in self.runs if run["head_sha"] == sha and run["name"] == query["check_name"][0]]
            return 200, {"total_count": len(found), "check_runs": [self._shown(run) for run in found]}
        if path == "/repos/tiny/ranker/check-runs" and method == "POST":
            run = {"id": len(self.runs) + 1, "annotations": [], "conclusion": None}
            if not self._update(run, body):
                return 422, {}
            self.runs.append(run)
            return 201, self._shown(run)
        if path.startswith("/repos/tiny/ranker/check-runs/") and method == "PATCH":
            run = self.runs[int(path.rsplit("/", 1)[1]) - 1]
            return (200, self._shown(run)) if self._update(run, body) else (422, {})
        if path.endswith("/deployment_protection_rule") and method == "POST":
            if body["state"] not in {"approved", "rejected"} or not body["environment_name"]:
                return 422, {}
            self.answers.append((path, body))
            return 204, None
        return 404, {}

    def _by_app(self, bearer: str) -> bool:
        try:
            claims = jwt.decode(bearer, self.key, algorithms=["RS256"]).claims  # type: ignore[arg-type]
        except JoseError:
            return False
        fresh = claims["iat"] <= time.time() < claims["exp"] <= claims["iat"] + 600
        return bool(fresh and claims["iss"] == APP)

    @staticmethod
    def _shown(run: dict[str, Any]) -> dict[str, Any]:
        output = {"title": run["title"], "summary": run["summary"], "annotations_count": len(run["annotations"])}
        names = ("id", "name", "head_sha", "external_id", "status", "conclusion")
        return {name: run[name] for name in names} | {"output": output}

    @staticmethod
    def _update(run: dict[str, Any], body: dict[str, Any]) -> bool:
        output = body["output"]
        marks = output.get("annotations", [])
        levels = {mark["annotation_level"] for mark in marks}
        bad = len(marks) > 50 or not output["title"] or len(output["summary"].encode()) > 65_535
        if bad or not levels <= {"notice", "warning", "failure"} or any(len(m["title"]) > 255 for m in marks):
            return False
        if (body["status"] == "completed") != (body.get("conclusion") is not None):
            return False
        run.update({name: body[name] for name in ("name", "head_sha", "external_id", "status", "details_url")})
        run["conclusion"] = body.get("conclusion")
        run["title"], run["summary"] = output["title"], output["summary"]
        run["annotations"] += marks
        return True

    def _status(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        token = headers.get("PRIVATE-TOKEN") if self.kind == "gitlab" else headers.get("Authorization")
        expected = {"gitlab": "token of the code host", "gitea": "token token of the code host"}
        if token != expected.get(self.kind, "Bearer token of the code host"):
            return 401, {}
        sha = next((part for part in unquote(path).split("/") if len(part) == 40), "")
        if method == "GET":
            words = {"gitlab": ("name", "status"), "gitea": ("context", "status")}.get(self.kind, ("context", "state"))
            told = [one for one in reversed(self.statuses) if one["sha"] == sha]
            return 200, [
                {words[0]: one.get("name") or one["context"], words[1]: one["state"], "description": one["description"]}
                for one in (told[:1] if self.kind == "gitlab" else told)
            ]
        if body["state"] not in _STATES[self.kind] or len(body["description"]) > 255:
            return 422, {}
        if self.kind == "gitlab" and self.statuses and self.statuses[-1]["state"] == body["state"]:
            return 400, {"message": "Cannot transition status via :enqueue from :pending"}
        self.statuses.append(body | {"sha": sha, "path": path})
        return 201, {}


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        status, document = self.server.answer(self.command, self.path, self.headers, body)
        if self.server.lose and self.command != "GET" and "access_tokens" not in self.path:
            self.server.lose -= 1
            self.close_connection = True
            return
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def hosting(kind: str, key: RSAKey | None = None) -> Iterator[Host]:
    server = Host(kind, key)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
