# SPDX-License-Identifier: Apache-2.0
"""Signing in, staying signed in, and what other sites and other platforms cannot do."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from command import runner
from fastapi.routing import APIRoute, iter_route_contexts
from house import finished, serve

from service import accounts, arrivals
from service.accounts import COOKIE

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

OPEN = (
    "/livez",
    "/readyz",
    "/sign-in",
    "/static/",
    "/style/",
    "/log/checkpoint",
    "/log/tile/",
    "/log/proof/",
    "/words",
    "/public",
)
HTML = {"Accept": "text/html"}


@pytest.fixture
def client(idle: TestClient) -> TestClient:
    return idle


def link(client: TestClient) -> str:
    """A new one-time link's path."""
    return f"/sign-in?token={client.app.state.accounts.link('reviewer')}"  # type: ignore[attr-defined]


def in_the_roots(client: TestClient, *roles: str) -> None:
    """The reviewer, with these roles from now on."""
    path = client.app.state.context.roots  # type: ignore[attr-defined]
    document = json.loads(path.read_bytes())
    document["people"] = [{"id": "reviewer", "name": "Reviewer", "organization": "independent", "roles": list(roles)}]
    path.write_text(json.dumps(document), encoding="utf-8")


def requests_of(client: TestClient) -> list[tuple[str, str]]:
    """Method and path of everything that can be asked for, with 1 for whatever stands in a path."""
    return [
        (method, re.sub(r"{[^}]*}", "1", found.path or ""))
        for found in iter_route_contexts(client.app.routes)  # type: ignore[attr-defined]
        if isinstance(found.original_route, APIRoute)
        for method in sorted(found.methods or ())
    ]


def test_a_link_signs_in_once(client: TestClient) -> None:
    path = link(client)
    first = client.get(path)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.get("/", headers=HTML).status_code == 200
    client.cookies.clear()
    again = client.get(path, headers=HTML)
    assert again.status_code == 401
    assert COOKIE not in client.cookies


def test_a_new_link_ends_the_unused_one_before(client: TestClient) -> None:
    old, new = link(client), link(client)
    assert client.get(old).status_code == 401
    assert client.get(new).status_code == 303


def test_a_link_and_a_session_end_with_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    late, path = link(client), None
    monkeypatch.setattr(accounts, "now", lambda: arrivals.now() + timedelta(hours=25))
    assert client.get(late).status_code == 401
    monkeypatch.undo()
    path = link(client)
    assert client.get(path).status_code == 303
    monkeypatch.setattr(accounts, "now", lambda: arrivals.now() + timedelta(hours=13))
    assert client.get("/", headers=HTML).status_code == 303


def test_looking_at_a_link_with_head_does_not_use_it_up(client: TestClient) -> None:
    path = link(client)
    client.head(path)
    assert client.get(path).status_code == 303


def test_signing_out_ends_the_session_on_the_server(browser: TestClient) -> None:
    cookie = browser.cookies[COOKIE]
    assert browser.post("/sign-out").status_code == 303
    browser.cookies.set(COOKIE, cookie)
    assert browser.get("/", headers=HTML).status_code == 303


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_link_leads_nowhere_else(client: TestClient, target: str) -> None:
    assert client.get(f"{link(client)}&next={quote(target)}").headers["location"] == "/"


def test_who_is_not_signed_in_is_sent_to_sign_in_and_the_api_answers_401(client: TestClient) -> None:
    page = client.get("/changes/1", headers=HTML)
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/changes/1")
    api = client.get("/api/v1/changes")
    assert api.status_code == 401
    assert api.headers["content-type"] == "application/problem+json"
    assert "Bearer" in api.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 303),
        ({"Origin": "http://127.0.0.1:8000"}, 303),
        ({}, 303),
    ],
)
def test_a_form_of_another_site_is_refused(browser: TestClient, headers: dict[str, str], status: int) -> None:
    assert browser.post("/sign-out", headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/sign-in", "/livez", "/nowhere", "/api/v1/changes", "/log/checkpoint", "/static/x"])
def test_every_answer_has_the_strict_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_a_large_form_is_refused_before_it_is_read(client: TestClient) -> None:
    answer = client.post("/changes/1/revisions/1/sign", content=b"x" * 3_000_000, headers=HTML)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["../keys/log.key", "entries/../../../keys/log.key", "0/000/..", "%2e%2e/keys/log.key"]
)
def test_the_public_log_serves_tiles_and_nothing_else(client: TestClient, path: str) -> None:
    assert client.get(f"/log/tile/{path}").status_code == 404


def test_health_is_for_everybody(running: TestClient) -> None:
    assert running.get("/livez").json() == {"status": "alive"}
    assert running.get("/readyz").json() == {"status": "ready"}


def test_openapi_and_its_pages_are_not_served(client: TestClient) -> None:
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 404]


def test_a_session_is_not_kept_in_clear(browser: TestClient, house: Any) -> None:
    kept = b"".join(path.read_bytes() for path in (house.place / "data").glob("countersign.sqlite*"))
    assert browser.cookies[COOKIE].encode() not in kept


@pytest.mark.parametrize("roles", [("auditor",), ("regulator", "submitter"), ("administrator",)])
def test_who_only_reads_can_ask_for_everything_and_change_nothing(browser: TestClient, roles: tuple[str, ...]) -> None:
    """Every route that there is: the session was begun before the roots gave these roles."""
    in_the_roots(browser, *roles)
    changing = [(method, path) for method, path in requests_of(browser) if method not in {"GET", "HEAD"}]
    own = {
        "/sign-out",
        *(path for _, path in changing if path.startswith("/webhooks/")),
    }  # one's own session, and what a signature authenticates
    assert own < {path for _, path in changing}
    assert len(changing) > len(own) + 5
    for method, path in changing:
        if path not in own:
            answer = browser.request(method, path, headers={"Accept": "application/json"})
            assert (answer.status_code, "only reads" in answer.text) == (403, True), (method, path, answer.text)
    for method, path in requests_of(browser):
        if method == "GET" and path != "/sign-in":
            assert browser.get(path, headers={"Accept": "application/json"}).status_code not in {401, 403}, path
    assert browser.post("/sign-out").status_code == 303


def test_a_submitter_is_shown_no_page(
    browser: TestClient, house: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pages show the panel: also to a session that was begun before the roots gave this role."""
    in_the_roots(browser, "submitter")
    walked = 0
    for method, path in requests_of(browser):
        if method == "GET" and not path.startswith(OPEN):
            answer = browser.get(path, headers={"Accept": "application/json"})
            assert (answer.status_code, "is a submitter" in answer.text) == (403, True), (path, answer.text)
            walked += 1
    assert walked > 20
    refused = runner(monkeypatch, capfd, "keys")("open-session", "reviewer", "--data", house.place / "data")
    assert (refused.status, "is a submitter" in refused.err) == (2, True)
    assert browser.post("/sign-out").status_code == 303


@pytest.mark.parametrize("roles", [(), ("reviewer", "auditor"), ("panel-owner",)])
def test_who_has_a_role_that_does_more_is_let_to_every_route(browser: TestClient, roles: tuple[str, ...]) -> None:
    if roles:
        in_the_roots(browser, *roles)
    for method, path in requests_of(browser):
        if method == "POST" and path != "/sign-out":
            assert "only reads" not in browser.post(path, headers={"Accept": "application/json"}).text, path


def test_a_form_of_who_only_reads_is_answered_by_a_page(browser: TestClient) -> None:
    in_the_roots(browser, "auditor")
    answer = browser.post("/changes/1/revisions/1/findings/1/answer", headers=HTML)
    assert (answer.status_code, "only reads" in answer.text) == (403, True)
    assert "Reviewer" in answer.text


@pytest.mark.sandbox
def test_who_only_reads_sees_no_form_but_sign_out(house: Any, running: TestClient) -> None:
    """On every page of a change with findings to answer: what a reviewer may send, an auditor is not offered."""
    house.deliver(running, house.pull(house.branch("lift", {"rank.py": serve(lift=0.8)})))
    finished(running)
    token = running.app.state.accounts.link("reviewer")  # type: ignore[attr-defined]
    running.get(f"/sign-in?token={token}")
    at = "/changes/1/revisions/1"
    pages = ["/", at, f"{at}/files", f"{at}/behavior", f"{at}/sign", "/log", "/people", "/policy", "/passkeys"]
    before = {path: forms(running.get(path).text) for path in pages}
    offered = {action.removeprefix(at) for actions in before.values() for action in actions}
    assert {"/sign", "/viewed", "/again", "/sign-out"} < offered
    assert any(action.endswith("/answer") for action in offered)
    in_the_roots(running, "auditor")
    for path in pages:
        page = running.get(path)
        assert (page.status_code, forms(page.text)) == (200, ["/sign-out"]), path
        assert "reads only" in page.text


def forms(html: str) -> list[str]:
    """Where the forms of a page go that change something; who only reads may search."""
    tags = [form.split(">")[0] for form in html.split("<form")[1:]]
    return [action for tag in tags if 'method="get"' not in tag for action in re.findall(r'action="([^"]*)"', tag)]


def test_a_session_is_opened_for_who_only_reads_and_for_nobody_else(
    house: Any, idle: TestClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = runner(monkeypatch, capfd, "keys")
    in_the_roots(idle, "auditor", "regulator")
    opened = run("open-session", "reviewer", "--data", house.place / "data")
    assert opened.status == 0, opened.err
    assert idle.get(opened.out.strip().removeprefix("http://127.0.0.1:8000")).status_code == 303
    page = idle.get("/")
    assert (page.status_code, "reads only" in page.text) == (200, True)
    assert run("open-session", "nobody", "--data", house.place / "data").status == 2
    in_the_roots(idle, "auditor", "reviewer")
    more = run("open-session", "reviewer", "--data", house.place / "data")
    assert (more.status, "does more than read" in more.err) == (2, True)
