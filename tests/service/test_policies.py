# SPDX-License-Identifier: Apache-2.0
"""A policy is checked, tried on what was reviewed before, and obeyed: lanes, ages and the expedited lane."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from command import Said, runner
from house import finished, make_key, serve

from evidence import ConflictError
from service import incidents, later_reviews, signing, trust
from service.arrivals import now
from service.life import State
from service.views import Person
from signoff import DEFAULT_POLICY, read_statement, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
OWN = """
[[lanes]]
name = "critical"
when = "touches('rank.py')"
people = 2
organizations = 2
[[lanes]]
name = "standard"
when = "true"
people = 1
organizations = 1
[[requirements]]
name = "fresh-audit"
met_if = "age_hours('audit') < 1 and age_hours('diff') < 1"
[expedited]
when = "only('README')"
sets_aside = ["fresh-audit"]
organizations = 2
hours = 1
review_within_hours = 2
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(monkeypatch, capfd, "policy")


def test_a_policy_is_checked_before_it_is_used(run: Callable[..., Said], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(DEFAULT_POLICY + OWN)
    said = run("check", policy, "--format", "json")
    assert said.status == 0
    assert said.document["lanes"] == ["critical", "standard"]
    assert "lane critical: 2 people, 2 organisations, when touches('rank.py')" in run("check", policy).out
    policy.write_text(DEFAULT_POLICY + OWN.replace("age_hours", "age_days"))
    wrong = run("check", policy)
    assert (wrong.status, wrong.err.count("\n")) == (2, 1)
    assert "requirement fresh-audit: the function age_days is not understood, column 1" in wrong.err
    for text in ("", "schema_version = 1\n"):
        policy.write_text(text)
        assert run("check", policy).status == 2


@pytest.mark.sandbox
def test_lanes_ask_for_more_and_a_simulation_says_so_beforehand(
    house: Any, client: TestClient, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, reviews = client.app.state.context, client.app.state.reviews  # type: ignore[attr-defined]
    key = make_key(house.place)
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(context, WHO, public, emails=("r@office.example",))
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    house.deliver(client, house.pull(house.branch("code", {"rank.py": f"{serve()}# words\n"}), number=2))
    for change in (1, 2):
        finished(client, change)
        prepared = reviews.prepare_statement(change, 1, WHO, "APPROVED")
        reviews.sign_off(change, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
        assert reviews.revision(change, 1).state is State.SIGNED

    tried = house.place / "tried.toml"
    tried.write_text(DEFAULT_POLICY + OWN)
    said = run("simulate", tried, "--data", house.place / "data", "--format", "json")
    rows = {row["change"]: row for row in said.document["revisions"]}
    assert said.status == 1
    assert (rows[1]["admits_now"], rows[1]["admits_then"]) == (True, True)
    assert (rows[2]["admits_now"], rows[2]["admits_then"]) == (True, False)
    assert [one["name"] for one in rows[2]["unmet"]] == ["lane"]
    assert run("simulate", context.policy, "--data", house.place / "data").status == 0

    context.policy.write_text(tried.read_text())
    assert {one.name: one.state.met for one in reviews.revision(1, 1).requirements}["fresh-audit"]
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED", expedited="A filter lets through what it must not.")
    assert b'"expedited":{"reason":"A filter' in prepared.payload
    hurried = read_statement(prepared.payload)
    assert hurried.expires_at - hurried.signed_at == timedelta(hours=1)
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    (unmet,) = [one for one in reviews.revision(1, 1).requirements if not one.state.met]
    assert (unmet.name, unmet.reason) == ("expedited", "1 of 2 organisations approve it as expedited")
    assert reviews.revision(1, 1).state is State.READY

    # The full review is due in two hours; after that nothing else of the repository is approved.
    (one,) = later_reviews.owed(context)
    assert (one.kind, one.change_id, one.n, one.overdue) == ("expedited", 1, 1, False)
    soon, late = now() + timedelta(hours=1), now() + timedelta(hours=3)
    later_reviews.check(context, 2, expedited=False, moment=soon)
    later_reviews.check(context, 1, expedited=False, moment=late)
    for change, expedited in ((2, False), (2, True), (1, True)):
        with pytest.raises(ConflictError, match="change 1, revision 1, approved in a hurry"):
            later_reviews.check(context, change, expedited=expedited, moment=late)
    # So it is too where the statement was prepared before that and is handed in after.
    prepared = reviews.prepare_statement(2, 1, WHO, "APPROVED")
    signature = sign_with_ssh_key(key, prepared.pae)
    monkeypatch.setattr(signing, "now", lambda: late)
    with pytest.raises(ConflictError, match="change 1, revision 1, approved in a hurry"):
        reviews.sign_off(2, 1, WHO, nonce=prepared.nonce, ssh_signature=signature)
    monkeypatch.undo()
    assert later_reviews.look(context, late) == 1
    assert [one.kind for one in incidents.listed(context) if one.settled_at is None] == ["review-overdue"]
    prepared = reviews.prepare_statement(1, 1, WHO, "REJECTED")
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    assert later_reviews.owed(context) == ()
    assert later_reviews.look(context, late) == 0
    assert [one.settled_at is None for one in incidents.listed(context)] == [False]
