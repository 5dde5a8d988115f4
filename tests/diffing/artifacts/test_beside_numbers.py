# SPDX-License-Identifier: Apache-2.0
"""Models whose numbers are the same and that do something else: where rows go, how nodes are connected, settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import building
import numpy as np
import pytest

from diffing import model_diff
from evidence import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffing import ModelDiff

pytestmark = pytest.mark.sandbox

TWO = np.arange(6, dtype="<f4").reshape(3, 2)
TREES: list[tuple[list[int], list[float], list[float]]] = [([0, 1], [0.0, 2.0], [0.1, 0.2, at / 7]) for at in range(30)]
PLAIN = "left_child=1 -2\nright_child=-1 -3\ndecision_type=1 2\ncat_boundaries=0 1\ncat_threshold=6"


def trees(**swapped: str) -> bytes:
    """A forest whose eighth tree differs in one line."""
    text = building.lightgbm(["source", "age"], TREES, PLAIN).decode()
    before, mark, tree = text.partition("Tree=7\n")
    for name, value in swapped.items():
        old = next(line for line in PLAIN.splitlines() if line.startswith(name))
        tree = tree.replace(old, f"{name}={value}", 1)
    return (before + mark + tree).encode()


def severities(result: ModelDiff) -> dict[str, Severity]:
    return {finding.rule: finding.severity for finding in result.findings if finding.rule != "provenance-missing"}


@pytest.mark.parametrize(
    ("line", "value", "row"),
    [
        ("left_child", "-1 1", 14),
        ("right_child", "-3 -1", 14),
        ("decision_type", "1 10", 15),
        ("cat_threshold", "7", 14),
    ],
)
def test_one_split_of_lightgbm_that_sends_its_rows_elsewhere_is_found(
    between: Callable[..., ModelDiff], line: str, value: str, row: int
) -> None:
    result = between("m.lgb", trees(), trees(**{line: value}))
    (branches,) = (tensor for tensor in result.tensors if tensor.status != "same")
    assert (branches.name, branches.outlier_rows[0].row) == ("branches", row)
    assert severities(result)["embedding-outlier"] is Severity.HIGH
    assert result.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_left", [1, 0, 0, 0, 0]),
        ("right_children", [3, 4, -1, -1, -1]),
        ("split_type", [1, 0, 0, 0, 0]),
        ("categories", [2]),
    ],
)
def test_one_split_of_xgboost_that_sends_its_rows_elsewhere_is_found(
    between: Callable[..., ModelDiff], name: str, value: list[int]
) -> None:
    plain = {"categories_nodes": [0], "categories_segments": [0], "categories_sizes": [1], "categories": [1]}
    base = building.xgboost(["source", "age"], TREES, default_left=[0] * 5, split_type=[0] * 5, **plain)
    head = json.loads(json.dumps(base))
    head["learner"]["gradient_booster"]["model"]["trees"][7][name] = value
    result = between("m.json", json.dumps(base).encode(), json.dumps(head).encode())
    assert [tensor.outlier_rows[0].row for tensor in result.tensors if tensor.status != "same"] == [14]
    assert severities(result)["embedding-outlier"] is Severity.HIGH


def test_trees_that_were_grown_anew_are_no_edit_although_most_splits_are_the_same(
    between: Callable[..., ModelDiff],
) -> None:
    grown = [([0, 1], [at / 5 + 0.1, 2.5 + at], [0.3, 0.4, at / 9]) for at in range(30)]
    plain = "left_child=1 -2\nright_child=-1 -3\ndecision_type=2 2"
    sides = [building.lightgbm(["age", "clicks"], one, plain).decode() for one in (TREES, grown)]
    before, mark, tree = sides[1].partition("Tree=7\n")
    head = before + mark + tree.replace("left_child=1 -2", "left_child=-1 1", 1).replace("=0 1", "=1 1", 1)
    result = between("m.lgb", sides[0].encode(), head.encode())
    assert {tensor.name for tensor in result.tensors if tensor.status == "changed"} == {
        "branches", "leaf_value", "split_feature", "threshold",
    }  # fmt: skip
    assert {finding.severity for finding in result.findings} <= {Severity.LOW, Severity.INFO}


def test_features_in_another_order_are_a_finding(between: Callable[..., ModelDiff]) -> None:
    even: list[Any] = [([0], [0.5], [0.1, 0.2]), ([1], [0.5], [0.3, 0.4])]
    sides = [building.lightgbm(names, even) for names in (["age", "clicks"], ["clicks", "age"])]
    result = between("m.lgb", *sides)
    assert next(finding.title for finding in result.findings) == "The features stand in another order from clicks on"
    assert severities(result) == {"tensor-changed": Severity.MEDIUM}


def graph(
    takes: tuple[str, str] = ("x", "w"),
    *,
    names: tuple[str, str] = ("w", "v"),
    mode: str = "constant",
    flip: bool = False,
) -> bytes:
    """Two weights, a node that runs another graph, and one with a word for an attribute."""
    w, v = names
    inner = building.onnx_graph([building.onnx_node("Sub", ["d", v] if not flip else [v, "d"], "e")], {}, [], ["e"])
    nodes = [
        building.onnx_node("MatMul", [w if name == "w" else name for name in takes], "c"),
        building.onnx_node("Pad", ["c"], "d", words={"mode": mode}),
        building.onnx_node("If", ["d"], "f", graph=inner),
    ]
    tensors = {w: TWO, v: TWO + 1}
    return building.field(1, 8) + building.field(7, building.onnx_graph(nodes, tensors, ["x"], ["f"]))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (graph(("w", "x")), "MatMul(w, input 0). Before: MatMul(input 0, w)"),
        (graph(("x", "v")), "MatMul(input 0, v)"),
        (graph(mode="edge"), "Pad(MatMul, mode=edge)"),
        (graph(flip=True), "Sub(v, Pad). Before: Sub(Pad, v)"),
    ],
)
def test_a_graph_that_is_connected_otherwise_is_a_finding(
    between: Callable[..., ModelDiff], head: bytes, words: str
) -> None:
    result = between("m.onnx", graph(), head)
    assert {tensor.status for tensor in result.tensors} == {"same"}
    finding = result.findings[0]
    assert (finding.title, finding.severity) == ("The graph is connected otherwise than before", Severity.MEDIUM)
    assert words in finding.detail
    assert list(result.to_json()["wiring"]) == ["model"]


def test_a_graph_with_other_names_in_another_order_is_the_same(between: Callable[..., ModelDiff]) -> None:
    result = between("m.onnx", graph(), graph(names=("v2", "a1")))
    assert {tensor.status for tensor in result.tensors} == {"same"}
    assert result.to_json()["wiring"] == {}
    assert {finding.severity for finding in result.findings} == {Severity.INFO}


def schema(alpha: str, member: int) -> bytes:
    document = {
        "__class__": "Ridge", "__module__": "sklearn.linear_model", "__loader__": "ObjectNode", "__id__": member,
        "content": {"attrs": {
            "alpha": {"__class__": "float", "__module__": "builtins", "__loader__": "JsonNode", "content": alpha},
            "coef_": {"__class__": "ndarray", "__module__": "numpy", "type": "numpy", "file": f"{member}.npy"},
        }},
    }  # fmt: skip
    return building.zipped({"schema.json": json.dumps(document).encode(), f"{member}.npy": building.npy(TWO)})


_LEARNER = building.xgboost(["x"], [])["learner"] | {"attributes": {"best_iteration": "3"}}
BEST = json.dumps({"learner": _LEARNER}).encode()


@pytest.mark.parametrize(
    ("name", "base", "head", "severity", "key"),
    [
        ("m.skops", schema("0.1", 111), schema("0.9", 222), Severity.MEDIUM, "alpha"),
        ("m.safetensors", building.safetensors({"a": TWO}, __metadata__={"blend": "0.1"}),
         building.safetensors({"a": TWO}, __metadata__={"blend": "0.9"}), Severity.LOW, "blend"),
        ("m.gguf", building.gguf([("a", [1], 0, bytes(4))], words={"scale": "1"}),
         building.gguf([("a", [1], 0, bytes(4))], words={"scale": "2"}), Severity.MEDIUM, "scale"),
        ("m.gguf", building.gguf([("a", [1], 0, bytes(4))], words={"general.author": "a"}),
         building.gguf([("a", [1], 0, bytes(4))], words={"general.author": "b"}), Severity.LOW, "general.author"),
        ("m.onnx", graph() + building.field(8, building.field(1, "") + building.field(2, 17)),
         graph() + building.field(8, building.field(1, "") + building.field(2, 18)), Severity.LOW, "opset"),
        ("m.lgb", building.lightgbm(["x"], [], tail="\nparameters:\n[learning_rate: 0.1]\nend of parameters\n"),
         building.lightgbm(["x"], [], tail="\nparameters:\n[learning_rate: 0.2]\nend of parameters\n"),
         Severity.LOW, "parameter learning_rate"),
        ("m.json", json.dumps(building.xgboost(["x"], [])).encode(), BEST, Severity.LOW, "attributes.best_iteration"),
    ],
)  # fmt: skip
def test_what_stands_beside_the_numbers_is_told(
    between: Callable[..., ModelDiff], name: str, base: bytes, head: bytes, severity: Severity, key: str
) -> None:
    result = between(name, base, head)
    assert {tensor.status for tensor in result.tensors} <= {"same"}
    (words,) = result.beside.values()
    assert list(words) == [key]
    assert severities(result) == {"tensor-changed": severity}


def test_arrays_of_skops_are_called_by_their_place_and_not_by_an_address(between: Callable[..., ModelDiff]) -> None:
    result = between("m.skops", schema("0.1", 111), schema("0.1", 222))
    assert [(tensor.name, tensor.status, tensor.old_name) for tensor in result.tensors] == [("coef_", "same", None)]
    assert result.findings == ()


@pytest.mark.parametrize(
    ("tail", "head"), [("pandas_categorical:[[1,2]]", "pandas_categorical:[[2,1]]"), ("", "average")]
)
def test_words_of_lightgbm_that_a_prediction_follows_weigh_medium(
    between: Callable[..., ModelDiff], tail: str, head: str
) -> None:
    base = building.lightgbm(["x"], TREES[:0], tail=tail)
    other = building.lightgbm(["x"], TREES[:0], tail=head if tail else "")
    if not tail:
        other = other.replace(b"num_class=1\n", b"num_class=1\naverage_output\n")
    result = between("m.lgb", base, other)
    assert severities(result) == {"tensor-changed": Severity.MEDIUM}


def test_text_beside_a_model_in_a_folder_is_told_by_its_digest(tmp_path: Path) -> None:
    for side, blend in (("base", "0.1"), ("head", "0.9")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "m.safetensors").write_bytes(building.safetensors({"a": TWO}))
        (tmp_path / side / "config.json").write_text(json.dumps({"blend": blend}), encoding="utf-8")
    result = model_diff(tmp_path / "base", tmp_path / "head")
    assert [finding.title for finding in result.findings if finding.rule == "tensor-changed"] == [
        "Text beside the numbers changed: sha256"
    ]
    assert list(result.beside) == ["config.json text"]
