# SPDX-License-Identifier: Apache-2.0
"""LightGBM's text format: blocks of ``key=value`` lines, one block a tree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from diffing.artifacts.inside.forests import Forest, checked_features
from diffing.artifacts.inside.words import MAX_HEADER, RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_LONGEST_WORD = 400
_SHOWN = ("objective", "num_class", "num_tree_per_iteration", "max_feature_idx", "label_index")


def looks_like(start: bytes) -> bool:
    """Whether a file begins as such a model."""
    return start.startswith(b"tree\n") and b"version=" in start[:200]


def read(file: File) -> Forest:
    """The ensemble.

    Raises:
        RefusedError: a line or number that does not fit.
    """
    if file.size > MAX_HEADER * 4:
        raise RefusedError(f"{file.size:,} bytes of text: more than is read")
    try:
        text = file.read(0, file.size).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError("not UTF-8") from error
    body, ended, _ = text.partition("\nend of trees")
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
    return forest


def _tree(forest: Forest, pairs: dict[str, str], number: int) -> None:
    splits = [_whole(word) for word in pairs.get("split_feature", "").split()]
    forest.add(
        splits,
        [_number(word) for word in pairs.get("threshold", "").split()],
        [_number(word) for word in pairs.get("split_gain", "").split()],
        [_number(word) for word in pairs.get("leaf_value", "").split()],
    )
    if pairs.get("num_leaves") != str(len(forest.leaves[-1])):
        raise RefusedError(f"tree {number} announces {ascii(pairs.get('num_leaves'))[:20]} leaves and has others")
    if int(pairs.get("num_cat", "0") or 0):
        forest.words[f"tree {number}: categories"] = pairs.get("cat_threshold", "")[:_LONGEST_WORD]


def _pairs(block: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.splitlines():
        key, equal, value = line.partition("=")
        if not equal:
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
