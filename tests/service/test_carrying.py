# SPDX-License-Identifier: Apache-2.0
"""A rebase that changes nothing keeps its votes where the policy says so; anything else has to be signed again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from dbos import DBOS
from house import finished, make_key
from sqlalchemy import select, update

from evidence import VerificationError, canonical
from service import judgement, ledger, reckoning, signing, trust
from service.database import CarriedRow
from service.life import State
from service.views import Person
from signoff import DEFAULT_POLICY, Cosigner, RevokedKind, gate, sign_with_ssh_key

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from service.reviews import Reviews

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
ALLOWED = DEFAULT_POLICY.replace("carry_over = false", "carry_over = true")


@pytest.fixture
def key(house: Any, client: TestClient) -> Path:
    """The reviewer is enrolled, and has signed in."""
    key = make_key(house.place)
    context = client.app.state.context  # type: ignore[attr-defined]
    trust.enrol_key(context, WHO, key.with_suffix(".pub").read_text(encoding="ascii"), emails=("r@office.example",))
    token = client.app.state.accounts.link(WHO.id)  # type: ignore[attr-defined]
    assert client.get(f"/sign-in?token={token}").status_code == 303
    return key


def allow(house: Any) -> None:
    (house.place / "data" / "policy.toml").write_text(ALLOWED, encoding="utf-8")


def proposed(house: Any, client: TestClient, n: int, text: str = "words\n") -> Reviews:
    """Revision ``n`` of the change, reviewed: one file, and a message of its own."""
    house.git("checkout", "-q", "-B", "topic", "main")
    head = house.commit({"README": text}, f"Said {n} times")
    house.git("checkout", "-q", "main")
    action = "opened" if n == 1 else "synchronize"
    house.deliver(client, house.pull(head, action=action, title="Words"))
    finished(client, n=n)
    row = judgement.find(client.app.state.context, 1, n)  # type: ignore[attr-defined]
    assert DBOS.retrieve_workflow(row.workflow_id).get_result() == "pass"
    return client.app.state.reviews  # type: ignore[attr-defined, no-any-return]


def sign(reviews: Reviews, key: Path, n: int, decision: str = "APPROVED", who: Person = WHO) -> None:
    prepared = reviews.prepare_statement(1, n, who, decision)
    reviews.sign_off(1, n, who, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))


def admitted(house: Any, reviews: Reviews, n: int) -> bool:
    data, bundle = house.place / "data", house.place / "bundle.json"
    bundle.write_bytes(reviews.bundle(1, n))
    mirror = next((data / "mirrors" / "tiny").glob("*.git"))
    found = gate(bundle, mirror, {}, data / "policy.toml", data / "roots.json", datetime.now(UTC))
    assert found.refused is None or found.refused.number == 10, found.refused
    return found.admitted


def test_a_rebase_that_changes_nothing_keeps_its_votes(house: Any, client: TestClient, key: Path) -> None:
    allow(house)
    reviews = proposed(house, client, 1)
    reviews.mark_viewed(1, 1, "README", person=WHO, viewed=True)
    sign(reviews, key, 1)
    proposed(house, client, 2)
    view = reviews.revision(1, 2)
    assert (view.state, view.viewed) == (State.SIGNED, {"README"})
    assert [(one.decision, one.carried_from, one.superseded) for one in view.signoffs] == [("APPROVED", 1, False)]
    assert any("votes carried over: reviewer from revision 1, log entry" in event.what for event in view.timeline)
    (line,) = [line for line in reviews.log().lines if line.kind == "carry"]
    assert view.digest in line.what
    assert admitted(house, reviews, 2)
    assert reckoning.compare(client.app.state.context) == 1  # type: ignore[attr-defined]
    page = client.get("/changes/1/revisions/2/sign").text
    assert "carried over from revision 1" in page

    # a third push of the same, and then a change of mind about the first
    proposed(house, client, 3)
    assert reviews.revision(1, 3).state is State.SIGNED
    sign(reviews, key, 1, "REVOKED")
    assert reviews.revision(1, 3).state is State.REVOKED
    assert not admitted(house, reviews, 3)
    sign(reviews, key, 3)
    assert [(one.carried_from, one.superseded) for one in reviews.revision(1, 3).signoffs] == [(1, True), (None, False)]
    assert admitted(house, reviews, 3)


def test_what_cannot_be_carried_over_leaves_nothing_behind(house: Any, client: TestClient, key: Path) -> None:
    """Witnesses are away: neither votes nor answers nor marks come along, and all of them do once they are back."""
    allow(house)
    reviews = proposed(house, client, 1)
    reviews.mark_viewed(1, 1, "README", person=WHO, viewed=True)
    sign(reviews, key, 1)
    (house.place / "data" / "policy.toml").write_text(DEFAULT_POLICY, encoding="utf-8")
    proposed(house, client, 2)
    allow(house)
    context = client.app.state.context  # type: ignore[attr-defined]
    row = judgement.find(context, 1, 2)
    before, roots = reviews.revision(1, 2), context.roots.read_bytes()
    witness = Cosigner.generate("witness.example/w1").public.vkey
    quorum = f"witness w1 {witness}\nquorum w1\n"
    context.roots.write_bytes(canonical({**json.loads(roots), "quorum": quorum}))
    signing.carry_over(context, row.id)
    context.roots.write_bytes(roots)
    assert reviews.revision(1, 2) == before
    assert (before.state, before.viewed, before.signoffs) == (State.READY, set(), ())

    signing.carry_over(context, row.id)
    view = reviews.revision(1, 2)
    assert (view.state, view.viewed, [one.carried_from for one in view.signoffs]) == (State.SIGNED, {"README"}, [1])
    assert admitted(house, reviews, 2)


def test_votes_stay_where_they_are_without_the_policy_or_with_another_file(
    house: Any, client: TestClient, key: Path
) -> None:
    reviews = proposed(house, client, 1)
    sign(reviews, key, 1)
    proposed(house, client, 2)
    assert (reviews.revision(1, 2).state, reviews.revision(1, 2).signoffs) == (State.READY, ())
    allow(house)
    sign(reviews, key, 2)
    proposed(house, client, 3, "other words\n")
    assert (reviews.revision(1, 3).state, reviews.revision(1, 3).signoffs) == (State.READY, ())
    proposed(house, client, 4)  # what revision 2 had
    assert [one.carried_from for one in reviews.revision(1, 4).signoffs] == [2]  # the first was under another policy


def test_a_rejection_is_carried_over_too_and_what_is_revoked_is_not(house: Any, client: TestClient, key: Path) -> None:
    allow(house)
    reviews = proposed(house, client, 1)
    sign(reviews, key, 1, "REJECTED")
    proposed(house, client, 2)
    assert reviews.revision(1, 2).state is State.REJECTED
    sign(reviews, key, 2)
    context = client.app.state.context  # type: ignore[attr-defined]
    named = str(reviews.revision(1, 2).digest).removeprefix("sha256:")
    ledger.revoke(context, RevokedKind.REVISION, named, "A mistake.", datetime.now(UTC))
    proposed(house, client, 3)
    assert reviews.revision(1, 3).signoffs == ()


def test_a_vote_that_was_carried_over_by_sql_is_found(house: Any, client: TestClient, key: Path) -> None:
    allow(house)
    reviews = proposed(house, client, 1)
    sign(reviews, key, 1)
    proposed(house, client, 2)
    context = client.app.state.context  # type: ignore[attr-defined]
    reckoning.compare(context)
    proposed(house, client, 3, "other words\n")
    with context.database.write() as session:
        session.execute(update(CarriedRow).values(revision_id=3))
    with pytest.raises(VerificationError, match="that the log does not carry over to it"):
        reckoning.compare(context)


def test_one_of_several_votes_that_was_taken_away_by_sql_is_found(house: Any, client: TestClient, key: Path) -> None:
    allow(house)
    reviews = proposed(house, client, 1)
    context, cleo = client.app.state.context, Person("cleo", "Cleo", "university", "reviewer")  # type: ignore[attr-defined]
    client.app.state.accounts.enrol(cleo)  # type: ignore[attr-defined]
    hers = make_key(house.place, "cleo")
    public = hers.with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(context, cleo, public, emails=("cleo@office.example",))
    sign(reviews, key, 1)
    sign(reviews, hers, 1, who=cleo)
    proposed(house, client, 2)
    assert {one.carried_from for one in reviews.revision(1, 2).signoffs} == {1}
    assert reckoning.compare(context) == 2
    with context.database.write() as session:
        session.delete(session.scalars(select(CarriedRow)).first())
    with pytest.raises(VerificationError, match=r"a vote that log entry \d+ carries over is gone"):
        reckoning.compare(context)
