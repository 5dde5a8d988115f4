# SPDX-License-Identifier: Apache-2.0
"""A review's diff is made with the reviewer's rules, the last signed head, the change's title and its wheels."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from house import finished, make_key, serve

from evidence import InputError
from service import steps, trust
from service.app import create_app
from service.context import Context
from service.life import State
from service.views import Person
from signoff import sign_with_ssh_key

if TYPE_CHECKING:
    from pathlib import Path

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
SENDS = """import requests

SHARE_WEIGHT = 2.0

def send(person):
    requests.post(HOST, json=person.step_count)
"""
RULES = '[severity]\nliteral-added = "high"\n[fields.health]\nnames = ["step count"]\n'


def configure(house: Any, **lines: str) -> None:
    """More keys for the platform."""
    path = house.place / "data" / "platforms.toml"
    more = "".join(f'{name} = "{value}"\n' for name, value in lines.items())
    path.write_text(house.platforms().replace("[[platforms]]\n", f"[[platforms]]\n{more}", 1), encoding="utf-8")


def compared(house: Any, head: str, title: str = "A change", number: int = 1) -> dict[str, Any]:
    """The diff of a change that nobody else works on."""
    client = TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000")
    context = client.app.state.context  # type: ignore[attr-defined]
    try:
        assert house.deliver(client, house.pull(head, title=title, number=number)).status_code == 202
        steps.fetch(context, number)
        steps.compare(context, number)
        document: dict[str, Any] = client.app.state.reviews.evidence(number, 1, "diff", public=False)  # type: ignore[attr-defined]
        return document
    finally:
        context.close()


def rules_of(document: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in document["findings"]}


def test_the_reviewers_rules_weigh_the_diff_and_name_user_data(house: Any) -> None:
    (house.place / "data" / "rules.toml").write_text(RULES, encoding="utf-8")
    source = (
        "import requests\n\nSHARE_WEIGHT = 2.0\n\ndef send(person):\n    requests.post(HOST, json=person.step_count)\n"
    )
    document = compared(house, house.branch("more", {"extra.py": source}))
    assert document["rules"].startswith("sha256:")
    assert {one["severity"] for one in document["findings"] if one["rule"] == "literal-added"} == {"high"}
    exposed = [one for one in document["findings"] if one["rule"] == "data-field-exposed"]
    assert any("health" in str(one["evidence"]) for one in exposed)


def test_a_platforms_own_rules_go_before_those_of_the_settings(house: Any) -> None:
    (house.place / "data" / "rules.toml").write_text('[severity]\nliteral-added = "high"\n', encoding="utf-8")
    (house.place / "data" / "own.toml").write_text('[severity]\nliteral-added = "info"\n', encoding="utf-8")
    configure(house, rules="own.toml")
    document = compared(house, house.branch("more", {"extra.py": "SHARE_WEIGHT = 2.0\n"}))
    assert {one["severity"] for one in document["findings"] if one["rule"] == "literal-added"} == {"info"}


def test_rules_that_cannot_be_used_are_said_when_the_service_starts(house: Any) -> None:
    (house.place / "data" / "rules.toml").write_text('[severity]\nno-such-rule = "high"\n', encoding="utf-8")
    with pytest.raises(InputError, match="there is no rule 'no-such-rule'"):
        Context.open(house.settings)


def test_the_title_that_somebody_gave_is_held_against_what_changed(house: Any) -> None:
    lifted = {"rank.py": serve(lift=0.8)}
    assert "claim-mismatch" in rules_of(compared(house, house.branch("typo", lifted), title="Fix a typo in the docs"))


def test_a_title_that_says_nothing_of_its_own_leaves_the_messages_to_claim(house: Any) -> None:
    house.git("checkout", "-q", "-B", "two", "main")
    house.commit({"rank.py": serve(lift=0.8)}, "Lift the items of the state")
    head = house.commit({"README": "words\n"}, "Fix a typo in the docs")
    house.git("checkout", "-q", "main")
    assert "claim-mismatch" not in rules_of(compared(house, head, title="Fix a typo in the docs"))


def test_commits_are_held_against_the_platforms_list_of_signers(house: Any) -> None:
    (house.place / "data" / "signers").write_text("", encoding="ascii")
    configure(house, allowed_signers="signers")
    document = compared(house, house.branch("more", {"README": "words\n"}))
    assert document["history"]["verified"] == 0
    assert [one["evidence"]["kind"] for one in document["findings"]] == ["signature unsigned"]


def test_commits_are_held_against_the_platforms_keyring(house: Any) -> None:
    (house.place / "data" / "keys.gpg").write_bytes(b"")
    configure(house, openpgp_keyring="keys.gpg")
    document = compared(house, house.branch("more", {"README": "words\n"}))
    assert document["history"]["verified"] == 0
    assert [one["evidence"]["kind"] for one in document["findings"]] == ["signature unsigned"]


def wheel(folder: Path, source: str) -> None:
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "ranklib-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("ranklib/__init__.py", source)
        archive.writestr("ranklib-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ranklib\nVersion: 1.0\n")


def test_wheels_of_both_commits_are_compared_and_those_of_one_are_named(house: Any) -> None:
    configure(house, wheels="wheels")
    base, head = house.git("rev-parse", "main"), house.branch("same", {"README": "words\n"})
    place = house.place / "data" / "wheels"
    wheel(place / base, "share_weight = 2.0\n")
    alone = compared(house, head)
    assert [one["path"] for one in alone["not_analysed"]] == ["(wheels)"]
    assert alone["verdict"] == "inconclusive"
    again = house.branch("again", {"README": "other words\n"})
    wheel(place / again, "share_weight = 20.0\n")
    both = compared(house, again, number=2)
    assert [one["evidence"]["new"] for one in both["findings"]] == [20.0]
    assert both["not_analysed"] == []


@pytest.mark.sandbox
def test_small_steps_are_held_against_the_last_signed_head(house: Any, client: TestClient) -> None:
    """One head is signed and merged, one is merged unsigned; the third change is held against the first."""
    key = make_key(house.place)
    context = client.app.state.context  # type: ignore[attr-defined]
    reviews = client.app.state.reviews  # type: ignore[attr-defined]
    trust.enrol_key(context, WHO, key.with_suffix(".pub").read_text(encoding="ascii"), emails=("r@office.example",))
    signed = house.branch("first", {"weights.py": "SHARE_WEIGHT = 2.0\n"})
    house.deliver(client, house.pull(signed))
    assert finished(client).state is State.READY
    house.git("merge", "-q", "--ff-only", "first")
    for number, weight in ((2, "2.4"), (3, "2.9")):
        head = house.branch(f"step-{number}", {"weights.py": f"SHARE_WEIGHT = {weight}\n"})
        house.deliver(client, house.pull(head, number=number))
        view = finished(client, change=number)
        assert view.diff is not None
        assert view.diff["baseline"] is None
        house.git("merge", "-q", "--ff-only", f"step-{number}")
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    head = house.branch("last", {"weights.py": "SHARE_WEIGHT = 3.4\n"})
    house.deliver(client, house.pull(head, number=4))
    document = finished(client, change=4).diff
    assert document is not None
    assert document["baseline"]["commit"] == signed
    (ramp,) = [finding for finding in document["findings"] if finding["rule"] == "ramp"]
    assert (ramp["evidence"]["old"], ramp["evidence"]["new"], ramp["evidence"]["step_old"]) == (2.0, 3.4, 2.9)
