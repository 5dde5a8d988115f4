# SPDX-License-Identifier: Apache-2.0
"""Invented handles for creators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = {
    "personal": (
        "mila",
        "jonas",
        "ines",
        "tudor",
        "kasia",
        "leo",
        "nora",
        "paco",
        "emma",
        "radu",
        "zofia",
        "hugo",
        "ana",
        "finn",
    ),
    "business": ("casa", "atelier", "verde", "nord", "luma", "brio", "kern", "vela"),
    "news": ("morning", "courier", "herald", "tribune", "daily", "gazette", "kurier", "ziar", "heute", "matin"),
    "partisan": ("straight", "firm", "real", "people", "voice", "street", "fair", "next"),
    "conspiracy": ("unseen", "awake", "beyond", "hidden", "third", "silent", "deep"),
    "state": ("meridian", "kontinent", "vantage", "horizon", "eastline", "compass"),
}
SECOND = {
    "personal": ("dances", "cooks", "plays", "bikes", "sings", "reads", "travels", "laughs", "paints", "runs", "films"),
    "business": ("studio", "kitchen", "goods", "tours", "beauty", "house"),
    "news": ("24", "post", "now", "desk", "online", "report"),
    "partisan": ("talk", "line", "forum", "union", "front", "republic"),
    "conspiracy": ("files", "signal", "truth", "archive", "frequency"),
    "state": ("tv", "world", "24", "international"),
}


def handles(rng: np.random.Generator, kinds: Sequence[str]) -> np.ndarray:
    """One handle a creator, each used once; a number is added where a name is taken."""
    taken: dict[str, int] = {}
    made = []
    for kind in kinds:
        first, second = FIRST[kind], SECOND[kind]
        name = f"{first[rng.integers(len(first))]}.{second[rng.integers(len(second))]}"
        taken[name] = taken.get(name, 0) + 1
        made.append(name if taken[name] == 1 else f"{name}{taken[name]}")
    return np.array(made)
