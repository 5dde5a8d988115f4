# SPDX-License-Identifier: Apache-2.0
"""Audits of real recommenders in the real sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from behavior import Side, audit, read_panel
from behavior._requests import panel_requests, shuffled
from confine import Limits
from evidence import ManifestError, Severity, Verdict, canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behavior import Audit, Panel

pytestmark = pytest.mark.sandbox

SERVE = """
import hashlib
ITEMS, STATE, LIFT = 120, 5, {lift}
def weight(*parts):
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32
POPULAR = [weight(item) for item in range(ITEMS)]
class Feed:
    def recommend(self, requests, k):
{body}
def rank(request, k):
    seen = len(request["history"])
    score = lambda item: POPULAR[item] + weight(request["user_id"], item) + (LIFT if item % STATE == 0 else 0)
    return [f"i{{item}}" for item in sorted(range(ITEMS), key=score, reverse=True)[:k]]
def load(artifacts):
    return Feed()
"""
PLAIN = "        return [rank(request, k) for request in requests]"
LIMITS = Limits(start_seconds=20, call_seconds=10, memory_bytes=1 << 30, processes=16)


@pytest.fixture
def panel(panel_folder: Callable[..., Any]) -> Panel:
    slices = '[[slices]]\nname = "state"\nwhere = "stately"\npublic = true\n[[cohorts]]\nby = "country"\n'
    folder = panel_folder(users=120, items=120, k=10, depth=30, permutations=200, slices=slices)
    items = folder.tables["items"].with_columns(stately=pl.int_range(pl.len()) % 5 == 0)
    read: Panel = folder.with_table("items", items).read()
    return read


@pytest.fixture
def side(tmp_path: Path) -> Callable[..., Side]:
    def make(name: str, body: str = PLAIN, lift: float = 0.0, manifest: str = "") -> Side:
        tree = tmp_path / name
        tree.mkdir()
        (tree / "serve.py").write_text(SERVE.format(body=body, lift=lift), encoding="utf-8")
        text = manifest or '[recommender]\nentrypoint = "serve:load"\n'
        (tree / "countersign.toml").write_text(text, encoding="utf-8")
        return Side(tree, {}, f"tree-of-{name}-{lift}-{len(body)}")

    return make


def _run(panel: Panel, base: Side, head: Side, **more: Any) -> Audit:
    return audit(panel, base, head, limits=LIMITS, **more)


def test_the_same_code_passes_and_a_lift_fails(panel: Panel, side: Callable[..., Side]) -> None:
    base = side("base")
    same = _run(panel, base, side("same"))
    assert same.verdict is Verdict.PASS
    assert {probe.name for probe in same.probes if probe.run} == {
        "exposure",
        "targeting",
        "discovery",
        "quality",
        "determinism",
    }
    lifted = _run(panel, base, side("lifted", lift=0.5))
    assert lifted.verdict is Verdict.FAIL
    assert lifted.public() == {
        "verdict": "fail",
        "slices": [{"slice": "state", "direction": "amplified"}],
        "error_class": None,
    }
    assert lifted.to_json()["base"] == {"digest": base.digest}


def test_an_audit_repeats_to_the_byte(panel: Panel, side: Callable[..., Side]) -> None:
    base, head = side("base"), side("head", lift=0.1)
    first, second = (canonical(_run(panel, base, head).to_json()) for _ in range(2))
    assert first == second


class Memory:
    """A slate cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.hits = 0

    def get(self, key: str) -> bytes | None:
        found = self.kept.get(key)
        self.hits += found is not None
        return found

    def put(self, key: str, content: bytes) -> None:
        self.kept[key] = content


def test_yesterdays_head_is_todays_base_from_the_cache(panel: Panel, side: Callable[..., Side]) -> None:
    cache, said = Memory(), []
    first, second = side("base"), side("head", lift=0.1)
    fresh = _run(panel, first, second, cache=cache)
    assert (cache.hits, len(cache.kept)) == (0, 2)
    third = side("next", lift=0.11)
    cached = _run(panel, second, third, cache=cache, progress=said.append)
    assert cache.hits == 1
    assert "base: slates from the cache" in said
    assert canonical(_run(panel, first, second, cache=cache).to_json()) == canonical(fresh.to_json())
    assert cached.to_json() == _run(panel, second, third).to_json()


def test_an_anchor_is_run_and_held_to_the_margin(panel: Panel, side: Callable[..., Side]) -> None:
    result = _run(panel, side("base", lift=0.5), side("head", lift=0.501), anchor=side("anchor"))
    assert result.verdict is Verdict.FAIL
    assert {cell.probe for cell in result.cells} == {"exposure", "anchor"}


FAILURES = {
    "raises": ("        raise ValueError(requests[0]['user_id'])", "raised"),
    "unknown item": ("        return [['zz', *rank(request, k)[1:]] for request in requests]", "unknown-item"),
    "too few": ("        return [rank(request, k)[:3] for request in requests]", "too-few-items"),
    "repeated": ("        return [[rank(request, 1)[0]] * k for request in requests]", "protocol"),
    "no slates": ("        return 'nothing'", "raised"),
    "exits": ("        import os; os._exit(3)", "exited"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_head_is_an_inconclusive_audit_with_a_finding(
    panel: Panel, side: Callable[..., Side], name: str
) -> None:
    body, error_class = FAILURES[name]
    result = _run(panel, side("base"), side("head", body))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert not result.cells
    assert not any(probe.run for probe in result.probes)
    finding = next(finding for finding in result.findings if finding.rule == "recommender-failed")
    assert finding.severity is Severity.HIGH
    assert finding.evidence == {"side": "head", "error_class": result.error_class}
    assert result.error_class == error_class
    assert json.loads(canonical(result.to_json()))["probes"][0]["status"] == "not-run"


def test_a_submitter_sees_the_class_of_a_failure_and_nothing_else(panel: Panel, side: Callable[..., Side]) -> None:
    result = _run(panel, side("base"), side("head", FAILURES["raises"][0]))
    assert result.public() == {"verdict": "inconclusive", "slices": [], "error_class": "raised"}
    user = panel_requests(panel, known_users=False)[0].request.user_id
    assert len(user) == 16
    assert user not in json.dumps(result.public())


def test_a_missing_module_is_head_s_failure_and_a_failing_base_is_named(
    panel: Panel, side: Callable[..., Side]
) -> None:
    manifest = '[recommender]\nentrypoint = "nowhere:load"\n'
    result = _run(panel, side("base", manifest=manifest), side("head", manifest=manifest))
    assert result.error_class == "module-missing"
    assert {finding.evidence["side"] for finding in result.findings} == {"base", "head"}


def test_a_side_without_manifest_or_artifact_is_refused_by_name(panel: Panel, side: Callable[..., Side]) -> None:
    head = side("head")
    (head.tree / "countersign.toml").unlink()
    with pytest.raises(ManifestError, match=r"head: no countersign\.toml"):
        _run(panel, side("base"), head)
    manifest = '[recommender]\nentrypoint = "serve:load"\n[artifacts]\nmodel = "model.npz"\n'
    with pytest.raises(ManifestError, match=r"head: artifacts\.model: no file 'model\.npz'"):
        _run(panel, side("base2"), side("head2", manifest=manifest))


CONNECT = """        import socket
        try:
            socket.create_connection(("192.0.2.7", 443), timeout=1)
        except OSError:
            pass
        return [rank(request, k) for request in requests]"""


def test_an_attempt_to_connect_is_a_finding_and_no_pass(panel: Panel, side: Callable[..., Side]) -> None:
    result = _run(panel, side("base"), side("head", CONNECT))
    finding = next(finding for finding in result.findings if finding.rule == "egress-attempted")
    assert finding.severity is Severity.HIGH
    assert finding.evidence["side"] == "head"
    assert result.verdict is Verdict.INCONCLUSIVE


def test_slates_that_do_not_repeat_are_excess_churn_and_no_pass(panel: Panel, side: Callable[..., Side]) -> None:
    body = """        import random
        found = [rank(request, k) for request in requests]
        for slate in found:
            random.shuffle(slate)
        return found"""
    result = _run(panel, side("base"), side("head", body))
    assert "excess-churn" in {finding.rule for finding in result.findings}
    searched = next(probe for probe in result.probes if probe.name == "determinism").searched
    assert searched["base"] == {"repeated": 120, "alike": 120, "differing_share": 0.0, "overlap_of_differing": None}
    assert searched["head"]["differing_share"] > 0.9
    assert 0 < searched["head"]["overlap_of_differing"] < 1
    assert result.verdict is not Verdict.PASS


def test_a_deep_slate_that_begins_otherwise_is_said_and_the_first_screen_is_judged(
    panel: Panel, side: Callable[..., Side]
) -> None:
    body = """        if k > 10:
            return [rank(request, k) for request in requests]
        return [sorted(rank(request, 30), key=lambda item: int(item[1:]) % STATE)[:k] for request in requests]"""
    result = _run(panel, side("base"), side("head", body))
    assert result.verdict is Verdict.FAIL
    finding = next(finding for finding in result.findings if finding.rule == "depth-mismatch")
    assert finding.severity is Severity.MEDIUM
    probe = next(probe for probe in result.probes if probe.name == "determinism")
    assert "the slates of k are judged" in probe.summary


def test_deep_slates_may_end_early_but_head_s_ending_earlier_is_a_finding(
    panel: Panel, side: Callable[..., Side]
) -> None:
    short = "        return [rank(request, min(k, 20)) for request in requests]"
    result = _run(panel, side("base"), side("head", short))
    assert "deep statistic at 20" in result.probes[0].summary
    assert [finding.rule for finding in result.findings] == ["depth-mismatch"]


def test_requests_carry_pseudonyms_histories_and_context_in_one_order_for_both_sides(
    panel_folder: Callable[..., Any],
) -> None:
    folder = panel_folder(users=40, extra='[context]\nplace = "country"\n')
    panel = folder.read()
    asked = panel_requests(panel, known_users=False)
    assert [each.user for each in asked] == list(range(40))
    assert not {each.request.user_id for each in asked} & set(panel.users["user_id"])
    assert asked == panel_requests(panel, known_users=False)
    assert asked[1].request.context == {"place": "FR"}
    assert [event.item_id for event in asked[0].request.history if not isinstance(event, dict)] == ["i0", "i40"]
    orders = [[each.user for each in shuffled(asked, panel, purpose)] for purpose in ("top", "deep")]
    assert orders[0] != orders[1] != list(range(40))
    assert sorted(orders[0]) == list(range(40))
    known = panel_requests(panel, known_users=True)
    assert [each.request.user_id for each in known] == panel.users["user_id"].to_list()
    assert [each.request.seed for each in known] == [each.request.seed for each in asked]


def test_another_edition_has_other_pseudonyms(panel_folder: Callable[..., Any]) -> None:
    first = panel_folder(users=10).read()
    second = read_panel(panel_folder(users=10, name="second", extra="edition = 2").write())
    names = [{each.request.user_id for each in panel_requests(panel, known_users=False)} for panel in (first, second)]
    assert not names[0] & names[1]


def test_users_with_several_requests_are_asked_for_each(panel_folder: Callable[..., Any]) -> None:
    requests = pl.DataFrame({"user_id": ["u0", "u0", "u0", "u1"], "device": ["tv", "phone", "tv", "tv"]})
    panel = panel_folder(users=2).with_table("requests", requests).read()
    asked = panel_requests(panel, known_users=False)
    assert [each.user for each in asked] == [0, 0, 0, 1]
    assert len({(each.user, each.context) for each in asked}) == 4
    assert len({each.request.seed for each in asked}) == 4
    assert np.unique([each.request.id for each in asked]).size == 4
