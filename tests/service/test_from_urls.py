# SPDX-License-Identifier: Apache-2.0
"""Artifacts by URL: from below the operator's prefixes and from nowhere else."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import NAME, TOKEN
from pydantic import ValidationError

from service import from_urls
from service.app import create_app
from service.settings import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

CONTENT = b"weights" * 1000


class Store(ThreadingHTTPServer):
    """Gives ``/models/m``, sends elsewhere from ``/models/moved``, and never ends ``/models/endless``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        known = {"/models/m": 200, "/models/moved": 302, "/models/cut": 200}
        self.send_response(known.get(self.path, 404))
        self.send_header("Location", f"{self.server.url}/secret")
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path != "/models/cut" else CONTENT[:7])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(house: Any, store: Store, tmp_path: Path) -> Iterator[TestClient]:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "m").write_bytes(CONTENT)
    (folder / "out").symlink_to(house.place / "data" / "platforms.toml")
    prefixes = f'artifact_prefixes = ["{store.url}/models/", "file://{folder}/", "s3://bucket/models/"]\nallow_local'
    text = house.platforms().replace("allow_local", prefixes)
    (house.place / "data" / "platforms.toml").write_text(text, encoding="utf-8")
    app = create_app(house.settings.model_copy(update={"artifact_bytes": 100_000}))
    yield TestClient(app, base_url="http://127.0.0.1:8000")
    app.state.context.close()


def fetch(client: TestClient, url: str, path: str = "m", **more: Any) -> Any:
    asked = {"repository": NAME, "commit": "a" * 40, "path": path, "url": url} | more
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return client.post("/api/v1/artifacts/from-url", content=json.dumps(asked), headers=headers)


def left(client: TestClient) -> tuple[int, int]:
    """How many files are in place, and how many on the way."""
    data = client.app.state.settings.data  # type: ignore[attr-defined]
    return sum(path.is_file() for path in (data / "artifacts").rglob("*")), len(list((data / "uploads").iterdir()))


def test_what_is_below_a_prefix_is_fetched_by_http_and_by_fsspec(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    known = hashlib.sha256(CONTENT).hexdigest()
    for number, url in enumerate((f"{store.url}/models/m", f"file://{tmp_path}/shared/m")):
        got = fetch(client, url, f"m{number}", sha256=known)
        assert (got.status_code, got.json()["sha256"]) == (201, known)
    assert fetch(client, f"{store.url}/models/m", "m2", sha256="0" * 64).status_code == 422
    assert left(client) == (2, 0)


def test_what_is_not_below_a_prefix_is_refused_and_nobody_is_asked(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    at = store.url
    for url in (
        f"{at}/secret", f"{at}/models", f"{at}/models/", f"{at}/models/../secret", f"{at}/models/%2e%2e/secret",
        f"{at}/models/..%2fsecret", f"{at}/models/a//b", f"{at}/models/m?x=1", f"{at}/models/m#x",
        f"{at}/models/\\..\\secret", f"{at}/models/m\n", f"{at.replace('//', '//x@')}/models/m",
        f"{at.replace('127.0.0.1', 'localhost')}/models/m", f"{at}0/models/m", at.upper() + "/models/m",
        "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", f"file://{tmp_path}/shared/../repository/x",
        f"file://{tmp_path}/shared/out", f"simplecache::{at}/models/m", f"{at}/models/m::file:///etc/passwd",
        "s3://bucket/other/m", "", "x" * 1900,
    ):  # fmt: skip
        answer = fetch(client, url)
        assert (answer.status_code, "\n" in answer.json()["detail"]) == (422, False), url
    assert (store.asked, left(client)) == ([], (0, 0))


def test_a_redirect_a_missing_file_and_a_cut_one_leave_nothing(client: TestClient, store: Store) -> None:
    codes = [fetch(client, f"{store.url}/models/{name}").status_code for name in ("moved", "none", "cut")]
    assert codes == [422, 422, 503]
    assert "/secret" not in store.asked
    assert fetch(client, "s3://bucket/models/m").status_code == 422  # no package for it here
    assert left(client) == (0, 0)


def test_a_file_over_the_limit_and_one_that_takes_too_long_leave_nothing(
    client: TestClient, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared" / "large").write_bytes(b"x" * 100_001)
    assert fetch(client, f"file://{tmp_path}/shared/large").status_code == 413
    monkeypatch.setattr(from_urls, "SECONDS", -1.0)
    assert fetch(client, f"{store.url}/models/m").status_code == 503
    assert left(client) == (0, 0)


def test_a_private_address_is_refused_unless_the_operator_allows_it(client: TestClient, store: Store) -> None:
    state = client.app.state  # type: ignore[attr-defined]
    public = state.platforms[0].model_copy(update={"allow_local": False})
    state.platforms = (public,)
    answer = fetch(client, f"{store.url}/models/m")
    assert (answer.status_code, "not public" in answer.json()["detail"]) == (422, True)
    assert (store.asked, left(client)) == ([], (0, 0))


@pytest.mark.parametrize(
    ("prefix", "local"),
    [("http://x/", False), ("file:///srv/", False), ("https://x", True), ("ftp://x/", True), ("https://u:p@x/", True)],
)
def test_a_prefix_that_cannot_be_used_is_refused_at_the_start(prefix: str, local: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    document = {"name": "p", "panel": tmp_path, "repository_prefix": "https://x/p/", "allow_local": local}
    with pytest.raises(ValidationError, match="artifact_prefixes"):
        Platform.model_validate(document | {"artifact_prefixes": [prefix]})
