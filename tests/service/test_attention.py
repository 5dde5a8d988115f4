# SPDX-License-Identifier: Apache-2.0
"""Whose turn a change is, why and since when; and what of the queue somebody wants to see."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from evidence import ConflictError
from service import attention, comments, saved_views
from service.arrivals import Arrival, DeliveryId, now, receive
from service.attention import Filter
from service.comments import Author
from service.database import AnswerRow, RevisionRow, SignoffRow, StatementRow
from service.life import State
from service.placing import Spot
from service.views import Person

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from service.views import QueueRow

ANNA, BERT = Person("anna", "Anna", "One", "reviewer"), Person("bert", "Bert", "Two", "reviewer")
HTML = {"Accept": "text/html"}


@pytest.fixture
def client(idle: TestClient) -> TestClient:
    for person in (ANNA, BERT):
        idle.app.state.accounts.enrol(person)  # type: ignore[attr-defined]
    return idle


@pytest.fixture
def context(client: TestClient) -> Any:
    return client.app.state.context  # type: ignore[attr-defined]


def arrive(context: Any, number: int, *, title: str = "A change", author: str = "pat", findings: int = 0) -> int:
    """A change that is ready, as far as its row says."""
    arrival = Arrival(
        platform="tiny", host="code.example", repository=f"tiny/{'ab'[number % 2]}", key=f"pull/{number}",
        number=number, title=title, description="", url=None, author=author, target_ref="refs/heads/main",
        head_commit=f"{number:040x}", base_hint=None, sent_at=None,
    )  # fmt: skip
    received = receive(context.database, arrival, DeliveryId("tiny", "test", "change", f"{number}", f"{number}"))
    assert received.change_id is not None
    with context.database.write() as session:
        session.execute(
            update(RevisionRow)
            .where(RevisionRow.change_id == received.change_id)
            .values(state=State.READY, findings=findings, verdict="fail" if findings else "pass")
        )
    return received.change_id


def answered(context: Any, change: int, finding: str, kind: str, *, serious: bool = True) -> None:
    with context.database.write() as session:
        session.merge(
            AnswerRow(
                revision_id=change,
                finding_id=finding,
                kind=kind,
                text="because",
                person_id=ANNA.id,
                at=now(),
                serious=serious,
            )
        )


def row(context: Any, person: Person | None = ANNA) -> QueueRow:
    (found,) = attention.queue(context.database, person=person)
    return found


def turn(context: Any, person: Person | None = ANNA) -> tuple[str, str]:
    found = row(context, person)
    return found.whose_turn, found.why


def test_the_turn_goes_from_findings_to_threads_to_the_signature(context: Any) -> None:
    change = arrive(context, 1, findings=2)
    begun = row(context).since
    assert turn(context) == ("reviewer", "2 findings to answer")
    thread = comments.begin(context, change, 1, Spot(), text="why?", person=ANNA, blocking=True, draft=False)
    answered(context, change, "one", "must-change")
    assert turn(context) == ("reviewer", "1 finding to answer")
    answered(context, change, "two", "acknowledged")
    assert turn(context) == ("author", "1 finding must change, 1 blocking thread to answer")
    assert row(context).since > begun
    comments.reply(context, change, thread, text="because", author=Author(None, "tiny"))
    assert turn(context) == ("reviewer", "the platform answered 1 blocking thread")
    comments.reply(context, change, thread, text="not enough", author=Author(BERT.id))
    assert turn(context)[0] == "author"
    comments.settle(context, change, thread, resolved=True, person=BERT)
    assert turn(context) == ("author", "1 finding must change")
    answered(context, change, "one", "not-an-issue")
    assert turn(context) == ("reviewer", "ready for sign-off")


def test_answers_to_findings_that_weigh_little_hide_none_that_weigh(context: Any) -> None:
    change = arrive(context, 1, findings=2)
    for name, kind in (("low", "acknowledged"), ("lower", "must-change"), ("info", "acknowledged")):
        answered(context, change, name, kind, serious=False)
    assert (turn(context), row(context).open_findings) == (("reviewer", "2 findings to answer"), 2)
    answered(context, change, "high", "must-change")
    answered(context, change, "critical", "acknowledged")
    assert turn(context) == ("author", "2 findings must change")


def test_a_platform_that_answered_one_of_two_threads_has_one_to_answer_still(context: Any) -> None:
    change = arrive(context, 1)
    first, _ = (
        comments.begin(context, change, 1, Spot(), text="why?", person=ANNA, blocking=True, draft=False)
        for _ in range(2)
    )
    comments.begin(context, change, 1, Spot(), text="draft", person=ANNA, blocking=True)
    comments.begin(context, change, 1, Spot(), text="by the way", person=ANNA, draft=False)
    comments.reply(context, change, first, text="because", author=Author(None, "tiny"))
    assert turn(context) == ("author", "2 blocking threads to answer")


def test_what_one_has_signed_waits_for_others(context: Any) -> None:
    arrive(context, 1)
    with context.database.write() as session:
        session.add(StatementRow(nonce="x", revision_id=1, person_id=ANNA.id, payload=b"", created_at=now()))
        session.flush()
        session.add(
            SignoffRow(
                nonce="x",
                revision_id=1,
                person_id=ANNA.id,
                decision="APPROVED",
                key="k",
                payload_digest="p",
                envelope_digest="e",
                log_index=3,
                at=now(),
            )
        )
    assert turn(context, ANNA) == ("others", "you have signed; the policy asks for more")
    assert turn(context, BERT) == ("reviewer", "ready for sign-off")
    assert turn(context, None) == ("reviewer", "ready for sign-off")


def test_a_state_that_is_not_ready_speaks_for_itself(context: Any) -> None:
    change = arrive(context, 1)
    comments.begin(context, change, 1, Spot(), text="why?", person=ANNA, blocking=True, draft=False)
    for state, whose in ((State.RECEIVED, "service"), (State.REJECTED, "author"), (State.SIGNED, "nobody")):
        with context.database.write() as session:
            session.execute(update(RevisionRow).values(state=state))
        assert turn(context)[0] == whose


def test_who_waits_long_stands_out_and_what_is_done_does_not(context: Any) -> None:
    arrive(context, 1)
    waiting = row(context)
    ages = [attention.age(waiting, waiting.since + timedelta(hours=hours)) for hours in (0, 47, 48, 24 * 7 - 1, 24 * 7)]
    assert ages == ["new", "new", "ageing", "ageing", "long"]
    done = replace(waiting, whose_turn="nobody")
    assert attention.age(done, done.since + timedelta(days=99)) == "new"


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(), [1, 2, 3]),
        (Filter(text="FRESH"), [2]),
        (Filter(text="kim"), [3]),
        (Filter(text="#3"), [3]),
        (Filter(repository="tiny/b"), [1, 3]),
        (Filter(verdict="fail"), [3]),
        (Filter(verdict="none"), []),
        (Filter(turn="author"), []),
        (Filter(turn="reviewer", repository="tiny/b", verdict="pass"), [1]),
        (Filter(days=2), [2]),
    ],
)
def test_a_filter_lets_through_what_it_says(context: Any, wanted: Filter, numbers: list[int]) -> None:
    arrive(context, 1)
    arrive(context, 2, title="Fresher feeds")
    arrive(context, 3, author="Kim", findings=1)
    with context.database.write() as session:
        session.execute(update(RevisionRow).where(RevisionRow.id == 2).values(since=now() - timedelta(days=3)))
    rows = attention.queue(context.database, person=ANNA)
    assert sorted(one.number or 0 for one in rows if wanted.lets(one, now())) == numbers


def test_the_page_filters_and_says_how_much_it_shows(browser: TestClient, context: Any) -> None:
    arrive(context, 1, title="Plain")
    arrive(context, 2, title="Fresher <b>feeds</b>")
    page = browser.get("/?text=fresh&turn=&verdict=&repository=&days=").text
    assert ("1 of 2 changes" in page, "Plain" in page, "<b>feeds" in page) == (True, False, False)
    assert "No change is like that" in browser.get("/?verdict=fail").text
    for wrong in ("turn=me", "verdict=maybe", "days=x", "days=-1", f"text={'x' * 201}"):
        assert browser.get(f"/?{wrong}", headers=HTML).status_code == 422, wrong


def test_views_are_saved_under_a_name_and_are_ones_own(browser: TestClient, context: Any) -> None:
    arrive(context, 1)
    given = {"name": "  Long  waiting ", "query": "days=7&text=a b&turn=&more=1"}
    saved = browser.post("/views", data=given)
    assert (saved.status_code, saved.headers["location"]) == (303, "/?text=a+b&days=7")
    page = browser.get("/?days=7&text=a+b").text
    assert re.search(r'href="/\?text=a\+b&amp;days=7"\s+aria-current="true">Long waiting<', page)
    assert saved_views.listed(context.database, ANNA) == ()
    saved_views.remove(context.database, ANNA, "Long waiting")
    assert "Long waiting" in browser.get("/").text
    browser.post("/views", data={"name": "Long waiting", "query": "turn=author"})
    assert "turn=author" in browser.get("/").text
    assert browser.post("/views/remove", data={"name": "Long waiting"}).status_code == 303
    assert "Long waiting" not in browser.get("/").text


@pytest.mark.parametrize(
    ("name", "query", "status"),
    [
        ("", "turn=author", 422),
        ("x" * 61, "turn=author", 422),
        ("\u202etxt", "turn=author", 422),
        ("all", "", 422),
        ("all", "turn=&text=", 422),
        ("all", "turn=me", 422),
        ("all", f"text={quote('x' * 201)}", 422),
    ],
)
def test_what_is_no_view_is_not_saved(browser: TestClient, context: Any, name: str, query: str, status: int) -> None:
    assert browser.post("/views", data={"name": name, "query": query}, headers=HTML).status_code == status
    assert saved_views.listed(context.database, Person("reviewer", "", "", "")) == ()


def test_there_are_as_many_views_as_there_can_be(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 2)
    for name in ("one", "two"):
        saved_views.save(context.database, ANNA, name, Filter(text=name))
    saved_views.save(context.database, ANNA, "two", Filter(text="other"))
    with pytest.raises(ConflictError, match="as many as there can be"):
        saved_views.save(context.database, ANNA, "three", Filter(text="x"))
    saved_views.save(context.database, BERT, "three", Filter(text="x"))
    assert [one.query for one in saved_views.listed(context.database, ANNA)] == ["text=one", "text=other"]
