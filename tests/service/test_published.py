# SPDX-License-Identifier: Apache-2.0
"""What everybody may see of a signed revision, and that it can be checked without the server's word for it."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from command import runner
from fastapi.testclient import TestClient
from house import NAME, finished, make_key, serve

from service import ledger, published, trust
from service.app import create_app
from service.views import Person
from signoff import RevokedKind, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.views import Prepared

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
SECRETS = ("secret-panel", "secret-slice", "secret-user")
NOBODY = "0" * 64


@pytest.fixture
def shown(house: Any) -> Iterator[TestClient]:
    """The service that publishes."""
    house.publish = True
    with TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client


def signed(house: Any, client: Any, files: dict[str, str], decision: str = "APPROVED", **words: Any) -> Prepared:
    """A change, reviewed and signed."""
    key = make_key(house.place)
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(client.app.state.context, WHO, public, emails=("r@office.example",))
    house.deliver(client, house.pull(house.branch("topic", files)))
    finished(client)
    reviews = client.app.state.reviews
    prepared: Prepared = reviews.prepare_statement(1, 1, WHO, decision, **words)
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    return prepared


def place_of(client: Any) -> str:
    return str(client.app.state.reviews.revision(1, 1).digest).removeprefix("sha256:")


def test_nothing_is_published_unless_the_operator_says_so(idle: TestClient) -> None:
    for path in ("/public", f"/public/{NOBODY}", f"/public/{NOBODY}/0.dsse.json", "/public/roots.json"):
        answer = idle.get(path)
        assert (answer.status_code, "no public pages" in answer.text) == (404, True), path


@pytest.mark.parametrize("name", [NOBODY, "x", "1", "A" * 64, f"{NOBODY}/0.dsse.json", f"{NOBODY}/0.tlog-proof"])
def test_what_nobody_signed_is_not_there(shown: TestClient, name: str) -> None:
    assert shown.get(f"/public/{name}").status_code == 404
    assert "Nothing has been signed yet" in shown.get("/public").text


@pytest.mark.sandbox
def test_a_reviewed_revision_that_nobody_signed_is_not_there(house: Any, shown: TestClient) -> None:
    house.deliver(shown, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(shown)
    assert shown.get(f"/public/{place_of(shown)}").status_code == 404


@pytest.mark.sandbox
def test_a_signed_revision_is_shown_to_everybody_and_checked_by_three_commands(
    house: Any, shown: TestClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    signed(house, shown, {"rank.py": serve(lift=0.8)}, "REJECTED", meaning="It pushes <b>one</b> outlet.")
    at = f"/public/{place_of(shown)}"
    page = shown.get(at)
    assert page.status_code == 200
    assert f'href="{at}"' in shown.get("/public").text
    for words in ("Rejected by Reviewer", NAME, "It pushes &lt;b&gt;one&lt;/b&gt; outlet.", "stands", "amplified"):
        assert words in page.text
    assert not [secret for secret in SECRETS if secret in page.text.replace("secret-slice</b> is amplified", "")]
    run = runner(monkeypatch, capfd)
    said = page.text.split('<pre class="sample">')[1].split("</pre>")[0].splitlines()
    fetch, digest, check = (shlex.split(line) for line in said)
    folder = house.place / "mine"
    folder.mkdir()
    for url in (part for part in fetch if part.startswith("http")):
        answer = shown.get(url)
        assert answer.status_code == 200, url
        (folder / url.rsplit("/", 1)[1]).write_bytes(answer.content)
    assert digest == ["sha256sum", "roots.json"]
    assert f'<code class="digest">{trust.roots(shown.app.state.context).digest}' in page.text  # type: ignore[attr-defined]
    monkeypatch.chdir(folder)
    held = run(*check[1:])
    assert held.status == 0, held.err
    assert "REJECTED by Reviewer (independent)" in held.out
    assert "no witness is asked for" in held.out
    document = run(*check[1:], "--format", "json").document
    assert (document["holds"], document["revision"]) == (True, f"sha256:{place_of(shown)}")
    _refused(run, check[1:], folder)


def _refused(run: Callable[..., Any], check: list[str], folder: Path) -> None:
    """Another payload, another entry's place, another log's key, a key that had ended: each is refused."""
    name = check[2]
    envelope = json.loads((folder / name).read_bytes())
    proof, roots = folder / check[4], json.loads((folder / "roots.json").read_bytes())
    other = {**envelope, "payload": envelope["payload"][:-8] + "AAAA" + envelope["payload"][-4:]}
    (folder / name).write_text(json.dumps(other), encoding="utf-8")
    assert run(*check).status == 1
    (folder / name).write_text(json.dumps(envelope), encoding="utf-8")
    assert run(*check).status == 0
    text = proof.read_text(encoding="utf-8")
    number = text.splitlines()[1]
    proof.write_text(text.replace(number, f"index {int(number.split()[1]) - 1}", 1), encoding="utf-8")
    assert run(*check).status == 1
    proof.write_text("not a proof", encoding="utf-8")
    bad = run(*check)
    assert (bad.status, bad.err.count("\n")) == (2, 1)
    proof.write_text(text, encoding="utf-8")
    ended = json.loads(json.dumps(roots))
    ended["people"][0]["keys"][0] |= {"valid_from": "2020-01-01T00:00:00Z", "valid_until": "2020-01-02T00:00:00Z"}
    (folder / "roots.json").write_text(json.dumps(ended), encoding="utf-8")
    assert "did not count" in run(*check).err
    (folder / "roots.json").write_text(json.dumps({**roots, "logs": []}), encoding="utf-8")
    assert "is not in the roots file" in run(*check).err
    missing = run(*check[:2], "nowhere.json", *check[3:])
    assert (missing.status, "cannot be read" in missing.err) == (2, True)


@pytest.mark.sandbox
def test_what_is_revoked_says_so(house: Any, shown: TestClient) -> None:
    prepared = signed(house, shown, {"README": "words\n"})
    at = f"/public/{place_of(shown)}"
    assert "Approved by Reviewer" in shown.get(at).text
    context = shown.app.state.context  # type: ignore[attr-defined]
    ledger.revoke(
        context, RevokedKind.STATEMENT, prepared.digest.removeprefix("sha256:"), "key lost", datetime.now(UTC)
    )
    assert "revoked: key lost" in " ".join(shown.get(at).text.split())


def _cell(name: str, verdict: str, ratio: float | None, users: int = 1000, **cohort: str) -> dict[str, Any]:
    return {
        "family": "primary", "slice": name, "verdict": verdict, "ratio": ratio, "users": users,
        "cohort": cohort, "context": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([_cell("media", "amplified", 1.4312)], "about 1.4 times base, over everybody"),
        ([_cell("media", "amplified", None)], "from nothing in base, over everybody"),
        (
            [_cell("media", "amplified", 1.4312, 99)],
            "in groups of fewer than 100 people, of which no more is said here",
        ),
        (
            [_cell("media", "amplified", 1.9, 100, party="A"), _cell("media", "amplified", 2.7, 99, party="B")],
            "in 1 of the groups of 100 people or more, not over everybody",
        ),
        (
            [_cell("media", "amplified", 1.2), _cell("media", "amplified", 9.9, 50, party="B")],
            "about 1.2 times base, over everybody",
        ),
    ],
)
def test_figures_are_coarse_and_small_groups_are_left_out(cells: list[dict[str, Any]], said: str) -> None:
    audit = {"cells": [*cells, _cell("hidden", "amplified", 3.0, party="A")], "panel": {"users": 3432}}
    public = {"slices": [{"slice": "media", "direction": "amplified"}]}
    moved, rest = published.what_was_found(audit, public)
    assert [(one.name, one.direction, one.words) for one in moved] == [("media", "amplified", said)]
    assert rest == "The other cells, of a panel of about 3,000 people that is not public: 1 amplified."
    assert "party" not in f"{moved}{rest}"


def test_what_was_not_run_is_said() -> None:
    assert published.what_was_found(None, None) == (
        (),
        "Neither version was run, so what the change does is not known.",
    )
