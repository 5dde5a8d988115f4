# SPDX-License-Identifier: Apache-2.0
"""``countersign model-diff``: exit statuses, one document that its schema holds for, one line an error."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from command import Said, refused, runner
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.sandbox


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs ``countersign model-diff`` in this process."""
    return runner(monkeypatch, capfd, "model-diff")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A table, the same with one row doubled, and a pickle."""
    table = np.random.default_rng(1).standard_normal((500, 16)).astype("f4")
    np.savez(tmp_path / "base.npz", items=table, users=table[:9])
    table[7] *= 2
    np.savez(tmp_path / "head.npz", items=table, users=table[50:60])
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"a": 1}))
    return tmp_path


def test_an_edit_fails_the_same_passes_and_both_are_documents(run: Callable[..., Said], models: Path) -> None:
    edited = run(models / "base.npz", models / "head.npz", "--format", "json")
    document = json.loads(edited.out)
    assert (edited.status, edited.err, document["verdict"]) == (1, "", "fail")
    assert [row["row"] for row in document["tensors"][0]["outlier_rows"]] == [7]
    assert refused(document, "model-diff") is None
    same = run(models / "base.npz", models / "base.npz", "--format", "json")
    assert (same.status, {tensor["status"] for tensor in json.loads(same.out)["tensors"]}) == (0, {"same"})
    assert refused(json.loads(same.out), "model-diff") is None
    for place, value in (("status", "other"), ("outlier_rows", [{"score": 1.0}]), ("changed_share", 2.0), ("name", 3)):
        wrong = copy.deepcopy(document)
        wrong["tensors"][0][place] = value
        assert refused(wrong, "model-diff") is not None, place


def test_text_names_tensors_and_rows(run: Callable[..., Said], models: Path) -> None:
    said = run(models / "base.npz", models / "head.npz")
    assert said.status == 1
    assert said.out.startswith("fail: 2 tensors, 2 of them changed")
    assert "embedding-outlier: 1 row of items moved out of line" in said.out
    assert "rows out of line, most first: 7 (" in said.out
    assert run(models / "base.npz", models / "head.npz", "--fail-on", "critical").status == 0


def test_a_pickle_exits_2_with_one_line_and_its_document(run: Callable[..., Said], models: Path) -> None:
    said = run(models / "bad.pkl", models / "bad.pkl")
    assert (said.status, said.out) == (2, "")
    assert said.err == "countersign: bad.pkl: runs code when it is loaded: never loaded, only listed\n"
    document = json.loads(run(models / "bad.pkl", models / "bad.pkl", "--format", "json").out)
    assert document["refused"] == [
        {"path": "bad.pkl", "reason": "runs code when it is loaded: never loaded, only listed"}
    ]
    assert [finding["rule"] for finding in document["findings"]] == ["unsafe-artifact"]
    assert refused(document, "model-diff") is None


@pytest.mark.parametrize(
    ("base", "head", "words"),
    [
        ("base.npz", "none.npz", "no such file"),
        ("base.npz", ".", "a folder and the other side a file"),
        ("base.npz", "bad.pkl", "runs code"),
        ("cut.npz", "cut.npz", "no ZIP archive"),
    ],
)
def test_bad_input_exits_2_with_one_line(
    run: Callable[..., Said], models: Path, base: str, head: str, words: str
) -> None:
    (models / "cut.npz").write_bytes((models / "base.npz").read_bytes()[:-40])
    said = run(models / base, models / head)
    assert (said.status, said.out) == (2, "")
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_ids_groups_and_rebuilds_are_told(run: Callable[..., Said], models: Path) -> None:
    random = np.random.default_rng(2)
    table = random.standard_normal((60, 8)).astype("f4")
    for name in ("one", "two", "again"):
        turn, _ = np.linalg.qr(random.standard_normal((8, 8)))
        noise = random.standard_normal(table.shape) * 0.05
        np.savez(models / f"{name}.npz", items=((table + noise) @ turn).astype("f4"))
    (models / "ids.txt").write_text("".join(f"item {row}\n" for row in range(60)), encoding="utf-8")
    (models / "groups.json").write_text(json.dumps({"state": ["item 3", "item 4"]}), encoding="utf-8")
    options = (
        "--ids",
        models / "ids.txt",
        "--groups",
        models / "groups.json",
        "--towards",
        "items",
        "--heads",
        "items:items",
    )
    said = run(models / "one.npz", models / "two.npz", "--rebuild", models / "again.npz", *options, "--format", "json")
    document = json.loads(said.out)
    assert refused(document, "model-diff") is None
    assert document["heads"]["groups"][0]["name"] == "state"
    text = run(models / "one.npz", models / "two.npz", "--rebuild", models / "again.npz", *options).out
    moved = document["tensors"][0]["aligned"]
    assert f"most first: {moved['outlier_rows'][0]['id']} (" in text
    assert (
        f"state: 2 rows, moved by {moved['groups'][0]['score']:+.1f}, {abs(moved['groups'][0]['towards']):.1f}" in text
    )
    assert f"state has {document['heads']['groups'][0]['base_share']:.2%} → " in text
    aligned = document["tensors"][0]["aligned"]
    assert (aligned["rebuild"]["count"], aligned["groups"][0]["name"]) == (1, "state")
    assert all(row["id"] == f"item {row['row']}" for row in aligned["outlier_rows"])
    for name, content in (("ids.txt", "a\na\n"), ("groups.json", "[1]"), ("groups.json", '{"x": ["nobody"]}')):
        before = (models / name).read_text(encoding="utf-8")
        (models / name).write_text(content, encoding="utf-8")
        wrong = run(models / "one.npz", models / "two.npz", *options)
        assert (wrong.status, wrong.out, len(wrong.err.splitlines())) == (2, "", 1)
        (models / name).write_text(before, encoding="utf-8")


def test_groups_by_name_ask_for_ids_and_groups_by_row_do_not(run: Callable[..., Said], models: Path) -> None:
    (models / "groups.json").write_text('{"state": ["i3", "i4"]}', encoding="utf-8")
    said = run(models / "base.npz", models / "head.npz", "--groups", models / "groups.json")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert "its members are names: say with --ids which row each is, or list row numbers" in said.err
    (models / "groups.json").write_text('{"state": [3, 7]}', encoding="utf-8")
    page = models / "page.html"
    told = run(models / "base.npz", models / "head.npz", "--groups", models / "groups.json", "--html", page)
    assert told.status == 1
    html = page.read_text(encoding="utf-8")
    assert "<title>fail: head.npz" in html
    assert html.count('<svg class="chart"') >= 2
    wrong = run(models / "base.npz", models / "head.npz", "--html", models / "none" / "page.html")
    assert (wrong.status, "no such folder" in wrong.err) == (2, True)


def test_who_made_a_model_is_verified_and_shown_in_text_and_on_the_page(run: Callable[..., Said], models: Path) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (models / "keys.pem").write_bytes(public)
    source = {"uri": "git+https://a", "digest": {"gitCommit": "c" * 40}}
    payload = json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": file_sha256(models / "head.npz")}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"resolvedDependencies": [source]},
            "runDetails": {"builder": {"id": "https://builder.example"}},
        },
    }).encode()  # fmt: skip
    kind = "application/vnd.in-toto+json"
    signature = key.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    encoded = {"payload": base64.b64encode(payload).decode(), "payloadType": kind}
    encoded["signatures"] = [{"sig": base64.b64encode(signature).decode()}]  # type: ignore[assignment]
    (models / "head.npz.intoto.jsonl").write_text(json.dumps(encoded) + "\n", encoding="utf-8")
    options = ("--provenance-keys", models / "keys.pem", "--html", models / "page.html")
    made = f"head.npz: made by https://builder.example from {'c' * 12}, signed by "
    said = run(models / "base.npz", models / "head.npz", *options)
    assert made in said.out
    assert "provenance-missing" not in said.out
    assert made in (models / "page.html").read_text(encoding="utf-8")
    (models / "head.npz.intoto.jsonl").unlink()
    without = run(models / "base.npz", models / "head.npz", *options)
    assert "medium   provenance-missing: No provenance of head.npz" in without.out
    assert "No provenance of head.npz" in (models / "page.html").read_text(encoding="utf-8")


def test_a_rebuild_that_nothing_could_be_held_against_exits_2_with_one_line(
    run: Callable[..., Said], models: Path
) -> None:
    table = np.random.default_rng(1).standard_normal((500, 16)).astype("f4")
    np.savez(models / "other.npz", vectors=table)
    np.savez(models / "turned.npz", items=table[:40], users=table[:9])
    for name, words in (
        ("other.npz", "other.npz: a rebuild that has none of base's tensors"),
        ("turned.npz", "the rebuild of items has another shape"),
        ("bad.pkl", "bad.pkl: a rebuild that runs code when it is loaded: never loaded"),
        ("bad.bin", "bad.bin: a binary file of no known format"),
        ("cut.npz", "cut.npz: no ZIP archive that can be read: no directory at its end"),
    ):
        (models / "bad.bin").write_bytes(b"\0\1")
        (models / "cut.npz").write_bytes((models / "base.npz").read_bytes()[:-40])
        np.savez(models / "moved.npz", items=table + 1, users=table[:9])
        said = run(models / "base.npz", models / "moved.npz", "--rebuild", models / name)
        assert (said.status, said.out, said.err) == (2, "", f"countersign: {words}\n")


@pytest.mark.parametrize("name", ["red\x1b[31m", "two\nlines", "left\u202eright"])
def test_a_name_that_a_terminal_would_obey_is_written_out(run: Callable[..., Said], models: Path, name: str) -> None:
    (models / name).mkdir()
    said = run(models / name, models / "base.npz")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert said.err.rstrip("\n").isprintable()


def test_what_holds_nothing_exits_2_with_one_line(run: Callable[..., Said], models: Path) -> None:
    np.savez(models / "rows.npz", items=np.zeros((0, 4), "f4"))
    np.savez(models / "none.npz")
    for name, words in (
        ("rows.npz", "'items' holds no values: its shape is [0, 4]"),
        ("none.npz", "no tensor is in it"),
    ):
        said = run(models / "base.npz", models / name)
        assert (said.status, said.out, said.err) == (2, "", f"countersign: {name}: {words}\n")


def test_a_model_against_text_exits_2_whichever_side_it_is_on(run: Callable[..., Said], models: Path) -> None:
    learner = {"feature_names": ["x"], "gradient_booster": {"name": "gblinear", "model": {"weights": [0.5, 1.0]}}}
    (models / "whole.json").write_text(json.dumps({"learner": learner, "version": [3, 0, 0]}), encoding="utf-8")
    (models / "cut.json").write_text("{", encoding="utf-8")
    for name in ("whole.json", "base.npz"):
        for sides in ((name, "cut.json"), ("cut.json", name)):
            said = run(*(models / side for side in sides))
            assert (said.status, said.out) == (2, "")
            assert said.err == "countersign: cut.json: no model, embedding or table is in it\n"


def test_bad_options_exit_2(run: Callable[..., Said], models: Path) -> None:
    assert run(models / "base.npz", models / "head.npz", "--format", "pdf").status == 2
    assert run(models / "base.npz", models / "head.npz", "--fail-on", "never").status == 2
    said = run(models / "base.npz", models / "head.npz", "--heads", "users:items")
    assert (said.status, said.out, "--groups" in said.err) == (2, "", True)


def test_snapshots_of_training_data_are_told_in_text_and_as_a_document(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = runner(monkeypatch, capfd, "data-diff")
    for name, sources in (("base", ["wire", "state"] * 100), ("head", ["state"] * 150 + ["wire"] * 50)):
        lines = [f"u{at % 20},i{at},{source}" for at, source in enumerate(sources)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["user_id,item_id,source", *lines]), encoding="utf-8")
    said = run(tmp_path / "base.csv", tmp_path / "head.csv", "--format", "json")
    document = json.loads(said.out)
    assert (said.status, said.err, document["verdict"]) == (0, "", "pass")
    assert refused(document, "data-diff") is None
    wrong = copy.deepcopy(document)
    wrong["base"]["rows"] = -1
    assert refused(wrong, "data-diff") is not None
    text = run(tmp_path / "base.csv", tmp_path / "head.csv", "--fail-on", "medium")
    assert text.status == 1
    assert "source wire has 0.5 times its share: 50.00% → 25.00%" in text.out
    assert "    state  100 → 150" in text.out
    bad = run(tmp_path / "base.csv", tmp_path / "head.csv", "--source", "outlet")
    assert (bad.status, bad.out) == (2, "")
    assert "no column 'outlet'" in bad.err
