# SPDX-License-Identifier: Apache-2.0
"""The command line: exit statuses, one document on standard output, one line an error."""

from __future__ import annotations

import copy
import functools
import json
import operator
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from command import Said, refused, runner
from house import House, finished, serve

from evidence import VERSION, canonical
from service import trust
from service.views import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs ``countersign`` in this process."""
    return runner(monkeypatch, capfd)


def tree(house: House, name: str, **words: Any) -> Path:
    """The recommender's files in a plain folder."""
    folder = house.place / name
    folder.mkdir()
    (folder / "rank.py").write_text(serve(**words), encoding="utf-8")
    (folder / "countersign.toml").write_text('[recommender]\nentrypoint = "rank:load"\n', encoding="utf-8")
    return folder


def slates(house: House, name: str, first: int) -> Path:
    """Slates of ten items for every user of the panel, beginning at item ``first``."""
    rows = [(f"secret-user-{n}", r + 1, f"i{(first + n + 3 * r) % 60}") for n in range(40) for r in range(5)]
    path = house.place / f"{name}.parquet"
    pl.DataFrame(rows, schema=["user_id", "rank", "item_id"], orient="row").write_parquet(path)
    return path


def test_a_diff_with_nothing_serious_exits_0_and_one_with_a_high_finding_1(
    house: House, run: Callable[..., Said]
) -> None:
    quiet = house.branch("quiet", {"README": "words\n"})
    passed = run("diff", house.repository, "main", quiet, "--format", "json")
    assert (passed.status, passed.document["verdict"], passed.err) == (0, "pass", "")
    assert passed.document["schema"] == "countersign/diff/v1"
    house.branch("lift", {"rank.py": serve(lift=0.8)})
    least = run("diff", house.repository, "main", "lift", "--fail-on", "info")
    assert least.status == 1
    assert least.out.startswith("fail: ")
    flagged = run("diff", house.repository, "main", "lift", "--fail-on", "info", "--format", "json")
    assert flagged.document["verdict"] == "fail"


def test_a_diff_of_what_nobody_analysed_exits_3(house: House, run: Callable[..., Said]) -> None:
    head = house.branch("odd", {"Feed.swift": "let k = 3\n"})
    assert run("diff", house.repository, "main", head).status == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("diff", "{repo}", "main", "nowhere"), "nowhere"),
        (("diff", "{repo}", "main", "--upload-pack=x"), "--upload-pack"),
        (("diff", "{place}/none", "a", "b"), "none"),
        (("diff", "{repo}", "main", "main", "--format", "pdf"), "--format"),
        (("diff", "{repo}", "main", "HEAD"), "nothing to review"),
        (("review", "{repo}", "main", "HEAD", "--panel", "{place}/panel"), "nothing to review"),
        (("audit", "{place}/none", "{repo}", "--panel", "{place}/panel"), "no such folder"),
        (("compare", "{place}/x.parquet", "{place}/x.parquet", "--panel", "{place}/panel"), "x.parquet"),
        (("panel", "check", "{place}/nothing"), "nothing"),
        (("gate", "--bundle", "x", "--repo", "{place}/none", "--policy", "x", "--roots", "x"), "none"),
        (("gate", "--repo", "x", "--policy", "x", "--roots", "x", "--break-glass", "x"), "--break-glass is recorded"),
        (("log", "verify", "--log", "{place}", "--roots", "x"), "checkpoint"),
        (("submit", "tiny/ranker", "main", "main", "--server", "http://127.0.0.1:1"), "commit id"),
        (("sign", "{place}/none", "--key", "x"), "none"),
    ],
)
def test_bad_input_exits_2_with_one_line_and_no_output(
    house: House, run: Callable[..., Said], arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "x")
    said = run(*(part.format(repo=house.repository, place=house.place) for part in arguments))
    assert (said.status, said.out) == (2, "")
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_bad_usage_exits_2(run: Callable[..., Said]) -> None:
    missing = run("diff")
    assert (missing.status, missing.out) == (2, "")
    assert missing.err == "countersign: Missing argument 'repo'. See countersign --help.\n"
    assert run("nonsense").err == "countersign: No such command 'nonsense'. See countersign --help.\n"
    assert run("diff", "a", "b", "c", "--what").status == 2
    assert run().status == 2
    assert run("--version").out == f"countersign {VERSION}\n"


def test_a_panel_is_checked_and_a_bad_one_named_by_file_column_and_value(
    house: House, run: Callable[..., Said]
) -> None:
    good = run("panel", "check", house.place / "panel", "--format", "json")
    assert (good.status, good.document["panel"]["users"]) == (0, 40)
    items = house.place / "panel" / "items.parquet"
    table = pl.read_parquet(items)
    table.with_columns(pl.Series("state", [1.2, *([0.0] * 59)])).write_parquet(items)
    bad = run("panel", "check", house.place / "panel")
    assert (bad.status, bad.out) == (2, "")
    assert "items.parquet" in bad.err
    assert "state" in bad.err
    assert "1.2" in bad.err


def test_compare_judges_slates(house: House, run: Callable[..., Said]) -> None:
    base = slates(house, "base", 0)
    out = house.place / "audit.json"
    same = run("compare", base, base, "--panel", house.place / "panel", "--out", out, "--format", "json")
    assert same.document == json.loads(out.read_text(encoding="utf-8"))
    assert same.status == {"pass": 0, "fail": 1, "inconclusive": 3}[same.document["verdict"]]
    text = run("compare", base, base, "--panel", house.place / "panel")
    assert text.out.startswith(f"{same.document['verdict']}: panel secret-panel")


def test_absolute_measures_one_version_and_has_no_verdict(house: House, run: Callable[..., Said]) -> None:
    version = slates(house, "base", 0)
    out = house.place / "absolute.json"
    said = run("absolute", version, "--panel", house.place / "panel", "--out", out, "--format", "json")
    assert said.status == 0
    assert said.document == json.loads(out.read_text(encoding="utf-8"))
    assert "verdict" not in said.document
    assert {each["name"] for each in said.document["baselines"]} == {"popularity", "chronological"}
    text = run("absolute", version, "--panel", house.place / "panel")
    assert "nothing here passes or fails" in text.out
    assert "not run: the items need exactly one date column" in text.out
    page = run("absolute", version, "--panel", house.place / "panel", "--format", "html")
    assert "Nothing here passes or fails" in page.out
    assert run("absolute", version, "--panel", house.place / "panel", "--format", "pdf").status == 2


@pytest.mark.sandbox
def test_absolute_runs_a_version_in_the_sandbox(house: House, run: Callable[..., Said]) -> None:
    said = run("absolute", tree(house, "base"), "--panel", house.place / "panel", "--format", "json")
    assert said.status == 0
    assert not said.document["unsafe"]


@pytest.mark.sandbox
def test_audit_runs_both_and_says_the_same_twice(house: House, run: Callable[..., Said]) -> None:
    base, head = tree(house, "base"), tree(house, "head", lift=0.8)
    arguments = ("audit", base, head, "--panel", house.place / "panel", "--format", "json")
    first, second = run(*arguments), run(*arguments, "--out", house.place / "out")
    assert (first.status, first.document["verdict"]) == (1, "fail")
    assert first.out == second.out == (house.place / "out" / "audit.json").read_text(encoding="utf-8")
    assert run("audit", base, base, "--panel", house.place / "panel").status == 0


@pytest.mark.sandbox
def test_review_writes_everything_and_exits_by_the_verdict(house: House, run: Callable[..., Said]) -> None:
    head = house.branch("lift", {"rank.py": serve(lift=0.8)})
    out = house.place / "out"
    panel = house.place / "panel"
    said = run("review", house.repository, "main", head, "--panel", panel, "--out", out, "--format", "json")
    assert (said.status, said.document["verdict"]) == (1, "fail")
    assert sorted(path.name for path in out.iterdir()) == [
        "audit.json",
        "diff.json",
        "report.html",
        "report.json",
        "revision.json",
    ]
    assert (out / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    without = run("review", house.repository, "main", house.branch("quiet", {"README": "words\n"}))
    assert (without.status, without.document["verdict"]) == (3, "inconclusive")
    for document in (said.document, without.document):
        assert refused(document, "report") is None
    report = said.document
    for path, value in (
        ("audit/cells/0/ratio", "1.1"),
        ("audit/cells/0/verdict", "fine"),
        ("audit/cells/0/adjusted_p", 0),
        ("audit/probes/0/status", "not-run"),
        ("diff/findings/0/severity", "grave"),
        ("diff/base/commit", "main"),
        ("verdict", None),
    ):
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("/"))
        place = functools.reduce(operator.getitem, steps, changed := copy.deepcopy(report))
        place[last] = value
        assert refused(changed, "report") is not None, path


def refused_to_sign(house: House, run: Callable[..., Said], sign: tuple[Any, ...], payload: bytes) -> None:
    """What is not the statement's, computed anew, is not signed; nor without being told which key."""
    elsewhere = house.place / "elsewhere"
    subprocess.run(
        ["git", "clone", "-q", "--no-local", "-b", "main", "--single-branch", house.repository, elsewhere], check=True
    )
    other = house.place / "other.bin"
    other.write_bytes(b"other weights")
    for place, options, reason in (
        (elsewhere, (), "does not have the signed head"),
        (house.repository, ("--base", "quiet"), "its base tree is"),
        (house.repository, ("--artifact", f"model={other}"), "other artifacts"),
    ):
        unsigned = run(*sign, "--repo", place, *options)
        assert (unsigned.status, reason in unsigned.err) == (2, True), unsigned.err
    forged = json.loads(payload)
    next(one for one in forged["predicate"]["evidence"] if one["name"] == "diff")["digest"]["sha256"] = "0" * 64
    (house.place / "forged.json").write_bytes(canonical(forged))
    unsigned = run("sign", house.place / "forged.json", *sign[2:], "--repo", house.repository)
    assert (unsigned.status, "the diff comes to" in unsigned.err) == (2, True), unsigned.err
    blind = run(*sign, "--repo", elsewhere, "--unsafe-unseen", "--out", house.place / "blind.json")
    assert (blind.status, "warning: --unsafe-unseen" in blind.err) == (0, True)

    for odd in ((), ("--key", "x", "--signer", "hsm:2"), ("--signer", "hsm:2"), ("--key", "x", "--public", "y")):
        assert "either --key, or --signer" in run(*sign[:2], "--yes", "--repo", house.repository, *odd).err


def ten_years_on(run: Callable[..., Said], bundle: Path, roots: Path, gate: tuple[object, ...]) -> None:
    """The bundle is refused for its age, said to have held, and judged as of when it was made."""
    old = run("verify", bundle, "--roots", roots, "--at", "2046-11-24T12:00:00Z")
    assert (old.status, old.out.strip().splitlines()[-2]) == (1, "refused at step 7, freshness")
    assert old.out.strip().endswith("when it was made: all of it held")
    made = run("verify", bundle, "--roots", roots, "--at", "made")
    assert (made.status, "as the bundle carries it" in made.out) == (0, True)
    assert "add --dry-run" in run(*gate, "--at", "made").err
    assert run(*gate, "--at", "made").status == 2
    dry = run(*gate, "--at", "made", "--dry-run")
    assert (dry.status, dry.out.strip().splitlines()[-2]) == (0, "admitted")


@pytest.mark.sandbox
def test_sign_verify_gate_and_log(house: House, client: TestClient, run: Callable[..., Said]) -> None:
    """The whole way: reviewed by the service, signed by ``countersign sign``, let through by ``countersign gate``."""
    who = Person("reviewer", "Reviewer", "independent", "reviewer")
    key, data = house.place / "key", house.place / "data"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(client.app.state.context, who, public, emails=("r@office.example",))  # type: ignore[attr-defined]
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    finished(client)
    reviews = client.app.state.reviews  # type: ignore[attr-defined]
    prepared = reviews.prepare_statement(1, 1, who, "APPROVED")
    statement = house.place / "statement.pae"
    statement.write_bytes(prepared.pae)

    sign = ("sign", statement, "--key", key, "--yes")
    refused_to_sign(house, run, sign, prepared.payload)
    said = run(*sign, "--repo", house.repository)
    assert said.status == 0, said.err
    assert "APPROVED by Reviewer" in said.err
    assert "manifest and diff are the statement's (1 files, 0 findings, 0 artifacts)" in said.err
    envelope = Path(said.out.strip())
    assert reviews.sign_off(1, 1, who, envelope=envelope.read_bytes()) == 6

    bundle = house.place / "bundle.json"
    bundle.write_bytes(reviews.bundle(1, 1))
    roots, policy = data / "roots.json", data / "policy.toml"
    mirror = next((data / "mirrors" / "tiny").glob("*.git"))
    gate = ("gate", "--bundle", bundle, "--repo", mirror, "--policy", policy, "--roots", roots)
    through = run(*gate)
    assert (through.status, through.out.strip().splitlines()[-1]) == (0, "admitted")
    past = run(*gate, "--at", "2026-11-24T12:00:00Z")
    assert (past.status, "add --dry-run" in past.err) == (2, True)
    assert run(*gate, "--at", "2020-01-01T12:00:00Z", "--dry-run").status == 1
    assert run("verify", bundle, "--roots", roots).status == 0
    ten_years_on(run, bundle, roots, gate)
    assert run("log", "verify", "--log", data / "log", "--roots", roots).status == 0
    listed = run("log", "show", "--log", data / "log", "--roots", roots, "--format", "json").document
    kinds = ["trust", "panel", "evidence", "evidence", "evidence", "key", "signoff", "revocations"]
    assert [entry["type"] for entry in listed["entries"]] == kinds
    assert run("log", "prove", "0", "--log", data / "log", "--roots", roots).out.startswith("c2sp.org/tlog-proof@v1")

    signed_under = policy.read_text(encoding="utf-8")
    policy.write_text(signed_under + "# edited\n", encoding="utf-8")
    assert json.loads(reviews.bundle(1, 1))["policy"] == json.loads(bundle.read_bytes())["policy"] == signed_under
    refused = run(
        "gate", "--bundle", bundle, "--repo", mirror, "--policy", policy, "--roots", roots, "--format", "json"
    )
    assert (refused.status, refused.document["admitted"]) == (1, False)
    tile = data / "log" / "tile" / "entries" / "000.p" / "8"
    tile.write_bytes(tile.read_bytes().replace(b"signoff", b"signofF"))
    assert run("log", "verify", "--log", data / "log", "--roots", roots).status == 1


@pytest.mark.sandbox
def test_doctor_tells_what_works(house: House, run: Callable[..., Said]) -> None:
    said = run("doctor", "--data", house.place / "data", "--format", "json")
    assert said.status == 0
    names = [check["name"] for check in said.document["checks"]]
    assert names == ["sandbox", "git", "ssh-keygen", "database", "disk", "time", "browser"]
    assert run("doctor", "--data", house.place / "data").out.startswith("sandbox")


def test_doctor_exits_4_and_says_how_to_fix_it(
    house: House, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(house.place))
    said = run("doctor", "--data", house.place / "data")
    assert said.status == 4
    assert "fix: apt-get install git" in said.out


def test_serving_on_a_taken_port_exits_2(house: House, run: Callable[..., Said], socket_enabled: None) -> None:
    import socket  # noqa: PLC0415

    assert socket_enabled is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = run("serve", "--port", str(taken.getsockname()[1]), "--data", house.place / "data")
    assert (said.status, said.out) == (2, "")
    assert "choose another --port" in said.err


def test_a_service_that_is_not_there_exits_4(
    house: House, run: Callable[..., Said], socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert socket_enabled is None
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "x")
    commit = house.git("rev-parse", "main")
    said = run("submit", "tiny/ranker", commit, commit, "--server", "http://127.0.0.1:9")
    assert (said.status, said.out) == (4, "")
    assert "does not answer" in said.err


def test_a_diff_as_sarif_and_with_a_reviewers_rules_and_a_baseline(house: House, run: Callable[..., Said]) -> None:
    house.branch("lift", {"weights.py": "share_weight = 2.0\n"})
    log = run("diff", house.repository, "main", "lift", "--format", "sarif").document
    assert log["version"] == "2.1.0"
    assert log["runs"][0]["results"]
    reviewed = run("review", house.repository, "main", "lift", "--format", "sarif")
    assert reviewed.document["runs"][0]["results"] == log["runs"][0]["results"]
    rules = house.place / "rules.toml"
    rules.write_text('[severity]\nliteral-added = "critical"\n')
    weighed = run("diff", house.repository, "main", "lift", "--format", "json", "--rules", rules).document
    assert weighed["findings"][0]["severity"] == "critical"
    assert weighed["rules"].startswith("sha256:")
    based = run("diff", house.repository, "main", "lift", "--format", "json", "--baseline", "main").document
    assert based["baseline"] == based["base"]
    rules.write_text('[severity]\nwhatever = "critical"\n')
    refused = run("diff", house.repository, "main", "lift", "--rules", rules)
    assert (refused.status, refused.out) == (2, "")
    assert "whatever" in refused.err
    assert len(refused.err.splitlines()) == 1


def test_a_setting_that_cannot_be_used_is_named_in_one_line(
    run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COUNTERSIGN_CONCURRENCY", "many")
    said = run("retention", "show", "--data", tmp_path)
    assert said.status == 2
    assert said.err == (
        "countersign: COUNTERSIGN_CONCURRENCY: Input should be a valid integer, unable to parse string as an integer\n"
    )
