# SPDX-License-Identifier: Apache-2.0
"""Embedding tables whose axes a retrain turned: what moved is told all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import building
import numpy as np
import pytest

from confine import Parser
from diffing import model_diff
from diffing.artifacts.inside import around, neighbours
from diffing.artifacts.inside.tensors import tensor
from diffing.artifacts.inside.words import File, RefusedError
from evidence import InputError, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from diffing.artifacts.answers import Aligned

RANDOM = np.random.default_rng(21)
CENTRES = RANDOM.standard_normal((40, 16)) * 2
TABLE = (CENTRES[RANDOM.integers(0, 40, 1200)] + RANDOM.standard_normal((1200, 16))).astype("<f4")
GROUP = list(range(100, 130))


def retrained(seed: int) -> Any:
    """The same table with noise, in other axes, a little larger."""
    random = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(random.standard_normal((16, 16)))
    return ((TABLE + random.standard_normal(TABLE.shape) * 0.1) @ rotation * 1.1).astype("<f4")


def write(folder: Path, name: str, table: Any) -> Path:
    users = table[::7] + 0.5
    path = folder / f"{name}.safetensors"
    path.write_bytes(building.safetensors({"items": table, "users": users.astype("<f4")}))
    return path


def aligned(result: Any) -> Aligned:
    (found,) = (tensor.aligned for tensor in result.tensors if tensor.name == "items")
    assert found is not None
    return found  # type: ignore[no-any-return]


@pytest.mark.sandbox
def test_a_retrain_alone_is_quiet_and_its_axes_are_turned_back(tmp_path: Path) -> None:
    result = model_diff(write(tmp_path, "base", TABLE), write(tmp_path, "head", retrained(1)))
    assert {finding.severity for finding in result.findings if finding.rule != "provenance-missing"} == {Severity.LOW}
    found = aligned(result)
    assert found.residual < 0.08
    assert found.scale == pytest.approx(1.1, rel=0.01)
    assert found.turned > 0.3
    assert found.jaccard > 0.7
    assert found.second_order > 0.99
    assert found.rebuild is None


@pytest.mark.sandbox
def test_a_moved_row_and_a_moved_group_stand_out_of_what_a_rebuild_varies(tmp_path: Path) -> None:
    head = retrained(1)
    head[77] = head[900] * 1.5
    towards = (head[::7] + 0.5).mean(axis=0)
    head[GROUP] += (towards / np.linalg.norm(towards) * 1.5).astype("<f4")
    ids = [f"item-{number}" for number in range(len(head))]
    result = model_diff(
        write(tmp_path, "base", TABLE), write(tmp_path, "head", head),
        rebuilds=[write(tmp_path, "rebuild", retrained(2))], groups={"state outlets": GROUP, "others": [5, 6, 7, 8, 9]},
        towards="users", ids=ids,
    )  # fmt: skip
    found = aligned(result)
    assert found.outlier_rows[0].row == 77
    assert found.outlier_rows[0].id == "item-77"
    assert {row.row for row in found.outlier_rows[:31]} == {77, *GROUP}
    assert found.rebuild is not None
    assert found.rebuild.excess > 1.2
    groups = {group.name: group for group in found.groups}
    assert groups["state outlets"].towards is not None
    assert groups["state outlets"].towards > 6
    assert abs(groups["others"].towards or 0.0) < 4
    titles = [finding.title for finding in result.findings if finding.severity is Severity.MEDIUM]
    assert any(title.startswith("state outlets moved") and "towards the users" in title for title in titles)
    assert any("beyond what a rebuild varies" in title for title in titles)


def test_neighbours_by_an_index_are_nearly_those_of_looking_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    table = neighbours.normalised(TABLE)
    queries = np.arange(0, len(table), 3)
    exact = neighbours.nearest(table, queries, 10)
    assert not (exact == queries[:, None]).any()
    similar = table[queries] @ table.T
    similar[np.arange(len(queries)), queries] = -2
    assert (np.sort(exact, axis=1) == np.sort(np.argsort(-similar, axis=1)[:, :10], axis=1)).mean() > 0.99
    monkeypatch.setattr(neighbours, "EXACT", 100)
    assert neighbours.overlap(exact, neighbours.nearest(table, queries, 10)).mean() > 0.9


def test_rows_that_are_not_finite_are_not_aligned(tmp_path: Path) -> None:
    from diffing.artifacts.inside.embeddings import Table  # noqa: PLC0415 - only here
    from diffing.artifacts.inside.formats import open_side  # noqa: PLC0415 - only here
    from diffing.artifacts.inside.words import File  # noqa: PLC0415 - only here

    broken = TABLE.copy()
    broken[4, 4] = np.nan
    path = write(tmp_path, "broken", broken)
    side = open_side([File("broken.safetensors", str(path))])
    with pytest.raises(RefusedError, match="not finite"):
        Table(side.tensors["items"], np.arange(len(TABLE)))


def nearest(table: Any, row: int) -> list[int]:
    """The ten nearest rows by cosine, by looking at all of them."""
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    similar = unit @ unit[row]
    similar[row] = -2
    return [int(one) for one in np.argsort(-similar)[:10]]


@pytest.mark.sandbox
def test_neighbours_of_rows_out_of_line_are_told_before_and_after(tmp_path: Path) -> None:
    head = TABLE.copy()
    head[[77, 5]] = head[900] * 1.5, head[6] + 0.01
    ids = [f"item-{number}" for number in range(len(head))]
    result = model_diff(write(tmp_path, "base", TABLE), write(tmp_path, "head", head), ids=ids)
    told = {tensor.name: tensor.neighbours for tensor in result.tensors}
    assert told["items"] is not None
    assert {one.row for one in told["items"]} == {77, 5}
    for one in told["items"]:
        before, after = nearest(TABLE, one.row), nearest(head, one.row)
        assert [near.row for near in one.before] == before
        assert [near.row for near in one.after] == after
        assert one.jaccard == pytest.approx(len({*before} & {*after}) / len({*before} | {*after}), abs=1e-6)
        assert [near.id for near in one.after] == [f"item-{row}" for row in after]
    more = np.concatenate([head, head[77:78] * 2])
    grown = model_diff(write(tmp_path, "base", TABLE), write(tmp_path, "grown", more))
    (around_,) = (tensor.neighbours for tensor in grown.tensors if tensor.name == "items")
    assert around_ is not None
    (row,) = (one for one in around_ if one.row == 77)
    assert [near.row for near in row.after[:2]] == [900, 1200]  # the second is one that base does not have
    moved = next(one for one in told["items"] if one.row == 77)
    assert (moved.id, moved.after[0].row, moved.after[0].cosine) == ("item-77", 900, 1.0)


@pytest.mark.sandbox
def test_neighbours_in_a_longer_base_are_called_by_names_of_its_own_only(tmp_path: Path) -> None:
    base, head = TABLE[:600].copy(), TABLE[:500].copy()
    head[7] += 9
    base[550] = base[7] * 1.01
    ids, old = [f"item-{row}" for row in range(500)], [f"old-{row}" for row in range(600)]
    sides = write(tmp_path, "base", base), write(tmp_path, "head", head)
    for base_ids in ([], old):
        result = model_diff(*sides, ids=ids, base_ids=base_ids)
        (found,) = (tensor.neighbours for tensor in result.tensors if tensor.name == "items")
        assert found is not None
        (one,) = (one for one in found if one.row == 7)
        assert (one.id, one.before[0].row) == ("item-7", 550)
        assert [near.id for near in one.before] == [old[near.row] if base_ids else None for near in one.before]
        assert [near.id for near in one.after] == [ids[near.row] for near in one.after]


@pytest.mark.sandbox
@pytest.mark.parametrize("where", ["outlier", "around", "before", "after"])
def test_a_parser_that_tells_of_a_row_that_there_is_not_is_an_error(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = TABLE.copy()
    head[7] += 9
    ask = Parser.ask

    def lying(self: Parser, request: dict[str, Any]) -> Any:
        answer = {"around": []} if where == "outlier" and "around" in request else ask(self, request)
        for told in answer.get("tensors", ()):
            if where == "outlier" and told["name"] == "items":
                told["outlier_rows"][0]["row"] = 1200
        for one in answer.get("around", ()):
            (one if where == "around" else one[where][-1])["row"] = 1200
        return answer

    monkeypatch.setattr(Parser, "ask", lying)
    ids = [f"item-{row}" for row in range(1200)]
    with pytest.raises(InputError):
        model_diff(write(tmp_path, "base", TABLE), write(tmp_path, "head", head), ids=ids)


def test_neighbours_are_those_of_the_whole_table_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "table").write_bytes(TABLE.tobytes())
    table = tensor("table", "F32", TABLE.shape, File("table", str(tmp_path / "table")), 0, TABLE.nbytes)
    made = {}
    for size in (1 << 22, 16 * 100):
        monkeypatch.setattr(around, "_READ", size)
        made[size] = around.around(table, table, [0, 3, 1199])
    first, second = made.values()
    assert first == second
    assert [one["row"] for one in first[0]["before"]] == nearest(TABLE, 0)
    assert all(one["jaccard"] == 1 for one in first)
    with pytest.raises(RefusedError, match="no such row"):
        around.around(table, table, [1200])
