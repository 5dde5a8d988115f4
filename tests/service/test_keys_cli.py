# SPDX-License-Identifier: Apache-2.0
"""``countersign keys``: two administrators put roots in force; after that nothing else changes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from command import Said, refused, runner
from house import make_key

from evidence import PermissionDeniedError, PolicyError, canonical, sha256_hex
from service import signing, trust
from service.arrivals import now
from service.context import Context
from service.views import Person
from signoff import PublicKey, RootsUpdate, format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(monkeypatch, capfd, "keys")


@pytest.fixture
def context(house: Any) -> Iterator[Context]:
    found = Context.open(house.settings)
    trust.prepare(found)
    yield found
    found.close()


def line(key: Path) -> str:
    return key.with_suffix(".pub").read_text(encoding="ascii").strip()


def person(name: str, key: Path, *roles: str) -> dict[str, Any]:
    keys = [{"public": line(key), "valid_until": None}]
    return {"id": name, "name": name.title(), "organization": "independent", "roles": list(roles), "keys": keys}


def test_two_administrators_put_roots_in_force_and_nothing_else_changes_them(
    house: Any, context: Context, run: Callable[..., Said]
) -> None:
    ada, bob, rita = (make_key(house.place, name) for name in ("ada", "bob", "rita"))
    data, roots = house.place / "data", house.place / "data" / "roots.json"
    edited, update = house.place / "edited.json", house.place / "update.json"
    document = json.loads(roots.read_bytes())
    document["people"] = [person("ada", ada, "administrator"), person("bob", bob, "administrator")]
    document["people"].append(person("rita", rita, "reviewer"))
    edited.write_text(json.dumps(document), encoding="utf-8")
    assert run("propose", roots, edited, "--out", update).status == 0
    assert run("sign", update, "--key", ada, "--yes").out.strip().endswith("1 signatures")
    early = run("apply", update, "--data", data)
    assert (early.status, "1 of them signed" in early.err) == (2, True)
    assert run("sign", update, "--key", bob, "--yes").status == 0
    assert refused(json.loads(update.read_bytes()), "roots-update") is None
    assert run("apply", update, "--data", data).out == "roots version 1 is in force, log entry 1\n"
    assert trust.log_reader(context).entry(1) == canonical({"type": "roots", "digest": _digest(update)})
    listed = run("list", "--roots", roots, "--format", "json").document
    assert [row["person"] for row in listed["keys"]] == ["ada", "bob", "rita"]
    assert "rita namespaces=" in run("allowed-signers", "--roots", roots).out
    assert run("apply", update, "--data", data).status == 2

    with pytest.raises(PolicyError, match="signed by administrators"):
        trust.add_key(context, "rita", PublicKey.from_line(line(make_key(house.place, "second"))))
    good = roots.read_bytes()
    roots.write_bytes(good.replace(b'"reviewer"', b'"panel-owner"'))
    with pytest.raises(PolicyError, match="signed last"):
        trust.roots(context)
    with pytest.raises(PolicyError, match="signed last"):
        trust.prepare(context)
    # As after a kill between keeping the update and putting it in force.
    roots.write_bytes(_before(context, good))
    trust.prepare(context)
    assert roots.read_bytes() == good
    (data / "roots" / "000001.json").unlink()
    with pytest.raises(PolicyError, match="is missing"):
        trust.prepare(context)


def test_an_update_that_was_changed_on_disk_stops_the_start(
    house: Any, context: Context, run: Callable[..., Said]
) -> None:
    ada, bob = (make_key(house.place, name) for name in ("ada", "bob"))
    edited, update = house.place / "edited.json", house.place / "update.json"
    document = json.loads(context.roots.read_bytes())
    document["people"] = [person("ada", ada, "administrator"), person("bob", bob, "administrator")]
    for _ in range(2):
        edited.write_text(json.dumps(document), encoding="utf-8")
        assert run("propose", context.roots, edited, "--out", update).status == 0
        assert run("sign", update, "--key", ada, "--yes").status == 0
        assert run("sign", update, "--key", bob, "--yes").status == 0
        assert run("apply", update, "--data", house.place / "data").status == 0
        document = json.loads(context.roots.read_bytes())
    trust.prepare(context)
    second = context.root_updates / "000002.json"
    forged = json.loads(second.read_bytes())
    forged["signatures"] = forged["signatures"][:1]
    second.write_bytes(canonical(forged))
    with pytest.raises(PolicyError, match="1 of them signed"):
        trust.prepare(context)


@pytest.mark.parametrize("roles", [["auditor"], ["regulator", "submitter"], ["administrator"]])
def test_who_may_only_read_prepares_nothing(context: Context, house: Any, roles: list[str]) -> None:
    entry = {**person("reviewer", make_key(house.place), *roles)}
    entry["keys"][0]["valid_from"] = format_time(now())
    document = json.loads(context.roots.read_bytes())
    context.roots.write_bytes(canonical({**document, "people": [entry]}))
    with pytest.raises(PermissionDeniedError, match="signs nothing off"):
        signing._known(context, WHO)


def _digest(update: Path) -> str:
    return RootsUpdate.read(update.read_bytes()).digest


def _before(context: Context, now_there: bytes) -> bytes:
    """The roots that the service made at its first start, which the first update follows on."""
    document = json.loads(now_there)
    empty = {key: value for key, value in document.items() if key != "administration"}
    before = canonical({**empty, "people": []})
    assert document["administration"]["previous"]["sha256"] == sha256_hex(before), context.roots
    return before
