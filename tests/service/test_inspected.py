# SPDX-License-Identifier: Apache-2.0
"""A statement says what was not looked at, and what was left as it is and why, out of the reviewer's own marks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from house import finished, make_key, serve

from evidence import InputError, canonical
from service import trust
from service.inspected import lines
from service.views import Person
from signoff import read_statement

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
OTHER = Person("other", "Other", "Other Review", "reviewer")


def test_few_files_are_named() -> None:
    assert lines({"b.py", "a.py", "new\nline.py"}) == ("a.py", "b.py", "new\\nline.py")
    assert lines(set()) == ()


def test_a_path_that_hides_something_or_is_long_is_told_in_one_line() -> None:
    (hidden,) = lines({"safe\u202epy.exe"})
    assert hidden == "safe\\u202epy.exe"
    long = "a" * 4000
    (told,) = lines({long})
    assert len(told) < 1000
    assert hashlib.sha256(long.encode()).hexdigest() in told


def test_very_many_files_are_counted_by_folder_and_told_by_digest() -> None:
    paths = {f"src/{n}.py" for n in range(300)} | {f"models/{n}/x.bin" for n in range(200)} | {"README", "LICENSE"}
    told = lines(paths)
    assert told[:3] == (
        "src/: 300 files not viewed",
        "models/: 200 files not viewed",
        "(top folder): 2 files not viewed",
    )
    whole = hashlib.sha256(canonical(sorted(paths))).hexdigest()
    assert told[3:] == (f"(in all): 502 files not viewed, sha256 of their sorted paths as canonical JSON {whole}",)


def test_more_folders_than_fit_are_counted_together() -> None:
    told = lines({f"folder{n:03}/file" for n in range(70)})
    assert len(told) == 42
    assert told[-2] == "(other folders): 30 files not viewed"
    assert told[-1].startswith("(in all): 70 files not viewed")


@pytest.fixture
def desk(house: Any, client: TestClient) -> Any:
    """A change of three files with findings, reviewed; the reviewer is enrolled and signed in."""
    key = make_key(house.place)
    context = client.app.state.context  # type: ignore[attr-defined]
    trust.enrol_key(context, WHO, key.with_suffix(".pub").read_text(encoding="ascii"), emails=("r@office.example",))
    token = client.app.state.accounts.link(WHO.id)  # type: ignore[attr-defined]
    assert client.get(f"/sign-in?token={token}").status_code == 303
    files = {"rank.py": serve(lift=0.8), "README": "words\n", "NOTES": "more words\n"}
    house.deliver(client, house.pull(house.branch("lift", files)))
    finished(client)
    return client.app.state.reviews  # type: ignore[attr-defined]


@pytest.mark.sandbox
def test_the_statement_says_what_was_viewed_waived_and_not_inspected(client: TestClient, desk: Any) -> None:
    first = desk.revision(1, 1).findings[0]
    desk.answer(1, 1, first["id"], kind="acknowledged", text="An experiment.\nThe regulator knows.", person=WHO)
    desk.mark_viewed(1, 1, "rank.py", person=WHO, viewed=True)
    page = client.get("/changes/1/revisions/1/sign").text
    assert page.count('name="waive_file"') == 2
    anchors = [part.split('"')[0] for part in page.split('name="waive_file" value="')[1:]]
    form = {"decision": "REJECTED", "waive_file": anchors, "waive_reason": ["", " It is prose. "]}
    sent = client.post("/changes/1/revisions/1/sign", data=form, headers={"Origin": "http://127.0.0.1:8000"})
    assert sent.status_code == 303, sent.text
    shown = client.get(sent.headers["location"]).text
    nonce = sent.headers["location"].split("nonce=")[1].split("#")[0]
    predicate = read_statement(desk.prepared(1, 1, nonce).payload).predicate
    (waived,) = predicate.coverage.waived
    assert {waived.path, *predicate.notInspected} == {"README", "NOTES"}
    assert waived.reason == "It is prose."
    assert (predicate.coverage.files, predicate.coverage.viewed) == (3, 1)
    (left,) = predicate.coverage.waivedFindings or ()
    assert (left.id, left.answer, left.by) == (first["id"], "acknowledged", WHO.id)
    assert left.reason == "An experiment. The regulator knows."
    assert predicate.coverage.waivedUnlisted == 0
    assert f"{waived.path} waived: It is prose." in shown
    assert "An experiment. The regulator knows." in shown


@pytest.mark.sandbox
def test_a_file_is_waived_once_with_a_reason_and_only_unseen(desk: Any) -> None:
    desk.mark_viewed(1, 1, "rank.py", person=WHO, viewed=True)
    for waive in (
        [("rank.py", "Seen.")],
        [("no/such", "Why.")],
        [("README", " ")],
        [("README", "x" * 201)],
        [("README", "One."), ("README", "Two.")],
    ):
        with pytest.raises(InputError, match=r"waiv"):
            desk.prepare_statement(1, 1, WHO, "REJECTED", waive=tuple(waive))
    assert desk.viewed_by(1, 1, WHO) == {"rank.py"}
    assert desk.viewed_by(1, 1, OTHER) == frozenset()
