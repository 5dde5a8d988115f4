# SPDX-License-Identifier: Apache-2.0
"""Calls into files that did not change: what is opened for them, how far, and what is said of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffing import _around
from diffing._around import Around
from diffing._compare import Comparison
from diffing._content import Change, Side
from diffing.capabilities import Elsewhere, Followed, _following
from diffing.capabilities._calls import Call
from diffing.capabilities._facts import Capabilities
from diffing.capabilities._following import follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing._compare import Outcome

CLIENT = b"import requests\ndef send(body):\n    requests.post('https://a.partner.net', json=body)\n"
OLD = b"from shop.client import send\ndef score(item, user):\n    send(item.title)\n    return 1\n"
NEW = OLD.replace(b"item.title", b"user.email")


def compared(before: bytes, after: bytes, around: dict[str, bytes]) -> tuple[Outcome, list[str]]:
    """What comparing one file gives, and the files that were read for it."""
    opened: list[str] = []

    def read(path: str, most: int) -> bytes | None:
        opened.append(path)
        return around[path] if len(around[path]) <= most else None

    comparison = Comparison(around=Around(lambda: ["shop/rank.py", *around], read))
    old, new = (Side(name, "file", len(one), one) for name, one in (("1", before), ("2", after)))
    comparison.add(Change("shop/rank.py", None, "modified", old, new))
    return comparison.finish(), opened


def compared_all(
    changes: list[tuple[str, bytes, bytes]], around: dict[str, bytes], paths: list[str] | None = None
) -> list[tuple[str, str, str]]:
    """The findings of a change of several files, with their paths."""
    comparison = Comparison(
        around=Around(lambda: paths or [*(path for path, _, _ in changes), *around], lambda path, _: around[path])
    )
    for path, before, after in changes:
        old, new = (Side(name, "file", len(one), one) for name, one in (("1", before), ("2", after)))
        comparison.add(Change(path, None, "modified", old, new))
    found = comparison.finish().findings
    return [(one.rule, str(one.evidence.get("kind")), one.location.path) for one in found if one.location is not None]


def rules(outcome: Outcome) -> list[tuple[str, str]]:
    return [(finding.rule, str(finding.evidence.get("kind"))) for finding in outcome.findings]


def test_a_change_whose_calls_are_as_before_opens_no_file() -> None:
    outcome, opened = compared(OLD, OLD.replace(b"return 1", b"return 2"), {"shop/client.py": CLIENT})
    assert not opened
    assert ("data-field-exposed", "http") not in rules(outcome)


def test_only_files_on_the_way_are_opened() -> None:
    outcome, opened = compared(OLD, NEW, {"shop/client.py": CLIENT, "shop/other.py": CLIENT, "shop/more.py": CLIENT})
    assert opened == ["shop/client.py"]
    assert ("data-field-exposed", "http") in rules(outcome)


def chain(length: int) -> dict[str, bytes]:
    """Files that call each other, the last of them with the sink."""
    sending = "from shop.client{} import send as on\ndef send(body):\n    on(body)\n"
    files = {f"shop/client{at or ''}.py": sending.format(at + 1).encode() for at in range(length)}
    return {**files, f"shop/client{length or ''}.py": CLIENT}


def test_a_way_of_four_files_is_followed_and_a_longer_one_is_told() -> None:
    outcome, _ = compared(OLD, NEW, chain(3))
    assert ("data-field-exposed", "http") in rules(outcome)
    outcome, _ = compared(OLD, NEW, chain(4))
    assert rules(outcome) == [("capability-added", "calls")]
    assert outcome.findings[0].evidence["cut"] == 1


def test_files_that_call_each_other_end() -> None:
    around = {
        "shop/client.py": b"from shop.back import on\ndef send(body):\n    on(body)\n",
        "shop/back.py": b"from shop.client import send\nimport requests\ndef on(body):\n    send(body)\n"
        b"    requests.post('https://a.partner.net', json=body)\n",
    }
    outcome, _ = compared(OLD, NEW, around)
    assert ("data-field-exposed", "http") in rules(outcome)


POSTS = b"    requests.post('https://a.partner.net', json=body)\n"
SENDS = b"import requests\nfrom b import bb\ndef aa(body):\n    bb(body)\n" + POSTS
CIRCLE = {
    "a.py": SENDS,
    "b.py": b"from a import aa\ndef bb(body):\n    aa(body)\n",
    "d.py": b"from b import bb\ndef dd(body):\n    bb(body)\n",
}


@pytest.mark.parametrize("order", [("r1", "r2"), ("r2", "r1")])
def test_what_functions_in_a_circle_reach_does_not_depend_on_the_order_of_files(order: tuple[str, str]) -> None:
    before = {
        "r1": b"from a import aa\ndef score(item, user):\n    aa(item.title)\n",
        "r2": b"from d import dd\ndef score(item, user):\n    dd(item.title)\n",
    }
    changes = [(f"{one}.py", before[one], before[one].replace(b"item.title", b"user.email")) for one in order]
    found = compared_all(changes, CIRCLE)
    assert sorted(found) == [("data-field-exposed", "http", "r1.py"), ("data-field-exposed", "http", "r2.py")]


def test_a_call_that_is_cut_is_told_for_every_file_and_a_circle_is_not_cut() -> None:
    changes = [(f"shop/rank{one}.py", OLD, NEW) for one in "ab"]
    cut = compared_all(changes, chain(4))
    assert cut == [("capability-added", "calls", f"shop/rank{one}.py") for one in "ab"]
    circle = {**CIRCLE, "a.py": SENDS.removesuffix(POSTS)}
    before = b"from a import aa\ndef score(item, user):\n    aa(item.title)\n"
    assert compared_all([("r1.py", before, before.replace(b"item.title", b"user.email"))], circle) == []


def test_following_that_takes_too_many_steps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_following, "_MOST_STEPS", 2)
    assert compared_all([("shop/rank.py", OLD, NEW)], chain(3)) == [("capability-added", "calls", "shop/rank.py")]


class Counted(dict[str, tuple[str, ...]]):
    """Functions of a file, which counts how often all of them are looked through."""

    looks = 0

    def __iter__(self) -> Iterator[str]:
        self.looks += 1
        return super().__iter__()


class Ring:
    """A file of functions that call each other in a ring."""

    def __init__(self, count: int) -> None:
        names = [f"f{one}" for one in range(count)]
        self.functions = Counted(dict.fromkeys(names, ("body",)))
        calls = {one: {names[at - 1]} for at, one in enumerate(names)}
        self.side = Followed("ring.py", "python", Capabilities(parameters=self.functions, calls=calls))

    def may_hold(self, path: str, word: str) -> bool:
        return path == self.side.path and word in self.functions

    def open(self, path: str) -> Followed | None:
        return self.side if path == self.side.path else None


def test_the_functions_of_a_file_are_not_looked_through_for_each_of_them() -> None:
    ring = Ring(40)
    beyond = [Call(f"ring.{one}", one, "score", 1, 1, "", ()) for one in ring.functions]
    ring.functions.looks = 0
    calling = Followed("rank.py", "python", Capabilities(beyond=beyond))
    result = follow([(None, calling)], Elsewhere(["rank.py", "ring.py"], lambda _path: None), ring)
    assert (result.cut, result.unresolved) == ({}, {})
    assert ring.functions.looks <= 1


def test_a_file_that_is_too_large_or_one_too_many_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    large = CLIENT + b"#" * _around.MAX_BYTES
    outcome, _ = compared(OLD, NEW, {"shop/client.py": large})
    assert rules(outcome) == [("capability-added", "calls")]
    assert outcome.findings[0].evidence["names"] == ["shop.client.send"]
    monkeypatch.setattr(_around, "MAX_OPENED", 1)
    outcome, _ = compared(OLD, NEW, chain(2))
    assert ("data-field-exposed", "http") not in rules(outcome)


def test_the_same_call_of_another_package_imported_whole_is_new() -> None:
    safe = b"package com.safe; public class Client { public static void send(String s) {} }"
    evil = (
        b"package com.evil; import java.net.*; public class Client { public static void send(String s) throws Exception"
        b' { new URL("https://a.partner.net/" + s).openStream(); } }'
    )
    before = (
        b"package com.acme; import com.safe.*;\nclass Ranker { void score(User user) { Client.send(user.email); } }\n"
    )
    around = {"src/com/safe/Client.java": safe, "src/com/evil/Client.java": evil}
    path = "src/com/acme/Ranker.java"
    found = compared_all([(path, before, before.replace(b"com.safe", b"com.evil"))], around)
    assert ("data-field-exposed", "http", path) in found
    assert compared_all([(path, before, before + b"// the same\n")], around) == []


def test_names_lead_to_files_by_the_habits_of_each_language() -> None:
    python = ["src/shop/net/__init__.py", "src/shop/net/client.py", "tools/run.py"]
    script = ["web/lib/api.ts", "web/lib/index.js", "web/app.ts"]
    go = ["app/go.mod", "app/net/client.go", "app/net/client_test.go"]
    java = ("src/main/java/com/acme/net/Client.java",)
    ranker = "src/main/java/com/acme/rank/Ranker.java"
    others = ["crate/src/net/mod.rs", "crate/src/rank.rs", "app/services/net/my_client.rb"]
    elsewhere = Elsewhere(
        [*python, *script, *go, *java, ranker, *others], lambda _path: b"module example.com/app // the app\n"
    )

    def found(name: str, at: str, language: str) -> tuple[tuple[str, ...], str] | None:
        one = elsewhere.find(name, at, language, ["com.acme.net"])
        return (one.paths, one.symbol) if one is not None else None

    client = ("src/shop/net/client.py",)
    assert found("shop.net.client.Client.post", "tools/run.py", "python") == (client, "Client.post")
    assert found(".client.send", "src/shop/net/__init__.py", "python") == (client, "send")
    assert found("..net.send", "src/shop/net/client.py", "python") == (("src/shop/net/__init__.py",), "send")
    assert found("....send", "src/shop/net/client.py", "python") is None
    assert found("numpy.dot", "tools/run.py", "python") is None
    assert found("./lib/api.send", "web/app.ts", "typescript") == (("web/lib/api.ts",), "send")
    assert found("./lib.send", "web/app.ts", "typescript") == (("web/lib/index.js",), "send")
    assert found("./lib/api.js.send", "web/app.ts", "typescript") == (("web/lib/api.ts",), "send")
    assert found("../../../x.send", "web/app.ts", "typescript") is None
    assert found("@acme/api.send", "web/app.ts", "typescript") is None
    assert found("example.com/app/net.New.Post", "app/main.go", "go") == (("app/net/client.go",), "New.Post")
    assert found("example.com/application/net.New", "app/main.go", "go") is None
    assert found("com.acme.net.Client.post", ranker, "java") == (java, "Client.post")
    assert found("~.Client.post", ranker, "java") == (java, "Client.post")
    assert found("net.send", "crate/src/rank.rs", "rust") == (("crate/src/net/mod.rs",), "send")
    ruby = ("app/services/net/my_client.rb",)
    assert found("~.Net.MyClient.push", "app/models/ranker.rb", "ruby") == (ruby, "Net.MyClient.push")
