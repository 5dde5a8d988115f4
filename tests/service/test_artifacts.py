# SPDX-License-Identifier: Apache-2.0
"""``countersign review --artifacts``: models in no repository are compared, by the panel's slices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command import Said, runner
from house import ITEMS, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.sandbox

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
    assert any(finding["rule"] == "tensor-changed" for finding in report["diff"]["findings"])


def test_one_folder_for_both_sides_compares_nothing_and_a_pickle_is_named(
    house: Any, run: Callable[..., Said], tmp_path: Path
) -> None:
    house.commit({"countersign.toml": MANIFEST + '[artifacts]\nmodel = "m.pkl"\n'}, "Models are outside")
    head = house.branch("same", {"README": "words\n"})
    for side in ("base", "head"):
        (tmp_path / "outside" / side).mkdir(parents=True)
        (tmp_path / "outside" / side / "m.pkl").write_bytes(b"\x80\x04N." + side.encode())
    said = run(house.repository, "main", head, "--artifacts", tmp_path / "outside", "--out", tmp_path / "out")
    diff = json.loads((tmp_path / "out" / "diff.json").read_text(encoding="utf-8"))
    assert said.status == 1
    assert {finding["rule"] for finding in diff["findings"]} == {"unsafe-artifact"}
    assert [entry["path"] for entry in diff["not_analysed"]] == ["model"]
    alone = run(house.repository, "main", head, "--artifacts", tmp_path / "outside" / "head", "--out", tmp_path / "one")
    assert alone.status == 3
    assert json.loads((tmp_path / "one" / "diff.json").read_text(encoding="utf-8"))["findings"] == []
