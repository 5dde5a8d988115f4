# SPDX-License-Identifier: Apache-2.0
"""XGBoost's model in JSON or UBJSON: the trees of gbtree and dart, the weights of gblinear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside import ubjson
from diffing.artifacts.inside.beside import flat
from diffing.artifacts.inside.forests import MAX_FEATURES, Forest, checked_features
from diffing.artifacts.inside.scratch import keep
from diffing.artifacts.inside.words import MAX_HEADER, RefusedError, strict_json

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Tensor
    from diffing.artifacts.inside.words import File

_LEAF = -1
_LONGEST_WORD = 400
_CATEGORIES = ("categories_nodes", "categories_segments", "categories_sizes", "categories")


def read(file: File) -> tuple[list[Tensor], Forest | None, dict[str, object]]:
    """The model's numbers, its trees where it has some, and what else it says.

    Raises:
        RefusedError: no such model.
    """
    if file.size > MAX_HEADER:
        raise RefusedError(f"{file.size:,} bytes, more than {MAX_HEADER:,}")
    data = file.read(0, file.size)
    document = ubjson.parse(data) if file.suffix == ".ubj" else strict_json(data, "the model")
    learner = _part(document, "learner", dict)
    booster = _part(learner, "gradient_booster", dict)
    names = learner.get("feature_names") or _numbered(learner)
    if not isinstance(names, list):
        raise RefusedError("feature_names is no list")
    if booster.get("name") == "gblinear":
        weights = _part(_part(booster, "model", dict), "weights", list)
        return [keep("weights", "F64", (len(weights),), _numbers(weights, "weights").tobytes())], None, _beside(learner)
    model = booster if "model" in booster else _part(booster, "gbtree", dict)
    forest = Forest(checked_features(names))
    objective = learner.get("objective")
    if isinstance(objective, dict):
        forest.words["objective"] = str(objective.get("name"))[:_LONGEST_WORD]
    parameters = learner.get("learner_model_param")
    if isinstance(parameters, dict):
        forest.words |= {str(key)[:80]: str(value)[:_LONGEST_WORD] for key, value in sorted(parameters.items())}
    for number, tree in enumerate(_part(_part(model, "model", dict), "trees", list)):
        _tree(forest, tree, number)
    dropped = booster.get("weight_drop")
    more = [] if dropped is None else [keep("weight_drop", "F64", (len(dropped),), _numbers(dropped, "dart").tobytes())]
    classes = _numbers(_part(model, "model", dict).get("tree_info") or [], "tree_info")
    if classes.any():
        more.append(keep("tree_info", "F64", (len(classes),), classes.tobytes()))
    return [*forest.tensors(), *more], forest, _beside(learner) | dict(flat(_rest(model), "booster"))


def _beside(learner: dict[str, Any]) -> dict[str, object]:
    """What a learner says beside its trees and their names: its objective's settings, attributes, categories."""
    known = {"feature_names", "gradient_booster", "learner_model_param"}
    return dict(flat({key: value for key, value in learner.items() if key not in known}))


def _rest(model: dict[str, Any]) -> dict[str, Any]:
    inner = model["model"]
    return {key: value for key, value in inner.items() if key not in ("trees", "tree_info", "iteration_indptr")}


def _tree(forest: Forest, tree: Any, number: int) -> None:  # noqa: ANN401 - parsed JSON
    left = _numbers(_part(tree, "left_children", list), f"tree {number}").astype("<i8")
    feature = _numbers(_part(tree, "split_indices", list), f"tree {number}").astype("<i8")
    value = _numbers(_part(tree, "split_conditions", list), f"tree {number}")
    gain = _numbers(_part(tree, "loss_changes", list), f"tree {number}")
    if not len(left) == len(feature) == len(value) == len(gain):
        raise RefusedError(f"tree {number}: its lists have different lengths")
    inner = left != _LEAF
    parameters = tree.get("tree_param")
    if isinstance(parameters, dict) and str(parameters.get("size_leaf_vector", "0")) not in ("0", "1"):
        raise RefusedError(f"tree {number} has a vector in each leaf: not read")
    forest.add(
        feature[inner].tolist(),
        value[inner].tolist(),
        gain[inner].tolist(),
        value[~inner].tolist(),
        _branches(tree, left.tolist(), inner, number),
    )


def _branches(tree: dict[str, Any], left: list[int], inner: Any, number: int) -> list[tuple[object, ...]]:  # noqa: ANN401 - a mask
    """Of each split its children, where missing values go, its kind, and its categories."""
    sides = [_whole(tree, name, number, len(left)) for name in ("right_children", "default_left", "split_type")]
    places, starts, counts, all_ = (_whole(tree, name, number, None) for name in _CATEGORIES)
    if not len(places) == len(starts) == len(counts):
        raise RefusedError(f"tree {number}: its lists of categories have different lengths")
    categories = {node: all_[start : start + count] for node, start, count in zip(places, starts, counts, strict=True)}
    return [
        (left[node], *(side[node] for side in sides), categories.get(node, []))
        for node in np.flatnonzero(inner).tolist()
    ]


def _whole(tree: dict[str, Any], name: str, number: int, length: int | None) -> list[int]:
    """A list of whole numbers, of as many as there are nodes; zeros where an older version left it out."""
    found = tree.get(name)
    if found is None:
        return [0] * (length or 0)
    numbers: list[int] = _numbers(_part(tree, name, list), f"tree {number}").astype("<i8").tolist()
    if length is not None and len(numbers) != length:
        raise RefusedError(f"tree {number}: its lists have different lengths")
    return numbers


def _numbered(learner: dict[str, Any]) -> list[str]:
    count = str(_part(learner, "learner_model_param", dict).get("num_feature", ""))
    if not count.isdigit() or int(count) > MAX_FEATURES:
        raise RefusedError("neither feature names nor a number of features")
    return [f"f{number}" for number in range(int(count))]


def _numbers(values: list[Any], what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not all(isinstance(value, (int, float)) for value in values):
        raise RefusedError(f"{what}: a list that holds something other than numbers")
    return np.array(values, dtype="<f8")


def _part(document: Any, key: str, kind: type) -> Any:  # noqa: ANN401 - parsed JSON
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, kind):
        raise RefusedError(f"no XGBoost model: {key} is missing")
    return found
