# SPDX-License-Identifier: Apache-2.0
"""Tree ensembles in common terms: features, and one vector each of split features, thresholds and leaf values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.scratch import keep
from diffing.artifacts.inside.words import RefusedError, checked_name

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Tensor

MAX_TREES = 100_000
MAX_FEATURES = 1_000_000
_DIGEST = 8  # bytes that stand for where the rows of a split go


@dataclass
class Forest:
    """An ensemble: for each tree the index of the feature of every split, its threshold and gain, and the leaves."""

    features: list[str]
    splits: list[list[int]] = field(default_factory=list)
    thresholds: list[list[float]] = field(default_factory=list)
    gains: list[list[float]] = field(default_factory=list)
    leaves: list[list[float]] = field(default_factory=list)
    branches: list[list[bytes]] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        splits: list[int],
        thresholds: list[float],
        gains: list[float],
        leaves: list[float],
        branches: list[tuple[object, ...]],
    ) -> None:
        """Take one tree. ``branches`` say of each split where its rows go: children, missing values, categories.

        Raises:
            RefusedError: its parts do not fit each other, or there are more trees than are read.
        """
        number = len(self.splits)
        if number >= MAX_TREES:
            raise RefusedError(f"more than {MAX_TREES:,} trees")
        if not len(splits) == len(thresholds) == len(branches) or len(leaves) != len(splits) + 1:
            raise RefusedError(
                f"tree {number}: {len(splits)} splits, {len(thresholds)} thresholds, {len(leaves)} leaves"
            )
        if splits and not 0 <= min(splits) <= max(splits) < len(self.features):
            raise RefusedError(f"tree {number} splits on a feature that there is not")
        self.splits.append(splits)
        self.thresholds.append(thresholds)
        self.gains.append(gains if len(gains) == len(splits) else [0.0] * len(splits))
        self.leaves.append(leaves)
        self.branches.append([hashlib.sha256(repr(one).encode()).digest()[:_DIGEST] for one in branches])

    def tensors(self) -> list[Tensor]:
        """The numbers of all trees, one after the other; a row is one value. ``branches`` hold a digest a split."""
        flat: dict[str, tuple[str, str, list[Any]]] = {
            "leaf_value": ("F64", "<f8", self.leaves),
            "split_feature": ("I64", "<i8", self.splits),
            "threshold": ("F64", "<f8", self.thresholds),
        }
        found = []
        for name, (dtype, kind, parts) in flat.items():
            numbers = np.array([number for part in parts for number in part], dtype=kind)
            found.append(keep(name, dtype, (len(numbers),), numbers.tobytes()))
        digests = [one for part in self.branches for one in part]
        return [*found, keep("branches", "TEXT_digest", (len(digests),), b"".join(digests))]

    def summary(self) -> dict[str, Any]:
        """What is compared beside the numbers: features with how often and with what gain they split, and each tree."""
        counts = np.zeros(len(self.features), dtype=np.int64)
        gains = np.zeros(len(self.features))
        for splits, gain in zip(self.splits, self.gains, strict=True):
            np.add.at(counts, splits, 1)
            np.add.at(gains, splits, gain)
        used = {
            self.features[index]: {"splits": int(counts[index]), "gain": float(gains[index])}
            for index in np.flatnonzero(counts)
        }
        return {"trees": len(self.splits), "features": self.features, "used": used, "words": self.words}


def checked_features(names: list[Any]) -> list[str]:
    """Feature names that may be shown, none twice."""
    if len(names) > MAX_FEATURES:
        raise RefusedError(f"{len(names):,} features, more than {MAX_FEATURES:,}")
    found = [checked_name(name) for name in names]
    if len(set(found)) != len(found):
        raise RefusedError("two features have the same name")
    return found
