# SPDX-License-Identifier: Apache-2.0
"""Every route, asked for by everybody: nobody, the platform, another platform, who only reads, a reviewer.

The routes are the application's own, so one that is added is walked too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from house import NAME, TOKEN, House, finished, serve

from service.app import create_app
from service.reviews import EvidenceKind

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.sandbox

OURS = {"Authorization": f"Bearer {TOKEN}"}
THEIRS = {"Authorization": "Bearer another platform's token"}
TITLE = "A title that is nobody else's"
COMMIT = "c" * 40
# What needs no sign-in: health, help, signing in, the log and what is published, and what a signature authenticates.
OPEN = ("/livez", "/readyz", "/sign-in", "/sign-out", "/static/", "/style/", "/log/", "/webhooks/", "/words", "/public")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("roles")


@pytest.fixture(scope="module")
def told(place: Any) -> Iterator[TestClient]:
    """A reviewed change and an unfinished upload of one platform, beside another platform that has nothing."""
    house = House(place).build()
    platforms = place / "data" / "platforms.toml"
    other = '[[platforms]]\nname = "other"\nhost = "code.example"\nsubmit_token = "another platform\'s token"\n'
    other += 'webhook_secret = "another secret of sixteen"\nallow_local = true\npanel = "panel"\n'
    other += f'[[platforms.repositories]]\nname = "other/ranker"\nurl = "file://{house.repository}"\n'
    platforms.write_text(platforms.read_text(encoding="utf-8") + other, encoding="utf-8")
    with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        house.deliver(client, house.pull(house.branch("lift", {"rank.py": serve(lift=0.8)}), title=TITLE))
        finished(client)
        yield client


@pytest.fixture(scope="module")
def upload(told: TestClient) -> str:
    """An upload of the platform's that has begun."""
    question = {"repository": NAME, "commit": COMMIT, "path": "models/als.safetensors"}
    begun = told.post(
        "/api/v1/artifacts", params=question, content=b"secret weights", headers={**OURS, "Upload-Complete": "?0"}
    )
    assert begun.status_code == 201, begun.text
    return str(begun.headers["location"].rsplit("/", 1)[1])


def routes(client: TestClient) -> list[tuple[str, str]]:
    """Method and path, with its parameters as they are written, of everything that can be asked for."""
    return [
        (method, found.path or "")
        for found in iter_route_contexts(client.app.routes)  # type: ignore[attr-defined]
        if isinstance(found.original_route, APIRoute)
        for method in sorted(found.methods or ())
    ]


def paths(route: str, change: int, upload: str) -> list[str]:
    """The route with a change's number, an upload's id and every kind of evidence in it."""
    found = [route]
    if "{kind}" in route:
        found = [route.replace("{kind}", kind) for kind in get_args(EvidenceKind)]
    filled = [path.replace("{change_id}", str(change)).replace("{identifier}", upload) for path in found]
    return [re.sub(r"{[^}]*}", "1", path) for path in filled]


def is_open(path: str) -> bool:
    return any(path == one or path.startswith(one if one.endswith("/") else f"{one}/") for one in OPEN)


def test_nobody_is_told_anything(told: TestClient, upload: str) -> None:
    told.cookies.clear()
    closed = [(method, route) for method, route in routes(told) if not is_open(route)]
    assert len(closed) > 40
    for method, route in closed:
        for path in paths(route, 1, upload):
            answer = told.request(method, path, headers={"Accept": "application/json"})
            assert answer.status_code in {401, 303}, (method, path, answer.status_code)
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in"), path


def test_a_platforms_token_opens_no_page(told: TestClient, upload: str) -> None:
    told.cookies.clear()
    for method, route in routes(told):
        if not is_open(route) and not route.startswith("/api/"):
            for path in paths(route, 1, upload):
                answer = told.request(method, path, headers={**OURS, "Accept": "text/html"})
                assert answer.status_code in {401, 303}, (method, path, answer.status_code)


def test_another_platform_is_answered_as_if_there_were_nothing(told: TestClient, upload: str) -> None:
    """The same answer for what is somebody else's and for what there is not: no id tells that it exists."""
    told.cookies.clear()
    walked = 0
    for method, route in routes(told):
        if not route.startswith("/api/"):
            continue
        strangers = paths(route, 987_654, "0" * len(upload))
        for path, stranger in zip(paths(route, 1, upload), strangers, strict=True):
            body = b"" if method in {"GET", "HEAD"} else b'{"text":"words"}'
            answer = told.request(method, path, headers=THEIRS, content=body)
            for secret in (TITLE, NAME, "secret-", "sha256:"):
                assert secret not in answer.text, (method, path, answer.text)
            if path == stranger:
                continue
            walked += 1
            nothing = told.request(method, stranger, headers=THEIRS, content=body)
            assert answer.status_code in {403, 404, 422}, (method, path, answer.status_code)
            assert answer.status_code == nothing.status_code, (method, path)
            assert answer.text.replace(upload, "ID").replace(" 1", " ID") == nothing.text.replace(
                "0" * len(upload), "ID"
            ).replace(" 987654", " ID"), (method, path)
    assert walked > 8


def test_the_platform_sees_what_is_its_own_and_nothing_of_the_panel(told: TestClient, upload: str) -> None:
    told.cookies.clear()
    seen = 0
    for method, route in routes(told):
        if route.startswith("/api/") and method in {"GET", "HEAD"}:
            for path in paths(route, 1, upload):
                answer = told.request(method, path, headers=OURS)
                assert answer.status_code in {200, 204, 403, 404}, (path, answer.status_code)
                seen += TITLE in answer.text
                for secret in ("secret-user", "secret-slice", "secret-panel", '"margin'):
                    assert secret not in answer.text, (path, secret)
    assert seen


def test_the_platform_does_nothing_that_a_reviewer_does(told: TestClient, upload: str) -> None:
    told.cookies.clear()
    own = {"/api/v1/changes", "/api/v1/artifacts", "/api/v1/artifacts/from-url", "/api/v1/uploads/{identifier}",
           "/api/v1/gate-decisions", "/api/v1/rollouts",
           "/api/v1/changes/{change_id}/threads/{thread_id}/replies"}  # fmt: skip
    for method, route in routes(told):
        if route.startswith("/api/") and method not in {"GET", "HEAD"} and route not in own:
            (path,) = paths(route, 1, upload)
            answer = told.request(method, path, headers=OURS, content=b"{}")
            assert (answer.status_code, "sign in" in answer.text) == (403, True), (method, path, answer.text)
