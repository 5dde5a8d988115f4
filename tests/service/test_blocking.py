# SPDX-License-Identifier: Apache-2.0
"""What the platform is told blocks its change: what to do, by whom, and nothing of the panel."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from command import runner
from house import TOKEN, finished, serve
from sqlalchemy import update

from service import comments
from service.arrivals import Arrival, DeliveryId, now, receive
from service.blocking import blocking
from service.cli import submitting
from service.comments import Author
from service.database import AnswerRow, Change, RevisionRow
from service.life import State
from service.placing import Spot
from service.views import Person

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

CI = {"Authorization": f"Bearer {TOKEN}"}
ANNA = Person("anna", "Anna", "One", "reviewer")


def finding(name: str, severity: str) -> dict[str, Any]:
    return {
        "id": name,
        "title": f"{name} changed",
        "severity": severity,
        "location": {"path": "rank.py", "line": 12, "side": "head"},
    }


@pytest.fixture
def context(idle: TestClient) -> Any:
    """The service with one change, ready as far as its row says."""
    context = idle.app.state.context  # type: ignore[attr-defined]
    idle.app.state.accounts.enrol(ANNA)  # type: ignore[attr-defined]
    arrival = Arrival(
        platform="tiny", host="code.example", repository="tiny/ranker", key="pull/1", number=1, title="A change",
        description="", url=None, author="pat", target_ref="refs/heads/main", head_commit="a" * 40, base_hint=None,
        sent_at=None,
    )  # fmt: skip
    receive(context.database, arrival, DeliveryId("tiny", "test", "change", "1", "1"))
    stand(context, state=State.READY, verdict="pass")
    return context


def stand(context: Any, **values: Any) -> None:
    with context.database.write() as session:
        session.execute(update(RevisionRow).values(**values))


def answered(context: Any, name: str, kind: str) -> None:
    with context.database.write() as session:
        session.merge(AnswerRow(revision_id=1, finding_id=name, kind=kind, text="secret", person_id=ANNA.id, at=now()))


def told(context: Any) -> list[tuple[str, str, str]]:
    return [(block.who, block.what, block.where) for block in blocking(context, 1).blocks]


UNSIGNED = ("reviewer", "It is not signed off.", "")


@pytest.mark.parametrize("state", sorted(State))
def test_every_state_has_somebody_who_acts_unless_nothing_blocks(context: Any, state: State) -> None:
    stand(context, state=state, error_public="the lock file cannot be read")
    found = blocking(context, 1)
    assert bool(found.blocks) is (state not in {State.SIGNED, State.OUTSIDE, State.SUPERSEDED})
    assert all(block.what and block.do for block in found.blocks)
    if state is State.FAILED:
        assert told(context) == [("author", "the lock file cannot be read", "")]


def test_findings_of_the_code_are_named_and_others_only_said_to_be(context: Any) -> None:
    diff = context.store.put_json({"findings": [finding("one", "high"), finding("two", "low"), finding("six", "high")]})
    stand(context, diff_digest=diff, verdict="fail")
    heavy = [("reviewer", f"{name} changed", "rank.py:12") for name in ("one", "six")]
    assert told(context) == [*heavy, UNSIGNED]
    answered(context, "one", "acknowledged")
    answered(context, "two", "must-change")
    answered(context, "of the audit", "acknowledged")
    assert told(context) == [("author", "two changed", "rank.py:12"), heavy[1], UNSIGNED]
    answered(context, "of the audit", "must-change")
    first, second, *_ = told(context)
    assert (first[1], second[:1], "wants something changed" in second[1]) == ("two changed", ("author",), True)
    assert "secret" not in str(blocking(context, 1))


@pytest.mark.parametrize(
    ("public", "who", "said"),
    [
        ({"verdict": "fail", "slices": [{"slice": "topic=news", "direction": "amplified"}]}, "author", "topic=news is"),
        ({"verdict": "fail", "slices": []}, "author", "the panel keeps"),
        ({"verdict": "inconclusive", "slices": []}, "reviewer", "could not tell"),
        ({"verdict": "inconclusive", "slices": [], "error_class": "ValueError"}, "author", "ValueError"),
    ],
)
def test_of_an_audit_what_is_public_is_told(context: Any, public: dict[str, Any], who: str, said: str) -> None:
    stand(context, public_digest=context.store.put_json({"error_class": None, **public}), verdict=public["verdict"])
    found = [block for block in told(context) if said in block[1]]
    assert [block[0] for block in found] == [who]
    assert len(told(context)) == 2


def test_a_verdict_that_nothing_explains_is_told_too(context: Any) -> None:
    stand(context, verdict="inconclusive")
    assert told(context) == [("reviewer", "The review came to inconclusive.", ""), UNSIGNED]


def test_threads_that_block_are_quoted_with_what_to_do(context: Any) -> None:
    thread = comments.begin(context, 1, 1, Spot(), text="w" * 400, person=ANNA, blocking=True, draft=False)
    comments.begin(context, 1, 1, Spot(), text="a draft", person=ANNA, blocking=True)
    comments.begin(context, 1, 1, Spot(), text="by the way", person=ANNA, draft=False)
    first, second = blocking(context, 1).blocks
    assert (first.who, len(first.what), first.where, first.thread) == ("author", 300, "the change as a whole", thread)
    assert (second.who, second.what, second.where) == UNSIGNED
    comments.reply(context, 1, thread, text="because", author=Author(None, "tiny"))
    assert [block.who for block in blocking(context, 1).blocks] == ["reviewer", "reviewer"]
    comments.settle(context, 1, thread, resolved=True, person=ANNA)
    assert told(context) == [UNSIGNED]


def test_it_is_for_who_may_know_of_the_change(context: Any, idle: TestClient) -> None:
    assert idle.get("/api/v1/changes/1/blocking").status_code == 401
    assert idle.get("/api/v1/changes/2/blocking", headers=CI).status_code == 404
    assert idle.get("/api/v1/changes/1/blocking", headers=CI).json()["blocks"][0]["who"] == "reviewer"
    with context.database.write() as session:
        session.execute(update(Change).values(platform="elsewhere"))
    assert idle.get("/api/v1/changes/1/blocking", headers=CI).status_code == 404


@pytest.mark.sandbox
def test_submit_says_what_blocks_once_it_has_waited(
    house: Any, running: TestClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    running.headers.update(CI)
    monkeypatch.setattr(submitting, "_client", lambda _server: nullcontext(running))
    base, head = house.git("rev-parse", "main"), house.branch("lift", {"rank.py": serve(lift=0.8)})
    given = ("tiny/ranker", base, head, "--server", "http://x", "--wait")
    said = runner(monkeypatch, capfd, "submit")(*given)
    assert (said.status, said.out.endswith("ready: fail\n")) == (1, True)
    assert "author: Content moved beyond a margin of the panel. Which, the panel keeps. Ask the reviewer" in said.err
    assert "reviewer: It is not signed off. Wait: a reviewer reads and signs it." in said.err


@pytest.mark.sandbox
def test_after_a_real_audit_nothing_of_the_panel_is_told(house: Any, running: TestClient) -> None:
    house.deliver(running, house.pull(house.branch("lift", {"rank.py": serve(lift=0.8)})))
    finished(running)
    answer = running.get("/api/v1/changes/1/blocking", headers=CI)
    assert answer.json()["verdict"] == "fail"
    assert any("the panel keeps" in block["what"] for block in answer.json()["blocks"])
    assert "secret" not in answer.text
    running.get(f"/sign-in?token={running.app.state.accounts.link('reviewer')}")  # type: ignore[attr-defined]
    page = running.get("/changes/1/author").text
    assert "the panel keeps" in page
    assert "secret" not in page
