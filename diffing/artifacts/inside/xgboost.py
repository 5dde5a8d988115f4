# SPDX-License-Identifier: Apache-2.0
"""XGBoost's model in JSON or UBJSON: the trees of gbtree and dart, the weights of gblinear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside import ubjson
from diffing.artifacts.inside.forests import MAX_FEATURES, Forest, checked_features
from diffing.artifacts.inside.scratch import keep
from diffing.artifacts.inside.words import MAX_HEADER, RefusedError, strict_json

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Tensor
    from diffing.artifacts.inside.words import File

_LEAF = -1
_LONGEST_WORD = 400


def read(file: File) -> tuple[list[Tensor], Forest | None]:
    """The model's numbers, and its trees where it has some.

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
        return [keep("weights", "F64", (len(weights),), _numbers(weights, "weights").tobytes())], None
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
    return [*forest.tensors(), *more], forest


def _tree(forest: Forest, tree: Any, number: int) -> None:  # noqa: ANN401 - parsed JSON
    left = _numbers(_part(tree, "left_children", list), f"tree {number}").astype("<i8")
    feature = _numbers(_part(tree, "split_indices", list), f"tree {number}").astype("<i8")
    value = _numbers(_part(tree, "split_conditions", list), f"tree {number}")
    gain = _numbers(_part(tree, "loss_changes", list), f"tree {number}")
    if not len(left) == len(feature) == len(value) == len(gain):
        raise RefusedError(f"tree {number}: its lists have different lengths")
    inner = left != _LEAF
    forest.add(feature[inner].tolist(), value[inner].tolist(), gain[inner].tolist(), value[~inner].tolist())


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
