# SPDX-License-Identifier: Apache-2.0
"""A change goes from webhook to verdict; what goes wrong is one line, and the service goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from house import ANSWER, MANIFEST, finished, serve, until

from evidence import Verdict
from service.app import create_app
from service.life import State

pytestmark = pytest.mark.sandbox


def test_a_change_that_does_nothing_passes(house: Any, client: TestClient) -> None:
    head = house.branch("quiet", {"rank.py": "# a comment\n" + serve()})
    assert house.deliver(client, house.pull(head, title="Quiet")).status_code == 202
    view = finished(client)
    assert (view.state, view.verdict, view.error) == (State.READY, Verdict.PASS, None)
    assert [event.what for event in view.timeline] == ["received", "fetched", "diffed", "audited", "ready"]
    assert view.manifest is not None
    assert view.manifest["head"]["commit"] == head


def test_a_lift_fails(house: Any, client: TestClient) -> None:
    head = house.branch("lift", {"rank.py": serve(lift=0.8)})
    house.deliver(client, house.pull(head))
    view = finished(client)
    assert view.verdict is Verdict.FAIL
    assert view.audit is not None
    assert {cell["verdict"] for cell in view.audit["cells"] if cell["family"] == "primary"} == {"amplified"}


def test_a_new_head_supersedes_the_old_revision(house: Any, client: TestClient) -> None:
    first, second = (house.branch(name, {"rank.py": f"# {name}\n{serve()}"}) for name in ("one", "two"))
    house.deliver(client, house.pull(first))
    finished(client)
    house.deliver(client, house.pull(second, action="synchronize"))
    assert finished(client, n=2).state is State.READY
    assert finished(client, n=1).state is State.SUPERSEDED


def test_a_revision_superseded_in_the_middle_is_not_concluded(house: Any, client: TestClient) -> None:
    slow = serve(body="import time; time.sleep(0.05); " + ANSWER)
    house.deliver(client, house.pull(house.branch("one", {"rank.py": slow})))
    until(client, lambda view: view.state is State.DIFFED)
    house.deliver(client, house.pull(house.branch("two", {"README": "two\n"}), action="synchronize"))
    assert finished(client, n=2).state is State.READY
    view = finished(client, n=1)
    assert (view.state, view.verdict, view.error) == (State.SUPERSEDED, None, None)
    assert [event.what for event in view.timeline][-1] == "superseded by revision 2"


@pytest.mark.parametrize(
    ("files", "error_class", "words"),
    [
        ({"countersign.toml": None}, "bad-manifest", "countersign.toml"),
        ({"countersign.toml": "[recommender\n"}, "bad-manifest", "not valid TOML"),
    ],
)
def test_a_head_that_cannot_be_loaded_fails_the_revision_with_one_line(
    house: Any, client: TestClient, files: dict[str, str | None], error_class: str, words: str
) -> None:
    house.deliver(client, house.pull(house.branch("broken", files)))
    view = finished(client)
    assert view.state is State.FAILED
    assert view.error is not None
    assert view.error.error_class == error_class
    assert words in view.error.public
    assert "\n" not in view.error.public
    assert view.diff is not None


def test_an_unknown_head_fails_and_the_next_change_is_reviewed(house: Any, client: TestClient) -> None:
    house.deliver(client, house.pull("0123456789" * 4))
    view = finished(client)
    assert view.error is not None
    assert view.error.error_class == "bad-repository"
    assert view.error.public == f"ref '{'0123456789' * 4}' names no commit"
    assert str(house.place) in view.error.detail
    house.deliver(client, house.pull(house.branch("next", {"README": "x\n"}), number=2))
    assert finished(client, change=2).state is State.READY


def test_base_equal_to_head_is_said(house: Any, client: TestClient) -> None:
    house.deliver(client, house.pull(house.git("rev-parse", "main")))
    view = finished(client)
    assert view.error is not None
    assert "nothing to review" in view.error.public


def test_an_empty_repository_is_said(house: Any, client: TestClient) -> None:
    payload = house.pull("a" * 40)
    (house.repository / ".git").rename(house.place / "gone")
    house.git("init", "-q", "-b", "main")
    house.deliver(client, payload)
    view = finished(client)
    assert view.state is State.FAILED
    assert view.error is not None
    assert "empty" in view.error.public


def test_a_base_that_is_not_on_the_target_branch_is_not_believed(house: Any, client: TestClient) -> None:
    """A payload that names the head's own parent as base would hide every commit but the last."""
    hidden = house.branch("topic", {"rank.py": serve(lift=0.8)})
    house.git("checkout", "-q", "topic")
    head = house.commit({"README": "harmless\n"}, "Harmless")
    house.git("checkout", "-q", "main")
    payload = house.pull(head)
    payload["pull_request"]["base"]["sha"] = hidden
    house.deliver(client, payload)
    view = finished(client)
    assert view.base_commit == house.git("rev-parse", "main")
    assert view.verdict is Verdict.FAIL


def test_a_submitters_base_off_the_target_branch_is_refused_in_one_line(house: Any, client: TestClient) -> None:
    hidden = house.branch("topic", {"rank.py": serve(lift=0.8)})
    house.git("checkout", "-q", "topic")
    head = house.commit({"README": "harmless\n"}, "Harmless")
    house.git("checkout", "-q", "main")
    body = {"repository": "tiny/ranker", "base": hidden, "head": head}
    headers = {"Authorization": "Bearer a token of the platform"}
    assert client.post("/api/v1/changes", json=body, headers=headers).status_code == 202
    view = finished(client)
    assert view.state is State.FAILED
    assert view.error is not None
    assert view.error.public == f"base {hidden[:12]} is not on refs/heads/main: start where the change is to go"


@pytest.mark.parametrize(
    ("files", "error_class"),
    [
        ({"countersign.toml": MANIFEST.replace("rank:load", "missing:load")}, "module-missing"),
        ({"rank.py": serve(body="raise ValueError(requests)")}, "raised"),
        ({"rank.py": serve(body="return [['i1'] * k for request in requests]")}, None),
        ({"rank.py": serve(body="return [['nothing'] * k for request in requests]")}, None),
        ({"rank.py": serve(body="import os; os._exit(3)")}, "exited"),
        ({"rank.py": serve(body="return bytearray(1 << 42)")}, "memory"),
        ({"rank.py": serve(body="import os, time; [os.fork() or time.sleep(60) for _ in range(200)]")}, "processes"),
        ({"rank.py": serve(body="open('/tree/rank.py', 'a').write(repr(requests))")}, "write-refused"),
    ],
)
def test_a_recommender_that_fails_is_a_finding_without_panel_data_for_the_submitter(
    house: Any, client: TestClient, files: dict[str, str], error_class: str | None
) -> None:
    house.deliver(client, house.pull(house.branch("bad", files)))
    view = finished(client)
    assert view.state is State.READY
    assert view.verdict is not Verdict.PASS
    assert any(finding["rule"] == "recommender-failed" for finding in view.findings)
    headers = {"Authorization": "Bearer a token of the platform"}
    shown = [
        client.get(f"/api/v1/changes/1/revisions/1{path}", headers=headers)
        for path in ("", "/evidence/diff", "/evidence/audit")
    ]
    assert all(answer.status_code == 200 for answer in shown)
    public = "".join(answer.text for answer in shown)
    assert "secret" not in public
    if error_class is not None:
        assert shown[-1].json()["error_class"] == error_class


def test_a_recommender_that_tries_to_connect_is_a_finding_whatever_it_answers(house: Any, client: TestClient) -> None:
    body = "import socket; socket.socket().connect_ex(('198.51.100.7', 443)); " + ANSWER
    house.deliver(client, house.pull(house.branch("call-home", {"rank.py": serve(body=body)})))
    view = finished(client)
    assert view.state is State.READY
    assert view.verdict is not Verdict.PASS
    (finding,) = [finding for finding in view.findings if finding["rule"] == "egress-attempted"]
    assert finding["severity"] == "high"
    assert "198.51.100.7:443" in finding["title"] + json.dumps(finding["evidence"])
    house.deliver(client, house.pull(house.branch("next", {"README": "words\n"}), number=2))
    assert finished(client, change=2).verdict is Verdict.PASS


def test_a_recommender_that_hangs_is_ended_and_the_next_is_reviewed(house: Any) -> None:
    """Even if base is too slow for so short a time, hanging is what is said."""
    settings = house.settings.model_copy(update={"call_seconds": 2.0})
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        hang = serve(body="import time; time.sleep(600)")
        house.deliver(client, house.pull(house.branch("hang", {"rank.py": hang})))
        view = finished(client)
        assert (view.state, view.verdict) == (State.READY, Verdict.INCONCLUSIVE)
        (finding,) = [finding for finding in view.findings if finding["rule"] == "recommender-failed"]
        assert finding["title"].endswith("failed: timeout")
        house.deliver(client, house.pull(house.branch("next", {"README": "words\n"}), number=2))
        assert finished(client, change=2).state is State.READY
