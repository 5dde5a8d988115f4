# SPDX-License-Identifier: Apache-2.0
"""The record of reviews that an annex is filled in with, and the command that writes one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from command import refused, runner
from house import NAME, TOKEN, finished, make_key, serve

from evidence import InputError, NotFoundError
from service import annexes, incidents, trust
from service.life import State
from service.views import Person
from signoff import format_time, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command import Said
    from fastapi.testclient import TestClient

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Secret Reviewer", "Independent Ltd", "reviewer")
TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)


@pytest.fixture
def annex(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(monkeypatch, capfd, "annex")


def reviewed(house: Any, client: TestClient) -> None:
    """Two changes, one of which cannot be loaded; the other is approved with words, and rolled out unseen."""
    key = make_key(house.place)
    context = client.app.state.context  # type: ignore[attr-defined]
    trust.enrol_key(context, WHO, key.with_suffix(".pub").read_text(encoding="ascii"), emails=("r@office.example",))
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"}), title="Secret title"))
    broken = house.branch("broken", {"rank.py": serve().replace("def load", "def other")})
    house.deliver(client, house.pull(broken, number=2))
    assert finished(client).state is State.READY
    finished(client, change=2)
    reviews = client.app.state.reviews  # type: ignore[attr-defined]
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED_WITH_CONDITIONS", conditions=("secret condition",))
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    at = format_time(datetime.now(UTC) - timedelta(days=1))
    rollout = {"repository": NAME, "head": "1" * 40, "at": at}
    answer = client.post("/api/v1/rollouts", json=rollout, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 201
    incidents.look(context, datetime.now(UTC) + timedelta(days=2))
    incidents.open_incident(context, "undecided", f"sha256:{'7' * 64}", "of nobody we know", datetime.now(UTC))


def test_the_record_holds_what_was_reviewed_decided_and_rolled_out(
    house: Any, client: TestClient, annex: Callable[..., Said]
) -> None:
    reviewed(house, client)
    context = client.app.state.context  # type: ignore[attr-defined]
    record = annexes.record(context, "tiny", TODAY - DAY, TODAY + 3 * DAY)
    assert record == annexes.record(context, "tiny", TODAY - DAY, TODAY + 3 * DAY)
    first, second = record["revisions"]
    assert (first["repository"], first["title"], first["state"], first["verdict"]) == (
        NAME, "Secret title", "signed", "pass"
    )  # fmt: skip
    assert [one["name"] for one in first["evidence"]] == ["diff", "audit"]
    assert all(context.store.get_json(one["digest"]) and one["made"] for one in first["evidence"])
    assert first["probes"]["exposure"] == "run"
    assert first["margins"] == [{"slice": "secret-slice", "margin": 1.25}]
    assert first["cells"] == {"equivalent": 1}
    (signoff,) = first["signoffs"]
    assert (signoff["decision"], signoff["name"], signoff["conditions"]) == (
        "APPROVED_WITH_CONDITIONS", WHO.name, ["secret condition"]
    )  # fmt: skip
    assert signoff["not_inspected"]
    assert signoff["not_independent"] == "it names the general declaration only"
    assert [one["logged"] for one in first["evidence"]] == [True, True]
    assert [one["logged"] for one in second["evidence"]] == [False, False]
    assert (record["unfinished"], record["earlier_signoffs"]) == (0, 0)
    assert trust.log_reader(context).entry(signoff["log_index"])
    assert (second["verdict"], second["error"]) == ("inconclusive", None)
    assert [(one["id"], one["declaration"]) for one in record["people"]] == [("reviewer", None)]
    (incident,) = record["incidents"]
    assert incident["settled"] is None
    assert record["log"]["size"] == trust.log_reader(context).size

    nothing = annexes.record(context, "tiny", TODAY + 30 * DAY, TODAY + 31 * DAY)
    assert (nothing["revisions"], nothing["people"], nothing["incidents"]) == ([], [], [])
    assert nothing["earlier_signoffs"] == 0
    with pytest.raises(InputError, match="is before the first"):
        annexes.record(context, "tiny", TODAY, TODAY - DAY)
    with pytest.raises(NotFoundError, match=r"no platform 'other' in .*; there is tiny"):
        annexes.record(context, "other", TODAY, TODAY)

    _the_command_writes_it(house, annex)


def _the_command_writes_it(house: Any, annex: Callable[..., Said]) -> None:
    place: Path = house.place
    engagement, out = place / "engagement.toml", place / "annex.html"
    engagement.write_text('[audited]\nservice = "The feed"\n', encoding="utf-8")
    days = ("tiny", "--from", str(TODAY - DAY), "--until", str(TODAY + 3 * DAY), "--data", place / "data")
    said = annex(*days, "--format", "json", "--engagement", engagement)
    assert said.status == 0
    assert refused(said.document, "annex") is None
    assert said.document["edition"] == "confidential"
    assert "Secret title" in said.out
    assert said.err.startswith("2 revisions; ")

    public = annex(*days, "--public", "--format", "json")
    assert refused(public.document, "annex") is None
    assert json.dumps(public.document).lower().count("secret") == 0

    assert annex(*days, "--out", out).status == 0
    page = out.read_bytes()
    assert b"Secret title" in page
    assert out.stat().st_mode & 0o777 == 0o600
    for wrong, complaint in (
        (("--format", "pdf"), "--format pdf: html or json"),
        (("--engagement", place / "none.toml"), "none.toml: cannot be read: No such file"),
        (("--until", "2026-13-01"), "'2026-13-01' does not match"),
        (("--until", "2020-01-01"), "is before the first"),
        (("--data", place), "no service has worked here"),
    ):
        refusal = annex(*days, *wrong, "--out", out)
        assert refusal.status == 2
        assert complaint in refusal.err
        assert refusal.err.count("\n") == 1
        assert out.read_bytes() == page
