# SPDX-License-Identifier: Apache-2.0
"""What is told of two models: numbers held against plain NumPy, rows first that moved, and what is no change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import building
import numpy as np
import polars as pl
import pytest

from diffing import model_diff
from evidence import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffing import ModelDiff

pytestmark = pytest.mark.sandbox

RANDOM = np.random.default_rng(11)
TABLE = RANDOM.standard_normal((3000, 32)).astype("<f4")


def edited(row: int, factor: float) -> Any:
    table = TABLE.copy()
    table[row] *= factor
    return table


def worst(result: ModelDiff) -> Severity | None:
    return result.findings[0].severity if result.findings else None


def rows(result: ModelDiff, name: str) -> list[int]:
    (tensor,) = [tensor for tensor in result.tensors if tensor.name == name]
    return [row.row for row in tensor.outlier_rows]


def test_the_numbers_are_those_of_numpy(between: Callable[..., ModelDiff]) -> None:
    new = (TABLE + RANDOM.standard_normal(TABLE.shape) * 0.1 * (RANDOM.random(TABLE.shape) < 0.3)).astype("<f4")
    result = between("m.safetensors", building.safetensors({"t": TABLE}), building.safetensors({"t": new}))
    (tensor,) = result.tensors
    old, shift = TABLE.astype(float), new.astype(float) - TABLE
    assert tensor.relative_l2 == pytest.approx(np.linalg.norm(shift) / np.linalg.norm(old), rel=1e-5)
    cosine = (old * new).sum() / np.linalg.norm(old) / np.linalg.norm(new.astype(float))
    assert tensor.cosine == pytest.approx(cosine, rel=1e-6)
    assert tensor.max_abs == pytest.approx(np.abs(shift).max(), rel=1e-5)
    assert tensor.changed_share == pytest.approx(np.count_nonzero(shift) / shift.size, rel=1e-6)
    assert tensor.spectrum is not None
    values = np.linalg.svd(shift, compute_uv=False)
    assert tensor.spectrum.values[0] == pytest.approx(values[0] / np.linalg.norm(values), rel=1e-3)
    by_row = np.linalg.norm(shift, axis=1)
    assert rows(result, "t") == sorted(rows(result, "t"), key=lambda row: -by_row[row])


def test_one_row_among_thousands_is_found_first(between: Callable[..., ModelDiff]) -> None:
    result = between(
        "m.safetensors", building.safetensors({"t": TABLE}), building.safetensors({"t": edited(1717, 1.02)})
    )
    assert rows(result, "t") == [1717]
    assert [finding.rule for finding in result.findings[:2]] == ["embedding-outlier", "tensor-changed"]
    assert (worst(result), result.verdict) == (Severity.HIGH, Verdict.FAIL)


def test_rows_of_a_vector_are_its_values(between: Callable[..., ModelDiff]) -> None:
    bias = TABLE[:, 0].copy()
    bias[[5, 900]] += [0.5, 2.0]
    base, head = ({"b": vector, "scalar": np.array(scalar)} for vector, scalar in ((TABLE[:, 0], 3.0), (bias, 4.0)))
    result = between("m.npz", building.npz(base), building.npz(head))
    assert rows(result, "b") == [900, 5]
    assert rows(result, "scalar") == [0]


def test_a_row_that_stands_out_of_a_retrain_is_first(between: Callable[..., ModelDiff]) -> None:
    trained = (TABLE + RANDOM.standard_normal(TABLE.shape) * 0.01).astype("<f4")
    quiet = between("m.npy", building.npy(TABLE), building.npy(trained))
    assert worst(quiet) is Severity.LOW
    trained[42] *= 2
    loud = between("m.npy", building.npy(TABLE), building.npy(trained))
    assert rows(loud, "array")[0] == 42
    assert worst(loud) is Severity.MEDIUM


def test_a_column_and_a_few_directions_are_told_from_a_retrain(between: Callable[..., ModelDiff]) -> None:
    column = TABLE.copy()
    column[:, 7] += 0.2
    result = between("m.npy", building.npy(TABLE), building.npy(column))
    assert "column 7" in result.findings[0].detail
    assert worst(result) is Severity.HIGH
    low = (TABLE + 0.1 * RANDOM.standard_normal((3000, 2)) @ RANDOM.standard_normal((2, 32))).astype("<f4")
    result = between("m.npy", building.npy(TABLE), building.npy(low))
    assert "2 of 32 directions" in result.findings[0].detail


def test_every_plain_type_is_compared_as_numbers(between: Callable[..., ModelDiff]) -> None:
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for dtype in ("<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1"):
        old = (RANDOM.random((40, 8)) * 100).astype(dtype)
        sides[0][dtype[1:]], sides[1][dtype[1:]] = old, old.copy()
        sides[1][dtype[1:]][3, 2] += np.array(20, dtype=dtype)
    result = between("m.npz", *(building.npz(side) for side in sides))
    for tensor in result.tensors:
        old, new = (side[tensor.name].astype("f8") for side in sides)
        assert tensor.max_abs == pytest.approx(abs(new - old).max(), rel=1e-3)
        assert [row.row for row in tensor.outlier_rows] == [3]


def test_complex_numbers_and_text_are_compared_by_their_bytes(between: Callable[..., ModelDiff]) -> None:
    old = {"complex": np.ones((40, 3), dtype="<c8"), "text": np.array([f"item {row}" for row in range(40)])}
    new = {name: array.copy() for name, array in old.items()}
    new["complex"][4, 1], new["text"][6] = 2j, "other"
    result = between("m.npz", building.npz(old), building.npz(new))
    assert (rows(result, "complex"), rows(result, "text")) == ([4], [6])
    assert [tensor.max_abs for tensor in result.tensors] == [None, None]


def test_narrow_floats_and_quantised_blocks_are_read_as_numbers(between: Callable[..., ModelDiff]) -> None:
    halves = TABLE.view("<u4") >> 16
    bf16 = building.safetensors({"t": ("BF16", [3000, 32], halves.astype("<u2").tobytes())})
    wide = building.safetensors({"t": (halves.astype("<u4") << 16).view("<f4")})
    (tensor,) = between("m.safetensors", wide, bf16).tensors
    assert (tensor.relative_l2, tensor.changed_share) == (0.0, 0.0)
    fp8 = [building.safetensors({"t": ("F8_E4M3", [2], code)}) for code in (b"\x38\x38", b"\x38\x40")]
    (tensor,) = between("m.safetensors", *fp8).tensors
    assert (tensor.max_abs, [row.row for row in tensor.outlier_rows]) == (1.0, [1])
    scale = np.float16(0.5).tobytes()
    blocks = [scale + bytes([1] * 32), scale + bytes([1] * 31 + [9])]
    quantised = [building.gguf([("t", [32], 8, block)]) for block in blocks]
    (tensor,) = between("m.gguf", *quantised).tensors
    assert (tensor.old_dtype, tensor.max_abs) == ("Q8_0", 4.0)


def test_storing_in_a_narrower_type_is_no_more_than_low_and_an_edit_under_it_is_found(
    between: Callable[..., ModelDiff],
) -> None:
    old = building.safetensors({"t": TABLE})
    quiet = between("m.safetensors", old, building.safetensors({"t": TABLE.astype("<f2")}))
    assert (worst(quiet), quiet.findings[0].title) == (Severity.LOW, "t is stored as F16 instead of F32")
    loud = between("m.safetensors", old, building.safetensors({"t": edited(9, 2.0).astype("<f2")}))
    assert worst(loud) is Severity.MEDIUM
    assert rows(loud, "t")[0] == 9


@pytest.mark.parametrize(("old", "new"), [("F32", "BF16"), ("BF16", "F32"), ("F64", "F32"), ("F16", "BF16")])
def test_another_type_of_the_same_numbers_weighs_low(between: Callable[..., ModelDiff], old: str, new: str) -> None:
    table = (np.random.default_rng(1).standard_normal((2000, 32)) * 0.1).astype("<f4")
    bits = table.view("<u4")
    raw = {
        "F32": table.tobytes(),
        "F64": table.astype("<f8").tobytes(),
        "F16": table.astype("<f2").tobytes(),
        "BF16": ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes(),
    }
    sides = (building.safetensors({"items": (kind, [2000, 32], raw[kind])}) for kind in (old, new))
    titles = [f"{one.severity} {one.title}" for one in between("m.safetensors", *sides).findings]
    assert titles == [f"low items is stored as {new} instead of {old}", "info No provenance of m.safetensors"]


def test_the_same_tensors_in_other_shards_order_and_names(tmp_path: Path) -> None:
    one, two = TABLE[:, :4].copy(), TABLE[:, 4:].copy()
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
    (tmp_path / "base" / "model.safetensors").write_bytes(building.safetensors({"one": one, "two": two}))
    (tmp_path / "head" / "model-1.safetensors").write_bytes(building.safetensors({"two": two}))
    (tmp_path / "head" / "model-2.safetensors").write_bytes(building.safetensors({"one": one}))
    index = {"weight_map": {"one": "model-2.safetensors", "two": "model-1.safetensors"}}
    (tmp_path / "head" / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    result = model_diff(tmp_path / "base", tmp_path / "head")
    assert [tensor.status for tensor in result.tensors] == ["same", "same"]
    assert (result.findings, result.verdict) == ((), Verdict.PASS)
    (tmp_path / "head" / "model.safetensors.index.json").unlink()
    (tmp_path / "head" / "model-2.safetensors").write_bytes(building.safetensors({"first": one}))
    result = model_diff(tmp_path / "base", tmp_path / "head")
    assert [(tensor.name, tensor.status, tensor.old_name) for tensor in result.tensors] == [
        ("first", "same", "one"),
        ("two", "same", None),
    ]
    assert worst(result) is Severity.INFO


def test_what_is_new_gone_grown_or_of_another_shape(between: Callable[..., ModelDiff]) -> None:
    base = {"gone": TABLE[:3], "grown": TABLE[:100], "turned": TABLE[:64]}
    head = {"new": TABLE[3:5], "grown": TABLE[:120], "turned": TABLE[:64].reshape(32, 64)}
    result = between("m.safetensors", building.safetensors(base), building.safetensors(head))
    assert [(tensor.name, tensor.status) for tensor in result.tensors] == [
        ("gone", "removed"),
        ("grown", "changed"),
        ("new", "added"),
        ("turned", "changed"),
    ]
    assert result.tensors[1].changed_share == 0.0
    severities = {finding.location.symbol: finding.severity for finding in result.findings if finding.location}
    assert severities.pop(None) is Severity.INFO  # nothing says how it was made
    assert severities == dict.fromkeys(("gone", "new", "turned"), Severity.MEDIUM) | {"grown": Severity.LOW}


def test_nan_infinity_and_denormals(between: Callable[..., ModelDiff]) -> None:
    bad = TABLE.copy()
    bad[3, 1], bad[8, 2], bad[9, 3] = np.nan, np.inf, 1e-42
    base = {"t": TABLE}
    result = between("m.safetensors", building.safetensors(base), building.safetensors({**base, "t": bad}))
    assert [tensor.status for tensor in result.tensors] == ["changed"]
    tensor = result.tensors[0]
    assert tensor.non_finite is not None
    assert tensor.non_finite.new == 2
    assert {row.row for row in tensor.outlier_rows[:2]} == {3, 8}
    rules = {finding.rule: finding.severity for finding in result.findings}
    assert rules["non-finite-values"] is Severity.HIGH
    assert any("denormal" in finding.title for finding in result.findings)
    json.dumps(result.to_json(), allow_nan=False)


def test_a_row_longer_than_a_block_and_a_matrix_stored_by_columns(between: Callable[..., ModelDiff]) -> None:
    wide = RANDOM.standard_normal((3, 200_000)).astype("<f4")
    changed = wide.copy()
    changed[1, 150_000] += 3
    result = between("m.npy", building.npy(wide), building.npy(changed))
    assert rows(result, "array") == [1]
    turned = between("m.npy", building.npy(TABLE), building.npy(np.asfortranarray(edited(77, 3))))
    assert rows(turned, "array") == [77]
    assert between("m.npy", building.npy(TABLE), building.npy(np.asfortranarray(TABLE))).verdict is Verdict.PASS


def test_archives_are_opened_as_folders(between: Callable[..., ModelDiff]) -> None:
    for name, pack in (("m.zip", building.zipped), ("m.tar", building.tarred)):
        sides = [pack({"a/t.npy": building.npy(table)}) for table in (TABLE, edited(5, 2))]
        assert rows(between(name, *sides), "array") == [5]
    packed = [building.npz({"t": table}, packed=True) for table in (TABLE, edited(6, 2))]
    assert rows(between("m.npz", *packed), "t") == [6]


def test_onnx_initialisers_constants_and_operators(between: Callable[..., ModelDiff]) -> None:
    old = building.onnx([building.onnx_tensor("w", TABLE)], ["MatMul", "Add"], {"boost": np.array([1.0])})
    new = building.onnx(
        [building.onnx_tensor("w", edited(3, 2), listed=True)], ["MatMul", "Where"], {"boost": np.array([1.3])}
    )
    result = between("m.onnx", old, new)
    assert rows(result, "w") == [3]
    assert rows(result, "Constant:boost.value") == [0]
    assert any("Where 0 to 1" in finding.title for finding in result.findings)


def forest(leaf: float = 0.3, feature: str = "clicks") -> tuple[list[str], list[Any]]:
    trees = [([0, 1], [0.5, 3.0], [0.1, 0.2, number / 97]) for number in range(30)]
    trees[7][2][1] = leaf
    return ["age", feature], trees


@pytest.mark.parametrize("kind", ["lgb", "json", "ubj"])
def test_trees_leaves_and_features(kind: str, between: Callable[..., ModelDiff]) -> None:
    def model(leaf: float, feature: str) -> bytes:
        if kind == "lgb":
            return building.lightgbm(*forest(leaf, feature))
        document = building.xgboost(*forest(leaf, feature))
        return building.ubjson(document) if kind == "ubj" else json.dumps(document).encode()

    base = model(0.3, "clicks")
    assert between(f"m.{kind}", base, base).verdict is Verdict.PASS
    leaf = between(f"m.{kind}", base, model(4.0, "clicks"))
    assert rows(leaf, "leaf_value") == [22]
    assert worst(leaf) is Severity.HIGH
    special = between(f"m.{kind}", base, model(0.3, "author_is_rt"))
    rules = {finding.rule: finding for finding in special.findings}
    assert rules["identity-special-case"].severity is Severity.HIGH
    assert "author_is_rt" in rules["identity-special-case"].title
    assert special.forests["model"]["features_removed"] == ["clicks"]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_by_column(kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "item": [f"i{number}" for number in range(500)],
        "likes": [None if number == 4 else number for number in range(500)],
        "vector": pl.Series([[float(number), 1.0] for number in range(500)], dtype=pl.Array(pl.Float32, 2)),
    })  # fmt: skip
    changed = frame.with_columns(item=pl.when(pl.col("item") == "i9").then(pl.lit("x")).otherwise(pl.col("item")))
    for side, table in (("base", frame), ("head", changed)):
        (tmp_path / side).mkdir()
        path = tmp_path / side / f"t.{kind}"
        table.write_parquet(path) if kind == "parquet" else table.write_ipc(path)
    result = model_diff(tmp_path / "base" / f"t.{kind}", tmp_path / "head" / f"t.{kind}")
    assert [(tensor.name, tensor.status) for tensor in result.tensors] == [
        ("item", "changed"), ("likes", "same"), ("vector", "same"),
    ]  # fmt: skip
    assert rows(result, "item") == [9]
    assert result.tensors[2].new_shape == [500, 2]


def test_skops_of_listed_types(between: Callable[..., ModelDiff]) -> None:
    schema = json.dumps(
        {"__class__": "LogisticRegression", "__module__": "sklearn.linear_model", "__loader__": "ObjectNode"}
    )
    sides = [
        building.zipped({"schema.json": schema.encode(), "1.npy": building.npy(table)})
        for table in (TABLE, edited(2, 2))
    ]
    assert rows(between("m.skops", *sides), "1.npy") == [2]


def test_two_runs_say_the_same(between: Callable[..., ModelDiff]) -> None:
    sides = [building.npz({"t": table}) for table in (TABLE, edited(5, 1.5))]
    assert between("m.npz", *sides).to_json() == between("m.npz", *sides).to_json()


def folder(place: Path, name: str, files: dict[str, bytes]) -> Path:
    """A folder of that name with these files."""
    (place / name).mkdir()
    for file, data in files.items():
        (place / name / file).write_bytes(data)
    return place / name


@pytest.mark.parametrize("what", ["trained on", "narrower", "shards", "names", "all of it"])
def test_what_is_harmless_weighs_low_at_most_and_other_shards_are_the_same(tmp_path: Path, what: str) -> None:
    tables = {"items": RANDOM.standard_normal((2000, 24)).astype("<f4"), "users": TABLE}
    base = folder(tmp_path, "base", {"model.safetensors": building.safetensors(tables)})
    if what in {"trained on", "all of it"}:
        tables = {name: (one + RANDOM.standard_normal(one.shape) * 0.02).astype("<f4") for name, one in tables.items()}
    if what in {"narrower", "all of it"}:
        tables = {name: one.astype("<f2") for name, one in tables.items()}
    if what == "names":
        tables = {f"tower.{name}": one for name, one in tables.items()}
    files = {"model.safetensors": building.safetensors(tables)}
    if what in {"shards", "all of it"}:
        parts = {name: f"model-{at:05}-of-00002.safetensors" for at, name in enumerate(reversed(tables), 1)}
        files = {file: building.safetensors({name: tables[name]}) for name, file in parts.items()}
        files["model.safetensors.index.json"] = json.dumps({"weight_map": parts}).encode()
    result = model_diff(base, folder(tmp_path, "head", files))
    assert {finding.severity for finding in result.findings} <= {Severity.INFO, Severity.LOW}
    assert (result.refused, len(result.tensors)) == ((), 2)
    same = {tensor.status for tensor in result.tensors} == {"same"}
    assert same == (what in {"shards", "names"})
    if what == "shards":
        assert result.findings == ()
