# SPDX-License-Identifier: Apache-2.0
"""LightGBM's text format: blocks of ``key=value`` lines, one block a tree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from diffing.artifacts.inside.beside import words_of
from diffing.artifacts.inside.forests import Forest, checked_features
from diffing.artifacts.inside.words import MAX_HEADER, RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_LONGEST_WORD = 400
_FLAGS = frozenset({"average_output"})  # that are told by standing there
_MAPPED = "pandas_categorical:"
_CATEGORIES = ("cat_boundaries", "cat_threshold")
_SHOWN = ("objective", "num_class", "num_tree_per_iteration", "max_feature_idx", "label_index", "average_output")
_NO_WORDS = frozenset({*_SHOWN, "feature_names", "tree_sizes"})
_CATEGORICAL = 1  # the bit of a decision's type that says so


def looks_like(start: bytes) -> bool:
    """Whether a file begins as such a model."""
    return start.startswith(b"tree\n") and b"version=" in start[:200]


def read(file: File) -> tuple[Forest, dict[str, str]]:
    """The ensemble, and what else its text says.

    Raises:
        RefusedError: a line or number that does not fit.
    """
    if file.size > MAX_HEADER * 4:
        raise RefusedError(f"{file.size:,} bytes of text: more than is read")
    try:
        text = file.read(0, file.size).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError("not UTF-8") from error
    body, ended, tail = text.partition("\nend of trees")
    if not ended:
        raise RefusedError("cut off: there is no 'end of trees'")
    head, *trees = body.split("\nTree=")
    header = _pairs(head)
    forest = Forest(checked_features(header.get("feature_names", "").split()))
    forest.words = {name: header[name][:_LONGEST_WORD] for name in _SHOWN if name in header}
    for number, block in enumerate(trees):
        first, _, rest = block.partition("\n")
        if first.strip() != str(number):
            raise RefusedError(f"tree {number} is called {ascii(first)[:20]}")
        _tree(forest, _pairs(rest), number)
    told, parameters, settings = tail.partition("\nparameters:")
    settings, _, last = settings.partition("\nend of parameters") if parameters else ("", "", told)
    mapped = next((line for line in last.splitlines() if line.startswith(_MAPPED)), "")
    if mapped.removeprefix(_MAPPED).strip() not in ("", "null", "[]"):
        forest.words |= words_of({"pandas_categorical": mapped.removeprefix(_MAPPED)})
    return forest, {name: value for name, value in header.items() if name not in _NO_WORDS} | _settings(settings)


def _settings(text: str) -> dict[str, str]:
    """What it was trained with, one ``[name: value]`` a line."""
    lines = (line.strip().strip("[]").partition(":") for line in text.splitlines() if line.startswith("["))
    return {f"parameter {name.strip()}": value.strip() for name, _, value in lines}


def _tree(forest: Forest, pairs: dict[str, str], number: int) -> None:
    splits = [_whole(word) for word in pairs.get("split_feature", "").split()]
    thresholds = [_number(word) for word in pairs.get("threshold", "").split()]
    forest.add(
        splits,
        thresholds,
        [_number(word) for word in pairs.get("split_gain", "").split()],
        [_number(word) for word in pairs.get("leaf_value", "").split()],
        _branches(pairs, thresholds, number),
    )
    if pairs.get("num_leaves") != str(len(forest.leaves[-1])):
        raise RefusedError(f"tree {number} announces {ascii(pairs.get('num_leaves'))[:20]} leaves and has others")
    if pairs.get("is_linear", "0") != "0":
        raise RefusedError(f"tree {number} has a linear model in each leaf: not read")


def _branches(pairs: dict[str, str], thresholds: list[float], number: int) -> list[tuple[object, ...]]:
    """Of each split its children, its kind (what is missing goes where), and the categories that go left."""
    sides = [
        [_whole(word) for word in pairs.get(name, "").split()] or [0] * len(thresholds)
        for name in ("left_child", "right_child", "decision_type")
    ]
    bounds, bits = ([_whole(word) for word in pairs.get(name, "").split()] for name in _CATEGORIES)
    if any(len(side) != len(thresholds) for side in sides):
        raise RefusedError(f"tree {number}: children or decisions for other than its {len(thresholds)} splits")
    found: list[tuple[object, ...]] = []
    for left, right, kind, threshold in zip(*sides, thresholds, strict=True):
        categories: list[int] = []
        if kind & _CATEGORICAL:
            at = int(threshold) if 0 <= threshold < len(bounds) - 1 else -1
            if at < 0 or not 0 <= bounds[at] <= bounds[at + 1] <= len(bits):
                raise RefusedError(f"tree {number}: categories that there are not")
            categories = bits[bounds[at] : bounds[at + 1]]
        found.append((left, right, kind, categories))
    return found


def _pairs(block: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.splitlines():
        key, equal, value = line.partition("=")
        if not equal and key not in _FLAGS:
            continue
        if key in found:
            raise RefusedError(f"duplicate key {ascii(key)[:80]}")
        found[key] = value
    return found


def _whole(word: str) -> int:
    if not word.lstrip("-").isdigit() or len(word) > 18:  # noqa: PLR2004 - digits of a 64-bit number
        raise RefusedError(f"{ascii(word)[:40]} is no feature")
    return int(word)


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError as error:
        raise RefusedError(f"{ascii(word)[:40]} is no number") from error
    if math.isnan(number):
        raise RefusedError("a split or leaf that is NaN")
    return number
