# SPDX-License-Identifier: Apache-2.0
"""The pages to read by: the log and its search, people and keys, the policy and what another would have said."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from house import finished, make_key

from evidence import canonical
from service import log_lines, trust
from service.pages.people import people_page
from service.pages.policy import asks
from service.views import Person
from signoff import (
    Cosigner,
    LogProof,
    Policy,
    entry_bytes,
    evidence_leaf,
    leaf_hash,
    open_cosignatures,
    parse_policy,
    parse_roots,
    sign_with_ssh_key,
)

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
HTML = {"Accept": "text/html"}


def text_of(html: str) -> str:
    """The words of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def log_of(client: TestClient, count: int) -> Any:
    """The log with entries of made-up evidence."""
    log = trust.log(client.app.state.context)  # type: ignore[attr-defined]
    log.append_entries([entry_bytes(evidence_leaf(f"sha256:{number:064x}")) for number in range(count)])
    return log


def rows(html: str) -> list[int]:
    """The indices that the log page lists."""
    return [int(found) for found in re.findall(r'<td class="number">(\d+)</td>', html)]


def test_the_log_is_searched_by_kind_digest_and_words(browser: TestClient) -> None:
    log_of(browser, 130)
    assert rows(browser.get("/log").text) == list(range(129, 29, -1))
    page = browser.get("/log?before=30").text
    assert (rows(page), "Older entries" in page) == (list(range(29, -1, -1)), False)
    whole = f"sha256:{77:064x}"
    for sought, found in ((whole, [77]), (whole[7:], [77]), (f"{77:064X}", [77]), ("0000000000004d", [77])):
        page = browser.get("/log", params={"q": sought}).text
        assert rows(page) == found, sought
        assert "1 of the 130 entries looked through hold" in text_of(page)
    page = browser.get("/log", params={"q": "evidence"}).text
    assert rows(page) == list(range(129, 29, -1))
    older = re.search(r'href="(/log\?[^"]*before[^"]*)"', page)
    assert older is not None
    assert rows(browser.get(older[1].replace("&amp;", "&")).text) == list(range(29, -1, -1))
    assert rows(browser.get("/log", params={"q": "BEFORE it was signed"}).text) == list(range(129, 29, -1))
    page = browser.get("/log", params={"q": '"><script>'}).text
    assert rows(page) == []
    assert "<script>" not in page


def test_a_search_ends_and_says_where_to_go_on(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "MAX_SEARCHED", 50)
    log_of(browser, 130)
    page = browser.get("/log", params={"q": f"{3:064x}"}).text
    assert "0 of the 50 entries looked through hold" in text_of(page)
    assert "before=80" in page
    assert rows(browser.get("/log", params={"q": f"{3:064x}", "before": 30}).text) == [3]


def test_each_entry_has_its_proof_for_everybody(idle: TestClient) -> None:
    assert idle.get("/log/proof/0.tlog-proof").status_code == 404
    log = log_of(idle, 9)
    answer = idle.get("/log/proof/5.tlog-proof")
    checkpoint = LogProof.parse(answer.text).verify(leaf_hash(entry_bytes(evidence_leaf(f"sha256:{5:064x}"))), log.key)
    assert checkpoint.size == 9
    assert [idle.get(f"/log/proof/{name}.tlog-proof").status_code for name in ("9", "-1", "x")] == [404, 404, 422]


def seen(log: Any, witness: Cosigner) -> None:
    """A witness cosigns the log's checkpoint."""
    note = log.checkpoint()
    log.add_cosignatures(note + witness.cosign(note.decode().partition("\n\n")[0] + "\n", datetime.now(UTC)).encode())


def test_the_log_says_which_witnesses_have_seen_it(browser: TestClient) -> None:
    log = log_of(browser, 3)
    assert "ask for no witness" in browser.get("/log").text
    one, two = (Cosigner.generate(f"witness.example/w{number}") for number in (1, 2))
    context = browser.app.state.context  # type: ignore[attr-defined]
    document = json.loads(context.roots.read_bytes())
    named = f"witness first {one.public.vkey}\nwitness other {two.public.vkey}\n"
    lines = f"{named}group both all first other\nquorum both\n"
    context.roots.write_bytes(canonical({**document, "quorum": lines}))
    seen(log, one)
    assert len(open_cosignatures(log.checkpoint(), (one.public, two.public))) == 1
    said = text_of(browser.get("/log").text)
    assert "The quorum that the roots ask for is not complete" in said
    assert re.search(r"cosigned first \d+ \w+ 20\d\d", said)
    assert "missing other has not cosigned this checkpoint" in said
    seen(log, two)
    assert "The quorum that the roots ask for is complete." in text_of(browser.get("/log").text)


def test_people_and_their_keys_are_as_the_roots_say(browser: TestClient, tmp_path: Path) -> None:
    context = browser.app.state.context  # type: ignore[attr-defined]
    said = text_of(browser.get("/people").text)
    assert "Nobody yet, so nothing can be signed" in said
    public = make_key(tmp_path).with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(context, WHO, public, emails=("r@office.example",))
    document = json.loads(context.roots.read_bytes())
    document["people"].append(
        {"id": "mallory", "name": "M<b>", "organization": "elsewhere", "roles": ["auditor"], "keys": []}
    )
    context.roots.write_bytes(canonical(document))
    roots = trust.roots(context)
    html = browser.get("/people").text
    said = text_of(html)
    assert roots.digest in said
    assert roots.people[0].keys[0].key.fingerprint in said
    assert "counts, from" in said
    assert "no declaration of independence" in said
    assert "M&lt;b&gt;" in html
    assert "no key: signs nothing" in said
    assert "r@office.example" not in html
    assert "Nobody administers these roots yet" in said
    entry = document["people"][0]["keys"][0]
    entry |= {"valid_from": "2020-01-01T00:00:00Z", "valid_until": "2020-01-02T00:00:00Z"}
    page = people_page(parse_roots(canonical(document)), datetime.now(UTC))
    assert [key.counts for key in page.people[0].keys] == [False]


def test_a_policy_is_said_in_words(browser: TestClient) -> None:
    html = browser.get("/policy").text
    said = text_of(html)
    context = browser.app.state.context  # type: ignore[attr-defined]
    assert trust.policy(context).digest in said
    for words in (
        "1 person of 1 organisation, as reviewer; with conditions counts",
        "answered from high up",
        "90 days at most",
        "2 people of 2 organisations; for 24 hours",
    ):
        assert words in said
    assert "max_age_days = 90" in html


LANES = """
[[lanes]]
name = "critical"
when = 'touches("rank/**")'
people = 3
organizations = 2
[[requirements]]
name = "two-eyes"
applies_if = "true"
met_if = "people >= 2"
[expedited]
when = "true"
sets_aside = ["findings-answered"]
organizations = 2
hours = 24
review_within_hours = 72
"""


def test_lanes_requirements_and_hurry_are_said(browser: TestClient) -> None:
    context = browser.app.state.context  # type: ignore[attr-defined]
    found: Policy = parse_policy(context.policy.read_bytes() + LANES.encode())
    words = dict(asks(found))
    assert words["Lane critical"] == '3 people of 2 organisations, when touches("rank/**")'
    assert words["Requirement two-eyes"] == "people >= 2"
    assert words["Expedited"].startswith("2 organisations, when true; for 24 hours, a full review within 72;")


@pytest.mark.sandbox
def test_another_policy_is_tried_on_past_revisions_and_nothing_is_changed(house: Any, running: TestClient) -> None:
    key = make_key(house.place)
    context = running.app.state.context  # type: ignore[attr-defined]
    trust.enrol_key(context, WHO, key.with_suffix(".pub").read_text(encoding="ascii"), emails=("r@office.example",))
    house.deliver(running, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(running)
    reviews = running.app.state.reviews  # type: ignore[attr-defined]
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    running.get(f"/sign-in?token={running.app.state.accounts.link('reviewer')}")  # type: ignore[attr-defined]
    written = context.policy.read_bytes()
    stricter = written.decode().replace("people = 1 ", "people = 2 ")
    answer = running.post("/policy", data={"text": stricter}, headers=HTML)
    said = text_of(answer.text)
    assert answer.status_code == 200
    assert "1 of 1 revisions that were reviewed are judged otherwise" in said
    assert re.search(r"change 1, revision 1 admits refuses approvals: ", said)
    same = text_of(running.post("/policy", data={"text": written.decode()}, headers=HTML).text)
    assert "0 of 1 revisions" in same
    assert "admits the same nothing" in same
    assert context.policy.read_bytes() == written


@pytest.mark.parametrize("text", ["", "people = ", "[approvals]\npeople = 0", "\x00", "a\ud800", "<script>"])
def test_a_text_that_is_no_policy_is_said_to_be_none(browser: TestClient, text: str) -> None:
    answer = browser.post("/policy", content=f"text={quoted(text)}".encode(), headers=FORM)
    assert answer.status_code == 400
    assert re.search(r'role="alert">this text: ', answer.text)
    assert "<script>" not in answer.text


FORM = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}


def quoted(text: str) -> str:
    """A form's value, whatever it is."""
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))
