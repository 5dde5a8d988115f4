# SPDX-License-Identifier: Apache-2.0
"""What is said about a change: who sees it, who may say it, and what it keeps from being signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from house import NAME, TOKEN, finished, make_key
from sqlalchemy import update

from evidence import ConflictError, PermissionDeniedError, TooManyError
from service import attention, comments, discussion, judgement, trust
from service.arrivals import Arrival, DeliveryId, now, receive
from service.comments import Author
from service.database import CommentRow, RevisionRow
from service.life import State
from service.placing import Spot
from service.views import Person, ThreadCounts

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

CI = {"Authorization": f"Bearer {TOKEN}"}
ANNA, BERT = Person("anna", "Anna", "One", "reviewer"), Person("bert", "Bert", "Two", "reviewer")
THREADS = "/api/v1/changes/1/threads"
BEGIN = "/api/v1/changes/1/revisions/1/threads"
FEED = "import os\n\n\ndef rank(items):\n    return sorted(items)\n"


def arrive(
    client: TestClient, key: str, *, platform: str = "tiny", repository: str = NAME, head: str = "a" * 40
) -> int:
    """A change that is stored, and ready as far as its state says: nobody reviews it."""
    arrival = Arrival(
        platform=platform, host="code.example", repository=repository, key=key, number=1, title="A change",
        description="", url=None, author="pat", target_ref="refs/heads/main", head_commit=head, base_hint=None,
        sent_at=None,
    )  # fmt: skip
    database = client.app.state.database  # type: ignore[attr-defined]
    received = receive(database, arrival, DeliveryId(platform, "test", "change", key, key))
    with database.write() as session:
        session.execute(update(RevisionRow).values(state=State.READY))
    assert received.change_id is not None
    return received.change_id


@pytest.fixture
def client(idle: TestClient) -> TestClient:
    for person in (ANNA, BERT):
        idle.app.state.accounts.enrol(person)  # type: ignore[attr-defined]
    arrive(idle, "pull/1")
    return idle


@pytest.fixture
def context(client: TestClient) -> Any:
    return client.app.state.context  # type: ignore[attr-defined]


def as_person(client: TestClient, person: Person) -> None:
    """Sign in, instead of whoever was."""
    client.cookies.clear()
    token = client.app.state.accounts.link(person.id)  # type: ignore[attr-defined]
    assert client.get(f"/sign-in?token={token}").status_code == 303


def texts(client: TestClient, **headers: Any) -> list[str]:
    """Everything that is said on change 1, as far as whoever asks may see it."""
    threads = client.get(THREADS, **headers).json()["threads"]
    return [comment["text"] for thread in threads for comment in thread["comments"]]


def test_drafts_are_their_authors_alone_until_all_are_published_together(client: TestClient) -> None:
    as_person(client, ANNA)
    for text, blocking in (("why?", True), ("nice", False)):
        assert client.post(BEGIN, json={"text": text, "blocking": blocking}).status_code == 201
    assert texts(client) == ["why?", "nice"]
    as_person(client, BERT)
    assert texts(client) == []
    assert texts(client, headers=CI) == []
    assert client.post(f"{THREADS}/1/replies", json={"text": "me too"}).status_code == 404
    assert client.post(f"{THREADS}/1/resolution", json={"resolved": True}).status_code == 404
    assert client.post("/changes/1/revisions/1/drafts/1", data={"text": "mine"}).status_code == 404
    assert client.post("/api/v1/changes/1/revisions/1/drafts/publish", json={}).status_code == 409
    as_person(client, ANNA)
    published = client.post("/api/v1/changes/1/revisions/1/drafts/publish", json={"text": "Two things."})
    assert published.json() == {"published": 3}
    as_person(client, BERT)
    assert texts(client) == ["why?", "nice", "Two things."]
    client.cookies.clear()
    assert texts(client, headers=CI) == ["why?", "nice", "Two things."]


def test_a_platform_answers_what_is_published_and_does_nothing_else(client: TestClient) -> None:
    as_person(client, ANNA)
    client.post(BEGIN, json={"text": "why?", "blocking": True, "draft": False})
    client.cookies.clear()
    assert client.post(f"{THREADS}/1/replies", json={"text": "because", "draft": True}, headers=CI).status_code == 201
    (thread,) = client.get(THREADS, headers=CI).json()["threads"]
    assert [(one["who"], one["by_platform"], one["draft"]) for one in thread["comments"]] == [
        ("Anna", False, False),
        ("platform tiny", True, False),
    ]
    for path, body in (
        (BEGIN, {"text": "x"}),
        (f"{THREADS}/1/resolution", {"resolved": True}),
        ("/api/v1/changes/1/revisions/1/drafts/publish", {}),
    ):
        assert client.post(path, json=body, headers=CI).status_code == 403, path
        assert client.post(path, json=body).status_code == 401, path


def test_no_other_platform_and_no_other_change_leads_to_a_thread(client: TestClient, context: Any) -> None:
    other = arrive(client, "pull/2", platform="elsewhere", repository="else/where", head="b" * 40)
    hers = comments.begin(context, other, 1, Spot(), text="hidden", person=ANNA, draft=False)
    draft = comments.begin(context, other, 1, Spot(), text="draft", person=ANNA)
    assert client.get(f"/api/v1/changes/{other}/threads", headers=CI).status_code == 404
    reply = f"/api/v1/changes/{other}/threads/{hers}/replies"
    assert client.post(reply, json={"text": "x"}, headers=CI).status_code == 404
    assert client.post(f"{THREADS}/{hers}/replies", json={"text": "x"}, headers=CI).status_code == 404
    as_person(client, ANNA)
    assert client.post(f"{THREADS}/{hers}/resolution", json={"resolved": True}).status_code == 404
    assert client.post(f"/changes/1/revisions/1/drafts/{draft}", data={"text": "x"}).status_code == 404
    assert client.post("/api/v1/changes/1/revisions/1/drafts/publish", json={}).status_code == 409


def test_a_thread_is_resolved_and_reopened_once_each_with_who_and_why(client: TestClient) -> None:
    as_person(client, ANNA)
    client.post(BEGIN, json={"text": "why?", "draft": False})
    as_person(client, BERT)
    for resolved, status in ((False, 409), (True, 200), (True, 409), (False, 200), (True, 200)):
        answer = client.post(f"{THREADS}/1/resolution", json={"resolved": resolved, "text": f"now {resolved}"})
        assert answer.status_code == status
    (thread,) = client.get(THREADS).json()["threads"]
    assert (thread["resolved"], thread["resolved_by"]) == (True, "Bert")
    assert [(one["kind"], one["text"], one["who"]) for one in thread["comments"]] == [
        ("said", "why?", "Anna"),
        ("resolved", "now True", "Bert"),
        ("reopened", "now False", "Bert"),
        ("resolved", "now True", "Bert"),
    ]


def test_who_had_a_hand_in_a_change_resolves_none_of_its_threads(context: Any, house: Any) -> None:
    public = make_key(house.place).with_suffix(".pub").read_text(encoding="ascii").strip()
    trust.enrol_key(context, ANNA, public, emails=("anna@one.example",))
    people = context.store.put_json([{"name": "A.", "email": "Anna+work@one.example"}])
    with context.database.write() as session:
        session.execute(update(RevisionRow).values(people_digest=people))
    thread = comments.begin(context, 1, 1, Spot(), text="why?", person=BERT, blocking=True, draft=False)
    comments.reply(context, 1, thread, text="because", author=Author(ANNA.id))
    with pytest.raises(PermissionDeniedError, match="had a hand"):
        comments.settle(context, 1, thread, resolved=True, person=ANNA)
    comments.settle(context, 1, thread, resolved=True, person=BERT)
    comments.settle(context, 1, thread, resolved=False, person=ANNA)


def test_threads_are_counted_once_they_are_published(context: Any) -> None:
    first = comments.begin(context, 1, 1, Spot(), text="one", person=ANNA, blocking=True, draft=False)
    comments.begin(context, 1, 1, Spot(), text="two", person=ANNA, draft=False)
    comments.begin(context, 1, 1, Spot(), text="three", person=ANNA, blocking=True)
    assert discussion.counts(context, 1) == ThreadCounts(2, 2, 1)
    (row,) = attention.queue(context.database, person=BERT)
    assert (row.whose_turn, row.why) == ("author", "1 blocking thread to answer")
    comments.reply(context, 1, first, text="done", author=Author(None, "tiny"))
    comments.reply(context, 1, first, text="is it?", author=Author(BERT.id), draft=True)
    (row,) = attention.queue(context.database, person=BERT)
    assert (row.whose_turn, row.why) == ("reviewer", "the platform answered 1 blocking thread")
    comments.settle(context, 1, first, resolved=True, person=BERT)
    assert discussion.counts(context, 1) == ThreadCounts(2, 1, 0)
    (row,) = attention.queue(context.database, person=BERT)
    assert (row.whose_turn, row.why) == ("reviewer", "ready for sign-off")


def test_a_draft_is_written_anew_and_thrown_away_with_its_thread(context: Any) -> None:
    thread = comments.begin(context, 1, 1, Spot(), text="one", person=ANNA)
    second = comments.reply(context, 1, thread, text="two", author=Author(ANNA.id))
    (view,) = discussion.threads(context, 1, 1, ANNA)
    assert (view.draft, view.drafts, view.open) == (True, 2, False)
    comments.revise(context, 1, second, text="better", person=ANNA)
    (view,) = discussion.threads(context, 1, 1, ANNA)
    assert [one.text for one in view.comments] == ["one", "better"]
    with pytest.raises(ConflictError, match="publish it"):
        comments.settle(context, 1, thread, resolved=True, person=ANNA)
    for comment in view.comments:
        comments.discard(context, 1, comment.id, person=ANNA)
    assert discussion.threads(context, 1, 1, ANNA) == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": " "}, "text of 1 to 4000"),
        ({"text": "x" * 4001}, "4000"),
        ({"text": "x", "line": 0}, "line"),
        ({"text": "x", "line": 3}, "of which"),
        ({"text": "x", "path": "a.py", "line": 1}, "no files to speak of"),
        ({"text": "x", "side": "left"}, "side"),
        ({"text": "x", "more": 1}, "more"),
        ({}, "text"),
    ],
)
def test_what_is_no_comment_is_refused_in_one_line(client: TestClient, body: Any, said: str) -> None:
    as_person(client, ANNA)
    answer = client.post(BEGIN, json=body)
    assert answer.status_code in {409, 422}
    assert said in answer.json()["detail"]
    assert texts(client) == []


def test_a_body_that_is_too_large_is_not_read(client: TestClient) -> None:
    as_person(client, ANNA)
    assert client.post(BEGIN, json={"text": "x" * (70 << 10)}).status_code == 413


def test_nobody_writes_more_than_anybody_writes(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comments, "MOST_A_MINUTE", 3)
    thread = comments.begin(context, 1, 1, Spot(), text="one", person=ANNA, draft=False)
    for number in range(3):
        comments.reply(context, 1, thread, text=f"{number}", author=Author(None, "tiny"))
    with pytest.raises(TooManyError, match="wait"):
        comments.reply(context, 1, thread, text="more", author=Author(None, "tiny"))
    comments.reply(context, 1, thread, text="another", author=Author(ANNA.id))
    with context.database.write() as session:
        session.execute(update(CommentRow).values(written_at=now() - comments._MINUTE))
    monkeypatch.setattr(comments, "MOST_A_CHANGE", 5)
    with pytest.raises(TooManyError, match="as many as there can be"):
        comments.reply(context, 1, thread, text="more", author=Author(None, "tiny"))


def test_a_superseded_revision_takes_answers_and_no_new_thread(client: TestClient, context: Any) -> None:
    thread = comments.begin(context, 1, 1, Spot(), text="one", person=ANNA, draft=False)
    with context.database.write() as session:
        session.execute(update(RevisionRow).values(state=State.SUPERSEDED))
    comments.reply(context, 1, thread, text="two", author=Author(ANNA.id))
    as_person(client, ANNA)
    answer = client.post(BEGIN, json={"text": "x"})
    assert (answer.status_code, "latest" in answer.json()["detail"]) == (409, True)


@pytest.mark.sandbox
def test_a_thread_goes_on_to_the_next_revision_and_keeps_it_from_what_the_policy_asks(
    house: Any, running: TestClient
) -> None:
    """On a real review: line 5 moves to 6, the import is changed, and the policy asks for no open blocking thread."""
    context = running.app.state.context  # type: ignore[attr-defined]
    running.app.state.accounts.enrol(ANNA)  # type: ignore[attr-defined]
    rule = '\n[[requirements]]\nname = "threads-resolved"\nmet_if = "open_blocking_threads == 0"\n'
    context.policy.write_text(context.policy.read_text(encoding="utf-8") + rule, encoding="utf-8")
    house.deliver(running, house.pull(house.branch("topic", {"feed.py": FEED})))
    finished(running)
    moved = comments.begin(
        context, 1, 1, Spot("feed.py", "head", 5), text="by what?", person=ANNA, blocking=True, draft=False
    )
    gone = comments.begin(context, 1, 1, Spot("feed.py", "head", 1), text="unused", person=ANNA, draft=False)

    def requirement(n: int) -> str:
        found = judgement.requirements(context, judgement.find(context, 1, n))
        return next(one.state.value for one in found if one.name == "threads-resolved")

    assert judgement.facts(context, judgement.find(context, 1, 1))["threads"] == {"open": 2, "blocking": 1}
    assert requirement(1) == "unsatisfied"
    later = house.branch("topic", {"feed.py": FEED.replace("import os", "import sys\nimport re")})
    house.deliver(running, house.pull(later, number=1, action="synchronize"))
    finished(running, n=2)
    seen = {one.id: one for one in discussion.threads(context, 1, 2, ANNA)}
    assert (seen[moved].spot, seen[moved].quote) == (Spot("feed.py", "head", 6), "    return sorted(items)")
    assert (seen[gone].spot, seen[gone].quote, seen[gone].n) == (None, "import os", 1)
    assert requirement(2) == "unsatisfied"
    comments.settle(context, 1, moved, resolved=True, person=ANNA)
    assert requirement(2) == "satisfied"
