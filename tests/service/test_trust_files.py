# SPDX-License-Identifier: Apache-2.0
"""An edit of policy or roots by hand stands in the log, before the first thing that may rest on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence import digest, document_digest
from service import ledger, trust, trust_files
from signoff import evidence_leaf

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from service.context import Context


@pytest.fixture
def context(client: TestClient) -> Context:
    found: Context = client.app.state.context  # type: ignore[attr-defined]
    return found


def entries(context: Context) -> list[dict[str, Any]]:
    return [json.loads(entry) for entry in trust.log_reader(context).entries()]


def something(context: Context, number: int) -> None:
    ledger.record(context, evidence_leaf(digest(bytes([number]))))


def documents(context: Context) -> list[dict[str, Any]]:
    """What the log's entries of trust name, out of the evidence store."""
    return [context.store.get_json(one["digest"]) for one in entries(context) if one["type"] == "trust"]


def test_each_edit_is_logged_before_what_came_after_it_and_the_files_are_kept(context: Context) -> None:
    mild = context.policy.read_bytes()
    strict = mild + b"# by hand\n"
    held = [mild, mild, strict, mild]  # weakened for a moment and put back: that is two edits
    for number, content in enumerate(held):
        context.policy.write_bytes(content)
        something(context, number)
    assert [one["type"] for one in entries(context)] == [
        "trust", "evidence", "evidence", "trust", "evidence", "trust", "evidence",
    ]  # fmt: skip
    found = documents(context)
    assert [one["policy"] for one in found] == [digest(mild), digest(strict), digest(mild)]
    assert [one["before"] for one in found] == [None, *map(document_digest, found[:2])]
    assert context.store.get(found[1]["policy"]) == strict
    assert context.store.get(found[0]["roots"]) == context.roots.read_bytes()


def test_a_key_that_is_put_into_the_roots_shows(context: Context) -> None:
    something(context, 0)
    roots = json.loads(context.roots.read_bytes())
    context.roots.write_text(json.dumps(roots, indent=1), encoding="utf-8")
    something(context, 1)
    assert [one["type"] for one in entries(context)] == ["trust", "evidence", "trust", "evidence"]
    before, after = documents(context)
    assert (before["policy"], before["roots"] == after["roots"]) == (after["policy"], False)


def test_nothing_that_is_logged_already_brings_an_entry(context: Context) -> None:
    something(context, 0)
    context.policy.write_bytes(context.policy.read_bytes() + b"# by hand\n")
    something(context, 0)
    assert len(entries(context)) == 2
    ledger.revocation_list(context)
    assert [one["type"] for one in entries(context)] == ["trust", "evidence", "trust", "revocations"]


def test_a_kill_between_logging_and_remembering_loses_no_edit(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def kill(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(trust_files, "logged", kill)
        with pytest.raises(KilledError):
            something(context, 0)
    something(context, 0)
    something(context, 1)
    assert [one["type"] for one in entries(context)] == ["trust", "evidence", "trust", "evidence"]
    first, second = documents(context)
    assert (first["policy"], first["roots"]) == (second["policy"], second["roots"])
