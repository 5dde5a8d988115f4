# SPDX-License-Identifier: Apache-2.0
"""Capabilities: what head can reach that base could not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diffing.capabilities import shipped
from diffing.capabilities.destinations import of_setting, of_text, of_url
from evidence import InputError, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing._compare import Outcome

CASES = [
    case
    for name in ("capabilities", "capabilities_elsewhere")
    for case in tomllib.loads((Path(__file__).parent / f"corpus/{name}.toml").read_text("utf-8"))["case"]
]
OWN = {"capability-added", "destination-added", "data-field-exposed"}


def sides(case: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    path = case.get("path", "app/send.py")
    trees = [tree if isinstance(tree, dict) else {path: tree} for tree in (case["before"], case["after"])]
    around = case.get("around", {})
    before, after = ({at: text.encode() for at, text in {**around, **tree}.items()} for tree in trees)
    return before, after


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_change_of_capabilities_gives_its_rules(case: dict[str, Any], compare: Callable[..., Outcome]) -> None:
    found = [finding for finding in compare(*sides(case)).findings if finding.rule in OWN | case["expect"].keys()]
    worst: dict[str, Severity] = {}
    for finding in found:
        worst.setdefault(finding.rule, finding.severity)
    shown = {
        rule: severity.value
        for rule, severity in worst.items()
        if severity.at_least(Severity.LOW if case.get("quiet") else Severity.MEDIUM) or rule in case["expect"]
    }
    assert shown == case["expect"], [f"{one.severity} {one.title}" for one in found]
    for key, value in case.get("evidence", {}).items():
        assert value in [finding.evidence.get(key) for finding in found], (key, value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_same_on_both_sides_gives_nothing(case: dict[str, Any], compare: Callable[..., Outcome]) -> None:
    for tree in sides(case):
        padded = {path: content + b"\n" for path, content in tree.items()}
        assert not [finding for finding in compare(tree, padded).findings if finding.rule in OWN]


def test_fingerprints_do_not_depend_on_lines(compare_one: Callable[..., Outcome]) -> None:
    case = CASES[0]
    padding = '"""Something else."""\n\n\ndef unrelated():\n    return None\n\n\n'
    one = {finding.id for finding in compare_one(case["before"], case["after"]).findings if finding.rule in OWN}
    other = compare_one(padding + case["before"], padding + case["after"]).findings
    assert one == {finding.id for finding in other if finding.rule in OWN}
    assert len(one) >= 3


def test_a_finding_says_which_entry_points_get_there(compare_one: Callable[..., Outcome]) -> None:
    before = "@app.get('/feed')\ndef feed(user):\n    return build(user)\n\ndef build(user):\n    return 1\n"
    after = before.replace("    return 1\n", "    requests.get('https://a.partner.net')\n    return 1\n")
    findings = compare_one(before, f"import requests\n{after}").findings
    (added,) = (finding for finding in findings if finding.rule == "capability-added")
    assert added.evidence["reached_from"] == ["feed"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https://user:pass@A.Partner.net:8443/x?y", "a.partner.net"),
        ("postgresql://db.partner.net/x", "db.partner.net"),
        ("s3://partner-bucket/key", "partner-bucket"),
        ("https://{}/x", None),
        ("https://${HOST}/x", None),
        ("file:///etc/passwd", None),
        ("no url at all", None),
        ("http://[2001:4860::1]/x", "[2001:4860::1]"),
    ],
)
def test_urls_name_their_hosts(text: str, value: str | None) -> None:
    found = of_url(text)
    assert (found.value if found else None) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k.partner.net:9092", "k.partner.net"),
        ("weights.json", None),
        ("1.5", None),
        ("redis:6379", "redis"),
        ("a b.c", None),
    ],
)
def test_texts_name_hosts_where_one_is_expected(text: str, value: str | None) -> None:
    found = of_text(text)
    assert (found.value if found else None) == value


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("kafka.topic", "clicks", "clicks"),
        ("kafka.topic_size", "clicks", None),
        ("project.urls.documentation", "https://docs.partner.net", None),
        ("model.name", "a.partner.net", None),
        ("db.host", "a.partner.net", "a.partner.net"),
    ],
)
def test_settings_name_destinations_by_their_keys(path: str, text: str, value: str | None) -> None:
    found = of_setting(path, text)
    assert (found.value if found else None) == value


@pytest.mark.parametrize(
    ("name", "owner", "category"),
    [
        ("email", "", "contact"),
        ("emailAddress", "", "contact"),
        ("location", "user", "location"),
        ("location", "file", None),
        ("user_location", "", "location"),
        ("device", "model", None),
        ("device_id", "", "device"),
        ("id", "request", None),
        ("id", "viewer", "account"),
        ("history", "viewer", "behaviour"),
        ("birth_date", "row", "identity"),
    ],
)
def test_user_data_is_told_by_name_and_owner(name: str, owner: str, category: str | None) -> None:
    assert shipped().category(name, owner) == category


def test_a_reviewer_adds_words() -> None:
    fields = shipped().extended({"health": {"names": ["step count"], "of_people": ["weight"]}})
    assert fields.category("step_count") == "health"
    assert fields.category("weight", "user") == "health"
    assert fields.category("weight", "edge") is None
    assert shipped().category("step_count") is None
    with pytest.raises(InputError, match=r"fields\.health"):
        shipped().extended({"health": {"words": ["x"]}})
