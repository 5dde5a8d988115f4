# SPDX-License-Identifier: Apache-2.0
"""Declared artifacts are compared by the panel's slices: by ``countersign review --artifacts``, and by the service."""

from __future__ import annotations

import json
import shutil
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command import Said, refused, runner
from fastapi.testclient import TestClient
from house import ITEMS, MANIFEST, TOKEN, finished

from evidence import ManifestError, RepositoryError, document_digest, file_sha256
from service import judgement, progress, steps
from service import submitted as submitted_artifacts
from service.app import create_app
from service.artifacts import Placed, compare_artifacts
from service.life import State
from service.views import Person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
NAMES = {"item_ids": "txt", "model": "npz"}
DECLARED = MANIFEST + '[artifacts]\nmodel = "models/items.npz"\nitem_ids = "models/items.txt"\n'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs ``countersign review`` in this process."""
    return runner(monkeypatch, capfd, "review")


def artifacts(place: Path) -> Path:
    """Tables of 60 items: in head every fifth, which is the panel's slice, moved towards the users."""
    draw = np.random.default_rng(5)
    items, users = draw.standard_normal((ITEMS, 16)).astype("f4"), draw.standard_normal((40, 16)).astype("f4") + 1
    moved = items + 0.05 * draw.standard_normal((ITEMS, 16)).astype("f4")
    moved[::5] += 1.5
    for side, table in (("base", items), ("head", moved)):
        folder = place / side / "models"
        folder.mkdir(parents=True)
        np.savez(folder / "items.npz", items=table, users=users)
        (folder / "items.txt").write_text("".join(f"i{at}\n" for at in range(ITEMS)), encoding="ascii")
    return place


def test_a_model_outside_is_compared_with_the_panels_slices(
    house: Any, run: Callable[..., Said], tmp_path: Path
) -> None:
    house.commit({"countersign.toml": DECLARED}, "Models are outside")
    head = house.branch("retrained", {"README": "retrained\n"})
    place, out = artifacts(tmp_path / "outside"), tmp_path / "out"
    said = run(house.repository, "main", head, "--artifacts", place, "--panel", house.place / "panel", "--out", out)
    assert said.err.count("Traceback") == 0
    document = json.loads((out / "model-model.json").read_text(encoding="utf-8"))
    (table,) = [tensor for tensor in document["tensors"] if tensor["status"] == "changed"]
    assert [group["name"] for group in table["aligned"]["groups"]] == ["secret-slice"]
    assert table["aligned"]["groups"][0]["rows"] == ITEMS // 5
    assert table["aligned"]["groups"][0]["score"] > 2
    assert {row["id"] for row in table["outlier_rows"][:5]} <= {f"i{at}" for at in range(0, ITEMS, 5)}
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["artifacts"]["artifacts"][1]["model"] == document
    assert any(finding["rule"] == "tensor-changed" for finding in report["artifacts"]["findings"])
    assert {"name": "artifacts", "digest": document_digest(report["artifacts"])} in report["evidence"]
    assert json.loads((out / "artifacts.json").read_text(encoding="utf-8")) == report["artifacts"]
    assert refused(report["artifacts"], "artifacts") is None
    assert refused(report, "report") is None


def test_one_folder_for_both_sides_compares_nothing_and_a_pickle_is_named(
    house: Any, run: Callable[..., Said], tmp_path: Path
) -> None:
    house.commit({"countersign.toml": MANIFEST + '[artifacts]\nmodel = "m.pkl"\n'}, "Models are outside")
    head = house.branch("same", {"README": "words\n"})
    for side in ("base", "head"):
        (tmp_path / "outside" / side).mkdir(parents=True)
        (tmp_path / "outside" / side / "m.pkl").write_bytes(b"\x80\x04N." + side.encode())
    said = run(house.repository, "main", head, "--artifacts", tmp_path / "outside", "--out", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "artifacts.json").read_text(encoding="utf-8"))
    assert (said.status, json.loads(said.out)["verdict"]) == (1, "fail")
    assert {finding["rule"] for finding in found["findings"]} == {"unsafe-artifact"}
    assert [entry["path"] for entry in found["not_analysed"]] == ["model"]
    assert rules_of(run, house, head, tmp_path / "outside") == {"unsafe-artifact"}
    alone = run(house.repository, "main", head, "--artifacts", tmp_path / "outside" / "head", "--out", tmp_path / "one")
    assert alone.status == 3
    assert not (tmp_path / "one" / "artifacts.json").exists()
    assert json.loads(alone.out)["artifacts"] is None


def test_an_artifact_that_becomes_a_link_once_it_was_found_is_not_read(
    house: Any, run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is opened is what lies in the folder then, and no link is followed, whatever was seen a moment before."""
    house.commit({"countersign.toml": MANIFEST + '[artifacts]\nmodel = "m.npz"\n'}, "Models are outside")
    head = house.branch("same", {"README": "words\n"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "secret").write_bytes(b"not the platform's")
    weights = tmp_path / "outside" / "m.npz"
    weights.write_bytes(b"weights")
    locate = submitted_artifacts.locate_artifacts

    def exchanged(*given: Any) -> Any:
        found = locate(*given)
        weights.unlink()
        weights.symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr(submitted_artifacts, "locate_artifacts", exchanged)
    said = run(house.repository, "main", head, "--artifacts", tmp_path / "outside", "--out", tmp_path / "out")
    assert (said.status, "'m.npz' goes through a symbolic link" in said.err) == (2, True)
    assert list((tmp_path / "out").iterdir()) == []


def rules_of(run: Callable[..., Said], house: Any, head: str, outside: Path) -> set[str]:
    """The rules of findings in the log for code hosts."""
    said = run(house.repository, "main", head, "--artifacts", outside, "--format", "sarif")
    return {result["ruleId"] for each in json.loads(said.out)["runs"] for result in each["results"]}


def submitted(house: Any, head: str) -> Path:
    """The platform's folder of artifacts, with those of main and of ``head``."""
    place: Path = house.place / "data" / "artifacts"
    made = artifacts(house.place / "made")
    for commit, side in ((house.git("rev-parse", "main"), "base"), (head, "head")):
        shutil.copytree(made / side, place / commit)
    path = house.place / "data" / "platforms.toml"
    lines = house.platforms().replace("[[platforms]]\n", '[[platforms]]\nartifacts = "artifacts"\n', 1)
    path.write_text(lines, encoding="utf-8")
    return place


def stepped(house: Any, head: str, number: int = 1, **documents: Any) -> Any:
    """The artifacts document of a change that nobody else works on, None if there is none; and what it stands on."""
    client = TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000")
    context = client.app.state.context  # type: ignore[attr-defined]
    try:
        assert house.deliver(client, house.pull(head, number=number)).status_code == 202
        steps.fetch(context, number)
        steps.compare(context, number)
        for change in documents.get("meanwhile", ()):
            change()
        steps.weigh(context, number)
        for change in documents.get("weighed", ()):
            change()
            steps.behave(context, number)
        return client.app.state.reviews.evidence(number, 1, "artifacts", public=False)  # type: ignore[attr-defined]
    finally:
        context.close()


def retrained(house: Any, declared: str = DECLARED, files: dict[str, str] | None = None) -> str:
    """Main declares artifacts, and a branch changes nothing that is in the repository but ``files``."""
    house.commit({"countersign.toml": declared}, "Models are outside")
    head: str = house.branch("retrained", {"README": "retrained\n", **(files or {})})
    return head


def test_a_review_diffs_what_the_platform_submits_and_shows_it_with_the_other_findings(
    house: Any, request: pytest.FixtureRequest
) -> None:
    head = retrained(house)
    place = submitted(house, head)
    client = request.getfixturevalue("browser")
    house.deliver(client, house.pull(head))
    view = finished(client)
    assert (view.state, view.error) == (State.READY, None)
    assert [event.what for event in view.timeline] == [
        "received", "fetched", "diffed", "artifacts compared", "audited", "ready"
    ]  # fmt: skip
    assert view.artifacts is not None
    assert refused(view.artifacts, "artifacts") is None
    item_ids, model = view.artifacts["artifacts"]
    assert (item_ids["status"], model["status"], model["model"]["verdict"]) == ("same", "changed", "pass")
    (table,) = [tensor for tensor in model["model"]["tensors"] if tensor["status"] == "changed"]
    assert [(group["name"], group["rows"]) for group in table["aligned"]["groups"]] == [("secret-slice", ITEMS // 5)]
    listed = {one["name"]: one["sha256"] for one in view.manifest["artifacts"]} if view.manifest else {}
    assert listed == {name: file_sha256(place / head / "models" / f"items.{end}") for name, end in NAMES.items()}
    assert {finding["id"] for finding in view.artifacts["findings"]} <= {finding["id"] for finding in view.findings}
    page = client.get("/changes/1").text
    assert all(escape(finding["title"]) in page for finding in view.artifacts["findings"])
    models = client.get("/changes/1/revisions/1/models").text
    assert models.count('<svg class="chart" role="img"') >= 2
    assert "secret-slice" in models
    assert "Models and data" in client.get("/changes/1/revisions/1/report").text
    for kind in ("artifacts", "report"):
        assert client.get(f"/api/v1/changes/1/revisions/1/evidence/{kind}").status_code == 200
    assert (
        "secret-slice"
        not in client.get(
            "/api/v1/changes/1/revisions/1/evidence/diff", headers={"Authorization": f"Bearer {TOKEN}"}
        ).text
    )
    submitter = TestClient(client.app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    refused_ = submitter.get(
        "/api/v1/changes/1/revisions/1/evidence/artifacts", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert (refused_.status_code, "secret-slice" in refused_.text) == (403, False)
    facts = judgement.facts(client.app.state.context, judgement.find(client.app.state.context, 1, 1))
    assert [one["name"] for one in facts["evidence"]] == ["artifacts", "audit", "diff"]
    assert {one["id"] for one in view.artifacts["findings"]} <= {one["id"] for one in facts["findings"]}


HEADS = '[heads.model]\nusers = "users"\nitems = "items"\n'


def test_the_exposure_that_declared_tables_make_is_told_by_slice_and_shown(
    house: Any, request: pytest.FixtureRequest
) -> None:
    head = retrained(house, DECLARED + HEADS)
    submitted(house, head)
    client = request.getfixturevalue("browser")
    house.deliver(client, house.pull(head))
    view = finished(client)
    assert view.artifacts is not None
    assert refused(view.artifacts, "artifacts") is None
    model = view.artifacts["artifacts"][1]["model"]
    (slice_,) = model["heads"]["groups"]
    assert (slice_["name"], slice_["ratio"] > 1.5) == ("secret-slice", True)
    (items,) = [tensor for tensor in model["tensors"] if tensor["name"] == "items"]
    assert items["aligned"]["groups"][0]["towards"] > 6
    assert any("By the weights alone secret-slice gets" in finding["title"] for finding in view.findings)
    for page in ("models", "report"):
        assert "What the weights alone would show 40 users" in client.get(f"/changes/1/revisions/1/{page}").text


def test_heads_that_head_no_longer_declares_are_probed_all_the_same(house: Any) -> None:
    head = retrained(house, DECLARED + HEADS, {"countersign.toml": DECLARED})
    submitted(house, head)
    document = stepped(house, head)
    assert [group["name"] for group in document["artifacts"][1]["model"]["heads"]["groups"]] == ["secret-slice"]


def test_tables_that_are_no_heads_are_named_and_the_weights_compared(house: Any) -> None:
    head = retrained(house, DECLARED + HEADS.replace('"users"', '"accounts"'))
    submitted(house, head)
    document = stepped(house, head)
    assert document["artifacts"][1]["model"]["tensors"] != []
    assert [(one["path"], one["reason"]) for one in document["not_analysed"]] == [
        ("model", "a declared artifact: its heads: no heads: not both sides have a tensor 'accounts'")
    ]


def test_a_pickle_beside_the_repository_blocks_the_signoff_whatever_is_answered(
    house: Any, request: pytest.FixtureRequest
) -> None:
    declared = MANIFEST + '[artifacts]\nmodel = "m.pkl"\n'
    head = retrained(house, declared)
    place = submitted(house, head)
    for commit in (house.git("rev-parse", "main"), head):
        (place / commit / "m.pkl").write_bytes(b"\x80\x04N." + commit.encode())
    client = request.getfixturevalue("browser")
    house.deliver(client, house.pull(head))
    view = finished(client)
    (finding,) = [one for one in view.findings if one["rule"] == "unsafe-artifact"]
    assert finding["location"]["path"] == "m.pkl"
    assert view.verdict == "fail"
    client.app.state.reviews.answer(1, 1, finding["id"], kind="acknowledged", text="seen", person=WHO)
    met = {one.name: one.state.met for one in client.app.state.reviews.revision(1, 1).requirements}
    assert (met["findings-answered"], met["verdict"]) == (True, False)


@pytest.mark.parametrize("name", ["m.bin", "m.safetensors"])
def test_what_cannot_be_opened_fails_the_review_by_name(house: Any, name: str) -> None:
    head = retrained(house, MANIFEST + f'[artifacts]\nmodel = "{name}"\n')
    place = submitted(house, head)
    for commit in (house.git("rev-parse", "main"), head):
        (place / commit / name).write_bytes(b"\x00\xff" + commit.encode())
    document = stepped(house, head)
    assert (document["verdict"], document["findings"][0]["rule"]) == ("fail", "opaque-artifact")
    assert document["findings"][0]["location"]["path"] == name
    assert document["not_analysed"][0]["path"] == "model"


def test_models_of_the_repository_are_told_by_slices_without_saying_twice_what_the_diff_says(house: Any) -> None:
    made = artifacts(house.place / "made")
    (house.repository / "models").mkdir()
    for side, message in (("base", "Models"), ("head", "Retrained")):
        for file in (made / side / "models").iterdir():
            shutil.copy(file, house.repository / "models")
        commit = house.commit({"countersign.toml": DECLARED}, message)
    house.git("branch", "-q", "topic", commit)
    house.git("reset", "-q", "--hard", "HEAD~1")
    document = stepped(house, commit)
    _, model = document["artifacts"]
    (table,) = [tensor for tensor in model["model"]["tensors"] if tensor["status"] == "changed"]
    assert [group["name"] for group in table["aligned"]["groups"]] == ["secret-slice"]
    assert model["head"]["path"] == "models/items.npz"
    assert document["findings"] == []
    assert model["model"]["findings"] != []


def test_without_artifacts_there_is_no_document(house: Any) -> None:
    assert stepped(house, house.branch("plain", {"README": "words\n"})) is None


def test_an_artifact_that_changes_under_review_ends_it(house: Any) -> None:
    head = retrained(house)
    file = submitted(house, head) / head / "models" / "items.npz"
    with pytest.raises(RepositoryError, match="artifact model is not what it was when this review began"):
        stepped(house, head, meanwhile=[lambda: file.write_bytes(file.read_bytes() + b" ")])


def test_new_and_removed_artifacts_and_lists_that_disagree_are_told(house: Any) -> None:
    head = retrained(house, files={"countersign.toml": DECLARED.replace("model =", "other =")})
    place = submitted(house, head)
    (place / head / "models" / "items.txt").write_text("".join(f"i{at}\n" for at in reversed(range(ITEMS))))
    document = stepped(house, head)
    assert {one["name"]: one["status"] for one in document["artifacts"]} == {
        "item_ids": "changed", "model": "removed", "other": "added"
    }  # fmt: skip
    assert [finding["title"] for finding in document["findings"] if finding["rule"] == "tensor-changed"] == [
        "New model: items.npz", "Artifact removed: model"
    ]  # fmt: skip
    assert ["base lists other items" in one["reason"] for one in document["not_analysed"]] == [True]
    assert document["verdict"] == "inconclusive"


def test_neighbours_in_base_have_the_names_of_bases_longer_list(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    table = draw.standard_normal((ITEMS + 20, 16)).astype("f4")
    table[-1] = table[7] * 1.01
    head = table[:ITEMS].copy()
    head[7] += 9
    sides = []
    for side, rows in (("base", table), ("head", head)):
        files = tmp_path / f"{side}.npz", tmp_path / f"{side}.txt"
        np.savez(files[0], items=rows)
        files[1].write_text("".join(f"i{at}\n" for at in range(len(rows))), encoding="ascii")
        sides.append({"model": Placed(files[0], "models/items.npz"), "item_ids": Placed(files[1], "models/items.txt")})
    found = compare_artifacts(*sides)
    assert found.not_analysed == ()
    (around,) = found.models["model"].tensors[0].neighbours or ()
    assert (around.id, around.before[0].id) == ("i7", f"i{ITEMS + 19}")


def test_training_data_and_provenance_are_told_too(house: Any) -> None:
    lines = '[artifacts]\ntraining_data = "data/clicks.csv"\nmodel = "models/items.npz"\n'
    head = retrained(house, MANIFEST + lines)
    place = submitted(house, head)
    for commit, share in ((house.git("rev-parse", "main"), 10), (head, 2)):
        (place / commit / "data").mkdir()
        rows = [f"u{at % 20},i{at % 60},{'state' if at % share == 0 else 'wire'}" for at in range(400)]
        (place / commit / "data" / "clicks.csv").write_text("\n".join(["user_id,item_id,source", *rows]))
    (place / head / "models" / "items.npz.intoto.jsonl").write_text("{}\n")
    document = stepped(house, head)
    rules = {finding["rule"]: finding for finding in document["findings"]}
    assert rules["training-data-changed"]["location"]["path"] == "data/clicks.csv"
    assert document["verdict"] == "fail"
    assert document["artifacts"][1]["data"]["values"]["source"]["state"] == {"old": 40, "new": 200}
    slices = document["artifacts"][1]["data"]["values"]["(slices)"]
    assert slices == {"secret-slice": {"old": 80, "new": 80}}
    assert rules["provenance-missing"]["title"] == "Provenance of items.npz does not hold"
    assert document["artifacts"][0]["model"]["provenance"][0]["path"] == "models/items.npz"


def test_a_folder_of_artifacts_that_is_a_link_is_refused(house: Any) -> None:
    head = retrained(house)
    place = submitted(house, head)
    (place / head).rename(house.place / "elsewhere")
    (place / head).symlink_to(house.place / "elsewhere")
    with pytest.raises(ManifestError, match=f"the artifacts of {head[:12]} beside the repository are a link"):
        stepped(house, head)


def test_a_file_that_becomes_a_link_under_review_is_refused(house: Any) -> None:
    head = retrained(house)
    file = submitted(house, head) / head / "models" / "items.npz"

    def swap() -> None:
        file.rename(house.place / "elsewhere.npz")
        file.symlink_to(house.place / "elsewhere.npz")

    with pytest.raises(ManifestError, match=r"'models/items\.npz' goes through a symbolic link"):
        stepped(house, head, meanwhile=[swap])


def test_an_artifact_where_anothers_folder_is_beside_the_repository_is_no_accident(house: Any) -> None:
    head = retrained(house, MANIFEST + '[artifacts]\nbelow = "a/b"\nmodel = "a"\n', {"a": "in the repository\n"})
    place = submitted(house, head)
    (place / head / "a").mkdir()
    (place / head / "a" / "b").write_text("beside\n")
    document = stepped(house, head)
    assert [(one["name"], one["status"], one["head"]["path"]) for one in document["artifacts"]] == [
        ("below", "added", "a/b"), ("model", "added", "a")
    ]  # fmt: skip


@pytest.mark.parametrize("when", ["meanwhile", "weighed"])
def test_an_artifact_of_base_that_becomes_heads_under_review_ends_it(house: Any, when: str) -> None:
    head = retrained(house)
    place = submitted(house, head)
    base = place / house.git("rev-parse", "main")

    def swap() -> None:
        shutil.rmtree(base)
        shutil.copytree(place / head, base)

    with pytest.raises(RepositoryError, match="artifact model of base is not what it was when this review began"):
        stepped(house, head, **{when: [swap]})


def test_a_base_that_was_signed_is_held_to_the_artifacts_it_was_signed_with(house: Any) -> None:
    head = retrained(house)
    place = submitted(house, head)
    client = TestClient(create_app(house.settings), base_url="http://127.0.0.1:8000")
    context = client.app.state.context  # type: ignore[attr-defined]
    try:
        house.deliver(client, house.pull(head))
        steps.fetch(context, 1)
        for state in (State.DIFFED, State.AUDITED, State.READY, State.SIGNED):
            progress.advance(context.database, 1, state)
        house.git("merge", "-q", "--ff-only", head)
        for number, name in ((2, "next"), (3, "after")):
            later = house.branch(name, {"README": f"{name}\n"})
            shutil.copytree(place / head, place / later)
            house.deliver(client, house.pull(later, number=number))
        steps.fetch(context, 2)
        file = place / head / "models" / "items.npz"
        file.write_bytes(file.read_bytes() + b" ")
        with pytest.raises(RepositoryError, match=f"artifact model of base {head[:12]} is not what that commit was"):
            steps.fetch(context, 3)
    finally:
        context.close()
